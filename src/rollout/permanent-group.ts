import { RejectedError } from '../kit/errors.ts';
import { waitFor } from '../kit/wait.ts';
import { formatLaunch, type Group, type Launch } from '../model/group.ts';
import { drain, type Names, type NewPair, type PairDeps } from './drain-group.ts';
import { tolerateTransientErrors } from './indeterminate.ts';
import { grownTo, HELD_MIN, isSuccessor, ownMin, PAIR_TAGS, PERMANENT, SHIFT, SUCCESSOR_OF, sourcesCount } from './rules/group-pair.ts';
import { shiftTag } from './rules/shift.ts';
import type { WatchContext } from './watch-refresh.ts';

/** Two groups that exist permanently, for example because Terraform or a stack owns them: one is filled without traffic, the other is emptied. */

/** Fills the idle group. It gets traffic when its instances have passed their checks. */
export async function fillGroup({ old, successor, record }: NewPair, serving: Group, launch: Launch, context: WatchContext): Promise<void> {
  const { aws, deps, rollout } = context;
  const [idle] = await aws.groups.find({ names: [successor] });
  if (idle === undefined || idle.beingDeleted) throw new RejectedError(`Group ${successor} no longer exists.`);
  if (!isSuccessor(idle, old)) {
    if (idle.desired > 0 || idle.members.length > 0)
      throw new RejectedError(`Another process gave ${successor} instances after the plan was made.`, {
        next: `Size ${old} or ${successor} to 0 and re-run the job.`,
      });
    await aws.groups.tag(successor, { [SUCCESSOR_OF]: old, [PERMANENT]: 'true', [HELD_MIN]: String(ownMin(serving)), ...shiftTag(record) });
  } else if (record !== undefined) await aws.groups.tag(successor, shiftTag(record));
  rollout.successors.set(old, successor);
  // With weights its own side has none.
  if (idle.members.length === 0 && record === undefined) await withoutTraffic(idle, context);
  await aws.groups.setLaunch(successor, launch);
  await aws.groups.resize(successor, grownTo(idle, serving));
  deps.report.info(`${successor}: filled next to ${old} without traffic, launches ${formatLaunch(launch)}`);
}

async function withoutTraffic(idle: Group, { aws, deps }: PairDeps): Promise<void> {
  const { name } = idle;
  if (sourcesCount(idle) === 0) return;
  await aws.groups.detachTraffic(name);
  const poll = tolerateTransientErrors<void>(async () => {
    const [group] = await aws.groups.find({ names: [name] });
    if (group === undefined || sourcesCount(group) === 0) return { state: 'done', value: undefined };
    return { state: 'waiting', note: 'its load balancers are still attached' };
  }, deps);
  await waitFor({ what: `Detaching ${name}`, everySeconds: 5, atMostSeconds: 300, poll }, deps);
}

/** Empties the group and puts it behind the load balancers again, as its owner declares it. */
export async function putToRest({ name, tags }: Group, { old }: Names, pairDeps: PairDeps): Promise<void> {
  const { aws } = pairDeps;
  await drain(name, `it empties ${name}`, pairDeps);
  if (tags[SHIFT] === undefined) await aws.groups.attachTraffic(old, name);
  await aws.groups.untag(name, PAIR_TAGS);
}
