import { batches, concurrently } from '../kit/concurrently.ts';
import { ActionError, CancelledError } from '../kit/errors.ts';
import { tagKey } from '../model/image.ts';
import { BATCH_SIZE, type RemovalDeps, recheck } from './evidence.ts';
import type { Remaining } from './removal.ts';
import { type Mark, markOf, markValue } from './rules/marks.ts';
import type { Decision, Policy } from './rules/rules.ts';

/** With a grace, an unused image is marked and deprecated first, and unmarked when it is used again. */

// AWS refuses a time in the past and rounds to the minute. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_EnableImageDeprecation.html
const DEPRECATED_IN_SECONDS = 90;
const MARKED_AT_ONCE = 5;

export async function mark(decisions: readonly Decision[], policy: Policy, deps: RemovalDeps): Promise<readonly Remaining[]> {
  return (await concurrently(batches(decisions, BATCH_SIZE), 1, batch => markBatch(batch, policy, deps))).flat();
}

async function markBatch(batch: readonly Decision[], policy: Policy, deps: RemovalDeps): Promise<readonly Remaining[]> {
  try {
    if (deps.run.cancelled.aborted) throw new CancelledError();
    // A deprecated image can still be launched; a disabled one cannot, so its users are checked again.
    const excluded = batch.some(({ disables }) => disables) ? await recheck(batch, policy, deps) : new Map<Decision, string>();
    const results = await concurrently(batch, MARKED_AT_ONCE, async decision => {
      const reason = excluded.get(decision);
      if (reason === undefined) return collect(`mark on ${decision.image.id}`, () => markOne(decision, policy, deps));
      deps.report.info(`${decision.image.id} is not marked. After the plan was made: ${reason}`);
      return [];
    });
    return results.flat();
  } catch (failure) {
    if (!(failure instanceof ActionError)) throw failure;
    return batch.map(({ image }) => ({ what: `mark on ${image.id}`, failure }));
  }
}

async function markOne({ image, disables = false }: Decision, { scheme }: Policy, { aws, report, clock }: RemovalDeps): Promise<void> {
  const current = markOf(image, scheme);
  const next: Mark = {
    since: current?.since ?? clock.now(),
    deprecatedBefore: current?.deprecatedBefore ?? image.deprecatedAt !== undefined,
    disabled: disables || current?.disabled === true,
  };
  // The tag first: after a kill in between, it tells the next run what to undo.
  if (current === undefined || current.disabled !== next.disabled)
    await aws.images.tag([image.id], { [tagKey(scheme, 'marked-at')]: markValue(next) });
  if (image.deprecatedAt === undefined) await aws.removal.deprecate(image.id, new Date(clock.now() + DEPRECATED_IN_SECONDS * 1000));
  if (disables) await aws.removal.disable(image.id);
  report.info(`${image.id} is marked${disables ? ' and disabled' : ''}.`);
}

export async function unmark(
  decisions: readonly Decision[],
  { scheme }: Policy,
  { aws, report }: RemovalDeps,
): Promise<readonly Remaining[]> {
  const results = await concurrently(decisions, MARKED_AT_ONCE, ({ image }) =>
    collect(`mark on ${image.id}, which is in use again`, async () => {
      const current = markOf(image, scheme);
      // Enabling comes first: a user may be waiting for the image.
      const enables = current?.disabled === true && image.state === 'disabled';
      if (enables) await aws.removal.enable(image.id);
      if (current?.deprecatedBefore !== true) await aws.removal.undeprecate(image.id);
      await aws.images.untag([image.id], [tagKey(scheme, 'marked-at')]);
      report.info(`${image.id} is unmarked${enables ? ' and enabled. It is no longer shared; share it again where it is needed' : ''}.`);
    }),
  );
  return results.flat();
}

/** A failure does not stop the other images. */
async function collect(what: string, work: () => Promise<void>): Promise<readonly Remaining[]> {
  try {
    await work();
    return [];
  } catch (failure) {
    if (!(failure instanceof ActionError)) throw failure;
    return [{ what, failure }];
  }
}
