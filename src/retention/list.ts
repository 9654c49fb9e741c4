import { flag } from '../kit/fields.ts';
import type { Values } from '../kit/settings.ts';
import { common, family, regions, regionsOf } from '../model/common-settings.ts';
import type { Deps } from '../ports/deps.ts';
import { pointer, schemeOf } from '../selection/select-image.ts';
import { type Asked, price, users as userSettings } from './find-users.ts';
import { asLines, asOutput, asPage } from './list-report.ts';
import { listFamily } from './listing.ts';
import { shortAccounts } from './rules/inventory.ts';

// Needs a family.
// Leaves behind a table of its images: what they are, where they are used, what they cost, and what has drifted. It changes nothing.

export const settings = {
  family,
  whereUsed: flag(
    'Show who may still launch each image, and what has drifted; reads instances, groups, launch templates and parameters.',
    true,
  ),
  pointer,
  ...userSettings,
  regions,
  pricePerGib: price,
  ...common,
};

export const outputs = {
  images:
    'JSON list: `id`, `name`, `region`, `architecture`, `version`, `commit`, `state`, `created-at`, `verdict`, `used-by` and `size-gib` of every image, newest first.',
  count: 'How many images there are.',
  drift: 'JSON list: `region`, `who` (a pointer, a group, an instance) and what it `says` that differs from what it should.',
};

type Wanted = Values<typeof settings> & Pick<Asked, 'pointers'>;
type NeededDeps = Deps<'account' | 'images' | 'imageUsers'>;

export async function run(wanted: Wanted, deps: NeededDeps) {
  const { report, clock } = deps;
  const scheme = schemeOf(wanted);
  const look = { ...wanted, scheme, regions: regionsOf(wanted), pricePerGib: Number(wanted.pricePerGib), now: clock.now() };
  const listing = await listFamily(wanted, deps);
  const { rows, drift } = listing;

  for (const line of asLines(rows, look)) report.untrusted(line);
  for (const { who, says, region } of drift) report.untrusted(`drift in ${region}: ${who} ${says}`);
  report.summary(asPage(listing, look));
  return {
    outcome: 'unchanged' as const,
    outputs: {
      images: rows.map(row => asOutput(row, scheme)),
      count: rows.length,
      drift: drift.map(({ region, who, says }) => ({ region, who, says: shortAccounts(says) })),
    },
  };
}
