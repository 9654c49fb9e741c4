import { concurrently } from '../kit/concurrently.ts';
import type { TemplateVersion } from '../model/template.ts';
import type { RegionClients, Reporter } from '../ports/deps.ts';
import type { Users } from './find-users.ts';

const TEMPLATES_AT_ONCE = 6;

type Ports = Pick<RegionClients, 'launchTemplates'>;

/**
 * Launch template versions that name these images. None that is the default or may be the newest: a promotion may be about to launch from what came since the
 * survey. One that somebody launches from is none of these: its image would be in use.
 */
export async function versionsNaming(
  imageIds: readonly string[],
  { facts }: Users,
  { launchTemplates }: Ports,
): Promise<readonly TemplateVersion[]> {
  if (imageIds.length === 0) return [];
  const newest = newestVersions(facts);
  const found = await concurrently([...newest.keys()], TEMPLATES_AT_ONCE, id => launchTemplates.withImages(id, imageIds));
  return found.flat().filter(({ templateId, number, isDefault }) => !isDefault && number < (newest.get(templateId) ?? 0));
}

/** Template ID -> the number of its newest version. */
function newestVersions({ versions }: Users['facts']): ReadonlyMap<string, number> {
  const newest = new Map<string, number>();
  for (const { templateId, version } of versions) newest.set(templateId, Math.max(version, newest.get(templateId) ?? 0));
  return newest;
}

/** Removes those of one image, before the image itself: without it, nobody could tell the next run which versions were meant. */
export function dropVersions(planned: readonly TemplateVersion[], { launchTemplates }: Ports, report: Reporter) {
  let count = 0;
  return {
    count: () => count,
    async of(imageId: string): Promise<void> {
      for (const version of planned.filter(one => one.imageId === imageId)) {
        await launchTemplates.remove(version);
        count += 1;
        report.info(`version ${version.number} of launch template ${version.templateName} is removed: it names ${imageId}.`);
      }
    },
  };
}
