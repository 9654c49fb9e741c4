import { previousImageId } from '../domain/pointer.ts';
import { flag } from '../kit/fields.ts';
import type { Values } from '../kit/settings.ts';
import { deliver } from '../steps/deliver.ts';
import { environmentPointer, readPointer, withdraw } from '../steps/point.ts';
import { isThere, type Promotion, planPromotion, throwIfRefused } from '../steps/promotion.ts';
import { rollSettings, throwIfUnfit } from '../steps/roll-settings.ts';
import { tellEnd, tellPlan } from '../steps/roll-summary.ts';
import { schemeOf, selectImage, selection } from '../steps/select.ts';
import { liftVeto } from '../steps/veto.ts';
import type { Powers } from '../world.ts';
import { common, dryRun, environment, family } from './shared.ts';

// Needs an image that passed validation, and an environment.
// Leaves behind the groups rolled and proven, then the pointer moved and proven; or everything as it was, and a red job.

export const settings = {
  family,
  ...selection('latest'),
  environment,
  ...rollSettings,
  liftVeto: flag('Promote an image that was rolled back here, and forget that it was.', false, {
    withOnly: true,
    neededBy: 'teams that rolled back an image which was not to blame',
  }),
  dryRun: dryRun(false),
  ...common,
};

export const outputs = {
  amiId: 'The image that the environment runs now.',
  previousAmiId: 'The image that it ran before.',
  pointer: 'Name of the parameter that names it.',
  pointerVersion: 'Version of the parameter.',
  refreshes: 'JSON list: `group`, `refresh`, `status`, `from` and `to` (launch template versions) of every group.',
  changed: 'false when the environment ran exactly this already.',
};

type Wanted = Values<typeof settings>;

export async function run(wanted: Wanted, world: Powers<'images' | 'parameters' | 'groups' | 'launchTemplates' | 'machines', 'commits'>) {
  throwIfUnfit(wanted);
  const { report } = world;
  const place = world.at({ region: wanted.region });
  const scheme = schemeOf(wanted);

  const { image, because } = await report.step(`Find ${wanted.image}`, () => selectImage(wanted, world));
  const promotion = await report.step('Plan', async () => {
    const pointer = await readPointer(environmentPointer({ ...wanted, architecture: image.architecture }), place);
    // A pointer that names it already was moved by a run that did not come to its end.
    const was = pointer.current?.value === image.id ? previousImageId(pointer.history) : pointer.current?.value;
    return planPromotion({ ...wanted, deed: 'promote', image, because, was, pointer, scheme, roll: wanted }, place);
  });
  tellPlan(promotion, report);
  throwIfRefused(promotion);
  if (wanted.dryRun) return { outcome: 'planned' as const, outputs: outputsOf(promotion, { changed: false }) };

  // Only once the image runs: lifted for a promotion that then failed, it would be gone for the next push.
  const forget = () => (wanted.liftVeto ? liftVeto({ ...promotion, imageId: image.id }, place) : nothing());
  if (isThere(promotion)) {
    report.info(`${wanted.environment} runs ${image.id} already: nothing to do.`);
    await forget();
    if (promotion.pointer.candidate !== undefined) await withdraw(promotion.pointer, place);
    return {
      outcome: 'unchanged' as const,
      outputs: outputsOf(promotion, { changed: false, version: promotion.pointer.current?.version }),
    };
  }

  const { rolled, moved } = await deliver(promotion, world, place, { before: nothing, undo: nothing, after: forget });
  tellEnd(promotion, { rolled, moved }, report);
  const outputs = outputsOf(promotion, { changed: true, version: moved?.version, refreshes: rolled });
  return { outcome: moved === undefined ? ('unknown' as const) : ('done' as const), outputs };
}

const nothing = async (): Promise<void> => {};

const outputsOf = ({ image, was, pointer }: Promotion, told: { changed: boolean; version?: number | undefined; refreshes?: unknown }) => ({
  amiId: image.id,
  previousAmiId: was ?? '',
  pointer: pointer.name,
  pointerVersion: told.version,
  refreshes: told.refreshes ?? [],
  changed: told.changed,
});
