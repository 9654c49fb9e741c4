import { RejectedError } from '../kit/errors.ts';
import type { Values } from '../kit/settings.ts';
import { common, dryRun, environment, family, regions } from '../model/common-settings.ts';
import type { Image } from '../model/image.ts';
import { environmentPointer } from '../model/pointer.ts';
import type { Place, Powers } from '../ports/deps.ts';
import { pointer, schemeOf, selectImage, selection, twinOf } from '../selection/select-image.ts';
import { type Delivered, deliver, isMoving, refreshesOf } from './apply.ts';
import { deploymentSettings, recorded } from './deployment.ts';
import { type Promotion, type PromotionOrder, throwIfRefused } from './plan.ts';
import { type PointerNow, readPointer } from './pointer.ts';
import { amiIdsOf, type Here, inTurn, type Part, planParts } from './region-plans.ts';
import { tellEnd, tellPlan } from './report.ts';
import { type WayBack, wayBack } from './rules/way-back.ts';
import { rollSettings, throwIfUnfit } from './settings.ts';
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
  ...rollSettings,
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
type World = Powers<'images' | 'parameters' | 'groups' | 'launchTemplates' | 'machines', 'commits' | 'deployments'>;
type Back = Extract<WayBack, { to: string }>;

export async function run(wanted: Wanted, world: World) {
  throwIfUnfit(wanted);
  const { report } = world;

  const parts = await report.step('Plan', async () => {
    const { image, back } = await target(wanted, world);
    return planParts(wanted, image, world, orderOf(wanted, image, back, world));
  });
  tellPlan(parts);
  throwIfRefused(parts);
  if (wanted.dryRun) return { outcome: 'planned' as const, outputs: outputsOf(parts) };

  const around = {
    // Before the roll, so that a push that comes in between does not bring the image back.
    before: async () => void (await inTurn(parts, ({ promotion, world: { report }, place }) => veto(replacedBy(promotion), report, place))),
    // It failed, so the image stays current.
    undo: async () => void (await inTurn(parts, ({ promotion, place }) => liftVeto(replacedBy(promotion), place))),
    after: async () => {},
  };
  const [home] = parts.map(({ promotion }) => promotion.image);
  const ended = await recorded(
    { ...wanted, image: home as Image, scheme: schemeOf(wanted), says: `roll back to ${home?.id}` },
    world,
    () => deliver(parts, world, around),
    ended => (isMoving(ended) ? 'moving' : 'success'),
  );
  tellEnd(parts, ended);
  return { outcome: isMoving(ended) ? ('unknown' as const) : ('done' as const), outputs: outputsOf(parts, ended) };
}

/** Decided at home; elsewhere it is the same image. */
async function target(wanted: Wanted, world: World) {
  const place = world.at({ region: wanted.region });
  const now = await readPointer(environmentPointer(wanted), place);
  const previous = wayBack(now, wanted.environment);
  const back = throwIfNone(wanted.image === 'previous' ? previous : await named(wanted, world, now), now);
  const image = await place.images.get(back.to);
  if (image === undefined) throw gone(back.to, now);
  return { image, back };
}

const orderOf =
  (wanted: Wanted, home: Image, back: Back, world: World) =>
  async (image: Image, { region, place }: Here): Promise<PromotionOrder> => {
    const pointer = await readPointer(environmentPointer(wanted), place);
    const decided =
      image === home ? back : await elsewhere(image, back, pointer, { wanted, home: world.at({ region: wanted.region }), place });
    const reason = image === home ? back.reason : `what ${home.id} is in ${region}`;
    const facts = { deed: 'rollback' as const, image, reason, was: decided.replaces, pointer, scheme: schemeOf(wanted) };
    return { ...wanted, ...facts, liftVeto: false, roll: wanted };
  };

/** What the image replaces in another region: by what stands there, and where it stands already, what it has replaced at home. */
async function elsewhere(
  image: Image,
  { replaces }: Back,
  pointer: PointerNow,
  { wanted, home, place }: { wanted: Wanted; home: Pick<Place, 'images'>; place: Pick<Place, 'images'> },
): Promise<{ readonly replaces: string | undefined }> {
  if (pointer.current?.value !== image.id) return { replaces: pointer.current?.value };
  const replaced = await home.images.get(replaces);
  return { replaces: replaced && (await twinOf(replaced, wanted, place)).image?.id };
}

const replacedBy = (promotion: Promotion) => ({ ...promotion, imageId: promotion.was });

/** An image that the user names instead of the previous one. */
async function named(wanted: Wanted, world: World, now: PointerNow): Promise<WayBack> {
  const selected = await selectImage({ ...wanted, fallback: 'none', walk: 1 }, world);
  if (now.current === undefined)
    return { to: undefined, reason: `${wanted.environment} has no pointer, so there is nothing to go back from` };
  if (selected.image.id === now.current.value) return { to: undefined, reason: `${wanted.environment} runs ${selected.image.id} already` };
  return { to: selected.image.id, replaces: now.current.value, reason: selected.reason };
}

function throwIfNone(back: WayBack, now: PointerNow): Back {
  if (back.to !== undefined) return back;
  throw new RejectedError(`Nothing to go back to: ${back.reason}.`, { left: ['nothing was touched'], next: whatThereIs(now) });
}

const gone = (id: string, now: PointerNow): RejectedError =>
  new RejectedError(`${id}, which the environment ran before, does not exist here any more.`, {
    left: ['nothing was touched'],
    next: whatThereIs(now),
  });

/** Politely: what could be named instead. */
function whatThereIs({ name, history, current }: PointerNow): string {
  const others = [...new Set(history.map(({ value }) => value))].filter(value => value !== current?.value);
  const known =
    others.length === 0
      ? `${name} never named another image.`
      : `${name} also named ${others.slice(0, 5).join(', ')}: set "image" to one of them.`;
  return `${known} Mode "list" shows every image of the family.`;
}

function outputsOf(parts: readonly Part[], ended: readonly Delivered[] = []) {
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
