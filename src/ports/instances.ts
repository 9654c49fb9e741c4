import type { Architecture, Tags } from '../model/image.ts';

/** The ports to instances, and to the commands that run on them. */

export interface InstanceSpec {
  readonly imageId: string;
  readonly instanceType: string;
  readonly subnetId?: string | undefined;
  readonly securityGroupIds?: readonly string[];
  readonly instanceProfile?: string | undefined;
  readonly userData?: string | undefined;
  /** Volumes of the image: encrypted, and deleted with the instance, whatever the image says. */
  readonly devices: readonly string[];
  readonly tags: Tags;
  /** At most 64 ASCII characters; the same token is the same instance. */
  readonly token: string;
}

/** Why EC2 does not launch, with its message. Another type or subnet may help against `capacity`. */
export interface LaunchRefusal {
  readonly refused:
    | 'capacity'
    | 'quota'
    | 'configuration'
    | 'no default subnet'
    | 'networks'
    | 'subnet'
    | 'security groups'
    | 'instance profile';
  readonly message: string;
}

export interface Instance {
  readonly id: string;
  readonly imageId: string;
  readonly state: 'pending' | 'running' | 'shutting-down' | 'terminated' | 'stopping' | 'stopped';
  readonly stateReason: string;
  readonly tags: Tags;
  /** Set at launch, and never afterwards. */
  readonly clientToken: string | undefined;
  readonly launchedAt: Date;
  readonly privateIp: string | undefined;
}

/** https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/monitoring-system-instance-status-check.html */
interface InstanceHealth {
  /** The host, network and power. */
  readonly system: string;
  /** The instance: whether it boots and has a network. */
  readonly instance: string;
}

export interface Instances {
  /** One instance, or the one that this token launched before. It requires IMDSv2, has no key pair, and terminates when it shuts itself down. */
  launch(spec: InstanceSpec): Promise<Instance | LaunchRefusal>;
  /** Undefined where EC2 does not show it: a new instance may not be visible yet. */
  get(id: string): Promise<Instance | undefined>;
  /**
   * The instance that was launched with this token, in any state; undefined where EC2 does not show it (yet). `id`: if it is known. Token and tag of the action
   * are read in the answer, whatever the filter did.
   */
  findByToken(token: string, id?: string): Promise<Instance | undefined>;
  /** Undefined until EC2 has a status. */
  health(id: string): Promise<InstanceHealth | undefined>;
  reboot(id: string): Promise<void>;
  /** In any state, all pages. */
  tagged(tags: Tags): Promise<readonly Instance[]>;
  terminate(ids: readonly string[]): Promise<void>;
  /** The last 64 KiB of its console; may be empty for minutes. */
  console(id: string): Promise<string>;
  /** Architectures of an instance type; undefined for a type that does not exist here. */
  architectures(instanceType: string): Promise<readonly Architecture[] | undefined>;
}

interface CommandResult {
  /** https://docs.aws.amazon.com/systems-manager/latest/userguide/monitor-commands.html */
  readonly status: 'Pending' | 'InProgress' | 'Delayed' | 'Success' | 'Cancelled' | 'TimedOut' | 'Failed' | 'Cancelling';
  readonly detail: string;
  /** -1 until it has started. */
  readonly exitCode: number;
  /** The first 24,000 characters. */
  readonly output: string;
  /** The first 8,000 characters. */
  readonly errors: string;
}

export interface Commands {
  /** Whether Default Host Management is on, so that the agent needs no profile. Undefined: not readable. */
  managesHosts(): Promise<boolean | undefined>;
  /** The agent's ping status; undefined until it has registered. */
  agent(instanceId: string): Promise<'Online' | 'ConnectionLost' | 'Inactive' | undefined>;
  /** Sends a shell script. Returns the command's ID; undefined while the agent accepts no command. */
  send(order: { instanceId: string; script: readonly string[]; timeoutSeconds: number; comment: string }): Promise<string | undefined>;
  /** Undefined while the API does not show the command yet. */
  result(commandId: string, instanceId: string): Promise<CommandResult | undefined>;
}
