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
}

export interface Made extends Artifact {
  /** What the source was built from, where Packer said it. */
  readonly baseAmi?: string | undefined;
}

/**
 * Makes images of Packer images of the family: looks at each in its region, tags it and its snapshots, reads the tags back.
 * The template may not have tagged it at all, and its copies in other regions lose their snapshots' tags.
 */
export const adopt = (
  made: readonly Made[],
  plan: BuildPlan,
  deps: Deps<'images'>,
  patience: Patience = PACKER_HAS_WAITED,
): Promise<readonly BuiltImage[]> =>
  Promise.all(
    made.map(async artifact => {
      const siblings = made.filter(({ region }) => region === artifact.region).length;
      return settled(artifact, await available(artifact, patience, deps), siblings, plan, deps);
    }),
  );

/** How long an image may take to become available, and what to do when it took longer. */
export interface Patience {
  readonly atMostSeconds: number;
  readonly next?: string;
}

const LOOK_SECONDS = 5;
const PACKER_HAS_WAITED: Patience = { atMostSeconds: 30 * 60 };
// Tags are eventually consistent, by seconds. https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html
const TAGGED_SECONDS = 120;

const available = ({ region, id }: Made, patience: Patience, deps: Deps<'images'>): Promise<Image> => {
  const { images } = deps.inRegion({ region });
  const poll = async () => judge(await images.get(id));
  return waitFor({ what: `${id} in ${region}`, everySeconds: LOOK_SECONDS, ...patience, poll }, deps);
};

async function settled(
  { source, region, id, baseAmi }: Made,
  image: Image,
  siblings: number,
  plan: BuildPlan,
  deps: Deps<'images'>,
): Promise<BuiltImage> {
  const { images } = deps.inRegion({ region });
  const of = (key: IdentityKey, value: string | undefined) => (value === undefined ? {} : { [tagKey(plan.scheme, key)]: value });
  const tags: Tags = {
    ...of('base-ami', baseAmi),
    ...plan.tags,
    Name: plan.named(image.name),
    ...of('source', source),
    ...of('siblings', String(siblings)),
  };
  const resources = [id, ...image.snapshotIds];
  await images.tag(resources, tags);
  const shed = temporaryKeys(plan.scheme).filter(key => key in image.tags);
  if (shed.length > 0) await images.untag(resources, shed);
  const what = `Tags of ${id}`;
  await waitFor(
    { what, everySeconds: LOOK_SECONDS, atMostSeconds: TAGGED_SECONDS, poll: async () => judgeTags(tags, await images.get(id)) },
    deps,
  );
  deps.report.info(`${region}: ${id} (${image.architecture}) is ${image.name}`);
  return { source, architecture: image.architecture, region, id, name: image.name, sizeGiB: image.sizeGiB };
}

function judge(image: Image | undefined) {
  if (image === undefined) return { state: 'waiting', note: 'EC2 does not know it yet' } as const;
  const dead = unavailableReason(image);
  if (dead !== undefined) return { state: 'failed', reason: dead } as const;
  return image.state === 'available' ? ({ state: 'done', value: image } as const) : ({ state: 'waiting', note: image.state } as const);
}

function judgeTags(wanted: Tags, image: Image | undefined) {
  const missing = missingTags(wanted, image?.tags ?? {});
  return missing.length === 0
    ? ({ state: 'done', value: undefined } as const)
    : ({ state: 'waiting', note: `${missing.join(', ')} cannot be read back yet` } as const);
}
