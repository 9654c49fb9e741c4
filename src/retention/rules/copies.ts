import { identity, type TagScheme } from '../../model/image.ts';
import type { Decision } from './rules.ts';

/** The copies of one image in several regions go together or not at all: a region that lost its copy could not be rolled back. */

/** Images of one build have it in common, wherever they lie; an image that does not say where it comes from is alone. */
export function buildOf({ image }: Pick<Decision, 'image'>, scheme: TagScheme): string {
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

/** Spares whatever has a copy elsewhere that stays, and lets it wait for a copy whose grace is not over. */
export function together(decisions: readonly Decision[], scheme: TagScheme): readonly Decision[] {
  const all = builds(decisions, scheme);
  return decisions.map(decision => {
    const { copies = [], regions = new Set() } = all.get(buildOf(decision, scheme)) ?? {};
    // Two builds of one commit in one region are no copies of each other.
    if (regions.size < 2) return decision;
    const others = copies.filter(other => other !== decision);
    const kept = others.find(({ action, waits }) => (action === 'keep' && !waits) || action === 'unmark');
    const stays = (decision.action === 'keep' && !decision.waits) || decision.action === 'unmark';
    if (stays) return decision;
    if (kept !== undefined) return spared(decision, kept);
    const late = decision.action === 'remove' ? others.find(({ action }) => action !== 'remove') : undefined;
    if (late === undefined) return decision;
    return { ...decision, action: 'keep', waits: true, reason: `goes together with its copy ${late.image.id} in ${late.region}` };
  });
}

const spared = (decision: Decision, kept: Decision): Decision => ({
  ...decision,
  action: decision.marked ? 'unmark' : 'keep',
  waits: false,
  reason: `its copy ${kept.image.id} in ${kept.region} stays: ${kept.reason}`,
});

/** Nobody can launch it any more: as bad as a removal, if somebody needs it. */
const isTaken = ({ action, disables }: Decision): boolean => action === 'remove' || (action === 'mark' && disables === true);

/** The oldest builds go first, or are disabled, each with all its copies; the rest waits for the next run. */
export function capped(decisions: readonly Decision[], scheme: TagScheme, most: number, limit: string): readonly Decision[] {
  const doomed = decisions.filter(isTaken);
  const going = [...builds(doomed, scheme).values()].map(({ copies }) => copies).sort((a, b) => youngest(a) - youngest(b));
  const goes = new Set<Decision>();
  for (const copies of going) {
    // One build is always allowed, or one with many copies would stay for ever.
    if (goes.size > 0 && goes.size + copies.length > most) break;
    for (const copy of copies) goes.add(copy);
  }
  return decisions.map(decision => {
    if (!isTaken(decision) || goes.has(decision)) return decision;
    const reason = `${decision.reason}, but ${limit} is reached: next run`;
    // Its grace begins all the same.
    return decision.action === 'mark' ? { ...decision, reason, disables: false } : { ...decision, reason, action: 'keep', waits: true };
  });
}

const youngest = (copies: readonly Decision[]): number => Math.max(...copies.map(({ image }) => image.createdAt.getTime()));
