import { ActionError } from '../kit/errors.ts';
import { waitFor } from '../kit/wait.ts';
import { type Image, isOurs, type TagScheme, tagKey } from '../model/image.ts';
import { type Verdict, verdictValue } from '../model/verdict.ts';
import type { Deps, RegionClients } from '../ports/deps.ts';

// Tags are eventually consistent, by seconds. https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html
const READ_BACK_SECONDS = 120;

type VerdictClients = Pick<RegionClients, 'account' | 'images'>;

/** Writes the verdict on the image and its snapshots and reads it back. Returns the error where that fails. An image of another family is not written to. */
export async function storeVerdict(
  image: Image,
  verdict: Verdict,
  { scheme, family }: { readonly scheme: TagScheme; readonly family: string },
  aws: VerdictClients,
  deps: Deps<never>,
): Promise<ActionError | undefined> {
  if (!isOurs(image, scheme, family)) {
    deps.report.warn(`${image.id} is not tagged ${tagKey(scheme, 'family')}=${family}: its verdict is reported here and not stored.`);
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
  // The snapshots of a shared image belong to its owner.
  const snapshots = image.ownerId === (await aws.account.id()) ? image.snapshotIds : [];
  await aws.images.tag([image.id, ...snapshots], { [key]: value });
  const poll = async () => {
    const seen = await aws.images.get(image.id);
    if (seen === undefined) return { state: 'failed', reason: 'the image does not exist any more' } as const;
    if (seen.tags[key] === value) return { state: 'done', value: undefined } as const;
    return { state: 'waiting', note: 'not visible yet' } as const;
  };
  await waitFor({ what: `Verdict of ${image.id}`, everySeconds: 3, atMostSeconds: READ_BACK_SECONDS, poll }, deps);
}
