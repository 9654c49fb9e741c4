import { batches, concurrently } from '../kit/concurrently.ts';
import { AccessError, ActionError, CancelledError, wrapError } from '../kit/errors.ts';
import { formatCount } from '../kit/format.ts';
import { waitFor } from '../kit/wait.ts';
import type { SnapshotResult } from '../ports/images.ts';
import { BATCH_SIZE, type RemovalDeps, recheck } from './evidence.ts';
import { type Decision, guard, type Policy } from './rules/rules.ts';

/** Removes images permanently. Each is checked again just before; a failure does not stop the other images. */

/** `kept`: it came into use after the plan was made, or AWS protects it. */
export type RemovalResult = { readonly decision: Decision; readonly remaining: readonly Remaining[] } & (
  | { readonly result: 'removed' | 'failed' }
  | { readonly result: 'kept'; readonly reason: string }
);

/** Something that could not be done. */
export interface Remaining {
  readonly what: string;
  readonly failure?: unknown;
  readonly next?: string;
}

// Before each of these the pointers are read once more: a promotion may have written one since the batch was checked.
const REMOVED_AT_ONCE = 5;
// Under throttling a batch takes long: then all users are read again.
const RECHECK_MS = 60_000;

interface RemovalOptions {
  readonly keepSnapshots: boolean;
  /** Runs before each image is removed; if it fails, the image is kept. */
  readonly before?: (imageId: string) => Promise<void>;
}

export async function removeAll(
  toRemove: readonly Decision[],
  policy: Policy,
  options: RemovalOptions,
  deps: RemovalDeps,
): Promise<readonly RemovalResult[]> {
  const results: RemovalResult[] = [];
  try {
    for (const batch of batches(toRemove, BATCH_SIZE)) await removeBatch(batch, policy, options, deps, results);
  } catch (failure) {
    if (!(failure instanceof ActionError)) throw failure;
    return [...results, ...toRemove.slice(results.length).map(decision => failed(decision, failure))];
  }
  const removed = results.flatMap(({ result, decision }) => (result === 'removed' ? [decision.image.id] : []));
  if (!deps.run.cancelled.aborted) await waitUntilGone(removed, deps);
  return results;
}

/** Reads all users again; then, before every few images and as the last of all, the pointers and candidates. */
async function removeBatch(
  batch: readonly Decision[],
  policy: Policy,
  options: RemovalOptions,
  deps: RemovalDeps,
  results: RemovalResult[],
): Promise<void> {
  let checkedAt = Number.NEGATIVE_INFINITY;
  let excluded: ReadonlyMap<Decision, string> = new Map();
  for (const [n, few] of batches(batch, REMOVED_AT_ONCE).entries()) {
    if (deps.run.cancelled.aborted) throw new CancelledError();
    if (deps.clock.now() - checkedAt > RECHECK_MS) {
      checkedAt = deps.clock.now();
      excluded = await recheck(batch.slice(n * REMOVED_AT_ONCE), policy, deps);
    }
    const pointed = await deps.users.pointed();
    const reasonOf = (decision: Decision) =>
      excluded.get(decision) ?? guard({ ...decision, users: pointed.get(decision.image.id) ?? [] }, policy);
    results.push(...(await concurrently(few, REMOVED_AT_ONCE, decision => removeOne(decision, reasonOf(decision), options, deps))));
  }
}

async function removeOne(
  decision: Decision,
  excluded: string | undefined,
  { keepSnapshots, before }: RemovalOptions,
  { aws, report, run }: RemovalDeps,
): Promise<RemovalResult> {
  const { id } = decision.image;
  if (excluded !== undefined) return kept(decision, `after the plan was made: ${excluded}`, report);
  try {
    if (run.cancelled.aborted) throw new CancelledError();
    await before?.(id);
    const answer = await aws.removal.deregister(id, { keepSnapshots });
    if (answer.result === 'protected') return kept(decision, answer.reason, report);
    report.info(
      answer.result === 'gone' ? `${id} was already removed.` : `Removed ${id}${keepSnapshots ? '. Its snapshots are kept' : ''}.`,
    );
    if (answer.result === 'gone' || keepSnapshots) return { decision, result: 'removed', remaining: [] };
    const unreported = decision.image.snapshotIds.filter(snapshotId => !answer.snapshots.some(result => result.snapshotId === snapshotId));
    const remaining = [...failedSnapshots(id, answer.snapshots), ...(await removeUnreported(id, unreported, aws.removal))];
    return { decision, result: 'removed', remaining };
  } catch (failure) {
    if (!(failure instanceof ActionError)) throw failure;
    report.warn(failure.message);
    return failed(decision, failure);
  }
}

const failed = (decision: Decision, failure: unknown): RemovalResult => ({
  decision,
  result: 'failed',
  remaining: [{ what: `image ${decision.image.id}`, failure }],
});

function kept(decision: Decision, reason: string, report: RemovalDeps['report']): RemovalResult {
  report.info(`${decision.image.id} is kept: ${reason}`);
  return { decision, result: 'kept', reason, remaining: [] };
}

// `skipped`: another image uses the snapshot, too.
const failedSnapshots = (imageId: string, snapshots: readonly SnapshotResult[]): Remaining[] =>
  snapshots
    .filter(({ code }) => code !== 'success' && code !== 'skipped')
    .map(({ snapshotId, code }) => ({
      what: `snapshot ${snapshotId} of ${imageId} (${code})`,
      next: `aws ec2 delete-snapshot --snapshot-id ${snapshotId}`,
      ...(code === 'missing-permissions' ? { failure: new AccessError('Not allowed to delete snapshots (ec2:DeleteSnapshot).') } : {}),
    }));

/** Snapshots of which the answer says nothing may still exist. One that another image uses is kept. */
async function removeUnreported(imageId: string, snapshotIds: readonly string[], removal: RemovalDeps['aws']['removal']) {
  const remaining: Remaining[] = [];
  for (const snapshotId of snapshotIds) {
    try {
      await removal.deleteSnapshot(snapshotId);
    } catch (failure) {
      if (!(failure instanceof ActionError)) throw failure;
      remaining.push({
        what: `snapshot ${snapshotId} of ${imageId}`,
        failure,
        next: `aws ec2 delete-snapshot --snapshot-id ${snapshotId}`,
      });
    }
  }
  return remaining;
}

/** Deregistered images are still listed for a short time. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImages.html */
async function waitUntilGone(imageIds: readonly string[], { aws, report, clock }: RemovalDeps): Promise<void> {
  if (imageIds.length === 0) return;
  const poll = async () => {
    const listed = (await aws.images.find({ ids: imageIds, includeDisabled: true })).filter(({ state }) => state !== 'deregistered');
    if (listed.length === 0) return { state: 'done', value: undefined } as const;
    return { state: 'waiting', note: `${listed.map(({ id }) => id).join(', ')} still listed` } as const;
  };
  const what = `Removal of ${formatCount(imageIds.length, 'image')}`;
  await waitFor({ what, everySeconds: 5, atMostSeconds: 300, poll }, { clock, report });
}

/** Throws if anything could not be done. The first failure decides the outcome. */
export function throwIfIncomplete(
  results: readonly RemovalResult[],
  outputs: Readonly<Record<string, unknown>>,
  more: readonly Remaining[] = [],
): void {
  const remaining = [...results.flatMap(result => result.remaining), ...more];
  if (remaining.length === 0) return;
  const first = remaining.find(({ failure }) => failure !== undefined)?.failure;
  const removed = results.filter(({ result }) => result === 'removed').length;
  const images = results.length === 1 ? 'image was' : 'images were';
  const actions = remaining.length === 1 ? 'action is' : 'actions are';
  const message = `${removed} of ${results.length} ${images} removed; ${remaining.length} ${actions} incomplete.`;
  const rerun = first instanceof AccessError && first.next !== undefined ? `${first.next} Then re-run` : 'Re-run';
  throw wrapError(first, first instanceof CancelledError ? `Cancelled: ${message}` : message, {
    leftovers: remaining.map(({ what, failure }) => (failure instanceof Error ? `${what}: ${failure.message}` : what)),
    next: remaining.find(({ next }) => next !== undefined)?.next ?? `${rerun} the job: it removes what remains.`,
    outputs,
    cause: first,
  });
}
