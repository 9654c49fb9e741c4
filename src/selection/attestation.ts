import { concurrently } from '../kit/concurrently.ts';
import { RejectedError } from '../kit/errors.ts';
import { optional, text } from '../kit/fields.ts';
import { manifestFiles, PREDICATE_TYPE, statementOf, statementText } from '../model/attested.ts';
import type { Image, TagScheme } from '../model/image.ts';
import type { Deps } from '../ports/deps.ts';

/** Artifact attestations: `validate` or `share` writes a manifest, actions/attest signs it, `promote` verifies the signature. */

export const manifestSetting = {
  manifest: optional(
    text(
      'File in the workspace for the manifest of the image: the predicate for actions/attest. Its subjects are in a second file, with `.sha256` added to the name. `share` writes one of the image and its copies in all regions and accounts.',
      { neededBy: 'users of `require-attestation`' },
    ),
  ),
};

export const attestationSetting = {
  requireAttestation: optional(
    text(
      'Whose artifact attestation the image must have: repository and ref, such as `acme/web@refs/heads/main`. Only runs of that repository on that ref can sign. Needs `github-token`, and the GitHub CLI on the runner.',
      {
        pattern: /^[\w.-]+\/[\w.-]+@refs\/(heads|tags)\/[^\s*]+$/,
        message: 'must be a repository and a ref, such as acme/web@refs/heads/main',
        withOnly: true,
        neededBy: 'environments that accept only what a workflow has signed',
      },
    ),
  ),
};

interface Place {
  readonly region: string;
  readonly role?: string | undefined;
  readonly imageId: string;
}

/** Writes what `require-attestation` verifies: the images as they are now, with the verdict that was stored. */
export async function writeManifest(
  path: string | undefined,
  places: readonly Place[],
  scheme: TagScheme,
  { inRegion, files, report }: Deps<'images', 'files'>,
): Promise<void> {
  if (path === undefined) return;
  const statements = await concurrently(places, AT_ONCE, async place => {
    const image = await inRegion(place).images.get(place.imageId);
    const statement = image === undefined ? undefined : statementOf(image, place.region, scheme);
    if (statement !== undefined) return statement;
    const message = `${place.imageId} in ${place.region} has no stored verdict, so its manifest cannot be written.`;
    throw new RejectedError(message, { next: 'Run the job again.' });
  });
  const { manifest, subjects } = manifestFiles(statements);
  await files.write(path, manifest);
  await files.write(`${path}.sha256`, subjects);
  report.info(`Wrote the manifest of ${statements.map(({ image }) => image).join(', ')} to ${path}.`);
}

const AT_ONCE = 5;

interface Required {
  readonly requireAttestation?: string | undefined;
  readonly githubToken?: string | undefined;
}

/** Why the image is not attested; undefined where it is, and where the setting is absent. What cannot be verified is not attested. */
export async function unattestedReason(
  image: Image,
  region: string,
  scheme: TagScheme,
  { requireAttestation, githubToken: token }: Required,
  { attestations }: Pick<Deps<never, 'attestations'>, 'attestations'>,
): Promise<string | undefined> {
  if (requireAttestation === undefined) return undefined;
  const statement = statementOf(image, region, scheme);
  // Refused for the lack of a verdict.
  if (statement === undefined) return undefined;
  const refused = (reason: string) => `${image.id} has no attestation of ${requireAttestation} ("require-attestation"): ${reason}`;
  if (token === undefined) return refused('"github-token" is not set');
  const [repository = '', ref = ''] = requireAttestation.split('@');
  const reason = await attestations.refusal({ content: statementText(statement), predicateType: PREDICATE_TYPE, repository, ref, token });
  return reason === undefined ? undefined : refused(reason);
}
