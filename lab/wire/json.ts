import type { NormalizedSchema } from '@smithy/core/schema';

/** JSON 1.1 -> typed input: blobs are base64, times are seconds. https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html */
export function readJson(schema: NormalizedSchema, value: unknown): unknown {
  if (value === null || value === undefined) return undefined;
  if (schema.isBlobSchema()) return new Uint8Array(Buffer.from(String(value), 'base64'));
  if (schema.isTimestampSchema()) return new Date(typeof value === 'number' ? value * 1000 : String(value));
  return walk(schema, value, readJson);
}

/** Typed output -> what JSON.stringify takes. */
export function writeJson(schema: NormalizedSchema, value: unknown): unknown {
  if (value === null || value === undefined) return undefined;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (value instanceof Date) return value.getTime() / 1000;
  return walk(schema, value, writeJson);
}

function walk(schema: NormalizedSchema, value: unknown, each: (schema: NormalizedSchema, value: unknown) => unknown): unknown {
  if (schema.isStructSchema()) {
    const values = value as Readonly<Record<string, unknown>>;
    const members = [...schema.structIterator()].map(([name, member]) => [name, each(member, values[name])] as const);
    return Object.fromEntries(members.filter(([, member]) => member !== undefined));
  }
  if (schema.isListSchema()) return (value as readonly unknown[]).map(item => each(schema.getValueSchema(), item));
  if (schema.isMapSchema()) {
    return Object.fromEntries(Object.entries(value as object).map(([key, item]) => [key, each(schema.getValueSchema(), item)]));
  }
  return value;
}
