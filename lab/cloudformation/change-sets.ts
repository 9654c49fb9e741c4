import { randomUUID } from 'node:crypto';
import type {
  Change,
  CreateChangeSetCommandInput,
  CreateChangeSetCommandOutput,
  DeleteChangeSetCommandInput,
  DeleteChangeSetCommandOutput,
  DescribeChangeSetCommandInput,
  DescribeChangeSetCommandOutput,
  ExecuteChangeSetCommandInput,
  ExecuteChangeSetCommandOutput,
} from '@aws-sdk/client-cloudformation';
import { iamResources } from '../iam/deploy.ts';
import { parseTemplate } from '../iam/template.ts';
import { AwsError, type Operation, type Operations } from '../operation.ts';
import type { Place } from '../place.ts';
import { beginStack, newStack, redeploy, throwIfTooLong, throwUnlessAcknowledged } from './create.ts';
import { fleetIds, hasFleet, wanted } from './fleet.ts';
import { givenIn, inputsFor } from './inputs.ts';
import { enter, existing, type Inputs, invalid, type LabChangeSet, type LabStack, stackNamed, stacks } from './state.ts';
import { updateStack } from './update.ts';

/** States in which a stack can be updated. https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html */
const STABLE = ['CREATE_COMPLETE', 'UPDATE_COMPLETE', 'UPDATE_ROLLBACK_COMPLETE', 'IMPORT_COMPLETE', 'IMPORT_ROLLBACK_COMPLETE'];

function throwUnlessStable({ id, status }: LabStack): void {
  if (!STABLE.includes(status)) throw invalid(`Stack:${id} is in ${status} state and can not be updated.`);
}

/** https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateChangeSet.html */
const createChangeSet: Operation<CreateChangeSetCommandInput, CreateChangeSetCommandOutput> = (input, { place }) => {
  const isNew = input.ChangeSetType === 'CREATE';
  const name = input.ChangeSetName ?? '';
  if (!/^[a-zA-Z][-a-zA-Z0-9]{0,127}$/.test(name))
    throw invalid(`Value '${name}' at 'changeSetName' failed to satisfy constraint: [a-zA-Z][-a-zA-Z0-9]*`);
  const stack = isNew ? underReview(input, place) : existing(place, input.StackName);
  if (!isNew) throwUnlessStable(stack);
  const known = stack.changeSets.get(name);
  if (known !== undefined && known.token !== undefined && known.token === input.ClientToken) return { Id: known.id, StackId: stack.id };
  if (known !== undefined)
    throw new AwsError('AlreadyExistsException', `ChangeSet ${name} cannot be created due to a mismatch with existing attribute Template`);
  const template = templateFor(stack, input);
  throwUnlessAcknowledged(template, input);
  const inputs = inputsFor(place, template, givenIn(input.Parameters ?? [], stack.inputs.parameters));
  const set: LabChangeSet = {
    ...{ id: `arn:aws:cloudformation:${place.region}:${place.account}:changeSet/${name}/${randomUUID()}`, name, token: input.ClientToken },
    ...{
      createdAt: place.core.clock.date(),
      readyAt: place.core.clock.now() + place.core.timings.changeSet * 1000,
      capabilities: input.Capabilities ?? [],
    },
    ...{
      template,
      inputs,
      changes: [...ofIam(stack, template, inputs), ...(isNew ? added(template) : changesOf({ ...stack, template }, inputs))],
    },
  };
  stacks(place).set(stack.name, stack);
  stack.changeSets.set(name, set);
  return { Id: set.id, StackId: stack.id };
};

/** A change set that creates makes a stack without resources, and more change sets of it may follow. */
function underReview(input: CreateChangeSetCommandInput, place: Place): LabStack {
  const known = stackNamed(place, input.StackName);
  if (known === undefined) return newStack(place, input);
  if (known.status === 'REVIEW_IN_PROGRESS') return known;
  throw invalid(`Stack [${known.name}] already exists and cannot be created again with the changeSet [${input.ChangeSetName}].`);
}

function templateFor(stack: LabStack, { UsePreviousTemplate, TemplateBody }: CreateChangeSetCommandInput): string {
  if (UsePreviousTemplate) return stack.template;
  if (TemplateBody === undefined) throw invalid('Either Template URL or Template Body must be specified.');
  throwIfTooLong(TemplateBody);
  return TemplateBody;
}

const ofResource = (Action: 'Add' | 'Modify' | 'Remove', LogicalResourceId: string, ResourceType: string): Change => ({
  Type: 'Resource',
  ResourceChange: { Action, LogicalResourceId, ResourceType, ...(Action === 'Modify' ? { Replacement: 'False' } : {}) },
});

const added = (template: string): readonly Change[] => {
  const { Resources } = parseTemplate(template);
  return fleetIds(template).map(id => ofResource('Add', id, String(Resources[id]?.['Type'])));
};

function ofIam(stack: LabStack, template: string, { parameters }: Inputs): readonly Change[] {
  const { account, region } = stack.place;
  const resources = (text: string, values: Inputs['parameters']) =>
    iamResources(text, { account, region, stack: stack.name, parameters: values });
  const before = stack.status === 'REVIEW_IN_PROGRESS' ? [] : resources(stack.template, stack.inputs.parameters);
  const after = resources(template, parameters);
  const changed = after.flatMap(({ id, type, ...next }) => {
    const old = before.find(one => one.id === id);
    if (old === undefined) return [ofResource('Add', id, type)];
    return JSON.stringify(old) === JSON.stringify({ id, type, ...next }) ? [] : [ofResource('Modify', id, type)];
  });
  const gone = before.filter(({ id }) => !after.some(one => one.id === id));
  return [...changed, ...gone.map(({ id, type }) => ofResource('Remove', id, type))];
}

/** A group that reads the version of a changed template changes with it; to which version is not known yet. */
function changesOf(stack: LabStack, { values }: Inputs): readonly Change[] {
  const unknown = new Set<string>();
  return fleetIds(stack.template).flatMap(id => {
    const resource = stack.resources.get(id);
    const next = wanted(stack, id, { values, unknown });
    if (resource === undefined || JSON.stringify(resource.fields) === JSON.stringify(next.fields)) return [];
    const isReplaced = resource.type === 'AWS::AutoScaling::LaunchConfiguration';
    const isStatic = unknown.size === 0;
    unknown.add(id);
    const Evaluation = isStatic ? 'Static' : 'Dynamic';
    return [
      {
        Type: 'Resource',
        ResourceChange: {
          ...{ Action: 'Modify', LogicalResourceId: id, PhysicalResourceId: resource.physicalId, ResourceType: resource.type },
          ...{ Replacement: isReplaced ? 'True' : 'False', Scope: ['Properties'] },
          Details: [{ Target: { Attribute: 'Properties', RequiresRecreation: isReplaced ? 'Always' : 'Never' }, Evaluation }],
        },
      },
    ];
  });
}

function changeSetOf(place: Place, { StackName, ChangeSetName }: DescribeChangeSetCommandInput): { stack: LabStack; set: LabChangeSet } {
  const stack = existing(place, StackName);
  const set = [...stack.changeSets.values()].find(({ name, id }) => name === ChangeSetName || id === ChangeSetName);
  if (set === undefined) throw new AwsError('ChangeSetNotFound', `ChangeSet [${ChangeSetName}] does not exist`, 404);
  return { stack, set };
}

const isReady = ({ place }: LabStack, { readyAt }: LabChangeSet): boolean => place.core.clock.now() >= readyAt;

/** https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeChangeSet.html */
const describeChangeSet: Operation<DescribeChangeSetCommandInput, DescribeChangeSetCommandOutput> = (input, { place }) => {
  const { stack, set } = changeSetOf(place, input);
  const common = {
    ...{ ChangeSetId: set.id, ChangeSetName: set.name, StackId: stack.id, StackName: stack.name, CreationTime: set.createdAt },
    Parameters: Object.entries(set.inputs.parameters).map(([ParameterKey, ParameterValue]) => ({
      ...{ ParameterKey, ParameterValue, ResolvedValue: set.inputs.resolved[ParameterKey] },
    })),
  };
  if (!isReady(stack, set)) return { ...common, Status: 'CREATE_IN_PROGRESS', ExecutionStatus: 'UNAVAILABLE' };
  if (set.changes.length > 0) return { ...common, Status: 'CREATE_COMPLETE', ExecutionStatus: 'AVAILABLE', Changes: [...set.changes] };
  const StatusReason = "The submitted information didn't contain changes. Submit different information to create a change set.";
  return { ...common, Status: 'FAILED', ExecutionStatus: 'UNAVAILABLE', StatusReason, Changes: [] };
};

/** Deletes all change sets of the stack, and creates or updates it. https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ExecuteChangeSet.html */
const executeChangeSet: Operation<ExecuteChangeSetCommandInput, ExecuteChangeSetCommandOutput> = (input, call) => {
  const asked = stackOfToken(call.place, input);
  if (asked !== undefined) return {};
  const { stack, set } = changeSetOf(call.place, input);
  if (!isReady(stack, set) || set.changes.length === 0)
    throw new AwsError(
      'InvalidChangeSetStatus',
      `ChangeSet [${set.id}] cannot be executed in its current execution status of [UNAVAILABLE]`,
    );
  if (stack.status !== 'REVIEW_IN_PROGRESS') {
    throwUnlessStable(stack);
    if (hasFleet(stack.template) && set.template !== stack.template)
      throw invalid('This lab updates stacks with groups with their previous template only.');
  }
  Object.assign(stack, { token: input.ClientRequestToken, cancelled: false, capabilities: set.capabilities });
  stack.changeSets.clear();
  if (stack.status === 'REVIEW_IN_PROGRESS') {
    Object.assign(stack, { template: set.template, inputs: set.inputs });
    beginStack(stack, call);
    return {};
  }
  redeploy(stack, set.template, set.inputs.parameters);
  enter(stack, 'UPDATE_IN_PROGRESS', 'User Initiated');
  void updateStack(stack, set.inputs, call);
  return {};
};

/** A request that is sent again with the token of the operation in progress is the same request. */
const stackOfToken = (place: Place, { StackName, ClientRequestToken: token }: ExecuteChangeSetCommandInput): LabStack | undefined => {
  const stack = existing(place, StackName);
  return token !== undefined && stack.token === token ? stack : undefined;
};

/** https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DeleteChangeSet.html */
const deleteChangeSet: Operation<DeleteChangeSetCommandInput, DeleteChangeSetCommandOutput> = ({ StackName, ChangeSetName }, { place }) => {
  const stack = existing(place, StackName);
  stack.changeSets.delete(ChangeSetName ?? '');
  return {};
};

export const changeSetOperations: Operations = {
  CreateChangeSet: createChangeSet,
  DeleteChangeSet: deleteChangeSet,
  DescribeChangeSet: describeChangeSet,
  ExecuteChangeSet: executeChangeSet,
};
