import { AwsError } from '../operation.ts';
import { type Place, slice } from '../place.ts';

interface Kept {
  readonly request: string;
  readonly result: Promise<unknown>;
}

const kept = slice(() => new Map<string, Kept>());

/**
 * The same token with the same request returns the same result, created once. With another request it is refused. Tokens are per Region and action.
 * https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html
 */
export async function once<T>(
  place: Place,
  action: string,
  token: string | undefined,
  request: object,
  make: () => T | Promise<T>,
): Promise<T> {
  if (token === undefined || token === '') return make();
  const key = `${action} ${token}`;
  const asked = JSON.stringify(request);
  const known = kept(place).get(key);
  if (known !== undefined && known.request !== asked) {
    throw new AwsError(
      'IdempotentParameterMismatch',
      'Arguments on this idempotent request are inconsistent with arguments used in previous request(s).',
    );
  }
  if (known !== undefined) return known.result as Promise<T>;
  const result = Promise.resolve().then(make);
  kept(place).set(key, { request: asked, result });
  // A refused request was not carried out and may be repeated.
  result.catch(() => kept(place).delete(key));
  return result;
}
