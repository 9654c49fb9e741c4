import { concurrently } from '../../kit/concurrently.ts';
import { Expected } from '../../kit/errors.ts';
import type { Aside, DeliverWorld } from './deliver.ts';
import { GO_ON, inRegion, isStillMoving, retold } from './left-behind.ts';
import type { Part } from './parts.ts';
import type { RollOrder } from './roll.ts';
import { type Rolls, rollAll } from './turns.ts';
import { trying } from './undo.ts';

/** Rolls in every region. One that fails takes the others with it: an environment runs one image, wherever it is. */

/** What asks the instances of one region. */
export type Check = (region: string) => RollOrder['check'];

interface Rolling {
  readonly world: DeliverWorld;
  readonly aside: Aside;
  readonly check: Check | undefined;
}

export async function rollEverywhere(parts: readonly Part[], rolling: Rolling): Promise<readonly Rolls[]> {
  const regions = parts.map(({ region }) => region);
  const [home] = parts;
  if (home === undefined || parts.length === 1) return Promise.all(parts.map(part => rollPart(part, rolling, never)));
  const { undo, order } = home.promotion.roll;
  const halt: Halt = { by: undefined };
  const ends = await rolling.world.report.step(`Roll in ${regions.join(', ')}`, () =>
    concurrently(parts, order === 'one-by-one' ? 1 : parts.length, part => tryPart(part, rolling, halt)),
  );
  const done = ends.flatMap(({ rolls }) => rolls ?? []);
  if (done.length === parts.length) return done;
  throw halt.by === undefined || undo === 'failed' ? stay(ends, rolling.aside) : await allBack(ends, rolling.aside);
}

/** The region that has failed first, for good. */
interface Halt {
  by: string | undefined;
}

interface End {
  readonly part: Part;
  readonly rolls?: Rolls;
  readonly failure?: unknown;
  /** It went back because another one failed. */
  readonly halted?: boolean;
}

const never = (): undefined => undefined;

const rollPart = ({ promotion, world, place, region, several }: Part, { aside, check }: Rolling, halted: RollOrder['halted']) =>
  rollAll(promotion, { aside, world, place, check: check?.(region), several, halted });

async function tryPart(part: Part, rolling: Rolling, halt: Halt): Promise<End> {
  const { undo, order } = part.promotion.roll;
  if (halt.by !== undefined && order === 'one-by-one') return { part };
  let halted = false;
  const because = () => {
    if (halt.by === undefined || undo === 'failed') return undefined;
    halted = true;
    return `${halt.by} has failed, so this region goes back too`;
  };
  try {
    return { part, rolls: await rollPart(part, rolling, because) };
  } catch (failure) {
    if (!isStillMoving(failure)) halt.by ??= part.region;
    return { part, failure: inRegion(failure, part.region), halted };
  }
}

async function allBack(ends: readonly End[], aside: Aside): Promise<unknown> {
  const left: string[] = [];
  for (const { part, rolls, failure } of ends) {
    if (failure !== undefined && isStillMoving(failure)) aside.remains.push(...leftOf(failure));
    if (rolls === undefined) continue;
    const undoing = () => part.world.report.step('Put everything back', rolls.undo);
    left.push(...(await trying(undoing, 'it could not be put back')).map(line => `${part.region}: ${line}`));
  }
  return joined(ends, left);
}

/** Nothing is taken back: what goes on is found by the next run, and what has come to its end is as good as it was. */
function stay(ends: readonly End[], aside: Aside): unknown {
  const lines = ends.flatMap(({ part: { promotion, region }, rolls }) =>
    (rolls?.groups ?? []).map(({ group }) => `${region}: ${group} runs ${promotion.image.id}`),
  );
  const over = ends.some(({ failure }) => failure !== undefined && !isStillMoving(failure));
  if (over) aside.remains.push(...lines);
  return joined(ends, lines);
}

/** The failure that decides, and what the others have to tell. */
function joined(ends: readonly End[], left: readonly string[]): unknown {
  const failed = ends.filter(({ failure }) => failure !== undefined);
  const first = failed.find(({ failure, halted }) => !halted && !isStillMoving(failure)) ?? failed[0];
  const others = failed.filter(end => end !== first);
  const more = others.flatMap(({ failure, halted }) => [
    ...(halted || !(failure instanceof Expected) ? [] : [failure.message]),
    ...leftOf(failure),
  ]);
  const idle = ends.filter(({ rolls, failure }) => rolls === undefined && failure === undefined);
  return retold(first?.failure, {
    left: [...more, ...left, ...idle.map(({ part }) => `${part.region}: nothing was begun`)],
    ...(isStillMoving(first?.failure) ? { next: GO_ON } : {}),
  });
}

const leftOf = (failure: unknown): readonly string[] => (failure instanceof Expected ? failure.left : []);
