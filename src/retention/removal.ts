import { batches, concurrently } from '../kit/concurrently.ts';
import { AccessError, ActionError, CancelledError, wrapError } from '../kit/errors.ts';
import { waitFor } from '../kit/wait.ts';
import type { SnapshotResult } from '../ports/images.ts';
import { LOOKED_AT_TOGETHER, lookAgain, type RemovalWorld } from './recheck.ts';
import type { Decision, Policy } from './rules/rules.ts';

/** Removes images for good. Each is looked at again just before it goes; what fails does not stop the others. */

/** How it ended for one image. `kept`: somebody came to use it, or AWS protects it: as good as if the plan had said so. */
export type Ended = { readonly decision: Decision; readonly remaining: readonly Remaining[] } & (
  | { readonly result: 'removed' | 'failed' }
  | { readonly result: 'kept'; readonly reason: string }
);

export interface Remaining {
  readonly what: string;
  readonly failure?: unknown;
  readonly next?: string;
}

const REMOVED_AT_ONCE = 5;

interface Wish {
  readonly keepSnapshots: boolean;
  /** What must go before the image: killed in between, only the image tells the next run of it. If it fails, the image stays. */
  readonly before?: (imageId: string) => Promise<void>;
}

export async function removeAll(doomed: readonly Decision[], policy: Policy, wish: Wish, deps: RemovalWorld): Promise<readonly Ended[]> {
  const ended: Ended[] = [];
  for (const batch of batches(doomed, LOOKED_AT_TOGETHER)) {
    try {
      if (deps.run.cancelled.aborted) throw new CancelledError();
      const reprieved = await lookAgain(batch, policy, deps);
      ended.push(...(await concurrently(batch, REMOVED_AT_ONCE, decision => removeOne(decision, reprieved.get(decision), wish, deps))));
    } catch (failure) {
      if (!(failure instanceof ActionError)) throw failure;
      const undone = doomed.slice(ended.length);
      return [
        ...ended,
        ...undone.map(decision => ({ decision, result: 'failed' as const, remaining: [{ what: `image ${decision.image.id}`, failure }] })),
      ];
    }
  }
  const removed = ended.flatMap(({ result, decision }) => (result === 'removed' ? [decision.image.id] : []));
  if (!deps.run.cancelled.aborted) await proveGone(removed, deps);
  return ended;
}

async function removeOne(
  decision: Decision,
  reprieve: string | undefined,
  { keepSnapshots, before }: Wish,
  { aws, report, run }: RemovalWorld,
): Promise<Ended> {
  const { id } = decision.image;
  if (reprieve !== undefined) return kept(decision, `since the plan was made: ${reprieve}`, report);
  try {
    if (run.cancelled.aborted) throw new CancelledError();
    await before?.(id);
    const done = await aws.removal.deregister(id, { keepSnapshots });
    if (done.result === 'protected') return kept(decision, done.reason, report);
    report.info(done.result === 'gone' ? `${id} was gone already.` : `${id} is removed${keepSnapshots ? ', its snapshots stay' : ''}.`);
    return { decision, result: 'removed', remaining: done.result === 'gone' ? [] : snapshotsLeft(id, done.snapshots) };
  } catch (failure) {
    if (!(failure instanceof ActionError)) throw failure;
    report.warn(failure.message);
    return { decision, result: 'failed', remaining: [{ what: `image ${id}`, failure }] };
  }
}

function kept(decision: Decision, reason: string, report: RemovalWorld['report']): Ended {
  report.info(`${decision.image.id} stays, ${reason}`);
  return { decision, result: 'kept', reason, remaining: [] };
}

// `skipped`: another image has it too, so it is not ours alone to delete.
const snapshotsLeft = (imageId: string, snapshots: readonly SnapshotResult[]): Remaining[] =>
  snapshots
    .filter(({ code }) => code !== 'success' && code !== 'skipped')
    .map(({ snapshotId, code }) => ({
      what: `snapshot ${snapshotId} of ${imageId} (${code})`,
      next: `aws ec2 delete-snapshot --snapshot-id ${snapshotId}`,
      ...(code === 'missing-permissions' ? { failure: new AccessError('Not allowed to delete snapshots (ec2:DeleteSnapshot).') } : {}),
    }));

/** Deregistered images are still listed for a short while. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImages.html */
async function proveGone(imageIds: readonly string[], { aws, report, clock }: RemovalWorld): Promise<void> {
  if (imageIds.length === 0) return;
  await waitFor(
    {
      what: `Removal of ${imageIds.length} images`,
      everySeconds: 5,
      atMostSeconds: 300,
      poll: async () => {
        const there = (await aws.images.find({ ids: imageIds, includeDisabled: true })).filter(({ state }) => state !== 'deregistered');
        if (there.length === 0) return { state: 'done' as const, value: undefined };
        return { state: 'waiting' as const, note: `${there.map(({ id }) => id).join(', ')} still listed` };
      },
    },
    { clock, report },
  );
}

/** Throws if anything is left that should not be. The first failure decides who must act. */
export function throwIfLeft(ended: readonly Ended[], outputs: Readonly<Record<string, unknown>>, more: readonly Remaining[] = []): void {
  const left = [...ended.flatMap(({ remaining: all }) => all), ...more];
  if (left.length === 0) return;
  const first = left.find(({ failure }) => failure !== undefined)?.failure;
  const removed = ended.filter(({ result }) => result === 'removed').length;
  const message = `${removed} of ${ended.length} images were removed; ${left.length === 1 ? 'one thing is' : `${left.length} things are`} left undone.`;
  const details = {
    leftovers: left.map(({ what, failure }) => (failure instanceof Error ? `${what}: ${failure.message}` : what)),
    next:
      left.find(({ next }) => next !== undefined)?.next ??
      `${first instanceof AccessError && first.next !== undefined ? `${first.next} Then run` : 'Run'} the job again: it removes what is left.`,
    outputs,
    cause: first,
  };
  throw wrapError(first, first instanceof CancelledError ? `Cancelled: ${message}` : message, details);
}
