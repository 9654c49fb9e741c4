import { formatDuration } from '../../kit/format.ts';
import { builtAt, isOurs, newestFirst } from '../../model/image.ts';
import { shortHash, verdictOf } from '../../model/verdict.ts';
import { isLaunchable, markOf } from './marks.ts';
import { capped, withAncestorsAndCopies, withCopies } from './related-images.ts';
import { type Candidate, className, type Decision, guard, keepOf, keptByPolicy, type Policy } from './rules.ts';

/** For an image that is removed by name: only the guards apply. */
export const NO_RETENTION_POLICY = {
  keep: { newest: 0, passed: 0, youngerThanSeconds: 0, launchedWithinSeconds: undefined },
  classes: [],
  graceSeconds: 0,
  maxRemovals: 1,
  maxShare: 100,
} as const;

/** Every image of the family with an action and its reason, newest first. The same in a dry run and in a real run. */
export function planPrune(candidates: readonly Candidate[], policy: Policy, now: number): readonly Decision[] {
  const { scheme, maxRemovals, maxShare } = policy;
  const sorted = [...candidates].sort((a, b) => newestFirst(scheme)(a.image, b.image) || a.region.localeCompare(b.region));
  // An image without a date has no rank, and takes none from the others.
  const launchable = sorted.filter(({ image }) => isLaunchable(image, scheme) && builtAt(image, scheme) !== undefined);
  const ranks = ranksOf(launchable, policy);
  const passed = ranksOf(
    launchable.filter(({ image }) => verdictOf(image, scheme).result === 'passed'),
    policy,
  );
  const decided = sorted.map((candidate): Decision => {
    const { image } = candidate;
    const rank = { image, now, scheme, keep: keepOf(image, policy), rank: ranks.get(candidate), passedRank: passed.get(candidate) };
    const reason = guard(candidate, policy) ?? keptByPolicy(rank);
    return reason === undefined ? decideUnused(candidate, policy, now) : decideKept(candidate, reason, policy);
  });
  const most = Math.min(maxRemovals, Math.ceil((decided.length * maxShare) / 100));
  const limit = most === maxRemovals ? `max-removals (${maxRemovals})` : `max-share (${maxShare} % of ${decided.length} images)`;
  return capped(policy.keepAncestors ? withAncestorsAndCopies(decided, scheme) : withCopies(decided, scheme), scheme, most, limit);
}

function ranksOf(sorted: readonly Candidate[], policy: Policy): ReadonlyMap<Candidate, number> {
  const counts = new Map<string, number>();
  return new Map(
    sorted.map(candidate => {
      const kind = [className(candidate.image, policy), candidate.region, candidate.image.architecture].join('\n');
      const rank = (counts.get(kind) ?? 0) + 1;
      counts.set(kind, rank);
      return [candidate, rank];
    }),
  );
}

function decideKept(candidate: Candidate, reason: string, policy: Policy): Decision {
  const { image } = candidate;
  // A mark on an image that is not ours is left alone.
  const marked =
    markOf(image, policy.scheme) !== undefined && isOurs(image, policy.scheme, policy.family) && image.ownerId === policy.accountId;
  return { ...candidate, action: marked ? 'unmark' : 'keep', reason, waits: false, marked };
}

function decideUnused(candidate: Candidate, policy: Policy, now: number): Decision {
  const { image, sharedWith = [] } = candidate;
  const mark = markOf(image, policy.scheme);
  const disables = policy.disable === true && image.state === 'available';
  const unshared = sharedWith.length === 0 ? '' : `; sharing with ${sharedWith.join(', ')} ends permanently`;
  const disabled = disables ? `; disabled until then${unshared}` : '';
  const decide = (action: Decision['action'], reason: string): Decision => ({
    ...candidate,
    action,
    reason,
    marked: mark !== undefined,
    waits: action === 'keep',
    disables: disables && action === 'mark',
  });
  if (policy.graceSeconds === 0) return decide('remove', 'nothing uses it');
  if (mark === undefined) return decide('mark', `nothing uses it; removal after ${formatDuration(policy.graceSeconds)}${disabled}`);
  const age = (now - mark.since) / 1000;
  const reason = `nothing uses it; removal in ${formatDuration(policy.graceSeconds - age)}${disabled}`;
  // A run that was killed between mark and deprecation is completed.
  const unfinished = image.deprecatedAt === undefined || disables;
  if (age < policy.graceSeconds) return decide(unfinished ? 'mark' : 'keep', reason);
  return decide('remove', `unused since it was marked ${formatDuration(age)} ago`);
}

/** Hash of what a plan changes. Approval of one plan is not approval of another. `others`: deletions other than images. */
export const planHash = (plan: readonly Decision[], others: readonly string[]): string => {
  const actions = plan
    .filter(({ action }) => action !== 'keep')
    .map(({ region, image, action, disables }) => `${action}${action === 'mark' && disables ? ' and disable' : ''} ${region} ${image.id}`);
  return shortHash([...actions, ...others].sort().join('\n'));
};
