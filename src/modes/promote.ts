import type { Image } from '../domain/image.ts';
import { previousImageId } from '../domain/pointer.ts';
import { flag, optional } from '../kit/fields.ts';
import type { Values } from '../kit/settings.ts';
import { withdraw } from '../steps/roll/announce.ts';
import { deliver } from '../steps/roll/deliver.ts';
import { deploymentSettings, recorded } from '../steps/roll/deployment.ts';
import { guardSettings, readGuards } from '../steps/roll/guards.ts';
import { failsChecks } from '../steps/roll/instance-checks.ts';
import { environmentPointer, readPointer } from '../steps/roll/point.ts';
import { isThere, type Promotion, planPromotion, throwIfRefused } from '../steps/roll/promotion.ts';
import { rollSettings, throwIfUnfit } from '../steps/roll/settings.ts';
import { proveStanding } from '../steps/roll/standing.ts';
import { tellEnd, tellPlan } from '../steps/roll/summary.ts';
import { liftVeto } from '../steps/roll/veto.ts';
import { schemeOf, selectImage, selection } from '../steps/select.ts';
import { common, dryRun, environment, family } from '../steps/settings.ts';
import { readDeliveries } from '../steps/validation/deliveries.ts';
import type { Powers } from '../world.ts';
import { settings as validation } from './validate.ts';

// Needs an image that passed validation, and an environment.
// Leaves behind the groups rolled and proven, then the pointer moved and proven; or everything as it was, and a red job.

export const settings = {
  family,
  ...selection('latest'),
  environment,
  ...rollSettings,
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
  previousAmiId: 'The image that it ran before.',
  pointer: 'Name of the parameter that names it.',
  pointerVersion: 'Version of the parameter.',
  refreshes: 'JSON list: `group`, `refresh`, `status`, `from` and `to` (launch template versions) of every group.',
  changed: 'false when the environment ran exactly this already.',
};

type Wanted = Values<typeof settings>;
type World = Powers<'images' | 'parameters' | 'groups' | 'launchTemplates' | 'machines' | 'commands', 'commits' | 'deployments' | 'files'>;

export async function run(wanted: Wanted, world: World) {
  throwIfUnfit({ ...wanted, checksSeconds: wanted.checks === undefined ? undefined : wanted.checksTimeout });
  const { report } = world;
  const place = world.at({ region: wanted.region });
  const check = await checker(wanted, world);

  const { image, because } = await report.step(`Find ${wanted.image}`, () => selectImage(wanted, world));
  const promotion = await report.step('Plan', () => plan(wanted, image, because, world));
  tellPlan(promotion, report);
  throwIfRefused(promotion);
  if (wanted.dryRun) return { outcome: 'planned' as const, outputs: outputsOf(promotion, { changed: false }) };

  // Only once the image runs: lifted for a promotion that then failed, it would be gone for the next push.
  const forget = () => (wanted.liftVeto ? liftVeto({ ...promotion, imageId: image.id }, place) : nothing());
  if (isThere(promotion)) {
    report.info(`${wanted.environment} runs ${image.id} already: nothing to do.`);
    await forget();
    if (promotion.pointer.candidate !== undefined) {
      await proveStanding(promotion, check, world, place);
      await withdraw(promotion.pointer, place);
    }
    return {
      outcome: 'unchanged' as const,
      outputs: outputsOf(promotion, { changed: false, version: promotion.pointer.current?.version }),
    };
  }

  const { rolled, moved } = await recorded(
    { ...wanted, image, scheme: promotion.scheme, says: `promote ${image.id}` },
    world,
    () => deliver(promotion, world, place, { before: nothing, undo: nothing, after: forget, check }),
    ended => (ended.moved === undefined ? 'moving' : 'success'),
  );
  tellEnd(promotion, { rolled, moved }, report);
  const told = outputsOf(promotion, { changed: true, version: moved?.version, refreshes: rolled });
  return { outcome: moved === undefined ? ('unknown' as const) : ('done' as const), outputs: told };
}

async function plan(wanted: Wanted, image: Image, because: string, world: World): Promise<Promotion> {
  const place = world.at({ region: wanted.region });
  const of = { ...wanted, architecture: image.architecture };
  const [pointer, guards] = await Promise.all([readPointer(environmentPointer(of), place), readGuards(of, image, world)]);
  // A pointer that names it already was moved by a run that did not come to its end.
  const was = pointer.current?.value === image.id ? previousImageId(pointer.history) : pointer.current?.value;
  const facts = { image, because, was, pointer, guards, scheme: schemeOf(wanted), now: world.clock.now() };
  return planPromotion({ ...wanted, ...facts, deed: 'promote', roll: wanted }, place);
}

const nothing = async (): Promise<void> => {};

async function checker({ checks, checksTimeout: seconds, region }: Wanted, world: World) {
  if (checks === undefined || checks.length === 0) return undefined;
  const deliveries = await readDeliveries(checks, world.files);
  return (instanceId: string) => failsChecks(instanceId, { checks, deliveries, seconds }, world, world.at({ region }));
}

const outputsOf = ({ image, was, pointer }: Promotion, told: { changed: boolean; version?: number | undefined; refreshes?: unknown }) => ({
  amiId: image.id,
  previousAmiId: was ?? '',
  pointer: pointer.name,
  pointerVersion: told.version,
  refreshes: told.refreshes ?? [],
  changed: told.changed,
});
