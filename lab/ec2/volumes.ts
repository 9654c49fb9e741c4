import type {
  DeleteVolumeCommandInput,
  DeleteVolumeCommandOutput,
  DescribeVolumesCommandInput,
  DescribeVolumesCommandOutput,
  Volume,
} from '@aws-sdk/client-ec2';
import { AwsError, type Operation } from '../operation.ts';
import { type Fields, select, tagList } from './filters.ts';
import { checkPageSize, pageOf, refuseIdsWithPages } from './paging.ts';
import { pick } from './resource-ids.ts';
import { dropTags, type LabVolume, tagsOf, volumes } from './state.ts';

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

export const deleteVolume: Operation<DeleteVolumeCommandInput, DeleteVolumeCommandOutput> = ({ VolumeId = '' }, { place }) => {
  for (const { id, attached } of pick('volume', [VolumeId], wanted => volumes(place).get(wanted))) {
    if (attached !== undefined) throw new AwsError('VolumeInUse', `Volume ${id} is currently attached to ${attached.instanceId}`);
    volumes(place).delete(id);
    dropTags(place, id, 'all');
  }
  return {};
};
