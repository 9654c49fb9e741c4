import { ActionError, CancelledError } from '../kit/errors.ts';
import { type Poll, waitFor } from '../kit/wait.ts';
import { type Image, isOurs, type TagScheme } from '../model/image.ts';
import type { Deps, RegionClients } from '../ports/deps.ts';
import type { Instance } from '../ports/instances.ts';
import { planOne, removeOne } from '../retention/one-image.ts';

/** What becomes of an image that failed validation. */

export const FAILED_IMAGE_ACTIONS = ['keep', 'deprecate', 'delete'] as const;

interface Wish {
  readonly onFailure: (typeof FAILED_IMAGE_ACTIONS)[number];
  readonly family: string;
  readonly pointer: string;
  readonly pointers: readonly string[];
  readonly region: string;
  readonly ignoreParameters?: readonly string[] | undefined;
}

type FailedImageClients = Pick<RegionClients, 'account' | 'images' | 'instances' | 'imageUsers' | 'removal'>;

/**
 * A sentence about what became of it. Never rejects for a reason of AWS: the image has failed, and that is what must be told. What would forbid a removal by
 * hand forbids this one.
 */
export async function handleFailedImage(
  image: Image,
  triedOn: readonly string[],
  wish: Wish,
  scheme: TagScheme,
  aws: FailedImageClients,
  deps: Deps<never>,
): Promise<string | undefined> {
  if (wish.onFailure === 'keep') return undefined;
  if (!isOurs(image, scheme, wish.family)) return `It stays: it is not one of the family ${wish.family}.`;
  try {
    return wish.onFailure === 'deprecate' ? await deprecate(image, aws, deps) : await remove(image, triedOn, wish, scheme, aws, deps);
  } catch (failure) {
    if (!(failure instanceof ActionError) || failure instanceof CancelledError) throw failure;
    return `It could not be ${wish.onFailure === 'delete' ? 'deleted' : 'deprecated'}: ${failure.message}`;
  }
}

// AWS takes no time in the past, and rounds to the minute. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_EnableImageDeprecation.html
const SOON_SECONDS = 90;

async function deprecate({ id }: Image, { removal }: FailedImageClients, { clock }: Deps<never>): Promise<string> {
  await removal.deprecate(id, new Date(clock.now() + SOON_SECONDS * 1000));
  return 'It is deprecated.';
}

/** As many as an environment may be rolled back to. */
const ROLLBACK_DEPTH = 3;

const ENDED_SECONDS = 600;

async function remove(
  image: Image,
  triedOn: readonly string[],
  wish: Wish,
  scheme: TagScheme,
  aws: FailedImageClients,
  deps: Deps<never>,
): Promise<string> {
  // Our own machines use the image until they are gone.
  for (const id of triedOn) {
    const poll = async () => evaluateTermination(await aws.instances.get(id));
    await waitFor({ what: `Test machine ${id}`, everySeconds: 10, atMostSeconds: ENDED_SECONDS, poll }, deps);
  }
  const judged = await planOne(image, { ...wish, rollbackDepth: ROLLBACK_DEPTH }, scheme, aws, deps);
  if (judged.decision.action !== 'remove') return `It stays: ${judged.decision.reason}.`;
  const end = await removeOne(judged, false, aws, deps);
  if (end.result === 'kept') return `It stays: ${end.reason}.`;
  const stopped = end.remaining.find(({ failure }) => failure instanceof CancelledError)?.failure;
  if (stopped !== undefined) throw stopped;
  const leftovers = end.remaining.map(({ what }) => what);
  return leftovers.length > 0 ? `It was to be deleted; left are: ${leftovers.join(', ')}.` : 'It and its snapshots are deleted.';
}

const evaluateTermination = (instance: Instance | undefined): Poll<undefined> =>
  instance === undefined || instance.state === 'terminated'
    ? { state: 'done', value: undefined }
    : { state: 'waiting', note: `${instance.state}; the image can go when it is terminated` };
