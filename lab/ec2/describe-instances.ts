import type {
  DescribeInstanceStatusCommandInput,
  DescribeInstanceStatusCommandOutput,
  DescribeInstancesCommandInput,
  DescribeInstancesCommandOutput,
  GetConsoleOutputCommandInput,
  GetConsoleOutputCommandOutput,
  InstanceStatus,
} from '@aws-sdk/client-ec2';
import type { Operation } from '../operation.ts';
import type { Place } from '../place.ts';
import { type Fields, select } from './filters.ts';
import { groupsOf, instanceShape, stateOf, volumesOf } from './instance-shape.ts';
import { consoleOf } from './lifecycle.ts';
import { checkPageSize, pageOf, refuseIdsWithPages } from './paging.ts';
import { pick } from './resource-ids.ts';
import { instances, type LabInstance, tagsOf } from './state.ts';

export const findInstances = (place: Place, ids: readonly string[]): readonly LabInstance[] =>
  pick('instance', ids, id => instances(place).get(id));

const named = (place: Place, ids: readonly string[] | undefined): readonly LabInstance[] =>
  ids === undefined || ids.length === 0 ? [...instances(place).values()] : findInstances(place, ids);

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html */
export const describeInstances: Operation<DescribeInstancesCommandInput, DescribeInstancesCommandOutput> = (input, { place }) => {
  checkPageSize(input, 5, 1000);
  refuseIdsWithPages(input.InstanceIds, input, 'instancesSet');
  const found = select(named(place, input.InstanceIds), input.Filters, FIELDS, tags);
  const { page, NextToken } = pageOf(place, found, ({ id }) => id, input);
  const byReservation = Map.groupBy(page, ({ reservationId }) => reservationId);
  const Reservations = [...byReservation].map(([ReservationId, members]) => ({
    ...{ ReservationId, OwnerId: place.account, Groups: [] },
    Instances: members.map(instanceShape),
  }));
  return { Reservations, NextToken };
};

const tags = ({ place, id }: LabInstance) => tagsOf(place, id);

const FIELDS: Fields<LabInstance> = {
  'instance-id': ({ id }) => id,
  'image-id': ({ imageId }) => imageId,
  'instance-state-name': ({ state }) => state,
  'instance-state-code': instance => stateOf(instance).Code,
  'instance-type': ({ type }) => type,
  'client-token': ({ clientToken }) => clientToken,
  'subnet-id': ({ subnetId }) => subnetId,
  'vpc-id': ({ vpcId }) => vpcId,
  'availability-zone': ({ zone }) => zone,
  'key-name': ({ keyName }) => keyName,
  'instance.group-id': ({ groupIds }) => groupIds,
  'group-id': ({ groupIds }) => groupIds,
  'instance.group-name': instance => groupsOf(instance).map(({ GroupName }) => GroupName),
  'private-ip-address': ({ address }) => address,
  'ip-address': ({ address }) => address,
  'dns-name': ({ address }) => address,
  'private-dns-name': ({ address }) => address,
  'reservation-id': ({ reservationId }) => reservationId,
  'owner-id': ({ place }) => place.account,
  architecture: ({ architecture }) => architecture,
  'root-device-name': ({ rootDevice }) => rootDevice,
  'root-device-type': () => 'ebs',
  'virtualization-type': () => 'hvm',
  'iam-instance-profile.arn': ({ profileArn }) => profileArn,
  'state-reason-code': ({ stateReason }) => stateReason?.code,
  'launch-time': ({ launchedAt }) => launchedAt.toISOString(),
  'block-device-mapping.volume-id': instance => volumesOf(instance).map(({ id }) => id),
  // Only Spot instances have `InstanceLifecycle`.
  'instance-lifecycle': ({ spotRequestId }) => spotRequestId && 'spot',
  tenancy: () => 'default',
};

/** Running instances only, unless IncludeAllInstances is set. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstanceStatus.html */
export const describeInstanceStatus: Operation<DescribeInstanceStatusCommandInput, DescribeInstanceStatusCommandOutput> = (
  input,
  { place },
) => {
  checkPageSize(input, 5, 1000);
  refuseIdsWithPages(input.InstanceIds, input, 'instancesSet');
  const seen = named(place, input.InstanceIds).filter(({ state }) => input.IncludeAllInstances === true || state === 'running');
  const found = select(seen, input.Filters, STATUS_FIELDS, () => ({}));
  const { page, NextToken } = pageOf(place, found, ({ id }) => id, input);
  return { InstanceStatuses: page.map(status), NextToken };
};

const STATUS_FIELDS: Fields<LabInstance> = {
  'instance-state-name': ({ state }) => state,
  'instance-state-code': instance => stateOf(instance).Code,
  'availability-zone': ({ zone }) => zone,
  'instance-status.status': instance => checks(instance),
  'system-status.status': ({ state }) => (state === 'running' ? 'ok' : 'not-applicable'),
};

export function checks({
  state,
  impaired,
  changedAt,
  place: { core },
}: LabInstance): 'ok' | 'initializing' | 'impaired' | 'not-applicable' {
  if (state !== 'running') return 'not-applicable';
  if (core.clock.now() < changedAt.getTime() + core.timings.statusChecks * 1000) return 'initializing';
  return impaired ? 'impaired' : 'ok';
}

function status(instance: LabInstance): InstanceStatus {
  const verdict = checks(instance);
  const reachability = { ok: 'passed', impaired: 'failed', initializing: 'initializing', 'not-applicable': undefined } as const;
  const summary = (Status: typeof verdict) => {
    const detail = reachability[Status];
    return { Status, Details: detail === undefined ? [] : [{ Name: 'reachability' as const, Status: detail }] };
  };
  return {
    InstanceId: instance.id,
    AvailabilityZone: instance.zone,
    InstanceState: stateOf(instance),
    InstanceStatus: summary(verdict),
    SystemStatus: summary(verdict === 'impaired' ? 'ok' : verdict),
  };
}

const CONSOLE_BYTES = 64 * 1024;

/** The last 64 KiB. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_GetConsoleOutput.html */
export const getConsoleOutput: Operation<GetConsoleOutputCommandInput, GetConsoleOutputCommandOutput> = (
  { InstanceId = '' },
  { place },
) => {
  const [instance] = findInstances(place, [InstanceId]);
  const bytes = instance === undefined ? Buffer.alloc(0) : Buffer.from(consoleOf(instance));
  const Output = bytes.length === 0 ? undefined : bytes.subarray(-CONSOLE_BYTES).toString('base64');
  return { InstanceId, Timestamp: place.core.clock.date(), Output };
};
