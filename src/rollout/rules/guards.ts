import { formatDuration } from '../../kit/format.ts';
import { matchesGlob } from '../../kit/glob.ts';
import { type Image, identity, type TagScheme } from '../../model/image.ts';

/** What an environment demands of an image beside that it passed. A dispatched branch cannot change these: they stand under `with:` only. */
export interface Guards {
  /** Refs that the image may be built from: a bare name is a branch, everything else is written whole; `*` stands for anything. */
  readonly allowedRefs?: readonly string[] | undefined;
  /** The only image that may be promoted now. */
  readonly pin?: string | undefined;
  readonly soak?: Soak | undefined;
}

export interface Soak {
  readonly environment: string;
  readonly seconds: number;
  /** The image as it is known there: another account or region may have it under another ID. Undefined: it is not there at all. */
  readonly image: { readonly id: string; readonly vetoed: boolean } | undefined;
  /** Of the earlier environment's pointer. */
  readonly history: readonly { readonly value: string; readonly version: number; readonly writtenAt: Date }[];
}

export function guardRefusals(image: Image, { allowedRefs, pin, soak }: Guards, scheme: TagScheme, now: number): string[] {
  const ref = identity(image, scheme, 'ref') ?? '';
  const ran = soak?.image === undefined ? 0 : secondsIn(soak, soak.image.id, now);
  return [
    pin !== undefined && pin !== image.id && `"pin" keeps this environment on ${pin}: take it out, or promote that one`,
    allowedRefs !== undefined &&
      !allowedRefs.some(pattern => fits(pattern, ref)) &&
      `${image.id} was built from ${ref === '' ? 'an unknown ref' : ref}, and "allowed-refs" allows ${allowedRefs.join(', ')}: build it from one of these`,
    soak?.image?.vetoed === true &&
      `${image.id} was rolled back in ${soak.environment} and is vetoed there: fix it and build a new one, or promote it there with "lift-veto: true" if it was not to blame`,
    soak !== undefined &&
      ran < soak.seconds &&
      `${image.id} has ${ran === 0 ? 'never run' : `run only ${formatDuration(ran)}`} in ${soak.environment}, and "soak-time" demands ${formatDuration(soak.seconds)}`,
  ].filter(refusal => refusal !== false);
}

/** Whoever may push a tag may call it like a branch: a bare name means the branch, and only that. */
function fits(pattern: string, ref: string): boolean {
  const whole = pattern.startsWith('refs/') ? pattern : `refs/heads/${pattern}`;
  return matchesGlob(whole, ref, { questionMark: false });
}

/** How long the environment ran the image, the longest time without a break. */
function secondsIn({ history }: Soak, imageId: string, now: number): number {
  const inTurn = [...history].sort((a, b) => a.version - b.version);
  const stays: number[] = [0];
  let since: number | undefined;
  for (const { value, writtenAt } of inTurn) {
    if (value === imageId) since ??= writtenAt.getTime();
    else if (since !== undefined) {
      stays.push(writtenAt.getTime() - since);
      since = undefined;
    }
  }
  if (since !== undefined) stays.push(now - since);
  return Math.max(...stays) / 1000;
}
