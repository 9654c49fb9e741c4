import type { TagScheme } from '../domain/image.ts';
import { IDENTITY_HEAD, identityCells, sayAge, sayDollars, sizeOf } from '../domain/inventory.ts';
import type { Decision, Policy } from '../domain/retention.ts';
import { UsageError } from '../kit/errors.ts';
import { count, duration } from '../kit/fields.ts';
import { table, text } from '../kit/markdown.ts';
import type { Values } from '../kit/settings.ts';
import { findUsersOrStop, planKnowingShares, price, users as userSettings } from '../steps/image-users.ts';
import { type Ended, removeAll, throwIfLeft } from '../steps/removal.ts';
import { pointer, schemeOf } from '../steps/select.ts';
import type { Powers } from '../world.ts';
import { common, dryRun, family } from './shared.ts';

// Needs a family and what to keep of it.
// Leaves behind only images that something may still launch or that the policy keeps, and a plan with a reason for each.

export const settings = {
  family,
  keepNewest: count('How many of the newest images stay, used or not; for each architecture.', { min: 1, max: 10_000, fallback: 3 }),
  minimumAge: duration('Images younger than this stay.', { fallback: '7d' }),
  keepPassed: count('How many of the newest images that passed validation stay, used or not; for each architecture.', {
    min: 0,
    max: 10_000,
    fallback: 1,
  }),
  maxRemovals: count('The most that one run removes, the oldest first.', { min: 1, max: 100_000, fallback: 25 }),
  dryRun: dryRun(true),
  pointer,
  ...userSettings,
  maxShare: count('The most that one run removes, in percent of the images of the family.', {
    min: 1,
    max: 100,
    fallback: 80,
    neededBy: 'teams that clean up for the first time',
  }),
  pricePerGib: price,
  ...common,
};

export const outputs = {
  removed: 'How many images were removed; in a dry run, would be.',
  kept: 'How many images stay.',
  plan: 'JSON list: `id`, `region`, `action` (`keep` or `remove`) and `because` of every image of the family, newest first.',
  freedGib: 'GiB of snapshots that this frees, at most: snapshots share blocks.',
  freedPerMonth: 'What that costs a month, in dollars.',
};

type Wanted = Values<typeof settings>;

export async function run(wanted: Wanted, world: Powers<'account' | 'images' | 'imageUsers' | 'removal'>) {
  const { report, clock } = world;
  const { region } = wanted;
  const place = world.at({ region });
  const scheme = schemeOf(wanted);

  const images = await report.step(`List the images of ${wanted.family}`, () =>
    place.images.find({ tags: { [`${scheme.prefix}family`]: wanted.family }, includeDisabled: true }),
  );
  if (images.length === 0) {
    throw new UsageError([`"family": no image in ${region} is tagged ${scheme.prefix}family=${wanted.family}`], {
      next: 'Run mode "list" to see what there is.',
    });
  }

  // If one who may launch an image cannot be seen, this rejects and nothing is removed.
  const users = await report.step('Find what may still launch them', () => findUsersOrStop(wanted, place, report));

  const now = clock.now();
  const policy = policyOf(wanted, scheme, await place.account.id());
  const candidates = images.map(image => ({ image, region, users: users.all.get(image.id) ?? [] }));
  const plan = await report.step('Plan', () => planKnowingShares(candidates, policy, now, place));
  const doomed = plan.filter(({ action }) => action === 'remove');
  show(plan, wanted, scheme, world, now);
  if (wanted.dryRun || doomed.length === 0) {
    return { outcome: wanted.dryRun ? ('planned' as const) : ('unchanged' as const), outputs: tell(plan, doomed, wanted) };
  }

  const ended = await report.step(`Remove ${doomed.length} images`, () => removeAll(doomed, policy, false, { ...world, place, users }));
  const told = tell(plan, removedOf(ended), wanted);
  throwIfLeft(ended, told);
  return { outcome: 'done' as const, outputs: told };
}

const policyOf = (wanted: Wanted, scheme: TagScheme, accountId: string): Policy => ({
  scheme,
  family: wanted.family,
  accountId,
  keepNewest: wanted.keepNewest,
  keepPassed: wanted.keepPassed,
  minimumAgeSeconds: wanted.minimumAge,
  maxRemovals: wanted.maxRemovals,
  maxShare: wanted.maxShare,
});

const removedOf = (ended: readonly Ended[]): Decision[] =>
  ended.filter(({ result }) => result === 'removed').map(({ decision }) => decision);

/** The same plan in a dry run and in a real one, in the log and in the summary. */
function show(plan: readonly Decision[], wanted: Wanted, scheme: TagScheme, { report }: Pick<Powers<never>, 'report'>, now: number): void {
  const doomed = plan.filter(({ action }) => action === 'remove');
  const { gib, perMonth } = sizeOf(
    doomed.map(({ image }) => image),
    Number(wanted.pricePerGib),
  );
  const verb = wanted.dryRun ? 'would be removed' : 'to be removed';
  const total = `${doomed.length} of ${plan.length} images ${verb}: at most ${gib} GiB, ${sayDollars(perMonth)} a month.`;
  for (const { image, action, because } of plan) report.foreign(`${action.padEnd(6)} ${image.id} (${sayAge(image, now)} old): ${because}`);
  report.info(total);
  report.summary(
    [
      `### Prune ${text(wanted.family)}`,
      total + (wanted.dryRun ? ' This was a dry run: `dry-run: false` removes them.' : ''),
      table(
        [...IDENTITY_HEAD, 'Age', 'GiB', '', 'Why'],
        plan.map(({ image, action, because }) => [
          ...identityCells(image, scheme),
          sayAge(image, now),
          String(image.sizeGiB),
          action === 'remove' ? '🗑️ remove' : 'keep',
          text(because),
        ]),
      ),
    ].join('\n\n'),
  );
}

function tell(plan: readonly Decision[], removed: readonly Decision[], wanted: Wanted) {
  const { gib, perMonth } = sizeOf(
    removed.map(({ image }) => image),
    Number(wanted.pricePerGib),
  );
  return {
    removed: removed.length,
    kept: plan.length - removed.length,
    plan: plan.map(({ image, region, action, because }) => ({ id: image.id, region, action, because })),
    freedGib: gib,
    freedPerMonth: perMonth,
  };
}
