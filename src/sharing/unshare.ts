import { copiesOf } from '../model/copies.ts';
import { type Image, tagKey } from '../model/image.ts';
import { isAccountId } from '../model/patterns.ts';
import type { Deps } from '../ports/deps.ts';
import { attempt } from './attempt.ts';
import { type Line, type Origin, unlisted } from './rules/plan.ts';
import type { Sharing } from './rules/refusals.ts';

/** With `unshare`: accounts that may launch the image and are on no list. Their own copies are reported with the command, and not changed. */
export async function planUnshare(
  home: Image,
  origins: ReadonlyMap<string, Origin>,
  sharing: Sharing,
  deps: Deps<'images'>,
): Promise<readonly Line[]> {
  const { options } = sharing;
  if (!options.unshare) return [];
  const gone = [...origins.values()].flatMap(origin => unlisted(options, origin).map(who => ({ who, origin })));
  const copies = new Map(
    await Promise.all(
      [...new Set(gone.map(({ who }) => who))].map(async who => [who, await formatCopies(who, home, sharing, deps)] as const),
    ),
  );
  return gone.map(({ who, origin }) => ({
    target: { kind: 'launch', who, region: origin.region, role: undefined },
    actions: ['withdraw'],
    reason: 'on no list',
    there: origin.image,
    dead: [],
    warning: copies.get(who),
  }));
}

/** Undefined where it has none. */
async function formatCopies(who: string, home: Image, { options, scheme }: Sharing, deps: Deps<'images'>): Promise<string | undefined> {
  if (who === 'all') return undefined;
  const unknown = `Copies that ${isAccountId(who) ? `account ${who}` : who} made of ${home.id} remain and were not listed`;
  const role = isAccountId(who) ? options.roleOf(who) : undefined;
  if (role === undefined) return `${unknown}: set "target-role" to list them.`;
  const tags = { [tagKey(scheme, 'copied-from')]: home.id };
  const { value, failure } = await attempt(() =>
    Promise.all(
      options.regions.map(async region => {
        const found = await deps.inRegion({ region, role }).images.find({ tags, includeDisabled: true });
        const { alive, dead } = copiesOf(home, found, scheme);
        return [...(alive === undefined ? [] : [alive]), ...dead].map(({ id }) => ({ id, region }));
      }),
    ),
  );
  if (value === undefined) return `${unknown}: ${failure?.message}`;
  const copies = value.flat();
  if (copies.length === 0) return undefined;
  const commands = copies.map(
    ({ id, region }) => `aws ec2 deregister-image --region ${region} --image-id ${id} --delete-associated-snapshots`,
  );
  return `Account ${who} keeps its own ${copies.length === 1 ? 'copy' : 'copies'}: ${copies.map(({ id, region }) => `${id} in ${region}`).join(', ')}. To remove, run in account ${who}: ${commands.join('; ')}`;
}
