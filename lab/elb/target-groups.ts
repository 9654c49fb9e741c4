import type {
  CreateTargetGroupCommandInput,
  CreateTargetGroupCommandOutput,
  DeleteTargetGroupCommandInput,
  DeleteTargetGroupCommandOutput,
  DeregisterTargetsCommandInput,
  DeregisterTargetsCommandOutput,
  DescribeTargetGroupAttributesCommandInput,
  DescribeTargetGroupAttributesCommandOutput,
  DescribeTargetGroupsCommandInput,
  DescribeTargetGroupsCommandOutput,
  DescribeTargetHealthCommandInput,
  DescribeTargetHealthCommandOutput,
  ModifyTargetGroupAttributesCommandInput,
  ModifyTargetGroupAttributesCommandOutput,
  RegisterTargetsCommandInput,
  RegisterTargetsCommandOutput,
  TargetGroup,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { mishaps } from '../ec2/mishaps.ts';
import { AwsError, type Operation, type Operations } from '../operation.ts';
import type { Place } from '../place.ts';
import { page } from '../ssm/pages.ts';
import { dropBalancingTags, setBalancingTags } from './tags.ts';
import { deregister, key, NOT_REGISTERED, register, shown } from './target-health.ts';
import { arnOf, balancersOf, type LabTargetGroup, targetGroup, targetGroups } from './target-state.ts';

/** Defaults: https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateTargetGroup.html */
function settingsOf(input: CreateTargetGroupCommandInput, arn: string): TargetGroup {
  const { Name: TargetGroupName, Tags: _, ...settings } = input;
  const http = input.Protocol === 'HTTP' || input.Protocol === 'HTTPS';
  return {
    ...{ Protocol: 'HTTP', TargetType: 'instance', HealthCheckProtocol: http ? 'HTTP' : 'TCP', HealthCheckPort: 'traffic-port' },
    ...{ HealthCheckEnabled: true, HealthCheckPath: '/', HealthCheckIntervalSeconds: 30, HealthCheckTimeoutSeconds: 5 },
    ...{ HealthyThresholdCount: 5, UnhealthyThresholdCount: 2, Matcher: { HttpCode: '200' } },
    ...settings,
    ...{ TargetGroupArn: arn, TargetGroupName },
  };
}

/** https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateTargetGroup.html */
const createTargetGroup: Operation<CreateTargetGroupCommandInput, CreateTargetGroupCommandOutput> = (input, { place }) => {
  const { Name: name = '' } = input;
  if ([...targetGroups(place).values()].some(group => group.name === name))
    throw new AwsError('DuplicateTargetGroupName', `A target group with the same name '${name}' exists, but with different settings`);
  if ((input.TargetType ?? 'instance') !== 'instance') throw new AwsError('ValidationError', 'Targets of this lab are instances.');
  const arn = arnOf(place, `targetgroup/${name}`);
  const attributes = new Map([['deregistration_delay.timeout_seconds', '300']]);
  const group: LabTargetGroup = { arn, name, place, settings: settingsOf(input, arn), attributes, targets: new Map() };
  targetGroups(place).set(arn, group);
  setBalancingTags(place, arn, input.Tags);
  return { TargetGroups: [described(group)] };
};

const described = (group: LabTargetGroup): TargetGroup => ({
  ...group.settings,
  LoadBalancerArns: [...balancersOf(group.place, group.arn)],
});

/** https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeTargetGroups.html */
const describeTargetGroups: Operation<DescribeTargetGroupsCommandInput, DescribeTargetGroupsCommandOutput> = (input, { place }) => {
  const { Names, TargetGroupArns, LoadBalancerArn, Marker, PageSize } = input;
  for (const arn of TargetGroupArns ?? []) targetGroup(place, arn);
  const all = [...targetGroups(place).values()].sort((a, b) => (a.arn < b.arn ? -1 : 1));
  for (const name of Names ?? [])
    if (!all.some(group => group.name === name)) throw new AwsError('TargetGroupNotFound', 'One or more target groups not found');
  const found = all
    .filter(({ name }) => Names === undefined || Names.includes(name))
    .filter(({ arn }) => TargetGroupArns === undefined || TargetGroupArns.includes(arn))
    .filter(({ arn }) => LoadBalancerArn === undefined || balancersOf(place, arn).includes(LoadBalancerArn));
  const size = Math.min(PageSize ?? 400, mishaps(place).pageSize ?? 400);
  const { items, NextToken } = page(found, ({ arn }) => arn, { MaxResults: size, NextToken: Marker }, size);
  return { TargetGroups: items.map(described), NextMarker: NextToken };
};

/** https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DeleteTargetGroup.html */
const deleteTargetGroup: Operation<DeleteTargetGroupCommandInput, DeleteTargetGroupCommandOutput> = (
  { TargetGroupArn: arn = '' },
  { place },
) => {
  if (balancersOf(place, arn).length > 0)
    throw new AwsError('ResourceInUse', `Target group '${arn}' is currently in use by a listener or a rule`);
  for (const target of targetGroups(place).get(arn)?.targets.values() ?? []) target.stop();
  targetGroups(place).delete(arn);
  dropBalancingTags(place, arn);
  return {};
};

/** https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_RegisterTargets.html */
const registerTargets: Operation<RegisterTargetsCommandInput, RegisterTargetsCommandOutput> = ({ TargetGroupArn, Targets }, { place }) => {
  const group = targetGroup(place, TargetGroupArn);
  for (const { Id, Port } of Targets ?? []) register(group, Id ?? '', Port);
  return {};
};

/** https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DeregisterTargets.html */
const deregisterTargets: Operation<DeregisterTargetsCommandInput, DeregisterTargetsCommandOutput> = (
  { TargetGroupArn, Targets },
  { place },
) => {
  const group = targetGroup(place, TargetGroupArn);
  for (const { Id } of Targets ?? []) deregister(group, Id ?? '');
  return {};
};

/** Not paginated by AWS. https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeTargetHealth.html */
const describeTargetHealth: Operation<DescribeTargetHealthCommandInput, DescribeTargetHealthCommandOutput> = (input, { place }) => {
  const group = targetGroup(place, input.TargetGroupArn);
  const { Port = 80, HealthCheckPort } = group.settings;
  const asked = input.Targets?.map(({ Id = '', Port: port = Port }) => ({ id: Id, port }));
  const answer = ({ id, port }: { id: string; port: number }) => {
    const target = group.targets.get(key(id, port));
    const TargetHealth = target === undefined ? NOT_REGISTERED : shown(group, target);
    return {
      Target: { Id: id, Port: port },
      HealthCheckPort: HealthCheckPort === 'traffic-port' ? String(port) : HealthCheckPort,
      TargetHealth,
    };
  };
  return { TargetHealthDescriptions: (asked ?? [...group.targets.values()]).map(answer) };
};

const attributesOf = (place: Place, arn: string | undefined) =>
  [...targetGroup(place, arn).attributes].map(([Key, Value]) => ({ Key, Value }));

/** https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_ModifyTargetGroupAttributes.html */
const modifyTargetGroupAttributes: Operation<ModifyTargetGroupAttributesCommandInput, ModifyTargetGroupAttributesCommandOutput> = (
  { TargetGroupArn, Attributes },
  { place },
) => {
  const { attributes } = targetGroup(place, TargetGroupArn);
  for (const { Key = '', Value = '' } of Attributes ?? []) attributes.set(Key, Value);
  return { Attributes: attributesOf(place, TargetGroupArn) };
};

/** https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeTargetGroupAttributes.html */
const describeTargetGroupAttributes: Operation<DescribeTargetGroupAttributesCommandInput, DescribeTargetGroupAttributesCommandOutput> = (
  { TargetGroupArn },
  { place },
) => ({ Attributes: attributesOf(place, TargetGroupArn) });

export const targetGroupOperations: Operations = {
  CreateTargetGroup: createTargetGroup,
  DeleteTargetGroup: deleteTargetGroup,
  DeregisterTargets: deregisterTargets,
  DescribeTargetGroupAttributes: describeTargetGroupAttributes,
  DescribeTargetGroups: describeTargetGroups,
  DescribeTargetHealth: describeTargetHealth,
  ModifyTargetGroupAttributes: modifyTargetGroupAttributes,
  RegisterTargets: registerTargets,
};
