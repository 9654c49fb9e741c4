import { UsageError } from '../../kit/errors.ts';
import type { Architecture } from '../../model/image.ts';

interface Named {
  readonly groups?: readonly string[] | undefined;
  readonly architecture?: Architecture | undefined;
}

/** The inputs with `{architecture}` in group names replaced. Throws UsageError where a name has it and no architecture is set. */
export function withGroupNames<I extends Named>(inputs: I): I {
  const { groups, architecture } = inputs;
  if (groups === undefined || !groups.some(name => name.includes(PLACEHOLDER))) return inputs;
  if (architecture === undefined) throw new UsageError([`"groups" has ${PLACEHOLDER} in a name: set "architecture"`]);
  return { ...inputs, groups: groups.map(name => name.replaceAll(PLACEHOLDER, architecture)) };
}

const PLACEHOLDER = '{architecture}';
