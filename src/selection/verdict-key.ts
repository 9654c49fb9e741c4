import { optional, text } from '../kit/fields.ts';
import type { Image, TagScheme } from '../model/image.ts';
import { ACCOUNT_ID, REGION, whole } from '../model/patterns.ts';
import { signedText, type Verdict, verdictOf, verdictValue } from '../model/verdict.ts';
import type { Deps } from '../ports/deps.ts';

/** Verdicts that only a role with access to a KMS key can write: the tag carries a MAC over image ID, verdict and identity tags. */

export const verdictKey = {
  verdictKey: optional(
    text(
      'ARN of an HMAC key in KMS (HMAC_256). `validate` and `share` sign verdicts with it; `promote` accepts only signed ones. The signature covers the verdict and the identity of the image. Without it any role that may write `ami-action:*` tags can write both.',
      {
        pattern: whole(`arn:aws[a-z-]*:kms:${REGION}:${ACCOUNT_ID}:(key|alias)/[\\w/-]+`),
        message: 'must be the ARN of a KMS key or alias, such as arn:aws:kms:eu-central-1:111122223333:key/mrk-1234abcd',
        withOnly: true,
        neededBy: 'accounts where other roles may write tags',
      },
    ),
  ),
};

type KeyDeps = Pick<Deps<'macs'>, 'inRegion'>;

const macsOf = (key: string, { inRegion }: KeyDeps) => inRegion({ region: key.split(':')[3] ?? '' }).macs;

/** The value of the verdict tag, signed where a key is set. */
export async function signedVerdict(
  image: Pick<Image, 'id' | 'tags'>,
  verdict: Verdict,
  scheme: TagScheme,
  key: string | undefined,
  deps: KeyDeps,
): Promise<string> {
  if (key === undefined) return verdictValue(image.id, verdict);
  const mac = await macsOf(key, deps).generate(key, signedText(image, verdict, scheme));
  return verdictValue(image.id, { ...verdict, mac });
}

/** Why the verdict of an image does not count for this key; undefined where it does, where no key is set, and where there is no verdict to sign. */
export async function unsignedReason(
  image: Pick<Image, 'id' | 'tags'>,
  scheme: TagScheme,
  key: string | undefined,
  deps: KeyDeps,
): Promise<string | undefined> {
  const { verdict } = verdictOf(image, scheme);
  if (key === undefined || verdict === undefined) return undefined;
  const reason =
    verdict.mac === undefined ? 'carries no signature' : 'does not fit its signature: another key, another image, or changed identity tags';
  if (verdict.mac !== undefined && (await macsOf(key, deps).verify(key, signedText(image, verdict, scheme), verdict.mac))) return undefined;
  return `the verdict of ${image.id} ${reason} ("verdict-key" ${key}). Run "validate" or "share" with this "verdict-key"`;
}
