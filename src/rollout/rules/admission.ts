import { type Image, identity, isOurs, type TagScheme, unavailableReason } from '../../model/image.ts';
import { fullReason, type RolloutOperation } from '../../model/pointer.ts';
import { mayPass } from '../../model/verdict.ts';
import { isVetoed } from '../../model/veto.ts';
import { type Guards, guardRefusals } from './guards.ts';

/** Whether an image may become the current one of an environment. Everything that forbids it, each with the remedy. */

export interface Admission {
  readonly operation?: RolloutOperation;
  readonly scheme: TagScheme;
  readonly family: string;
  readonly environment: string;
  readonly liftVeto: boolean;
  /** Hash of the checks that the verdict must be about. */
  readonly requireChecks?: string | undefined;
  readonly guards?: Guards;
  readonly now?: number;
}

export function imageRefusals(
  image: Image,
  { operation = 'promote', scheme, family, environment, liftVeto, requireChecks, guards = {}, now = 0 }: Admission,
): string[] {
  const dead = unavailableReason(image);
  if (dead !== undefined) return [`${image.id} cannot be launched, it is ${dead}: choose another image`];
  if (!isOurs(image, scheme, family)) return [strange(image, scheme, family)];
  const passed = mayPass(image, scheme, requireChecks);
  return [
    image.state !== 'available' && `${image.id} is still ${image.state}: wait until it is available`,
    !passed.ok &&
      `${image.id} has no passed verdict here (${passed.reason}): run "validate" on it, or "share" if it was validated in another account`,
    isVetoed(image, scheme, environment) &&
      !liftVeto &&
      `${image.id} was rolled back in ${environment} and is vetoed there: ${ANOTHER_WAY[operation]} if it was not to blame`,
    ...guardRefusals(image, guards, scheme, now),
  ].filter(refusal => refusal !== false);
}

const ANOTHER_WAY: Record<RolloutOperation, string> = {
  promote: 'fix it and build a new one, or set "lift-veto: true"',
  rollback: 'name another one with "image", or promote it with "lift-veto: true"',
};

function strange(image: Image, scheme: TagScheme, family: string): string {
  const its = identity(image, scheme, 'family');
  if (its !== undefined) return `${image.id} belongs to family "${its}", not to "${family}"`;
  return `${image.id} (owner ${image.ownerId}) carries no family tag in this account: build it with "build", or bring it here with "share"`;
}

/** Why the pointer could not be moved in the end; better known before anything is rolled. */
export function pointerRefusals(
  name: string,
  current: { readonly type: string; readonly dataType: string } | undefined,
  history: readonly { readonly version: number; readonly labels: readonly string[] }[],
): string[] {
  const full = fullReason(history);
  return [
    current !== undefined &&
      current.type !== 'String' &&
      `${name} is a ${current.type}, and an image ID must be a String: remove it, or choose another "pointer"`,
    full !== undefined &&
      `${name} cannot be moved: ${full}. Take the label off: aws ssm unlabel-parameter-version --name ${name} --parameter-version ${history.at(-1)?.version} --labels ${history.at(-1)?.labels.join(' ')}`,
  ].filter(refusal => refusal !== false);
}
