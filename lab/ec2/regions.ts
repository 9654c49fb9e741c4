import type {
  DescribeAvailabilityZonesCommandInput,
  DescribeAvailabilityZonesCommandOutput,
  DescribeRegionsCommandInput,
  DescribeRegionsCommandOutput,
} from '@aws-sdk/client-ec2';
import { AwsError, type Operation } from '../operation.ts';
import { select } from './filters.ts';
import { zonesOf } from './network.ts';

/** Regions that are enabled by default. https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html */
const REGIONS = [
  'ap-northeast-1',
  'ap-northeast-2',
  'ap-northeast-3',
  'ap-south-1',
  'ap-southeast-1',
  'ap-southeast-2',
  'ca-central-1',
  'eu-central-1',
  'eu-north-1',
  'eu-west-1',
  'eu-west-2',
  'eu-west-3',
  'sa-east-1',
  'us-east-1',
  'us-east-2',
  'us-west-1',
  'us-west-2',
] as const;

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeRegions.html */
export const describeRegions: Operation<DescribeRegionsCommandInput, DescribeRegionsCommandOutput> = ({ RegionNames, Filters }) => {
  const unknown = RegionNames?.find(name => !REGIONS.some(region => region === name));
  if (unknown !== undefined) throw new AwsError('InvalidParameterValue', `Invalid region name: [${unknown}]`);
  const regions = REGIONS.filter(region => RegionNames === undefined || RegionNames.includes(region));
  const fields = {
    'region-name': (region: string) => region,
    endpoint: endpointOf,
    'opt-in-status': () => 'opt-in-not-required',
  };
  const found = select(regions, Filters, fields, () => ({}));
  return { Regions: found.map(RegionName => ({ RegionName, Endpoint: endpointOf(RegionName), OptInStatus: 'opt-in-not-required' })) };
};

const endpointOf = (region: string) => `ec2.${region}.amazonaws.com`;

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeAvailabilityZones.html */
export const describeAvailabilityZones: Operation<DescribeAvailabilityZonesCommandInput, DescribeAvailabilityZonesCommandOutput> = (
  { ZoneNames, Filters },
  { place: { region } },
) => {
  const zones = zonesOf(region).map((ZoneName, index) => ({
    ...{ ZoneName, ZoneId: `${region}-az${index + 1}`, RegionName: region, State: 'available' as const },
    ...{
      ZoneType: 'availability-zone',
      OptInStatus: 'opt-in-not-required' as const,
      GroupName: `${region}-zg-1`,
      NetworkBorderGroup: region,
    },
  }));
  const fields = {
    'zone-name': (zone: { ZoneName: string }) => zone.ZoneName,
    'zone-type': () => 'availability-zone',
    'region-name': () => region,
    state: () => 'available',
    'opt-in-status': () => 'opt-in-not-required',
  };
  const named = zones.filter(({ ZoneName }) => ZoneNames === undefined || ZoneNames.includes(ZoneName));
  return { AvailabilityZones: [...select(named, Filters, fields, () => ({}))] };
};
