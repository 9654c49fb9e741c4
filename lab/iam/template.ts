import { parseDocument, type Tags } from 'yaml';

/** A CloudFormation template with its intrinsic functions resolved. https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html */

export type Value = string | number | boolean | null | undefined | readonly Value[] | { readonly [key: string]: Value };
type Fields = { readonly [key: string]: Value };

export interface Template {
  readonly Parameters?: Readonly<Record<string, Fields>>;
  readonly Conditions?: Fields;
  readonly Mappings?: Fields;
  readonly Resources: Readonly<Record<string, Fields>>;
  readonly Outputs?: Readonly<Record<string, Fields>>;
}

const LONG: Readonly<Record<string, string>> = { Ref: 'Ref', Condition: 'Condition' };
const SHORT = ['Ref', 'Condition', 'Sub', 'GetAtt', 'If', 'Join', 'Split', 'Select', 'Equals', 'Not', 'And', 'Or', 'FindInMap'];

/** `!Sub x` is `{ Fn::Sub: x }`. */
const TAGS: Tags = SHORT.flatMap(name => {
  const long = LONG[name] ?? `Fn::${name}`;
  const tag = `!${name}`;
  return [
    { tag, resolve: (text: string) => ({ [long]: text }) },
    { tag, collection: 'seq' as const, resolve: (value: { toJSON(): unknown }) => ({ [long]: value.toJSON() }) },
  ];
});

export function parseTemplate(text: string): Template {
  const document = parseDocument(text, { customTags: TAGS, logLevel: 'error' });
  const [error] = document.errors;
  if (error !== undefined) throw new Error(`The template cannot be parsed: ${error.message}`);
  return document.toJS() as Template;
}

/** What intrinsic functions refer to. */
export interface Scope {
  /** Parameters, pseudo parameters and resources by name. Throws for an unknown name. */
  ref(name: string): Value;
  attribute(resource: string, name: string): Value;
  condition(name: string): boolean;
  mapping(path: readonly string[]): Value;
}

/** Marks what `AWS::NoValue` removes. */
export const NO_VALUE = Symbol('AWS::NoValue') as never;

export function resolve(value: Value, scope: Scope): Value {
  if (Array.isArray(value)) return value.map(item => resolve(item, scope)).filter(item => item !== NO_VALUE);
  if (typeof value !== 'object' || value === null) return value;
  const [[name = '', argument] = [], ...others] = Object.entries(value as Fields);
  const work = others.length === 0 ? FUNCTIONS[name] : undefined;
  if (work !== undefined) return work(argument, scope);
  if (name.startsWith('Fn::')) throw new Error(`The lab does not know the intrinsic function ${name}.`);
  const members = Object.entries(value as Fields).map(([key, member]) => [key, resolve(member, scope)] as const);
  return Object.fromEntries(members.filter(([, member]) => member !== NO_VALUE));
}

type Work = (argument: Value, scope: Scope) => Value;

const list = (argument: Value, scope: Scope): readonly Value[] => {
  const resolved = resolve(argument, scope);
  if (!Array.isArray(resolved)) throw new Error(`An intrinsic function needs a list, got ${JSON.stringify(resolved)}.`);
  return resolved;
};
const isTrue = (value: Value): boolean => value === true || value === 'true';

const FUNCTIONS: Readonly<Record<string, Work>> = {
  Ref: (name, scope) => scope.ref(String(name)),
  Condition: (name, scope) => scope.condition(String(name)),
  'Fn::GetAtt': (path, scope) => {
    const [resource = '', ...rest] = Array.isArray(path) ? path.map(String) : String(path).split('.');
    return scope.attribute(resource, rest.join('.'));
  },
  'Fn::Base64': (text, scope) => Buffer.from(String(resolve(text, scope))).toString('base64'),
  'Fn::Sub': substitute,
  'Fn::If': (argument, scope) => {
    const [name, yes, no] = argument as readonly Value[];
    return resolve(scope.condition(String(name)) ? yes : no, scope);
  },
  'Fn::Join': (argument, scope) => {
    const [glue, items] = list(argument, scope);
    return (items as readonly Value[]).map(String).join(String(glue));
  },
  'Fn::Split': (argument, scope) => {
    const [glue, text] = list(argument, scope);
    return String(text).split(String(glue));
  },
  'Fn::Select': (argument, scope) => {
    const [index, items] = list(argument, scope);
    return (items as readonly Value[])[Number(index)];
  },
  'Fn::Equals': (argument, scope) => {
    const [a, b] = list(argument, scope);
    return JSON.stringify(a) === JSON.stringify(b);
  },
  'Fn::Not': (argument, scope) => !isTrue(list(argument, scope)[0]),
  'Fn::And': (argument, scope) => list(argument, scope).every(isTrue),
  'Fn::Or': (argument, scope) => list(argument, scope).some(isTrue),
  'Fn::FindInMap': (argument, scope) => scope.mapping(list(argument, scope).map(String)),
};

/** `${Name}`, `${Resource.Attribute}`, `${!Literal}`, and names of a second argument. */
function substitute(argument: Value, scope: Scope): Value {
  const [text, own] = Array.isArray(argument) ? argument : [argument, {}];
  return String(text).replace(/\$\{(!?)([\w:.]+)\}/g, (_, literal: string, name: string) => {
    if (literal !== '') return `\${${name}}`;
    const given = ((own ?? {}) as Fields)[name];
    if (given !== undefined) return String(resolve(given, scope));
    const [resource = '', ...rest] = name.split('.');
    return String(rest.length > 0 ? scope.attribute(resource, rest.join('.')) : scope.ref(name));
  });
}
