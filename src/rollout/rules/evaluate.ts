import type { Group, Refresh } from '../../model/group.ts';
import { notYet, type Proof, type SteadyState, stalePoolBecause, unprovenBecause, unservedBecause } from './proof.ts';

export interface RefreshSnapshot extends SteadyState {
  /** Undefined: AWS does not show it. */
  readonly refresh: Refresh | undefined;
  /** The group launches from our version from now on: AWS writes that only when a refresh succeeded. */
  readonly saved: boolean;
  /** How many new instances the group called unhealthy, of those that AWS had called replaced. */
  readonly died?: number;
  /** How many looks in a row, just before this one, showed what should not be. */
  readonly doubts: number;
}

/** `doubtful`: not what should be seen, but one stale answer must not end a good roll. */
export type Evaluation =
  | { readonly state: 'waiting'; readonly note: string; readonly doubtful: boolean }
  | { readonly state: 'done' }
  | { readonly state: 'failed'; readonly reason: string };

// AWS's answers may be seconds old: https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html
const LOOKS_BEFORE_BELIEVED = { Baking: 2, Successful: 6, gone: 3, traffic: 6 } as const;

/** Only a refresh that succeeded, on a group where every instance in service runs the image, is a success. */
export function evaluate(sight: RefreshSnapshot): Evaluation {
  const { refresh } = sight;
  if (refresh === undefined) {
    const reason = 'AWS no longer shows the refresh, so how it ended is unknown';
    return believed(sight, 'gone') ? { state: 'failed', reason } : doubt(reason);
  }
  switch (refresh.status) {
    case 'Pending':
    case 'InProgress':
    case 'Cancelling':
    case 'RollbackInProgress':
      return { state: 'waiting', note: progress(refresh, sight.proof), doubtful: false };
    case 'Baking':
      return judgeBaking(sight, refresh);
    case 'Successful':
      return judgeSuccess(sight);
    default:
      return { state: 'failed', reason: ENDED_BADLY[refresh.status] + awsReason(refresh) };
  }
}

const ENDED_BADLY = {
  RollbackSuccessful: 'AWS rolled it back, the old image runs again',
  RollbackFailed: 'AWS tried to roll it back and could not, old and new instances run side by side',
  Cancelled: 'somebody cancelled the refresh half way, old and new instances may run side by side',
  Failed: 'the refresh failed and was not rolled back, old and new instances may run side by side',
} as const;

const awsReason = ({ reason }: Refresh): string => (reason === '' ? '' : `. AWS says: ${reason}`);

/** New instances are complete and warm at a checkpoint and when it bakes; what was missed there is asked for before it counts as done. */
export const checksAreDue = ({ status, percent }: Refresh, checkpoints: readonly number[]): boolean =>
  status === 'Baking' || status === 'Successful' || (status === 'InProgress' && checkpoints.some(checkpoint => percent >= checkpoint));

/** A new instance that is not well: the group says so, or the reason of the refresh names it. */
export function suspectIn(
  { members }: Group,
  { reason }: Refresh,
  images: ReadonlyMap<string, string>,
  imageId: string,
): string | undefined {
  const fresh = members.filter(({ id }) => images.get(id) === imageId);
  return (
    fresh.find(({ healthy }) => !healthy) ??
    fresh.find(({ id }) => reason.includes(`${id} is not healthy`) || reason.includes(`${id} fails`))
  )?.id;
}

// One instance may die of its own accord, as spot instances do; where more do, it is the image.
const MOST_DEAD = 1 / 4;

const diedBecause = ({ died = 0, group: { desired } }: RefreshSnapshot): string | undefined =>
  died >= Math.max(2, desired * MOST_DEAD) ? `${died} new instances became unhealthy` : undefined;

function judgeBaking(sight: RefreshSnapshot, refresh: Refresh): Evaluation {
  const dead = diedBecause(sight);
  if (dead !== undefined) return { state: 'failed', reason: `replaced, but while it baked ${dead}` };
  const [unproven, unserved] = [unprovenBecause(sight), unservedBecause(sight)];
  const sure = (sight.proof.wrong.length > 0 && believed(sight, 'Baking')) || (unserved !== undefined && believed(sight, 'traffic'));
  const wrong = unproven ?? unserved;
  if (wrong !== undefined && sure) return { state: 'failed', reason: `replaced, but while it baked ${wrong}` };
  if (unproven !== undefined) return doubt(progress(refresh, sight.proof));
  if (unserved !== undefined) return doubt(`Baking, but ${unserved}`);
  const yet = notYet(sight);
  const note = yet === undefined ? `Baking, all ${sight.proof.inService} instances run the image` : `Baking, ${yet}`;
  return { state: 'waiting', note, doubtful: false };
}

function judgeSuccess(sight: RefreshSnapshot): Evaluation {
  const dead = diedBecause(sight);
  if (dead !== undefined) return { state: 'failed', reason: `AWS calls it successful, but ${dead}` };
  return judgeEnd(sight, 'AWS calls it successful, but ', 'Successful', sight.saved ? undefined : UNSAVED);
}

const UNSAVED = 'the group does not launch from the new template version';

/** A group that nothing was rolled in now: it must be as if we had. */
export const evaluateSteadyState = (sight: RefreshSnapshot): Evaluation => judgeEnd(sight, '', 'There', undefined);

function judgeEnd(sight: RefreshSnapshot, but: string, there: string, unsaved: string | undefined): Evaluation {
  const wrong = unprovenBecause(sight) ?? stalePoolBecause(sight) ?? unsaved ?? unservedBecause(sight);
  if (wrong !== undefined) {
    return believed(sight, 'Successful') ? { state: 'failed', reason: `${but}${wrong}` } : doubt(`${there}, but ${wrong}`);
  }
  const yet = notYet(sight);
  return yet === undefined ? { state: 'done' } : { state: 'waiting', note: `${there}, ${yet}`, doubtful: false };
}

const believed = ({ doubts }: RefreshSnapshot, what: keyof typeof LOOKS_BEFORE_BELIEVED): boolean =>
  doubts + 1 >= LOOKS_BEFORE_BELIEVED[what];

const doubt = (note: string): Evaluation => ({ state: 'waiting', note, doubtful: true });

const progress = (refresh: Refresh, proof: Proof): string =>
  `${refresh.status}, ${refresh.percent} %, ${proof.onImage} of ${proof.inService} in service run the image${awsReason({ ...refresh, reason: steady(refresh.reason) })}`;

/** The example is another instance at every look, and would make a new line of progress each time. Unless a person must do something about it. */
const steady = (reason: string): string =>
  /protect|standby/i.test(reason) ? reason : reason.replace(/ *For example: i-\w+ .*?(\.(?= |$)|$)/gs, '');
