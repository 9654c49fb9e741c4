import { parseHcl } from './hcl.ts';

/** The values of variables, as far as the text of a template and its var files says them without Packer. */

export type VariableValues = Readonly<Record<string, string>>;

const parseJson = (text: string): Readonly<Record<string, unknown>> | undefined => {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : {};
  } catch {
    return undefined;
  }
};

const strings = (entries: Readonly<Record<string, unknown>>): VariableValues =>
  Object.fromEntries(
    Object.entries(entries).flatMap(([name, value]) =>
      typeof value === 'string' ? [[name, value]] : Array.isArray(value) ? [[name, JSON.stringify(value)]] : [],
    ),
  );

/** An unquoted HCL value: `"a"` is a; a list stays its text. */
const unquoted = (value: string): string => (value.startsWith('"') ? value.slice(1, -1).replace(/\\(["\\])/g, '$1') : value);

/** The assignments of a var file, HCL or JSON. */
export function varFileValues(text: string): VariableValues {
  const json = parseJson(text);
  if (json !== undefined) return strings(json);
  const known = [...parseHcl(text).attributes].filter(([, { value }]) => /^("(?:[^"\\]|\\.)*"|\[[\s\S]*\])$/.test(value));
  return Object.fromEntries(known.map(([name, { value }]) => [name, unquoted(value)]));
}

/** A block of one line, or to the closing brace with the same indentation. */
const VARIABLE = /^([ \t]*)variable\s+"?([\w-]+)"?\s*\{(?:([^{}\n]*)\}|([\s\S]*?)\n\1\})/gm;

export interface DeclaredVariable {
  readonly name: string;
  readonly isSensitive: boolean;
  /** Undefined where it has none, or one that is not a plain text or list. */
  readonly fallback: string | undefined;
  /** It has a default of any kind. */
  readonly isOptional: boolean;
}

/** The variables that a file of a template declares: HCL, HCL as JSON, or legacy JSON. */
export function declaredVariables(template: string): readonly DeclaredVariable[] {
  const json = parseJson(template);
  if (json === undefined) return [...template.matchAll(VARIABLE)].map(fromHcl);
  const sensitive = json['sensitive-variables'];
  const legacy = Object.entries((json['variables'] as Record<string, unknown> | undefined) ?? {}).map(([name, value]) => ({
    ...{ name, isSensitive: Array.isArray(sensitive) && sensitive.map(String).includes(name) },
    ...{ fallback: typeof value === 'string' ? value : undefined, isOptional: value !== null },
  }));
  const listed = Array.isArray(sensitive) ? sensitive.map(String).filter(name => !legacy.some(variable => variable.name === name)) : [];
  const blocks = Object.entries((json['variable'] as Record<string, unknown> | undefined) ?? {}).map(([name, block]) => {
    const all = [block].flat() as ({ sensitive?: unknown; default?: unknown } | null)[];
    const fallback = all.find(one => one?.default !== undefined)?.default;
    return {
      ...{ name, isSensitive: all.some(one => one?.sensitive === true), isOptional: fallback !== undefined },
      fallback: typeof fallback === 'string' ? fallback : Array.isArray(fallback) ? JSON.stringify(fallback) : undefined,
    };
  });
  return [...legacy, ...listed.map(name => ({ name, isSensitive: true, fallback: undefined, isOptional: false })), ...blocks];
}

function fromHcl([, , name = '', line = '', lines = '']: RegExpMatchArray): DeclaredVariable {
  const body = line + lines;
  const value = /^\s*default\s*=\s*("(?:[^"\\\n]|\\.)*"|\[[^\]]*\])/m.exec(body)?.[1];
  return {
    ...{ name, isSensitive: /^\s*sensitive\s*=\s*true/m.test(body), isOptional: /^\s*default\s*=/m.test(body) },
    fallback: value === undefined ? undefined : unquoted(value),
  };
}

/** The variables that it marks as sensitive. */
export const sensitiveNames = (template: string): readonly string[] =>
  declaredVariables(template).flatMap(({ name, isSensitive }) => (isSensitive ? [name] : []));
