import { randomBytes } from 'node:crypto';
import { ActionError } from '../kit/errors.ts';
import { formatCount } from '../kit/format.ts';
import { type Poll, waitFor } from '../kit/wait.ts';
import type { Deps, RegionClients } from '../ports/deps.ts';
import type { Check, Delivered } from '../validation/rules/checks.ts';
import { type ChecksEvaluation, evaluateChecks } from '../validation/rules/checks-report.ts';
import { checksScript } from '../validation/rules/checks-script.ts';

/** The checks of validate, for the instances of a group. */
export interface InstanceChecks {
  readonly checks: readonly Check[];
  readonly deliveries: readonly (readonly Delivered[])[];
  readonly seconds: number;
}

// For the SSM agent to accept the command and to report its end.
const COMMAND_SECONDS = 150;

const UNMANAGED =
  'Checks need Systems Manager on the instances of the group: give its launch template an instance profile with AmazonSSMManagedInstanceCore, or turn on Default Host Management. To promote without checks, set "checks: []" in the section of the environment';

/** Runs the checks on one instance. Returns why they failed, or undefined if they passed. No result is a failure. */
export async function runInstanceChecks(
  instanceId: string,
  { checks, deliveries, seconds }: InstanceChecks,
  deps: Pick<Deps<never>, 'clock' | 'report'>,
  { commands }: Pick<RegionClients, 'commands'>,
): Promise<string | undefined> {
  const nonce = randomBytes(16).toString('hex');
  const script = checksScript({ checks, deliveries, nonce, withinSeconds: seconds }).split('\n');
  const order = {
    instanceId,
    script,
    timeoutSeconds: seconds + 30,
    comment: `ami-action: ${formatCount(checks.length, 'check')}`,
    shell: 'sh' as const,
  };
  let command: string | undefined;
  const poll = async (): Promise<Poll<ChecksEvaluation>> => {
    if (command !== undefined) return evaluateChecks(await commands.result(command, instanceId), checks, nonce);
    command = await commands.send(order);
    return { state: 'waiting', note: command === undefined ? 'the SSM agent accepts no command yet' : 'sent' };
  };
  try {
    const evaluation = await waitFor(
      { what: `Checks on ${instanceId}`, everySeconds: 3, atMostSeconds: seconds + COMMAND_SECONDS, poll },
      deps,
    );
    if (evaluation.result === 'passed') deps.report.info(`Checks on ${instanceId}: ${formatCount(checks.length, 'check')} passed`);
    const failed = evaluation.checks.filter(({ ending }) => ending === 'failed').map(({ name, reason }) => `${name} ${reason}`);
    return evaluation.result === 'passed' ? undefined : [evaluation.reason, ...failed].join('; ');
  } catch (failure) {
    if (failure instanceof ActionError && (failure.outcome === 'rejected' || failure.outcome === 'timeout'))
      return command === undefined ? `${failure.message} ${UNMANAGED}` : failure.message;
    throw failure;
  }
}
