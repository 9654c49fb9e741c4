import type { Change, CloudFormationClient, Stack as Described, StackEvent as Event, Parameter } from '@aws-sdk/client-cloudformation';
import { RejectedError } from '../../kit/errors.ts';
import type { ChangeSet, ResourceChange, Stack, StackEvent, StackOperation, StackParameter } from '../../model/stack.ts';
import type { Stacks } from '../../ports/stacks.ts';
import { asExpected, codeOf, undefinedOn } from './errors.ts';
import { allPages, listed } from './pages.ts';

/** The client is loaded late: only rollouts of stacks use it. */
export const cloudFormationStacks = (open: () => Promise<CloudFormationClient>): Stacks => {
  const loaded = () => Promise.all([import('@aws-sdk/client-cloudformation'), open()]);
  return {
    async find(name) {
      const [{ DescribeStacksCommand }, client] = await loaded();
      const found = await client
        .send(new DescribeStacksCommand({ StackName: name }))
        .catch(notFound)
        .catch(asExpected('describe the stack (cloudformation:DescribeStacks)'));
      return listed(found === undefined ? [] : found.Stacks).map(toStack)[0];
    },

    async template(id) {
      const [{ GetTemplateCommand }, client] = await loaded();
      const { TemplateBody = '' } = await client
        .send(new GetTemplateCommand({ StackName: id, TemplateStage: 'Processed' }))
        .catch(asExpected('read the template of the stack (cloudformation:GetTemplate)'));
      return TemplateBody;
    },

    operation: id => newestOperation(loaded, id),
    ...changeSets(loaded),

    async cancel(id) {
      const [{ CancelUpdateStackCommand }, client] = await loaded();
      try {
        await client.send(new CancelUpdateStackCommand({ StackName: id }));
        return 'requested';
      } catch (cause) {
        if (codeOf(cause) === 'ValidationError' && /cannot be called from current stack status/i.test(String(cause))) return 'over';
        return asExpected('cancel the update of the stack (cloudformation:CancelUpdateStack)')(cause);
      }
    },
  };
};

type Loaded = () => Promise<[typeof import('@aws-sdk/client-cloudformation'), CloudFormationClient]>;

/** AWS has no code of its own for a stack that does not exist. */
const notFound = (cause: unknown): undefined => {
  if (codeOf(cause) !== 'ValidationError' || !/does not exist/.test(String(cause))) throw cause;
};

const toStack = ({ StackId = '', StackName = '', ...stack }: Described): Stack => ({
  ...{ id: StackId, name: StackName, status: stack.StackStatus ?? '', statusReason: stack.StackStatusReason ?? '' },
  ...{ parameters: (stack.Parameters ?? []).map(toParameter), capabilities: stack.Capabilities ?? [], parent: stack.ParentId },
  role: stack.RoleARN,
});

const toParameter = ({ ParameterKey: name = '', ParameterValue: value = '', ResolvedValue: resolved }: Parameter): StackParameter =>
  resolved === undefined ? { name, value } : { name, value: resolved, key: value };

const BEGINS = ['UPDATE_IN_PROGRESS', 'CREATE_IN_PROGRESS', 'IMPORT_IN_PROGRESS', 'DELETE_IN_PROGRESS', 'REVIEW_IN_PROGRESS'];

/** Pages back to the event that began it. https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_StackEvent.html */
async function newestOperation(loaded: Loaded, id: string): Promise<StackOperation> {
  const [{ DescribeStackEventsCommand }, client] = await loaded();
  const isBegin = ({ PhysicalResourceId, StackId, ResourceStatus }: Event) =>
    PhysicalResourceId === StackId && BEGINS.includes(ResourceStatus ?? '');
  let begun = false;
  const newestFirst = await allPages(async NextToken => {
    const page = await client
      .send(new DescribeStackEventsCommand({ StackName: id, NextToken }))
      .catch(asExpected('read the events of the stack (cloudformation:DescribeStackEvents)'));
    begun = listed(page.StackEvents).some(isBegin);
    return { items: page.StackEvents, next: begun ? undefined : page.NextToken };
  });
  const end = newestFirst.findIndex(isBegin);
  return {
    token: newestFirst[end]?.ClientRequestToken ?? '',
    events: newestFirst
      .slice(0, end < 0 ? undefined : end + 1)
      .map(toEvent)
      .reverse(),
  };
}

const toEvent = (event: Event): StackEvent => ({
  ...{ id: event.EventId ?? '', resource: event.LogicalResourceId ?? '', type: event.ResourceType ?? '' },
  ...{ status: event.ResourceStatus ?? '', reason: event.ResourceStatusReason ?? '' },
  own: event.PhysicalResourceId === event.StackId,
});

const changeSets = (loaded: Loaded): Pick<Stacks, 'createChangeSet' | 'changeSet' | 'removeChangeSet' | 'execute'> => ({
  async createChangeSet({ stack, name, parameter, template }) {
    const [{ CreateChangeSetCommand }, client] = await loaded();
    // Tags, service role, notifications and rollback triggers that are not given stay as they are.
    // https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateChangeSet.html
    const command = new CreateChangeSetCommand({
      ...{ StackName: stack.id, ChangeSetName: name, ChangeSetType: 'UPDATE' },
      ...(template === undefined ? { UsePreviousTemplate: true } : { TemplateBody: template }),
      Capabilities: [...stack.capabilities] as Described['Capabilities'],
      Parameters: stack.parameters.map(({ name: ParameterKey }) =>
        ParameterKey === parameter.name && parameter.key === undefined
          ? { ParameterKey, ParameterValue: parameter.value }
          : { ParameterKey, UsePreviousValue: true },
      ),
    });
    const created = await client
      .send(command)
      .catch(undefinedOn('AlreadyExistsException'))
      .catch(lackingCapabilities(stack.name))
      .catch(asExpected(`create a change set of stack ${stack.name} (cloudformation:CreateChangeSet)`));
    return created === undefined ? 'exists' : 'created';
  },

  async changeSet(id, name) {
    const [{ DescribeChangeSetCommand }, client] = await loaded();
    let [status, reason] = ['', ''];
    let parameters: readonly StackParameter[] = [];
    const changes = await allPages(async NextToken => {
      const page = await client
        .send(new DescribeChangeSetCommand({ StackName: id, ChangeSetName: name, NextToken }))
        .catch(asExpected('read the change set (cloudformation:DescribeChangeSet)'));
      [status, reason] = [page.Status ?? '', page.StatusReason ?? ''];
      // Not documented for the pages after the first one.
      if (page.Parameters !== undefined && page.Parameters.length > 0) parameters = page.Parameters.map(toParameter);
      return { items: page.Changes ?? [], next: page.NextToken };
    });
    return { state: stateOf(status, reason), reason, changes: changes.map(toChange), parameters };
  },

  async removeChangeSet(id, name) {
    const [{ DeleteChangeSetCommand }, client] = await loaded();
    await client
      .send(new DeleteChangeSetCommand({ StackName: id, ChangeSetName: name }))
      .catch(asExpected('delete the change set (cloudformation:DeleteChangeSet)'));
  },

  async execute(id, name, token) {
    const [{ ExecuteChangeSetCommand }, client] = await loaded();
    await client
      .send(new ExecuteChangeSetCommand({ StackName: id, ChangeSetName: name, ClientRequestToken: token, DisableRollback: false }))
      .catch(asExpected('update the stack (cloudformation:ExecuteChangeSet)'));
  },
});

const lackingCapabilities = (name: string) => (cause: unknown) => {
  if (codeOf(cause) !== 'InsufficientCapabilitiesException') throw cause;
  throw new RejectedError(`AWS refused a change set of stack ${name}: ${(cause as Error).message}`, {
    next: 'Update the stack once with these capabilities (aws cloudformation update-stack --capabilities ...): later updates take them over.',
    cause,
  });
};

// The two sentences are all that tells an empty change set from one that failed.
const EMPTY = /didn't contain changes|No updates are to be performed/;

const stateOf = (status: string, reason: string): ChangeSet['state'] => {
  if (status === 'CREATE_COMPLETE') return 'ready';
  return status !== 'FAILED' ? 'creating' : EMPTY.test(reason) ? 'empty' : 'failed';
};

const toChange = ({ ResourceChange: change = {} }: Change): ResourceChange => ({
  ...{ resource: change.LogicalResourceId ?? '', type: change.ResourceType ?? '' },
  ...{ action: change.Action ?? '', replacement: change.Replacement ?? '' },
});
