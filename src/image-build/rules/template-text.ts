import { REGION } from '../../model/patterns.ts';
/** What the text of a template tells without Packer, which nobody installs to find that there is nothing to build. */

/** The variables of the environment that it asks for: Packer gets them all. In JSON a quotation mark is escaped. */
export const environmentNames = (template: string): readonly string[] =>
  [...template.matchAll(/\benv\s*\(?\s*\\?["`]([A-Za-z_]\w*)\\?["`]/g)].flatMap(([, name]) => name ?? []);

/** A block of one line, or down to the brace that stands as far in as its first word. */
const VARIABLE = /^([ \t]*)variable\s+"?([\w-]+)"?\s*\{(?:([^{}\n]*)\}|([\s\S]*?)\n\1\})/gm;

/** The variables that it calls sensitive. */
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

/** Where it builds or copies to whatever it is asked. */
export const ownRegions = (template: string): readonly string[] =>
  [...template.matchAll(/^[ \t]*"?(?:ami_)?regions?"?\s*[=:]\s*(\[[^\]]*\]|"[^"]*")/gm)].flatMap(([, said = '']) =>
    [...said.matchAll(new RegExp(`"(${REGION})"`, 'g'))].flatMap(([, region]) => region ?? []),
  );

/** Packer is to remove the old image of that name before the new one exists. */
export const removesFirst = (template: string): boolean => /^\s*"?force_de(register|lete_snapshot)"?\s*[=:]\s*"?true/m.test(template);
