import { RejectedError } from '../../kit/errors.ts';
import type { Group } from '../../model/group.ts';
import type { PairDeps } from '../drain-group.ts';
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

export async function setPercent(percent: number, record: ShiftRecord, sides: Sides, { aws, deps }: PairDeps): Promise<void> {
  const [from, to] = weightsAt(percent, record);
  const weights = new Map([
    [sides.from.id, from],
    [sides.to.id, to],
  ]);
  await aws.weights.write(record.at, weights);
  deps.report.info(`${record.at}: ${percent} % to ${sides.to.id} (weights ${from} and ${to})`);
}

/** One call sends all traffic to the old group again. Returns for how long clients may still follow the weights before; 0 without a change. */
export async function restoreTraffic(green: Group, old: Group, pairDeps: PairDeps): Promise<number> {
  const record = recordOf(green);
  if (record === undefined) return 0;
  const { percent, settleSeconds, ...sides } = await readSides(record, old, pairDeps);
  if (percent === 0) return 0;
  await setPercent(0, record, sides, pairDeps);
  return settleSeconds;
}

/** Before the old group is emptied: whoever moved traffic back to it since needs it. */
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
