import { ActionError, RejectedError } from '../kit/errors.ts';
import { type Poll, waitFor } from '../kit/wait.ts';
import { regionsOf } from '../model/common-settings.ts';
import { copiesOf } from '../model/copies.ts';
import { type Image, isOurs, type TagScheme, tagKey } from '../model/image.ts';
import { type Verdict, verdictOf } from '../model/verdict.ts';
import type { Deps, RegionClients } from '../ports/deps.ts';
import { signedVerdict } from '../selection/verdict-key.ts';

// Tags are eventually consistent, by seconds. https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html
const READ_BACK_SECONDS = 120;

type VerdictClients = Pick<RegionClients, 'account' | 'images'>;

/** Writes the verdict on the image and its snapshots and reads it back. Returns the error where that fails. An image of another family is not written to. */
export async function storeVerdict(
  image: Image,
  verdict: Verdict,
  { scheme, family, verdictKey }: { readonly scheme: TagScheme; readonly family: string; readonly verdictKey?: string | undefined },
  aws: VerdictClients,
  deps: Deps<'macs'>,
): Promise<ActionError | undefined> {
  if (!isOurs(image, scheme, family)) {
    deps.report.warn(`${image.id} is not tagged ${tagKey(scheme, 'family')}=${family}: its verdict is reported here and not stored.`);
    return undefined;
  }
  try {
    const value = await signedVerdict(image, verdict, scheme, verdictKey, deps);
    await write(image, { ...verdict, value }, scheme, aws, deps);
    return undefined;
  } catch (failure) {
    if (failure instanceof ActionError) return failure;
    throw failure;
  }
}

interface CopyOptions {
  readonly scheme: TagScheme;
  readonly family: string;
  readonly region: string;
  readonly regions: readonly string[];
  readonly verdictKey?: string | undefined;
}

/**
 * Writes the verdict on the copies that we made in further regions, sealed to their IDs. Returns the first error. An unfinished copy is left out:
 * it gets the verdict from `share`. So is a copy with a verdict that is as new.
 */
export async function storeOnCopies(image: Image, verdict: Verdict, options: CopyOptions, deps: Deps<'account' | 'images' | 'macs'>) {
  const { scheme, family, region: home } = options;
  const [, ...further] = regionsOf({ ...options, region: home });
  const failures = await Promise.all(
    further.map(async region => {
      const aws = deps.inRegion({ region });
      const [named, copied] = await Promise.all([
        aws.images.find({ names: [image.name] }),
        aws.images.find({ tags: { [tagKey(scheme, 'copied-from')]: image.id } }),
      ]);
      const { alive } = copiesOf(image, [...copied, ...named], scheme);
      if (alive === undefined || !isOurs(alive, scheme, family)) return undefined;
      const held = verdictOf(alive, scheme).verdict;
      if (held !== undefined && held.at.getTime() >= Math.floor(verdict.at.getTime() / 1000) * 1000) return undefined;
      deps.report.info(`${alive.id} in ${region} is a copy of ${image.id}: it gets the same verdict.`);
      const inherited = { ...verdict, mac: undefined, source: verdict.source ?? image.id };
      return storeVerdict(alive, inherited, options, aws, deps);
    }),
  );
  return failures.find(failure => failure !== undefined);
}

/** Of two validations at the same time a failed one counts: it is not overwritten by one that passed other checks, and overwrites it. */
async function write(
  image: Image,
  { result, value }: Verdict & { readonly value: string },
  scheme: TagScheme,
  aws: VerdictClients,
  deps: Deps<never>,
): Promise<void> {
  const key = tagKey(scheme, 'verdict');
  // The snapshots of a shared image belong to its owner.
  const snapshots = image.ownerId === (await aws.account.id()) ? image.snapshotIds : [];
  const store = () => aws.images.tag([image.id, ...snapshots], { [key]: value });
  let stored = false;
  const poll = async (): Promise<Poll<void>> => {
    const seen = await aws.images.get(image.id);
    if (seen === undefined) return { state: 'failed', reason: 'the image does not exist any more' };
    if (seen.tags[key] === value) return { state: 'done', value: undefined };
    const other = seen.tags[key] === image.tags[key] ? undefined : verdictOf(seen, scheme);
    if (other?.result === 'failed' && result === 'passed')
      throw new RejectedError(`another validation stored a failed verdict during this one (${other.reason}), which counts more`);
    if (!stored || other !== undefined) await store();
    stored = true;
    return { state: 'waiting', note: 'not visible yet' };
  };
  await waitFor({ what: `Verdict of ${image.id}`, everySeconds: 3, atMostSeconds: READ_BACK_SECONDS, poll }, deps);
}
