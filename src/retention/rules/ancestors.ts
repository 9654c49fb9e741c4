import { identity, type TagScheme } from '../../model/image.ts';
import type { Decision } from './rules.ts';

/** Spares what a kept image was built from, and what that was built from, as far as our tags tell. */
export function withAncestors(decisions: readonly Decision[], scheme: TagScheme): readonly Decision[] {
  const byId = new Map(decisions.map(decision => [decision.image.id, decision]));
  const spared = new Map<string, string>();
  const climb = ({ image }: Decision): void => {
    const parent = byId.get(identity(image, scheme, 'base-ami') ?? '');
    if (parent === undefined || spared.has(parent.image.id)) return;
    spared.set(parent.image.id, image.id);
    climb(parent);
  };
  for (const decision of decisions) if (!goes(decision)) climb(decision);
  return decisions.map(decision => {
    const child = spared.get(decision.image.id);
    if (child === undefined || !goes(decision)) return decision;
    return { ...decision, action: decision.marked ? 'unmark' : 'keep', waits: false, reason: `${child} was built from it` };
  });
}

const goes = ({ action, waits }: Decision): boolean => action === 'remove' || action === 'mark' || (action === 'keep' && waits);
