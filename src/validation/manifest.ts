import { RejectedError } from '../kit/errors.ts';
import { manifestFiles, statementOf } from '../model/attested.ts';
import type { TagScheme } from '../model/image.ts';
import type { Deps, RegionClients } from '../ports/deps.ts';

/** Writes what `require-attestation` verifies: the image as it is now, with the verdict that was stored. */
export async function writeManifest(
  imageId: string,
  { manifest: path, region }: { readonly manifest?: string | undefined; readonly region: string },
  scheme: TagScheme,
  { images }: Pick<RegionClients, 'images'>,
  { files, report }: Deps<never, 'files'>,
): Promise<void> {
  if (path === undefined) return;
  const image = await images.get(imageId);
  const statement = image === undefined ? undefined : statementOf(image, region, scheme);
  if (statement === undefined)
    throw new RejectedError(`${imageId} has no stored verdict, so its manifest cannot be written.`, { next: 'Run the job again.' });
  const { manifest, subjects } = manifestFiles([statement]);
  await files.write(path, manifest);
  await files.write(`${path}.sha256`, subjects);
  report.info(`Wrote the manifest of ${imageId} to ${path}.`);
}
