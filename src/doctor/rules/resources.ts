import type { AskedPermission } from '../../model/permission.ts';

/** What the resources of an environment are, for ARNs. */
export interface Place {
  readonly partition: string;
  readonly region: string;
  readonly account: string;
  readonly pointer: string | undefined;
  readonly named: readonly { readonly kind: 'group' | 'stack' | 'node group'; readonly name: string }[];
  readonly templateIds: readonly string[];
}

/** Actions on the resources of the environment. An action whose resource is not known is left out. */
export const permissionsOn = (place: Place, actions: readonly string[]): readonly AskedPermission[] =>
  actions.flatMap(action => resourcesOf(action, place).map(resource => ({ action, resource })));

const EC2_TYPES: readonly (readonly [action: RegExp, type: string])[] = [
  [/LaunchTemplate/, 'launch-template'],
  [/(Run|Terminate|Stop|Reboot|Start)Instances/, 'instance'],
  [/Snapshot/, 'snapshot'],
  [/Volume/, 'volume'],
  [/KeyPair/, 'key-pair'],
  [/SecurityGroup/, 'security-group'],
  [/Image|Tags/, 'image'],
];

/** https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html */
function resourcesOf(action: string, { partition, region, account, pointer, named, templateIds }: Place): readonly string[] {
  const arn = (service: string, owner: string, resource: string) => `arn:${partition}:${service}:${region}:${owner}:${resource}`;
  const [service = '', operation = ''] = action.split(':');
  // Only where "launch-configurations" asks for them: the roles in examples/ have a parameter for that.
  if (/LaunchConfiguration|(Create|Delete)LaunchTemplate$/.test(operation)) return [];
  const of = (kind: Place['named'][number]['kind']) => named.flatMap(each => (each.kind === kind ? each.name : []));
  if (service === 'autoscaling') return of('group').map(name => arn(service, account, `autoScalingGroup:*:autoScalingGroupName/${name}`));
  if (service === 'cloudformation') return of('stack').map(name => arn(service, account, `stack/${name}/*`));
  if (service === 'eks') return of('node group').map(name => arn(service, account, `nodegroup/${name}/*`));
  if (service === 'ssm' && operation === 'SendCommand') return [arn(service, '', 'document/AWS-RunShellScript')];
  if (service === 'ssm') return pointer === undefined ? [] : [arn(service, account, `parameter${pointer}`)];
  if (service !== 'ec2') return [];
  const type = EC2_TYPES.find(([pattern]) => pattern.test(operation))?.[1];
  if (type === 'launch-template') return templateIds.map(id => arn(service, account, `launch-template/${id}`));
  // Images and snapshots have no account in their ARN.
  return type === undefined ? [] : [arn(service, type === 'image' || type === 'snapshot' ? '' : account, `${type}/*`)];
}
