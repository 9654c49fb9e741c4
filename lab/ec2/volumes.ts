import type {
  AttachVolumeCommandInput,
  AttachVolumeCommandOutput,
  DeleteVolumeCommandInput,
  DeleteVolumeCommandOutput,
  DescribeVolumesCommandInput,
  DescribeVolumesCommandOutput,
  DetachVolumeCommandInput,
  DetachVolumeCommandOutput,
  Volume,
} from '@aws-sdk/client-ec2';
import { AwsError, type Operation } from '../operation.ts';
import type { Place } from '../place.ts';
import { type Fields, select, tagList } from './filters.ts';
import { checkPageSize, pageOf, refuseIdsWithPages } from './paging.ts';
import { pick } from './resource-ids.ts';
import { dropTags, instances, type LabVolume, tagsOf, volumes } from './state.ts';

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeVolumes.html */
export const describeVolumes: Operation<DescribeVolumesCommandInput, DescribeVolumesCommandOutput> = (input, { place }) => {
  checkPageSize(input, 5, 1000);
  refuseIdsWithPages(input.VolumeIds, input, 'volumeSet');
  const all = volumes(place);
  const named =
    input.VolumeIds === undefined || input.VolumeIds.length === 0 ? [...all.values()] : pick('volume', input.VolumeIds, id => all.get(id));
  const found = select(named, input.Filters, FIELDS, ({ id }) => tagsOf(place, id));
  const { page, NextToken } = pageOf(place, found, ({ id }) => id, input);
  return { Volumes: page.map(shape), NextToken };
};

const stateOf = ({ attached }: LabVolume) => (attached === undefined ? 'available' : 'in-use');

const shape = (volume: LabVolume): Volume => ({
  ...{ VolumeId: volume.id, Size: volume.sizeGiB, VolumeType: volume.type, State: stateOf(volume), AvailabilityZone: volume.zone },
  ...{ SnapshotId: volume.snapshotId ?? '', CreateTime: volume.createdAt, Encrypted: volume.encrypted, KmsKeyId: volume.kmsKeyId },
  Attachments:
    volume.attached === undefined
      ? []
      : [
          {
            ...{ VolumeId: volume.id, InstanceId: volume.attached.instanceId, Device: volume.attached.device, State: 'attached' },
            ...{ AttachTime: volume.createdAt, DeleteOnTermination: volume.attached.deleteOnTermination },
          },
        ],
  Tags: tagList(tagsOf(volume.place, volume.id)),
});

const FIELDS: Fields<LabVolume> = {
  'volume-id': ({ id }) => id,
  'snapshot-id': ({ snapshotId }) => snapshotId,
  status: stateOf,
  size: ({ sizeGiB }) => sizeGiB,
  'volume-type': ({ type }) => type,
  'availability-zone': ({ zone }) => zone,
  encrypted: ({ encrypted }) => encrypted,
  'create-time': ({ createdAt }) => createdAt.toISOString(),
  'attachment.instance-id': ({ attached }) => attached?.instanceId,
  'attachment.device': ({ attached }) => attached?.device,
  'attachment.delete-on-termination': ({ attached }) => attached?.deleteOnTermination,
  'attachment.status': ({ attached }) => attached && 'attached',
};

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteVolume.html */
export const deleteVolume: Operation<DeleteVolumeCommandInput, DeleteVolumeCommandOutput> = ({ VolumeId = '' }, { place }) => {
  for (const { id, attached } of pick('volume', [VolumeId], wanted => volumes(place).get(wanted))) {
    if (attached !== undefined) throw new AwsError('VolumeInUse', `Volume ${id} is currently attached to ${attached.instanceId}`);
    volumes(place).delete(id);
    dropTags(place, id, 'all');
  }
  return {};
};

const own = (place: Place, id = ''): LabVolume => (pick('volume', [id], wanted => volumes(place).get(wanted)) as readonly [LabVolume])[0];

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AttachVolume.html */
export const attachVolume: Operation<AttachVolumeCommandInput, AttachVolumeCommandOutput> = (
  { VolumeId, InstanceId: instanceId = '', Device: device = '' },
  { place },
) => {
  const volume = own(place, VolumeId);
  const [instance] = pick('instance', [instanceId], wanted => instances(place).get(wanted));
  if (volume.attached !== undefined) throw new AwsError('VolumeInUse', `${volume.id} is already attached to an instance`);
  if (instance?.zone !== volume.zone)
    throw new AwsError(
      'InvalidVolume.ZoneMismatch',
      `The volume '${volume.id}' is not in the same availability zone as instance '${instanceId}'`,
    );
  volume.attached = { instanceId, device, deleteOnTermination: false };
  return { VolumeId: volume.id, InstanceId: instanceId, Device: device, State: 'attaching', DeleteOnTermination: false };
};

/** A root volume only while its instance is stopped. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DetachVolume.html */
export const detachVolume: Operation<DetachVolumeCommandInput, DetachVolumeCommandOutput> = ({ VolumeId }, { place }) => {
  const volume = own(place, VolumeId);
  const { attached } = volume;
  if (attached === undefined) throw new AwsError('IncorrectState', `Volume '${volume.id}' is in the 'available' state.`);
  const instance = instances(place).get(attached.instanceId);
  if (instance?.rootDevice === attached.device && instance.state !== 'stopped')
    throw new AwsError('OperationNotPermitted', `Unable to detach root volume '${volume.id}' from instance '${attached.instanceId}'`);
  volume.attached = undefined;
  return { VolumeId: volume.id, InstanceId: attached.instanceId, Device: attached.device, State: 'detaching' };
};
