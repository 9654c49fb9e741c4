import type { TagScheme } from '../../domain/image.ts';
import { IDENTITY_HEAD, identityCells, sayAge, sayDollars, shortAccounts, sizeOf } from '../../domain/retention/inventory.ts';
import { type Decision, planHash } from '../../domain/retention/retention.ts';
import { code, table, text } from '../../kit/markdown.ts';
import type { Powers } from '../../world.ts';
import type { Done } from './carry-out.ts';
import type { Survey } from './survey.ts';

/** What prune means to do, and what it did: the same words in a dry run and in a real one. */

export interface Plan {
  readonly images: readonly Decision[];
  readonly strays: ReadonlyMap<Survey, Survey['snapshots']>;
}

interface Wanted {
  readonly family: string;
  readonly dryRun: boolean;
  readonly pricePerGib: string;
}

const straysOf = ({ strays }: Plan) => [...strays.values()].flat();

export const isIdle = (plan: Plan): boolean => plan.images.every(({ action }) => action === 'keep') && straysOf(plan).length === 0;

export const hashOf = (plan: Plan): string =>
  planHash(
    plan.images,
    straysOf(plan).map(({ id }) => id),
  );

const SAID = { keep: 'keep', mark: '🏷️ mark', unmark: '↩️ unmark', remove: '🗑️ remove' } as const;

const doomedOf = (plan: Plan) => [...plan.images.filter(({ action }) => action === 'remove').map(({ image }) => image), ...straysOf(plan)];

/** The same plan in a dry run and in a real one, in the log and in the summary. */
export function show(plan: Plan, wanted: Wanted, scheme: TagScheme, { report }: Pick<Powers<never>, 'report'>, now: number): void {
  const { gib, perMonth } = sizeOf(doomedOf(plan), Number(wanted.pricePerGib));
  const verb = wanted.dryRun ? 'would be removed' : 'to be removed';
  const strays = straysOf(plan);
  const removals = plan.images.filter(({ action }) => action === 'remove').length;
  const also = strays.length === 0 ? '' : ` and ${strays.length} snapshots that no image has`;
  const total = `${removals} of ${plan.images.length} images${also} ${verb}: at most ${gib} GiB, ${sayDollars(perMonth)} a month.`;
  for (const { image, action, because } of plan.images) {
    report.foreign(`${action.padEnd(6)} ${image.id} (${sayAge(image, now)} old): ${because}`);
  }
  report.info(total);
  const rows = plan.images.map(({ image, region, action, because }) => [
    ...identityCells(image, scheme),
    region,
    ...[sayAge(image, now), String(image.sizeGiB), SAID[action], text(because)],
  ]);
  const lines = [
    `### Prune ${text(wanted.family)}`,
    total + (wanted.dryRun ? ' This was a dry run: `dry-run: false` removes them.' : ''),
    table([...IDENTITY_HEAD, 'Region', 'Age', 'GiB', '', 'Why'], rows),
    ...(strays.length === 0 ? [] : [`Snapshots that no image has: ${strays.map(({ id }) => code(id)).join(', ')}`]),
  ];
  report.summary(lines.join('\n\n'));
}

/** What was done; in a dry run, what would be. */
export function tell(plan: Plan, wanted: Wanted, done?: readonly Done[]) {
  const removed = done?.flatMap(({ ended }) => ended.filter(({ result }) => result === 'removed').map(({ decision }) => decision.image));
  const swept = done?.flatMap(some => some.swept);
  const freed = sizeOf(removed === undefined || swept === undefined ? doomedOf(plan) : [...removed, ...swept], Number(wanted.pricePerGib));
  const gone = removed?.length ?? plan.images.filter(({ action }) => action === 'remove').length;
  return {
    removed: gone,
    kept: plan.images.length - gone,
    orphanSnapshots: swept?.length ?? straysOf(plan).length,
    plan: plan.images.map(({ image, region, action, because }) => ({ id: image.id, region, action, because: shortAccounts(because) })),
    planHash: hashOf(plan),
    freedGib: freed.gib,
    freedPerMonth: freed.perMonth,
  };
}
