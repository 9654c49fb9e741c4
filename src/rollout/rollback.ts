import { RejectedError } from '../kit/errors.ts';
import type { Values } from '../kit/settings.ts';
import { common, dryRun, environment, family, regions } from '../model/common-settings.ts';
import type { Image } from '../model/image.ts';
import { environmentPointer } from '../model/pointer.ts';
import type { Deps, RegionClients } from '../ports/deps.ts';
import { findEquivalentImage, pointer, schemeOf, selectImage, selection } from '../selection/select-image.ts';
import { applyPlans, isPending, type RegionResult, refreshesOf } from './apply.ts';
import { deploymentSettings, recordDeployment } from './deployment.ts';
import { type Promotion, type PromotionOrder, throwIfRefused } from './plan.ts';
import { type PointerState, readPointer } from './pointer.ts';
import { amiIdsOf, forEachSequential, planRegions, type Region, type RegionPlan } from './region-plans.ts';
import { reportPlan, reportResult } from './report.ts';
import { throwIfUnfit } from './rules/preferences.ts';
import { rolloutSettings } from './rules/settings.ts';
import { findWayBack, type WayBack } from './rules/way-back.ts';
import { liftVeto, veto } from './veto.ts';

// Needs an environment that ran another image before.
// Leaves behind that image current again, without a rebuild; the one it replaced is vetoed there, so that the next push does not bring it back.

const { image, architecture, githubToken } = selection('previous');

export const settings = {
  family,
  environment,
  image,
  pointer,
  architecture,
  ...rolloutSettings,
  regions,
  githubToken,
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
    'JSON list: `region`, `group`, `refresh`, `status`, `from` and `to` (launch template versions) of every group, and its `successor` (blue-green).',
};

type Wanted = Values<typeof settings>;
type NeededDeps = Deps<'images' | 'parameters' | 'groups' | 'launchTemplates' | 'instances', 'commits' | 'deployments'>;
type Back = Extract<WayBack, { to: string }>;

export async function run(wanted: Wanted, deps: NeededDeps) {
  throwIfUnfit(wanted);
  const { report } = deps;

  const parts = await report.step('Plan', async () => {
    const { image, back } = await target(wanted, deps);
    return planRegions(wanted, image, deps, orderOf(wanted, image, back, deps));
  });
  reportPlan(parts);
  throwIfRefused(parts);
  if (wanted.dryRun) return { outcome: 'planned' as const, outputs: outputsOf(parts) };

  const around = {
    // Before the roll, so that a push that comes in between does not bring the image back.
    before: async () =>
      void (await forEachSequential(parts, ({ promotion, deps: { report }, aws }) => veto(replacedBy(promotion), report, aws))),
    // It failed, so the image stays current.
    undo: async () => void (await forEachSequential(parts, ({ promotion, aws }) => liftVeto(replacedBy(promotion), aws))),
    after: async () => {},
  };
  const [home] = parts.map(({ promotion }) => promotion.image);
  const ended = await recordDeployment(
    { ...wanted, image: home as Image, scheme: schemeOf(wanted), says: `roll back to ${home?.id}` },
    deps,
    () => applyPlans(parts, deps, around),
    ended => (isPending(ended) ? 'moving' : 'success'),
  );
  reportResult(parts, ended);
  return { outcome: isPending(ended) ? ('unknown' as const) : ('done' as const), outputs: outputsOf(parts, ended) };
}

/** Decided at home; elsewhere it is the same image. */
async function target(wanted: Wanted, deps: NeededDeps) {
  const aws = deps.inRegion({ region: wanted.region });
  const now = await readPointer(environmentPointer(wanted), aws);
  const previous = findWayBack(now, wanted.environment);
  const back = throwIfNone(wanted.image === 'previous' ? previous : await named(wanted, deps, now), now);
  const image = await aws.images.get(back.to);
  if (image === undefined) throw gone(back.to, now);
  return { image, back };
}

const orderOf =
  (wanted: Wanted, home: Image, back: Back, deps: NeededDeps) =>
  async (image: Image, { region, aws }: Region): Promise<PromotionOrder> => {
    const pointer = await readPointer(environmentPointer(wanted), aws);
    const decided =
      image === home ? back : await elsewhere(image, back, pointer, { wanted, home: deps.inRegion({ region: wanted.region }), aws });
    const reason = image === home ? back.reason : `what ${home.id} is in ${region}`;
    const facts = { operation: 'rollback' as const, image, reason, was: decided.replaces, pointer, scheme: schemeOf(wanted) };
    return { ...wanted, ...facts, liftVeto: false, roll: wanted };
  };

/** What the image replaces in another region: by what stands there, and where it stands already, what it has replaced at home. */
async function elsewhere(
  image: Image,
  { replaces }: Back,
  pointer: PointerState,
  { wanted, home, aws }: { wanted: Wanted; home: Pick<RegionClients, 'images'>; aws: Pick<RegionClients, 'images'> },
): Promise<{ readonly replaces: string | undefined }> {
  if (pointer.current?.value !== image.id) return { replaces: pointer.current?.value };
  const replaced = await home.images.get(replaces);
  return { replaces: replaced && (await findEquivalentImage(replaced, wanted, aws)).image?.id };
}

const replacedBy = (promotion: Promotion) => ({ ...promotion, imageId: promotion.was });

/** An image that the user names instead of the previous one. */
async function named(wanted: Wanted, deps: NeededDeps, now: PointerState): Promise<WayBack> {
  const selected = await selectImage({ ...wanted, fallback: 'none', walk: 1 }, deps);
  if (now.current === undefined)
    return { to: undefined, reason: `${wanted.environment} has no pointer, so there is nothing to go back from` };
  if (selected.image.id === now.current.value) return { to: undefined, reason: `${wanted.environment} runs ${selected.image.id} already` };
  return { to: selected.image.id, replaces: now.current.value, reason: selected.reason };
}

function throwIfNone(back: WayBack, now: PointerState): Back {
  if (back.to !== undefined) return back;
  throw new RejectedError(`Nothing to go back to: ${back.reason}.`, { unchanged: true, next: whatThereIs(now) });
}

const gone = (id: string, now: PointerState): RejectedError =>
  new RejectedError(`${id}, which the environment ran before, does not exist here any more.`, {
    unchanged: true,
    next: whatThereIs(now),
  });

/** Politely: what could be named instead. */
function whatThereIs({ name, history, current }: PointerState): string {
  const others = [...new Set(history.map(({ value }) => value))].filter(value => value !== current?.value);
  const known =
    others.length === 0
      ? `${name} never named another image.`
      : `${name} also named ${others.slice(0, 5).join(', ')}: set "image" to one of them.`;
  return `${known} Mode "list" shows every image of the family.`;
}

function outputsOf(parts: readonly RegionPlan[], ended: readonly RegionResult[] = []) {
  const [home] = parts.map(({ promotion }) => promotion);
  return {
    amiId: home?.image.id,
    amiIds: amiIdsOf(parts),
    replacedAmiId: home?.was ?? '',
    pointer: home?.pointer.name,
    pointerVersion: ended[0]?.moved?.version,
    refreshes: ended.length === 0 ? undefined : refreshesOf(ended),
  };
}
