import type { AuthorizeSecurityGroupIngressRequest, IpPermission, SecurityGroupRule } from '@aws-sdk/client-ec2';
import { newId } from '../ids.ts';
import { AwsError } from '../operation.ts';
import type { Place } from '../place.ts';
import type { Rule } from './state.ts';

/** One rule per source, from either form of the request. */
export function rulesOf(input: AuthorizeSecurityGroupIngressRequest): readonly Rule[] {
  const { CidrIp, IpProtocol, FromPort, ToPort } = input;
  const single: IpPermission = { IpProtocol, FromPort, ToPort, IpRanges: [{ CidrIp }] };
  const permissions = input.IpPermissions ?? (CidrIp === undefined ? [] : [single]);
  if (permissions.length === 0) throw new AwsError('MissingParameter', 'The request must contain the parameter ipPermissions');
  return permissions.flatMap(permission => {
    const { IpProtocol: protocol = '-1', FromPort: fromPort = -1, ToPort: toPort = -1 } = permission;
    return sources(permission).map(([source, description]) => ({ id: newId('sgr'), protocol, fromPort, toPort, source, description }));
  });
}

function sources({
  IpRanges = [],
  Ipv6Ranges = [],
  UserIdGroupPairs = [],
}: IpPermission): readonly (readonly [string, string | undefined])[] {
  const cidrs = IpRanges.map(range => [range.CidrIp ?? '', range.Description] as const);
  const bad = cidrs.find(([cidr]) => !/^(\d{1,3}\.){3}\d{1,3}\/\d{1,2}$/.test(cidr));
  if (bad !== undefined) throw new AwsError('InvalidParameterValue', `CIDR block ${bad[0]} is malformed`);
  return [
    ...cidrs,
    ...Ipv6Ranges.map(range => [range.CidrIpv6 ?? '', range.Description] as const),
    ...UserIdGroupPairs.map(pair => [pair.GroupId ?? pair.GroupName ?? '', pair.Description] as const),
  ];
}

const isGroup = (source: string) => source.startsWith('sg-');
const isV6 = (source: string) => source.includes(':');

export const ruleShape = ({ account, region }: Place, GroupId: string, rule: Rule): SecurityGroupRule => ({
  ...{ SecurityGroupRuleId: rule.id, GroupId, GroupOwnerId: account, IsEgress: false, IpProtocol: rule.protocol },
  ...{ FromPort: rule.fromPort, ToPort: rule.toPort, Description: rule.description },
  SecurityGroupRuleArn: `arn:aws:ec2:${region}:${account}:security-group-rule/${rule.id}`,
  ...(isGroup(rule.source) ? { ReferencedGroupInfo: { GroupId: rule.source, UserId: account } } : {}),
  ...(isV6(rule.source) ? { CidrIpv6: rule.source } : {}),
  ...(!isGroup(rule.source) && !isV6(rule.source) ? { CidrIpv4: rule.source } : {}),
});

/** Rules grouped by ports, as DescribeSecurityGroups returns them. */
export const permissionsOf = ({ account }: Place, rules: readonly Rule[]): IpPermission[] =>
  [...Map.groupBy(rules, ({ protocol, fromPort, toPort }) => `${protocol} ${fromPort} ${toPort}`).values()].map(same => ({
    IpProtocol: same[0]?.protocol,
    ...(same[0]?.protocol === '-1' ? {} : { FromPort: same[0]?.fromPort, ToPort: same[0]?.toPort }),
    IpRanges: same
      .filter(({ source }) => !isGroup(source) && !isV6(source))
      .map(rule => ({ CidrIp: rule.source, Description: rule.description })),
    Ipv6Ranges: same.filter(({ source }) => isV6(source)).map(rule => ({ CidrIpv6: rule.source, Description: rule.description })),
    UserIdGroupPairs: same
      .filter(({ source }) => isGroup(source))
      .map(rule => ({ GroupId: rule.source, UserId: account, Description: rule.description })),
    PrefixListIds: [],
  }));
