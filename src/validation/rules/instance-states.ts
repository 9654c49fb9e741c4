import type { Poll } from '../../kit/wait.ts';

/** What the states of a test machine mean, and what is probably behind them. */

export interface InstanceStatus {
  readonly state: string;
  readonly stateReason: string;
}

export interface HealthStatus {
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
export function evaluateInstance<M extends InstanceStatus>(instance: M | undefined): Poll<M> {
  if (instance === undefined) return { state: 'waiting', note: 'EC2 does not show it yet' };
  if (instance.state === 'pending') return { state: 'waiting', note: 'pending' };
  if (instance.state === 'running') return { state: 'done', value: instance };
  const reason = instance.stateReason === '' ? 'no reason given' : instance.stateReason;
  return { state: 'failed', reason: `${instance.state}: ${reason}${hint(reason)}` };
}

/** While we wait for its agent, the machine itself may fail. */
export function evaluateBoot(
  ping: string | undefined,
  instance: InstanceStatus | undefined,
  health: HealthStatus | undefined,
): Poll<undefined> {
  if (ping === 'Online') return { state: 'done', value: undefined };
  const alive = evaluateInstance(instance);
  if (alive.state === 'failed') return alive;
  if (health?.instance === 'impaired')
    return { state: 'failed', reason: 'its status check failed: it runs, but does not boot or has no network' };
  if (health?.system === 'impaired') return { state: 'failed', reason: "the host's status check failed: AWS's side, not the image" };
  const agent = ping === undefined ? 'the agent has not registered' : `the agent was seen, now ${ping}`;
  return { state: 'waiting', note: `${agent}; status checks ${health?.instance || 'not there yet'}` };
}
