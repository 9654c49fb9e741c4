import type { Architecture, Tags } from '../model/image.ts';

/** The ports to instances, and to the commands that run on them. */

export interface InstanceSpec {
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
export type NoCapacity = { readonly noCapacity: string };

export interface Instance {
  readonly id: string;
  readonly imageId: string;
  readonly state: 'pending' | 'running' | 'shutting-down' | 'terminated' | 'stopping' | 'stopped';
  readonly stateReason: string;
  readonly tags: Tags;
  readonly launchedAt: Date;
  readonly privateIp: string | undefined;
}

/** https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/monitoring-system-instance-status-check.html */
export interface InstanceHealth {
  /** AWS's side of it. */
  readonly system: string;
  /** The machine's own: does it boot and answer on the network. */
  readonly instance: string;
}

export interface Instances {
  /** One machine, or the one that this token made before. Requires IMDSv2, has no key pair, and ends when it shuts itself down. */
  launch(spec: InstanceSpec): Promise<Instance | NoCapacity>;
  /** Undefined where EC2 does not know it (yet): it is eventually consistent. */
  get(id: string): Promise<Instance | undefined>;
  /** The one that was launched with this token, whatever became of it: the answer of a launch may get lost. */
  findByToken(token: string): Promise<Instance | undefined>;
  /** Undefined until there is something to say. */
  health(id: string): Promise<InstanceHealth | undefined>;
  reboot(id: string): Promise<void>;
  /** In any state, all pages. */
  tagged(tags: Tags): Promise<readonly Instance[]>;
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
  /** Whether instances without a profile get an agent, too: Default Host Management. Undefined: it may not be asked. */
  managesHosts(): Promise<boolean | undefined>;
  /** The agent's ping status; undefined until it has registered. */
  agent(instanceId: string): Promise<'Online' | 'ConnectionLost' | 'Inactive' | undefined>;
  /** A shell script. The command's ID; undefined when the agent takes none (yet). */
  send(order: { instanceId: string; script: readonly string[]; timeoutSeconds: number; comment: string }): Promise<string | undefined>;
  /** Undefined while the API does not know the command yet: it is eventually consistent. */
  result(commandId: string, instanceId: string): Promise<CommandResult | undefined>;
}
