import { formatDollars } from '../kit/format.ts';
import { code, columns, details, nonBreaking, text } from '../kit/markdown.ts';
import { identity, type TagScheme } from '../model/image.ts';
import type { Deps } from '../ports/deps.ts';
import type { Done } from './apply.ts';
import { besides, doomedOf, hashOf, type Plan, straysOf } from './plan.ts';
import { sayHeld } from './recycle-bin.ts';
import { sayAge, shortAccounts, sizeOf } from './rules/inventory.ts';
import type { Decision } from './rules/rules.ts';

/** What prune means to do, and what it did: the same words in a dry run and in a real one. */

interface Wanted {
  readonly family: string;
  readonly dryRun: boolean;
  readonly pricePerGib: string;
}

const SAID = { keep: '', mark: nonBreaking('🏷️ mark'), unmark: nonBreaking('↩️ unmark'), remove: nonBreaking('🗑️ **remove**') } as const;

const said = ({ action, disables }: Decision) => (action === 'mark' && disables === true ? '🏷️ mark, disable' : SAID[action]);

const some = (count: number, one: string): string => `${count} ${one}${count === 1 ? '' : 's'}`;

/** The same plan in a dry run and in a real one, in the log and in the summary. */
export function show(plan: Plan, wanted: Wanted, scheme: TagScheme, { report }: Pick<Deps<never>, 'report'>, now: number): void {
  for (const { image, action, reason } of plan.images) {
    report.untrusted(`${action.padEnd(6)} ${image.id} (${sayAge(image, now)} old): ${reason}`);
  }
  for (const { what, region, reason } of besides(plan)) report.untrusted(`remove ${what} in ${region}: ${reason}`);
  const total = totalOf(plan, wanted);
  report.info(total);
  const taken = plan.images.filter(({ action, disables, sharedWith = [] }) => action === 'mark' && disables && sharedWith.length > 0);
  for (const { image, sharedWith = [] } of taken) {
    report.warn(`To disable ${image.id} takes it from ${sharedWith.join(', ')}, for good: enabling it again does not share it again.`);
  }
  const lines = [
    `### Prune ${text(wanted.family)}`,
    `**${total}**${wanted.dryRun ? ' This was a dry run: `dry-run: false` does it.' : ''}`,
    ...(besides(plan).length === 0 ? [] : [besidesTable(plan)]),
    ...imageTables(plan, wanted, scheme, now),
  ];
  report.summary(lines.join('\n\n'));
}

function totalOf(plan: Plan, wanted: Wanted): string {
  const doomed = doomedOf(plan);
  const of = (action: Decision['action']) => plan.images.filter(decision => decision.action === action).length;
  const count = { marks: of('mark'), unmarks: of('unmark'), besides: besides(plan).length };
  const { gib, perMonth } = sizeOf([...doomed.map(({ image }) => image), ...straysOf(plan)], Number(wanted.pricePerGib));
  const verb = wanted.dryRun ? 'would be removed' : 'to be removed';
  const stays = plan.images.length === 1 ? 'the only image stays' : `all ${plan.images.length} images stay`;
  if (doomed.length + count.marks + count.unmarks + count.besides === 0) return `Nothing to remove: ${stays}.`;
  const also = [
    ...(count.marks === 0 ? [] : [`${count.marks} marked`]),
    ...(count.unmarks === 0 ? [] : [`${count.unmarks} unmarked`]),
    ...(count.besides === 0 ? [] : [`${some(count.besides, 'thing')} removed beside them`]),
  ].join(', ');
  const more = also === '' ? '' : ` (${also})`;
  return `${doomed.length} of ${some(plan.images.length, 'image')} ${verb}${more}, which saves at most ${gib} GiB, ${formatDollars(perMonth)} a month.`;
}

// What is done about an image comes first, and nobody reads ten thousand rows.
const FIRST: readonly Decision['action'][] = ['remove', 'mark', 'unmark'];
const MOST_ROWS = 500;

interface Look {
  readonly pricePerGib: number;
  readonly severalRegions: boolean;
  readonly scheme: TagScheme;
  readonly now: number;
}

function imageTables({ images, regions }: Plan, wanted: Wanted, scheme: TagScheme, now: number): readonly string[] {
  const of = (action: Decision['action']) => images.filter(decision => decision.action === action);
  const changed = FIRST.flatMap(of);
  const kept = of('keep');
  const look = { pricePerGib: Number(wanted.pricePerGib), severalRegions: regions.length > 1, scheme, now };
  const room = Math.max(0, MOST_ROWS - changed.length);
  return [
    ...(changed.length === 0 ? [] : [imageTable(changed, MOST_ROWS, look)]),
    ...(kept.length === 0 ? [] : [details(`${some(kept.length, 'image')} kept, and why`, imageTable(kept, room, look))]),
  ];
}

function imageTable(rows: readonly Decision[], most: number, { pricePerGib, severalRegions, scheme, now }: Look): string {
  const severalArchitectures = new Set(rows.map(({ image }) => image.architecture)).size > 1;
  const shown = columns<Decision>(rows.slice(0, most), [
    ['', said],
    ['Image', ({ image }) => code(image.id)],
    ['Version', ({ image }) => text(identity(image, scheme, 'version') ?? '')],
    ['Commit', ({ image }) => code(identity(image, scheme, 'commit')?.slice(0, 7) ?? '')],
    ['Architecture', ({ image }) => image.architecture, severalArchitectures],
    ['Region', ({ region }) => region, severalRegions],
    ['Age', ({ image }) => sayAge(image, now)],
    ['GiB', ({ image }) => String(image.sizeGiB)],
    [nonBreaking('A month'), ({ image }) => formatDollars(sizeOf([image], pricePerGib).perMonth)],
    ['Why', ({ reason }) => text(reason)],
  ]);
  const more = rows.length - most;
  return more > 0 ? `${shown}\n\nAnd ${some(more, 'more image')}: the log names each, with its reason.` : shown;
}

const besidesTable = (plan: Plan): string =>
  columns(besides(plan), [
    ['', () => SAID.remove],
    ['Beside images', ({ what }) => text(what)],
    ['Region', ({ region }) => region, plan.regions.length > 1],
    ['Why', ({ reason }) => text(reason)],
  ]);

/** After a real run: what came of the plan. */
export function showDone(plan: Plan, wanted: Wanted, done: readonly Done[], { report }: Pick<Deps<never>, 'report'>): void {
  const { gib, perMonth } = freed(done, wanted);
  const removed = removedOf(done).length;
  const planned = doomedOf(plan).length;
  const besidesDone = done.reduce((sum, { strays, versions, swept }) => sum + strays.length + versions + swept.length, 0);
  const kept = done.flatMap(({ ended }) =>
    ended.flatMap(end => (end.result === 'kept' ? [[end.decision.image.id, end.reason] as const] : [])),
  );
  const held = sayHeld(done.flatMap(({ held: of }) => of));
  const also = besidesDone === 0 ? '' : `, and ${some(besidesDone, 'thing')} beside them`;
  const isWhole = done.every(({ left, ended }) => left.length === 0 && ended.every(end => end.remaining.length === 0));
  const lines = [
    `### ${isWhole ? '✅' : '⚠️'} ${text(wanted.family)}: ${planned === 0 && also === '' ? 'nothing was to be removed' : `${removed} of ${some(planned, 'planned image')} removed${also}`}`,
    ...(gib === 0 ? [] : [`That saves at most ${gib} GiB, ${formatDollars(perMonth)} a month.`]),
    ...kept.map(([id, reason]) => `↩️ ${code(id)} stays, ${text(reason)}.`),
    ...(held === undefined ? [] : [held]),
  ];
  if (held !== undefined) report.info(held.replaceAll('`', ''));
  report.summary(lines.join('\n\n'), 'above');
}

const removedOf = (done: readonly Done[]) =>
  done.flatMap(({ ended }) => ended.filter(({ result }) => result === 'removed').map(({ decision }) => decision.image));

/** What the Recycle Bin holds is paid for as before. */
function freed(done: readonly Done[], { pricePerGib }: Wanted) {
  const held = new Set(done.flatMap(({ held: of }) => of.map(({ id }) => id)));
  const images = removedOf(done).filter(({ snapshotIds }) => !snapshotIds.some(id => held.has(id)));
  const strays = done.flatMap(({ strays: of }) => of.filter(({ id }) => !held.has(id)));
  return sizeOf([...images, ...strays], Number(pricePerGib));
}

/** What was done; in a dry run, what would be. */
export function tell(plan: Plan, wanted: Wanted, done?: readonly Done[]) {
  const count = (of: (some: Done) => number, planned: number) => done?.reduce((sum, some) => sum + of(some), 0) ?? planned;
  const planned = (of: (region: Plan['regions'][number]) => readonly unknown[]) => plan.regions.flatMap(of).length;
  const doomed = doomedOf(plan).map(({ image }) => image);
  const gone = done === undefined ? doomed.length : removedOf(done).length;
  const size = done === undefined ? sizeOf([...doomed, ...straysOf(plan)], Number(wanted.pricePerGib)) : freed(done, wanted);
  return {
    removed: gone,
    kept: plan.images.length - gone,
    orphanSnapshots: count(
      ({ strays }) => strays.length,
      planned(({ strays }) => strays),
    ),
    templateVersions: count(
      ({ versions }) => versions,
      planned(({ versions }) => versions),
    ),
    leftovers: count(
      ({ swept }) => swept.length,
      planned(({ dead }) => dead),
    ),
    recycleBin: (done ?? []).flatMap(({ held }) => held.map(({ id, until }) => ({ id, until: until?.toISOString() }))),
    plan: fitting(
      plan.images.map(({ image, region, action, reason }) => ({ id: image.id, region, action, reason: shortAccounts(reason) })),
    ),
    besides: besides(plan),
    planHash: hashOf(plan),
    freedGib: size.gib,
    freedPerMonth: size.perMonth,
  };
}

// A job hands on outputs of at most 1 MB, and GitHub may count two bytes for a character.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idoutputs
const MOST_CHARACTERS = 400_000;

/** Of a family of thousands the output tells only what the plan does: what is kept stands in the log and in the summary. */
export function fitting<T extends { readonly action: string }>(lines: readonly T[]): readonly T[] {
  const isFitting = JSON.stringify(lines).length <= MOST_CHARACTERS;
  return isFitting ? lines : lines.filter(({ action }) => action !== 'keep');
}
