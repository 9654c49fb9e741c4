import { ActionError, CancelledError } from '../kit/errors.ts';
import { type Poll, waitFor } from '../kit/wait.ts';
import { type Image, isOurs, type TagScheme } from '../model/image.ts';
import type { Deps, RegionClients } from '../ports/deps.ts';
import type { Instance } from '../ports/instances.ts';
import { planOne, removeOne } from '../retention/one-image.ts';
import type { FAILED_IMAGE_ACTIONS } from './settings.ts';

/** What is done with an image that failed validation: setting "on-failure". */

type FailedImageOptions = Omit<Parameters<typeof planOne>[1], 'rollbackDepth'> & {
  readonly onFailure: (typeof FAILED_IMAGE_ACTIONS)[number];
};

type FailedImageClients = Pick<RegionClients, 'account' | 'images' | 'instances' | 'imageUsers' | 'removal'>;

/** Returns what was done, as a sentence. A failure of AWS is part of the sentence: the verdict counts more. The guards of mode delete apply. */
export async function handleFailedImage(
  image: Image,
  testInstanceIds: readonly string[],
  options: FailedImageOptions,
  scheme: TagScheme,
  aws: FailedImageClients,
  deps: Deps<never>,
): Promise<string | undefined> {
  const { onFailure, family } = options;
  if (onFailure === 'keep') return undefined;
  if (!isOurs(image, scheme, family)) return `The image is kept: it is not in family ${family}.`;
  try {
    return onFailure === 'deprecate' ? await deprecate(image, aws, deps) : await remove(image, testInstanceIds, options, scheme, aws, deps);
  } catch (failure) {
    if (!(failure instanceof ActionError) || failure instanceof CancelledError) throw failure;
    return `The image could not be ${onFailure === 'delete' ? 'deleted' : 'deprecated'}: ${failure.message}`;
  }
}

// AWS takes no time in the past, and rounds to the minute. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_EnableImageDeprecation.html
const SOON_SECONDS = 90;

async function deprecate({ id }: Image, { removal }: FailedImageClients, { clock }: Deps<never>): Promise<string> {
  await removal.deprecate(id, new Date(clock.now() + SOON_SECONDS * 1000));
  return 'The image is deprecated.';
}

/** As many as an environment may be rolled back to. */
const ROLLBACK_DEPTH = 3;

const TERMINATION_SECONDS = 600;

async function remove(
  image: Image,
  testInstanceIds: readonly string[],
  options: FailedImageOptions,
  scheme: TagScheme,
  aws: FailedImageClients,
  deps: Deps<never>,
): Promise<string> {
  // Test instances use the image until they are terminated.
  for (const id of testInstanceIds) {
    const poll = async () => evaluateTermination(await aws.instances.get(id));
    await waitFor({ what: `Test instance ${id}`, everySeconds: 10, atMostSeconds: TERMINATION_SECONDS, poll }, deps);
  }
  const plan = await planOne(image, { ...options, rollbackDepth: ROLLBACK_DEPTH }, scheme, aws, deps);
  if (plan.decision.action !== 'remove') return `The image is kept: ${plan.decision.reason}.`;
  const removed = await removeOne(plan, false, aws, deps);
  if (removed.result === 'kept') return `The image is kept: ${removed.reason}.`;
  const cancelled = removed.remaining.find(({ failure }) => failure instanceof CancelledError)?.failure;
  if (cancelled !== undefined) throw cancelled;
  const remaining = removed.remaining.map(({ what }) => what);
  return remaining.length > 0
    ? `The image was deleted in part. Remaining: ${remaining.join(', ')}.`
    : 'The image and its snapshots are deleted.';
}

const evaluateTermination = (instance: Instance | undefined): Poll<undefined> =>
  instance === undefined || instance.state === 'terminated'
    ? { state: 'done', value: undefined }
    : { state: 'waiting', note: `${instance.state}, the image can be deleted afterwards` };
