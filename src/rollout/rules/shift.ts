import { formatCount, formatDuration } from '../../kit/format.ts';
import type { Group } from '../../model/group.ts';
import type { Side, Split } from '../../model/split.ts';
import type { GroupFacts, PlanOptions, ShiftFacts } from './facts.ts';
import type { GroupAction } from './group-action.ts';
import { SHIFT, sourceKeys } from './group-pair.ts';

/** A cut-over by weights: who gets which share, and whether the weights are those that a run of ours has set. */

/** The value of the tag `SHIFT`. */
export interface ShiftRecord {
  readonly at: string;
  /** Of the old side. The new one has 0 then. */
  readonly before: number;
  readonly steps: readonly number[];
}

const formatRecord = ({ at, before, steps }: ShiftRecord): string => [at, before, ...steps].join(' ');

export const shiftTag = (record: ShiftRecord | undefined): Record<string, string> =>
  record === undefined ? {} : { [SHIFT]: formatRecord(record) };

/** The record on a green group; undefined where it gets its traffic without weights. */
export function recordOf({ tags }: Pick<Group, 'tags'>): ShiftRecord | undefined {
  const [at, before, ...steps] = (tags[SHIFT] ?? '').split(' ');
  return at === undefined || at === '' ? undefined : { at, before: Number(before), steps: steps.map(Number) };
}

export interface Sides {
  readonly from: Side;
  readonly to: Side;
}

/** The side of a group, and the other one. Undefined unless there are two sides and the group is attached to exactly one of them. */
export function sidesOf({ sides }: Pick<Split, 'sides'>, serving: Pick<Group, 'targetGroups' | 'balancers'>): Sides | undefined {
  const [one, other, ...more] = sides;
  if (one === undefined || other === undefined || more.length > 0) return undefined;
  const isOf = (side: Side) => sourceKeys(side).join() === sourceKeys(serving).join();
  if (isOf(one) === isOf(other)) return undefined;
  return isOf(one) ? { from: one, to: other } : { from: other, to: one };
}

/** The weights at a step. 0 is how it was before. */
export const weightsAt = (percent: number, { before }: ShiftRecord): readonly [from: number, to: number] =>
  percent === 0 ? [before, 0] : [100 - percent, percent];

/** The step that the weights show; undefined where no run of ours has set them. */
export const percentOf = ({ from, to }: Sides, record: ShiftRecord): number | undefined =>
  [0, ...record.steps].find(percent => weightsAt(percent, record).join() === [from.weight, to.weight].join());

export interface ShiftPlan extends Sides {
  readonly record: ShiftRecord;
  /** Percentages, ascending. A shift that was interrupted continues where it stopped. */
  readonly steps: readonly number[];
  /** How long each step but the last one is watched. */
  readonly pauseSeconds: number;
  readonly settleSeconds: number;
  /** How long connections to the old group may last after its last share. */
  readonly drainSeconds: number;
  readonly estimatedSeconds: number;
}

const DEFAULT_STEPS = [10, 50, 100] as const;

const stepsOf = ({ shift }: Pick<PlanOptions, 'shift'>): readonly number[] => shift ?? DEFAULT_STEPS;

/** Undefined where the group is not shifted, or `shiftRefusals` says why it cannot be. */
export function planShift(facts: GroupFacts, options: PlanOptions, action: GroupAction): ShiftPlan | undefined {
  const { shift, group, successor } = facts;
  const sides = shift?.split === undefined ? undefined : sidesOf(shift.split, group);
  if (shift?.split === undefined || sides === undefined || action !== 'swap') return undefined;
  const earlier = successor === undefined ? undefined : recordOf(successor.group);
  const at = earlier === undefined ? 0 : (percentOf(sides, earlier) ?? 0);
  const steps = stepsOf(options).filter(percent => percent >= at);
  const known = [...new Set([...steps, ...(earlier?.steps ?? [])])].sort((a, b) => a - b);
  const [pauseSeconds, { settleSeconds }] = [options.checkpointDelay ?? options.bake, shift.split];
  return {
    ...sides,
    record: { at: shift.at, before: earlier?.before ?? sides.from.weight, steps: known },
    ...{ steps, pauseSeconds, settleSeconds, drainSeconds: shift.details?.drainSeconds ?? 0 },
    estimatedSeconds: (steps.length - 1) * (pauseSeconds + settleSeconds) + settleSeconds,
  };
}

/** Why the weights cannot be changed, each with the fix. */
export function shiftRefusals(
  { group, idle, successor, shift, alarms: states }: GroupFacts,
  { alarms = [] }: Pick<PlanOptions, 'alarms'>,
): string[] {
  const earlier = successor === undefined ? undefined : recordOf(successor.group);
  if (shift === undefined || (successor !== undefined && earlier?.at !== shift.at)) return pairRefusals(successor?.group, shift, earlier);
  const { at, split, details, others } = shift;
  if (split === undefined) return [`"shift-at": ${at} does not exist`];
  if (split.sides.length !== 2)
    return [`${at} sends to ${formatCount(split.sides.length, 'target group')}: "shift-at" needs a forward action with exactly two`];
  const sides = sidesOf(split, group);
  if (sides === undefined)
    return [
      `${group.name} must be attached to exactly one of the two sides of ${at}, and to nothing else: ${split.sides.map(({ id }) => id).join(', ')}`,
    ];
  const { to } = sides;
  const problems = [
    idle !== undefined &&
      sidesOf(split, idle.group)?.from.id !== to.id &&
      `${idle.group.name} must be attached to ${to.id}, the other side of ${at}, and to nothing else`,
    others.length > 0 &&
      `${others.join(', ')} ${others.length === 1 ? 'is' : 'are'} attached to a side of ${at} too, and would get other traffic: detach ${others.length === 1 ? 'it' : 'them'}`,
    ...(details?.alsoUsedBy ?? []).map(
      user => `${user} sends to a side of ${at} too, and would lose its targets: let it send to another target group`,
    ),
    ...alarmProblems(alarms, states),
  ];
  return [...problems.filter(problem => problem !== false), ...weightRefusals(at, sides, earlier)];
}

function weightRefusals(at: string, sides: Sides, earlier: ShiftRecord | undefined): readonly string[] {
  const { from, to } = sides;
  if (earlier !== undefined)
    return percentOf(sides, earlier) === undefined
      ? [`${foreignWeights(at, sides)}: set them to ${earlier.before} and 0, then run the job again or mode "rollback"`]
      : [];
  return [
    to.weight > 0 && `${to.id} has weight ${to.weight} at ${at} already: set it to 0`,
    from.weight === 0 && `${from.id}, which serves, has weight 0 at ${at}: set it to 100`,
  ].filter(problem => problem !== false);
}

/** "... has weights 70 (blue) and 30 (green), which this rollout did not set" */
export const foreignWeights = (at: string, { from, to }: Sides): string =>
  `${at} has the weights ${from.weight} (${from.id}) and ${to.weight} (${to.id}), which another process set`;

/** A pair that was started with weights is finished with them, and one without them without. */
function pairRefusals(green: Group | undefined, shift: ShiftFacts | undefined, earlier: ShiftRecord | undefined): string[] {
  if (green === undefined || earlier?.at === shift?.at) return [];
  return [
    earlier === undefined
      ? `green group ${green.name} was created without "shift-at": remove "shift-at" to finish, or run mode "rollback" to remove the group`
      : `green group ${green.name} gets its traffic by ${earlier.at}: set "shift-at" to it to finish, or run mode "rollback" to remove the group`,
  ];
}

const alarmProblems = (names: readonly string[], states: ReadonlyMap<string, string>): readonly (string | false)[] =>
  names.map(name => {
    const state = states.get(name);
    if (state === undefined) return `alarm "${name}" does not exist: remove it from "alarms", or create it`;
    return state === 'ALARM' && `alarm "${name}" is ALARM already: fix its cause, or remove it from "alarms"`;
  });

/** What a person should know of how the traffic will move. */
export function shiftWarnings({ shift }: Pick<GroupFacts, 'shift'>): string[] {
  const { split, details, at } = shift ?? {};
  if (split === undefined || details === undefined) return [];
  const { stickySeconds, settleSeconds } = split;
  return [
    stickySeconds !== undefined &&
      `target group stickiness: a client stays with its target group for ${formatDuration(stickySeconds)}, so the shares change later than the weights`,
    details.slowStartSeconds > 0 &&
      `slow start: a new target gets its full share ${formatDuration(details.slowStartSeconds)} after its first traffic`,
    /:listener\/net\//.test(at ?? '') &&
      'Network Load Balancer: open connections stay with the old group until they end; only new ones follow the weights',
    settleSeconds > 0 &&
      `DNS: resolvers keep an answer for ${formatDuration(settleSeconds)} (the TTL), some longer. Each step takes that much longer`,
  ].filter(warning => warning !== false);
}

/** `10, 50, 100 % of the traffic by arn:..., 5m at each step (deregistration delay 5m)` */
export const formatShift = ({ steps, record, pauseSeconds, drainSeconds }: ShiftPlan): string =>
  `${steps.join(', ')} % of the traffic by ${record.at}, ${formatDuration(pauseSeconds)} at each step (deregistration delay ${formatDuration(drainSeconds)})`;
