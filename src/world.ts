import type { Group, Launch, Refresh, TemplateUse } from './domain/group.ts';
import type { Architecture, Image, Tags } from './domain/image.ts';
import type { Snapshot } from './domain/orphans.ts';
import type { Edge, PointerNames, UserFacts } from './domain/references.ts';
import type { RefreshPreferences } from './domain/preferences.ts';
import type { AllowedImages } from './domain/share-allowed.ts';
import type { ImageKey } from './domain/share-key.ts';
import type { TemplateVersion } from './domain/template.ts';

/** Everything outside this process that a mode may touch. A mode names the part it needs: `run(wanted, world: Powers<'images'>)`. */
export interface World<P extends keyof Place = keyof Place> {
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
  at(where: Where): Pick<Place, P>;
}

export type Powers<P extends keyof Place, W extends keyof World = never> = Pick<World<P>, 'at' | 'clock' | 'report' | 'run' | W>;

export interface Where {
  readonly region: string;
  /** Assumed from the action's own credentials: how another account is reached. */
  readonly role?: string | undefined;
}

/** One account in one region. */
export interface Place {
  readonly account: Account;
  readonly images: Images;
  readonly machines: Machines;
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
  foreign(line: string): void;
  /** Markdown for the job summary; everything from outside must be escaped (kit/markdown.ts). */
  summary(markdown: string): void;
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
  /** The tree of the commit with what was changed since; or what the globs match, and `always` with it. Empty: they match nothing. */
  files(globs: readonly string[], always: readonly string[]): Promise<readonly ContentFile[]>;
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
  /** Everything in these regions that bears all of these tags, or this name. */
  | { readonly kind: 'build'; readonly regions: readonly string[]; readonly tags: Tags; readonly name: string; readonly familyKey: string; readonly since: number };

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
    readonly ended: 'success' | 'failure';
    readonly description: string;
    readonly logUrl: string;
    readonly environmentUrl: string;
  }): Promise<void>;
}

export interface ImageQuery {
  /** Every pair must match. */
  readonly tags?: Tags;
  readonly names?: readonly string[];
  readonly ids?: readonly string[];
  /** "self", "amazon", an account; default self. */
  readonly owners?: readonly string[];
  /** Also images that others share with this account. */
  readonly shared?: boolean;
  readonly includeDisabled?: boolean;
}

export interface Images {
  get(id: string): Promise<Image | undefined>;
  /** All pages; no order is promised. */
  find(query: ImageQuery): Promise<readonly Image[]>;
  /** On images, snapshots, instances alike. */
  tag(ids: readonly string[], tags: Tags): Promise<void>;
  untag(ids: readonly string[], keys: readonly string[]): Promise<void>;
}

export interface UserScope {
  /** Their history is read too. */
  readonly pointers: PointerNames;
  /** Parameters that begin so hold no image ID, somebody says: they are not read. Pointers are all the same. */
  readonly ignoredParameters: readonly string[];
  /** How many of the newest versions of every launch template count as current; default 1, besides the default version. */
  readonly templateDepth?: number;
  /** A second look just before these images go: only what may have come to use them in the meantime. */
  readonly again?: readonly string[];
}

export interface ImageUsers {
  /** Everything in this account and region that may launch an image. Rejects rather than answering in part. */
  read(scope: UserScope): Promise<UserFacts>;
  /** What AWS itself knows of this account's references, Image Builder's recipes among them. A reason to keep, never one to remove. */
  references(imageIds: readonly string[]): Promise<readonly Edge[]>;
  /** Starts a report of who in any account uses an image; the same token is the same report. */
  startUsageReport(imageId: string, token: string): Promise<string>;
  usage(reportId: string): Promise<UsageReport>;
}

/** https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/your-ec2-ami-usage.html */
export interface UsageReport {
  readonly state: 'pending' | 'available' | 'error';
  readonly entries: readonly { readonly account: string; readonly resourceType: string; readonly count: number }[];
}

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteSnapshotReturnCode.html */
export interface SnapshotResult {
  readonly snapshotId: string;
  readonly code: 'success' | 'skipped' | 'missing-permissions' | 'internal-error' | 'client-error';
}

/** `gone`: it was no longer there, which is as good. `protected`: AWS does not let it go yet. */
export type Removed =
  | { readonly result: 'removed'; readonly snapshots: readonly SnapshotResult[] }
  | { readonly result: 'gone' }
  | { readonly result: 'protected'; readonly because: string };

/** A launch permission. */
export interface Share {
  /** An account ID, the ARN of an organization or a unit, or `all`. */
  readonly who: string;
  /** Undefined where it is more than one account. */
  readonly account: string | undefined;
}

export interface Removal {
  deregister(imageId: string, options: { keepSnapshots: boolean }): Promise<Removed>;
  sharedWith(imageId: string): Promise<readonly Share[]>;
  /** Hides it from everybody else; whoever knows its ID may still launch it. */
  deprecate(imageId: string, at: Date): Promise<void>;
  undeprecate(imageId: string): Promise<void>;
  /** Own ones; every pair must match. All pages. */
  snapshots(tags: Tags): Promise<readonly Snapshot[]>;
  /** `gone`: it was no longer there; `in-use`: an image or somebody else holds it. */
  deleteSnapshot(snapshotId: string): Promise<'deleted' | 'gone' | 'in-use'>;
}

export interface CopyOrder {
  readonly from: { readonly region: string; readonly imageId: string };
  readonly name: string;
  readonly description: string;
  /** On the copy and its snapshots, from the moment they exist. */
  readonly tags: Tags;
  /** Key, alias or ARN in the region of the copy; undefined: as the source, with the region's default key where it is encrypted. */
  readonly kmsKey: string | undefined;
  readonly token: string;
}

/** What the owner of an image gives to others. Who: account IDs, ARNs of organizations and units, or `all`. */
export interface Sharing {
  launchers(imageId: string): Promise<readonly string[]>;
  /** Adding who is there already changes nothing, and so does removing who is not. */
  allowLaunch(imageId: string, who: readonly string[]): Promise<void>;
  forbidLaunch(imageId: string, who: readonly string[]): Promise<void>;
  /** Who may read the content; needed to copy, not to launch. */
  readers(snapshotId: string): Promise<readonly string[]>;
  allowReading(snapshotId: string, accounts: readonly string[]): Promise<void>;
  forbidReading(snapshotId: string, accounts: readonly string[]): Promise<void>;
  /** Into this region and account. The ID, long before there is content; undefined when the name is taken. */
  copy(order: CopyOrder): Promise<string | undefined>;
  /** ARNs of the keys that encrypt these snapshots. */
  keysOf(snapshotIds: readonly string[]): Promise<readonly string[]>;
  key(arn: string): Promise<ImageKey>;
  /** Which images of others this account lets in; undefined where it may not be asked. */
  allowed(): Promise<AllowedImages | undefined>;
}

/** An image of a machine as it is. */
export interface Capture {
  /** Undefined where the name is taken: by somebody else, or by a call of ours whose answer got lost. */
  image(order: { instanceId: string; name: string; noReboot: boolean; tags: Tags }): Promise<string | undefined>;
}

/** What a build makes beside its image, or leaves when it dies. */
export interface Leftovers {
  /** Everything that has this tag with this value, or with any; what has ended for good is not there any more. */
  tagged(key: string, value?: string): Promise<readonly Leftover[]>;
  /** `busy`: something that is ending still uses it, ask again. */
  remove(leftover: Pick<Leftover, 'kind' | 'id'>): Promise<'asked' | 'gone' | 'busy'>;
}

export interface Leftover {
  readonly kind: 'instance' | 'image' | 'snapshot' | 'volume' | 'security-group' | 'key-pair';
  readonly id: string;
  readonly tags: Tags;
  /** On its way out; it may still keep others from going. */
  readonly ending: boolean;
}

export interface MachineSpec {
  readonly imageId: string;
  readonly instanceType: string;
  readonly subnetId?: string | undefined;
  readonly securityGroupIds?: readonly string[];
  readonly instanceProfile?: string | undefined;
  readonly userData?: string | undefined;
  /** Volumes of the image, to be encrypted and to end with the machine, whatever the image says. */
  readonly devices: readonly string[];
  readonly tags: Tags;
  /** At most 64 ASCII characters; the same token is the same instance. */
  readonly token: string;
}

/** AWS has no room for this type there now; another type or subnet may do. */
export interface NoCapacity {
  readonly noCapacity: string;
}

export interface Machine {
  readonly id: string;
  readonly imageId: string;
  readonly state: 'pending' | 'running' | 'shutting-down' | 'terminated' | 'stopping' | 'stopped';
  readonly stateReason: string;
  readonly tags: Tags;
  readonly launchedAt: Date;
  readonly privateIp: string | undefined;
}

/** https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/monitoring-system-instance-status-check.html */
export interface MachineHealth {
  /** AWS's side of it. */
  readonly system: string;
  /** The machine's own: does it boot and answer on the network. */
  readonly instance: string;
}

export interface Machines {
  /** One machine, or the one that this token made before. Requires IMDSv2, has no key pair, and ends when it shuts itself down. */
  launch(spec: MachineSpec): Promise<Machine | NoCapacity>;
  /** Undefined where EC2 does not know it (yet): it is eventually consistent. */
  get(id: string): Promise<Machine | undefined>;
  /** The one that was launched with this token, whatever became of it: the answer of a launch may get lost. */
  withToken(token: string): Promise<Machine | undefined>;
  /** Undefined until there is something to say. */
  health(id: string): Promise<MachineHealth | undefined>;
  reboot(id: string): Promise<void>;
  /** In any state, all pages. */
  tagged(tags: Tags): Promise<readonly Machine[]>;
  terminate(ids: readonly string[]): Promise<void>;
  /** The last 64 KiB that the machine wrote to its console; may be empty for minutes. */
  console(id: string): Promise<string>;
  /** Architectures that an instance type can run; undefined for a type that does not exist here. */
  architectures(instanceType: string): Promise<readonly Architecture[] | undefined>;
}

export interface CommandResult {
  /** https://docs.aws.amazon.com/systems-manager/latest/userguide/monitor-commands.html */
  readonly status: 'Pending' | 'InProgress' | 'Delayed' | 'Success' | 'Cancelled' | 'TimedOut' | 'Failed' | 'Cancelling';
  readonly detail: string;
  /** -1 until it has started, or when it never did. */
  readonly exitCode: number;
  /** The first 24,000 characters. */
  readonly output: string;
  /** The first 8,000 characters. */
  readonly errors: string;
}

export interface Commands {
  /** The agent's ping status; undefined until it has registered. */
  agent(instanceId: string): Promise<'Online' | 'ConnectionLost' | 'Inactive' | undefined>;
  /** The command's ID; undefined when the agent takes none (yet). */
  send(order: {
    instanceId: string;
    script: readonly string[];
    timeoutSeconds: number;
    comment: string;
    shell: 'sh' | 'powershell';
  }): Promise<string | undefined>;
  /** Undefined while the API does not know the command yet: it is eventually consistent. */
  result(commandId: string, instanceId: string): Promise<CommandResult | undefined>;
}

export interface Parameter {
  readonly name: string;
  readonly value: string;
  readonly version: number;
  readonly type: string;
  readonly dataType: string;
  readonly writtenAt: Date;
}

/** Only the history tells what was said about a version. */
export interface ParameterVersion extends Parameter {
  readonly description: string;
  readonly labels: readonly string[];
}

export interface ParameterWrite {
  readonly name: string;
  readonly value: string;
  readonly description: string;
  /** What is there now; undefined makes the parameter, and fails if somebody else just did. */
  readonly existing: Parameter | undefined;
}

export interface Parameters {
  read(name: string): Promise<Parameter | undefined>;
  /** Returns the version it became. 200 does not mean stored: `aws:ec2:image` is checked later, so read it back. */
  write(parameter: ParameterWrite): Promise<number>;
  /** Newest first; AWS keeps 100. Empty where there is no such parameter. */
  history(name: string): Promise<readonly ParameterVersion[]>;
  remove(name: string): Promise<void>;
}

export interface Groups {
  /** All pages. Those of these names (a name that is not there is missing in the answer), or with all these tags, or all there are. */
  find(query: { readonly names?: readonly string[]; readonly tags?: Tags }): Promise<readonly Group[]>;
  /** What each instance was launched from; an instance that EC2 does not know (yet) is missing in the answer. */
  imagesOf(instanceIds: readonly string[]): Promise<ReadonlyMap<string, string>>;
  /** What the load balancers of the group say about an instance, a line each; empty where none looks. */
  targetHealth(group: string, instanceId: string): Promise<readonly string[]>;
  /** The newest twenty, newest first. */
  refreshes(group: string): Promise<readonly Refresh[]>;
  refresh(group: string, id: string): Promise<Refresh | undefined>;
  /** The ID; undefined when one is running already, which may be ours: the call has no client token. */
  start(order: { readonly group: string; readonly launch: Launch | undefined; readonly preferences: RefreshPreferences }): Promise<string | undefined>;
  /** `over`: nothing runs any more. `impossible`: AWS cannot roll this one back. */
  rollBack(group: string): Promise<'started' | 'over' | 'impossible'>;
  /** Stops where it stands; rolls nothing back. */
  cancel(group: string): Promise<void>;
  /** Changes what the group launches from now on; no instance is touched. */
  setLaunch(group: string, launch: Launch): Promise<void>;
}

export interface LaunchTemplates {
  /** What `$Latest`, `$Default` or a number means now. */
  version(use: Pick<TemplateUse, 'templateId' | 'version'>): Promise<TemplateVersion | undefined>;
  /** The image that a version which reads a parameter would launch now. */
  resolved(version: TemplateVersion): Promise<string | undefined>;
  /** All versions that name this image. */
  withImage(templateId: string, imageId: string): Promise<readonly TemplateVersion[]>;
  /** All versions that name one of these. */
  withImages(templateId: string, imageIds: readonly string[]): Promise<readonly TemplateVersion[]>;
  /** The source with another image. Warnings mean that AWS made it, and doubts that it launches. */
  create(order: {
    readonly source: TemplateVersion;
    readonly imageId: string;
    readonly description: string;
    readonly token: string;
  }): Promise<{ readonly version: TemplateVersion; readonly warnings: readonly string[] }>;
  remove(version: TemplateVersion): Promise<void>;
}

export interface PackerWish {
  /** A range as npm writes them: 1.16.0, 1.15.x, >=1.14.0. */
  readonly version: string;
  /** Of the archive; for a version that is not pinned here. */
  readonly sha256: string | undefined;
  /** Where archives come from. */
  readonly mirror: string;
}

export interface PackerTool {
  /** Absolute path of a Packer that was verified. */
  readonly binary: string;
  readonly version: string;
  readonly from: 'path' | 'archive' | 'source';
}

export interface PackerBuild {
  readonly binary: string;
  /** Directory or file, absolute. */
  readonly template: string;
  /** Variables of the action itself, of any type; through a file that only we can read. */
  readonly given: Readonly<Record<string, unknown>>;
  /** The user's, passed on as they are. */
  readonly variables: Readonly<Record<string, string>>;
  readonly varFiles: readonly string[];
  readonly only: readonly string[];
  readonly except: readonly string[];
  /** On top of our own, without what is meant for us alone. */
  readonly environment: Readonly<Record<string, string>>;
  /** After this it is stopped as by a cancel. */
  readonly atMostSeconds: number;
}

export interface PackerEnded {
  readonly exitCode: number | undefined;
  readonly signal: string | undefined;
  /** Why we stopped it, if we did. */
  readonly stopped?: 'cancelled' | 'timeout' | undefined;
}

export interface Packer {
  /** Absolute path of a template or var file in the workspace; undefined where there is nothing. */
  locate(path: string): string | undefined;
  /** Variables that the environment gives to every template: PKR_VAR_... */
  ambient(): Readonly<Record<string, string>>;
  /** From PATH if the version fits, else the vendor's archive, else built from source. */
  ensure(wish: PackerWish): Promise<PackerTool>;
  /** The variables that a template declares. */
  declared(binary: string, template: string): Promise<ReadonlyMap<string, 'plain' | 'sensitive'>>;
  init(build: PackerBuild, onLine: (line: string) => void): Promise<PackerEnded>;
  validate(build: PackerBuild, onLine: (line: string) => void): Promise<PackerEnded>;
  /** Lines of `-machine-readable`. Survives our death; SIGTERM on cancel. */
  build(build: PackerBuild, onLine: (line: string) => void): Promise<PackerEnded>;
}
