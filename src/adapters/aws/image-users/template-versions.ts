import type { EC2Client, LaunchTemplateVersion } from '@aws-sdk/client-ec2';
import { batches, concurrently } from '../../../kit/concurrently.ts';
import type { VersionFact } from '../../../model/image-users.ts';
import { always, incomplete } from '../complete.ts';
import { isCode } from '../errors.ts';
import { listVersions } from '../launch-templates.ts';
import { snapshotsIn } from './launch-sources.ts';

const TEMPLATES_AT_ONCE = 6;
const NUMBERS_PER_CALL = 200;

/** The default and the latest version of every template of the account: without a template's name, the API accepts only these two words. */
export async function currentVersions(ec2: EC2Client, depth: number): Promise<VersionFact[]> {
  const versions = await listVersions(ec2, { Versions: ['$Latest', '$Default'] });
  const newest = new Map<string, number>();
  for (const { LaunchTemplateId: id = '', VersionNumber = 0 } of versions) newest.set(id, Math.max(VersionNumber, newest.get(id) ?? 0));
  const current = versions.map(version => fact(version, version.VersionNumber === newest.get(version.LaunchTemplateId ?? '')));
  if (depth <= 1) return current;
  const deeper = await concurrently([...newest], TEMPLATES_AT_ONCE, ([LaunchTemplateId, number]) =>
    listVersions(ec2, {
      LaunchTemplateId,
      MinVersion: String(Math.max(1, number - depth + 1)),
      MaxVersion: String(Math.max(1, number - 1)),
    }),
  );
  return [...current, ...deeper.flat().map(version => ({ ...fact(version, false), isRecent: true }))];
}

/** Reads versions by number. A version never changes, so each is read only once. */
export function numberedVersionReader(ec2: EC2Client): (byTemplate: ReadonlyMap<string, readonly string[]>) => Promise<VersionFact[]> {
  const known = new Map<string, readonly VersionFact[]>();
  const key = (template: string, version: string) => `${template} ${version}`;
  return async byTemplate => {
    const missing = [...byTemplate].map(([template, versions]) => ({
      template,
      versions: versions.filter(version => !known.has(key(template, version))),
    }));
    await concurrently(
      missing.filter(({ versions }) => versions.length > 0),
      TEMPLATES_AT_ONCE,
      async ({ template, versions }) => {
        const found = (await Promise.all(batches(versions, NUMBERS_PER_CALL).map(batch => someVersions(ec2, template, batch)))).flat();
        for (const version of versions)
          known.set(
            key(template, version),
            found.filter(fact => String(fact.version) === version),
          );
      },
    );
    return [...byTemplate].flatMap(([template, versions]) => versions.flatMap(version => known.get(key(template, version)) ?? []));
  };
}

async function someVersions(ec2: EC2Client, template: string, versions: readonly string[]): Promise<VersionFact[]> {
  const named = template.startsWith('lt-') ? { LaunchTemplateId: template } : { LaunchTemplateName: template };
  try {
    const found = (await listVersions(ec2, { ...named, Versions: [...versions] })).map(version => fact(version, false));
    const missing = versions.find(number => !found.some(({ version }) => String(version) === number));
    if (missing !== undefined) throw incomplete(`version ${missing} of launch template ${template}`);
    return found;
  } catch (cause) {
    // The template does not exist, so nothing can be launched from it.
    if (isCode(cause, 'InvalidLaunchTemplateId.NotFound', 'InvalidLaunchTemplateName.NotFoundException')) return [];
    if (!isCode(cause, 'InvalidLaunchTemplateId.VersionNotFound')) throw cause;
    // One deleted version makes EC2 refuse all of them.
    if (versions.length === 1) return [];
    return (await concurrently(versions, TEMPLATES_AT_ONCE, version => someVersions(ec2, template, [version]))).flat();
  }
}

const fact = (version: LaunchTemplateVersion, isLatest: boolean): VersionFact => ({
  templateId: always(version.LaunchTemplateId, 'LaunchTemplateId of a version'),
  templateName: version.LaunchTemplateName ?? '',
  version: always(version.VersionNumber, `VersionNumber of ${version.LaunchTemplateId}`),
  isDefault: always(version.DefaultVersion, `DefaultVersion of ${version.LaunchTemplateId}`),
  isLatest,
  imageId: always(version.LaunchTemplateData, `LaunchTemplateData of ${version.LaunchTemplateId}`).ImageId ?? '',
  snapshotIds: snapshotsIn(version.LaunchTemplateData ?? {}),
  createdBy: version.CreatedBy,
  createdAt: version.CreateTime,
});
