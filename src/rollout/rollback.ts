import { RejectedError } from '../kit/errors.ts';
import { flag } from '../kit/fields.ts';
import type { Values } from '../kit/settings.ts';
import { common, dryRun, environment, family, regions } from '../model/common-settings.ts';
import { type Image, isOurs } from '../model/image.ts';
import { environmentPointer, findWayBack, imageSequence, type WayBack } from '../model/pointer.ts';
import type { Deps } from '../ports/deps.ts';
import { findEquivalentImage, selectImage } from '../selection/select-image.ts';
import { pointer, schemeOf, selection } from '../selection/settings.ts';
import { applyPlans, isPending, refreshesOf } from './apply.ts';
import { deploymentSettings, recordDeployment } from './deployment.ts';
import { liftVeto, veto } from './guards.ts';
import { findLaunchedBefore } from './launched.ts';
import { throwIfRefused } from './plan.ts';
import { type PointerState, readPointer } from './pointer.ts';
import { amiIdsOf, forEachSequential, planRegions, type RegionResult } from './region-plans.ts';
import { readReleaseFacts } from './release-facts.ts';
import { reportPlan, reportResult } from './report.ts';
import type { PromotionClients, Region, RegionPlan, RolloutSpec } from './rollout-spec.ts';
import { withGroupNames } from './rules/group-names.ts';
import { throwIfUnfit } from './rules/preferences.ts';
import { rolloutSettings } from './rules/settings.ts';

// Needs an environment that ran another image before.
// Produces that image as the current one, without a rebuild; the image that it replaces is vetoed, so that the next push does not bring it back.

const { image, architecture } = selection('previous');

export const settings = {
  family,
  environment,
  image,
  pointer,
  architecture,
  ...rolloutSettings,
  emergency: flag('As fast as AWS can be watched: bake time 60s, no checkpoints, no steps of `shift`.', false, {
    withOnly: true,
    neededBy: 'teams whose image does harm right now',
  }),
  regions,
  ...deploymentSettings,
  dryRun: dryRun(false),
  ...common,
};

export const outputs = {
  amiId: 'The image that the environment runs again.',
  amiIds: 'JSON: the image by region. It is one image under several IDs.',
  replacedAmiId: 'The image that it ran, now vetoed there.',
  pointer: 'Name of the parameter that names it.',
  pointerVersion: 'Version of the parameter.',
  refreshes:
    'JSON list: `region`, `group`, `refresh`, `status`, `from` and `to` (launch template versions) of every group, its `successor` (blue-green) and `shifted`, the percentage of the traffic that the successor got by `shift-at`.',
};

/** `environments`: of the settings file, in its order. */
type RollbackInputs = Values<typeof settings> & { readonly environments?: readonly string[] };
type RollbackDeps = Deps<keyof PromotionClients, 'commits' | 'deployments'>;
type Way = Extract<WayBack, { to: string }> & { readonly ran: boolean };

export async function run(given: RollbackInputs, deps: RollbackDeps) {
  const inputs = withGroupNames(
    given.emergency
      ? { ...given, bake: 60, checkpoints: undefined, checkpointDelay: undefined, shift: given.shiftAt === undefined ? undefined : [100] }
      : given,
  );
  throwIfUnfit(inputs);
  const plans = await deps.report.step('Plan', async () => {
    const { image, way } = await findTarget(inputs, deps);
    const imageIn = async ({ aws }: Region) => {
      // Without tags an image has no identity in another region: there the way back is that of its own pointer.
      const own =
        inputs.image === 'previous' ? findWayBack(await readPointer(environmentPointer(inputs), aws), inputs.environment).to : undefined;
      return own === undefined || isOurs(image, schemeOf(inputs), inputs.family) ? undefined : aws.images.get(own);
    };
    return planRegions(inputs, image, deps, orderOf(inputs, image, way, deps), imageIn);
  });
  reportPlan(plans, { isDryRun: inputs.dryRun });
  throwIfRefused(plans);
  if (inputs.dryRun) return { outcome: 'planned' as const, outputs: outputsOf(plans) };

  const hooks = {
    // Before the rollout, so that a push during it does not bring the image back.
    before: async () => void (await forEachSequential(plans, plan => veto(replacedBy(plan), plan.deps.report, plan.aws))),
    undo: async () => void (await forEachSequential(plans, plan => liftVeto(replacedBy(plan), plan.aws))),
    after: async () => {},
  };
  const [home] = plans.map(plan => plan.image);
  const since = deps.clock.now();
  const results = await recordDeployment(
    { ...inputs, image: home as Image, scheme: schemeOf(inputs), description: `roll back to ${home?.id}` },
    deps,
    () => applyPlans(plans, deps, hooks),
    isPending,
  );
  reportResult(plans, results, { ...(await readReleaseFacts(plans[0], inputs, deps)), since });
  return { outcome: isPending(results) ? ('unknown' as const) : ('done' as const), outputs: outputsOf(plans, results) };
}

/** Decided in the home region; the other regions take the same image. */
async function findTarget(inputs: RollbackInputs, deps: RollbackDeps) {
  const aws = deps.inRegion({ region: inputs.region });
  const state = await readPointer(environmentPointer(inputs), aws);
  const found = inputs.image === 'previous' ? await wayToPrevious(inputs, state, aws) : await wayToSelected(inputs, deps, state);
  if (found.to === undefined)
    throw new RejectedError(`No image to roll back to: ${found.reason}.`, { unchanged: true, next: alternatives(state) });
  const ran =
    inputs.image === 'previous' || [...imageSequence(state.history), ...state.history.map(({ value }) => value)].includes(found.to);
  const image = await aws.images.get(found.to);
  if (image === undefined) {
    const gone = `Image ${found.to}, which ${inputs.environment} ran before, no longer exists in ${inputs.region}.`;
    throw new RejectedError(gone, { unchanged: true, next: alternatives(state) });
  }
  const sequence = imageSequence(state.history);
  const over = sequence.includes(found.to) ? sequence.slice(sequence.lastIndexOf(found.to) + 1) : [];
  const reason = over.length < 2 ? found.reason : `${found.reason}; goes back over ${over.join(', ')}`;
  return { image, way: { ...found, reason, ran } };
}

/** From the pointer; from the launch templates of the groups where the pointer has no history. */
async function wayToPrevious(inputs: RollbackInputs, state: PointerState, aws: Parameters<typeof findLaunchedBefore>[2]): Promise<WayBack> {
  const way = findWayBack(state, inputs.environment);
  const { current } = state;
  if (way.to !== undefined || current === undefined || inputs.strategy === 'none') return way;
  const launched = await findLaunchedBefore(inputs, current.value, aws);
  if (launched === undefined) return way;
  return {
    to: launched,
    replaces: current.value,
    reason: `what the groups launched before ${current.value}, as their launch templates show`,
  };
}

const orderOf =
  (inputs: RollbackInputs, home: Image, way: Way, deps: RollbackDeps) =>
  async (image: Image, { region, aws }: Region): Promise<RolloutSpec> => {
    const pointer = await readPointer(environmentPointer(inputs), aws);
    const inRegion = async () => {
      if (pointer.current?.value !== image.id) return pointer.current?.value;
      // The pointer moved already, so the replaced image is the one that is replaced at home.
      const replaced = await deps.inRegion({ region: inputs.region }).images.get(way.replaces);
      return replaced && (await findEquivalentImage(replaced, inputs, aws)).image?.id;
    };
    const was = image === home ? way.replaces : await inRegion();
    const reason = image === home ? way.reason : `the same image as ${home.id}, in ${region}`;
    const facts = { image, reason, was, pointer, ran: way.ran, scheme: schemeOf(inputs) };
    return { ...inputs, ...facts, operation: 'rollback', liftVeto: false, roll: inputs };
  };

const replacedBy = (plan: RegionPlan) => ({ ...plan, imageId: plan.was });

/** For an image that the user names. */
async function wayToSelected(inputs: RollbackInputs, deps: RollbackDeps, { current }: PointerState): Promise<WayBack> {
  const { image, reason } = await selectImage({ ...inputs, fallback: 'none', walk: 1 }, deps);
  if (current === undefined) return { to: undefined, reason: `${inputs.environment} has no pointer, so it runs no image of this family` };
  if (image.id === current.value) return { to: undefined, reason: `${inputs.environment} already runs ${image.id}` };
  return { to: image.id, replaces: current.value, reason };
}

function alternatives({ name, history, current }: PointerState): string {
  const others = [...new Set(history.map(({ value }) => value))].filter(value => value !== current?.value);
  const known =
    others.length === 0
      ? `${name} has not named another image.`
      : `${name} also named ${others.slice(0, 5).join(', ')}: set "image" to one of them.`;
  return `${known} Mode "list" shows every image of the family.`;
}

function outputsOf(plans: readonly RegionPlan[], results: readonly RegionResult[] = []) {
  const [home] = plans;
  return {
    amiId: home?.image.id,
    amiIds: amiIdsOf(plans),
    replacedAmiId: home?.was ?? '',
    pointer: home?.pointer.name,
    pointerVersion: results[0]?.moved?.version,
    refreshes: results.length === 0 ? undefined : refreshesOf(results),
  };
}
