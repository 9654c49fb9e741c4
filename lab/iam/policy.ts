import { type Condition, holds, readConditions, writeConditions } from './conditions.ts';
import type { Context } from './context.ts';
import { like, textsOf, withVariables } from './patterns.ts';

/** Policy documents. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html */

export interface Statement {
  readonly effect: 'Allow' | 'Deny';
  readonly actions: readonly string[];
  readonly notActions: readonly string[] | undefined;
  readonly resources: readonly string[];
  readonly notResources: readonly string[] | undefined;
  readonly principals: Readonly<Record<string, readonly string[]>>;
  readonly conditions: readonly Condition[];
}

type Json = Readonly<Record<string, unknown>>;

export function readPolicy(document: unknown): readonly Statement[] {
  const { Statement = [] } = (typeof document === 'string' ? JSON.parse(document) : document) as { Statement?: Json | readonly Json[] };
  return [Statement].flat().map(statement => readStatement(statement as Json));
}

const KEYS = new Set(['Sid', 'Effect', 'Action', 'NotAction', 'Resource', 'NotResource', 'Principal', 'Condition']);

function readStatement(statement: Json): Statement {
  const unknown = Object.keys(statement).find(key => !KEYS.has(key));
  const { Effect, Principal } = statement;
  if (unknown !== undefined || (Effect !== 'Allow' && Effect !== 'Deny'))
    throw new Error(`MalformedPolicyDocument: ${unknown ?? `Effect ${String(Effect)}`}`);
  const optional = (key: string) => (key in statement ? textsOf(statement[key]) : undefined);
  return {
    effect: Effect,
    actions: textsOf(statement['Action']),
    notActions: optional('NotAction'),
    resources: textsOf(statement['Resource']),
    notResources: optional('NotResource'),
    principals: Principal === '*' ? { '*': ['*'] } : mapOf(Principal),
    conditions: readConditions(statement['Condition']),
  };
}

/** The document that `readPolicy` reads. */
export const writePolicy = (statements: readonly Statement[]): string =>
  JSON.stringify({
    Version: '2012-10-17',
    Statement: statements.map(({ effect, actions, principals, conditions }) => ({
      ...{ Effect: effect, Action: actions, Principal: principals },
      Condition: writeConditions(conditions),
    })),
  });

const mapOf = (value: unknown): Readonly<Record<string, readonly string[]>> =>
  Object.fromEntries(Object.entries((value ?? {}) as Json).map(([kind, names]) => [kind, textsOf(names)]));

export interface Question {
  /** `ec2:RunInstances`. */
  readonly action: string;
  /** ARN, or `*` for an action without resources. */
  readonly resource: string;
  readonly context: Context;
}

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html */
export function evaluate(statements: readonly Statement[], question: Question): 'allowed' | 'explicit' | 'implicit' {
  const matching = statements.filter(statement => applies(statement, question));
  if (matching.some(({ effect }) => effect === 'Deny')) return 'explicit';
  return matching.length > 0 ? 'allowed' : 'implicit';
}

function applies(statement: Statement, { action, resource, context }: Question): boolean {
  const { actions, notActions, resources, notResources, conditions } = statement;
  const named = (patterns: readonly string[]) => patterns.some(pattern => like(pattern, action, true));
  const meant = (patterns: readonly string[]) => patterns.some(pattern => like(withVariables(pattern, context), resource));
  const actionFits = notActions === undefined ? named(actions) : !named(notActions);
  const resourceFits = notResources === undefined ? meant(resources) : !meant(notResources);
  return actionFits && resourceFits && holds(conditions, context);
}
