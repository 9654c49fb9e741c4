import type { TemplateVersion } from '../../domain/roll/template.ts';
import { concurrently } from '../../kit/concurrently.ts';
import { Expected } from '../../kit/errors.ts';
import type { Place, Powers } from '../../world.ts';
import type { Users } from './image-users.ts';

const TEMPLATES_AT_ONCE = 6;

/**
 * Removes the launch template versions that name images which are gone now. What somebody came to use meanwhile stays, and so does a version that is newer than
 * the survey: a promotion may be about to launch from it.
 */
export async function dropVersions(
  gone: readonly string[],
  { facts, again }: Users,
  { launchTemplates }: Pick<Place, 'launchTemplates'>,
  { report }: Pick<Powers<never>, 'report'>,
): Promise<void> {
  if (gone.length === 0) return;
  try {
    const used = await again(gone);
    const imageIds = gone.filter(id => (used.get(id) ?? []).length === 0);
    const newest = newestVersions(facts);
    const found = await concurrently([...newest.keys()], TEMPLATES_AT_ONCE, id => launchTemplates.withImages(id, imageIds));
    // The newest version of the survey may be `$Latest` still, and AWS would remove it.
    const old = found.flat().filter(({ templateId, number, isDefault }) => !isDefault && number < (newest.get(templateId) ?? 0));
    for (const version of old) await drop(version, launchTemplates, report);
  } catch (failure) {
    if (!(failure instanceof Expected)) throw failure;
    report.warn(`Launch template versions that name removed images stay: ${failure.message}`);
  }
}

async function drop(version: TemplateVersion, launchTemplates: Place['launchTemplates'], report: Powers<never>['report']): Promise<void> {
  try {
    await launchTemplates.remove(version);
    report.info(`version ${version.number} of launch template ${version.templateName} is removed: it named ${version.imageId}.`);
  } catch (failure) {
    if (!(failure instanceof Expected)) throw failure;
    report.warn(failure.message);
  }
}

/** Template ID -> the number of its newest version. */
function newestVersions({ versions }: Users['facts']): ReadonlyMap<string, number> {
  const newest = new Map<string, number>();
  for (const { templateId, version } of versions) newest.set(templateId, Math.max(version, newest.get(templateId) ?? 0));
  return newest;
}
