/** The name of an image: unique in its account and region, and fixed for its life. */

const PLACEHOLDERS = ['family', 'version', 'timestamp', 'environment', 'commit', 'architecture'] as const;
type Placeholder = (typeof PLACEHOLDERS)[number];
export type NameFacts = Readonly<Record<Placeholder, string | undefined>>;

// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateImage.html
const ALLOWED = /^[A-Za-z0-9()[\] ./\-'@_]+$/;

export type Named = { readonly name: string } | { readonly problem: string };

/** Fills in the placeholders. A missing fact, or a name that AWS refuses, is a problem. */
export function imageName(template: string, facts: NameFacts): Named {
  const used = [...template.matchAll(/\{([^{}]*)\}/g)].map(([, key]) => key ?? '');
  const unknown = used.find(key => !isPlaceholder(key));
  if (unknown !== undefined)
    return { problem: `"name" contains {${unknown}}, which is not one of ${PLACEHOLDERS.map(key => `{${key}}`).join(', ')}` };
  const missing = used.filter(isPlaceholder).find(key => (facts[key] ?? '') === '');
  if (missing !== undefined)
    return { problem: `"name" contains {${missing}}, which has no value: set "${missing}", or remove {${missing}} from "name"` };
  const name = template.replace(/\{([^{}]*)\}/g, (_, key: Placeholder) => facts[key] ?? '');
  return ALLOWED.test(name) && name.length >= 3 && name.length <= 128
    ? { name }
    : { problem: `"name" becomes ${JSON.stringify(name)}, which AWS refuses: 3 to 128 letters, digits and ( ) [ ] . / - ' @ _ or spaces` };
}

const isPlaceholder = (key: string): key is Placeholder => (PLACEHOLDERS as readonly string[]).includes(key);

/** 20260131235959, UTC: sorts as text. */
export const timestamp = (now: number): string => new Date(now).toISOString().replace(/\D/g, '').slice(0, 14);
