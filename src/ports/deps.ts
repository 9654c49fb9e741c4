import type { Tags } from '../model/image.ts';
import type { Groups, LaunchTemplates, Parameters } from './groups.ts';
import type { Capture, Images, ImageUsers, Leftovers, Removal, Sharing } from './images.ts';
import type { Commands, Instances } from './instances.ts';
import type { Packer } from './packer.ts';

/** Everything outside this process that a mode may touch. A mode names the part it needs: `run(wanted, world: Powers<'images'>)`. */
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
  /** The ports of one account and region. Cheap; clients are made when first used, and shared. */
  inRegion(where: Where): Pick<RegionClients, P>;
}

export type Deps<P extends keyof RegionClients, W extends keyof AllDeps = never> = Pick<
  AllDeps<P>,
  'inRegion' | 'clock' | 'report' | 'run' | W
>;

export interface Where {
  readonly region: string;
  /** Assumed from the action's own credentials: how another account is reached. */
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
  readonly imageUsers: ImageUsers;
  readonly removal: Removal;
  readonly leftovers: Leftovers;
  readonly capture: Capture;
  readonly sharing: Sharing;
}

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Rejects with CancelledError when the run is cancelled. */
  sleep(ms: number): Promise<void>;
}

export interface Reporter {
  /** A phase of the work: a group in the log, a line in the timeline. */
  step<T>(title: string, work: () => Promise<T>): Promise<T>;
  info(message: string): void;
  warn(message: string): void;
  debug(message: string): void;
  /** Untrusted output, a line of it: never interpreted, whatever it says. */
  untrusted(line: string): void;
  /** Markdown for the job summary; everything from outside must be escaped (kit/markdown.ts). How it ended stands above what was planned. */
  summary(markdown: string, where?: 'above'): void;
  /** From now on never shown. */
  mask(secret: string): void;
}

/** Facts about the run, from the runner's environment. */
export interface Run {
  readonly repository: string;
  readonly commit: string;
  /** As GitHub says it: refs/heads/main. */
  readonly ref: string;
  readonly id: string;
  readonly attempt: string;
  readonly job: string;
  readonly actor: string;
  readonly url: string;
  readonly workspace: string;
  /** Emptied by the runner after the job. */
  readonly temp: string;
  /** Fires when the workflow is cancelled. */
  readonly cancelled: AbortSignal;
}

/** Files of the repository: relative to the workspace, and never outside it. */
export interface Files {
  /** One file, or all files of a directory; undefined when there is neither. */
  read(path: string): Promise<readonly RepositoryFile[] | undefined>;
  write(path: string, content: string): Promise<void>;
}

export interface RepositoryFile {
  readonly path: string;
  readonly content: Uint8Array;
  readonly executable: boolean;
}

/** What an image may be made of. */
export interface Content {
  /** The tree of the commit with what was changed since, or what the globs match; and `always` with it, as it lies there. Empty: they match nothing. */
  files(globs: readonly string[], always: readonly string[]): Promise<readonly ContentFile[]>;
  /** Whether there is a file that it stands for. */
  matches(glob: string): Promise<boolean>;
}

export interface ContentFile {
  readonly path: string;
  /** As git writes it: 100644, 100755, 120000, 160000. */
  readonly mode: string;
  /** The hash that git gives the content. */
  readonly blob: string;
}

/** What `post:` must end if we do not get to it ourselves. Written before the thing exists. */
export interface Journal {
  remember(entry: JournalEntry): void;
  forget(entry: JournalEntry): void;
}

export type JournalEntry =
  | { readonly kind: 'instance'; readonly region: string; readonly token: string }
  | { readonly kind: 'process'; readonly pid: number; readonly log: string }
  | { readonly kind: 'file'; readonly path: string }
  /** Everything in these regions that bears all of these tags; or this name, and was demonstrably made by this build. */
  | {
      readonly kind: 'build';
      readonly regions: readonly string[];
      readonly tags: Tags;
      readonly name: string;
      readonly familyKey: string;
      readonly since: number;
      /** IDs of instances and images that Packer said it made. */
      readonly created?: readonly string[];
      /** Images that are finished: only the family is missing, and a later run may adopt them. */
      readonly finished?: readonly string[];
    };

export interface Account {
  id(): Promise<string>;
  /** Credentials for a child process, as its environment; empty where it finds them by itself. */
  environment(): Promise<Readonly<Record<string, string>>>;
}

/** The history of a repository on GitHub. */
export interface Commits {
  /** A branch, tag or commit and its first parents, newest first: at most that many. */
  firstParents(of: { repository: string; ref: string; atMost: number; token: string | undefined }): Promise<readonly string[]>;
}

export interface Deployments {
  /** In progress from now on. The ID; of an earlier one for the same image that never came to its end, if there is one. */
  begin(of: {
    readonly repository: string;
    readonly token: string;
    readonly environment: string;
    readonly commit: string;
    readonly imageId: string;
    readonly description: string;
    readonly logUrl: string;
  }): Promise<number>;
  end(of: {
    readonly repository: string;
    readonly token: string;
    readonly id: number;
    /** in_progress: nobody knows yet. error: it was called off. https://docs.github.com/en/rest/deployments/statuses */
    readonly ended: 'success' | 'failure' | 'error' | 'in_progress';
    readonly description: string;
    readonly logUrl: string;
    readonly environmentUrl: string;
  }): Promise<void>;
}
