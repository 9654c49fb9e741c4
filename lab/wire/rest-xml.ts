import { parseXML } from '@aws-sdk/xml-builder';
import type { NormalizedSchema } from '@smithy/core/schema';
import { AwsError } from '../operation.ts';
import { namesOf, type Shapes } from './schemas.ts';

/** https://smithy.io/2.0/aws/protocols/aws-restxml-protocol.html: method and path name the operation, path and query hold scalars, the rest is XML. */

type Operation = readonly [9, string, name: string, traits: { readonly http?: readonly [method: string, path: string, status: number] }];

const isOperation = (schema: unknown): schema is Operation => Array.isArray(schema) && schema[0] === 9;

interface Matched {
  readonly operation: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** The operation of a request, with the values in its path. Undefined: AWS has none there. */
export function operationAt(schemas: object, method: string, path: string): Matched | undefined {
  for (const schema of Object.values(schemas)) {
    const [, , operation = '', traits] = isOperation(schema) ? schema : [];
    if (traits?.http === undefined || traits.http[0] !== method) continue;
    const names: string[] = [];
    const pattern = (traits.http[1].split('?')[0] ?? '').replace(/\{(\w+)\+?\}/g, (_, name: string) => {
      names.push(name);
      return '([^/]+)';
    });
    const found = new RegExp(`^${pattern}$`).exec(path);
    if (found === null) continue;
    return { operation, labels: Object.fromEntries(names.map((name, i) => [name, decodeURIComponent(found[i + 1] ?? '')])) };
  }
  return undefined;
}

interface RestRequest {
  readonly labels: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly body: string;
}

/** Typed input. `body`: XML in an element of any name. */
export function readRestXml({ input }: Pick<Shapes, 'input'>, { labels, query, body }: RestRequest): object {
  if (!input.isStructSchema()) return {};
  const document = body === '' ? {} : (Object.values(parsed(body))[0] as Record<string, unknown>);
  const found: Record<string, unknown> = {};
  for (const [name, member] of input.structIterator()) {
    const { httpLabel, httpQuery } = member.getMergedTraits() as { httpLabel?: unknown; httpQuery?: string };
    const value = httpLabel !== undefined ? labels[name] : httpQuery !== undefined ? (query.get(httpQuery) ?? undefined) : document?.[name];
    if (value !== undefined) found[name] = read(member, value);
  }
  return found;
}

function parsed(body: string): Record<string, unknown> {
  try {
    return parseXML(body) as Record<string, unknown>;
  } catch {
    throw new AwsError('InvalidInput', 'Invalid XML ; cvc-complex-type');
  }
}

function read(schema: NormalizedSchema, value: unknown): unknown {
  if (schema.isStructSchema()) {
    const given = value as Record<string, unknown>;
    const found: Record<string, unknown> = {};
    for (const [name, member] of schema.structIterator()) if (given[name] !== undefined) found[name] = read(member, given[name]);
    return found;
  }
  if (schema.isListSchema()) {
    const item = schema.getValueSchema();
    const items = value === '' ? [] : (value as Record<string, unknown>)[namesOf(item).xmlName ?? 'member'];
    return [items ?? []].flat().map(each => read(item, each));
  }
  if (schema.isNumericSchema()) return Number(value);
  return schema.isBooleanSchema() ? value === 'true' : String(value);
}
