import type {
  DeleteSnapshotReturnCode,
  DeregisterImageCommandInput,
  DeregisterImageCommandOutput,
  SnapshotReturnCodes,
} from '@aws-sdk/client-ec2';
import { AwsError, type Call, type Operation } from '../operation.ts';
import { ownImage } from './image-choice.ts';
import { snapshots } from './images.ts';
import { mishaps } from './mishaps.ts';
import { discardImage, discardSnapshot } from './recycle-bin.ts';
import { imagesOf } from './snapshot-state.ts';
import type { LabImage } from './state.ts';

/** 200 means that the image is deregistered, not that its snapshots are deleted. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeregisterImage.html */
export const deregisterImage: Operation<DeregisterImageCommandInput, DeregisterImageCommandOutput> = async (input, call) => {
  const { place } = call;
  const image = ownImage(place, input.ImageId);
  refuseProtected(image);
  image.state = 'deregistered';
  image.launchers.clear();
  discardImage(image);
  if (input.DeleteAssociatedSnapshots !== true) return { Return: true };
  const ids = image.devices.map(({ snapshotId }) => snapshotId).filter(id => id !== undefined);
  return { Return: true, DeleteSnapshotResults: await Promise.all(ids.map(id => deleteOne(call, id))) };
};

function refuseProtected({ id, protection: { enabled, until }, place }: LabImage): void {
  const cooling = until !== undefined && until.getTime() > place.core.clock.now();
  if (!enabled && !cooling) return;
  const reason = enabled ? 'is enabled' : `was disabled, but its cooldown lasts until ${until?.toISOString()}`;
  throw new AwsError('OperationNotPermitted', `The image '${id}' cannot be deregistered: deregistration protection ${reason}.`);
}

async function deleteOne({ place, may }: Call, SnapshotId: string): Promise<DeleteSnapshotReturnCode> {
  const code = (ReturnCode: SnapshotReturnCodes) => ({ SnapshotId, ReturnCode });
  if ((await may?.('ec2:DeleteSnapshot', { SnapshotId })) === false) return code('missing-permissions');
  const snapshot = snapshots(place).get(SnapshotId);
  const failure = mishaps(place).snapshotDeletion.get(SnapshotId);
  if (failure !== undefined) return code(failure);
  if (snapshot === undefined) return code('client-error');
  if (imagesOf(snapshot).length > 0) return code('skipped');
  discardSnapshot(snapshot);
  return code('success');
}
