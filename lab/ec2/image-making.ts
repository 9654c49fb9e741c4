import { AwsError } from '../operation.ts';
import type { Place } from '../place.ts';
import { images } from './images.ts';
import { mishaps } from './mishaps.ts';
import { type LabImage, type LabSnapshot, setTags } from './state.ts';

export interface Plan {
  readonly id: string;
  readonly name: string;
  readonly description: string | undefined;
  readonly architecture: LabImage['architecture'];
  readonly rootDevice: string;
  readonly devices: LabImage['devices'];
  readonly source: LabImage['source'];
  readonly imdsV2: boolean;
  readonly tags: Readonly<Record<string, string>>;
}

/** Pending until `finish`. */
export function addImage(place: Place, plan: Plan): LabImage {
  const image: LabImage = {
    ...{ id: plan.id, place, name: plan.name, description: plan.description ?? '', architecture: plan.architecture },
    ...{ createdAt: place.core.clock.date(), state: 'pending', stateReason: undefined },
    ...{ rootDevice: plan.rootDevice, devices: plan.devices, source: plan.source, imdsV2: plan.imdsV2 },
    ...{ deprecateAt: undefined, lastLaunchedAt: undefined, launchers: new Set<string>() },
    protection: { enabled: false, cooldown: false, until: undefined },
  };
  images(place).set(image.id, image);
  setTags(place, image.id, plan.tags);
  return image;
}

/**
 * Becomes available when its content exists and its duration has passed. Becomes failed when a test requests it, or when its content is missing. The call
 * that requested it has already succeeded.
 */
export async function finish(
  image: LabImage,
  snapshots: readonly LabSnapshot[],
  seconds: number,
  content: Promise<unknown>,
): Promise<void> {
  const { imageFails } = mishaps(image.place);
  const failure = imageFails.get(image.name) ?? imageFails.get('*');
  try {
    await Promise.all([content, image.place.core.clock.sleep(seconds)]);
    if (failure !== undefined) throw new Error(failure);
    for (const snapshot of snapshots) snapshot.state = 'completed';
    if (image.state === 'pending') image.state = 'available';
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    for (const snapshot of snapshots) Object.assign(snapshot, { state: 'error', stateMessage: message });
    if (image.state !== 'pending') return;
    image.state = 'failed';
    image.stateReason = { code: 'Client.InternalError', message };
  }
}

/** Image names are unique per account and Region while the image is registered. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateImage.html */
export function checkName(place: Place, name: string | undefined): string {
  if (name === undefined) throw new AwsError('MissingParameter', 'The request must contain the parameter Name');
  if (!/^[A-Za-z0-9()[\] ./\-'@_]{3,128}$/.test(name)) {
    const rule = `AMI names must be between 3 and 128 characters long, and may contain letters, numbers, '(', ')', '[', ']', ' ', '.', '/', '-', ''', '@' and '_'`;
    throw new AwsError('InvalidAMIName.Malformed', rule);
  }
  const taken = [...images(place).values()].find(image => image.name === name && image.state !== 'deregistered');
  if (taken !== undefined) throw new AwsError('InvalidAMIName.Duplicate', `AMI name ${name} is already in use by AMI ${taken.id}`);
  return name;
}
