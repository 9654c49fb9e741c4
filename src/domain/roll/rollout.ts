import type { Group, Member, Refresh } from './group.ts';

/** What the instances in service really run, whatever Auto Scaling says about the refresh. */
export interface Proof {
  readonly inService: number;
  readonly onImage: number;
  /** Run something else, and should not. */
  readonly wrong: readonly string[];
  /** EC2 does not know them (yet). */
  readonly unknown: readonly string[];
}

export const inService = ({ state }: Pick<Member, 'state'>): boolean => state === 'InService';

/** `spared`: protected instances that keep their image because the user said so. */
export function proofOf(group: Group, images: ReadonlyMap<string, string>, imageId: string, { spared }: { spared: boolean }): Proof {
  const judged = group.members.filter(member => inService(member) && !(spared && member.protected && images.get(member.id) !== imageId));
  return {
    inService: judged.length,
    onImage: judged.filter(({ id }) => images.get(id) === imageId).length,
    wrong: judged.filter(({ id }) => images.has(id) && images.get(id) !== imageId).map(({ id }) => id),
    unknown: judged.filter(({ id }) => !images.has(id)).map(({ id }) => id),
  };
}

export interface Sight {
  /** Undefined: AWS does not show it. */
  readonly refresh: Refresh | undefined;
  readonly group: Group;
  readonly proof: Proof;
  /** The group launches from our version from now on: AWS writes that only when a refresh succeeded. */
  readonly saved: boolean;
  /** How many looks in a row, just before this one, showed what should not be. */
  readonly doubts: number;
}

/** `doubtful`: not what should be seen, but one stale answer must not end a good roll. */
export type Judgement =
  | { readonly state: 'waiting'; readonly note: string; readonly doubtful: boolean }
  | { readonly state: 'done' }
  | { readonly state: 'failed'; readonly why: string };

// AWS's answers may be seconds old: https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html
const LOOKS_BEFORE_BELIEVED = { Baking: 2, Successful: 6, gone: 3 } as const;

/** Only a refresh that succeeded, on a group where every instance in service runs the image, is a success. */
export function judge(sight: Sight): Judgement {
  const { refresh } = sight;
  if (refresh === undefined) {
    const why = 'AWS no longer shows the refresh, so how it ended is unknown';
    return believed(sight, 'gone') ? { state: 'failed', why } : doubt(why);
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
      return { state: 'failed', why: ENDED_BADLY[refresh.status] + because(refresh) };
  }
}

const ENDED_BADLY = {
  RollbackSuccessful: 'AWS rolled it back, the old image runs again',
  RollbackFailed: 'AWS tried to roll it back and could not, old and new instances run side by side',
  Cancelled: 'somebody cancelled the refresh half way, old and new instances may run side by side',
  Failed: 'the refresh failed and was not rolled back, old and new instances may run side by side',
} as const;

const because = ({ reason }: Refresh): string => (reason === '' ? '' : `. AWS says: ${reason}`);

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

/** What is wrong with the group although AWS finds it healthy; undefined when nothing is. */
export function unprovenBecause({ proof, group }: Pick<Sight, 'proof' | 'group'>): string | undefined {
  if (proof.wrong.length > 0) return `${said(proof.wrong)} of ${proof.inService} in service run another image`;
  if (proof.unknown.length > 0) return `EC2 does not say what ${said(proof.unknown)} run`;
  if (proof.inService === 0 && group.desired > 0) return 'no instance is in service';
  return undefined;
}

function judgeBaking(sight: Sight, refresh: Refresh): Judgement {
  const unproven = unprovenBecause(sight);
  if (unproven === undefined)
    return { state: 'waiting', note: `Baking, all ${sight.proof.inService} instances run the image`, doubtful: false };
  const sure = sight.proof.wrong.length > 0 && believed(sight, 'Baking');
  return sure ? { state: 'failed', why: `replaced, but while it baked ${unproven}` } : doubt(progress(refresh, sight.proof));
}

function judgeSuccess(sight: Sight): Judgement {
  const unproven = unprovenBecause(sight) ?? (sight.saved ? undefined : 'the group does not launch from the new template version');
  if (unproven === undefined) return { state: 'done' };
  return believed(sight, 'Successful')
    ? { state: 'failed', why: `AWS calls it successful, but ${unproven}` }
    : doubt(`Successful, but ${unproven}`);
}

const believed = ({ doubts }: Sight, what: keyof typeof LOOKS_BEFORE_BELIEVED): boolean => doubts + 1 >= LOOKS_BEFORE_BELIEVED[what];

const doubt = (note: string): Judgement => ({ state: 'waiting', note, doubtful: true });

const said = (ids: readonly string[]): string =>
  ids.length <= 3 ? ids.join(', ') : `${ids.slice(0, 3).join(', ')} and ${ids.length - 3} more`;

const progress = (refresh: Refresh, proof: Proof): string =>
  `${refresh.status}, ${refresh.percent} %, ${proof.onImage} of ${proof.inService} in service run the image${refresh.reason === '' ? '' : `. AWS says: ${refresh.reason}`}`;
