import { randomBytes } from 'node:crypto';
import { ActionError } from '../kit/errors.ts';
import { type Poll, waitFor } from '../kit/wait.ts';
import type { Deps, RegionClients } from '../ports/deps.ts';
import type { Check, Delivered } from '../validation/rules/checks.ts';
import { type ChecksEvaluation, evaluateChecks } from '../validation/rules/checks-report.ts';
import { checksScript } from '../validation/rules/checks-script.ts';

/** The checks of validate, on an instance of a group. */
export interface InstanceChecks {
  readonly checks: readonly Check[];
  readonly deliveries: readonly (readonly Delivered[])[];
  readonly seconds: number;
}

// For the agent to take the command and to tell its end.
const COMMAND_SECONDS = 150;

/** Why the instance does not do what it must; undefined when it does. What we did not see pass has not passed. */
export async function failsChecks(
  instanceId: string,
  { checks, deliveries, seconds }: InstanceChecks,
  deps: Pick<Deps<never>, 'clock' | 'report'>,
  { commands }: Pick<RegionClients, 'commands'>,
): Promise<string | undefined> {
  const nonce = randomBytes(16).toString('hex');
  const script = checksScript({ checks, deliveries, nonce, withinSeconds: seconds }).split('\n');
  const order = { instanceId, script, timeoutSeconds: seconds + 30, comment: `ami-action: ${checks.length} checks`, shell: 'sh' as const };
  let command: string | undefined;
  const poll = async (): Promise<Poll<ChecksEvaluation>> => {
    if (command !== undefined) return evaluateChecks(await commands.result(command, instanceId), checks, nonce);
    command = await commands.send(order);
    return { state: 'waiting', note: command === undefined ? 'the agent takes no command yet' : 'sent' };
  };
  try {
    const evaluation = await waitFor(
      { what: `Checks on ${instanceId}`, everySeconds: 3, atMostSeconds: seconds + COMMAND_SECONDS, poll },
      deps,
    );
    const failed = evaluation.checks.filter(({ ending }) => ending === 'failed').map(({ name, reason }) => `${name} ${reason}`);
    return evaluation.result === 'passed' ? undefined : [evaluation.reason, ...failed].join('; ');
  } catch (failure) {
    if (failure instanceof ActionError && (failure.outcome === 'rejected' || failure.outcome === 'timeout')) return failure.message;
    throw failure;
  }
}
