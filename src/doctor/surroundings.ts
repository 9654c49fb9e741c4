import { AccessError } from '../kit/errors.ts';
import { type Image, newestFirst, tagKey } from '../model/image.ts';
import { evaluateAllowedImages } from '../model/image-access.ts';
import type { Deps } from '../ports/deps.ts';
import type { Finding } from './rules/findings.ts';
import { runnerFindings } from './rules/runner.ts';
import { trustFinding } from './rules/trust.ts';

/** What is around a run: the token of the job, the keys and the Allowed AMIs of the account, and the runner. */

type SurroundingDeps = Deps<'account' | 'permissions' | 'sharing' | 'images', 'machine'>;

interface Around {
  readonly region: string;
  readonly roleToAssume: string | undefined;
  readonly tagPrefix: string;
  readonly commitTag: string;
}

/** The claims of the token, never the token. Without a token, or without a role to compare with, there is no finding. */
export async function tokenFindings(
  { region, roleToAssume: role }: Around,
  canRead: boolean,
  deps: SurroundingDeps,
): Promise<readonly Finding[]> {
  if (role === undefined) return [];
  const { permissions } = deps.inRegion({ region });
  const claims = await permissions.claims();
  if (claims === undefined) return [];
  return [trustFinding(role, claims, canRead ? await permissions.trustPolicy(role) : undefined)];
}

/** Of the newest image of the family, which the groups launch next. */
export async function imageFindings(family: string, around: Around, deps: SurroundingDeps): Promise<readonly Finding[]> {
  const newest = await newestImage(family, around, deps);
  return [await keyFinding(newest, around, deps), await allowedFinding(newest, around, deps)];
}

export const NO_IMAGE = 'the family has no image here yet';

export async function newestImage(family: string, around: Around, deps: Pick<SurroundingDeps, 'inRegion'>): Promise<Image | undefined> {
  const scheme = { prefix: around.tagPrefix, commitKey: around.commitTag };
  const found = await deps.inRegion({ region: around.region }).images.find({ tags: { [tagKey(scheme, 'family')]: family }, shared: true });
  return found.toSorted(newestFirst(scheme))[0];
}

async function keyFinding(image: Image | undefined, around: Around, deps: SurroundingDeps): Promise<Finding> {
  const area = 'KMS';
  if (image === undefined) return { area, status: 'skipped', says: NO_IMAGE };
  const { sharing } = deps.inRegion(around);
  try {
    const keys = await Promise.all((await sharing.keysOf(image.snapshotIds)).map(arn => sharing.key(arn)));
    const unusable = keys.filter(({ usable }) => !usable).map(({ arn }) => arn);
    if (unusable.length > 0) {
      const says = `${image.id} is encrypted with ${unusable.join(', ')}, which is not enabled: no instance can launch it`;
      return { area, status: 'problem', says, fix: 'Enable the key, or build with another one.', cause: new AccessError(says) };
    }
    return {
      area,
      status: 'ok',
      says: keys.length === 0 ? `${image.id} is not encrypted` : `${keys.map(({ arn }) => arn).join(', ')} can be used`,
    };
  } catch (failure) {
    if (!(failure instanceof AccessError)) throw failure;
    const fix = 'Allow kms:DescribeKey on it, in the policy of the role.';
    return { area, status: 'skipped', says: `the role may not read the key of ${image.id}`, fix };
  }
}

/** Own images are always allowed. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-allowed-amis.html */
async function allowedFinding(image: Image | undefined, around: Around, deps: SurroundingDeps): Promise<Finding> {
  const area = 'Allowed AMIs';
  const allowed = await deps.inRegion(around).sharing.allowed();
  if (allowed === undefined) return { area, status: 'skipped', says: 'the role may not read them (ec2:GetAllowedImagesSettings)' };
  if (allowed.state !== 'enabled') return { area, status: 'ok', says: `${allowed.state} in ${around.region}` };
  if (image === undefined) return { area, status: 'skipped', says: `enabled; ${NO_IMAGE}` };
  const isOwn = image.ownerId === (await deps.inRegion(around).account.id());
  const admission = isOwn ? { state: 'allowed' as const } : evaluateAllowedImages(allowed, image, deps.clock.now());
  if (admission.state === 'allowed') return { area, status: 'ok', says: `enabled, and ${image.id} is allowed` };
  const says = `enabled, and ${image.id} of account ${image.ownerId} may be refused: ${admission.reason}`;
  return { area, status: 'warning', says, fix: `Allow images of account ${image.ownerId} in the Allowed AMIs settings of this account.` };
}

export const runnerFinding = async ({ machine }: SurroundingDeps): Promise<readonly Finding[]> => runnerFindings(await machine.facts());
