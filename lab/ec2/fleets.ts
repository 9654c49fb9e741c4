import type {
  DescribeFleetsCommandInput,
  DescribeFleetsCommandOutput,
  DescribeSpotFleetRequestsCommandInput,
  DescribeSpotFleetRequestsCommandOutput,
  DescribeSpotInstanceRequestsCommandInput,
  DescribeSpotInstanceRequestsCommandOutput,
  FleetData,
  SpotFleetRequestConfig,
  SpotInstanceRequest,
} from '@aws-sdk/client-ec2';
import type { Operation, Operations } from '../operation.ts';
import { slice } from '../place.ts';
import { pageOf } from './paging.ts';

/** Fleets and Spot requests that tests add. They are described, but no instance launches from them. */
export const fleets = slice((): FleetData[] => []);
export const spotFleets = slice((): SpotFleetRequestConfig[] => []);
export const spotRequests = slice((): SpotInstanceRequest[] => []);

/** Fleets of type `instant` are returned only when they are named. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeFleets.html */
const describeFleets: Operation<DescribeFleetsCommandInput, DescribeFleetsCommandOutput> = (input, { place }) => {
  const { FleetIds: ids = [] } = input;
  const wanted = fleets(place).filter(({ FleetId = '', Type }) => (ids.length > 0 ? ids.includes(FleetId) : Type !== 'instant'));
  const { page, NextToken } = pageOf(place, wanted, ({ FleetId = '' }) => FleetId, input);
  return { Fleets: [...page], NextToken };
};

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSpotFleetRequests.html */
const describeSpotFleets: Operation<DescribeSpotFleetRequestsCommandInput, DescribeSpotFleetRequestsCommandOutput> = (input, { place }) => {
  const { page, NextToken } = pageOf(place, spotFleets(place), ({ SpotFleetRequestId = '' }) => SpotFleetRequestId, input);
  return { SpotFleetRequestConfigs: [...page], NextToken };
};

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSpotInstanceRequests.html */
const describeSpotRequests: Operation<DescribeSpotInstanceRequestsCommandInput, DescribeSpotInstanceRequestsCommandOutput> = (
  input,
  { place },
) => {
  const { page, NextToken } = pageOf(place, spotRequests(place), ({ SpotInstanceRequestId = '' }) => SpotInstanceRequestId, input);
  return { SpotInstanceRequests: [...page], NextToken };
};

export const fleetOperations: Operations = {
  DescribeFleets: describeFleets,
  DescribeSpotFleetRequests: describeSpotFleets,
  DescribeSpotInstanceRequests: describeSpotRequests,
};
