import { ActionError } from '../kit/errors.ts';
import { waitFor } from '../kit/wait.ts';
import { type Image, isOurs, type TagScheme, tagKey } from '../model/image.ts';
import { type JudgedChecks, mayPass, type Verdict, verdictOf, verdictValue } from '../model/verdict.ts';
import type { Deps, RegionClients } from '../ports/deps.ts';

// Tags are eventually consistent, by seconds. https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html
const READ_BACK_SECONDS = 120;

interface Owner {
  readonly scheme: TagScheme;
  readonly family: string;
}

type VerdictClients = Pick<RegionClients, 'account' | 'images'>;

/** Why an image need not be tried again: it has passed exactly what is asked. Undefined: it must be. */
export function passedAlready(image: Image, checks: string, scheme: TagScheme): string | undefined {
  const { ok, reason } = mayPass(image, scheme, checks);
  return ok ? reason : undefined;
}

/** What its tags said before this validation. */
export const earlierVerdict = (image: Image, scheme: TagScheme): JudgedChecks => verdictOf(image, scheme);

/**
 * Writes what was found on the image and its snapshots, and reads it back. Returns why that could not be done: what was found is to be told all the same.
 * An image that is not of the family is not ours to write on.
 */
export async function storeVerdict(
  image: Image,
  verdict: Verdict,
  { scheme, family }: Owner,
  aws: VerdictClients,
  deps: Deps<never>,
): Promise<ActionError | undefined> {
  if (!isOurs(image, scheme, family)) {
    deps.report.warn(`${image.id} is not tagged ${tagKey(scheme, 'family')}=${family}: its verdict is told here, and not stored on it.`);
    return undefined;
  }
  try {
    await write(image, verdictValue(image.id, verdict), tagKey(scheme, 'verdict'), aws, deps);
    return undefined;
  } catch (failure) {
    if (failure instanceof ActionError) return failure;
    throw failure;
  }
}

async function write(image: Image, value: string, key: string, aws: VerdictClients, deps: Deps<never>): Promise<void> {
  // Of an image that is shared with us we may tag the image, for our own eyes, and not the snapshots.
  const snapshots = image.ownerId === (await aws.account.id()) ? image.snapshotIds : [];
  await aws.images.tag([image.id, ...snapshots], { [key]: value });
  const poll = async () => {
    const seen = await aws.images.get(image.id);
    if (seen === undefined) return { state: 'failed', reason: 'the image is gone' } as const;
    if (seen.tags[key] === value) return { state: 'done', value: undefined } as const;
    return { state: 'waiting', note: 'it cannot be read back yet' } as const;
  };
  await waitFor({ what: `Verdict of ${image.id}`, everySeconds: 3, atMostSeconds: READ_BACK_SECONDS, poll }, deps);
}
