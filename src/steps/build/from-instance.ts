import { provenBad } from '../../domain/build/reuse.ts';
import { deadBecause, type Image, identity, newestFirst, type Tags, tagKey } from '../../domain/image.ts';
import { RejectedError, UsageError } from '../../kit/errors.ts';
import { flag, optional, text } from '../../kit/fields.ts';
import type { Machine } from '../../world/machines.ts';
import type { Powers } from '../../world.ts';
import { wait } from '../wait-setting.ts';
import { adopt, type BuiltImage } from './adopt.ts';
import type { BuildPlan } from './plan.ts';

/** An image of a running instance instead of one from a template: what a machine that was set up by other means has become. */

export const instanceSettings = {
  fromInstance: optional(
    text('Makes the image of this instance, as it is, instead of building one.', {
      pattern: /^i-([0-9a-f]{8}|[0-9a-f]{17})$/,
      says: 'must be the ID of an instance',
      neededBy: 'teams that set machines up with cloud-init or Ansible',
    }),
  ),
  noReboot: flag('Leave the instance running meanwhile. Its disk is then as after a power cut; false restarts the instance.', true, {
    neededBy: 'users of `from-instance`',
  }),
  wait,
};

export interface InstanceWish {
  readonly fromInstance?: string | undefined;
  readonly noReboot: boolean;
  readonly wait: boolean;
  readonly rebuild?: string | undefined;
  readonly baseImage?: readonly string[] | undefined;
  readonly var: Readonly<Record<string, string>>;
  readonly varFiles: readonly string[];
  readonly regions: readonly string[];
  readonly region: string;
}

export interface Captured {
  readonly images: readonly BuiltImage[];
  readonly built: boolean;
  readonly because: string;
}

type World = Powers<'images' | 'machines' | 'capture'>;

/** Settings that mean a template, and would silently do nothing here. */
export function instanceProblem(wish: InstanceWish): string | undefined {
  if (wish.fromInstance === undefined) return wish.wait ? undefined : '"wait: false" is for "from-instance": Packer is always waited for';
  const said = {
    'base-image': wish.baseImage?.length ?? 0,
    var: Object.keys(wish.var).length,
    'var-files': wish.varFiles.length,
    regions: wish.regions.length,
  };
  const idle = Object.entries(said).filter(([, count]) => count > 0);
  return idle.length === 0 ? undefined : `"from-instance" uses no template: take out ${idle.map(([name]) => `"${name}"`).join(', ')}`;
}

export async function captureInstance(instanceId: string, wish: InstanceWish, plan: BuildPlan, world: World): Promise<Captured> {
  const place = world.at({ region: wish.region });
  const earlier = wish.rebuild === 'always' ? undefined : await startedBefore(instanceId, plan, world, wish.region);
  if (earlier !== undefined)
    return { ...(await finish(earlier, wish, plan, world)), built: false, because: `${earlier.id} is of this instance and this commit` };
  const machine = await place.machines.get(instanceId);
  if (machine === undefined || !['running', 'stopped'].includes(machine.state)) throw new UsageError([whyNot(instanceId, machine)]);
  const tags = capturedTags(plan, machine);
  const id =
    (await place.capture.image({ instanceId, name: plan.name, noReboot: wish.noReboot, tags })) ??
    (await lostAnswer(plan, world, wish.region));
  world.report.info(`${id} is being made of ${instanceId}${wish.noReboot ? ', which runs on' : ', which restarts'}.`);
  const made = await place.images.get(id);
  if (made === undefined) throw new RejectedError(`${id} was made of ${instanceId}, and EC2 does not know it.`);
  return { ...(await finish(made, wish, plan, world)), built: true, because: `"from-instance" is ${instanceId}` };
}

const whyNot = (id: string, machine: Machine | undefined): string =>
  `"from-instance": ${id} ${machine === undefined ? 'does not exist here' : `is ${machine.state}`}, it must be running or stopped`;

/** Not yet one of the family: that comes when it is there. Nothing that expires either: without "wait" it may take its time. */
const capturedTags = (plan: BuildPlan, machine: Machine): Tags => ({
  ...plan.earlyTags,
  [tagKey(plan.scheme, 'from-instance')]: machine.id,
  [tagKey(plan.scheme, 'base-ami')]: machine.imageId,
});

/** By content, not by a token of the run: a later run of the same commit goes on where the earlier one stopped looking. */
async function startedBefore(instanceId: string, plan: BuildPlan, { at }: World, region: string): Promise<Image | undefined> {
  const commit = plan.tags[plan.scheme.commitKey];
  if (commit === undefined) return undefined;
  const tags = { [tagKey(plan.scheme, 'from-instance')]: instanceId, [plan.scheme.commitKey]: commit };
  const found = await at({ region }).images.find({ tags });
  const mine = plan.tags[tagKey(plan.scheme, 'family')];
  const usable = found.filter(
    image =>
      deadBecause(image) === undefined &&
      provenBad(image, plan.scheme) === undefined &&
      (['family', 'for-family'] as const).every(key => [undefined, mine].includes(identity(image, plan.scheme, key))),
  );
  return usable.sort(newestFirst)[0];
}

async function lostAnswer({ name, tags, scheme }: BuildPlan, { at }: World, region: string): Promise<string> {
  const [taken] = await at({ region }).images.find({ names: [name] });
  const created = tagKey(scheme, 'created-at');
  if (taken !== undefined && taken.tags[created] === tags[created]) return taken.id;
  throw new UsageError([`"name" becomes ${JSON.stringify(name)}, and ${taken?.id ?? 'another image'} is called so already`], {
    next: 'Put {timestamp} into "name".',
  });
}

async function finish(image: Image, wish: InstanceWish, plan: BuildPlan, world: World): Promise<{ images: readonly BuiltImage[] }> {
  const source = wish.fromInstance ?? '';
  if (wish.wait)
    return {
      images: await adopt([{ source, region: wish.region, id: image.id, baseAmi: identity(image, plan.scheme, 'base-ami') }], plan, world),
    };
  world.report.info(`${image.id} is ${image.state}: a later run of this commit makes it one of the family.`);
  return {
    images: [{ source, architecture: image.architecture, region: wish.region, id: image.id, name: image.name, sizeGiB: image.sizeGiB }],
  };
}
