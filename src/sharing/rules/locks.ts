import type { ImageKey } from '../../model/image-key.ts';
import { isAccountId } from '../../model/patterns.ts';
import { keyUse, organizationDoubt } from './key.ts';
import type { Target } from './plan.ts';

/** Who would get an image and could not open it. */

export function lockedOut({ kind, who }: Target, keys: readonly ImageKey[]): string | undefined {
  if (kind === 'region' || !isAccountId(who)) return undefined;
  for (const key of keys) {
    const use = keyUse(key, who);
    if (use.use === 'no') return use.reason;
  }
  return undefined;
}

/** What may go wrong at the first launch, and what could not be checked. */
export function doubtsOf(targets: readonly Target[], keys: readonly ImageKey[]): readonly string[] {
  const launching = new Set(targets.filter(({ kind }) => kind === 'launch').map(({ who }) => who));
  const warnings = keys.flatMap(key => [...launching].map(who => doubtOf(key, who)));
  return [...new Set(warnings.filter(warning => warning !== undefined))];
}

function doubtOf(key: ImageKey, who: string): string | undefined {
  if (!isAccountId(who)) return organizationDoubt(key, who);
  const use = keyUse(key, who);
  if (use.use === 'unknown') return `Whether account ${who} may use the key was not checked: ${use.reason}.`;
  return use.use === 'yes' ? use.warning : undefined;
}
