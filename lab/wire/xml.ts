import type { NormalizedSchema } from '@smithy/core/schema';
import { namesOf } from './schemas.ts';

/** The members of a typed output, as XML without an element around them. */
export function writeMembers(schema: NormalizedSchema, output: object): string {
  if (!schema.isStructSchema()) return '';
  const values = output as Readonly<Record<string, unknown>>;
  return [...schema.structIterator()].map(([name, member]) => write(member, namesOf(member).xmlName ?? name, values[name])).join('');
}

function write(schema: NormalizedSchema, tag: string, value: unknown): string {
  if (value === undefined || value === null) return '';
  if (schema.isStructSchema()) return element(tag, writeMembers(schema, value as object));
  if (schema.isListSchema()) return writeList(schema, tag, value as readonly unknown[]);
  if (schema.isMapSchema()) return writeMap(schema, tag, value as object);
  return element(tag, escaped(scalar(value)));
}

function writeList(schema: NormalizedSchema, tag: string, values: readonly unknown[]): string {
  const item = schema.getValueSchema();
  if (namesOf(schema).xmlFlattened !== undefined) return values.map(value => write(item, tag, value)).join('');
  return element(tag, values.map(value => write(item, namesOf(item).xmlName ?? 'member', value)).join(''));
}

const writeMap = (schema: NormalizedSchema, tag: string, values: object): string =>
  element(
    tag,
    Object.entries(values)
      .map(([key, value]) => element('entry', element('key', escaped(key)) + write(schema.getValueSchema(), 'value', value)))
      .join(''),
  );

function scalar(value: unknown): string {
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  return String(value);
}

export const element = (tag: string, content: string): string => `<${tag}>${content}</${tag}>`;

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', '\r': '&#xD;' };

/** Drops characters that XML 1.0 cannot represent: one such byte of console output would make the whole answer unreadable. */
export const escaped = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters meant
  text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '').replace(/[&<>"\r]/g, found => ENTITIES[found] ?? found);
