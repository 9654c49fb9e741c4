import type {
  CommandFilter,
  GetCommandInvocationCommandInput,
  GetCommandInvocationCommandOutput,
  ListCommandInvocationsCommandInput,
  ListCommandInvocationsCommandOutput,
  ListCommandsCommandInput,
  ListCommandsCommandOutput,
} from '@aws-sdk/client-ssm';
import { AwsError, type Operation } from '../operation.ts';
import type { Place } from '../place.ts';
import { describeCommand, detailInvocation, listInvocation } from './command-shapes.ts';
import { commands, type LabCommand } from './command-state.ts';
import { ordinal, page } from './pages.ts';
import { check, given, length, within } from './validation.ts';

/** "The Run Command API follows an eventual consistency model": at first the invocation does not exist. */
const isKnown = ({ place, requestedAt }: LabCommand): boolean =>
  place.core.clock.now() >= requestedAt.getTime() + place.core.timings.delivery * 1000;

/** https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetCommandInvocation.html */
export const getCommandInvocation: Operation<GetCommandInvocationCommandInput, GetCommandInvocationCommandOutput> = (input, { place }) => {
  check(given('commandId', input.CommandId), length('commandId', input.CommandId, 36, 36), given('instanceId', input.InstanceId));
  const command = commands(place).get(input.CommandId ?? '');
  const invocation = command?.invocations.find(({ instanceId }) => instanceId === input.InstanceId);
  if (command === undefined || invocation === undefined || !isKnown(command)) throw new AwsError('InvocationDoesNotExist', '');
  if (input.PluginName !== undefined && input.PluginName !== command.document.plugin) throw new AwsError('InvalidPluginName', '');
  return detailInvocation(command, invocation);
};

/** Newest first. https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_ListCommands.html */
export const listCommands: Operation<ListCommandsCommandInput, ListCommandsCommandOutput> = (input, { place }) => {
  const described = chosen(place, input).map(command => ({ key: newestFirst(command), shown: describeCommand(command) }));
  const wanted = described.filter(({ shown }) => hasStatus(input.Filters, shown.Status, shown.StatusDetails));
  const { items, NextToken } = page(wanted, ({ key }) => key, input, 50);
  return { Commands: items.map(({ shown }) => shown), NextToken };
};

/** Returns an empty list for an unknown command, not an error. https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_ListCommandInvocations.html */
export const listCommandInvocations: Operation<ListCommandInvocationsCommandInput, ListCommandInvocationsCommandOutput> = (
  input,
  { place },
) => {
  const all = chosen(place, input)
    .filter(isKnown)
    .flatMap(command =>
      command.invocations.map(invocation => ({ command, invocation, key: `${newestFirst(command)} ${invocation.instanceId}` })),
    );
  const wanted = all
    .filter(({ invocation }) => input.InstanceId === undefined || invocation.instanceId === input.InstanceId)
    .filter(({ invocation }) => hasStatus(input.Filters, invocation.status, invocation.details))
    .sort((a, b) => (a.key < b.key ? -1 : 1));
  const { items, NextToken } = page(wanted, ({ key }) => key, input, 50);
  return {
    CommandInvocations: items.map(({ command, invocation }) => listInvocation(command, invocation, input.Details === true)),
    NextToken,
  };
};

const newestFirst = ({ number }: LabCommand): string => ordinal(999_999_999 - number);

function chosen(place: Place, input: ListCommandsCommandInput): readonly LabCommand[] {
  check(
    length('commandId', input.CommandId, 36, 36),
    within('maxResults', input.MaxResults, 1, 50),
    length('filters', input.Filters, 1, 5),
  );
  const { CommandId, InstanceId } = input;
  if (CommandId !== undefined && !commands(place).has(CommandId)) {
    throw new AwsError('InvalidCommandId', 'The specified command ID is not valid. Verify the ID and try again.');
  }
  return [...commands(place).values()]
    .filter(({ id }) => CommandId === undefined || id === CommandId)
    .filter(({ invocations }) => InstanceId === undefined || invocations.some(({ instanceId }) => instanceId === InstanceId))
    .filter(command => (input.Filters ?? []).every(filter => fits(command, filter)))
    .sort((a, b) => b.number - a.number);
}

// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_CommandFilter.html
function fits({ requestedAt, document }: LabCommand, { key, value = '' }: CommandFilter): boolean {
  switch (key) {
    case 'InvokedAfter':
      return requestedAt >= new Date(value);
    case 'InvokedBefore':
      return requestedAt < new Date(value);
    case 'DocumentName':
      return document.name === value;
    case 'Status':
      return true;
    default:
      throw new AwsError('InvalidFilterKey', `The specified key is not valid: ${key}`);
  }
}

const hasStatus = (filters: readonly CommandFilter[] | undefined, ...is: readonly (string | undefined)[]): boolean =>
  (filters ?? []).every(({ key, value }) => key !== 'Status' || is.includes(value));
