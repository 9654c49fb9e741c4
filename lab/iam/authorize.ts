import { AwsError, type Call, type Protocol } from '../operation.ts';
import { type Context, contextOf } from './context.ts';
import { type Dependent, dependentsOf } from './dependents.ts';
import { factsOf } from './facts.ts';
import { evaluate } from './policy.ts';
import { askedPermissions, deployedRole, type LabRole } from './roles.ts';
import { IAM_SERVICES } from './service-targets.ts';
import { type Target, targetsOf } from './targets.ts';

/** Operations that need no permission. https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html */
const FREE = new Set(['sts:GetCallerIdentity', 'sts:AssumeRoleWithWebIdentity', 'sts:AssumeRole']);

export interface Denial {
  readonly action: string;
  readonly resource: string;
  readonly explicit: boolean;
}

/** Undefined when the caller may make the call with everything that it needs. Callers without a deployed role are administrators. */
export async function denialOf(call: Call, service: string, operation: string, input: object): Promise<Denial | undefined> {
  const role = deployedRole(call.place.core, call.roleArn);
  const known = IAM_SERVICES[service];
  if (role === undefined || known === undefined || FREE.has(`${service}:${operation}`)) return undefined;
  const own = await denialFor(role, call, { service: known.prefix, operation, input });
  if (own !== undefined) return own;
  for (const dependent of dependentsOf(`${known.prefix}:${operation}`, input, call.place)) {
    const denial = await denialFor(role, call, dependent);
    if (denial !== undefined) return denial;
  }
  return undefined;
}

async function denialFor(role: LabRole, call: Call, wanted: Dependent): Promise<Denial | undefined> {
  const { service, operation, input = {} } = wanted;
  const action = `${service}:${operation}`;
  for (const target of wanted.targets ?? (await found(call, service, operation, input))) {
    const question = {
      action,
      resource: target.arn,
      context: new Map([...general(call, role), ...contextOf({ ...target.keys, ...wanted.keys })]),
    };
    const verdict = verdictOf(role, question);
    askedPermissions(call.place.core).push({ role: role.arn, ...question, allowed: verdict === 'allowed' });
    if (verdict !== 'allowed') return { action, resource: target.arn, explicit: verdict === 'explicit' };
  }
  return undefined;
}

/** The boundary limits what the policies allow. https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html */
function verdictOf(role: LabRole, question: Parameters<typeof evaluate>[1]) {
  const verdict = evaluate(role.policies, question);
  return verdict !== 'allowed' || role.boundary === undefined ? verdict : evaluate(role.boundary, question);
}

async function found({ place }: Call, prefix: string, operation: string, input: object): Promise<readonly Target[]> {
  const facts = await factsOf(prefix, operation);
  const service = Object.values(IAM_SERVICES).find(one => one.prefix === prefix);
  if (facts === undefined || service === undefined) return [];
  return targetsOf(facts, service.find(operation, input, place), place);
}

/** Global condition keys. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html */
export const general = ({ place, arn, userId }: Pick<Call, 'place' | 'arn' | 'userId'>, role: LabRole): Context =>
  contextOf({
    'aws:PrincipalArn': role.arn,
    'aws:PrincipalAccount': role.account,
    'aws:PrincipalType': 'AssumedRole',
    'aws:userid': userId,
    'aws:RequestedRegion': place.region,
    'aws:SourceAccount': undefined,
    'aws:SecureTransport': 'true',
    'aws:ViaAWSService': 'false',
    'aws:CurrentTime': place.core.clock.date().toISOString(),
    ...Object.fromEntries(Object.entries(role.tags).map(([key, value]) => [`aws:PrincipalTag/${key}`, value])),
    'sts:RoleSessionName': arn.split('/').at(-1),
  });

/** In the wording of AWS. https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html */
export function messageOf({ action, resource, explicit }: Denial, arn: string): string {
  const on = resource === '*' ? '' : ` on resource: ${resource}`;
  const reason = explicit
    ? 'with an explicit deny in an identity-based policy'
    : `because no identity-based policy allows the ${action} action`;
  return `User: ${arn} is not authorized to perform: ${action}${on} ${reason}`;
}

/** Throws the denial as the protocol of the service spells it. */
export function refuse(denial: Denial | undefined, protocol: Protocol, arn: string): void {
  if (denial === undefined) return;
  const text = messageOf(denial, arn);
  if (protocol === 'ec2') throw new AwsError('UnauthorizedOperation', `You are not authorized to perform this operation. ${text}`, 403);
  throw protocol === 'json' ? new AwsError('AccessDeniedException', text, 400) : new AwsError('AccessDenied', text, 403);
}
