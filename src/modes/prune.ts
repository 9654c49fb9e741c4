import type { TagScheme } from '../domain/image.ts';
import { IDENTITY_HEAD, identityCells, sayAge, sayDollars, sizeOf } from '../domain/inventory.ts';
import { type Decision, planHash } from '../domain/retention.ts';
import { RejectedError, UsageError } from '../kit/errors.ts';
import { optional, text as textSetting } from '../kit/fields.ts';
import { table, text } from '../kit/markdown.ts';
import type { Values } from '../kit/settings.ts';
import { planWithEvidence } from '../steps/evidence.ts';
import { failClosed, findUsers, price, users as userSettings } from '../steps/image-users.ts';
import { mark, unmark } from '../steps/marks.ts';
import { type Ended, removeAll, throwIfLeft } from '../steps/removal.ts';
import { furtherRetention, policyOf, retention } from '../steps/retention-settings.ts';
import { pointer, schemeOf } from '../steps/select.ts';
import type { Place, Powers } from '../world.ts';
import { common, dryRun, family } from './shared.ts';

// Needs a family and what to keep of it.
// Leaves behind only images that something may still launch or that the policy keeps, and a plan with a reason for each.

export const settings = {
  family,
  ...retention,
  dryRun: dryRun(true),
  pointer,
  ...userSettings,
  ...furtherRetention,
  planHash: optional(
    textSetting('Carries out only the plan that has this hash: the output of the dry run that somebody approved.', {
      pattern: /^[0-9a-f]{32}$/,
      says: 'must be the output "plan-hash" of a dry run',
      withOnly: true,
      neededBy: 'teams where a person approves the plan',
    }),
  ),
  pricePerGib: price,
  ...common,
};

export const outputs = {
  removed: 'How many images were removed; in a dry run, would be.',
  kept: 'How many images stay.',
  plan: 'JSON list: `id`, `region`, `action` (`keep`, `mark`, `unmark` or `remove`) and `because` of every image of the family, newest first.',
  planHash: 'Hash of what the plan would change, for `plan-hash` of the run that carries it out.',
  freedGib: 'GiB of snapshots that this frees, at most: snapshots share blocks.',
  freedPerMonth: 'What that costs a month, in dollars.',
};

type Wanted = Values<typeof settings>;
type World = Powers<'account' | 'images' | 'imageUsers' | 'removal'>;

export async function run(wanted: Wanted, world: World) {
  const { report, clock } = world;
  const { region } = wanted;
  const place = world.at({ region });
  const scheme = schemeOf(wanted);
  const policy = policyOf(wanted, scheme, await place.account.id());

  const images = await report.step(`List the images of ${wanted.family}`, () =>
    place.images.find({ tags: { [`${scheme.prefix}family`]: wanted.family }, includeDisabled: true }),
  );
  if (images.length === 0) throw await noSuchFamily(wanted, scheme, place);

  // If one who may launch an image cannot be seen, this rejects and nothing is removed.
  const now = clock.now();
  const { users, plan } = await failClosed(report, async () => {
    const found = await report.step('Find what may still launch them', () => findUsers(wanted, place, report));
    const candidates = images.map(image => ({ image, region, users: found.all.get(image.id) ?? [] }));
    return { users: found, plan: await report.step('Plan', () => planWithEvidence(candidates, policy, now, () => place)) };
  });
  show(plan, wanted, scheme, world, now);
  stopIfImplausible(plan, wanted);

  const of = (action: Decision['action']) => plan.filter(decision => decision.action === action);
  const doomed = of('remove');
  if (wanted.planHash !== undefined && wanted.planHash !== planHash(plan)) {
    throw new RejectedError('The plan is no longer the one that was approved. Nothing was removed.', {
      next: 'Look at the plan above, and approve it anew.',
      outputs: tell(plan, [], wanted),
    });
  }
  if (wanted.dryRun) return { outcome: 'planned' as const, outputs: tell(plan, doomed, wanted) };
  if (plan.every(({ action }) => action === 'keep')) return { outcome: 'unchanged' as const, outputs: tell(plan, [], wanted) };

  const here = { ...world, place, users };
  await report.step('Mark and unmark', async () => {
    await unmark(of('unmark'), policy, here);
    await mark(of('mark'), policy, here);
  });
  const ended = await report.step(`Remove ${doomed.length} images`, () => removeAll(doomed, policy, false, here));
  const told = tell(plan, removedOf(ended), wanted);
  throwIfLeft(ended, told);
  return { outcome: 'done' as const, outputs: told };
}

async function noSuchFamily(
  { family: name, region }: Wanted,
  { prefix }: TagScheme,
  { images }: Pick<Place, 'images'>,
): Promise<UsageError> {
  const families = (await images.find({ includeDisabled: true })).flatMap(({ tags }) => tags[`${prefix}family`] ?? []);
  const there = families.length === 0 ? 'No image here has a family' : `Families here: ${[...new Set(families)].sort().join(', ')}`;
  return new UsageError([`"family": no image in ${region} is tagged ${prefix}family=${name}. ${there}`]);
}

/** Whoever sees nothing in use probably looks with the wrong eyes: another account, a pointer that is spelt differently. */
function stopIfImplausible(plan: readonly Decision[], { minInUse, retireFamily, family: name, pointer: template }: Wanted): void {
  const inUse = plan.filter(({ users }) => users.length > 0).length;
  if (retireFamily || inUse >= minInUse) return;
  throw new RejectedError(
    `Only ${inUse} of ${plan.length} images of ${name} are in use, and "min-in-use" expects ${minInUse}. Nothing was removed.`,
    {
      next: `Check account, region and "pointer" (${template}); if it is true, say "min-in-use: ${inUse}".`,
    },
  );
}

const removedOf = (ended: readonly Ended[]): Decision[] =>
  ended.filter(({ result }) => result === 'removed').map(({ decision }) => decision);

const SAID = { keep: 'keep', mark: '🏷️ mark', unmark: '↩️ unmark', remove: '🗑️ remove' } as const;

/** The same plan in a dry run and in a real one, in the log and in the summary. */
function show(plan: readonly Decision[], wanted: Wanted, scheme: TagScheme, { report }: Pick<World, 'report'>, now: number): void {
  const doomed = plan.filter(({ action }) => action === 'remove').map(({ image }) => image);
  const { gib, perMonth } = sizeOf(doomed, Number(wanted.pricePerGib));
  const verb = wanted.dryRun ? 'would be removed' : 'to be removed';
  const total = `${doomed.length} of ${plan.length} images ${verb}: at most ${gib} GiB, ${sayDollars(perMonth)} a month.`;
  for (const { image, action, because } of plan) report.foreign(`${action.padEnd(6)} ${image.id} (${sayAge(image, now)} old): ${because}`);
  report.info(total);
  const rows = plan.map(({ image, action, because }) => [
    ...identityCells(image, scheme),
    sayAge(image, now),
    String(image.sizeGiB),
    SAID[action],
    text(because),
  ]);
  report.summary(
    [
      `### Prune ${text(wanted.family)}`,
      total + (wanted.dryRun ? ' This was a dry run: `dry-run: false` removes them.' : ''),
      table([...IDENTITY_HEAD, 'Age', 'GiB', '', 'Why'], rows),
    ].join('\n\n'),
  );
}

function tell(plan: readonly Decision[], removed: readonly Decision[], wanted: Wanted) {
  const freed = sizeOf(
    removed.map(({ image }) => image),
    Number(wanted.pricePerGib),
  );
  return {
    removed: removed.length,
    kept: plan.length - removed.length,
    plan: plan.map(({ image, region, action, because }) => ({ id: image.id, region, action, because })),
    planHash: planHash(plan),
    freedGib: freed.gib,
    freedPerMonth: freed.perMonth,
  };
}
