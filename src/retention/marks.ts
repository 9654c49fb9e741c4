import { batches, concurrently } from '../kit/concurrently.ts';
import { ActionError, CancelledError } from '../kit/errors.ts';
import { tagKey } from '../model/image.ts';
import { LOOKED_AT_TOGETHER, lookAgain, type RemovalWorld } from './recheck.ts';
import type { Remaining } from './removal.ts';
import { type Mark, markOf, markValue } from './rules/marks.ts';
import type { Decision, Policy } from './rules/rules.ts';

/** The soft landing: an image that nothing uses is marked and deprecated first, and unmarked when somebody needs it again. */

// AWS takes no time in the past, and rounds to the minute. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_EnableImageDeprecation.html
const SOON_SECONDS = 90;
const MARKED_AT_ONCE = 5;

export async function mark(decisions: readonly Decision[], policy: Policy, deps: RemovalWorld): Promise<readonly Remaining[]> {
  const left: Remaining[] = [];
  for (const batch of batches(decisions, LOOKED_AT_TOGETHER)) left.push(...(await markBatch(batch, policy, deps)));
  return left;
}

async function markBatch(batch: readonly Decision[], policy: Policy, deps: RemovalWorld): Promise<readonly Remaining[]> {
  try {
    if (deps.run.cancelled.aborted) throw new CancelledError();
    // A deprecated image launches as before; one that is disabled would be missed at once by whoever came to use it since.
    const reprieved = batch.some(({ disables }) => disables) ? await lookAgain(batch, policy, deps) : new Map<Decision, string>();
    const told = await concurrently(batch, MARKED_AT_ONCE, async decision => {
      const reason = reprieved.get(decision);
      if (reason === undefined) return orLeft(`mark on ${decision.image.id}`, () => markOne(decision, policy, deps));
      deps.report.info(`${decision.image.id} is not marked, since the plan was made: ${reason}`);
      return [];
    });
    return told.flat();
  } catch (failure) {
    if (!(failure instanceof ActionError)) throw failure;
    return batch.map(({ image }) => ({ what: `mark on ${image.id}`, failure }));
  }
}

async function markOne({ image, disables = false }: Decision, { scheme }: Policy, { aws, report, clock }: RemovalWorld): Promise<void> {
  const known = markOf(image, scheme);
  const wanted: Mark = {
    since: known?.since ?? clock.now(),
    deprecatedBefore: known?.deprecatedBefore ?? image.deprecatedAt !== undefined,
    disabled: disables || known?.disabled === true,
  };
  // The mark first: killed in between, it is what tells the next run what is ours to take back.
  if (known === undefined || known.disabled !== wanted.disabled)
    await aws.images.tag([image.id], { [tagKey(scheme, 'marked-at')]: markValue(wanted) });
  if (image.deprecatedAt === undefined) await aws.removal.deprecate(image.id, new Date(clock.now() + SOON_SECONDS * 1000));
  if (disables) await aws.removal.disable(image.id);
  report.info(`${image.id} is marked${disables ? ' and disabled' : ''}.`);
}

export async function unmark(
  decisions: readonly Decision[],
  { scheme }: Policy,
  { aws, report }: RemovalWorld,
): Promise<readonly Remaining[]> {
  const told = await concurrently(decisions, MARKED_AT_ONCE, ({ image }) =>
    orLeft(`mark on ${image.id}, which is in use again`, async () => {
      const known = markOf(image, scheme);
      // What somebody waits for comes first.
      const toEnable = known?.disabled === true && image.state === 'disabled';
      if (toEnable) await aws.removal.enable(image.id);
      if (known?.deprecatedBefore !== true) await aws.removal.undeprecate(image.id);
      await aws.images.untag([image.id], [tagKey(scheme, 'marked-at')]);
      report.info(`${image.id} is unmarked${toEnable ? ' and enabled; whom it was shared with, nobody knows any more' : ''}.`);
    }),
  );
  return told.flat();
}

/** One that fails does not stop the others. */
async function orLeft(what: string, work: () => Promise<void>): Promise<readonly Remaining[]> {
  try {
    await work();
    return [];
  } catch (failure) {
    if (!(failure instanceof ActionError)) throw failure;
    return [{ what, failure }];
  }
}
