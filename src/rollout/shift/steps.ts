import type { Poll } from '../../kit/wait.ts';
import type { Group } from '../../model/group.ts';
import type { Names } from '../drain-group.ts';
import type { GroupPlan } from '../rules/plan.ts';
import type { ShiftPlan } from '../rules/shift.ts';
import type { WatchContext } from '../watch-refresh.ts';
import { readSides, setPercent, waitUntilInSync } from './traffic.ts';

/** Moves the traffic step by step. Each step is watched before the next one: instances, checks, alarms, and the weights themselves. */

/** How a pair is watched: for how long it must be healthy without a break, and what else ends it. */
export interface Watch {
  readonly bakeSeconds: number;
  /** A failure ends the watch; undefined: nothing to report. */
  guard?(): Promise<Poll<void> | undefined>;
}

export async function shiftTraffic(
  shift: ShiftPlan,
  { facts, preferences }: GroupPlan,
  { successor }: Names,
  context: WatchContext,
  watch: (how: Watch) => Promise<void>,
): Promise<void> {
  const { deps, order, rollout } = context;
  // With the weights as they are: for a new pair, without traffic.
  await watch({ bakeSeconds: 0 });
  for (const percent of shift.steps) {
    await deps.report.step(`Shift ${percent} % of the traffic to ${successor}`, async () => {
      const now = await readSides(shift.record, facts.group, context);
      // Before the call, whose answer may get lost.
      rollout.shifted.set(facts.group.name, percent);
      if (now.percent !== percent) await waitUntilInSync(await setPercent(percent, shift.record, now, context), context);
      const own = percent === 100 ? order.bakeSeconds : shift.pauseSeconds;
      const guard = guardOf(percent, shift, facts.group, preferences.alarms, context);
      await watch({ bakeSeconds: shift.settleSeconds + own, guard });
    });
  }
}

const guardOf =
  (percent: number, { record }: ShiftPlan, group: Group, alarms: readonly string[], context: WatchContext) =>
  async () => {
    const states = alarms.length === 0 ? new Map<string, string>() : await context.aws.alarms.states(alarms);
    const ringing = alarms.find(name => states.get(name) === 'ALARM');
    if (ringing !== undefined) return { state: 'failed' as const, reason: `alarm "${ringing}" is ALARM at ${percent} % of the traffic` };
    const now = await readSides(record, group, context);
    if (now.percent === percent) return undefined;
    return {
      state: 'failed' as const,
      reason: `${record.at} shows ${now.percent} %, not ${percent} %: another process changed the weights`,
    };
  };
