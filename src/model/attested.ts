import { createHash } from 'node:crypto';
import { type Image, identity, type TagScheme } from './image.ts';
import { verdictOf } from './verdict.ts';

/**
 * What an artifact attestation says of an image: one canonical text with everything that a promotion relies on. Its SHA-256 is the subject of the attestation,
 * so an image whose snapshots, identity or verdict changed since has none.
 * https://docs.github.com/en/actions/concepts/security/artifact-attestations
 */

export const PREDICATE_TYPE = 'urn:ami-action:manifest:v1';

interface Statement {
  readonly account: string;
  readonly region: string;
  readonly image: string;
  readonly snapshots: readonly string[];
  readonly family: string;
  readonly fingerprint: string;
  readonly commit: string;
  readonly base: string;
  readonly verdict: string;
  readonly checks: string;
}

/** Undefined for an image without a verdict of this action. */
export function statementOf(image: Image, region: string, scheme: TagScheme): Statement | undefined {
  const { verdict } = verdictOf(image, scheme);
  if (verdict === undefined) return undefined;
  return {
    account: image.ownerId,
    region,
    image: image.id,
    snapshots: [...image.snapshotIds].sort(),
    family: identity(image, scheme, 'family') ?? '',
    fingerprint: identity(image, scheme, 'fingerprint') ?? '',
    commit: identity(image, scheme, 'commit') ?? '',
    base: identity(image, scheme, 'base-ami') ?? '',
    verdict: verdict.result,
    checks: verdict.checks,
  };
}

/** The signed text. A change of its form makes every attestation void. */
export const statementText = (statement: Statement): string => `${JSON.stringify(statement)}\n`;

/** Two files for actions/attest: its predicate, and a line with digest and name for each subject. */
export function manifestFiles(statements: readonly Statement[]): { readonly manifest: string; readonly subjects: string } {
  const digest = (statement: Statement) => createHash('sha256').update(statementText(statement)).digest('hex');
  return {
    manifest: `${JSON.stringify({ images: statements }, null, 2)}\n`,
    subjects: statements.map(statement => `${digest(statement)}  ${statement.image}\n`).join(''),
  };
}
