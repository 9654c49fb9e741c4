import { ActionError } from '../kit/errors.ts';
import { formatCount } from '../kit/format.ts';
import { code } from '../kit/markdown.ts';
import type { Image } from '../model/image.ts';
import type { RegionClients, Reporter } from '../ports/deps.ts';
import type { Recycled } from '../ports/images.ts';

/** What a Recycle Bin rule retains of what was removed. The rules are read through another service; EC2 lists what they hold. */

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
    report.warn(`Whether the Recycle Bin holds removed images is unknown: ${failure.message}`);
    return [];
  }
}

/** Until when the bin holds them, and the commands that restore one. An image can be restored only after its snapshots. */
export function formatHeld(held: readonly Held[]): string | undefined {
  if (held.length === 0) return undefined;
  const ofKind = (kind: Held['kind']) => held.filter(one => one.kind === kind);
  const count = (kind: Held['kind']) => formatCount(ofKind(kind).length, kind);
  const last = held
    .flatMap(({ until }) => until?.toISOString().slice(0, 10) ?? [])
    .sort()
    .at(-1);
  const commands = (['snapshot', 'image'] as const).flatMap(kind =>
    ofKind(kind)
      .slice(0, 1)
      .map(({ id }) => code(`aws ec2 restore-${kind}-from-recycle-bin --${kind}-id ${id}`)),
  );
  const restore =
    ofKind('snapshot').length > 0
      ? `Snapshots in it are charged as before. To restore one: ${commands.join(', then ')}.`
      : 'They cannot be restored, because no retention rule kept their snapshots.';
  return `♻️ The Recycle Bin holds ${count('image')} and ${count('snapshot')} of them${last === undefined ? '' : ` until ${last}`}. ${restore}`;
}
