import { randomUUID } from 'node:crypto';
import type { Parameter, Tag } from '@aws-sdk/client-cloudformation';
import { type Deployed, deploy, remove } from '../iam/deploy.ts';
import { AwsError, type Call } from '../operation.ts';
import type { Place } from '../place.ts';
import { hasFleet } from './fleet.ts';
import { inputsFor } from './inputs.ts';
import { enter, invalid, type LabStack, stackNamed, stacks } from './state.ts';
import { createFleet } from './update.ts';

/** Stacks that begin: by CreateStack, or by a change set that creates. */

// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
const MOST_BYTES = 51_200;

export interface Asked {
  readonly StackName?: string | undefined;
  readonly TemplateBody?: string | undefined;
  readonly Capabilities?: readonly string[] | undefined;
  readonly Tags?: readonly Tag[] | undefined;
  readonly Parameters?: readonly Parameter[] | undefined;
  readonly RoleARN?: string | undefined;
}

/** Every role of the shipped templates has a name. https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-iam-template.html */
export function throwUnlessAcknowledged(template: string, { Capabilities = [] }: Asked): void {
  if (/^\s+Type: AWS::IAM::/m.test(template) && !Capabilities.includes('CAPABILITY_NAMED_IAM'))
    throw new AwsError('InsufficientCapabilitiesException', 'Requires capabilities : [CAPABILITY_NAMED_IAM]');
}

export function throwIfTooLong(template: string): void {
  if (Buffer.byteLength(template) > MOST_BYTES)
    throw invalid(`Value at 'templateBody' failed to satisfy constraint: Member must have length less than or equal to ${MOST_BYTES}`);
}

/** A stack without resources. */
export function newStack(place: Place, asked: Asked): LabStack {
  const { StackName: name = '', TemplateBody: template = '', Parameters = [] } = asked;
  if (!/^[a-zA-Z][-a-zA-Z0-9]{0,127}$/.test(name))
    throw invalid(`Value '${name}' at 'stackName' failed to satisfy constraint: [a-zA-Z][-a-zA-Z0-9]*`);
  throwIfTooLong(template);
  if (stackNamed(place, name) !== undefined) throw new AwsError('AlreadyExistsException', `Stack [${name}] already exists`);
  throwUnlessAcknowledged(template, asked);
  const parameters = Object.fromEntries(Parameters.map(({ ParameterKey = '', ParameterValue = '' }) => [ParameterKey, ParameterValue]));
  return {
    ...{ place, id: `arn:aws:cloudformation:${place.region}:${place.account}:stack/${name}/${randomUUID()}`, name, template },
    ...{ createdAt: place.core.clock.date(), tags: asked.Tags ?? [], capabilities: asked.Capabilities ?? [], roleArn: asked.RoleARN },
    ...{ outputs: {}, arns: {}, inputs: { parameters, resolved: {}, values: {} } },
    ...{ resources: new Map(), changeSets: new Map(), events: [], updatedAt: undefined, token: undefined },
    ...{ cancelled: false, policyDenies: new Set<string>(), rollbackFails: new Set<string>() },
    ...{ status: 'REVIEW_IN_PROGRESS', statusReason: undefined },
  };
}

/** The IAM resources come at once, the rest in time. */
export function beginStack(stack: LabStack, call: Call): void {
  Object.assign(stack, deployed(stack.place, stack.template, stack));
  stacks(stack.place).set(stack.name, stack);
  enter(stack, 'CREATE_IN_PROGRESS', 'User Initiated');
  stack.updatedAt = undefined;
  void created(stack, call);
}

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

/** The IAM resources of this template and these parameters instead of those that the stack has. */
export function redeploy(stack: LabStack, template: string, parameters: Readonly<Record<string, string>>): void {
  remove(stack.place.core, stack.template, stack);
  Object.assign(stack, { template, ...deployed(stack.place, template, { name: stack.name, inputs: { parameters } }) });
}

function deployed(
  { core, account, region }: Place,
  template: string,
  { name: stack, inputs: { parameters } }: { readonly name: string; readonly inputs: Pick<LabStack['inputs'], 'parameters'> },
): Deployed {
  try {
    return deploy(core, template, { account, region, stack, parameters });
  } catch (cause) {
    throw invalid((cause as Error).message.replace(/^ValidationError: /, ''));
  }
}
