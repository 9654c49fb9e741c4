import { RejectedError, UsageError, withDetails } from '../kit/errors.ts';
import { flag, optional, text } from '../kit/fields.ts';
import { type Image, identity, newestFirst, type Tags, tagKey, unavailableReason } from '../model/image.ts';
import { provenBad } from '../model/veto.ts';
import { wait } from '../model/wait-setting.ts';
import type { Deps } from '../ports/deps.ts';
import type { Instance } from '../ports/instances.ts';
import { adopt, type BuiltImage } from './adopt.ts';
import type { BuildPlan } from './plan.ts';
import { maxAgeOf } from './reuse.ts';

/** An image of a running instance instead of one from a template: what a machine that was set up by other means has become. */

export const instanceSettings = {
  fromInstance: optional(
    text('Makes the image of this instance, as it is, instead of building one.', {
      pattern: /^i-([0-9a-f]{8}|[0-9a-f]{17})$/,
      message: 'must be the ID of an instance',
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
  readonly timeout: number;
  readonly rebuild?: string | undefined;
  readonly baseImage?: readonly string[] | undefined;
  readonly var: Readonly<Record<string, string>>;
  readonly secretVar: Readonly<Record<string, string>>;
  readonly varFiles: readonly string[];
  readonly content: readonly string[];
  readonly only: readonly string[];
  readonly except: readonly string[];
  readonly instanceType?: string | undefined;
  readonly regions: readonly string[];
  readonly region: string;
}

type NeededDeps = Deps<'images' | 'leftovers' | 'instances' | 'capture'>;

/** Settings that mean a template, and would silently do nothing here. */
export function instanceProblem(wish: InstanceWish): string | undefined {
  if (wish.fromInstance === undefined) return wish.wait ? undefined : '"wait: false" is for "from-instance": Packer is always waited for';
  const said = {
    'base-image': wish.baseImage ?? [],
    var: Object.keys(wish.var),
    'secret-var': Object.keys(wish.secretVar),
    'var-files': wish.varFiles,
    content: wish.content,
    only: wish.only,
    except: wish.except,
    'instance-type': [wish.instanceType ?? []].flat(),
    regions: wish.regions,
  };
  const idle = Object.entries(said).filter(([, values]) => values.length > 0);
  return idle.length === 0 ? undefined : `"from-instance" uses no template: take out ${idle.map(([name]) => `"${name}"`).join(', ')}`;
}

/** An image that an earlier run has begun to make of it, or the machine to make one of. */
export type Subject = { readonly reason: string } & ({ readonly begun: Image } | { readonly instance: Instance });

export async function lookAtInstance(instanceId: string, wish: InstanceWish, plan: BuildPlan, deps: NeededDeps): Promise<Subject> {
  const begun = wish.rebuild === 'always' ? undefined : await startedBefore(instanceId, plan, deps, wish);
  if (begun !== undefined) return { begun, reason: `${begun.id} is of this instance and this commit` };
  const instance = await deps.inRegion({ region: wish.region }).instances.get(instanceId);
  if (instance === undefined || !['running', 'stopped'].includes(instance.state)) throw new UsageError([whyNot(instanceId, instance)]);
  return { instance, reason: `"from-instance" is ${instanceId}` };
}

export async function captureInstance(
  subject: Subject,
  wish: InstanceWish,
  plan: BuildPlan,
  deps: NeededDeps,
): Promise<readonly BuiltImage[]> {
  if ('begun' in subject) return finish(subject.begun, wish, plan, deps);
  const { instance } = subject;
  const aws = deps.inRegion({ region: wish.region });
  const tags = capturedTags(plan, instance);
  const id =
    (await aws.capture.image({ instanceId: instance.id, name: plan.name, noReboot: wish.noReboot, tags })) ??
    (await lostAnswer(plan, deps, wish.region));
  deps.report.info(`${id} is being made of ${instance.id}${wish.noReboot ? ', which runs on' : ', which restarts'}.`);
  const made = await aws.images.get(id);
  if (made === undefined) throw new RejectedError(`${id} was made of ${instance.id}, and EC2 does not know it.`);
  return finish(made, wish, plan, deps);
}

const whyNot = (id: string, instance: Instance | undefined): string =>
  `"from-instance": ${id} ${instance === undefined ? 'does not exist here' : `is ${instance.state}`}, it must be running or stopped`;

/** Not yet one of the family: that comes when it is there. Nothing that expires either: without "wait" it may take its time. */
const capturedTags = (plan: BuildPlan, instance: Instance): Tags => ({
  ...plan.earlyTags,
  [tagKey(plan.scheme, 'from-instance')]: instance.id,
  [tagKey(plan.scheme, 'base-ami')]: instance.imageId,
});

/** By content, not by a token of the run: a later run of the same commit goes on where the earlier one stopped looking. */
async function startedBefore(
  instanceId: string,
  { scheme, tags: planned }: BuildPlan,
  { inRegion, clock }: NeededDeps,
  { region, rebuild }: InstanceWish,
): Promise<Image | undefined> {
  const commit = planned[scheme.commitKey];
  if (commit === undefined) return undefined;
  const tags = { [tagKey(scheme, 'from-instance')]: instanceId, [scheme.commitKey]: commit };
  const found = await inRegion({ region }).images.find({ tags });
  const mine = planned[tagKey(scheme, 'family')];
  const oldest = clock.now() - (maxAgeOf(rebuild) ?? Number.POSITIVE_INFINITY) * 1000;
  const usable = found.filter(
    image =>
      image.createdAt.getTime() >= oldest &&
      unavailableReason(image) === undefined &&
      provenBad(image, scheme) === undefined &&
      (['family', 'for-family'] as const).every(key => [undefined, mine].includes(identity(image, scheme, key))),
  );
  return usable.sort(newestFirst)[0];
}

async function lostAnswer({ name, tags, scheme }: BuildPlan, { inRegion }: NeededDeps, region: string): Promise<string> {
  const [taken] = await inRegion({ region }).images.find({ names: [name] });
  const created = tagKey(scheme, 'created-at');
  if (taken !== undefined && taken.tags[created] === tags[created]) return taken.id;
  throw new UsageError([`"name" becomes ${JSON.stringify(name)}, and ${taken?.id ?? 'another image'} is called so already`], {
    next: 'Put {timestamp} into "name".',
  });
}

async function finish(image: Image, wish: InstanceWish, plan: BuildPlan, deps: NeededDeps): Promise<readonly BuiltImage[]> {
  const { region, fromInstance: source = '' } = wish;
  if (wish.wait) {
    const made = { source, region, id: image.id, baseAmi: identity(image, plan.scheme, 'base-ami') };
    return adopt([made], plan, deps, { atMostSeconds: wish.timeout, next: MORE }).catch(failure => unfinished(made, failure, deps));
  }
  deps.report.info(`${image.id} is ${image.state}: a later run of this commit makes it one of the family.`);
  return [{ source, architecture: image.architecture, region, id: image.id, name: image.name, sizeGiB: image.sizeGiB }];
}

const MORE = 'Run it again. A large disk may need more "timeout" for its first snapshot.';

/** Of an image that failed nothing is left: nobody can use it, nothing marks it, and it would keep its name from the next try. */
async function unfinished({ id, region }: { id: string; region: string }, failure: unknown, { inRegion }: NeededDeps): Promise<never> {
  if (!(failure instanceof RejectedError)) {
    throw withDetails(failure, { leftovers: [`${id} in ${region}, not yet one of the family: a later run of this commit makes it one`] });
  }
  const { images, leftovers } = inRegion({ region });
  const image = await images.get(id);
  if (image !== undefined && unavailableReason(image) !== undefined) await leftovers.remove({ kind: 'image', id });
  throw failure;
}
