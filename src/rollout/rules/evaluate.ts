import type { Group, Refresh, RefreshStatus } from '../../model/group.ts';
import { imageProblem, type Proof, pendingReason, type SteadyState, trafficProblem, warmPoolProblem } from './proof.ts';

/** What one poll shows of a group, and whether its rollout has succeeded. */

export interface RefreshSnapshot extends SteadyState {
  /** Undefined: AWS does not show it. */
  readonly refresh: Refresh | undefined;
  /** The group launches from our version now. AWS writes that only when a refresh has succeeded. */
  readonly saved: boolean;
  /** How many new instances became unhealthy after AWS had called them replaced. */
  readonly died?: number;
  /** How many polls in a row, right before this one, showed a problem. */
  readonly doubts: number;
}

/** `doubtful`: a problem that one stale answer could explain. */
export type Evaluation =
  | { readonly state: 'waiting'; readonly note: string; readonly doubtful: boolean }
  | { readonly state: 'done' }
  | { readonly state: 'failed'; readonly reason: string };

// Answers of AWS may be seconds old: https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html
const POLLS_UNTIL_BELIEVED = { Baking: 2, Successful: 6, gone: 3, traffic: 6 } as const;

/** Success needs both: a successful refresh, and a group whose instances in service all run the image. */
export function evaluate(snapshot: RefreshSnapshot): Evaluation {
  const { refresh } = snapshot;
  if (refresh === undefined) {
    const reason = 'AWS no longer shows the refresh, so its result is unknown';
    return isBelieved(snapshot, 'gone') ? { state: 'failed', reason } : doubt(reason);
  }
  if (refresh.status === 'Baking') return evaluateBaking(snapshot, refresh);
  if (refresh.status === 'Successful') return evaluateSuccess(snapshot);
  const failure = FAILURES[refresh.status];
  if (failure !== undefined) return { state: 'failed', reason: failure + awsReason(refresh) };
  // In progress, also with a status that AWS has added since: nothing is known against the rollout.
  return { state: 'waiting', note: formatProgress(refresh, snapshot.proof), doubtful: false };
}

const FAILURES: Partial<Record<RefreshStatus, string>> = {
  RollbackSuccessful: 'AWS rolled the refresh back; the old image runs again',
  RollbackFailed: 'AWS could not roll the refresh back; old and new instances run in the group',
  Cancelled: 'another process cancelled the refresh; old and new instances may run in the group',
  Failed: 'the refresh failed and was not rolled back; old and new instances may run in the group',
};

const awsReason = ({ reason }: Pick<Refresh, 'reason'>): string => {
  const causes = reason.replace(NO_CAUSE, '');
  return causes === '' ? '' : `. AWS: ${causes}`;
};

/** An example of AWS that tells nothing: the instance is younger than its first status check. */
const NO_CAUSE = / *For example: i-\w+ has insufficient data[^.]*(\.(?= |$)|$)/;

/** New instances are in service and warm at each checkpoint and during the bake time. */
export const checksAreDue = ({ status, percent }: Refresh, checkpoints: readonly number[]): boolean =>
  status === 'Baking' || status === 'Successful' || (status === 'InProgress' && checkpoints.some(checkpoint => percent >= checkpoint));

/** A new instance that the group calls unhealthy, or that the refresh names in its reason. */
export function suspectIn(
  { members }: Group,
  { reason }: Refresh,
  images: ReadonlyMap<string, string>,
  imageId: string,
): string | undefined {
  const created = members.filter(({ id }) => images.get(id) === imageId);
  return (
    created.find(({ healthy }) => !healthy) ??
    created.find(({ id }) => reason.includes(`${id} is not healthy`) || reason.includes(`${id} fails`))
  )?.id;
}

// One instance may die for its own reasons, as a spot instance does. More of them point to the image.
const MAX_DEAD_SHARE = 1 / 4;

export const deathProblem = ({
  died = 0,
  group: { desired, members, sizeUnit },
}: Pick<RefreshSnapshot, 'died' | 'group'>): string | undefined =>
  died >= Math.max(2, (sizeUnit === undefined ? desired : members.length) * MAX_DEAD_SHARE)
    ? `${died} new instances became unhealthy`
    : undefined;

function evaluateBaking(snapshot: RefreshSnapshot, refresh: Refresh): Evaluation {
  const [dead, image, traffic] = [deathProblem(snapshot), imageProblem(snapshot), trafficProblem(snapshot)];
  const isSure =
    dead !== undefined ||
    (snapshot.proof.wrong.length > 0 && isBelieved(snapshot, 'Baking')) ||
    (traffic !== undefined && isBelieved(snapshot, 'traffic'));
  const problem = dead ?? image ?? traffic;
  if (problem !== undefined && isSure) return { state: 'failed', reason: `during the bake time, ${problem}` };
  if (image !== undefined) return doubt(formatProgress(refresh, snapshot.proof));
  if (traffic !== undefined) return doubt(`Baking: ${traffic}`);
  const note = `Baking: ${pendingReason(snapshot) ?? `all ${snapshot.proof.inService} instances run the image`}`;
  return { state: 'waiting', note, doubtful: false };
}

function evaluateSuccess(snapshot: RefreshSnapshot): Evaluation {
  const dead = deathProblem(snapshot);
  if (dead !== undefined) return { state: 'failed', reason: `AWS calls the refresh successful, but ${dead}` };
  return evaluateEnd(snapshot, 'AWS calls the refresh successful, but ', 'Successful', snapshot.saved ? undefined : NOT_SAVED);
}

const NOT_SAVED = 'the group does not launch from the new template version';

/** A group that needs no rollout: it must look like after one. */
export const evaluateSteadyState = (snapshot: RefreshSnapshot): Evaluation => evaluateEnd(snapshot, '', 'Up to date', undefined);

function evaluateEnd(snapshot: RefreshSnapshot, prefix: string, state: string, unsaved: string | undefined): Evaluation {
  const problem = imageProblem(snapshot) ?? warmPoolProblem(snapshot) ?? unsaved ?? trafficProblem(snapshot);
  if (problem !== undefined) {
    return isBelieved(snapshot, 'Successful') ? { state: 'failed', reason: `${prefix}${problem}` } : doubt(`${state}, but ${problem}`);
  }
  const pending = pendingReason(snapshot);
  return pending === undefined ? { state: 'done' } : { state: 'waiting', note: `${state}, ${pending}`, doubtful: false };
}

const isBelieved = ({ doubts }: RefreshSnapshot, what: keyof typeof POLLS_UNTIL_BELIEVED): boolean =>
  doubts + 1 >= POLLS_UNTIL_BELIEVED[what];

const doubt = (note: string): Evaluation => ({ state: 'waiting', note, doubtful: true });

const formatProgress = (refresh: Refresh, proof: Proof): string =>
  `${refresh.status}, ${refresh.percent} %, ${proof.onImage} of ${proof.inService} in service run the image${awsReason({ ...refresh, reason: withoutExample(refresh.reason) })}`;

/** The example names another instance at every poll and would add a line of progress each time. It stays where a person must act on it. */
const withoutExample = (reason: string): string =>
  /protect|standby/i.test(reason) ? reason : reason.replace(/ *For example: i-\w+ .*?(\.(?= |$)|$)/gs, '');
