import { formatDuration } from '../../kit/format.ts';
import { matchesGlob } from '../../kit/glob.ts';
import type { Group } from '../../model/group.ts';
import { type Image, identity, isOurs, type TagScheme, tagKey, unavailableReason } from '../../model/image.ts';
import { fullReason, type PointerTrail, type RolloutOperation } from '../../model/pointer.ts';
import { mayPass, verdictOf } from '../../model/verdict.ts';
import { isVetoed, vetoReason } from '../../model/veto.ts';
import type { Brakes } from './brakes.ts';

/** Whether an image may become the current one of an environment. Every refusal names its remedy. */

export interface Admission {
  readonly operation?: RolloutOperation;
  readonly scheme: TagScheme;
  readonly family: string;
  readonly environment: string;
  readonly liftVeto: boolean;
  /** A rollback to an image that ran here: its tags and a later verdict do not matter. */
  readonly ran?: boolean;
  /** Hash of the checks that the verdict must cover. */
  readonly requireChecks?: string | undefined;
  /** Why the signature of its verdict does not count: see "verdict-key". */
  readonly unsigned?: string | undefined;
  readonly guards?: Guards;
  readonly now?: number;
  /** Of the pointer; its history may show who rolled the image back. */
  readonly pointer?: { readonly candidate: PointerTrail[number] | undefined; readonly history: PointerTrail };
}

/** What an environment requires in addition to a verdict. These settings stand under `with:` only, so a branch cannot change them. */
export interface Guards {
  /** Refs that the image may be built from: a bare name is a branch, everything else is a whole ref; `*` matches anything. */
  readonly allowedRefs?: readonly string[] | undefined;
  /** The only image that may be promoted now. */
  readonly pin?: string | undefined;
  readonly soak?: Soak | undefined;
  readonly brakes?: Brakes | undefined;
}

export interface Soak {
  readonly environment: string;
  readonly seconds: number;
  /** The image in that environment: another account or region has it under another ID. Undefined: it does not exist there. */
  readonly image: { readonly id: string; readonly vetoed: boolean } | undefined;
  /** History of that environment's pointer. */
  readonly history: readonly (PointerTrail[number] & { readonly value: string; readonly version: number })[];
}

export function imageRefusals(image: Image, admission: Admission): string[] {
  const { operation = 'promote', scheme, family, environment, liftVeto, ran = false, guards = {}, now = 0 } = admission;
  const { requireChecks, unsigned, pointer } = admission;
  const dead = unavailableReason(image);
  if (dead !== undefined) return [`${image.id} cannot be launched, it is ${dead}: choose another image`];
  if (!ran && !isOurs(image, scheme, family)) return [wrongFamily(image, scheme, family)];
  return [
    image.state !== 'available' && `${image.id} is still ${image.state}: wait until it is available`,
    !ran && verdictRefusal(image, scheme, requireChecks),
    !ran && unsigned !== undefined && unsigned,
    isVetoed(image, scheme, environment) &&
      !liftVeto &&
      `${vetoReason(image.id, environment, [pointer?.candidate ?? [], pointer?.history ?? []].flat())}: ${REMEDY[operation]} if it was not the cause`,
    ...guardRefusals(image, guards, scheme, now),
  ].filter(refusal => refusal !== false);
}

const REMEDY: Record<RolloutOperation, string> = {
  promote: 'fix it and build a new image, or set "lift-veto: true"',
  rollback: 'set "image" to another one, or promote it with "lift-veto: true"',
};

function verdictRefusal(image: Image, scheme: TagScheme, requireChecks: string | undefined): string | false {
  const { ok, reason } = mayPass(image, scheme, requireChecks);
  if (ok) return false;
  const remedy =
    verdictOf(image, scheme).result === 'failed'
      ? 'fix it and build a new image, or run "validate" again if the checks were wrong'
      : 'run "validate" on it, or "share" if it was validated in another account';
  return `${image.id} has no passed verdict here (${reason}): ${remedy}`;
}

function wrongFamily(image: Image, scheme: TagScheme, family: string): string {
  const other = identity(image, scheme, 'family');
  if (other !== undefined) return `${image.id} belongs to family "${other}", not to "${family}"`;
  const key = tagKey(scheme, 'family');
  return (
    `${image.id} (owner ${image.ownerId}) is not in family "${family}": it has no tag ${key} in this account. ` +
    `Built without ami-action? Run: aws ec2 create-tags --resources ${image.id} --tags Key=${key},Value=${family}, then mode "validate". ` +
    'Shared from another account? Run mode "share" there with "target-role"'
  );
}

export function guardRefusals(image: Image, { allowedRefs, pin, soak }: Guards, scheme: TagScheme, now: number): string[] {
  const ref = identity(image, scheme, 'ref') ?? '';
  const ran = soak?.image === undefined ? 0 : secondsIn(soak, soak.image.id, now);
  return [
    pin !== undefined && pin !== image.id && `"pin" holds this environment on ${pin}: remove "pin", or promote that image`,
    allowedRefs !== undefined &&
      !allowedRefs.some(pattern => matches(pattern, ref)) &&
      `${image.id} was built from ${ref === '' ? 'an unknown ref' : ref}, and "allowed-refs" allows ${allowedRefs.join(', ')}: build it from one of these`,
    soak?.image?.vetoed === true &&
      `${vetoReason(image.id, soak.environment, soak.history)}: fix it and build a new image, or promote it there with "lift-veto: true" if it was not the cause`,
    soak !== undefined &&
      ran < soak.seconds &&
      `${image.id} has ${ran === 0 ? 'never run' : `run only ${formatDuration(ran)}`} in ${soak.environment}, and "soak-time" requires ${formatDuration(soak.seconds)}`,
  ].filter(refusal => refusal !== false);
}

/** A tag may have the name of a branch: a bare name means the branch only. */
function matches(pattern: string, ref: string): boolean {
  const whole = pattern.startsWith('refs/') ? pattern : `refs/heads/${pattern}`;
  return matchesGlob(whole, ref, { questionMark: false });
}

/** The longest time, in seconds, that the environment ran the image without a break. */
function secondsIn({ history }: Soak, imageId: string, now: number): number {
  const oldestFirst = [...history].sort((a, b) => a.version - b.version);
  let [longest, since] = [0, undefined as number | undefined];
  for (const [i, { value, writtenAt }] of oldestFirst.entries()) {
    since = value === imageId ? (since ?? writtenAt.getTime()) : undefined;
    if (since !== undefined) longest = Math.max(longest, (oldestFirst[i + 1]?.writtenAt.getTime() ?? now) - since);
  }
  return longest / 1000;
}

/** An image that a group launches before the rollout. `image`: undefined where this environment is known to have run it, or it no longer exists. */
export interface Launched {
  readonly group: string;
  readonly id: string;
  readonly image: Image | undefined;
  /** The group serves only after the rollout. */
  readonly idle: boolean;
}

/** A group of another service must not get this image. An image without a family may be anything that ran before. */
export const familyRefusals = (launched: readonly Launched[], { family, scheme }: Pick<Admission, 'family' | 'scheme'>): string[] =>
  launched.flatMap(({ group, id, image }) => {
    const other = image === undefined ? undefined : identity(image, scheme, 'family');
    if (other === undefined || other === '' || other === family) return [];
    return [
      `${group} launches ${id} of family "${other}", not of "${family}": check "groups" and "family", or set "adopt-groups: true" to take the group over`,
    ];
  });

/** A group with the tag `hold` is left alone until a person removes the tag. */
export const holdRefusals = (groups: readonly Pick<Group, 'name' | 'tags'>[], { prefix }: TagScheme): string[] =>
  groups.flatMap(({ name, tags }) => {
    const reason = tags[`${prefix}hold`];
    if (reason === undefined || reason === 'false') return [];
    return [`${name} has the tag ${prefix}hold${reason === '' ? '' : ` (${reason})`}: remove the tag, or take the group out of "groups"`];
  });

/** What a person should know of an image that ran here and would not be promoted today. */
export function ranWarnings(image: Image, scheme: TagScheme): string[] {
  const { ok, reason } = mayPass(image, scheme);
  return ok ? [] : [`${image.id} has no passed verdict (${reason}); it is rolled back to because it ran here`];
}

/** Before the first promotion the groups differ, so that no single image is the way back. */
export function memoryWarnings(
  launched: readonly Launched[],
  { operation, environment }: Pick<Admission, 'operation' | 'environment'>,
): string[] {
  if (operation !== 'promote' || new Set(launched.map(({ id }) => id)).size < 2) return [];
  const each = launched.map(({ group, id }) => `${group} ${id}`).join(', ');
  return [`the groups of ${environment} launch different images (${each}): to go back, run "rollback" with "image" and "groups" for each`];
}

/** Two architectures need two pointers: the image before would otherwise be of the other one, and no way back. */
export const architectureRefusals = (pointer: string, image: Image, current: Image | undefined): string[] =>
  current === undefined || current.architecture === image.architecture
    ? []
    : [
        `${pointer} names ${current.id} for ${current.architecture}, and ${image.id} is for ${image.architecture}: give each architecture its own pointer, such as "pointer: /ami/{family}/{environment}/{architecture}"`,
      ];

/** Why the pointer could not be moved at the end, known before the rollout. */
export function pointerRefusals(
  name: string,
  current: { readonly type: string } | undefined,
  history: readonly { readonly version: number; readonly labels: readonly string[] }[],
): string[] {
  const full = fullReason(history);
  return [
    current !== undefined &&
      current.type !== 'String' &&
      `${name} is a ${current.type}, and an image ID must be a String: delete it, or choose another "pointer"`,
    full !== undefined &&
      `${name} cannot be moved: ${full}. Remove the label: aws ssm unlabel-parameter-version --name ${name} --parameter-version ${history.at(-1)?.version} --labels ${history.at(-1)?.labels.join(' ')}`,
  ].filter(refusal => refusal !== false);
}
