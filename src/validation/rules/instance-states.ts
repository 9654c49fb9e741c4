import type { Poll } from '../../kit/wait.ts';

/** What the states of a test instance mean. */

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
    'usually the KMS key of its volumes: allow the role kms:CreateGrant, kms:Decrypt, kms:DescribeKey and kms:GenerateDataKeyWithoutPlaintext on it',
  ],
  [/KMS|InvalidKMSKey/i, 'the KMS key of its volumes is disabled, deleted or not granted to this role'],
  [/Client\.VolumeLimitExceeded/, 'the volume quota of the account is used up'],
  [/Client\.InvalidSnapshot\.NotFound/, 'a snapshot of the image does not exist'],
  [/Client\.UserInitiatedShutdown/, 'a user or another process terminated it'],
  [/Client\.InstanceInitiatedShutdown/, 'it shut itself down: the image or its user data does that'],
  [/Server\.InsufficientInstanceCapacity/, 'AWS has no capacity for this type there now'],
];

const hint = (reason: string): string => {
  const found = HINTS.find(([pattern]) => pattern.test(reason))?.[1];
  return found === undefined ? '' : ` (${found})`;
};

/** A new instance may not be visible yet. https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html */
export function evaluateInstance<M extends InstanceStatus>(instance: M | undefined): Poll<M> {
  if (instance === undefined) return { state: 'waiting', note: 'not visible yet' };
  if (instance.state === 'pending') return { state: 'waiting', note: 'pending' };
  if (instance.state === 'running') return { state: 'done', value: instance };
  const reason = instance.stateReason === '' ? 'no reason given' : instance.stateReason;
  return { state: 'failed', reason: `${instance.state}: ${reason}${hint(reason)}` };
}

/** While the agent is awaited, the instance itself may fail. */
export function evaluateBoot(
  ping: string | undefined,
  instance: InstanceStatus | undefined,
  health: HealthStatus | undefined,
): Poll<undefined> {
  if (ping === 'Online') return { state: 'done', value: undefined };
  const alive = evaluateInstance(instance);
  if (alive.state === 'failed') return alive;
  if (health?.instance === 'impaired')
    return { state: 'failed', reason: 'its instance status check failed: it does not boot or has no network' };
  if (health?.system === 'impaired')
    return { state: 'failed', reason: 'its system status check failed: the host, not the image, is impaired' };
  const agent = ping === undefined ? 'the agent has not registered' : `the agent is ${ping}`;
  return { state: 'waiting', note: `${agent}, status check ${health?.instance || 'pending'}` };
}
