import { type Core, type Place, shared, slice } from '../place.ts';
import { isHidden } from './allowed-images.ts';
import { AMAZON, baseImages, baseSnapshots, DEBIAN } from './base-images.ts';
import type { LabImage, LabSnapshot } from './state.ts';

/** The account's images, by ID. Deregistered images stay as long as instances may run them. */
export const images = slice((place): Map<string, LabImage> => new Map(baseImages(place).map(image => [image.id, image])));

export const snapshots = slice((place): Map<string, LabSnapshot> => new Map(baseSnapshots(place).map(found => [found.id, found])));

/** Accounts by the ARN of their organization or unit, for images that are shared with all of them. */
export const organizations = shared((): Map<string, Set<string>> => new Map());

/** All accounts with state in this region, including the owners of public images. */
export function neighbours({ core, region }: Place): readonly Place[] {
  for (const owner of [AMAZON, DEBIAN]) core.place(owner, region);
  return core.places().filter(place => place.region === region);
}

/** https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/sharing-amis.html */
export function mayLaunch(image: LabImage, place: Place): boolean {
  const { account, core } = place;
  if (image.place.account === account) return true;
  if (image.state === 'disabled' || image.state === 'deregistered' || isHidden(image, place)) return false;
  return image.launchers.has('all') || image.launchers.has(account) || inOrganization(core, image.launchers, account);
}

const inOrganization = (core: Core, launchers: ReadonlySet<string>, account: string): boolean =>
  [...launchers].some(arn => organizations(core).get(arn)?.has(account) === true);

/** An image that is visible to this account in this region: its own, shared or public, and registered. */
export function imageFor(place: Place, id: string): LabImage | undefined {
  const image = imageEver(place, id);
  return image !== undefined && image.state !== 'deregistered' && mayLaunch(image, place) ? image : undefined;
}

/** The same without these conditions. */
export function imageEver(place: Place, id: string): LabImage | undefined {
  for (const owner of neighbours(place)) {
    const image = images(owner).get(id);
    if (image !== undefined) return image;
  }
  return undefined;
}

export const snapshotEver = (place: Place, id: string): LabSnapshot | undefined => {
  for (const owner of neighbours(place)) {
    const snapshot = snapshots(owner).get(id);
    if (snapshot !== undefined) return snapshot;
  }
  return undefined;
};

export const rootSnapshot = (image: LabImage): LabSnapshot | undefined => {
  const id = image.devices.find(({ device }) => device === image.rootDevice)?.snapshotId;
  return id === undefined ? undefined : snapshotEver(image.place, id);
};
