import type { Template } from './read-template.ts';
import { removesFirst } from './rules/template-text.ts';
import type { BuildOptions } from './settings.ts';

/** What a template does that its user may not expect, before anything is built. Each with the fix. */
export const templateWarnings = ({ texts, facts }: Template, { region, regions }: BuildOptions): readonly string[] => [
  ...regionWarnings(facts, [region, ...regions]),
  ...(texts.some(removesFirst) ? [REMOVES_FIRST] : []),
  ...(facts.sharing.length > 0
    ? [
        `The template shares its images before they are validated: ${facts.sharing.join('; ')}. Remove it, and use mode share after validate.`,
      ]
    : []),
];

const REMOVES_FIRST =
  'The template sets force_deregister or force_delete_snapshot: Packer removes the old image of that name before the new one exists. Remove the flag; mode prune removes unused images.';

function regionWarnings({ regions, regionsFrom }: Template['facts'], settings: readonly string[]): readonly string[] {
  if (regions === undefined || regionsFrom === undefined) return [];
  const others = regions.filter(region => !settings.includes(region));
  const unused = settings.filter(region => !regions.includes(region));
  if (others.length === 0 && unused.length === 0) return [];
  const not = unused.length === 0 ? '' : `, and not in ${unused.join(', ')}`;
  return [
    `The template sets its regions itself (${regionsFrom}): it builds in ${regions.join(', ')}${not}. Existing images are looked for there. Set "region" and "regions" to the same.`,
  ];
}
