import { REGION } from '../../model/patterns.ts';

/** What the text of a template says, without Packer: an unchanged run does not install it. */

/** The environment variables that it reads. In JSON a quotation mark is escaped. */
export const environmentNames = (template: string): readonly string[] =>
  [...template.matchAll(/\benv\s*\(?\s*\\?["`]([A-Za-z_]\w*)\\?["`]/g)].flatMap(([, name]) => name ?? []);

/** A block of one line, or to the closing brace with the same indentation. */
const VARIABLE = /^([ \t]*)variable\s+"?([\w-]+)"?\s*\{(?:([^{}\n]*)\}|([\s\S]*?)\n\1\})/gm;

/** The variables that it marks as sensitive. */
export function sensitiveNames(template: string): readonly string[] {
  const json = parsed(template);
  if (json === undefined)
    return [...template.matchAll(VARIABLE)].flatMap(([, , name = '', line = '', lines = '']) =>
      /^\s*sensitive\s*=\s*true/m.test(line + lines) ? [name] : [],
    );
  const listed = json?.['sensitive-variables'];
  const marked = Object.entries(json?.['variable'] ?? {}).filter(([, block]) => [block].flat().some(isSensitive));
  return [...(Array.isArray(listed) ? listed.map(String) : []), ...marked.map(([name]) => name)];
}

const isSensitive = (block: { readonly sensitive?: unknown } | null | undefined): boolean => block?.sensitive === true;

/** Undefined for HCL. */
function parsed(template: string): Readonly<Record<string, object>> | null | undefined {
  try {
    return JSON.parse(template);
  } catch {
    return undefined;
  }
}

/** Regions that it builds in or copies to regardless of variables. */
export const ownRegions = (template: string): readonly string[] =>
  [...template.matchAll(/^[ \t]*"?(?:ami_)?regions?"?\s*[=:]\s*(\[[^\]]*\]|"[^"]*")/gm)].flatMap(([, value = '']) =>
    [...value.matchAll(new RegExp(`"(${REGION})"`, 'g'))].flatMap(([, region]) => region ?? []),
  );

/** Whether Packer removes the old image of the same name before the new one exists. */
export const removesFirst = (template: string): boolean => /^\s*"?force_de(register|lete_snapshot)"?\s*[=:]\s*"?true/m.test(template);
