import type {
  BlockDeviceMapping,
  CreateImageCommandInput,
  CreateImageCommandOutput,
  RegisterImageCommandInput,
  RegisterImageCommandOutput,
} from '@aws-sdk/client-ec2';
import { newId } from '../ids.ts';
import type { Disk } from '../machines/hypervisor.ts';
import { AwsError, type Operation } from '../operation.ts';
import { findInstances } from './describe-instances.ts';
import { tagsFor } from './filters.ts';
import { addImage, checkName, finish } from './image-making.ts';
import { imageEver, snapshotEver } from './images.ts';
import { volumesOf } from './instance-shape.ts';
import { whileOff, whileStill } from './lifecycle.ts';
import { notFound } from './resource-ids.ts';
import { addSnapshot, mayRead } from './snapshot-state.ts';
import { type ImageDevice, type LabImage, type LabInstance, type LabSnapshot, type LabVolume, setTags } from './state.ts';

/** Shuts the instance down and starts it again, unless NoReboot. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateImage.html */
export const createImage: Operation<CreateImageCommandInput, CreateImageCommandOutput> = (input, { place }) => {
  const [instance] = findInstances(place, [input.InstanceId ?? '']);
  const name = checkName(place, input.Name);
  if (instance === undefined || !['running', 'stopped'].includes(instance.state)) {
    throw new AwsError('IncorrectInstanceState', `The instance '${input.InstanceId}' is not in the 'running' or 'stopped' state.`);
  }
  const id = newId('ami');
  const disk = contentOf(instance, input.NoReboot === true);
  const snapshots = takeSnapshots(instance, input, { id, disk: () => disk });
  const image = addImage(place, {
    ...{ id, name, description: input.Description, architecture: instance.architecture, rootDevice: instance.rootDevice },
    devices: snapshots.map(({ device }) => device),
    source: { imageId: instance.imageId, region: place.region, instanceId: instance.id },
    imdsV2: imageEver(place, instance.imageId)?.imdsV2 ?? false,
    tags: tagsFor(input.TagSpecifications, 'image'),
  });
  const made = snapshots.map(({ snapshot }) => snapshot);
  void finish(image, made, place.core.timings.image, disk);
  return { ImageId: image.id };
};

function contentOf(instance: LabInstance, noReboot: boolean): Promise<Disk> {
  const { hypervisor } = instance.place.core;
  return new Promise((resolve, reject) => {
    const copy = async () => {
      if (instance.disk === undefined) reject(new Error(`The instance '${instance.id}' was terminated.`));
      else await hypervisor.clone(instance.disk).then(resolve, reject);
    };
    void (noReboot ? whileStill(instance, copy) : whileOff(instance, copy));
  });
}

interface Taken {
  readonly snapshot: LabSnapshot;
  readonly device: ImageDevice;
}

/** One mapping per attached volume, changed as requested. Volumes that the request adds are empty. */
function takeSnapshots(
  instance: LabInstance,
  input: CreateImageCommandInput,
  image: { id: string; disk: () => Promise<Disk> },
): readonly Taken[] {
  const wanted = new Map((input.BlockDeviceMappings ?? []).map(mapping => [mapping.DeviceName ?? '', mapping]));
  const tags = tagsFor(input.TagSpecifications, 'snapshot');
  return volumesOf(instance)
    .filter(({ attached }) => wanted.get(attached?.device ?? '')?.NoDevice === undefined)
    .map(volume => {
      const device = volume.attached?.device ?? '';
      const snapshot = addSnapshot(instance.place, {
        ...{ id: newId('snap'), volumeId: volume.id, description: `Created by CreateImage(${instance.id}) for ${image.id}` },
        ...{ sizeGiB: volume.sizeGiB, encrypted: volume.encrypted, kmsKeyId: volume.kmsKeyId },
        disk: device === instance.rootDevice ? image.disk : undefined,
      });
      setTags(instance.place, snapshot.id, tags);
      return { snapshot, device: deviceOf(volume, snapshot, wanted.get(device)) };
    });
}

const deviceOf = ({ sizeGiB, type, encrypted, attached }: LabVolume, { id }: LabSnapshot, wanted?: BlockDeviceMapping): ImageDevice => ({
  device: attached?.device ?? '',
  snapshotId: id,
  sizeGiB: wanted?.Ebs?.VolumeSize ?? sizeGiB,
  volumeType: wanted?.Ebs?.VolumeType ?? type,
  deleteOnTermination: wanted?.Ebs?.DeleteOnTermination ?? attached?.deleteOnTermination ?? true,
  encrypted,
});

/** Registers an image of existing snapshots. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RegisterImage.html */
export const registerImage: Operation<RegisterImageCommandInput, RegisterImageCommandOutput> = (input, { place }) => {
  const name = checkName(place, input.Name);
  const { Architecture = 'i386', BlockDeviceMappings = [] } = input;
  if (Architecture !== 'x86_64' && Architecture !== 'arm64') {
    throw new AwsError('InvalidParameterValue', `The lab has no machines of architecture ${Architecture}.`);
  }
  const devices = BlockDeviceMappings.map(({ DeviceName = '', Ebs = {} }): ImageDevice => {
    const snapshot = Ebs.SnapshotId === undefined ? undefined : snapshotEver(place, Ebs.SnapshotId);
    if (Ebs.SnapshotId !== undefined && (snapshot === undefined || !mayRead(snapshot, place.account)))
      throw notFound('snapshot', Ebs.SnapshotId);
    return {
      ...{ device: DeviceName, snapshotId: snapshot?.id, sizeGiB: Ebs.VolumeSize ?? snapshot?.sizeGiB ?? 8 },
      ...{
        volumeType: Ebs.VolumeType ?? 'gp3',
        deleteOnTermination: Ebs.DeleteOnTermination ?? true,
        encrypted: snapshot?.encrypted ?? false,
      },
    };
  });
  const image: LabImage = addImage(place, {
    ...{ id: newId('ami'), name, description: input.Description, architecture: Architecture, devices },
    rootDevice: input.RootDeviceName ?? '/dev/sda1',
    source: { imageId: '', region: '', instanceId: '' },
    imdsV2: input.ImdsSupport === 'v2.0',
    tags: tagsFor(input.TagSpecifications, 'image'),
  });
  image.state = 'available';
  return { ImageId: image.id };
};
