import { type HclBlock, parseHcl } from './hcl.ts';
import type { VariableValues } from './variable-values.ts';

/** The amazon sources of a template, and what their attributes come to without Packer. */

/** `undefined`: only Packer can evaluate it. */
export type Resolved = string | readonly string[] | undefined;

export interface TemplateSource {
  /** As `-only` names it, without the name of a build: "amazon-ebs.web", or the name of a JSON builder. */
  readonly name: string;
  readonly type: string;
  /** Expressions as written; for JSON the value, as JSON. Nested blocks by `block.attribute`. */
  readonly attributes: ReadonlyMap<string, string>;
}

/** Sources and local values of all files of a template. */
export interface TemplateModel {
  readonly sources: readonly TemplateSource[];
  readonly locals: ReadonlyMap<string, string>;
}

export function templateModel(texts: readonly string[]): TemplateModel {
  const parsed = texts.map(text => fromJson(text) ?? fromHcl(text));
  return {
    sources: parsed.flatMap(({ sources }) => sources).filter(({ type }) => type.startsWith('amazon-')),
    locals: new Map(parsed.flatMap(({ locals }) => [...locals])),
  };
}

function fromHcl(text: string): TemplateModel {
  const { blocks } = parseHcl(text);
  const of = (type: string) => blocks.filter(block => block.type === type);
  return {
    sources: of('source').map(block => {
      const [type = '', name = ''] = block.labels;
      return { name: `${type}.${name}`, type, attributes: flattened(block) };
    }),
    locals: new Map([
      ...of('locals').flatMap(({ attributes }) => [...attributes].map(([name, { value }]) => [name, value] as const)),
      ...of('local').map(({ labels, attributes }) => [labels[0] ?? '', attributes.get('expression')?.value ?? ''] as const),
    ]),
  };
}

/** Attributes of the body, and of its nested blocks, dynamic ones too. */
export const flattened = ({ attributes, blocks }: HclBlock): ReadonlyMap<string, string> =>
  new Map([
    ...[...attributes].map(([name, { value }]) => [name, value] as const),
    ...blocks.flatMap(block => {
      const isDynamic = block.type === 'dynamic';
      const type = isDynamic ? (block.labels[0] ?? '') : block.type;
      const written = isDynamic ? (block.blocks.find(inner => inner.type === 'content')?.attributes ?? []) : block.attributes;
      return [[`${type}{`, ''] as const, ...[...written].map(([name, { value }]) => [`${type}.${name}`, value] as const)];
    }),
  ]);

/** Legacy JSON, or HCL as JSON; undefined for anything else. */
function fromJson(text: string): TemplateModel | undefined {
  let json: { builders?: unknown; source?: unknown } | null;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  const builders = Array.isArray(json?.builders) ? (json.builders as Record<string, unknown>[]) : [];
  const legacy = builders.map(builder => sourceOf(String(builder['name'] ?? builder['type']), String(builder['type']), builder));
  const bodies = Object.entries((json?.source as Record<string, Record<string, unknown>> | undefined) ?? {}).flatMap(([type, named]) =>
    Object.entries(named).map(([name, block]) => sourceOf(`${type}.${name}`, type, ([block].flat()[0] ?? {}) as Record<string, unknown>)),
  );
  return { sources: [...legacy, ...bodies], locals: new Map() };
}

function sourceOf(name: string, type: string, block: Record<string, unknown>): TemplateSource {
  const nested = Object.entries(block).flatMap(([key, value]) =>
    [value]
      .flat()
      .flatMap(inner =>
        typeof inner === 'object' && inner !== null
          ? [[`${key}{`, ''] as const, ...Object.entries(inner).map(([sub, of]) => [`${key}.${sub}`, JSON.stringify(of)] as const)]
          : [],
      ),
  );
  return { name, type, attributes: new Map([...Object.entries(block).map(([key, of]) => [key, JSON.stringify(of)] as const), ...nested]) };
}

const VARIABLE = /^(?:var\.([\w-]+)|"(?:\$\{\s*var\.([\w-]+)\s*\}|\{\{\s*user\s+[`']?(?:\\")?([\w-]+)(?:\\")?[`']?\s*\}\})")$/;

/** The variable that an expression is, and nothing else; locals are followed. */
export function variableOf(expression: string | undefined, { locals }: TemplateModel, depth = 5): string | undefined {
  if (expression === undefined) return undefined;
  const found = VARIABLE.exec(expression);
  if (found !== null) return found[1] ?? found[2] ?? found[3];
  const local = /^local\.([\w-]+)$/.exec(expression)?.[1];
  return local === undefined || depth === 0 ? undefined : variableOf(locals.get(local), { sources: [], locals }, depth - 1);
}

/** A text, a list of texts, or `undefined` where only Packer can tell. `null` is an empty text. */
export function resolve(expression: string | undefined, values: VariableValues, model: TemplateModel, depth = 5): Resolved {
  if (expression === undefined || depth === 0) return undefined;
  const variable = variableOf(expression, model);
  if (variable !== undefined) return variable in values ? listOrText(values[variable] ?? '') : undefined;
  const local = /^local\.([\w-]+)$/.exec(expression)?.[1];
  if (local !== undefined) return resolve(model.locals.get(local), values, model, depth - 1);
  if (expression === 'null') return '';
  const list = /^\[([\s\S]*)\]$/.exec(expression)?.[1];
  if (list !== undefined) {
    const items = [...list.replace(/(#|\/\/)[^\n]*/g, '').matchAll(/"(?:[^"\\]|\\.)*"|[\w.-]+/g)].map(([item]) =>
      resolve(item, values, model, depth - 1),
    );
    return items.every(item => typeof item === 'string') ? items : undefined;
  }
  const text = /^"((?:[^"\\]|\\.)*)"$/.exec(expression)?.[1];
  return text === undefined || /\$\{|%\{|\{\{/.test(text) ? undefined : text.replace(/\\(["\\])/g, '$1');
}

/** A variable of a list is a text in a var file: `["a", "b"]`. */
const listOrText = (value: string): Resolved =>
  value.trim().startsWith('[') ? [...value.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, item = '']) => item) : value;
