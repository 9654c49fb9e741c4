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
  GetTemplateSummaryCommandInput,
  GetTemplateSummaryCommandOutput,
  Stack,
} from '@aws-sdk/client-cloudformation';
import { remove } from '../iam/deploy.ts';
import { parseTemplate } from '../iam/template.ts';
import type { Call, Operation, Operations } from '../operation.ts';
import { changeSetOperations } from './change-sets.ts';
import { beginStack, newStack } from './create.ts';
import { removePhysical } from './fleet.ts';
import { enter, existing, invalid, type LabStack, stackNamed, stacks } from './state.ts';
import { rollBack } from './update.ts';

/** Stacks of the IAM resources that iam/deploy.ts knows, and of launch templates, launch configurations and groups. No nested stacks. */

/** https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html */
const createStack: Operation<CreateStackCommandInput, CreateStackCommandOutput> = (input, call) => {
  const stack = newStack(call.place, input);
  stack.token = input.ClientRequestToken;
  beginStack(stack, call);
  return { StackId: stack.id };
};

/** https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStacks.html */
const describeStacks: Operation<DescribeStacksCommandInput, DescribeStacksCommandOutput> = ({ StackName }, { place }) => ({
  Stacks: (StackName === undefined ? [...stacks(place).values()] : [existing(place, StackName)]).map(described),
});

const described = (stack: LabStack): Stack => ({
  ...{ StackId: stack.id, StackName: stack.name, CreationTime: stack.createdAt, LastUpdatedTime: stack.updatedAt },
  ...{ StackStatus: stack.status, StackStatusReason: stack.statusReason, Tags: [...stack.tags], RoleARN: stack.roleArn },
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

/** Of a stack. https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_GetTemplateSummary.html */
const getTemplateSummary: Operation<GetTemplateSummaryCommandInput, GetTemplateSummaryCommandOutput> = ({ StackName }, { place }) => ({
  Parameters: Object.entries(parseTemplate(existing(place, StackName).template).Parameters ?? {}).map(
    ([ParameterKey, { Type, Default }]) => ({
      ...{ ParameterKey, ParameterType: String(Type) },
      ...(Default === undefined ? {} : { DefaultValue: String(Default) }),
    }),
  ),
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
  GetTemplateSummary: getTemplateSummary,
};
