import type { BlockDeviceMapping, VolumeType } from '@aws-sdk/client-ec2';
import { newId } from '../ids.ts';
import { AwsError } from '../operation.ts';
import type { Place } from '../place.ts';
import { snapshotEver } from './images.ts';
import { notFound } from './resource-ids.ts';
import { keyFor } from './snapshot-state.ts';
import { type ImageDevice, type LabImage, setTags, volumes } from './state.ts';

/** A volume to create. */
export interface Device extends Omit<ImageDevice, 'snapshotId'> {
  readonly snapshotId: string | undefined;
  readonly kmsKeyId: string | undefined;
}

/** The image's mappings, each overridden by the launch's mapping of the same device. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/block-device-mapping-concepts.html */
export function blockDevices(place: Place, image: LabImage, wanted: readonly BlockDeviceMapping[] = []): readonly Device[] {
  const devices = new Map<string, Device>(image.devices.map(device => [device.device, { ...device, kmsKeyId: undefined }]));
  for (const mapping of wanted) {
    const name = mapping.DeviceName ?? '';
    if (mapping.NoDevice !== undefined) devices.delete(name);
    else if (mapping.VirtualName === undefined) devices.set(name, merged(place, name, devices.get(name), mapping.Ebs ?? {}));
  }
  return [...devices.values()];
}

function merged(place: Place, device: string, base: Device | undefined, ebs: NonNullable<BlockDeviceMapping['Ebs']>): Device {
  const snapshotId = ebs.SnapshotId ?? base?.snapshotId;
  const least = snapshotId === undefined ? undefined : sizeOf(place, snapshotId);
  const sizeGiB = ebs.VolumeSize ?? base?.sizeGiB ?? least;
  if (sizeGiB === undefined) throw refused(`Volume size or snapshot must be given for ${device}`);
  if (least !== undefined && sizeGiB < least) {
    throw refused(`Volume of size ${sizeGiB}GB is smaller than snapshot '${snapshotId}', expect size>= ${least}GB`);
  }
  return {
    ...{ device, snapshotId, sizeGiB },
    volumeType: (ebs.VolumeType ?? base?.volumeType ?? 'gp3') as VolumeType,
    deleteOnTermination: ebs.DeleteOnTermination ?? base?.deleteOnTermination ?? true,
    encrypted: ebs.Encrypted ?? base?.encrypted ?? false,
    kmsKeyId: ebs.KmsKeyId,
  };
}

function sizeOf(place: Place, id: string): number {
  const snapshot = snapshotEver(place, id);
  if (snapshot === undefined) throw notFound('snapshot', id);
  return snapshot.sizeGiB;
}

const refused = (message: string) => new AwsError('InvalidBlockDeviceMapping', message);

export const makeVolumes = (
  place: Place,
  instanceId: string,
  zone: string,
  devices: readonly Device[],
  tags: Readonly<Record<string, string>>,
): readonly string[] =>
  devices.map(({ device, sizeGiB, volumeType, snapshotId, deleteOnTermination, encrypted, kmsKeyId }) => {
    const id = newId('vol');
    volumes(place).set(id, {
      ...{ id, place, sizeGiB, zone, snapshotId, encrypted, kmsKeyId: keyFor(place, encrypted, kmsKeyId) },
      type: volumeType,
      createdAt: place.core.clock.date(),
      attached: { instanceId, device, deleteOnTermination },
    });
    setTags(place, id, tags);
    return id;
  });
