import type { Tags } from '../model/image.ts';
import type { Attestations, Commits, Deployments } from './github.ts';
import type { Alarms, Groups, LaunchConfigurations, LaunchTemplates, NodeGroups, Parameters, Weights } from './groups.ts';
import type { Capture, Images, ImageUsers, Leftovers, Removal, Sharing } from './images.ts';
import type { Commands, Instances } from './instances.ts';
import type { Issues } from './issues.ts';
import type { Machine } from './machine.ts';
import type { Macs } from './macs.ts';
import type { Packer } from './packer.ts';
import type { Permissions } from './permissions.ts';
import type { Stacks } from './stacks.ts';

/** Everything outside this process that a mode may use. A mode names what it needs: `run(options, deps: Deps<'images'>)`. */
export interface AllDeps<P extends keyof RegionClients = keyof RegionClients> {
  readonly clock: Clock;
  readonly report: Reporter;
  readonly run: Run;
  readonly journal: Journal;
  readonly files: Files;
  readonly content: Content;
  readonly packer: Packer;
  readonly commits: Commits;
  readonly deployments: Deployments;
  readonly attestations: Attestations;
  readonly issues: Issues;
  readonly machine: Machine;
  /** The ports of one account and region. Clients are created on first use, and shared. */
  inRegion(where: Where): Pick<RegionClients, P>;
}

export type Deps<P extends keyof RegionClients, W extends keyof AllDeps = never> = Pick<
  AllDeps<P>,
  'inRegion' | 'clock' | 'report' | 'run' | W
>;

export interface Where {
  readonly region: string;
  /** Assumed with the action's own credentials, to reach another account. */
  readonly role?: string | undefined;
}

/** One account in one region. */
export interface RegionClients {
  readonly account: Account;
  readonly images: Images;
  readonly instances: Instances;
  readonly commands: Commands;
  readonly parameters: Parameters;
  readonly groups: Groups;
  readonly launchTemplates: LaunchTemplates;
  readonly launchConfigurations: LaunchConfigurations;
  readonly nodeGroups: NodeGroups;
  readonly alarms: Alarms;
  readonly weights: Weights;
  readonly imageUsers: ImageUsers;
  readonly removal: Removal;
  readonly leftovers: Leftovers;
  readonly capture: Capture;
  readonly sharing: Sharing;
  readonly macs: Macs;
  readonly permissions: Permissions;
  readonly stacks: Stacks;
}

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Rejects with CancelledError when the run is cancelled. */
  sleep(ms: number): Promise<void>;
}

export interface Reporter {
  /** A step of the work: a group in the log, a row in the timeline. */
  step<T>(title: string, work: () => Promise<T>): Promise<T>;
  info(message: string): void;
  warn(message: string): void;
  debug(message: string): void;
  /** A line of untrusted output: the runner never reads it as a command. */
  untrusted(line: string): void;
  /** Markdown for the job summary. Escape everything from outside (kit/markdown.ts). `above`: the result, before the plan. */
  summary(markdown: string, where?: 'above'): void;
  /** Hides it in everything that follows. */
  mask(secret: string): void;
}

/** Facts about the run, from the runner's environment. */
export interface Run {
  readonly repository: string;
  readonly commit: string;
  /** Complete: refs/heads/main. */
  readonly ref: string;
  readonly id: string;
  readonly attempt: string;
  readonly job: string;
  readonly actor: string;
  /** What started the workflow: push, workflow_dispatch, ...; `terminal` outside GitHub. */
  readonly event: string;
  readonly url: string;
  readonly workspace: string;
  /** Emptied by the runner after the job. */
  readonly temp: string;
  /** Fires when the workflow is cancelled. */
  readonly cancelled: AbortSignal;
}

/** Files of the repository, by path relative to the workspace. Rejects with UsageError for a path outside it. */
export interface Files {
  /** One file, or all files of a directory. Undefined where neither exists. */
  read(path: string): Promise<readonly RepositoryFile[] | undefined>;
  write(path: string, content: string): Promise<void>;
}

export interface RepositoryFile {
  readonly path: string;
  readonly content: Uint8Array;
  readonly executable: boolean;
}

/** The files that an image may be built from. */
export interface Content {
  /** The tree of the commit with later changes, or what the globs match; and what the template loads or refers to. Empty: the globs match nothing. */
  files(selection: ContentSelection): Promise<readonly ContentFile[]>;
  /** The files that the globs match, relative to the workspace. */
  paths(globs: readonly string[]): Promise<readonly string[]>;
  /** Whether a file matches. */
  matches(glob: string): Promise<boolean>;
  /** Records what was written since `before`: while it is unchanged, it is no input of the next build of the same template. */
  recordOutputs(selection: ContentSelection, before: readonly ContentFile[]): Promise<void>;
}

export interface ContentSelection {
  readonly globs: readonly string[];
  readonly template: string;
  readonly varFiles: readonly string[];
  /** Files and directories that the template refers to. */
  readonly references: readonly string[];
  /** The template also refers to files by expressions that only Packer can evaluate. */
  readonly isDynamic: boolean;
}

export interface ContentFile {
  readonly path: string;
  /** As git writes it: 100644, 100755, 120000, 160000. */
  readonly mode: string;
  /** Git's hash of the content. */
  readonly blob: string;
}

/** What the post step ends if the main step did not. Written before the resource exists. */
export interface Journal {
  remember(entry: JournalEntry): void;
  forget(entry: JournalEntry): void;
}

export type JournalEntry =
  /** `id`: as soon as it is known. */
  | { readonly kind: 'instance'; readonly region: string; readonly token: string; readonly id?: string }
  | { readonly kind: 'process'; readonly pid: number; readonly log: string }
  | { readonly kind: 'file'; readonly path: string }
  /** Everything in these regions that has all these tags; or has this name, and provably is of this build. */
  | {
      readonly kind: 'build';
      /** Role of the account that it builds in, where that is another one. */
      readonly role?: string | undefined;
      readonly regions: readonly string[];
      readonly tags: Tags;
      readonly name: string;
      readonly familyKey: string;
      readonly since: number;
      /** Everything that Packer creates has these tags: an instance without them is not of this build, whatever its output says. */
      readonly isTagged?: boolean;
      /** IDs of instances, images and launch templates that Packer reported. */
      readonly created?: readonly string[];
      /** Finished images without a family tag: a later run may adopt them. */
      readonly finished?: readonly string[];
    };

export interface Account {
  id(): Promise<string>;
  /** Credentials for a child process, as environment variables. Empty where it finds them itself. */
  environment(): Promise<Readonly<Record<string, string>>>;
}
