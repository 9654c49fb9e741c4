import type { Context } from './context.ts';

/** Lists of texts, as a policy may write them: one text, a list, or a list of lists that an intrinsic function left. */
export const textsOf = (value: unknown): readonly string[] =>
  value === undefined ? [] : Array.isArray(value) ? value.flatMap(textsOf) : [String(value)];

/** `*` and `?` are wildcards; IAM has no escape for them but the variables ${*} and ${?}. */
export function like(pattern: string, text: string, ignoreCase = false): boolean {
  const source = pattern.replace(/\$\{[*?$]\}|[*?]|[.+^${}()|[\]\\/]/g, found => {
    if (found === '*') return '[^]*';
    if (found === '?') return '[^]';
    return `\\${found.length > 1 ? found.charAt(2) : found}`;
  });
  return new RegExp(`^${source}$`, ignoreCase ? 'i' : '').test(text);
}

/** Replaces policy variables. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html */
export const withVariables = (pattern: string, context: Context): string =>
  pattern.replace(/\$\{([\w:/.-]+)\}/g, (whole, key: string) => context.get(key.toLowerCase())?.[0] ?? whole);
