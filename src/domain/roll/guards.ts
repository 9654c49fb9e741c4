import { sayDuration } from '../../kit/duration.ts';
import { type Image, identity, type TagScheme } from '../image.ts';

/** What an environment demands of an image beside that it passed. A dispatched branch cannot change these: they stand under `with:` only. */
export interface Guards {
  /** Refs that the image may be built from; `*` stands for anything. */
  readonly allowedRefs?: readonly string[] | undefined;
  /** The only image that may be promoted now. */
  readonly pin?: string | undefined;
  readonly soak?: Soak | undefined;
}

export interface Soak {
  readonly environment: string;
  readonly seconds: number;
  /** Of the earlier environment's pointer. */
  readonly history: readonly { readonly value: string; readonly version: number; readonly writtenAt: Date }[];
}

export function guardRefusals(image: Image, { allowedRefs, pin, soak }: Guards, scheme: TagScheme, now: number): string[] {
  const ref = identity(image, scheme, 'ref') ?? '';
  const ran = soak === undefined ? 0 : secondsIn(soak, image.id, now);
  return [
    pin !== undefined && pin !== image.id && `"pin" keeps this environment on ${pin}: take it out, or promote that one`,
    allowedRefs !== undefined &&
      !allowedRefs.some(pattern => fits(pattern, ref)) &&
      `${image.id} was built from ${ref === '' ? 'an unknown ref' : ref}, and "allowed-refs" allows ${allowedRefs.join(', ')}`,
    soak !== undefined &&
      ran < soak.seconds &&
      `${image.id} has run ${ran === 0 ? 'never' : `only ${sayDuration(ran)}`} in ${soak.environment}, and "soak-time" demands ${sayDuration(soak.seconds)}`,
  ].filter(refusal => refusal !== false);
}

/** Both refs/heads/main and main name the branch. */
function fits(pattern: string, ref: string): boolean {
  const expression = new RegExp(`^${pattern.split('*').map(literally).join('.*')}$`);
  return expression.test(ref) || expression.test(ref.replace(/^refs\/(heads|tags)\//, ''));
}

const literally = (text: string): string => text.replace(/[.+?^${}()|[\]\\]/g, '\\$&');

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
