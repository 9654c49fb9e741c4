import { RejectedError, UsageError } from '../kit/errors.ts';
import { flag } from '../kit/fields.ts';
import { code, table, text } from '../kit/markdown.ts';
import type { Values } from '../kit/settings.ts';
import { common, dryRun, family } from '../model/common-settings.ts';
import { type Image, type TagScheme, tagKey } from '../model/image.ts';
import { parseSelector, selectsOnly } from '../model/selector.ts';
import type { Deps } from '../ports/deps.ts';
import { selectImage } from '../selection/select-image.ts';
import { schemeOf, selection } from '../selection/settings.ts';
import { type UserOptions, users } from './find-users.ts';
import { planOne, removeOne } from './one-image.ts';
import { formatHeld, heldOf } from './recycle-bin.ts';
import { throwIfIncomplete } from './removal.ts';
import { formatAge, formatImage, IDENTITY_HEAD, identityCells, shortAccounts } from './rules/inventory.ts';

// Requires one image.
// Result: the image and its snapshots are removed, unless something may still launch it.

export const settings = {
  family,
  ...selection(undefined),
  keepSnapshots: flag('Keeps the snapshots of the image.', false),
  dryRun: dryRun(false),
  ...users,
  ...common,
};

export const outputs = {
  amiId: 'The image.',
  removed: 'Whether this run removed it; false in a dry run, and when it did not exist.',
  reason: 'Why it may be removed, or that it does not exist.',
};

export async function run(
  options: Values<typeof settings> & Pick<UserOptions, 'pointers'>,
  deps: Deps<'account' | 'images' | 'parameters' | 'imageUsers' | 'removal', 'commits'>,
) {
  const { report, clock } = deps;
  const aws = deps.inRegion({ region: options.region });
  const scheme = schemeOf(options);

  // A repeated run after a kill: an ID that does not exist is the desired state.
  if (options.image.startsWith('ami-') && (await aws.images.get(options.image)) === undefined) {
    const reason = `${options.image} does not exist in ${options.region}: nothing to do`;
    report.warn(reason);
    return { outcome: 'unchanged' as const, outputs: { amiId: options.image, removed: false, reason } };
  }
  const { image } = await report.step(`Resolve ${options.image}`, () => selectImage(options, deps, { ifNone: [IF_REPEATED] }));
  if (!options.dryRun) requireUnique(options.image, image, scheme);

  const plan = await planOne(image, options, scheme, aws, deps);
  const { action, reason } = plan.decision;
  if (action !== 'remove') throw refusal(image, reason, scheme, true);

  const effect = options.dryRun ? 'would be removed' : 'to be removed';
  const cells = [...identityCells(image, scheme), formatAge(image, scheme, clock.now()), `${effect}: ${text(reason)}`];
  report.summary([`### Delete ${code(image.id)} of ${text(options.family)}`, table([...IDENTITY_HEAD, 'Age', ''], [cells])].join('\n\n'));
  const results = { amiId: image.id, removed: !options.dryRun, reason };
  if (options.dryRun) return { outcome: 'planned' as const, outputs: results };

  if (options.keepSnapshots && image.snapshotIds.length > 0) {
    // Without this tag, the next prune would remove them as orphaned snapshots.
    await aws.images.tag(image.snapshotIds, { [tagKey(scheme, 'keep')]: `snapshot of ${image.id}, which was deleted without it` });
  }
  const removal = await report.step(`Remove ${image.id}`, () => removeOne(plan, options.keepSnapshots, aws, deps));
  if (removal.result === 'kept') throw refusal(image, removal.reason, scheme, !options.keepSnapshots);
  const held = formatHeld(removal.result === 'removed' ? await heldOf([image], [], aws, report) : []);
  if (held !== undefined) report.summary(held);
  throwIfIncomplete([removal], { ...results, removed: removal.result === 'removed' });
  report.summary(`### ✅ Deleted ${code(image.id)}${options.keepSnapshots ? '; its snapshots are kept' : ''}`, 'above');
  return { outcome: 'done' as const, outputs: results };
}

// AWS keeps nothing of a removed image, so a misspelt version looks the same.
const IF_REPEATED =
  'If an earlier run already removed it, nothing is left to do. To make repeated runs succeed, set "image: ami-..." instead of a version.';

/** A repeated run must not remove another image. */
function requireUnique(written: string, image: Image, scheme: TagScheme): void {
  const selector = parseSelector(written);
  if (selector === undefined || selectsOnly(selector, image, scheme)) return;
  throw new UsageError([`"image: ${written}" would select another image after this one is removed`], {
    unchanged: true,
    next: `To delete ${formatImage(image, scheme)}, set "image: ${image.id}".`,
    outputs: { amiId: image.id, removed: false },
  });
}

const refusal = (image: Image, reason: string, scheme: TagScheme, unchanged: boolean) =>
  new RejectedError(`Image ${formatImage(image, scheme)} is kept: ${reason}.`, {
    unchanged,
    next: 'Remove what keeps it, then re-run the job. Mode "list" shows all uses of each image.',
    outputs: { amiId: image.id, removed: false, reason: shortAccounts(reason) },
  });
