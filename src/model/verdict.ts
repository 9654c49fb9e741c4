import { createHash } from 'node:crypto';
import { type Image, identity, type TagScheme } from './image.ts';
import { AMI_ID, whole } from './patterns.ts';

/**
 * The result of validation, one tag value on the image and its snapshots: `passed 2026-05-01T12:00:00Z checks:<hash> seal:<hash>`.
 *
 * The seal binds the value to image ID and checks, so a tag that was copied from another image or typed by hand does not pass. It is not a signature: a role
 * that may write `ami-action:*` tags can make one. The setting "verdict-key" adds a signature. Deny `ec2:CreateTags` and `ec2:DeleteTags` to all others, with
 * `"ForAnyValue:StringLike": { "aws:TagKeys": "ami-action:*" }`.
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/supported-iam-actions-tagging.html
 */
export interface Verdict {
  readonly result: 'passed' | 'failed';
  /** Hash of the declared checks that were run: `checksHash`. */
  readonly checks: string;
  readonly at: Date;
  /** For a copy: the image that was validated. */
  readonly source?: string | undefined;
  /** Base64: the signature over `signedText`, where a "verdict-key" is set. */
  readonly mac?: string | undefined;
}

/** `none`: never validated. `foreign`: a value of another origin, which counts as none. */
export type ImageVerdict =
  | { readonly result: 'passed' | 'failed'; readonly reason: string; readonly verdict: Verdict }
  | { readonly result: 'none' | 'foreign'; readonly reason: string; readonly verdict?: undefined };

const SHAPE = whole(
  `(passed|failed) (\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ) checks:([0-9a-f]{32})(?: source:(${AMI_ID}))? seal:([0-9a-f]{32})(?: mac:([A-Za-z0-9+/]{43}=))?`,
);

/** Half of a SHA-256 hash, in hex: four parts must fit the 256 characters of a tag. */
export const shortHash = (content: string): string => createHash('sha256').update(content).digest('hex').slice(0, 32);

/** The value of the tag `ami-action:verdict` for this image. */
export function verdictValue(imageId: string, verdict: Verdict): string {
  const seal = shortHash(sealedText(imageId, verdict));
  return `${contentOf(verdict)} seal:${seal}${verdict.mac === undefined ? '' : ` mac:${verdict.mac}`}`;
}

const contentOf = ({ result, checks, at, source }: Verdict): string =>
  `${result} ${at.toISOString().slice(0, 19)}Z checks:${checks}${source === undefined ? '' : ` source:${source}`}`;

const sealedText = (imageId: string, verdict: Verdict): string => `ami-action verdict\n${imageId}\n${contentOf(verdict)}`;

// What a promotion believes about an image; not what an account does with it.
const SIGNED_IDENTITY = ['family', 'version', 'commit', 'ref', 'repository', 'fingerprint', 'base-ami', 'created-at'] as const;

/** What a signature covers: verdict and identity, so that neither can be written or moved to another image without the key. */
export const signedText = (image: Pick<Image, 'id' | 'tags'>, verdict: Verdict, scheme: TagScheme): string =>
  [sealedText(image.id, verdict), ...SIGNED_IDENTITY.map(key => `${key}=${identity(image, scheme, key) ?? ''}`)].join('\n');

/** The verdict in an image's tags, with its reason. Only `passed` may reach an environment. */
export function verdictOf(image: Pick<Image, 'id' | 'tags'>, scheme: TagScheme): ImageVerdict {
  const value = identity(image, scheme, 'verdict');
  if (value === undefined || value === '') return { result: 'none', reason: 'never validated' };
  const parts = SHAPE.exec(value);
  if (parts === null) return { result: 'foreign', reason: `its verdict tag was not written by mode validate: "${value.slice(0, 60)}"` };
  const verdict: Verdict = {
    result: parts[1] as Verdict['result'],
    at: new Date(parts[2] as string),
    checks: parts[3] as string,
    source: parts[4],
    mac: parts[6],
  };
  if (Number.isNaN(verdict.at.getTime()) || verdictValue(image.id, verdict) !== value) {
    return { result: 'foreign', reason: 'its verdict tag belongs to another image (copied with the tags, or written by hand)' };
  }
  const through = verdict.source === undefined ? '' : `, as a copy of ${verdict.source}`;
  return { result: verdict.result, reason: `${verdict.result} validation at ${parts[2]}${through}`, verdict };
}

/** Whether an image may be promoted. `requiredChecks`: the hash of the checks that it must have passed. */
export function mayPass(image: Pick<Image, 'id' | 'tags'>, scheme: TagScheme, requiredChecks?: string): { ok: boolean; reason: string } {
  const judged = verdictOf(image, scheme);
  if (judged.result !== 'passed') return { ok: false, reason: judged.reason };
  if (requiredChecks === undefined || judged.verdict.checks === requiredChecks) return { ok: true, reason: judged.reason };
  return {
    ok: false,
    reason: `${judged.reason}, but with other checks (${judged.verdict.checks}) than required (${requiredChecks})`,
  };
}

/**
 * The verdict of a copy: that of its source, sealed to the copy's ID. Undefined where the source has none. Write it only on a copy that this action made or whose
 * identity was compared.
 */
export function inheritedVerdict(copyId: string, source: Pick<Image, 'id' | 'tags'>, scheme: TagScheme): string | undefined {
  const { verdict } = verdictOf(source, scheme);
  return verdict === undefined ? undefined : verdictValue(copyId, { ...verdict, mac: undefined, source: verdict.source ?? source.id });
}
