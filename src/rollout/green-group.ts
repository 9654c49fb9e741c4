import { RejectedError } from '../kit/errors.ts';
import { formatDuration } from '../kit/format.ts';
import { waitFor } from '../kit/wait.ts';
import { formatLaunch, type Group, type Launch, sameLaunch } from '../model/group.ts';
import type { Side } from '../model/split.ts';
import { DRAIN_SECONDS, drain, type Names, type NewPair, type PairDeps, waitUntilGone } from './drain-group.ts';
import { isInProgress, tolerateTransientErrors } from './indeterminate.ts';
import { putToRest } from './permanent-group.ts';
import { HELD_MIN, heldMin, isEmptied, isPermanent, isSuccessor, MADE_BY, ownMin, SUCCESSOR_OF } from './rules/group-pair.ts';
import { servingCount } from './rules/proof.ts';
import { shiftTag } from './rules/shift.ts';
import { restoreAndSettle, restoreTraffic } from './shift/traffic.ts';
import type { WatchContext } from './watch-refresh.ts';

/** Creates and deletes the groups of blue-green. A group is deleted only while its tag, read right before, names the pair. */

const ATTEMPTS = 3;

/** Creates the green group without traffic, or continues with the one that an interrupted run created. */
export async function createGreenGroup(pair: NewPair, group: Group, launch: Launch, context: WatchContext): Promise<void> {
  const { old, successor, record } = pair;
  const { aws, deps, rollout } = context;
  const tags = { [MADE_BY]: old, [SUCCESSOR_OF]: old, [HELD_MIN]: String(ownMin(group)), ...shiftTag(record) };
  for (let attempt = 1; ; attempt += 1) {
    const result = await aws.groups.create({ from: old, as: successor, launch, tags }).catch(cause => {
      // It may exist. The removal reads its tag before it deletes anything.
      if (isInProgress(cause)) rollout.successors.set(old, successor);
      throw cause;
    });
    if (result === 'created') break;
    const [existing] = await aws.groups.find({ names: [successor] });
    if (existing !== undefined && !existing.beingDeleted) {
      if (isSuccessor(existing, old) && sameLaunch(existing.launch, launch)) {
        if (record !== undefined) await aws.groups.tag(successor, shiftTag(record));
        break;
      }
      throw notOurs({ old, successor });
    }
    if (attempt === ATTEMPTS) throw notOurs({ old, successor });
    await waitUntilGone(successor, `Waiting for the deletion of the previous ${successor}`, context);
  }
  rollout.successors.set(old, successor);
  // As the plan saw them: a run that takes over this pair suspends processes of the old group.
  await aws.groups.copyAttachments(old, successor, group.suspended);
  deps.report.info(`${successor}: created next to ${old} without traffic, launches ${formatLaunch(launch)}`);
}

const notOurs = ({ old, successor }: Names): RejectedError =>
  new RejectedError(`Group ${successor} exists, but is not the green group of ${old} for this rollout (tag ${SUCCESSOR_OF}).`, {
    next: `Delete or rename ${successor} if nothing needs it, and re-run the job. Or set "strategy: rolling".`,
  });

/** Before the old group is emptied or deleted. */
export function throwUnlessOurs(green: Group | undefined, { old, successor }: Names): asserts green is Group {
  if (green === undefined)
    throw new RejectedError(`Another process deleted ${successor}, so ${old} stays.`, { next: 'Run the job again.' });
  if (!isSuccessor(green, old)) throw notOurs({ old, successor });
}

/** From here on both serve: the old one keeps its size, so that it can take the whole load back. */
export async function attachTraffic(
  { old, successor, receives }: Names & { readonly receives: Side | undefined },
  oldGroup: Group | undefined,
  { aws, deps }: PairDeps,
): Promise<void> {
  if (oldGroup !== undefined && oldGroup.min < oldGroup.desired) {
    // On the old group too: the green one may be deleted by another process.
    await aws.groups.tag(old, { [HELD_MIN]: String(ownMin(oldGroup)) });
    await aws.groups.resize(old, { min: oldGroup.desired });
  }
  await aws.groups.attachTraffic(old, successor, receives);
  deps.report.info(`${successor}: checks passed, attached to ${receives === undefined ? `the load balancers of ${old}` : receives.id}`);
}

/** Deletes the green group, as long as the old group serves. */
export async function removeGreenGroup({ old, successor }: Names, pairDeps: PairDeps): Promise<void> {
  const { aws } = pairDeps;
  const groups = await aws.groups.find({ names: [old, successor] });
  const [green, oldGroup] = [successor, old].map(name => groups.find(group => group.name === name));
  if (green === undefined) return;
  if (!green.beingDeleted) {
    if (!isSuccessor(green, old)) throw notOurs({ old, successor });
    if (!serves(oldGroup)) throw new RejectedError(`${servesAlone({ old, successor })}.`);
    if (isWell(green) && !isWell(oldGroup)) await waitForOld({ old, successor }, pairDeps);
    await restoreAndSettle(green, oldGroup, pairDeps);
    // First: with the green group the original size is gone.
    await restoreSize(green, oldGroup, pairDeps);
    if (isPermanent(green)) return putToRest(green, { old, successor }, pairDeps);
    if (green.members.every(({ state }) => state.startsWith('Pending'))) await aws.groups.remove(successor, { force: true });
    else await drainAndRemove(green, { old, successor }, pairDeps);
  }
  await waitUntilGone(successor, `Deleting ${successor}`, pairDeps);
}

const isWell = (group: Group | undefined): boolean => group !== undefined && servingCount(group) > 0;

const OLD_SECONDS = 300;

/** An instance of the old group may just have died, while the green group carries the load. A bad image must not stay for ever, so the wait is short. */
async function waitForOld({ old, successor }: Names, { deps, aws }: PairDeps): Promise<void> {
  const deadline = deps.clock.now() + OLD_SECONDS * 1000;
  const poll = tolerateTransientErrors<void>(async () => {
    const [group] = await aws.groups.find({ names: [old] });
    if (!serves(group)) throw new RejectedError(`${servesAlone({ old, successor })}.`);
    if (isWell(group) || group?.desired === 0 || deps.clock.now() >= deadline) return { state: 'done', value: undefined };
    return { state: 'waiting', note: 'none of its instances is in service' };
  }, deps);
  await waitFor({ what: `Waiting for ${old}`, everySeconds: 10, atMostSeconds: 2 * OLD_SECONDS, poll }, deps);
}

const serves = (old: Group | undefined): boolean => old !== undefined && !old.beingDeleted && !isEmptied(old);

const servesAlone = ({ old, successor }: Names): string => `${successor} stays, because ${old} is emptied or no longer exists`;

async function restoreSize(green: Group, old: Group | undefined, { aws }: PairDeps): Promise<void> {
  const min = heldMin(green);
  if (old === undefined) return;
  if (min !== undefined && min < old.min) await aws.groups.resize(old.name, { min });
  if (heldMin(old) !== undefined) await aws.groups.untag(old.name, [HELD_MIN]);
}

/** For a cancelled job, which has seconds: starts the removal. Returns whether nothing remains to be done, and what was started. */
export async function startRemoval(
  { old, successor }: Names,
  pairDeps: PairDeps,
): Promise<{ readonly ok: boolean; readonly line: string }> {
  const { aws } = pairDeps;
  const groups = await aws.groups.find({ names: [old, successor] });
  const [green, oldGroup] = [successor, old].map(name => groups.find(group => group.name === name));
  if (green === undefined) return { ok: true, line: `${successor} does not exist` };
  if (!isSuccessor(green, old)) return { ok: false, line: `${successor} stays: it is not the green group of ${old}` };
  if (!serves(oldGroup)) return { ok: false, line: servesAlone({ old, successor }) };
  const { settleSeconds } = await restoreTraffic(green, oldGroup, pairDeps);
  if (settleSeconds > 0)
    return { ok: false, line: `${successor} stays: clients may use it for ${formatDuration(settleSeconds)} more (the TTL)` };
  await restoreSize(green, oldGroup, pairDeps);
  if (!isPermanent(green) && green.members.every(({ state }) => state.startsWith('Pending'))) {
    await aws.groups.remove(successor, { force: true });
    return { ok: true, line: `${successor} is being deleted` };
  }
  await aws.groups.resize(successor, { min: 0, max: 0, desired: 0 });
  return { ok: false, line: `${successor} is scaling in to 0 instances${isPermanent(green) ? '' : ' and is not deleted yet'}` };
}

/** Without force: AWS runs the termination hooks, and load balancers drain. Throws a `TimeoutError` if instances remain. */
export async function drainAndRemove(group: Group, pair: Names, pairDeps: PairDeps, whenSized?: () => Promise<void>): Promise<void> {
  const { aws, deps } = pairDeps;
  const { name } = group;
  const next = await drain(name, `it deletes ${name} once it is empty`, pairDeps, whenSized);
  const poll = tolerateTransientErrors<void>(async () => {
    const groups = await aws.groups.find({ names: [pair.old, pair.successor] });
    if (!groups.some(each => each.name === name)) return { state: 'done', value: undefined };
    throwUnlessOurs(
      groups.find(each => each.name === pair.successor),
      pair,
    );
    await aws.groups.remove(name, { force: false });
    return { state: 'done', value: undefined };
  }, deps);
  await waitFor({ what: `Deleting ${name}`, everySeconds: 10, atMostSeconds: DRAIN_SECONDS, poll, next }, deps);
}
