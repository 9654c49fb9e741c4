import { pick, random, shuffled } from '../../lab/fuzz/random.ts';

/** What happens in one run, from its seed: an environment, and the hands that reach for it at once. */

export type Letter = 'a' | 'b' | 'c';

/** web: by version number; api: by $Latest; reads: the template reads the pointer. */
export type GroupName = 'web' | 'api' | 'reads';

export interface GroupStory {
  readonly name: GroupName;
  readonly min: number;
  readonly desired: number;
  readonly maintenance: { readonly MinHealthyPercentage: number; readonly MaxHealthyPercentage: number } | undefined;
}

/** Lab seconds after the start; or right before or after the nth call of a run. */
export type When = { readonly at: number } | { readonly run: number; readonly call: number; readonly side: 'before' | 'after' };

export interface RunStory {
  readonly mode: 'promote' | 'rollback';
  readonly image: Letter | undefined;
  readonly at: number;
  readonly event: 'push' | 'workflow_dispatch';
  readonly settings: Readonly<Record<string, string>>;
}

/** Ends the process of a run. */
export interface ProcessHand {
  readonly kind: 'cancel' | 'kill';
  readonly run: number;
  readonly when: When;
}

/** A person, another tool, or AWS. */
export type OutsideHand =
  | { readonly kind: 'person refreshes' | 'Terraform applies' | 'group deleted'; readonly group: GroupName; readonly when: When }
  | { readonly kind: 'scale'; readonly group: GroupName; readonly by: number; readonly when: When }
  | { readonly kind: 'instance dies'; readonly group: GroupName; readonly which: number; readonly when: When }
  | { readonly kind: 'parameter written'; readonly image: Letter; readonly when: When }
  | { readonly kind: 'parameter deleted'; readonly when: When };

export type Hand = ProcessHand | OutsideHand;

export interface Story {
  readonly seed: number;
  readonly strategy: 'rolling' | 'blue-green';
  readonly groups: readonly GroupStory[];
  /** A group of another service has the name of the green group. */
  readonly foreignTwin: boolean;
  readonly hasPointer: boolean;
  /** Its instances stop answering after boot. */
  readonly sick: 'b' | 'c' | undefined;
  readonly settings: Readonly<Record<string, string>>;
  readonly runs: readonly RunStory[];
  readonly hands: readonly Hand[];
}

type Roll = () => number;

const one = <T>(roll: Roll, items: readonly T[]): T => pick(roll, items) as T;

/** Few calls are as likely as many: 1, 2, 4, ... to 256. */
const aCall = (roll: Roll): number => Math.floor(2 ** (roll() * 8));

export function storyOf(seed: number): Story {
  const roll = random(seed);
  const strategy = roll() < 0.6 ? 'rolling' : 'blue-green';
  const names: readonly GroupName[] = strategy === 'rolling' ? ['web', 'api', 'reads'] : ['web', 'api'];
  const groups = shuffled(roll, names)
    .slice(0, 1 + Math.floor(roll() * names.length))
    .map(name => groupStory(name, roll));
  const settings = settingsOf(groups, strategy, roll);
  const runs = Array.from({ length: 2 + Math.floor(roll() * 2) }, (_, i) => runStory(i, roll));
  const hands = Array.from({ length: 1 + Math.floor(roll() * 4) }, () => handOf(runs, groups, roll));
  return {
    ...{ seed, strategy, groups, settings, runs, hands },
    foreignTwin: roll() < (strategy === 'rolling' ? 0.3 : 0.1),
    hasPointer: roll() < 0.85,
    sick: roll() < 0.25 ? one(roll, ['b', 'c'] as const) : undefined,
  };
}

function groupStory(name: GroupName, roll: Roll): GroupStory {
  const desired = one(roll, [1, 1, 2, 2, 3]);
  const maintenance =
    roll() < 0.2
      ? one(roll, [
          { MinHealthyPercentage: 50, MaxHealthyPercentage: 100 },
          { MinHealthyPercentage: 100, MaxHealthyPercentage: 150 },
        ])
      : undefined;
  return { name, desired, min: Math.floor(roll() * (desired + 1)), maintenance };
}

function settingsOf(groups: readonly GroupStory[], strategy: Story['strategy'], roll: Roll): Record<string, string> {
  const minHealthy = one(roll, [undefined, undefined, undefined, '50', '0']);
  return {
    ...{ family: 'web', environment: 'stage', groups: groups.map(({ name }) => name).join(', '), strategy },
    ...{ bake: one(roll, ['1m', '2m']), 'warm-up': one(roll, ['0s', '20s']), 'roll-timeout': '1h' },
    ...(minHealthy === undefined || strategy === 'blue-green' ? {} : { 'min-healthy': minHealthy }),
    ...(roll() < 0.2 && strategy === 'rolling' ? { order: 'one-by-one' } : {}),
    ...(roll() < 0.2 && strategy === 'rolling' ? { undo: 'failed' } : {}),
    ...(roll() < 0.3 ? { 'on-cancel': 'rollback' } : {}),
    'foreign-refresh': one(roll, ['refuse', 'refuse', 'wait', 'supersede']),
    'parameter-templates': one(roll, ['follow', 'follow', 'pin']),
  };
}

function runStory(index: number, roll: Roll): RunStory {
  const mode = index > 0 && roll() < 0.3 ? 'rollback' : 'promote';
  return {
    mode,
    image: mode === 'promote' ? one(roll, ['b', 'c', 'b', 'c', 'a'] as const) : undefined,
    at: index === 0 ? 0 : Math.floor(roll() ** 2 * 400),
    event: roll() < 0.8 ? 'push' : 'workflow_dispatch',
    settings:
      mode === 'promote' && roll() < 0.3 ? { 'lift-veto': 'true' } : mode === 'rollback' && roll() < 0.3 ? { emergency: 'true' } : {},
  };
}

function handOf(runs: readonly RunStory[], groups: readonly GroupStory[], roll: Roll): Hand {
  const run = Math.floor(roll() * runs.length);
  const when: When =
    roll() < 0.5 ? { at: Math.floor(roll() * 300) } : { run, call: aCall(roll), side: one(roll, ['before', 'after'] as const) };
  const group = one(roll, groups).name;
  const byCall: When = 'run' in when ? when : { run, call: aCall(roll), side: 'before' };
  const makers: readonly (() => Hand)[] = [
    () => ({ kind: 'kill', run, when: byCall }),
    () => ({ kind: 'kill', run, when: byCall }),
    () => ({ kind: 'kill', run, when: byCall }),
    () => ({ kind: 'cancel', run, when }),
    () => ({ kind: 'cancel', run, when }),
    () => ({ kind: 'person refreshes', group, when }),
    () => ({ kind: 'Terraform applies', group, when }),
    () => ({ kind: 'scale', group, by: one(roll, [1, 2, -1, -2]), when }),
    () => ({ kind: 'scale', group, by: one(roll, [1, 2, -1, -2]), when }),
    () => ({ kind: 'instance dies', group, which: Math.floor(roll() * 6), when }),
    () => ({ kind: 'instance dies', group, which: Math.floor(roll() * 6), when }),
    () => ({ kind: 'parameter written', image: one(roll, ['a', 'b', 'c'] as const), when }),
    () => (roll() < 0.3 ? { kind: 'parameter deleted', when } : { kind: 'parameter written', image: 'c', when }),
    () => (roll() < 0.5 ? { kind: 'group deleted', group, when } : { kind: 'scale', group, by: 1, when }),
  ];
  return one(roll, makers)();
}

const formatWhen = (when: When): string => ('at' in when ? `at ${when.at} s` : `${when.side} call ${when.call} of run ${when.run}`);

/** One line for each actor. Runs and hands have the numbers that --without takes. */
export const formatStory = ({ strategy, groups, settings, runs, hands, sick, foreignTwin, hasPointer }: Story): readonly string[] => [
  `${strategy}; ${hasPointer ? 'the pointer names a' : 'no pointer'}${sick === undefined ? '' : `; ${sick} is sick`}${foreignTwin ? '; a foreign group is called web-green' : ''}`,
  ...groups.map(
    ({ name, min, desired, maintenance }) =>
      `group ${name}: min ${min}, desired ${desired}${maintenance === undefined ? '' : `, policy ${Object.values(maintenance).join('/')}`}`,
  ),
  `settings: ${Object.entries(settings)
    .map(([key, value]) => `${key}=${value}`)
    .join(' ')}`,
  ...runs.map(
    ({ mode, image = '', at, event, settings: own }, i) => `run ${i}: ${mode} ${image} at ${at} s (${event}) ${JSON.stringify(own)}`,
  ),
  ...hands.map(({ when, ...hand }, i) => `hand ${i}: ${Object.values(hand).join(' ')} ${formatWhen(when)}`),
];
