import type { Group } from '../../model/group.ts';
import type { RolloutOperation } from '../../model/pointer.ts';
import type { ResourceChange, Stack, StackOperation } from '../../model/stack.ts';
import type { Launched } from './admission.ts';
import type { LaunchedBy } from './facts.ts';
import type { RolloutOptions } from './settings.ts';
import { referenceIn, type StackTemplate, type UpdatePolicy } from './update-policy.ts';

/** What is done to a stack whose groups run the image. */

export interface StackFacts {
  readonly stack: Stack;
  readonly template: StackTemplate;
  /** Its Auto Scaling groups. */
  readonly groups: readonly Group[];
  /** The newest operation, where it is in progress. */
  readonly operation: StackOperation | undefined;
}

/** update: a change set. watch: our update to this image is in progress. nothing: the parameter has this image. */
export interface StackDecision {
  readonly action: 'update' | 'watch' | 'nothing';
  readonly reason: string;
  /** What must end first. */
  readonly clear: 'wait' | 'cancel' | undefined;
  readonly refusals: readonly string[];
  readonly warnings: readonly string[];
}

export interface StackPlan extends StackDecision {
  readonly facts: StackFacts;
  readonly parameter: string;
  /** The pointer, where the parameter reads it: then it moves before the update. */
  readonly key: string | undefined;
  /** The value of the parameter now. */
  readonly before: string;
  readonly changes: readonly ResourceChange[];
  /** The image that the stack has now. */
  readonly launched: Launched;
}

interface Readers {
  readonly stack: Pick<StackPlan, 'key'> | undefined;
  readonly groups: readonly { readonly by: LaunchedBy }[];
}

/** The pointer moves before what reads it is replaced. */
export const isRead = ({ groups, stack }: Readers): boolean => stack?.key !== undefined || groups.some(({ by }) => by === 'pointer');

export interface StackOptions extends Pick<RolloutOptions, 'foreignRefresh'> {
  readonly parameter: string;
  readonly pointer: string;
  readonly imageId: string;
  readonly operation: RolloutOperation;
}

const PREFIX = 'ami-action-';

/** Names an update, so that the next run recognizes it: every event of an operation has its token. */
export const updateToken = (imageId: string, nonce: string): string => `${PREFIX}${imageId}-${nonce}`;
const leadsTo = (token: string, imageId: string): boolean => token.startsWith(`${PREFIX}${imageId}-`);
export const isOurUpdate = ({ token }: StackOperation): boolean => token.startsWith(PREFIX);

export const isSettled = ({ status }: Pick<Stack, 'status'>): boolean => !status.endsWith('_IN_PROGRESS');

export const parameterOf = ({ parameters }: Pick<Stack, 'parameters'>, parameter: string): string | undefined =>
  parameters.find(({ name }) => name === parameter)?.value;

export function decideStack(facts: StackFacts, options: StackOptions): StackDecision {
  const { stack, operation } = facts;
  const decided = { clear: undefined, refusals: [], warnings: [] };
  if (isSettled(stack)) return decideSettled(facts, options);
  const isBack = stack.status.includes('ROLLBACK');
  if (operation !== undefined && leadsTo(operation.token, options.imageId) && !isBack)
    return { ...decided, action: 'watch', reason: `our update to this image is in progress (${stack.status})` };
  const reason = `another update is in progress (${stack.status})`;
  const clear = clearanceOf(facts, options, isBack);
  if (clear !== undefined) return { ...decided, action: 'update', reason, clear };
  const whose = operation !== undefined && isOurUpdate(operation) ? 'of an earlier run' : 'not started by ami-action';
  const remedy = `wait for its end, or set "foreign-refresh: wait"`;
  return { ...decided, action: 'update', reason, refusals: [`${nameOf(stack)} is ${stack.status} (${whose}): ${remedy}`] };
}

/** A rollback ends our own promotion in progress. An update of another owner is never ended. */
function clearanceOf({ stack, operation }: StackFacts, options: StackOptions, isBack: boolean): StackDecision['clear'] {
  const ours = operation !== undefined && isOurUpdate(operation);
  const ends = options.operation === 'rollback' || options.foreignRefresh === 'supersede';
  if (ours && isBack) return 'wait';
  if (ours && ends && stack.status === 'UPDATE_IN_PROGRESS') return 'cancel';
  return options.foreignRefresh === 'wait' || (ours && ends) ? 'wait' : undefined;
}

function decideSettled(facts: StackFacts, options: StackOptions): StackDecision {
  const { stack, template, groups } = facts;
  const { parameter, imageId } = options;
  const policies = [...template.groups];
  const without = policies.filter(([, policy]) => policy.kind === 'none').map(([id]) => id);
  const unfit = [
    stack.parent !== undefined &&
      `${nameOf(stack)} is nested: name its root stack, and a parameter of it, in "stack" and "stack-parameter"`,
    groups.length === 0 && `${nameOf(stack)} has no Auto Scaling group: name the stack that its groups belong to`,
    ...statusRefusals(stack),
    ...keyRefusals(facts, options),
    ...referenceRefusals(facts, parameter),
  ].filter(refusal => refusal !== false);
  if (parameterOf(stack, parameter) === imageId)
    return { action: 'nothing', reason: `${parameter} is ${imageId} already`, clear: undefined, refusals: unfit, warnings: [] };
  const refusals = [...unfit, ...(without.length === 0 ? [] : [policyRefusal(stack, without)])];
  const warnings = [...roleWarnings(stack), ...policies.flatMap(([id, policy]) => signalWarnings(id, policy))];
  return { action: 'update', reason: `${parameter} is ${parameterOf(stack, parameter)}`, clear: undefined, refusals, warnings };
}

/** A resource that the caller may not change cannot be rolled back either. https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-iam-servicerole.html */
const roleWarnings = (stack: Stack): readonly string[] =>
  stack.role !== undefined
    ? []
    : [
        `${nameOf(stack)} has no service role, so CloudFormation changes and rolls back its resources with the permissions of the role of this run: give it one once (aws cloudformation update-stack --role-arn ...)`,
      ];

const policyRefusal = (stack: Stack, groups: readonly string[]): string =>
  `${groups.join(', ')} of ${nameOf(stack)} ${groups.length === 1 ? 'has' : 'have'} no update policy, so CloudFormation would replace no instance: add AutoScalingRollingUpdate, AutoScalingInstanceRefresh or AutoScalingReplacingUpdate (WillReplace: true) to UpdatePolicy in the template, and update the stack once`;

const nameOf = ({ name }: Stack): string => `stack ${name}`;

const UPDATABLE = /^((CREATE|UPDATE|UPDATE_ROLLBACK|IMPORT|IMPORT_ROLLBACK)_COMPLETE)$/;

function statusRefusals({ name, status, statusReason }: Stack): string[] {
  if (UPDATABLE.test(status)) return [];
  return [`stack ${name} is ${status}${statusReason === '' ? '' : ` (${statusReason})`} and cannot be updated: ${remedyOf(name, status)}`];
}

/** The next command of a person. https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-continueupdaterollback.html */
export const remedyOf = (name: string, status: string): string => {
  if (status === 'UPDATE_ROLLBACK_FAILED')
    return `fix its cause, then run: aws cloudformation continue-update-rollback --stack-name ${name}`;
  if (status === 'UPDATE_FAILED') return `run: aws cloudformation rollback-stack --stack-name ${name}`;
  return `see its events: aws cloudformation describe-stack-events --stack-name ${name}`;
};

// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/systems-manager-parameter-types.html
const isKey = (type: string | undefined): boolean => type?.startsWith('AWS::SSM::Parameter::Value') === true;

/** The name in Parameter Store that the parameter reads. CloudFormation reads it when a change set is created, and keeps what it meant. */
export const keyOf = ({ stack, template }: Pick<StackFacts, 'stack' | 'template'>, parameter: string): string | undefined =>
  isKey(template.parameterType) ? (stack.parameters.find(({ name }) => name === parameter)?.key ?? '') : undefined;

function keyRefusals(facts: StackFacts, { parameter, pointer }: StackOptions): string[] {
  const key = keyOf(facts, parameter);
  if (key === undefined || key === pointer) return [];
  return [
    `parameter ${parameter} of ${nameOf(facts.stack)} reads ${key === '' ? 'another parameter' : key} from Parameter Store, not the pointer ${pointer}: give it the value ${pointer}, or the type AWS::EC2::Image::Id, and update the stack once. If ${key === '' ? 'that' : key} is to be the pointer, set "pointer"`,
  ];
}

/**
 * A template or a parameter value that names the parameter in place of an image. To CloudFormation a new value in Parameter Store is no change of the
 * stack: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references-ssm.html
 */
export function referenceRefusals({ stack, template }: Pick<StackFacts, 'stack' | 'template'>, parameter: string): string[] {
  const given = referenceIn(parameterOf(stack, parameter));
  const isDeclared = parameterOf(stack, parameter) !== undefined;
  const ref = `write "ImageId: !Ref ${parameter}" there${isDeclared ? '' : `, add "${parameter}: { Type: AWS::EC2::Image::Id }" to the parameters`}, and update the stack once with the image that it has`;
  return [
    ...[...template.references].map(([id, reference]) =>
      reference.startsWith('{{')
        ? `${id} of ${nameOf(stack)} has "ImageId: ${reference}", and CloudFormation finds no change when only the value in Parameter Store changes: ${ref}`
        : `${id} of ${nameOf(stack)} has "ImageId: ${reference}", which EC2 reads at each launch, so no update of the stack replaces an instance: name its groups in "groups" and set "parameter-templates: follow" instead of "stack", or ${ref}`,
    ),
    ...(given === undefined
      ? []
      : [
          `parameter ${parameter} of ${nameOf(stack)} is ${given}, not an image ID: update the stack once with the ID of the image that it has`,
        ]),
  ];
}

function signalWarnings(id: string, policy: UpdatePolicy): string[] {
  if (policy.kind !== 'rolling' && policy.kind !== 'replacing') return [];
  const what = policy.kind === 'rolling' ? 'WaitOnResourceSignals' : 'CreationPolicy';
  return policy.signals
    ? []
    : [`${id}: its template has no ${what}, so CloudFormation goes on when an instance runs, whether its service answers or not`];
}

const LOGICAL_ID = 'aws:cloudformation:logical-id';

/** Each group with its policy. */
export const groupsOf = ({ template, groups }: Pick<StackFacts, 'template' | 'groups'>) =>
  groups.map(group => ({ group, policy: template.groups.get(group.tags[LOGICAL_ID] ?? '') ?? ({ kind: 'none' } as const) }));
