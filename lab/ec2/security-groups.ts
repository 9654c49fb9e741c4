import type {
  AuthorizeSecurityGroupIngressCommandInput,
  AuthorizeSecurityGroupIngressCommandOutput,
  CreateSecurityGroupCommandInput,
  CreateSecurityGroupCommandOutput,
  DeleteSecurityGroupCommandInput,
  DeleteSecurityGroupCommandOutput,
  DescribeSecurityGroupsCommandInput,
  DescribeSecurityGroupsCommandOutput,
} from '@aws-sdk/client-ec2';
import { newId } from '../ids.ts';
import { AwsError, type Operation } from '../operation.ts';
import type { Place } from '../place.ts';
import { type Fields, select, tagList, tagsFor } from './filters.ts';
import { groupsFor, network } from './network.ts';
import { checkPageSize, pageOf } from './paging.ts';
import { permissionsOf, ruleShape, rulesOf } from './security-rules.ts';
import { dropTags, instances, type LabGroup, setTags, tagsOf } from './state.ts';

const arnOf = ({ region, account }: Place, id: string) => `arn:aws:ec2:${region}:${account}:security-group/${id}`;

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html */
export const createSecurityGroup: Operation<CreateSecurityGroupCommandInput, CreateSecurityGroupCommandOutput> = (input, { place }) => {
  const { vpcId, groups } = network(place);
  const { GroupName: name = '', Description: description = '' } = input;
  if (input.VpcId !== undefined && input.VpcId !== vpcId) {
    throw new AwsError('InvalidVpcID.NotFound', `The vpc ID '${input.VpcId}' does not exist`);
  }
  if (name.startsWith('sg-'))
    throw new AwsError('InvalidParameterValue', `Invalid value '${name}' for groupName. Cannot begin with 'sg-'.`);
  if ([...groups.values()].some(group => group.name === name)) {
    throw new AwsError('InvalidGroup.Duplicate', `The security group '${name}' already exists for VPC '${vpcId}'`);
  }
  const id = newId('sg');
  groups.set(id, { ...{ id, name, description, vpcId }, ingress: [] });
  setTags(place, id, tagsFor(input.TagSpecifications, 'security-group'));
  return { GroupId: id, SecurityGroupArn: arnOf(place, id), Tags: tagList(tagsOf(place, id)) };
};

function theGroup(place: Place, { GroupId, GroupName }: { GroupId?: string | undefined; GroupName?: string | undefined }): LabGroup {
  const wanted = GroupId ?? GroupName;
  if (wanted === undefined) throw new AwsError('MissingParameter', 'The request must contain the parameter groupName or groupId');
  const [group] = GroupId === undefined ? groupsFor(place, [], [wanted]) : groupsFor(place, [wanted], []);
  if (group === undefined) throw new AwsError('InvalidGroup.NotFound', `The security group '${wanted}' does not exist`);
  return group;
}

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AuthorizeSecurityGroupIngress.html */
export const authorizeSecurityGroupIngress: Operation<
  AuthorizeSecurityGroupIngressCommandInput,
  AuthorizeSecurityGroupIngressCommandOutput
> = (input, { place }) => {
  const group = theGroup(place, input);
  const rules = rulesOf(input);
  for (const rule of rules) {
    const same = group.ingress.find(known =>
      ['protocol', 'fromPort', 'toPort', 'source'].every(key => known[key as 'source'] === rule[key as 'source']),
    );
    if (same !== undefined) {
      const words = `peer: ${rule.source}, ${rule.protocol.toUpperCase()}, from port: ${rule.fromPort}, to port: ${rule.toPort}, ALLOW`;
      throw new AwsError('InvalidPermission.Duplicate', `the specified rule "${words}" already exists`);
    }
  }
  group.ingress.push(...rules);
  return { Return: true, SecurityGroupRules: rules.map(rule => ruleShape(place, group.id, rule)) };
};

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSecurityGroups.html */
export const describeSecurityGroups: Operation<DescribeSecurityGroupsCommandInput, DescribeSecurityGroupsCommandOutput> = (
  input,
  { place },
) => {
  checkPageSize(input, 5, 1000);
  const { GroupIds = [], GroupNames = [] } = input;
  const all = [...network(place).groups.values()];
  const named = GroupIds.length + GroupNames.length > 0 ? groupsFor(place, GroupIds, GroupNames) : all;
  const found = select(named, input.Filters, { ...FIELDS, 'owner-id': () => place.account }, ({ id }) => tagsOf(place, id));
  const { page, NextToken } = pageOf(place, found, ({ id }) => id, input);
  const SecurityGroups = page.map(group => ({
    ...{ GroupId: group.id, GroupName: group.name, Description: group.description, VpcId: group.vpcId, OwnerId: place.account },
    SecurityGroupArn: arnOf(place, group.id),
    IpPermissions: permissionsOf(place, group.ingress),
    IpPermissionsEgress: [
      { IpProtocol: '-1', IpRanges: [{ CidrIp: '0.0.0.0/0' }], Ipv6Ranges: [], PrefixListIds: [], UserIdGroupPairs: [] },
    ],
    Tags: tagList(tagsOf(place, group.id)),
  }));
  return { SecurityGroups, NextToken };
};

const FIELDS: Fields<LabGroup> = {
  'group-id': ({ id }) => id,
  'group-name': ({ name }) => name,
  'vpc-id': ({ vpcId }) => vpcId,
  description: ({ description }) => description,
};

/** Refused while an instance uses it, including one that is shutting down. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteSecurityGroup.html */
export const deleteSecurityGroup: Operation<DeleteSecurityGroupCommandInput, DeleteSecurityGroupCommandOutput> = (input, { place }) => {
  const { id, name } = theGroup(place, input);
  if (name === 'default') throw new AwsError('CannotDelete', `the specified group: "${id}" name: "default" cannot be deleted by a user`);
  if ([...instances(place).values()].some(instance => instance.state !== 'terminated' && instance.groupIds.includes(id))) {
    throw new AwsError('DependencyViolation', `resource ${id} has a dependent object`);
  }
  network(place).groups.delete(id);
  dropTags(place, id, 'all');
  return { Return: true, GroupId: id };
};
