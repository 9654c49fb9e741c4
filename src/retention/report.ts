import { formatCount, formatDollars } from '../kit/format.ts';
import { code, columns, details, nonBreaking, text } from '../kit/markdown.ts';
import { identity, type TagScheme } from '../model/image.ts';
import type { UserFacts } from '../model/image-users.ts';
import type { Reporter } from '../ports/deps.ts';
import type { Applied } from './apply.ts';
import { hashOf, imagesToDelete, isEmpty, otherDeletions, type Plan, snapshotsToDelete } from './plan.ts';
import { formatHeld } from './recycle-bin.ts';
import { formatAge, formatImage, shortAccounts, sizeOf } from './rules/inventory.ts';
import type { Decision } from './rules/rules.ts';
import type { PruneOptions } from './settings.ts';

/** What prune is about to do and what it did, as log, summary and outputs. */

type ReportOptions = Pick<PruneOptions, 'family' | 'dryRun' | 'pricePerGib'>;

const ACTIONS = { keep: '', mark: nonBreaking('🏷️ mark'), unmark: nonBreaking('↩️ unmark'), remove: nonBreaking('🗑️ **remove**') } as const;

const formatAction = ({ action, disables }: Decision) => (action === 'mark' && disables === true ? '🏷️ mark, disable' : ACTIONS[action]);

export function reportPlan(plan: Plan, options: ReportOptions, scheme: TagScheme, report: Reporter, now: number): void {
  for (const { image, action, reason } of plan.images) {
    report.untrusted(`${action.padEnd(6)} ${formatImage(image, scheme)}, ${formatAge(image, scheme, now)} old: ${reason}`);
  }
  const others = otherDeletions(plan);
  for (const { what, region, reason } of others) report.untrusted(`remove ${what} in ${region}: ${reason}`);
  const total = formatTotal(plan, options);
  report.info(total);
  for (const { image, disables, sharedWith = [] } of plan.images.filter(({ action }) => action === 'mark')) {
    if (disables !== true || sharedWith.length === 0) continue;
    report.warn(`Disabling ${image.id} takes it from ${sharedWith.join(', ')} permanently: enabling it does not share it again.`);
  }
  const lines = [formatRead(plan), ...(others.length === 0 ? [] : [otherTable(plan)]), ...imageTables(plan, options, scheme, now)];
  const body = lines.join('\n\n');
  const dry = `### 🔍 Dry run of ${text(options.family)}: ${total}\n\n${dryRunHint(plan)}\n\n${body}`;
  report.summary(options.dryRun ? dry : details(`Plan: ${total}`, body));
}

const dryRunHint = (plan: Plan): string =>
  `No changes were made. To apply this, set \`dry-run: false\`; to apply exactly this plan, add ${code(`plan-hash: ${hashOf(plan)}`)}.`;

/** What was read: a number of 0 shows a wrong account or region. */
function formatRead({ regions }: Plan): string {
  const count = (noun: string, of: (facts: UserFacts) => readonly unknown[]) =>
    formatCount(regions.flatMap(({ survey }) => of(survey.users.facts)).length, noun);
  const groups = count('group', ({ launchers }) => launchers.filter(({ group }) => group !== undefined));
  const others = [count('instance', ({ instances }) => instances), count('parameter', ({ parameters }) => parameters)];
  return `Read: ${[groups, ...others].join(', ')} in ${regions.map(({ survey }) => survey.region).join(', ')}.`;
}

function formatTotal(plan: Plan, options: ReportOptions): string {
  const toDelete = imagesToDelete(plan);
  const marked = plan.images.filter(({ action }) => action === 'mark').length;
  const unmarked = plan.images.filter(({ action }) => action === 'unmark').length;
  const others = otherDeletions(plan).length;
  const { gib, perMonth } = sizeOf([...toDelete.map(({ image }) => image), ...snapshotsToDelete(plan)], Number(options.pricePerGib));
  if (toDelete.length + marked + unmarked + others === 0)
    return `Nothing to remove: ${plan.images.length === 1 ? 'the only image is' : `all ${plan.images.length} images are`} kept.`;
  const also = [
    ...(marked === 0 ? [] : [`${marked} marked`]),
    ...(unmarked === 0 ? [] : [`${unmarked} unmarked`]),
    ...(others === 0 ? [] : [`${formatCount(others, 'other resource')} removed`]),
  ].join(', ');
  const verb = options.dryRun ? 'would be removed' : 'to be removed';
  return `${toDelete.length} of ${formatCount(plan.images.length, 'image')} ${verb}${also === '' ? '' : ` (${also})`}, which saves at most ${gib} GiB, ${formatDollars(perMonth)} a month.`;
}

// Changes come first. The log has every image; a summary of ten thousand rows would be dropped.
const CHANGES: readonly Decision['action'][] = ['remove', 'mark', 'unmark'];
const MOST_ROWS = 500;

interface TableFormat {
  readonly pricePerGib: number;
  readonly severalRegions: boolean;
  readonly scheme: TagScheme;
  readonly now: number;
}

function imageTables({ images, regions }: Plan, options: ReportOptions, scheme: TagScheme, now: number): readonly string[] {
  const changed = CHANGES.flatMap(action => images.filter(decision => decision.action === action));
  const kept = images.filter(({ action }) => action === 'keep');
  const format = { pricePerGib: Number(options.pricePerGib), severalRegions: regions.length > 1, scheme, now };
  const room = Math.max(0, MOST_ROWS - changed.length);
  return [
    ...(changed.length === 0 ? [] : [imageTable(changed, MOST_ROWS, format)]),
    ...(kept.length === 0 ? [] : [details(`${formatCount(kept.length, 'image')} kept, and why`, imageTable(kept, room, format))]),
  ];
}

function imageTable(rows: readonly Decision[], most: number, { pricePerGib, severalRegions, scheme, now }: TableFormat): string {
  const architectures = new Set(rows.map(({ image }) => image.architecture));
  const shown = columns<Decision>(rows.slice(0, most), [
    ['', formatAction],
    ['Version', ({ image }) => text(identity(image, scheme, 'version') ?? '')],
    ['Commit', ({ image }) => code(identity(image, scheme, 'commit')?.slice(0, 7) ?? '')],
    ['Image', ({ image }) => code(image.id)],
    ['Architecture', ({ image }) => image.architecture, architectures.size > 1],
    ['Region', ({ region }) => region, severalRegions],
    ['Age', ({ image }) => formatAge(image, scheme, now)],
    ['GiB', ({ image }) => String(image.sizeGiB)],
    [nonBreaking('A month'), ({ image }) => formatDollars(sizeOf([image], pricePerGib).perMonth)],
    ['Why', ({ reason }) => text(reason)],
  ]);
  const more = rows.length - most;
  return more > 0 ? `${shown}\n\nAnd ${formatCount(more, 'more image')}: the log has each with its reason.` : shown;
}

const otherTable = (plan: Plan): string =>
  columns(otherDeletions(plan), [
    ['', () => ACTIONS.remove],
    ['Other resources', ({ what }) => text(what)],
    ['Region', ({ region }) => region, plan.regions.length > 1],
    ['Why', ({ reason }) => text(reason)],
  ]);

export function reportApplied(plan: Plan, options: ReportOptions, applied: readonly Applied[], report: Reporter): void {
  const { gib, perMonth } = freed(applied, options);
  const planned = imagesToDelete(plan).length;
  const others = applied.reduce((sum, { snapshots, versions, swept }) => sum + snapshots.length + versions + swept.length, 0);
  const results = applied.flatMap(region => region.results);
  const isComplete = results.every(({ remaining }) => remaining.length === 0) && applied.every(({ remaining }) => remaining.length === 0);
  const held = formatHeld(applied.flatMap(region => region.held));
  const also = others === 0 ? '' : `, and ${formatCount(others, 'other resource')}`;
  const title =
    planned + others === 0
      ? 'nothing to remove'
      : `removed ${removedOf(applied).length} of ${formatCount(planned, 'planned image')}${also}`;
  const lines = [
    `### ${isComplete ? '✅' : '⚠️'} ${text(options.family)}: ${title}`,
    ...(gib === 0 ? [] : [`This saves at most ${gib} GiB, ${formatDollars(perMonth)} a month.`]),
    ...results.flatMap(one => (one.result === 'kept' ? [`↩️ ${code(one.decision.image.id)} is kept: ${text(one.reason)}.`] : [])),
    ...(held === undefined ? [] : [held]),
  ];
  if (held !== undefined) report.info(held.replaceAll('`', ''));
  report.summary(lines.join('\n\n'), 'above');
}

const removedOf = (applied: readonly Applied[]) =>
  applied.flatMap(({ results }) => results.filter(({ result }) => result === 'removed').map(({ decision }) => decision.image));

/** Without what the Recycle Bin holds, which is charged as before. */
function freed(applied: readonly Applied[], { pricePerGib }: ReportOptions) {
  const held = new Set(applied.flatMap(region => region.held.map(({ id }) => id)));
  const images = removedOf(applied).filter(({ snapshotIds }) => !snapshotIds.some(id => held.has(id)));
  const snapshots = applied.flatMap(region => region.snapshots.filter(({ id }) => !held.has(id)));
  return sizeOf([...images, ...snapshots], Number(pricePerGib));
}

/** What was done; in a dry run, what would be done. */
export function outputsOf(plan: Plan, options: ReportOptions, applied?: readonly Applied[]) {
  const total = (planned: (region: Plan['regions'][number]) => number, done: (region: Applied) => number) =>
    applied === undefined
      ? plan.regions.reduce((sum, region) => sum + planned(region), 0)
      : applied.reduce((sum, one) => sum + done(one), 0);
  const images = applied === undefined ? imagesToDelete(plan).map(({ image }) => image) : removedOf(applied);
  const { gib, perMonth } =
    applied === undefined ? sizeOf([...images, ...snapshotsToDelete(plan)], Number(options.pricePerGib)) : freed(applied, options);
  return {
    changed: !isEmpty(plan),
    removed: images.length,
    kept: plan.images.length - images.length,
    orphanSnapshots: total(
      region => region.orphanedSnapshots.length,
      ({ snapshots }) => snapshots.length,
    ),
    templateVersions: total(
      region => region.versions.length,
      ({ versions }) => versions,
    ),
    leftovers: total(
      ({ expired }) => expired.length,
      ({ swept }) => swept.length,
    ),
    recycleBin: (applied ?? []).flatMap(({ held }) => held.map(({ id, until }) => ({ id, until: until?.toISOString() }))),
    plan: shortened(
      plan.images.map(({ image, region, action, reason }) => ({ id: image.id, region, action, reason: shortAccounts(reason) })),
    ),
    besides: otherDeletions(plan),
    planHash: hashOf(plan),
    freedGib: gib,
    freedPerMonth: perMonth,
  };
}

// A job outputs at most 1 MB, and GitHub may count two bytes for a character.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idoutputs
const MOST_CHARACTERS = 400_000;

/** Leaves kept images out of a plan that is too long for an output; the log and the summary have them. */
export function shortened<T extends { readonly action: string }>(lines: readonly T[]): readonly T[] {
  return JSON.stringify(lines).length <= MOST_CHARACTERS ? lines : lines.filter(({ action }) => action !== 'keep');
}
