import type { CopyImageCommandInput, CopyImageCommandOutput } from '@aws-sdk/client-ec2';
import { principalOf } from '../iam/keys.ts';
import { newId } from '../ids.ts';
import { mayDecrypt, type Principal } from '../kms/use.ts';
import { AwsError, type Operation } from '../operation.ts';
import type { Place } from '../place.ts';
import { once } from './client-tokens.ts';
import { tagsFor } from './filters.ts';
import { unavailable } from './image-choice.ts';
import { addImage, checkName, finish } from './image-making.ts';
import { imageEver, mayLaunch, snapshotEver } from './images.ts';
import { checkId, notFound } from './resource-ids.ts';
import { addSnapshot, keyFor, lazily, mayRead } from './snapshot-state.ts';
import { type ImageDevice, type LabImage, type LabSnapshot, setTags, tagsOf } from './state.ts';

/** Called in the destination Region. Permissions, protection and deprecation are not copied. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/CopyingAMIs.html */
export const copyImage: Operation<CopyImageCommandInput, CopyImageCommandOutput> = async (input, call) => ({
  ImageId: await once(call.place, 'CopyImage', input.ClientToken, input, () => copy(call.place, input, principalOf(call))),
});

function copy(place: Place, input: CopyImageCommandInput, by: Principal): string {
  const from = place.core.place(place.account, input.SourceRegion ?? place.region);
  const source = sourceOf(from, input.SourceImageId ?? '');
  const name = checkName(place, input.Name);
  const id = newId('ami');
  const copied = source.devices.map(device => copySnapshot(place, { source, id }, device, input));
  const snapshots = copied.map(({ snapshot }) => snapshot).filter(snapshot => snapshot !== undefined);
  const image = addImage(place, {
    ...{
      id,
      name,
      description: input.Description ?? `[Copied ${source.id} from ${from.region}] ${source.name}`,
      architecture: source.architecture,
    },
    ...{ rootDevice: source.rootDevice, imdsV2: source.imdsV2 },
    devices: copied.map(({ device }) => device),
    source: { imageId: source.id, region: from.region, instanceId: '' },
    tags: { ...(input.CopyImageTags === true ? userTags(from, source.id) : {}), ...tagsFor(input.TagSpecifications, 'image') },
  });
  const content = isReadable(place, source, snapshots, by)
    ? Promise.all(snapshots.map(({ disk }) => disk?.()))
    : Promise.reject(new Error(NO_KEY));
  void finish(image, snapshots, place.core.timings.copy, content);
  return image.id;
}

const NO_KEY = 'Given key ID is not accessible';

/** KMS is called during the copy, for the keys of the source and of the copy. */
const isReadable = (place: Place, source: LabImage, copies: readonly LabSnapshot[], by: Principal): boolean => {
  const originals = source.devices.map(({ snapshotId }) => (snapshotId === undefined ? undefined : snapshotEver(source.place, snapshotId)));
  return [...originals, ...copies].every(snapshot => mayDecrypt(snapshot?.place ?? place, snapshot?.kmsKeyId, by));
};

/** The caller's own tags. Tags of the owner of a shared image are not copied. */
const userTags = (from: Place, id: string) =>
  Object.fromEntries(Object.entries(tagsOf(from, id)).filter(([key]) => !key.startsWith('aws:')));

function sourceOf(from: Place, id: string): LabImage {
  checkId('image', id);
  const source = imageEver(from, id);
  if (source === undefined || source.state === 'deregistered') throw notFound('image', id);
  if (!mayLaunch(source, from)) throw new AwsError('AuthFailure', `Not authorized for images: [${id}]`);
  if (source.state !== 'available') throw unavailable(`The image ID '${id}' is in state '${source.state}' and cannot be copied`);
  for (const { snapshotId } of source.devices) {
    const snapshot = snapshotId === undefined ? undefined : snapshotEver(from, snapshotId);
    // A launch needs the launch permission only. A copy must be able to read the snapshots.
    if (snapshot === undefined || mayRead(snapshot, from.account)) continue;
    throw new AwsError('InvalidRequest', 'You do not have permission to access the storage of this ami');
  }
  return source;
}

function copySnapshot(
  place: Place,
  { source, id }: { source: LabImage; id: string },
  device: ImageDevice,
  input: CopyImageCommandInput,
): { snapshot: LabSnapshot | undefined; device: ImageDevice } {
  const original = device.snapshotId === undefined ? undefined : snapshotEver(source.place, device.snapshotId);
  if (original === undefined) return { snapshot: undefined, device };
  const encrypted = original.encrypted || input.Encrypted === true || input.KmsKeyId !== undefined;
  const content = original.disk;
  const snapshot = addSnapshot(place, {
    id: newId('snap'),
    volumeId: 'vol-ffffffff',
    description: `Copied for DestinationAmi ${id} from SourceAmi ${source.id} for SourceSnapshot ${original.id}.`,
    ...{ sizeGiB: original.sizeGiB, encrypted, kmsKeyId: keyFor(place, encrypted, input.KmsKeyId) },
    disk: content && lazily(async () => place.core.hypervisor.clone(await content())),
  });
  setTags(place, snapshot.id, tagsFor(input.TagSpecifications, 'snapshot'));
  return { snapshot, device: { ...device, snapshotId: snapshot.id, encrypted } };
}
