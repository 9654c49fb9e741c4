import { parseSync } from '@swc/core';

/** Puts every mutant of a file into its source at once: `(globalThis.__mutant(7) ? mutant : original)`. One of them is active at a time. */

export interface Mutant {
  readonly id: number;
  readonly file: string;
  readonly line: number;
  readonly original: string;
  readonly mutant: string;
}

interface Node {
  readonly type: string;
  readonly span: { readonly start: number; readonly end: number };
  readonly [key: string]: unknown;
}

interface Insertion {
  readonly at: number;
  /** Outer expressions open first and close last. */
  readonly length: number;
  readonly opens: boolean;
  readonly text: string;
}

const OPPOSITES: Readonly<Record<string, readonly string[]>> = {
  '===': ['!=='],
  '!==': ['==='],
  '<': ['<=', '>='],
  '<=': ['<', '>'],
  '>': ['>=', '<='],
  '>=': ['>', '<'],
  '&&': ['||'],
  '||': ['&&'],
  '??': ['&&'],
  '+': ['-'],
  '-': ['+'],
  '*': ['/'],
  '/': ['*'],
  '%': ['*'],
};
const COMPARES = new Set(['===', '!==', '<', '<=', '>', '>=']);
const METHODS: ReadonlyMap<string, string> = new Map([
  ['some', 'every'],
  ['every', 'some'],
  ['startsWith', 'endsWith'],
  ['endsWith', 'startsWith'],
  ['toLowerCase', 'toUpperCase'],
  ['min', 'max'],
  ['max', 'min'],
]);
/** Calls that are left out. */
const LEFT_OUT = new Set(['filter', 'sort', 'toSorted', 'reverse', 'toReversed', 'slice', 'trim']);
const TYPES = /^(type(Annotation|Params|Parameters|Arguments|Args)|returnType|superTypeParams|implements|specifiers|source)$/;

/** `source` with all its mutants, numbered from `firstId`. */
export function withMutants(file: string, source: string, firstId: number): { readonly code: string; readonly mutants: readonly Mutant[] } {
  const bytes = Buffer.from(source);
  // swc counts bytes from its first token, over all files of the process.
  const module = parseSync(`;${source}`, { syntax: 'typescript', target: 'es2022' }) as unknown as Node;
  const offset = module.span.start + 1;
  const at = (node: Node) => ({ start: node.span.start - offset, end: node.span.end - offset });
  const textOf = (node: Node) => bytes.subarray(at(node).start, at(node).end).toString();
  const mutants: Mutant[] = [];
  const insertions: Insertion[] = [];
  const add = (start: number, original: string, mutant: string): number => {
    const line = bytes.subarray(0, start).toString().split('\n').length;
    mutants.push({ id: firstId + mutants.length, file, line, original, mutant });
    return firstId + mutants.length - 1;
  };
  for (const { node, isTest, mayWrap } of nodesOf(module, textOf)) {
    const { start, end } = at(node);
    const body = node['body'] as Node | undefined;
    if (isFunction(node) && body?.type === 'BlockStatement' && ((body['stmts'] as unknown[] | undefined)?.length ?? 0) > 0) {
      const inside = at(body).start + 1;
      insertions.push({ at: inside, length: 0, opens: true, text: ` if (globalThis.__mutant(${add(inside, '{ ... }', '{}')})) return; ` });
    }
    const wanted = mayWrap ? replacements(node, isTest, textOf) : [];
    if (wanted.length === 0) continue;
    const cases = wanted.map(text => `globalThis.__mutant(${add(start, textOf(node), text)}) ? (${text}) : `).join('');
    insertions.push(
      { at: start, length: end - start, opens: true, text: `(${cases}` },
      { at: end, length: end - start, opens: false, text: ')' },
    );
  }
  insertions.sort((a, b) => a.at - b.at || Number(a.opens) - Number(b.opens) || (a.opens ? b.length - a.length : a.length - b.length));
  let done = 0;
  const parts = insertions.map(({ at: position, text }) => {
    const part = bytes.subarray(done, position).toString() + text;
    done = position;
    return part;
  });
  return { code: parts.join('') + bytes.subarray(done).toString(), mutants };
}

const isFunction = ({ type }: Node) =>
  type === 'ArrowFunctionExpression' || type === 'FunctionDeclaration' || type === 'FunctionExpression';

/** What an expression may become. */
function replacements(node: Node, isTest: boolean, textOf: (node: Node) => string): readonly string[] {
  const operator = String(node['operator'] ?? '');
  switch (node.type) {
    case 'BinaryExpression': {
      const [left, right] = [textOf(node['left'] as Node), textOf(node['right'] as Node)];
      const swapped = (OPPOSITES[operator] ?? []).map(other => `(${left}) ${other} (${right})`);
      return isTest || COMPARES.has(operator) ? [...swapped, 'true', 'false'] : swapped;
    }
    case 'UnaryExpression':
      return operator === '!' ? [textOf(node['argument'] as Node), ...(isTest ? ['true', 'false'] : [])] : [];
    case 'BooleanLiteral':
      return [String(node['value'] === false)];
    case 'StringLiteral':
      return node['value'] === '' ? [] : ["''"];
    case 'TemplateLiteral':
      return ["''"];
    case 'ArrayExpression':
      return (node['elements'] as unknown[]).length === 0 ? [] : ['[]'];
    case 'ObjectExpression':
      return (node['properties'] as unknown[]).length === 0 ? [] : ['{}'];
    case 'CallExpression':
      return [...ofCall(node, textOf), ...(isTest ? ['true', 'false'] : [])];
    default:
      return isTest ? ['true', 'false'] : [];
  }
}

function ofCall(node: Node, textOf: (node: Node) => string): readonly string[] {
  const callee = node['callee'] as Node;
  const name = String((callee['property'] as Node | undefined)?.['value'] ?? '');
  if (callee.type !== 'MemberExpression' || textOf(callee).includes('?.')) return [];
  const object = textOf(callee['object'] as Node);
  if (LEFT_OUT.has(name)) return [object];
  const other = METHODS.get(name);
  return other === undefined ? [] : [`${object}.${other}${textOf(node).slice(textOf(callee).length)}`];
}

interface Visited {
  readonly node: Node;
  /** Decides an `if`, `?:` or loop. */
  readonly isTest: boolean;
  readonly mayWrap: boolean;
}

/** Expressions and functions. Not types, targets of assignments, names of members, nor what a chain of `?.` goes through. */
function* nodesOf(value: unknown, textOf: (node: Node) => string, isTest = false, mayWrap = true): Generator<Visited> {
  if (Array.isArray(value)) {
    for (const item of value) yield* nodesOf(item, textOf);
    return;
  }
  const node = value as Node | null;
  if (typeof node !== 'object' || node === null) return;
  const type = node.type as string | undefined;
  if (type?.startsWith('Ts') && !/^Ts(As|NonNull|Satisfies|ConstAssertion)/.test(type)) return;
  if (type === 'ImportDeclaration' || type === 'ExportNamedDeclaration' || type === 'ExportAllDeclaration') return;
  if (type !== undefined && node.span !== undefined) yield { node, isTest, mayWrap };
  for (const [key, child] of Object.entries(node)) {
    if (TYPES.test(key) || key === 'span') continue;
    const isComputed = (child as Node | null)?.type === 'Computed';
    if ((key === 'key' || key === 'property' || key === 'label') && !isComputed) continue;
    if (type === 'AssignmentExpression' && key === 'left') continue;
    if (type === 'UpdateExpression' || (type === 'NewExpression' && key === 'callee')) continue;
    const tests = key === 'test' && /^(If|While|For|DoWhile|Conditional)/.test(type ?? '');
    // The callee of a call keeps its object, and a chain of `?.` ends as one.
    const isLink =
      key === 'callee' ||
      type === 'OptionalChainingExpression' ||
      (type === 'MemberExpression' && key === 'object' && textOf(child as Node).includes('?.'));
    const isQuasi = key === 'quasis' || key === 'template';
    if (!isQuasi) yield* nodesOf(child, textOf, tests, !isLink);
  }
}
