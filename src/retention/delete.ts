import { RejectedError, UsageError } from '../kit/errors.ts';
import { flag } from '../kit/fields.ts';
import { code, table, text } from '../kit/markdown.ts';
import type { Values } from '../kit/settings.ts';
import { common, dryRun, family } from '../model/common-settings.ts';
import { type Image, type TagScheme, tagKey } from '../model/image.ts';
import { parseSelector, selectsOnly } from '../model/selector.ts';
import type { Deps } from '../ports/deps.ts';
import { schemeOf, selectImage, selection } from '../selection/select-image.ts';
import { type Asked, users as userSettings } from './find-users.ts';
import { type Judged, planOne, removeOne } from './one-image.ts';
import { heldOf, sayHeld } from './recycle-bin.ts';
import { throwIfLeft } from './removal.ts';
import { IDENTITY_HEAD, identityCells, sayAge, shortAccounts } from './rules/inventory.ts';

// Needs one image.
// Leaves behind neither the image nor its snapshots, unless something may still launch it.

export const settings = {
  family,
  ...selection(undefined),
  keepSnapshots: flag('Leave the snapshots of the image where they are.', false),
  dryRun: dryRun(false),
  ...userSettings,
  ...common,
};

export const outputs = {
  amiId: 'The image.',
  removed: 'Whether it was removed now; false when it was gone already, and in a dry run.',
  reason: 'Why it may go, or that it is gone already.',
};

export async function run(
  wanted: Values<typeof settings> & Pick<Asked, 'pointers'>,
  deps: Deps<'account' | 'images' | 'parameters' | 'imageUsers' | 'removal', 'commits'>,
) {
  const { report, clock } = deps;
  const aws = deps.inRegion({ region: wanted.region });
  const scheme = schemeOf(wanted);

  // Run again after it was killed: what is gone by its ID is as it should be.
  if (wanted.image.startsWith('ami-') && (await aws.images.get(wanted.image)) === undefined) {
    const reason = `${wanted.image} does not exist in ${wanted.region}: nothing to do`;
    report.warn(reason);
    return { outcome: 'unchanged' as const, outputs: { amiId: wanted.image, removed: false, reason } };
  }
  const { image } = await report.step(`Resolve ${wanted.image}`, () => selectImage(wanted, deps, { ifNone: [GONE] }));
  if (!wanted.dryRun) insistOnOne(wanted.image, image, scheme);

  const judged = await planOne(image, wanted, scheme, aws, deps);
  const { decision } = judged;
  if (decision.action !== 'remove') throw refusal(decision);

  const fate = wanted.dryRun ? 'would be removed' : 'to be removed';
  const cells = [...identityCells(image, scheme), sayAge(image, clock.now()), `${fate}: ${text(decision.reason)}`];
  report.summary([`### Delete ${code(image.id)} of ${text(wanted.family)}`, table([...IDENTITY_HEAD, 'Age', ''], [cells])].join('\n\n'));
  const told = { amiId: image.id, removed: !wanted.dryRun, reason: decision.reason };
  if (wanted.dryRun) return { outcome: 'planned' as const, outputs: told };

  if (wanted.keepSnapshots && image.snapshotIds.length > 0) {
    // Or the next prune would find snapshots of the family that no image has.
    await aws.images.tag(image.snapshotIds, { [tagKey(scheme, 'keep')]: `snapshot of ${image.id}, which was deleted without it` });
  }
  const end = await report.step(`Remove ${image.id}`, () => removeOne(judged, wanted.keepSnapshots, aws, deps));
  if (end.result === 'kept') throw refusal({ image, reason: end.reason });
  const held = sayHeld(end.result === 'removed' ? await heldOf([image], [], aws, report) : []);
  if (held !== undefined) report.summary(held);
  throwIfLeft([end], { ...told, removed: end.result === 'removed' });
  report.summary(`### ✅ ${code(image.id)} is removed${wanted.keepSnapshots ? ', its snapshots stay' : ''}`, 'above');
  return { outcome: 'done' as const, outputs: told };
}

// Nothing in AWS remembers what an image was that is gone, so a misspelt version looks just the same.
const GONE =
  'If this is a second run, the first may have removed it: then nothing is left to do. With "image: ami-..." a second run can tell, and is green.';

/** A run that is repeated must not remove one more. */
function insistOnOne(said: string, image: Image, scheme: TagScheme): void {
  const selector = parseSelector(said);
  if (selector === undefined || selectsOnly(selector, image, scheme)) return;
  throw new UsageError([`"image: ${said}" means another image once this one is gone, so the same run again would remove one more`], {
    next: `Say "image: ${image.id}", if this is the one; a dry run shows it.`,
    outputs: { amiId: image.id, removed: false },
  });
}

const refusal = ({ image, reason }: Pick<Judged['decision'], 'image' | 'reason'>) =>
  new RejectedError(`${image.id} stays: ${reason}.`, {
    next: 'Take it out of use first; mode "list" shows where each image is used.',
    outputs: { amiId: image.id, removed: false, reason: shortAccounts(reason) },
  });
