import { RejectedError, TimeoutError, UsageError } from '../kit/errors.ts';
import { type Poll, waitFor } from '../kit/wait.ts';
import { copiesOf } from '../model/copies.ts';
import { missingTags } from '../model/identity.ts';
import { type Image, type Tags, tagKey, unavailableReason } from '../model/image.ts';
import { shortHash, verdictOf } from '../model/verdict.ts';
import { signedVerdict } from '../selection/verdict-key.ts';
import type { PlannedLine, ShareClients, ShareDeps, SharePlan } from './facts.ts';
import { earlyTags, type Signing, UNSIGNED, unfinishedKeys, wantedTags } from './rules/identity.ts';
import type { Target } from './rules/plan.ts';

/** One copy: started or found, awaited, tagged. */

// Tags and permissions are eventually consistent, by seconds. https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html
const SETTLING = { everySeconds: 3, atMostSeconds: 120 };

export async function ensureCopy(line: PlannedLine, plan: SharePlan, timeoutSeconds: number, deps: ShareDeps): Promise<Image> {
  const { target } = line;
  const aws = deps.inRegion(target);
  const id = line.there?.id ?? (await startCopy(line, plan, aws, deps));
  const what = `${id} in ${formatTarget(target)}`;
  const poll = async () => evaluateCopy(await aws.images.get(id));
  const next = `The copy continues. Re-run the job: it finds ${id} and continues from there.`;
  return waitFor({ what, everySeconds: 15, atMostSeconds: timeoutSeconds, poll, next }, deps);
}

function evaluateCopy(image: Image | undefined): Poll<Image> {
  if (image === undefined) return { state: 'waiting', note: 'not visible yet' };
  const dead = unavailableReason(image);
  // KMS is asked only while the copy is made. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CopyImage.html
  if (dead !== undefined) {
    return {
      state: 'failed',
      reason: `AWS accepted the copy, which then became ${dead}. Check the key (kms-key) and re-run the job: it makes the copy again`,
    };
  }
  return image.state === 'available' ? { state: 'done', value: image } : { state: 'waiting', note: `copy is ${image.state}` };
}

export async function startCopy(line: PlannedLine, { home, sharing }: SharePlan, aws: ShareClients, deps: ShareDeps): Promise<string> {
  const { target, dead } = line;
  for (const { id } of dead) {
    deps.report.info(`Removing the failed copy ${id} in ${formatTarget(target)}: it holds the name.`);
    await aws.removal.deregister(id, { keepSnapshots: false });
  }
  const kmsKey = sharing.kmsKey[target.region]?.replaceAll('{account}', target.who);
  const region = sharing.options.regions[0] ?? '';
  const { run } = deps;
  // The same for every repetition of this request by the SDK; another run finds the copy by its tags.
  const token = shortHash(
    ['copy', run.id, run.attempt, run.job, target.who, target.region, home.id, kmsKey ?? '', ...dead.map(({ id }) => id)].join('\n'),
  );
  const order = { from: { region, imageId: home.id }, name: home.name, description: `Copy of ${home.id} from ${region}`, kmsKey, token };
  // A copy in another account may start before that account sees the shared image.
  const poll = async (): Promise<Poll<string | undefined>> => {
    const copied = await aws.sharing.copy({ ...order, tags: earlyTags(home, sharing.scheme, deps.clock.now()) });
    if (copied === 'source not visible') return { state: 'waiting', note: 'not visible there yet' };
    return { state: 'done', value: copied === 'name exists' ? undefined : copied.imageId };
  };
  const id = await waitFor({ what: `${home.id} in account ${target.who}, ${region}`, ...SETTLING, poll }, deps).catch(hidden(home, target));
  if (id !== undefined) return id;
  const known = await aws.images.find({ names: [home.name], includeDisabled: true });
  // A killed run may have started it a moment before EC2 listed it.
  const { alive } = copiesOf(home, known, sharing.scheme);
  if (alive !== undefined) return alive.id;
  throw new UsageError([
    `${known.map(image => image.id).join(', ')} in ${formatTarget(target)} already has the name "${home.name}" and is no copy of ${home.id}. Remove it, or set another "name" and build again`,
  ]);
}

/** Writes the tags of identity and verdict, and reads them back. From then on the image belongs to the family there. */
export async function writeIdentity(image: Image, target: Target, { home, sharing }: SharePlan, deps: ShareDeps): Promise<void> {
  const aws = deps.inRegion(target);
  const wanted = wantedTags(home, image, sharing);
  if (wanted.tags === undefined) throw new RejectedError(wanted.refusal);
  const tags = await signed(wanted.tags, image, sharing, deps);
  const outdated = unfinishedKeys(sharing.scheme).filter(key => key in image.tags);
  // The snapshots of a shared image stay its owner's.
  const resources = target.kind === 'launch' ? [image.id] : [image.id, ...image.snapshotIds];
  const isComplete = missingTags(tags, image.tags).length === 0;
  if (!isComplete) await aws.images.tag(resources, tags);
  if (outdated.length > 0) await aws.images.untag(resources, outdated);
  if (isComplete) return;
  const poll = async (): Promise<Poll<void>> => {
    const missing = missingTags(tags, (await aws.images.get(image.id))?.tags ?? {});
    return missing.length === 0 ? { state: 'done', value: undefined } : { state: 'waiting', note: `${missing.join(', ')} not visible yet` };
  };
  await waitFor({ what: `Tags of ${image.id} in ${formatTarget(target)}`, ...SETTLING, poll }, deps);
}

/** Waits until the account sees the image that was just shared with it. */
export async function waitVisible(id: string, target: Target, { home }: SharePlan, deps: ShareDeps): Promise<Image> {
  const { images } = deps.inRegion(target);
  const poll = async (): Promise<Poll<Image>> => {
    const image = await images.get(id);
    return image === undefined ? { state: 'waiting', note: 'not visible there yet' } : { state: 'done', value: image };
  };
  return waitFor({ what: `${id} in ${formatTarget(target)}`, ...SETTLING, poll }, deps).catch(hidden(home, target));
}

async function signed(tags: Tags, { id }: Image, { scheme, verdictKey }: Signing, deps: ShareDeps): Promise<Tags> {
  const key = tagKey(scheme, 'verdict');
  const value = tags[key];
  if (value?.endsWith(UNSIGNED) !== true) return tags;
  const { verdict } = verdictOf({ id, tags: { [key]: value.slice(0, -UNSIGNED.length) } }, scheme);
  return verdict === undefined ? tags : { ...tags, [key]: await signedVerdict({ id, tags }, verdict, scheme, verdictKey, deps) };
}

const hidden =
  ({ id, ownerId }: Image, target: Target) =>
  (cause: unknown): never => {
    if (!(cause instanceof TimeoutError)) throw cause;
    throw new RejectedError(
      `${id} is shared but not visible in ${formatTarget(target)}. Check that Allowed AMIs there list account ${ownerId}.`,
      {
        cause,
      },
    );
  };

const formatTarget = ({ who, region }: Target): string => `account ${who}, ${region}`;
