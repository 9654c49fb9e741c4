import { flag, optional } from '../kit/fields.ts';
import type { Values } from '../kit/settings.ts';
import { common, dryRun, environment, family, regions } from '../model/common-settings.ts';
import type { Image } from '../model/image.ts';
import { environmentPointer, previousImageId } from '../model/pointer.ts';
import type { Deps } from '../ports/deps.ts';
import { schemeOf, selectImage, selection } from '../selection/select-image.ts';
import { readDeliveries } from '../validation/check-files.ts';
import { settings as validation } from '../validation/validate.ts';
import { withdraw } from './announce.ts';
import { applyPlans, isPending, type RegionResult, refreshesOf } from './apply.ts';
import { deploymentSettings, recordDeployment } from './deployment.ts';
import { guardSettings, readGuards } from './guards.ts';
import { runInstanceChecks } from './instance-checks.ts';
import { isUpToDate, type PromotionOrder, throwIfRefused } from './plan.ts';
import { readPointer } from './pointer.ts';
import { amiIdsOf, forEachSequential, planRegions, type Region, type RegionPlan } from './region-plans.ts';
import { reportPlan, reportResult } from './report.ts';
import type { Check } from './roll-regions.ts';
import { throwIfUnfit } from './rules/preferences.ts';
import { rolloutSettings } from './rules/settings.ts';
import { verifySteadyState } from './steady-state.ts';
import { liftVeto } from './veto.ts';

// Needs an image that passed validation, and an environment.
// Leaves behind the groups rolled and proven, then the pointer moved and proven; or everything as it was, and a red job.

export const settings = {
  family,
  ...selection('latest'),
  environment,
  ...rolloutSettings,
  regions,
  ...guardSettings,
  checks: {
    ...optional(validation.checks),
    neededBy: 'teams that also want to see new instances do their work in the group, at each of the `checkpoints` and while it bakes',
  },
  checksTimeout: { ...validation.checksTimeout, fallback: '4m' },
  liftVeto: flag('Promote an image that was rolled back here, and forget that it was.', false, {
    withOnly: true,
    neededBy: 'teams that rolled back an image which was not to blame',
  }),
  ...deploymentSettings,
  dryRun: dryRun(false),
  ...common,
};

export const outputs = {
  amiId: 'The image that the environment runs now.',
  amiIds: 'JSON: the image by region. It is one image under several IDs.',
  previousAmiId: 'The image that it ran before.',
  pointer: 'Name of the parameter that names it.',
  pointerVersion: 'Version of the parameter.',
  refreshes:
    'JSON list: `region`, `group`, `refresh`, `status`, `from` and `to` (launch template versions) of every group, and its `successor` (blue-green).',
  changed: 'false when the environment ran exactly this already.',
};

type Wanted = Values<typeof settings>;
type NeededDeps = Deps<
  'images' | 'parameters' | 'groups' | 'launchTemplates' | 'instances' | 'commands',
  'commits' | 'deployments' | 'files'
>;

export async function run(wanted: Wanted, deps: NeededDeps) {
  throwIfUnfit({ ...wanted, checksSeconds: wanted.checks === undefined ? undefined : wanted.checksTimeout });
  const { report } = deps;
  const check = await checker(wanted, deps);

  const { image, reason } = await report.step(`Find ${wanted.image}`, () => selectImage(wanted, deps));
  const orderIn = orderOf(wanted, image, reason, deps);
  const parts = await report.step('Plan', () => planRegions(wanted, image, deps, orderIn));
  reportPlan(parts);
  throwIfRefused(parts);
  if (wanted.dryRun) return { outcome: 'planned' as const, outputs: plannedOf(parts) };

  // Only once the image runs: lifted for a promotion that then failed, it would be gone for the next push.
  const forget = () => (wanted.liftVeto ? liftVetoes(parts) : nothing());
  if (parts.every(({ promotion }) => isUpToDate(promotion))) {
    report.info(`${wanted.environment} runs ${image.id} already: nothing to do.`);
    await forget();
    await finishAnnounced(parts, check);
    return { outcome: 'unchanged' as const, outputs: outputsOf(parts, { changed: false }) };
  }

  const ended = await recordDeployment(
    { ...wanted, image, scheme: schemeOf(wanted), says: `promote ${image.id}` },
    deps,
    () => applyPlans(parts, deps, { before: nothing, undo: nothing, after: forget, check }),
    ended => (isPending(ended) ? 'moving' : 'success'),
  );
  reportResult(parts, ended);
  return { outcome: isPending(ended) ? ('unknown' as const) : ('done' as const), outputs: outputsOf(parts, { changed: true, ended }) };
}

const orderOf =
  (wanted: Wanted, home: Image, homeReason: string, deps: NeededDeps) =>
  async (image: Image, { region, aws }: Region): Promise<PromotionOrder> => {
    const of = { ...wanted, architecture: image.architecture };
    // Where it came from and what it was proven by is asked once, at home.
    const guarding = image === home ? readGuards(of, image, deps) : {};
    const [pointer, guards] = await Promise.all([readPointer(environmentPointer(of), aws), guarding]);
    // A pointer that names it already was moved by a run that did not come to its end.
    const was = pointer.current?.value === image.id ? previousImageId(pointer.history) : pointer.current?.value;
    const reason = image === home ? homeReason : `what ${home.id} is in ${region}`;
    const facts = { image, reason, was, pointer, guards, scheme: schemeOf(wanted), now: deps.clock.now() };
    return { ...wanted, ...facts, operation: 'promote', roll: wanted };
  };

/** By a run that was lost after it had moved the pointers, and before it could say that all is done. */
async function finishAnnounced(parts: readonly RegionPlan[], check: Check | undefined): Promise<void> {
  const open = parts.filter(({ promotion }) => promotion.pointer.candidate !== undefined);
  await forEachSequential(open, async ({ promotion, region, deps, aws }) => {
    await verifySteadyState(promotion, check?.(region), deps, aws);
    await withdraw(promotion.pointer, aws);
  });
}

const nothing = async (): Promise<void> => {};

const liftVetoes = async (parts: readonly RegionPlan[]) =>
  void (await forEachSequential(parts, ({ promotion, aws }) => liftVeto({ ...promotion, imageId: promotion.image.id }, aws)));

async function checker({ checks, checksTimeout: seconds }: Wanted, deps: NeededDeps): Promise<Check | undefined> {
  if (checks === undefined || checks.length === 0) return undefined;
  const deliveries = await readDeliveries(checks, deps.files);
  return region => instanceId => runInstanceChecks(instanceId, { checks, deliveries, seconds }, deps, deps.inRegion({ region }));
}

/** No version: the one that there is names another image than `amiId`. */
const plannedOf = (parts: readonly RegionPlan[]) => ({ ...outputsOf(parts, { changed: false }), pointerVersion: undefined });

function outputsOf(parts: readonly RegionPlan[], { changed, ended = [] }: { changed: boolean; ended?: readonly RegionResult[] }) {
  const [home] = parts.map(({ promotion }) => promotion);
  return {
    amiId: home?.image.id,
    amiIds: amiIdsOf(parts),
    previousAmiId: home?.was ?? '',
    pointer: home?.pointer.name,
    pointerVersion: changed ? ended[0]?.moved?.version : home?.pointer.current?.version,
    refreshes: refreshesOf(ended),
    changed,
  };
}
