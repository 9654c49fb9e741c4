import { randomUUID } from 'node:crypto';
import type {
  CancelCommandCommandInput,
  CancelCommandCommandOutput,
  SendCommandCommandInput,
  SendCommandCommandOutput,
} from '@aws-sdk/client-ssm';
import { AwsError, type Operation } from '../operation.ts';
import type { Place } from '../place.ts';
import { managedNodes, nodeFor, observe } from './agents.ts';
import { carryOut } from './command-execution.ts';
import { describeCommand, maxErrorsOf } from './command-shapes.ts';
import { commands, finish, hasEnded, type LabCommand, newInvocation } from './command-state.ts';
import { errorCount, share } from './command-status.ts';
import { documentNamed, readParameters } from './documents.ts';
import { hasTag } from './node-filters.ts';
import { check, given, invalid, length, like, within } from './validation.ts';

/** https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_SendCommand.html */
export const sendCommand: Operation<SendCommandCommandInput, SendCommandCommandOutput> = async (input, { place }) => {
  refuseForm(input);
  const document = documentNamed(input.DocumentName ?? '');
  const { executionSeconds } = readParameters(document, input.Parameters ?? {});
  const ids = await targets(place, input);
  const requestedAt = place.core.clock.date();
  const deliverySeconds = input.TimeoutSeconds ?? 3600;
  const later = (seconds: number) => new Date(requestedAt.getTime() + seconds * 1000);
  const command: LabCommand = {
    ...{ id: randomUUID(), number: commands(place).size + 1, place, document, input, executionSeconds, requestedAt },
    startBefore: later(deliverySeconds),
    expiresAt: later(deliverySeconds + executionSeconds),
    invocations: ids.map(newInvocation),
  };
  commands(place).set(command.id, command);
  void runEverywhere(command);
  return { Command: describeCommand(command) };
};

const refuseForm = (input: SendCommandCommandInput): void =>
  check(
    given('documentName', input.DocumentName),
    length('instanceIds', input.InstanceIds, 0, 50),
    length('targets', input.Targets, 0, 5),
    length('comment', input.Comment, 0, 100),
    within('timeoutSeconds', input.TimeoutSeconds, 30, 2_592_000),
    like('maxConcurrency', input.MaxConcurrency, /^([1-9][0-9]*|[1-9][0-9]%|[1-9]%|100%)$/),
    like('maxErrors', input.MaxErrors, /^([1-9][0-9]*|[0]|[1-9][0-9]%|[0-9]%|100%)$/),
  );

/** All named nodes must be ready. Of tagged nodes, the ready ones are used. */
async function targets(place: Place, { InstanceIds = [], Targets = [] }: SendCommandCommandInput): Promise<readonly string[]> {
  if (InstanceIds.length === 0 && Targets.length === 0) throw invalid('You must specify either instance IDs or targets.');
  if (InstanceIds.length > 0 && Targets.length > 0) throw invalid("You can't specify both instance IDs and targets.");
  const named = Targets.length === 0 ? InstanceIds : Targets.find(({ Key }) => Key === 'InstanceIds')?.Values;
  if (named === undefined) {
    await observe(place);
    const nodes = managedNodes(place).filter(({ instance }) => instance.state === 'running');
    return nodes.filter(({ instance }) => Targets.every(target => hasTag(place, instance.id, target))).map(({ instance }) => instance.id);
  }
  if (new Set(named).size < named.length) throw new AwsError('DuplicateInstanceId', 'An instance ID is named twice.');
  await observe(place, named);
  const unfit = named.filter(id => nodeFor(place, id) === undefined);
  if (unfit.length > 0) throw notValid(place, unfit);
  return named;
}

// One message for all causes: not registered, not running, not existing, not allowed.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_SendCommand.html#API_SendCommand_Errors
const notValid = (place: Place, ids: readonly string[]): AwsError =>
  new AwsError('InvalidInstanceId', `Instances [[${ids.join(', ')}]] not in a valid state for account ${place.account}`);

/** Runs on at most `MaxConcurrency` nodes at a time and stops after more than `MaxErrors` failures. */
async function runEverywhere(command: LabCommand): Promise<void> {
  const { invocations, input, place } = command;
  const waiting = [...invocations];
  const atOnce = Math.max(1, share(input.MaxConcurrency ?? '50', invocations.length));
  const worker = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      if (errorCount(invocations) <= maxErrorsOf(command)) await carryOut(command, next);
      else finish(next, { status: 'Cancelled', details: 'Terminated' }, place.core.clock.date());
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, invocations.length) }, worker));
}

/** Pending invocations are not started, running ones are killed. https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_CancelCommand.html */
export const cancelCommand: Operation<CancelCommandCommandInput, CancelCommandCommandOutput> = ({ CommandId, InstanceIds }, { place }) => {
  check(given('commandId', CommandId), length('commandId', CommandId, 36, 36), length('instanceIds', InstanceIds, 0, 50));
  const command = commands(place).get(CommandId ?? '');
  if (command === undefined) throw new AwsError('InvalidCommandId', 'The specified command ID is not valid.');
  const isMeant = (id: string) => (InstanceIds ?? []).length === 0 || InstanceIds?.includes(id);
  for (const invocation of command.invocations.filter(({ instanceId }) => isMeant(instanceId))) {
    if (hasEnded(invocation)) continue;
    if (invocation.startedAt === undefined) finish(invocation, { status: 'Cancelled', details: 'Cancelled' }, place.core.clock.date());
    else Object.assign(invocation, { status: 'Cancelling', details: 'Cancelling' });
    invocation.cancel.abort();
  }
  return {};
};
