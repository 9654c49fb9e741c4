import { ActionError } from '../kit/errors.ts';
import { code } from '../kit/markdown.ts';
import type { Image } from '../model/image.ts';
import type { RegionClients, Reporter } from '../ports/deps.ts';
import type { Recycled } from '../ports/images.ts';

/** What a retention rule kept of what was removed. Which rules there are, another service knows; what they hold, EC2 tells afterwards. */

export interface Held extends Recycled {
  readonly kind: 'image' | 'snapshot';
}

export async function heldOf(
  images: readonly Pick<Image, 'id' | 'snapshotIds'>[],
  snapshotIds: readonly string[],
  { removal }: Pick<RegionClients, 'removal'>,
  report: Reporter,
): Promise<readonly Held[]> {
  const removed = new Set([...images.flatMap(({ id, snapshotIds: of }) => [id, ...of]), ...snapshotIds]);
  if (removed.size === 0) return [];
  try {
    const kinds = (['image', 'snapshot'] as const).map(async kind => (await removal.recycled(kind)).map(held => ({ ...held, kind })));
    return (await Promise.all(kinds)).flat().filter(({ id }) => removed.has(id));
  } catch (failure) {
    if (!(failure instanceof ActionError)) throw failure;
    report.warn(`Whether the Recycle Bin holds what was removed is unknown: ${failure.message}`);
    return [];
  }
}

/** Until when it costs, and how to have it back: an image needs its snapshots first. */
export function sayHeld(held: readonly Held[]): string | undefined {
  if (held.length === 0) return undefined;
  const of = (kind: Held['kind']) => held.filter(one => one.kind === kind);
  const count = (kind: Held['kind']) => (of(kind).length === 1 ? `1 ${kind}` : `${of(kind).length} ${kind}s`);
  const last = held
    .flatMap(({ until }) => until?.toISOString().slice(0, 10) ?? [])
    .sort()
    .at(-1);
  const commands = (['snapshot', 'image'] as const).flatMap(kind =>
    of(kind)
      .slice(0, 1)
      .map(({ id }) => code(`aws ec2 restore-${kind}-from-recycle-bin --${kind}-id ${id}`)),
  );
  return (
    `♻️ The Recycle Bin holds ${count('image')} and ${count('snapshot')} of them${last === undefined ? '' : ` until ${last}`}: ` +
    `snapshots in it are paid for as before. To have one back: ${commands.join(', then ')}.`
  );
}
