import { RejectedError } from '../../kit/errors.ts';
import { formatDuration } from '../../kit/format.ts';
import { waitFor } from '../../kit/wait.ts';
import type { Group } from '../../model/group.ts';
import type { PairDeps } from '../drain-group.ts';
import { tolerateTransientErrors } from '../indeterminate.ts';
import { foreignWeights, percentOf, recordOf, type ShiftRecord, type Sides, sidesOf, weightsAt } from '../rules/shift.ts';

/** The weights of a pair, which the tag of the green group remembers: read, changed and restored. They are read right before each change. */

/** `serving`: which group tells the sides apart. Throws where the weights are not those of a step of the record. */
export async function readSides(record: ShiftRecord, serving: Group, { aws }: Pick<PairDeps, 'aws'>) {
  const split = await aws.weights.read(record.at);
  const sides = split === undefined ? undefined : sidesOf(split, serving);
  if (split === undefined || sides === undefined)
    throw new RejectedError(`${record.at} does not divide the traffic between the two sides any more.`, {
      next: 'Restore its two target groups and run mode "rollback".',
    });
  const percent = percentOf(sides, record);
  if (percent === undefined)
    throw new RejectedError(`${foreignWeights(record.at, sides)}.`, {
      next: `Set the weights to ${record.before} (${sides.from.id}) and 0 (${sides.to.id}), and run mode "rollback". Or run the job again after that.`,
    });
  return { ...sides, percent, settleSeconds: split.settleSeconds };
}

export async function setPercent(percent: number, record: ShiftRecord, sides: Sides, { aws, deps }: PairDeps) {
  const [from, to] = weightsAt(percent, record);
  const weights = new Map([
    [sides.from.id, from],
    [sides.to.id, to],
  ]);
  const change = await aws.weights.write(record.at, weights);
  deps.report.info(`${record.at}: ${percent} % to ${sides.to.id} (weights ${from} and ${to})`);
  return change;
}

// Usually 60 seconds: https://docs.aws.amazon.com/Route53/latest/APIReference/API_GetChange.html
const IN_SYNC_SECONDS = 900;

/** Waits until all name servers of Route 53 have a change. */
export async function waitUntilInSync(change: string | undefined, { aws, deps }: PairDeps): Promise<void> {
  if (change === undefined) return;
  const poll = tolerateTransientErrors<void>(async () => {
    if (await aws.weights.inSync(change)) return { state: 'done', value: undefined };
    return { state: 'waiting', note: 'PENDING' };
  }, deps);
  await waitFor({ what: `Route 53 change ${change}`, everySeconds: 10, atMostSeconds: IN_SYNC_SECONDS, poll }, deps);
}

/** One call sends all traffic to the old group again. `settleSeconds`: for how long clients may still follow the weights before. */
export async function restoreTraffic(green: Group, old: Group | undefined, pairDeps: PairDeps) {
  const record = recordOf(green);
  if (record === undefined || old === undefined) return { change: undefined, settleSeconds: 0 };
  const { percent, settleSeconds, ...sides } = await readSides(record, old, pairDeps);
  return { change: percent === 0 ? undefined : await setPercent(0, record, sides, pairDeps), settleSeconds };
}

/** Before the green group is removed: also where an earlier run restored the traffic, and ended before clients had seen that. */
export async function restoreAndSettle(green: Group, old: Group | undefined, pairDeps: PairDeps): Promise<void> {
  const { change, settleSeconds } = await restoreTraffic(green, old, pairDeps);
  await waitUntilInSync(change, pairDeps);
  if (settleSeconds === 0) return;
  pairDeps.deps.report.info(`${green.name}: kept for ${formatDuration(settleSeconds)} (the TTL), because clients may still use it`);
  await pairDeps.deps.clock.sleep(settleSeconds * 1000);
}

/** Before the old group is emptied: a process that moved traffic back to it since needs it. */
export async function throwIfStillServing(green: Group, { aws }: Pick<PairDeps, 'aws'>): Promise<void> {
  const record = recordOf(green);
  const split = record === undefined ? undefined : await aws.weights.read(record.at);
  if (record === undefined) return;
  // The green group is the one that tells the sides apart here: the old one may be gone.
  const sides = split === undefined ? undefined : sidesOf(split, green);
  if (sides !== undefined && sides.to.weight === 0 && sides.from.weight > 0) return;
  throw new RejectedError(
    `${record.at} does not send all traffic to ${green.name} any more${sides === undefined ? '' : `: ${sides.to.id} has weight ${sides.to.weight}`}.`,
    { next: `Set its weight to 0 and run the job again. Or run mode "rollback".` },
  );
}
