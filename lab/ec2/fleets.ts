import { randomUUID } from 'node:crypto';
import type {
  CreateFleetCommandInput,
  CreateFleetCommandOutput,
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
import { principalOf } from '../iam/keys.ts';
import { newId } from '../ids.ts';
import { AwsError, type Operation, type Operations } from '../operation.ts';
import { type Place, slice } from '../place.ts';
import { tagsFor } from './filters.ts';
import { type LaunchRequest, launchInstance } from './launch.ts';
import { resolveTemplate } from './launch-template-spec.ts';
import { pageOf } from './paging.ts';
import { instances, type LabInstance, setTags } from './state.ts';

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
  const all = [...spotRequests(place), ...[...instances(place).values()].flatMap(requestOf)];
  const { page, NextToken } = pageOf(place, all, ({ SpotInstanceRequestId = '' }) => SpotInstanceRequestId, input);
  return { SpotInstanceRequests: [...page], NextToken };
};

/** One-time, and closed with its instance. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-request-status.html */
function requestOf({ id, imageId, spotRequestId, state }: LabInstance): readonly SpotInstanceRequest[] {
  if (spotRequestId === undefined) return [];
  const isOver = state === 'shutting-down' || state === 'terminated';
  return [
    {
      ...{ SpotInstanceRequestId: spotRequestId, InstanceId: id, Type: 'one-time', State: isOver ? 'closed' : 'active' },
      LaunchSpecification: { ImageId: imageId },
    },
  ];
}

/**
 * Of type `instant`: launches at once, and returns what could not be launched as errors of a successful call.
 * https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateFleet.html
 */
const createFleet: Operation<CreateFleetCommandInput, CreateFleetCommandOutput> = async (input, call) => {
  if (input.Type !== 'instant') throw new AwsError('InvalidParameterValue', `The lab has no fleets of type ${input.Type ?? 'maintain'}.`);
  const FleetId = `fleet-${randomUUID()}`;
  setTags(call.place, FleetId, tagsFor(input.TagSpecifications, 'fleet'));
  const wanted = (input.LaunchTemplateConfigs ?? []).flatMap(({ LaunchTemplateSpecification: spec = {}, Overrides = [] }) =>
    (Overrides.length === 0 ? [{}] : Overrides).map(override => ({ spec, override })),
  );
  const isSpot = input.TargetCapacitySpecification?.DefaultTargetCapacityType === 'spot';
  const Errors: CreateFleetCommandOutput['Errors'] = [];
  for (const { spec, override } of wanted) {
    try {
      const instance = await launchInstance(call.place, requestFor(call.place, spec, override, input), undefined, principalOf(call));
      if (isSpot) instance.spotRequestId = newId('sir');
      const Lifecycle = isSpot ? 'spot' : 'on-demand';
      return { FleetId, Errors, Instances: [{ InstanceIds: [instance.id], InstanceType: instance.type, Lifecycle }] };
    } catch (cause) {
      if (!(cause instanceof AwsError)) throw cause;
      Errors.push({ ErrorCode: cause.code, ErrorMessage: cause.message, Lifecycle: isSpot ? 'spot' : 'on-demand' });
    }
  }
  return { FleetId, Errors, Instances: [] };
};

type FleetConfig = NonNullable<CreateFleetCommandInput['LaunchTemplateConfigs']>[number];

/** Empty texts count as not given: Packer sends them for the profile and the zone. */
function requestFor(
  place: Place,
  spec: NonNullable<FleetConfig['LaunchTemplateSpecification']>,
  { InstanceType, SubnetId }: NonNullable<FleetConfig['Overrides']>[number],
  { TagSpecifications = [] }: CreateFleetCommandInput,
): LaunchRequest {
  const { data } = resolveTemplate(place, spec);
  const { IamInstanceProfile: profile, Placement: placement, ...rest } = data as LaunchRequest;
  return {
    ...rest,
    ...(profile?.Arn || profile?.Name ? { IamInstanceProfile: profile } : {}),
    ...(placement?.AvailabilityZone ? { Placement: placement } : {}),
    ...(InstanceType === undefined ? {} : { InstanceType }),
    ...(SubnetId === undefined ? {} : { SubnetId }),
    TagSpecifications: [...(data.TagSpecifications ?? []), ...TagSpecifications],
  };
}

export const fleetOperations: Operations = {
  CreateFleet: createFleet,
  DescribeFleets: describeFleets,
  DescribeSpotFleetRequests: describeSpotFleets,
  DescribeSpotInstanceRequests: describeSpotRequests,
};
