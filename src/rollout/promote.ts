import { flag, optional } from '../kit/fields.ts';
import { formatCount } from '../kit/format.ts';
import type { Values } from '../kit/settings.ts';
import { common, dryRun, environment, family, regions } from '../model/common-settings.ts';
import type { Image } from '../model/image.ts';
import { environmentPointer, previousImageId } from '../model/pointer.ts';
import type { Deps } from '../ports/deps.ts';
import { attestationSetting, unattestedReason } from '../selection/attestation.ts';
import { selectImage } from '../selection/select-image.ts';
import { schemeOf, selection } from '../selection/settings.ts';
import { unsignedReason, verdictKey } from '../selection/verdict-key.ts';
import { readDeliveries } from '../validation/check-files.ts';
import { settings as validation } from '../validation/validate.ts';
import { applyPlans, isPending, refreshesOf } from './apply.ts';
import { deploymentSettings, recordDeployment } from './deployment.ts';
import { guardSettings, liftVeto, readGuards } from './guards.ts';
import { runInstanceChecks } from './instance-checks.ts';
import { isUpToDate, throwIfRefused } from './plan.ts';
import { readPointer, removeCandidate, throwIfMovedAway } from './pointer.ts';
import { amiIdsOf, forEachSequential, planRegions, type RegionResult } from './region-plans.ts';
import { readReleaseFacts } from './release-facts.ts';
import { reportPlan, reportResult } from './report.ts';
import type { Check } from './roll-regions.ts';
import type { PromotionClients, Region, RegionPlan, RolloutSpec } from './rollout-spec.ts';
import { withGroupNames } from './rules/group-names.ts';
import { throwIfUnfit } from './rules/preferences.ts';
import { rolloutSettings } from './rules/settings.ts';
import { verifySteadyState } from './steady-state.ts';
import { releaseAll } from './take-over.ts';

// Needs an image that passed validation, and an environment.
// Produces verified groups and then a verified pointer; or the state before, and a failed job.

export const settings = {
  family,
  ...selection('latest'),
  environment,
  ...rolloutSettings,
  regions,
  ...guardSettings,
  ...verdictKey,
  ...attestationSetting,
  checks: {
    ...optional(validation.checks),
    neededBy: 'teams that also check new instances in their group, at each of the `checkpoints` and during the bake time',
  },
  checksTimeout: { ...validation.checksTimeout, fallback: '4m' },
  liftVeto: flag('Promote an image that is vetoed in this environment, and remove the veto.', false, {
    withOnly: true,
    neededBy: 'teams that rolled back an image that was not the cause',
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
    'JSON list: `region`, `group`, `refresh`, `status`, `from` and `to` (launch template versions) of every group, its `successor` (blue-green) and `shifted`, the percentage of the traffic that the successor got by `shift-at`.',
  opensAt: 'Refused by `freeze` or `windows`: when the environment takes promotions again, as ISO 8601.',
  changed: 'false when the environment already ran exactly this.',
};

/** `environments`: of the settings file, in its order. */
type PromoteInputs = Values<typeof settings> & { readonly environments?: readonly string[] };
type PromoteDeps = Deps<'commands' | 'macs' | keyof PromotionClients, 'commits' | 'deployments' | 'files' | 'attestations'>;

export async function run(given: PromoteInputs, deps: PromoteDeps) {
  const inputs = withGroupNames(given);
  throwIfUnfit({ ...inputs, checksSeconds: inputs.checks === undefined ? undefined : inputs.checksTimeout });
  const { report } = deps;
  const { check, passedIn } = await toCheck(inputs, deps);

  const { image, reason } = await report.step(`Find ${inputs.image}`, () => selectImage(inputs, deps));
  const orderIn = orderOf(inputs, image, reason, deps);
  const plans = await report.step('Plan', () => planRegions(inputs, image, deps, orderIn));
  reportPlan(plans, { isDryRun: inputs.dryRun });
  throwIfRefused(plans);
  // No version: the current one names another image than `amiId`.
  if (inputs.dryRun)
    return { outcome: 'planned' as const, outputs: { ...outputsOf(plans, { changed: false }), pointerVersion: undefined } };

  // Only when the image runs: after a failed promotion the next push must still find the veto.
  const after = async () => {
    if (!inputs.liftVeto) return;
    await forEachSequential(plans, plan => liftVeto({ ...plan, imageId: plan.image.id }, plan.aws));
  };
  if (plans.every(isUpToDate)) {
    report.info(`${inputs.environment} already runs ${image.id}. Nothing to do.`);
    await after();
    await finishEarlierRun(plans, check);
    await forEachSequential(plans, plan => throwIfMovedAway(plan, plan.aws));
    return { outcome: 'unchanged' as const, outputs: outputsOf(plans, { changed: false }) };
  }

  const since = deps.clock.now();
  const results = await recordDeployment(
    { ...inputs, image, scheme: schemeOf(inputs), description: `promote ${image.id}` },
    deps,
    () => applyPlans(plans, deps, { before: async () => {}, undo: async () => {}, after, check }),
    isPending,
  );
  reportResult(plans, results, { ...(await readReleaseFacts(plans[0], inputs, deps)), since, passedIn });
  return { outcome: isPending(results) ? ('unknown' as const) : ('done' as const), outputs: outputsOf(plans, { changed: true, results }) };
}

const orderOf =
  (inputs: PromoteInputs, home: Image, homeReason: string, deps: PromoteDeps) =>
  async (image: Image, { region, aws }: Region): Promise<RolloutSpec> => {
    const query = { ...inputs, architecture: image.architecture };
    // Guards are about the origin of the image, so they are read in the home region only.
    const guarding = image === home ? readGuards(query, image, deps) : {};
    const scheme = schemeOf(inputs);
    const [pointer, guards, unsigned, unattested] = await Promise.all([
      readPointer(environmentPointer(query), aws),
      guarding,
      unsignedReason(image, scheme, inputs.verdictKey, deps),
      unattestedReason(image, region, scheme, inputs, deps),
    ]);
    // An unfinished run may have moved the pointer already.
    const was = pointer.current?.value === image.id ? previousImageId(pointer.history) : pointer.current?.value;
    const reason = image === home ? homeReason : `the same image as ${home.id}, in ${region}`;
    const facts = {
      image,
      reason,
      was,
      pointer,
      guards,
      unsigned: unsigned ?? unattested,
      scheme,
      now: deps.clock.now(),
      isHandPicked: isHandPicked(inputs, deps),
    };
    return { ...inputs, ...facts, operation: 'promote', roll: inputs };
  };

/** A person started the workflow and named the image. */
const isHandPicked = ({ image }: PromoteInputs, { run }: PromoteDeps): boolean =>
  ['workflow_dispatch', 'terminal'].includes(run.event) && /^(ami-|commit:|version:|previous)/.test(image);

/** An earlier run moved the pointers and ended before it removed the candidates. */
async function finishEarlierRun(plans: readonly RegionPlan[], check: Check | undefined): Promise<void> {
  const open = plans.filter(({ pointer }) => pointer.candidate !== undefined);
  await forEachSequential(open, async plan => {
    await verifySteadyState(plan, check?.(plan.region));
    await releaseAll(plan.groups, plan);
    await removeCandidate(plan.pointer, plan.aws);
  });
}

interface Checks {
  readonly check: Check | undefined;
  /** "3 checks passed on 2 instances"; undefined where none ran. */
  passedIn(region: string): string | undefined;
}

async function toCheck({ checks, checksTimeout: seconds }: PromoteInputs, deps: PromoteDeps): Promise<Checks> {
  if (checks === undefined || checks.length === 0) return { check: undefined, passedIn: () => undefined };
  const deliveries = await readDeliveries(checks, deps.files);
  const passed = new Map<string, number>();
  const check: Check = region => async instanceId => {
    const reason = await runInstanceChecks(instanceId, { checks, deliveries, seconds }, deps, deps.inRegion({ region }));
    if (reason === undefined) passed.set(region, (passed.get(region) ?? 0) + 1);
    return reason;
  };
  const format = (instances: number) => `${formatCount(checks.length, 'check')} passed on ${formatCount(instances, 'instance')}`;
  return { check, passedIn: region => (passed.has(region) ? format(passed.get(region) ?? 0) : undefined) };
}

function outputsOf(plans: readonly RegionPlan[], { changed, results = [] }: { changed: boolean; results?: readonly RegionResult[] }) {
  const [home] = plans;
  return {
    amiId: home?.image.id,
    amiIds: amiIdsOf(plans),
    previousAmiId: home?.was ?? '',
    pointer: home?.pointer.name,
    pointerVersion: changed ? results[0]?.moved?.version : home?.pointer.current?.version,
    refreshes: refreshesOf(results),
    changed,
  };
}
