import { concurrently } from '../kit/concurrently.ts';
import { type TemplateUse, useKey } from '../model/group.ts';
import type { TemplateVersion } from '../model/template.ts';
import type { RegionClients } from '../ports/deps.ts';
import { contentKey } from './rules/plan.ts';

const AT_ONCE = 5;

/** `current`: what the environment runs, which its template versions probably name. */
export interface Images {
  readonly next: string;
  readonly current?: string | undefined;
}

/**
 * What each use means now, by `useKey`; and the versions with the next image, by template and content: of several equal ones, the newest. One call
 * for a template that the group uses by number, where the environment runs the image of that version.
 */
export async function readVersions(
  uses: readonly TemplateUse[],
  converted: readonly TemplateVersion[],
  { next, current }: Images,
  { launchTemplates }: Pick<RegionClients, 'launchTemplates'>,
) {
  const templates = [...new Set([...uses, ...converted].map(({ templateId }) => templateId))];
  const imageIds = current === undefined || current === next ? [next] : [next, current];
  const found = (await concurrently(templates, AT_ONCE, templateId => launchTemplates.withImages(templateId, imageIds))).flat();
  const known = new Map(found.map(version => [useKey({ ...version, version: String(version.number) }), version]));
  const distinct = new Map(uses.map(use => [useKey(use), use]));
  const used = await concurrently([...distinct.values()], AT_ONCE, async use => {
    const version = known.get(useKey(use)) ?? (await launchTemplates.version(use));
    return version === undefined ? [] : [[useKey(use), version] as const];
  });
  const oldestFirst = found.filter(({ imageId }) => imageId === next).sort((a, b) => a.number - b.number);
  return { versions: new Map(used.flat()), ready: new Map(oldestFirst.map(version => [contentKey(version), version])) };
}
