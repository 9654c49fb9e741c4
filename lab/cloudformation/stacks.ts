import { randomUUID } from 'node:crypto';
import type {
  CancelUpdateStackCommandInput,
  CancelUpdateStackCommandOutput,
  ContinueUpdateRollbackCommandInput,
  ContinueUpdateRollbackCommandOutput,
  CreateStackCommandInput,
  CreateStackCommandOutput,
  DeleteStackCommandInput,
  DeleteStackCommandOutput,
  DescribeStackEventsCommandInput,
  DescribeStackEventsCommandOutput,
  DescribeStacksCommandInput,
  DescribeStacksCommandOutput,
  GetTemplateCommandInput,
  GetTemplateCommandOutput,
  Stack,
} from '@aws-sdk/client-cloudformation';
import { type Deployed, deploy, remove } from '../iam/deploy.ts';
import { AwsError, type Call, type Operation, type Operations } from '../operation.ts';
import type { Place } from '../place.ts';
import { changeSetOperations } from './change-sets.ts';
import { hasFleet, removePhysical } from './fleet.ts';
import { inputsFor } from './inputs.ts';
import { enter, existing, invalid, type LabStack, note, stackNamed, stacks } from './state.ts';
import { createFleet, rollBack } from './update.ts';

/** Stacks of the IAM resources that iam/deploy.ts knows, and of launch templates, launch configurations and groups. No nested stacks. */

// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
const MOST_BYTES = 51_200;

/** https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html */
const createStack: Operation<CreateStackCommandInput, CreateStackCommandOutput> = (input, call) => {
  const { place } = call;
  const { StackName: name = '', TemplateBody: template = '', Parameters = [] } = input;
  if (!/^[a-zA-Z][-a-zA-Z0-9]{0,127}$/.test(name))
    throw invalid(`Value '${name}' at 'stackName' failed to satisfy constraint: [a-zA-Z][-a-zA-Z0-9]*`);
  if (Buffer.byteLength(template) > MOST_BYTES)
    throw invalid(`Value at 'templateBody' failed to satisfy constraint: Member must have length less than or equal to ${MOST_BYTES}`);
  if (stacks(place).has(name)) throw new AwsError('AlreadyExistsException', `Stack [${name}] already exists`);
  // Every role of the shipped templates has a name.
  if (/^\s+Type: AWS::IAM::/m.test(template) && !input.Capabilities?.includes('CAPABILITY_NAMED_IAM'))
    throw new AwsError('InsufficientCapabilitiesException', 'Requires capabilities : [CAPABILITY_NAMED_IAM]');
  const parameters = Object.fromEntries(Parameters.map(({ ParameterKey = '', ParameterValue = '' }) => [ParameterKey, ParameterValue]));
  const stack: LabStack = {
    ...{ place, id: `arn:aws:cloudformation:${place.region}:${place.account}:stack/${name}/${randomUUID()}`, name, template },
    ...{ createdAt: place.core.clock.date(), tags: input.Tags ?? [], capabilities: input.Capabilities ?? [] },
    ...deployed(place, template, name, parameters),
    inputs: { parameters, resolved: {}, values: {} },
    ...{ resources: new Map(), changeSets: new Map(), events: [], updatedAt: undefined, token: input.ClientRequestToken },
    ...{ cancelled: false, policyDenies: new Set<string>(), rollbackFails: new Set<string>() },
    ...{ status: 'CREATE_IN_PROGRESS', statusReason: undefined },
  };
  stacks(place).set(name, stack);
  note(stack, name, 'CREATE_IN_PROGRESS', 'User Initiated');
  void created(stack, call);
  return { StackId: stack.id };
};

async function created(stack: LabStack, call: Call): Promise<void> {
  const { clock, timings } = stack.place.core;
  await clock.sleep(timings.stack);
  if (stack.status !== 'CREATE_IN_PROGRESS') return;
  if (hasFleet(stack.template)) {
    stack.inputs = inputsFor(stack.place, stack.template, stack.inputs.parameters);
    await createFleet(stack, stack.inputs.values, call);
  }
  enter(stack, 'CREATE_COMPLETE');
}

function deployed(
  { core, account, region }: Place,
  template: string,
  stack: string,
  parameters: Readonly<Record<string, string>>,
): Deployed {
  try {
    return deploy(core, template, { account, region, stack, parameters });
  } catch (cause) {
    throw invalid((cause as Error).message.replace(/^ValidationError: /, ''));
  }
}

/** https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStacks.html */
const describeStacks: Operation<DescribeStacksCommandInput, DescribeStacksCommandOutput> = ({ StackName }, { place }) => ({
  Stacks: (StackName === undefined ? [...stacks(place).values()] : [existing(place, StackName)]).map(described),
});

const described = (stack: LabStack): Stack => ({
  ...{ StackId: stack.id, StackName: stack.name, CreationTime: stack.createdAt, LastUpdatedTime: stack.updatedAt },
  ...{ StackStatus: stack.status, StackStatusReason: stack.statusReason, Tags: [...stack.tags] },
  Parameters: Object.entries(stack.inputs.parameters).map(([ParameterKey, ParameterValue]) => ({
    ...{ ParameterKey, ParameterValue, ResolvedValue: stack.inputs.resolved[ParameterKey] },
  })),
  Capabilities: [...stack.capabilities] as Stack['Capabilities'],
  Outputs: Object.entries(stack.outputs).map(([OutputKey, OutputValue]) => ({ OutputKey, OutputValue })),
});

const EVENTS_A_PAGE = 100;

/** Newest first. https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStackEvents.html */
const describeStackEvents: Operation<DescribeStackEventsCommandInput, DescribeStackEventsCommandOutput> = (input, { place }) => {
  const { events } = existing(place, input.StackName);
  const from = Number(input.NextToken ?? 0);
  const next = from + EVENTS_A_PAGE;
  return { StackEvents: events.slice(from, next), NextToken: next < events.length ? String(next) : undefined };
};

/** https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_GetTemplate.html */
const getTemplate: Operation<GetTemplateCommandInput, GetTemplateCommandOutput> = ({ StackName }, { place }) => ({
  TemplateBody: existing(place, StackName).template,
});

/** https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CancelUpdateStack.html */
const cancelUpdateStack: Operation<CancelUpdateStackCommandInput, CancelUpdateStackCommandOutput> = ({ StackName }, { place }) => {
  const stack = existing(place, StackName);
  if (stack.status !== 'UPDATE_IN_PROGRESS') throw invalid(`CancelUpdateStack cannot be called from current stack status ${stack.status}`);
  stack.cancelled = true;
  return {};
};

/** https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ContinueUpdateRollback.html */
const continueUpdateRollback: Operation<ContinueUpdateRollbackCommandInput, ContinueUpdateRollbackCommandOutput> = (
  { StackName },
  call,
) => {
  const stack = existing(call.place, StackName);
  if (stack.status !== 'UPDATE_ROLLBACK_FAILED') throw invalid(`Stack:${stack.id} is in ${stack.status} state and can not be rolled back.`);
  enter(stack, 'UPDATE_ROLLBACK_IN_PROGRESS');
  void rollBack(stack, [], call, new Error());
  return {};
};

/** A stack that does not exist is deleted already. https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DeleteStack.html */
const deleteStack: Operation<DeleteStackCommandInput, DeleteStackCommandOutput> = ({ StackName = '' }, call) => {
  const stack = stackNamed(call.place, StackName);
  if (stack === undefined || stack.status === 'DELETE_IN_PROGRESS') return {};
  stack.status = 'DELETE_IN_PROGRESS';
  void deleted(stack, call);
  return {};
};

async function deleted(stack: LabStack, call: Call): Promise<void> {
  const { core } = stack.place;
  await core.clock.sleep(core.timings.stack);
  for (const { type, physicalId } of [...stack.resources.values()].reverse()) await removePhysical(stack, type, physicalId, call);
  remove(core, stack.template, stack);
  stacks(stack.place).delete(stack.name);
}

export const stackOperations: Operations = {
  ...changeSetOperations,
  CancelUpdateStack: cancelUpdateStack,
  ContinueUpdateRollback: continueUpdateRollback,
  CreateStack: createStack,
  DeleteStack: deleteStack,
  DescribeStackEvents: describeStackEvents,
  DescribeStacks: describeStacks,
  GetTemplate: getTemplate,
};
