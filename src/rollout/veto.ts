import { isOurs, type TagScheme, tagKey } from '../model/image.ts';
import { isVetoed, liftedTags, vetoTags } from '../model/veto.ts';
import type { RegionClients, Reporter } from '../ports/deps.ts';

export interface VetoOf {
  readonly imageId: string | undefined;
  readonly scheme: TagScheme;
  readonly family: string;
  readonly environment: string;
}

type Ports = Pick<RegionClients, 'images'>;

/** The next promotion of this image to this environment is refused. An image that is gone needs no veto. */
export async function veto(
  { imageId, scheme, family, environment }: VetoOf,
  { warn }: Pick<Reporter, 'warn'>,
  { images }: Ports,
): Promise<void> {
  const image = imageId === undefined ? undefined : await images.get(imageId);
  if (image === undefined) return;
  if (isOurs(image, scheme, family)) await images.tag([image.id], vetoTags(image, scheme, environment));
  else warn(`${image.id} carries no family tag, so it is not ours to veto: a promotion could bring it back.`);
}

export async function liftVeto({ imageId, scheme, environment }: VetoOf, { images }: Ports): Promise<void> {
  const image = imageId === undefined ? undefined : await images.get(imageId);
  if (image === undefined || !isVetoed(image, scheme, environment)) return;
  const left = liftedTags(image, scheme, environment);
  if (left === undefined) await images.untag([image.id], [tagKey(scheme, 'vetoed-in')]);
  else await images.tag([image.id], left);
}
