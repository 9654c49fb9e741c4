import { builtAt, identity, type TagScheme } from '../../model/image.ts';
import type { Decision } from './rules.ts';

/**
 * Copies of one image in several regions are removed together or not at all: a region without its copy could not roll back. Ancestors, the images that kept
 * ones were built from, are kept where the policy says so.
 */

const isKept = ({ action, waits }: Decision): boolean => (action === 'keep' && !waits) || action === 'unmark';

const exclude = (decision: Decision, reason: string): Decision => ({
  ...decision,
  action: decision.marked ? 'unmark' : 'keep',
  waits: false,
  reason,
});

/** Copies share it in all regions; an image without a tag for its origin is a build of its own. */
function buildOf({ image }: Pick<Decision, 'image'>, scheme: TagScheme): string {
  const [commit, fingerprint, ...more] = (['commit', 'fingerprint', 'version', 'created-at'] as const).map(key =>
    identity(image, scheme, key),
  );
  if (commit === undefined && fingerprint === undefined) return image.id;
  return [commit, fingerprint, ...more, image.architecture].join('\n');
}

interface Build {
  readonly copies: Decision[];
  readonly regions: Set<string>;
}

function builds(decisions: readonly Decision[], scheme: TagScheme): ReadonlyMap<string, Build> {
  const all = new Map<string, Build>();
  for (const decision of decisions) {
    const name = buildOf(decision, scheme);
    const build = all.get(name) ?? { copies: [], regions: new Set() };
    build.copies.push(decision);
    build.regions.add(decision.region);
    all.set(name, build);
  }
  return all;
}

/** Keeps every image that has a kept copy in another region, and lets it wait for a copy whose grace is not over. */
export function withCopies(decisions: readonly Decision[], scheme: TagScheme): readonly Decision[] {
  const all = builds(decisions, scheme);
  return decisions.map(decision => {
    const { copies = [], regions = new Set() } = all.get(buildOf(decision, scheme)) ?? {};
    // Two builds of one commit in one region are not copies of each other.
    if (regions.size < 2 || isKept(decision)) return decision;
    const others = copies.filter(other => other !== decision);
    const kept = others.find(isKept);
    if (kept !== undefined) return exclude(decision, `its copy ${kept.image.id} in ${kept.region} is kept: ${kept.reason}`);
    const late = decision.action === 'remove' ? others.find(({ action }) => action !== 'remove') : undefined;
    if (late === undefined) return decision;
    return { ...decision, action: 'keep', waits: true, reason: `waits for its copy ${late.image.id} in ${late.region}` };
  });
}

/** Keeps what a kept image was built from, and the ancestors of that, as far as our tags record it. */
function withAncestors(decisions: readonly Decision[], scheme: TagScheme): readonly Decision[] {
  const byId = new Map(decisions.map(decision => [decision.image.id, decision]));
  const children = new Map<string, string>();
  const climb = ({ image }: Decision): void => {
    const parent = byId.get(identity(image, scheme, 'base-ami') ?? '');
    if (parent === undefined || children.has(parent.image.id)) return;
    children.set(parent.image.id, image.id);
    climb(parent);
  };
  for (const decision of decisions.filter(isKept)) climb(decision);
  return decisions.map(decision => {
    const child = children.get(decision.image.id);
    return child === undefined || isKept(decision) ? decision : exclude(decision, `${child} was built from it`);
  });
}

/** A copy that is kept has ancestors, and an ancestor has copies. */
export function withAncestorsAndCopies(decisions: readonly Decision[], scheme: TagScheme): readonly Decision[] {
  const next = withCopies(withAncestors(decisions, scheme), scheme);
  return next.every(({ action, waits }, n) => action === decisions[n]?.action && waits === decisions[n]?.waits)
    ? next
    : withAncestorsAndCopies(next, scheme);
}

/** A disabled image cannot be launched, which harms its users like a removal. */
const isTaken = ({ action, disables }: Decision): boolean => action === 'remove' || (action === 'mark' && disables === true);

/** Removes or disables the oldest builds first, each with all its copies. The rest waits for the next run. */
export function capped(decisions: readonly Decision[], scheme: TagScheme, most: number, limit: string): readonly Decision[] {
  const youngest = (copies: readonly Decision[]) => Math.max(...copies.map(({ image }) => builtAt(image, scheme) ?? 0));
  const oldestFirst = [...builds(decisions.filter(isTaken), scheme).values()]
    .map(({ copies }) => copies)
    .sort((a, b) => youngest(a) - youngest(b));
  const taken = new Set<Decision>();
  for (const copies of oldestFirst) {
    // One build is always allowed, or one with many copies would never be removed.
    if (taken.size > 0 && taken.size + copies.length > most) break;
    for (const copy of copies) taken.add(copy);
  }
  return decisions.map(decision => {
    if (!isTaken(decision) || taken.has(decision)) return decision;
    const reason = `${decision.reason}; ${limit} reached, next run`;
    // Its grace begins all the same.
    return decision.action === 'mark' ? { ...decision, reason, disables: false } : { ...decision, reason, action: 'keep', waits: true };
  });
}
