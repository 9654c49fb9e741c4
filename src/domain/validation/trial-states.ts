import type { Look } from '../../kit/wait.ts';

/** What the states of a test machine mean, and what is probably behind them. */

export interface MachineSeen {
  readonly state: string;
  readonly stateReason: string;
}

export interface HealthSeen {
  readonly system: string;
  readonly instance: string;
}

// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/troubleshooting-launch.html
const HINTS: readonly (readonly [pattern: RegExp, hint: string])[] = [
  [
    /Client\.InternalError/,
    'usually the KMS key of its volumes: the role needs kms:CreateGrant, kms:Decrypt, kms:DescribeKey and kms:GenerateDataKeyWithoutPlaintext on it',
  ],
  [/KMS|InvalidKMSKey/i, 'the KMS key of its volumes is disabled, deleted or not granted to this role'],
  [/Client\.VolumeLimitExceeded/, 'the account has no room for another volume'],
  [/Client\.InvalidSnapshot\.NotFound/, 'a snapshot of the image is gone'],
  [/Client\.UserInitiatedShutdown/, 'somebody ended it from outside'],
  [/Client\.InstanceInitiatedShutdown/, 'it shut itself down: the image or its user data does that'],
  [/Server\.InsufficientInstanceCapacity/, 'AWS has no room for this type there now'],
];

const hint = (reason: string): string => {
  const found = HINTS.find(([pattern]) => pattern.test(reason))?.[1];
  return found === undefined ? '' : ` (${found})`;
};

/** EC2 may not know a machine that it has just made. https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html */
export function judgeMachine<M extends MachineSeen>(machine: M | undefined): Look<M> {
  if (machine === undefined) return { state: 'waiting', note: 'EC2 does not show it yet' };
  if (machine.state === 'pending') return { state: 'waiting', note: 'pending' };
  if (machine.state === 'running') return { state: 'done', value: machine };
  const reason = machine.stateReason === '' ? 'no reason given' : machine.stateReason;
  return { state: 'failed', why: `${machine.state}: ${reason}${hint(reason)}` };
}

/** While we wait for its agent, the machine itself may fail. */
export function judgeBoot(ping: string | undefined, machine: MachineSeen | undefined, health: HealthSeen | undefined): Look<undefined> {
  if (ping === 'Online') return { state: 'done', value: undefined };
  const alive = judgeMachine(machine);
  if (alive.state === 'failed') return alive;
  if (health?.instance === 'impaired')
    return { state: 'failed', why: 'its status check failed: it runs, but does not boot or has no network' };
  if (health?.system === 'impaired') return { state: 'failed', why: "the host's status check failed: AWS's side, not the image" };
  const agent = ping === undefined ? 'the agent has not registered' : `the agent was seen, now ${ping}`;
  return { state: 'waiting', note: `${agent}; status checks ${health?.instance || 'not there yet'}` };
}

// What an operating system writes when it does not come up.
const SIGNS: readonly (readonly [pattern: RegExp, cause: string])[] = [
  [/Kernel panic/i, 'the kernel panicked'],
  [/VFS: Unable to mount root|unable to mount root fs/i, 'the kernel does not find its root file system'],
  [/You are in (emergency|rescue) mode|Entering emergency mode/i, 'it boots into emergency mode, often because of /etc/fstab'],
  [/Timed out waiting for device/i, 'it waits for a device that is not there, often because of /etc/fstab'],
  [/No space left on device/i, 'its disk is full'],
  [/Out of memory|oom-kill/i, 'it runs out of memory: take a larger instance type'],
  [/amazon-ssm-agent.*(not found|could not be found|failed)/i, 'the SSM agent is missing or fails'],
  [
    /(ssm|ec2messages|ssmmessages)\.[\w.-]*amazonaws.*(timeout|timed out|refused|no such host)/i,
    'the SSM endpoints cannot be reached from it',
  ],
  [/cloud-init.*(Failed|ERROR|Traceback)/i, 'cloud-init failed'],
];

/** What its own console says is wrong. The text is untrusted and only looked at. */
export const signs = (console: string): readonly string[] =>
  SIGNS.filter(([pattern]) => pattern.test(console)).map(([, cause]) => `${cause} (its console says so)`);

/** Whether the image is at fault, rather than the account, the network or AWS. */
export const blamesImage = (machine: MachineSeen | undefined, health: HealthSeen | undefined): boolean =>
  /Client\.InstanceInitiatedShutdown/.test(machine?.stateReason ?? '') || (health?.instance === 'impaired' && health.system !== 'impaired');

/** Why no agent came, most telling first. */
export function likelyCauses(
  console: string,
  launch: { instanceProfile: string | undefined; subnetId: string | undefined },
): readonly string[] {
  const profile =
    launch.instanceProfile === undefined
      ? 'no instance-profile is set and Default Host Management is not on in this region: the agent may not talk to Systems Manager'
      : `the instance profile ${launch.instanceProfile} lacks AmazonSSMManagedInstanceCore`;
  const where = launch.subnetId === undefined ? 'the default subnet' : launch.subnetId;
  return [
    ...signs(console),
    profile,
    `${where} has no route to the SSM endpoints (ssm, ssmmessages, ec2messages): NAT, public address or VPC endpoints, and security groups that let 443 out`,
    'the image has no SSM agent, or it is not enabled',
  ];
}

/** The end of a console, for people. */
export const tailOf = (console: string, lines: number): string => console.replace(/\r/g, '').trimEnd().split('\n').slice(-lines).join('\n');
