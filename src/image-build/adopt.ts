import { waitFor } from '../kit/wait.ts';
import { missingTags } from '../model/identity.ts';
import { type IdentityKey, type Image, type Tags, tagKey, unavailableReason } from '../model/image.ts';
import type { Deps } from '../ports/deps.ts';
import { type BuildPlan, temporaryKeys } from './plan.ts';
import type { Artifact } from './rules/packer-output.ts';

/** One entry of the output `images`, and its size for the summary. */
export interface BuiltImage {
  readonly source: string;
  readonly architecture: string;
  readonly region: string;
  readonly id: string;
  readonly name: string;
  readonly sizeGiB: number;
  readonly encrypted?: boolean;
}

export interface CreatedImage extends Artifact {
  /** Base image of the source, where Packer printed it. */
  readonly baseAmi?: string | undefined;
}

/**
 * Makes images of Packer images of the family: waits for each in its region, tags it and its snapshots, reads the tags back.
 * The template may not have tagged it at all, and copies in other regions lose the tags of their snapshots.
 */
export const adopt = (
  created: readonly CreatedImage[],
  plan: BuildPlan,
  deps: Deps<'images'>,
  limit: WaitLimit = afterPacker(plan, deps.clock.now()),
): Promise<readonly BuiltImage[]> =>
  Promise.all(
    created.map(async artifact => {
      const siblings = created.filter(({ region }) => region === artifact.region).length;
      return tagImage(artifact, await waitUntilAvailable(artifact, limit, deps), siblings, plan, deps);
    }),
  );

/** How long to wait for an image, and what to do when it takes longer. */
export interface WaitLimit {
  readonly atMostSeconds: number;
  readonly next?: string;
}

const POLL_SECONDS = 5;
/** Within "timeout", but long enough to see an image that exists. */
const afterPacker = ({ deadline }: BuildPlan, now: number): WaitLimit => ({
  atMostSeconds: Math.min(30 * 60, Math.max(120, (deadline - now) / 1000)),
  next: 'Does the template build in another account (assume_role, profile, keys)? Set "template-role". Else run the job again.',
});
// Tags are eventually consistent, by seconds. https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html
const TAGS_SECONDS = 120;

const waitUntilAvailable = ({ region, id }: CreatedImage, limit: WaitLimit, deps: Deps<'images'>): Promise<Image> => {
  const { images } = deps.inRegion({ region });
  const poll = async () => imageState(await images.get(id));
  return waitFor({ what: `${id} in ${region}`, everySeconds: POLL_SECONDS, ...limit, poll }, deps);
};

async function tagImage(
  { source, region, id, baseAmi }: CreatedImage,
  image: Image,
  siblings: number,
  plan: BuildPlan,
  deps: Deps<'images'>,
): Promise<BuiltImage> {
  const { images } = deps.inRegion({ region });
  const of = (key: IdentityKey, value: string | undefined) => (value === undefined ? {} : { [tagKey(plan.scheme, key)]: value });
  const { Name: _, ...ours } = plan.tags;
  const tags: Tags = {
    ...of('base-ami', baseAmi),
    ...ours,
    ...(hasOwnName(image, plan) ? {} : { Name: plan.nameTag(image.name) }),
    ...of('source', source),
    ...of('siblings', String(siblings)),
  };
  const resources = [id, ...image.snapshotIds];
  await images.tag(resources, tags);
  // Snapshots of amazon-ebssurrogate may have them although the image has not.
  await images.untag(resources, temporaryKeys(plan.scheme));
  const poll = async () => tagState(tags, await images.get(id));
  await waitFor({ what: `Tags of ${id}`, everySeconds: POLL_SECONDS, atMostSeconds: TAGS_SECONDS, poll }, deps);
  deps.report.info(`${region}: ${id} (${image.architecture}) is ${image.name}`);
  return { source, architecture: image.architecture, region, id, name: image.name, sizeGiB: image.sizeGiB, encrypted: image.encrypted };
}

/** The template wrote a tag `Name` of its own, and the user set none. */
const hasOwnName = ({ tags, name }: Image, plan: BuildPlan): boolean =>
  ![undefined, name, plan.name, plan.nameTag(name), plan.runTags['Name']].includes(tags['Name']) && plan.nameTag(name) === name;

function imageState(image: Image | undefined) {
  if (image === undefined) return { state: 'waiting', note: 'not visible in EC2 yet' } as const;
  const reason = unavailableReason(image);
  if (reason !== undefined) return { state: 'failed', reason } as const;
  return image.state === 'available' ? ({ state: 'done', value: image } as const) : ({ state: 'waiting', note: image.state } as const);
}

function tagState(expected: Tags, image: Image | undefined) {
  const missing = missingTags(expected, image?.tags ?? {});
  return missing.length === 0
    ? ({ state: 'done', value: undefined } as const)
    : ({ state: 'waiting', note: `${missing.join(', ')} cannot be read back yet` } as const);
}
