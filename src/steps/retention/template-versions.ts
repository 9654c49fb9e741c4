import type { Decision } from '../../domain/retention/retention.ts';
import { concurrently } from '../../kit/concurrently.ts';
import { Expected } from '../../kit/errors.ts';
import type { Place, Powers } from '../../world.ts';
import type { Users } from './image-users.ts';

const TEMPLATES_AT_ONCE = 6;

/**
 * Removes the launch template versions that name images which are about to go. No default, newest or used version is among them, or its image would stay; should
 * one have become that since, AWS or the second look at the image says so. Before the images: killed in between, the next run finds the images again.
 */
export async function dropVersions(
  doomed: readonly Decision[],
  { facts }: Users,
  { launchTemplates }: Pick<Place, 'launchTemplates'>,
  { report }: Pick<Powers<never>, 'report'>,
): Promise<void> {
  const imageIds = doomed.map(({ image }) => image.id);
  if (imageIds.length === 0) return;
  const current = new Set(facts.versions.filter(({ isDefault, isLatest }) => isDefault || isLatest).map(nameOf));
  const templates = [...new Set(facts.versions.map(({ templateId }) => templateId))];
  const found = await concurrently(templates, TEMPLATES_AT_ONCE, id => launchTemplates.withImages(id, imageIds));
  for (const version of found.flat()) {
    if (version.isDefault || current.has(nameOf({ ...version, version: version.number }))) continue;
    try {
      await launchTemplates.remove(version);
      report.info(`version ${version.number} of launch template ${version.templateName} is removed: it named ${version.imageId}.`);
    } catch (failure) {
      if (!(failure instanceof Expected)) throw failure;
      report.warn(failure.message);
    }
  }
}

const nameOf = ({ templateId, version }: { templateId: string; version: number }): string => `${templateId} ${version}`;
