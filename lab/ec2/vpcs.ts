import type {
  DescribeSubnetsCommandInput,
  DescribeSubnetsCommandOutput,
  DescribeVpcsCommandInput,
  DescribeVpcsCommandOutput,
} from '@aws-sdk/client-ec2';
import { AwsError, type Operation } from '../operation.ts';
import { type Fields, select, tagList } from './filters.ts';
import { type LabSubnet, network } from './network.ts';
import { checkPageSize, pageOf } from './paging.ts';
import { tagsOf } from './state.ts';

const CIDR = '172.31.0.0/16';

/** The default VPC only: the lab has no CreateVpc. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeVpcs.html */
export const describeVpcs: Operation<DescribeVpcsCommandInput, DescribeVpcsCommandOutput> = (input, { place }) => {
  checkPageSize(input, 5, 1000);
  const { vpcId } = network(place);
  const unknown = input.VpcIds?.find(id => id !== vpcId);
  if (unknown !== undefined) throw new AwsError('InvalidVpcID.NotFound', `The vpc ID '${unknown}' does not exist`);
  const fields: Fields<string> = {
    'vpc-id': id => id,
    ...{ 'is-default': () => true, isDefault: () => true, state: () => 'available', cidr: () => CIDR, 'owner-id': () => place.account },
  };
  const found = select([vpcId], input.Filters, fields, id => tagsOf(place, id));
  return {
    Vpcs: found.map(VpcId => ({
      ...{ VpcId, IsDefault: true, State: 'available', CidrBlock: CIDR, OwnerId: place.account, InstanceTenancy: 'default' },
      Tags: tagList(tagsOf(place, VpcId)),
    })),
  };
};

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSubnets.html */
export const describeSubnets: Operation<DescribeSubnetsCommandInput, DescribeSubnetsCommandOutput> = (input, { place }) => {
  checkPageSize(input, 5, 1000);
  const { subnets } = network(place);
  const unknown = input.SubnetIds?.find(id => !subnets.some(subnet => subnet.id === id));
  if (unknown !== undefined) throw new AwsError('InvalidSubnetID.NotFound', `The subnet ID '${unknown}' does not exist`);
  const named = subnets.filter(({ id }) => input.SubnetIds === undefined || input.SubnetIds.includes(id));
  const found = select(named, input.Filters, { ...SUBNET_FIELDS, 'owner-id': () => place.account }, ({ id }) => tagsOf(place, id));
  const { page, NextToken } = pageOf(place, found, ({ id }) => id, input);
  const Subnets = page.map(({ id, vpcId, zone, cidr }) => ({
    ...{ SubnetId: id, VpcId: vpcId, AvailabilityZone: zone, CidrBlock: cidr, State: 'available' as const, OwnerId: place.account },
    ...{ DefaultForAz: true, MapPublicIpOnLaunch: true, AvailableIpAddressCount: 4091, AssignIpv6AddressOnCreation: false },
    SubnetArn: `arn:aws:ec2:${place.region}:${place.account}:subnet/${id}`,
    Tags: tagList(tagsOf(place, id)),
  }));
  return { Subnets, NextToken };
};

const SUBNET_FIELDS: Fields<LabSubnet> = {
  'subnet-id': ({ id }) => id,
  'vpc-id': ({ vpcId }) => vpcId,
  'availability-zone': ({ zone }) => zone,
  availabilityZone: ({ zone }) => zone,
  'default-for-az': () => true,
  defaultForAz: () => true,
  'map-public-ip-on-launch': () => true,
  'cidr-block': ({ cidr }) => cidr,
  state: () => 'available',
};
