import { type Image, isOurs, type TagScheme, tagKey } from '../domain/image.ts';
import { type Verdict, verdictOf, verdictValue } from '../domain/verdict.ts';
import { waitFor } from '../kit/wait.ts';
import type { Place, Powers } from '../world.ts';

// Tags are eventually consistent, by seconds. https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html
const READ_BACK_SECONDS = 120;

/** Writes what was found on the image and its snapshots, and reads it back. An image that is not of the family is not ours to write on. */
export async function storeVerdict(
  image: Image,
  verdict: Verdict,
  whose: { readonly scheme: TagScheme; readonly family: string },
  place: Pick<Place, 'images'>,
  world: Powers<never>,
): Promise<boolean> {
  const { scheme, family } = whose;
  if (!isOurs(image, scheme, family)) {
    world.report.warn(`${image.id} is not tagged ${tagKey(scheme, 'family')}=${family}: its verdict is told here, and not stored on it.`);
    return false;
  }
  const value = verdictValue(image.id, verdict);
  await place.images.tag([image.id, ...image.snapshotIds], { [tagKey(scheme, 'verdict')]: value });
  const look = async () => {
    const seen = await place.images.get(image.id);
    if (seen === undefined) return { state: 'failed', why: 'the image is gone' } as const;
    if (seen.tags[tagKey(scheme, 'verdict')] === value) return { state: 'done', value: verdictOf(seen, scheme) } as const;
    return { state: 'waiting', note: 'it cannot be read back yet' } as const;
  };
  await waitFor({ what: `Verdict of ${image.id}`, everySeconds: 3, atMostSeconds: READ_BACK_SECONDS, look }, world);
  return true;
}
