import { RejectedError, UsageError, withDetails } from '../kit/errors.ts';
import { waitFor } from '../kit/wait.ts';
import { type Image, identity, newestFirst, type Tags, tagKey, unavailableReason } from '../model/image.ts';
import { provenBad } from '../model/veto.ts';
import type { Deps, RegionClients } from '../ports/deps.ts';
import type { Instance } from '../ports/instances.ts';
import { adopt, type BuiltImage } from './adopt.ts';
import type { BuildPlan } from './plan.ts';
import { maxAgeOf } from './reuse.ts';
import type { BuildOptions } from './settings.ts';

/** An image of a running instance instead of one from a template. */

type CaptureDeps = Deps<'images' | 'leftovers' | 'instances' | 'capture'>;

/** Settings that are for a template, and would have no effect. */
export function instanceProblem(options: BuildOptions): string | undefined {
  if (options.fromInstance === undefined)
    return options.wait ? undefined : '"wait: false" needs "from-instance": a Packer build is always waited for';
  const given = {
    'base-image': options.baseImage ?? [],
    var: Object.keys(options.var),
    'secret-var': Object.keys(options.secretVar),
    'var-files': options.varFiles,
    content: options.content,
    'app-paths': options.appPaths,
    only: options.only,
    except: options.except,
    'instance-type': [options.instanceType ?? []].flat(),
    regions: options.regions,
  };
  const unused = Object.entries(given).filter(([, values]) => values.length > 0);
  return unused.length === 0 ? undefined : `"from-instance" uses no template: remove ${unused.map(([name]) => `"${name}"`).join(', ')}`;
}

/** An image that an earlier run began to create from the instance, or the instance to create one from. */
export type CapturePlan = { readonly reason: string } & ({ readonly begun: Image } | { readonly instance: Instance });

export async function planCapture(instanceId: string, options: BuildOptions, plan: BuildPlan, deps: CaptureDeps): Promise<CapturePlan> {
  const begun = options.rebuild === 'always' ? undefined : await findEarlierImage(instanceId, plan, deps, options);
  if (begun !== undefined) return { begun, reason: begunReason(begun, plan) };
  const instance = await deps.inRegion({ region: options.region }).instances.get(instanceId);
  if (instance === undefined || !['running', 'stopped'].includes(instance.state))
    throw new UsageError([unusable(instanceId, instance, options.region)], { unchanged: true });
  return { instance, reason: `"from-instance" is ${instanceId}` };
}

export async function captureInstance(
  capture: CapturePlan,
  options: BuildOptions,
  plan: BuildPlan,
  deps: CaptureDeps,
): Promise<readonly BuiltImage[]> {
  if ('begun' in capture) return finishCapture(capture.begun, options, plan, deps);
  const { instance } = capture;
  const aws = deps.inRegion({ region: options.region });
  const tags = capturedTags(plan, instance, deps.clock.now());
  const id =
    (await aws.capture.image({ instanceId: instance.id, name: plan.name, noReboot: options.noReboot, tags })) ??
    (await findCreatedImage(plan, deps, options.region));
  deps.report.info(`Creating ${id} from ${instance.id}, which ${options.noReboot ? 'keeps running' : 'restarts'}.`);
  const created = await waitUntilVisible(id, aws, deps).catch(failure => {
    throw withDetails(failure, { leftovers: [unfinishedLine(id, options.region, plan)] });
  });
  return finishCapture(created, options, plan, deps);
}

/** An ID may be unknown for seconds after it was created. https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html */
const waitUntilVisible = (id: string, { images }: Pick<RegionClients, 'images'>, deps: CaptureDeps): Promise<Image> =>
  waitFor(
    {
      ...{ what: `Image ${id}`, everySeconds: 3, atMostSeconds: 120 },
      poll: async () => {
        const image = await images.get(id);
        return image === undefined ? { state: 'waiting', note: 'not visible in EC2 yet' } : { state: 'done', value: image };
      },
    },
    deps,
  );

const unusable = (id: string, instance: Instance | undefined, region: string): string =>
  instance === undefined
    ? `"from-instance": instance ${id} does not exist in ${region} of this account`
    : `"from-instance": instance ${id} is ${instance.state}, must be running or stopped`;

/** Where no run finishes the image, prune removes it. Its first snapshot may take a day. */
const UNFINISHED_MS = 7 * 86_400_000;

/** Without the family, which is added when the image is available. */
const capturedTags = (plan: BuildPlan, instance: Instance, now: number): Tags => ({
  ...plan.earlyTags,
  [tagKey(plan.scheme, 'purpose')]: 'build',
  [tagKey(plan.scheme, 'expires-at')]: new Date(now + UNFINISHED_MS).toISOString(),
  [tagKey(plan.scheme, 'from-instance')]: instance.id,
  [tagKey(plan.scheme, 'base-ami')]: instance.imageId,
});

const laterRun = ({ scheme, tags }: BuildPlan): string =>
  tags[scheme.commitKey] === undefined ? 'a later run for this instance' : 'a later run of this commit';

const unfinishedLine = (id: string, region: string, plan: BuildPlan): string =>
  `${id} in ${region}, not in the family yet: ${laterRun(plan)} adopts it`;

function begunReason(image: Image, { scheme, tags }: BuildPlan): string {
  if (tags[scheme.commitKey] !== undefined) return `${image.id} is of this instance and this commit`;
  return identity(image, scheme, 'family') === undefined
    ? `${image.id} is of this instance, and no run has finished it yet`
    : `${image.id} is of this instance, and as young as "rebuild" asks`;
}

/**
 * By instance and commit, not by run: a later run of the same commit continues where the earlier one stopped. Without a commit, as on an
 * instance that saves itself, an image that is not finished is continued, and a finished one taken if "rebuild" says so.
 */
async function findEarlierImage(
  instanceId: string,
  { scheme, tags: planned }: BuildPlan,
  { inRegion, clock }: CaptureDeps,
  { region, rebuild }: Pick<BuildOptions, 'region' | 'rebuild'>,
): Promise<Image | undefined> {
  const commit = planned[scheme.commitKey];
  const ofCommit: Tags = commit === undefined ? {} : { [scheme.commitKey]: commit };
  const found = await inRegion({ region }).images.find({ tags: { [tagKey(scheme, 'from-instance')]: instanceId, ...ofCommit } });
  const mine = planned[tagKey(scheme, 'family')];
  const oldest = clock.now() - (maxAgeOf(rebuild) ?? Number.POSITIVE_INFINITY) * 1000;
  const usable = found.filter(
    image =>
      (image.createdAt?.getTime() ?? Number.NEGATIVE_INFINITY) >= oldest &&
      unavailableReason(image) === undefined &&
      provenBad(image, scheme) === undefined &&
      (commit !== undefined || rebuild !== undefined || identity(image, scheme, 'family') === undefined) &&
      (['family', 'for-family'] as const).every(key => [undefined, mine].includes(identity(image, scheme, key))),
  );
  return usable.sort(newestFirst(scheme))[0];
}

/** The image of a call whose answer was lost. */
async function findCreatedImage({ name, tags, scheme }: BuildPlan, { inRegion }: CaptureDeps, region: string): Promise<string> {
  const [taken] = await inRegion({ region }).images.find({ names: [name] });
  const created = tagKey(scheme, 'created-at');
  if (taken !== undefined && taken.tags[created] === tags[created]) return taken.id;
  throw new UsageError([`"name" becomes ${JSON.stringify(name)}, and ${taken?.id ?? 'another image'} already has this name`], {
    next: 'Add {timestamp} to "name".',
  });
}

async function finishCapture(image: Image, options: BuildOptions, plan: BuildPlan, deps: CaptureDeps): Promise<readonly BuiltImage[]> {
  const { region, fromInstance: source = '', timeout } = options;
  if (options.wait) {
    const created = { source, region, id: image.id, baseAmi: identity(image, plan.scheme, 'base-ami') };
    return adopt([created], withAgeOf(image, plan), deps, { atMostSeconds: timeout, next: MORE_TIME }).catch(failure =>
      unfinished(created, failure, plan, deps),
    );
  }
  deps.report.info(`${image.id} is ${image.state}: ${laterRun(plan)} adopts it into the family.`);
  return [{ source, architecture: image.architecture, region, id: image.id, name: image.name, sizeGiB: image.sizeGiB }];
}

/** An image that an earlier run began is no newer because a later one finishes it. */
function withAgeOf({ tags }: Image, plan: BuildPlan): BuildPlan {
  const key = tagKey(plan.scheme, 'created-at');
  return { ...plan, tags: { ...plan.tags, [key]: tags[key] ?? plan.tags[key] ?? '' } };
}

const MORE_TIME = 'Run the job again. Increase "timeout" for the first snapshot of a large disk.';

/** Removes a failed image: it is unusable, and would keep its name from the next run. */
async function unfinished(
  { id, region }: { id: string; region: string },
  failure: unknown,
  plan: BuildPlan,
  { inRegion }: CaptureDeps,
): Promise<never> {
  if (!(failure instanceof RejectedError)) {
    throw withDetails(failure, { leftovers: [unfinishedLine(id, region, plan)] });
  }
  const { images, leftovers } = inRegion({ region });
  const image = await images.get(id);
  if (image !== undefined && unavailableReason(image) !== undefined) await leftovers.remove({ kind: 'image', id });
  throw failure;
}
