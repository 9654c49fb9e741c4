import { randomUUID } from 'node:crypto';
import type {
  CreateStackCommandInput,
  CreateStackCommandOutput,
  DeleteStackCommandInput,
  DeleteStackCommandOutput,
  DescribeStacksCommandInput,
  DescribeStacksCommandOutput,
  Stack,
  StackStatus,
} from '@aws-sdk/client-cloudformation';
import { type Deployed, deploy, remove } from '../iam/deploy.ts';
import { AwsError, type Operation, type Operations } from '../operation.ts';
import { type Place, slice } from '../place.ts';

/** Stacks of the IAM resources that iam/deploy.ts knows. No updates, change sets, nested stacks or rollbacks. */
interface LabStack {
  readonly id: string;
  readonly name: string;
  readonly template: string;
  readonly input: CreateStackCommandInput;
  readonly createdAt: Date;
  readonly deployed: Deployed;
  status: StackStatus;
}

/** By name. */
const stacks = slice(() => new Map<string, LabStack>());

// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
const MOST_BYTES = 51_200;

const invalid = (message: string) => new AwsError('ValidationError', message);

/** https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html */
const createStack: Operation<CreateStackCommandInput, CreateStackCommandOutput> = (input, { place }) => {
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
    ...{ id: `arn:aws:cloudformation:${place.region}:${place.account}:stack/${name}/${randomUUID()}`, name, template, input },
    ...{ createdAt: place.core.clock.date(), status: 'CREATE_IN_PROGRESS' },
    deployed: deployed(place, template, name, parameters),
  };
  stacks(place).set(name, stack);
  place.core.clock.after(place.core.timings.stack, () => {
    if (stack.status === 'CREATE_IN_PROGRESS') stack.status = 'CREATE_COMPLETE';
  });
  return { StackId: stack.id };
};

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

/** A name or an ID. A deleted stack is described by its ID only, which the lab does not keep. */
const named = (place: Place, name: string) => [...stacks(place).values()].find(stack => stack.name === name || stack.id === name);

/** https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStacks.html */
const describeStacks: Operation<DescribeStacksCommandInput, DescribeStacksCommandOutput> = ({ StackName }, { place }) => {
  const found = StackName === undefined ? [...stacks(place).values()] : [named(place, StackName)].filter(stack => stack !== undefined);
  if (StackName !== undefined && found.length === 0) throw invalid(`Stack with id ${StackName} does not exist`);
  return { Stacks: found.map(described) };
};

const described = ({ id, name, input, createdAt, status, deployed: { outputs } }: LabStack): Stack => ({
  ...{ StackId: id, StackName: name, CreationTime: createdAt, StackStatus: status, Tags: input.Tags ?? [] },
  ...{ Parameters: input.Parameters ?? [], Capabilities: input.Capabilities ?? [] },
  Outputs: Object.entries(outputs).map(([OutputKey, OutputValue]) => ({ OutputKey, OutputValue })),
});

/** A stack that does not exist is deleted already. https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DeleteStack.html */
const deleteStack: Operation<DeleteStackCommandInput, DeleteStackCommandOutput> = ({ StackName = '' }, { place }) => {
  const stack = named(place, StackName);
  if (stack === undefined || stack.status === 'DELETE_IN_PROGRESS') return {};
  stack.status = 'DELETE_IN_PROGRESS';
  place.core.clock.after(place.core.timings.stack, () => {
    remove(place.core, stack.template, stack.deployed);
    stacks(place).delete(stack.name);
  });
  return {};
};

export const stackOperations: Operations = { CreateStack: createStack, DeleteStack: deleteStack, DescribeStacks: describeStacks };
