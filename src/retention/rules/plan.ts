import { formatDuration } from '../../kit/format.ts';
import { isOurs, newestFirst, type TagScheme } from '../../model/image.ts';
import { shortHash, verdictOf } from '../../model/verdict.ts';
import { withAncestors } from './ancestors.ts';
import { capped, together } from './copies.ts';
import { boots, markOf } from './marks.ts';
import { type Candidate, className, type Decision, guard, keepOf, type Policy, wish } from './rules.ts';

/** For an image that somebody asks to remove by name: nothing but the guards speaks. */
export const NO_WISHES = {
  keep: { newest: 0, passed: 0, youngerThanSeconds: 0, launchedWithinSeconds: undefined },
  classes: [],
  graceSeconds: 0,
  maxRemovals: 1,
  maxShare: 100,
} as const;

/** Every image of the family with a deed and its reason, newest first. The same in a dry run and in a real one. */
export function planPrune(candidates: readonly Candidate[], policy: Policy, now: number): readonly Decision[] {
  const sorted = [...candidates].sort((a, b) => newestFirst(a.image, b.image) || a.region.localeCompare(b.region));
  const ranks = ranksAmong(sorted, policy, ({ image }) => boots(image, policy.scheme));
  const passed = ranksAmong(
    sorted,
    policy,
    ({ image }) => boots(image, policy.scheme) && verdictOf(image, policy.scheme).result === 'passed',
  );
  const decided = sorted.map((candidate): Decision => {
    const { image } = candidate;
    const standing = {
      image,
      now,
      scheme: policy.scheme,
      keep: keepOf(image, policy),
      rank: ranks.get(candidate),
      passedPlace: passed.get(candidate),
    };
    const reason = guard(candidate, policy) ?? wish(standing);
    return reason === undefined ? afterGrace(candidate, policy, now) : stays(candidate, reason, policy);
  });
  const { maxRemovals, maxShare, scheme } = policy;
  const most = Math.min(maxRemovals, Math.ceil((decided.length * maxShare) / 100));
  const limit = most === maxRemovals ? `max-removals (${maxRemovals})` : `max-share (${maxShare} % of ${decided.length} images)`;
  return capped(policy.keepAncestors ? familiesSpared(decided, scheme) : together(decided, scheme), scheme, most, limit);
}

/** A copy that is spared has ancestors, and an ancestor has copies. */
function familiesSpared(decided: readonly Decision[], scheme: TagScheme): readonly Decision[] {
  const next = together(withAncestors(decided, scheme), scheme);
  return next.every(({ action, waits }, n) => action === decided[n]?.action && waits === decided[n]?.waits)
    ? next
    : familiesSpared(next, scheme);
}

function ranksAmong(
  sorted: readonly Candidate[],
  policy: Policy,
  counts: (candidate: Candidate) => boolean,
): ReadonlyMap<Candidate, number> {
  const next = new Map<string, number>();
  const ranks = new Map<Candidate, number>();
  for (const candidate of sorted.filter(counts)) {
    const kind = [className(candidate.image, policy), candidate.region, candidate.image.architecture].join('\n');
    const rank = (next.get(kind) ?? 0) + 1;
    next.set(kind, rank);
    ranks.set(candidate, rank);
  }
  return ranks;
}

// A mark on what is not ours is not ours to take away.
function stays(candidate: Candidate, reason: string, policy: Policy): Decision {
  const { image } = candidate;
  const marked =
    markOf(image, policy.scheme) !== undefined && isOurs(image, policy.scheme, policy.family) && image.ownerId === policy.accountId;
  return { ...candidate, action: marked ? 'unmark' : 'keep', reason, waits: false, marked };
}

function afterGrace(candidate: Candidate, policy: Policy, now: number): Decision {
  const { image } = candidate;
  const mark = markOf(image, policy.scheme);
  const marked = mark !== undefined;
  const disables = policy.disable === true && image.state === 'available';
  const disabled = disables ? `, and is disabled until then${unshared(candidate)}` : '';
  const decided = (action: Decision['action'], reason: string): Decision => ({
    ...candidate,
    action,
    reason,
    marked,
    waits: action === 'keep',
    disables: disables && action === 'mark',
  });
  if (policy.graceSeconds === 0) return decided('remove', 'nothing uses it');
  if (mark === undefined) return decided('mark', `nothing uses it: goes after ${formatDuration(policy.graceSeconds)}${disabled}`);
  const age = (now - mark.since) / 1000;
  const rest = `nothing uses it: goes in ${formatDuration(policy.graceSeconds - age)}`;
  // Killed between mark and deprecation, it is done again.
  const unfinished = image.deprecatedAt === undefined || disables;
  if (age < policy.graceSeconds) return decided(unfinished ? 'mark' : 'keep', rest + disabled);
  return decided('remove', `nothing has used it since it was marked ${formatDuration(age)} ago`);
}

const unshared = ({ sharedWith = [] }: Candidate): string =>
  sharedWith.length === 0 ? '' : `, which takes it from ${sharedWith.join(', ')} for good`;

/** What a plan does, and nothing of what it leaves alone: who approved one plan has not approved another. `others`: what goes beside images. */
export const planHash = (plan: readonly Decision[], others: readonly string[]): string => {
  const deeds = plan
    .filter(({ action }) => action !== 'keep')
    .map(({ region, image, action, disables }) => `${action}${action === 'mark' && disables ? ' and disable' : ''} ${region} ${image.id}`);
  return shortHash([...deeds, ...others].sort().join('\n'));
};
