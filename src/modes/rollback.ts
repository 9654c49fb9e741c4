import { type WayBack, wayBack } from '../domain/roll/way-back.ts';
import { RejectedError } from '../kit/errors.ts';
import type { Values } from '../kit/settings.ts';
import { deliver } from '../steps/roll/deliver.ts';
import { deploymentSettings, recorded } from '../steps/roll/deployment.ts';
import { environmentPointer, type PointerNow, readPointer } from '../steps/roll/point.ts';
import { type Promotion, planPromotion, throwIfRefused } from '../steps/roll/promotion.ts';
import { rollSettings, throwIfUnfit } from '../steps/roll/settings.ts';
import { tellEnd, tellPlan } from '../steps/roll/summary.ts';
import { liftVeto, veto } from '../steps/roll/veto.ts';
import { pointer, schemeOf, selectImage, selection } from '../steps/select.ts';
import { common, dryRun, environment, family } from '../steps/settings.ts';
import type { Place, Powers } from '../world.ts';

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
  githubToken,
  ...deploymentSettings,
  dryRun: dryRun(false),
  ...common,
};

export const outputs = {
  amiId: 'The image that the environment runs again.',
  replacedAmiId: 'The image that it ran, now vetoed there.',
  pointer: 'Name of the parameter that names it.',
  pointerVersion: 'Version of the parameter.',
  refreshes: 'JSON list: `group`, `refresh`, `status`, `from` and `to` (launch template versions) of every group.',
};

type Wanted = Values<typeof settings>;
type Ports = Pick<Place, 'images' | 'parameters' | 'groups' | 'launchTemplates' | 'machines'>;

export async function run(wanted: Wanted, world: Powers<keyof Ports, 'commits' | 'deployments'>) {
  throwIfUnfit(wanted);
  const { report } = world;
  const place = world.at({ region: wanted.region });
  const scheme = schemeOf(wanted);

  const promotion = await report.step('Plan', async () => {
    const now = await readPointer(environmentPointer(wanted), place);
    const back = wayBack(now, wanted.environment);
    const { to, replaces, because } = throwIfNone(wanted.image === 'previous' ? back : await named(wanted, world, now), now);
    const target = await world.at({ region: wanted.region }).images.get(to);
    if (target === undefined) throw gone(to, now);
    const order = {
      ...wanted,
      deed: 'rollback' as const,
      image: target,
      because,
      was: replaces,
      pointer: now,
      scheme,
      liftVeto: false,
      roll: wanted,
    };
    return planPromotion(order, place);
  });
  tellPlan(promotion, report);
  throwIfRefused(promotion);
  if (wanted.dryRun) return { outcome: 'planned' as const, outputs: outputsOf(promotion) };

  const replaced = { ...promotion, imageId: promotion.was };
  const around = {
    // Before the roll, so that a push that comes in between does not bring the image back.
    before: () => veto(replaced, report, place),
    // It failed, so the image stays current.
    undo: () => liftVeto(replaced, place),
    after: async () => {},
  };
  const { rolled, moved } = await recorded(
    { ...wanted, image: promotion.image, scheme, says: `roll back to ${promotion.image.id}` },
    world,
    () => deliver(promotion, world, place, around),
    ended => (ended.moved === undefined ? 'moving' : 'success'),
  );
  tellEnd(promotion, { rolled, moved }, report);
  const outputs = { ...outputsOf(promotion), pointerVersion: moved?.version, refreshes: rolled };
  return { outcome: moved === undefined ? ('unknown' as const) : ('done' as const), outputs };
}

/** An image that the user names instead of the previous one. */
async function named(wanted: Wanted, world: Powers<'images' | 'parameters', 'commits'>, now: PointerNow): Promise<WayBack> {
  const selected = await selectImage({ ...wanted, fallback: 'none', walk: 1 }, world);
  if (now.current === undefined)
    return { to: undefined, because: `${wanted.environment} has no pointer, so there is nothing to go back from` };
  if (selected.image.id === now.current.value) return { to: undefined, because: `${wanted.environment} runs ${selected.image.id} already` };
  return { to: selected.image.id, replaces: now.current.value, because: selected.because };
}

function throwIfNone(back: WayBack, now: PointerNow): Extract<WayBack, { to: string }> {
  if (back.to !== undefined) return back;
  throw new RejectedError(`Nothing to go back to: ${back.because}.`, { left: ['nothing was touched'], next: whatThereIs(now) });
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

const outputsOf = ({ image: { id }, was, pointer: { name } }: Promotion) => ({ amiId: id, replacedAmiId: was ?? '', pointer: name });
