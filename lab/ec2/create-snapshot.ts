import type { CreateSnapshotCommandInput, CreateSnapshotCommandOutput } from '@aws-sdk/client-ec2';
import { newId } from '../ids.ts';
import type { Disk } from '../machines/hypervisor.ts';
import type { Operation } from '../operation.ts';
import { tagsFor } from './filters.ts';
import { whileStill } from './lifecycle.ts';
import { pick } from './resource-ids.ts';
import { addSnapshot, lazily } from './snapshot-state.ts';
import { instances, type LabInstance, type LabVolume, setTags, tagsOf, volumes } from './state.ts';

/** Has the content of a root volume; others of the lab are empty. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSnapshot.html */
export const createSnapshot: Operation<CreateSnapshotCommandInput, CreateSnapshotCommandOutput> = (input, { place }) => {
  const [volume] = pick('volume', [input.VolumeId ?? ''], id => volumes(place).get(id)) as [LabVolume];
  const instance = instances(place).get(volume.attached?.instanceId ?? '');
  const isRoot = instance !== undefined && instance.rootDevice === volume.attached?.device;
  const disk = isRoot ? lazily(() => contentOf(instance)) : undefined;
  const snapshot = addSnapshot(place, {
    ...{ id: newId('snap'), volumeId: volume.id, description: input.Description ?? '', sizeGiB: volume.sizeGiB },
    ...{ encrypted: volume.encrypted, kmsKeyId: volume.kmsKeyId, disk },
  });
  setTags(place, snapshot.id, tagsFor(input.TagSpecifications, 'snapshot'));
  const { clock, timings } = place.core;
  void Promise.all([disk?.(), clock.sleep(timings.image)]).then(
    () => Object.assign(snapshot, { state: 'completed' }),
    (cause: Error) => Object.assign(snapshot, { state: 'error', stateMessage: cause.message }),
  );
  return {
    ...{ SnapshotId: snapshot.id, VolumeId: volume.id, VolumeSize: snapshot.sizeGiB, State: snapshot.state, Progress: '' },
    ...{ StartTime: snapshot.startedAt, Description: snapshot.description, OwnerId: place.account, Encrypted: snapshot.encrypted },
    Tags: Object.entries(tagsOf(place, snapshot.id)).map(([Key, Value]) => ({ Key, Value })),
  };
};

const contentOf = (instance: LabInstance): Promise<Disk> =>
  new Promise((resolve, reject) => {
    const copy = async () => {
      if (instance.disk === undefined) reject(new Error(`The instance '${instance.id}' was terminated.`));
      else await instance.place.core.hypervisor.clone(instance.disk).then(resolve, reject);
    };
    void whileStill(instance, copy);
  });
