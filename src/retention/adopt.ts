import { RejectedError, UsageError } from '../kit/errors.ts';
import { list } from '../kit/fields.ts';
import { formatCount, formatList } from '../kit/format.ts';
import { matchesGlob } from '../kit/glob.ts';
import { code, columns, text } from '../kit/markdown.ts';
import type { Values } from '../kit/settings.ts';
import { common, dryRun, family, regions, regionsOf } from '../model/common-settings.ts';
import { type Image, identity, type TagScheme, tagKey, unavailableReason } from '../model/image.ts';
import { isAmiId } from '../model/patterns.ts';
import type { Deps } from '../ports/deps.ts';
import { schemeOf } from '../selection/settings.ts';
import { formatAge, formatImage } from './rules/inventory.ts';

// Requires a family and existing images, by ID or name pattern.
// Result: these images and their snapshots have the tags of the family, so that every other mode finds them.

export const settings = {
  family,
  images: list(
    'Existing images of this account that become members of the family: IDs, or patterns of their names such as `web-base-*` (`*` and `?` match anything), one a line.',
    {
      pattern: /^(?=(?:[*?]*[^*?]){3})[\w()[\] ./'@*?-]{3,128}$/,
      message: 'must be an image ID, or a name pattern with at least 3 characters other than "*" and "?"',
    },
  ),
  dryRun: dryRun(true),
  regions,
  ...common,
};

export const outputs = {
  adopted: 'Number of images that became members of the family; in a dry run, would become.',
  plan: 'JSON list: `id`, `name`, `region`, `action` (`adopt`, `keep` or `refuse`) and `reason` of every image that "images" selects, newest first.',
};

export interface Adoption {
  readonly image: Image;
  readonly region: string;
  /** `keep`: it is a member already. */
  readonly action: 'adopt' | 'keep' | 'refuse';
  readonly reason: string;
}

/** What happens to one image. An image of another family, or of a build that has not finished, is refused: its owner decides. */
export function planAdoption(image: Image, mine: string, scheme: TagScheme): Pick<Adoption, 'action' | 'reason'> {
  const current = identity(image, scheme, 'family');
  if (current === mine) return { action: 'keep', reason: `in family "${mine}" already` };
  if (current !== undefined) return { action: 'refuse', reason: `in family "${current}"` };
  const pending = identity(image, scheme, 'for-family');
  if (pending !== undefined) return { action: 'refuse', reason: `made by an unfinished build of family "${pending}"` };
  if (image.ownerAlias === 'aws-backup-vault') return { action: 'refuse', reason: 'managed by AWS Backup' };
  const unavailable = unavailableReason(image);
  if (image.state !== 'available' && image.state !== 'disabled') return { action: 'refuse', reason: unavailable ?? `still ${image.state}` };
  return { action: 'adopt', reason: 'has no family' };
}

export async function run(options: Values<typeof settings>, deps: Deps<'images'>) {
  const { report, clock, inRegion } = deps;
  const scheme = schemeOf(options);
  const plan = await report.step('Find the images', () => planAll(options, scheme, deps));
  reportPlan(plan, options, scheme, clock.now(), report);
  const adopted = plan.filter(({ action }) => action === 'adopt');
  const results = {
    adopted: adopted.length,
    plan: plan.map(({ image: { id, name }, region, action, reason }) => ({ id, name, region, action, reason })),
  };
  const refused = plan.filter(({ action }) => action === 'refuse');
  if (refused.length > 0) {
    throw new RejectedError(
      `${formatCount(refused.length, 'image')} cannot be adopted: ${formatList(refused.map(({ image, reason }) => `${image.id} (${image.name}) is ${reason}`))}.`,
      { unchanged: true, next: 'Narrow "images" so that it selects none of them.', outputs: { ...results, adopted: 0 } },
    );
  }
  if (options.dryRun) return { outcome: 'planned' as const, outputs: results };
  await report.step('Tag the images', async () => {
    for (const { image, region } of adopted) {
      // The date of the image travels with its copies, whose own date is that of copying.
      const createdAt = image.createdAt === undefined ? {} : { [tagKey(scheme, 'created-at')]: image.createdAt.toISOString() };
      const tags = { [tagKey(scheme, 'family')]: options.family, ...createdAt };
      await inRegion({ region }).images.tag([image.id, ...image.snapshotIds], tags);
      report.info(`${formatImage(image, scheme)} is in family "${options.family}".`);
    }
  });
  return { outcome: adopted.length === 0 ? ('unchanged' as const) : ('done' as const), outputs: results };
}

async function planAll(options: Values<typeof settings>, scheme: TagScheme, { inRegion }: Deps<'images'>): Promise<readonly Adoption[]> {
  const plan: Adoption[] = [];
  const unmatched = new Set(options.images);
  for (const region of regionsOf(options)) {
    for (const image of await inRegion({ region }).images.find({ includeDisabled: true })) {
      const selectors = options.images.filter(one => (isAmiId(one) ? one === image.id : matchesGlob(one, image.name)));
      for (const selector of selectors) unmatched.delete(selector);
      if (selectors.length > 0) plan.push({ image, region, ...planAdoption(image, options.family, scheme) });
    }
  }
  if (unmatched.size > 0) {
    const selectors = [...unmatched].map(one => `"${one}"`);
    throw new UsageError([`"images": ${formatList(selectors)} matches no image of this account in ${regionsOf(options).join(', ')}`], {
      next: 'Check the region, the account, and the names: aws ec2 describe-images --owners self --query "Images[].[ImageId,Name]" --output table',
    });
  }
  return plan.sort((a, b) => (b.image.createdAt?.getTime() ?? 0) - (a.image.createdAt?.getTime() ?? 0));
}

const MARKS = { adopt: '🏷️ adopt', keep: '', refuse: '❌ refuse' } as const;

function reportPlan(
  plan: readonly Adoption[],
  options: Values<typeof settings>,
  scheme: TagScheme,
  now: number,
  report: Deps<never>['report'],
): void {
  for (const { image, action, reason } of plan) report.untrusted(`${action.padEnd(6)} ${image.id} (${image.name}): ${reason}`);
  const count = plan.filter(({ action }) => action === 'adopt').length;
  const total = `${formatCount(count, 'image')} of ${plan.length} ${options.dryRun ? 'would join' : 'to join'} family "${options.family}".`;
  report.info(total);
  const severalRegions = new Set(plan.map(({ region }) => region)).size > 1;
  const table = columns<Adoption>(plan, [
    ['', ({ action }) => MARKS[action]],
    ['Image', ({ image }) => code(image.id)],
    ['Name', ({ image }) => text(image.name)],
    ['Region', ({ region }) => region, severalRegions],
    ['Age', ({ image }) => formatAge(image, scheme, now)],
    ['Why', ({ reason }) => text(reason)],
  ]);
  const hint = options.dryRun ? ' This is a dry run. To apply the plan, set `dry-run: false`.' : '';
  report.summary(
    `### Adopt images into ${text(options.family)}\n\n**${text(total)}**${hint}\n\n${table}\n\nAdopted images have no verdict. To promote one, run \`validate\` on it.`,
  );
}
