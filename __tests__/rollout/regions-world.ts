import type { AllDeps, RegionClients } from '../../src/ports/deps.ts';
import { image, rollWorld, type Start, settings as settingsOfOne } from './roll-world.ts';

export const [HOME, WEST] = ['eu-central-1', 'eu-west-1'] as const;
export type Region = typeof HOME | typeof WEST;
export const POINTER = '/ami/web/stage';

/** One image under two IDs, recognized by its commit. */
const idIn = (letter: string, region: Region) => `ami-${letter.repeat(7)}${region === HOME ? '1' : '2'}`;
export const [A, B, C] = ['a', 'b', 'c'].map(letter => ({ [HOME]: idIn(letter, HOME), [WEST]: idIn(letter, WEST) })) as [Ids, Ids, Ids];
type Ids = Record<Region, string>;

export const settings = { ...settingsOfOne, image: B[HOME], regions: [WEST], order: 'parallel' as 'parallel' | 'one-by-one' };

const startIn = (region: Region, start: Start = {}): Start => ({
  images: [A, B, C].map((ids, i) => image(ids[region], { 'ami-action:commit': `${i}`.repeat(40) })),
  was: A[region],
  pointer: [A[region]],
  ...start,
});

/** Two accounts in memory, and one world that reaches both; every call says where. */
export function twoRegions(start: Partial<Record<Region, Start>> = {}) {
  const made = { [HOME]: rollWorld(startIn(HOME, start[HOME])), [WEST]: rollWorld(startIn(WEST, start[WEST])) };
  const log: string[] = [];
  const said: string[] = [];
  const hooks = { before: (_deed: string): void => {} };
  for (const region of [HOME, WEST] as const) {
    made[region].state.onCall = call => {
      hooks.before(`${region}: ${call}`);
      log.push(`${region}: ${call}`);
    };
  }
  const clock = made[HOME].world.clock;
  const world = {
    ...made[HOME].world,
    inRegion: ({ region }: { region: Region }): RegionClients => made[region].world.inRegion({ region }),
    clock,
    report: { ...made[HOME].world.report, info: (line: string) => said.push(line), warn: (line: string) => said.push(`! ${line}`) },
  } as unknown as AllDeps;
  const runsIn = (region: Region) => [
    ...new Set([...made[region].state.groups.values()].flatMap(({ members }) => members.map(({ id }) => made[region].state.runs.get(id)))),
  ];
  const all = <T>(of: (region: Region) => T): [T, T] => [of(HOME), of(WEST)];
  return {
    ...{ world, log, said, hooks, made },
    place: (region: Region) => made[region].world.inRegion({ region }),
    pointers: () => all(region => made[region].pointerNow()),
    candidates: () => all(region => made[region].candidate()),
    runs: () => all(runsIn),
    versions: () => all(region => made[region].state.versions.length),
  };
}

export const both = (ids: Ids): [string, string] => [ids[HOME], ids[WEST]];
export const NONE = [undefined, undefined];

/** As SIGKILL does it: at the nth call everything ends, and nothing is taken back. */
class Dead extends Error {}

export function dieAt(l: ReturnType<typeof twoRegions>, nth: number): void {
  let calls = 0;
  l.hooks.before = () => {
    calls += 1;
    if (calls >= nth) throw new Dead('killed');
  };
}
