import { imageSequence, parseDescription } from '../../model/pointer.ts';

/** Where a rollback leads, read from the pointer, its history, and what an earlier run announced. */

export interface PointerFacts {
  readonly current: { readonly value: string } | undefined;
  readonly history: readonly { readonly value: string; readonly version: number; readonly description: string }[];
  readonly candidate: { readonly value: string; readonly description: string } | undefined;
}

export type WayBack =
  | { readonly to: string; readonly replaces: string; readonly reason: string }
  | { readonly to: undefined; readonly reason: string };

/**
 * The image before the current one; twice in a row one further back. But a rollback that was lost half way is finished first: without
 * that, running it again would go back twice. And while a promotion is under way, back means: where it started.
 */
export function findWayBack({ current, history, candidate }: PointerFacts, environment: string): WayBack {
  if (current === undefined) return { to: undefined, reason: `${environment} has no pointer, so it never ran an image of this family` };
  const parsed = candidate === undefined ? undefined : parseDescription(candidate.description);
  if (candidate !== undefined && parsed?.operation === 'rollback' && parsed.was !== undefined) {
    if (current.value === parsed.was || current.value === candidate.value) {
      return { to: candidate.value, replaces: parsed.was, reason: `an earlier rollback from ${parsed.was} did not come to its end` };
    }
  }
  if (candidate !== undefined && parsed?.operation === 'promote' && parsed.was === current.value && candidate.value !== current.value) {
    return { to: current.value, replaces: candidate.value, reason: `the promotion of ${candidate.value} did not come to its end` };
  }
  const turns = imageSequence(history);
  const previous = turns.at(-2);
  if (previous === undefined) return { to: undefined, reason: `${environment} runs ${current.value}, and ran nothing before it` };
  return { to: previous, replaces: current.value, reason: `what ${environment} ran before ${current.value}` };
}
