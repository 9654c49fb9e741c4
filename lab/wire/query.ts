import type { NormalizedSchema } from '@smithy/core/schema';
import { AwsError } from '../operation.ts';
import { namesOf } from './schemas.ts';

/** `A.B.1=x` as a tree: { A: { B: { 1: x } } }. */
interface Node {
  value?: string;
  used?: boolean;
  readonly children: Map<string, Node>;
}

type Dialect = 'ec2' | 'query';

/** Query string -> typed input. https://smithy.io/2.0/aws/protocols/aws-ec2-query-protocol.html , .../aws-query-protocol.html */
export function readQuery(schema: NormalizedSchema, parameters: URLSearchParams, dialect: Dialect): object {
  const root = grow(parameters, dialect);
  const input = schema.isStructSchema() ? (read(schema, root, dialect) as object) : {};
  const unknown = unread(root, '');
  if (unknown !== undefined) throw new AwsError('UnknownParameter', `The parameter ${unknown} is not recognized`);
  return input;
}

function grow(parameters: URLSearchParams, dialect: Dialect): Node {
  const root: Node = { children: new Map() };
  for (const [key, value] of parameters) {
    if (key === 'Action' || key === 'Version') continue;
    // EC2 treats an empty parameter as absent: Packer sends VpcId= and SubnetId= when it has none.
    if (dialect === 'ec2' && value === '') continue;
    let node = root;
    for (const part of key.split('.')) {
      const child: Node = node.children.get(part) ?? { children: new Map() };
      node.children.set(part, child);
      node = child;
    }
    node.value = value;
  }
  return root;
}

function read(schema: NormalizedSchema, node: Node, dialect: Dialect): unknown {
  node.used = true;
  if (schema.isStructSchema()) return readStruct(schema, node, dialect);
  if (schema.isListSchema()) return readList(schema, node, dialect);
  if (schema.isMapSchema()) return readMap(schema, node, dialect);
  return readScalar(schema, node.value ?? '');
}

function readStruct(schema: NormalizedSchema, node: Node, dialect: Dialect): object {
  const found: Record<string, unknown> = {};
  for (const [name, member] of schema.structIterator()) {
    const { ec2QueryName, xmlName = name } = namesOf(member);
    const child = node.children.get(dialect === 'ec2' ? (ec2QueryName ?? capital(xmlName)) : xmlName);
    if (child !== undefined) found[name] = read(member, child, dialect);
  }
  return found;
}

function readList(schema: NormalizedSchema, node: Node, dialect: Dialect): unknown[] {
  const item = schema.getValueSchema();
  const flat = dialect === 'ec2' || namesOf(schema).xmlFlattened !== undefined;
  const holder = flat ? node : node.children.get(namesOf(item).xmlName ?? 'member');
  if (holder === undefined) return [];
  holder.used = true;
  return [...holder.children].sort(([a], [b]) => Number(a) - Number(b)).map(([, child]) => read(item, child, dialect));
}

function readMap(schema: NormalizedSchema, node: Node, dialect: Dialect): object {
  const entries = node.children.get('entry')?.children ?? new Map<string, Node>();
  return Object.fromEntries(
    [...entries.values()].map(entry => {
      const [key, value] = [entry.children.get('key'), entry.children.get('value')];
      return [String(key && read(schema.getKeySchema(), key, dialect)), value && read(schema.getValueSchema(), value, dialect)];
    }),
  );
}

function readScalar(schema: NormalizedSchema, text: string): unknown {
  if (schema.isNumericSchema()) return Number(text);
  if (schema.isBooleanSchema()) return text.toLowerCase() === 'true';
  if (schema.isTimestampSchema()) return new Date(text);
  if (schema.isBlobSchema()) return new Uint8Array(Buffer.from(text, 'base64'));
  return text;
}

/** The path of a parameter that is in no shape: an error of the caller or of the lab. */
function unread(node: Node, path: string): string | undefined {
  if (node.value !== undefined && node.used !== true) return path;
  for (const [name, child] of node.children) {
    const unknown = unread(child, path === '' ? name : `${path}.${name}`);
    if (unknown !== undefined) return unknown;
  }
  return undefined;
}

const capital = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1);
