import { z } from 'zod';
import { matchesGlob } from '../../kit/glob.ts';

/**
 * What a key policy says to somebody of another account. Only as much of IAM's language as can be decided from here: what depends on more is `unknown`, never
 * a guess. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
 */

const many = <T extends z.ZodType>(one: T) => z.union([one.transform(value => [value]), z.array(one)]);
const strings = () => many(z.string());
const principals = () =>
  z.union([z.literal('*').transform(() => ['*']), z.object({ AWS: strings().optional() }).transform(({ AWS = [] }) => AWS)]);

// Made when a policy is read: most runs read none.
const policySchema = () =>
  z.object({
    Statement: many(
      z.object({
        Sid: z.string().optional(),
        Effect: z.enum(['Allow', 'Deny']),
        Principal: principals().optional(),
        NotPrincipal: principals().optional(),
        Action: strings().optional(),
        NotAction: strings().optional(),
        Condition: z.record(z.string(), z.record(z.string(), many(z.union([z.string(), z.boolean()]).transform(String)))).optional(),
      }),
    ),
  });

export type Statement = z.infer<ReturnType<typeof policySchema>>['Statement'][number];

/** Undefined where it is written in a way that we do not understand. */
export function statementsOf(policy: string): readonly Statement[] | undefined {
  try {
    const parsed = policySchema().safeParse(JSON.parse(policy));
    return parsed.success ? parsed.data.Statement : undefined;
  } catch {
    return undefined;
  }
}

/** Whoever launches an instance in an account, through EC2. */
export interface Caller {
  readonly account: string;
  /** Undefined: somebody of the account. */
  readonly arn?: string | undefined;
  /** What conditions may ask for. A key that is not there cannot be told from here. */
  readonly context: Readonly<Record<string, string>>;
}

export type Answer =
  | { readonly says: 'allowed' | 'silent' }
  | { readonly says: 'denied'; readonly statement: string }
  | { readonly says: 'unknown'; readonly keys: readonly string[] };

/** A Deny outweighs every Allow; what may be a Deny outweighs it too. */
export function ask(statements: readonly Statement[], action: string, caller: Caller): Answer {
  const hits = statements.flatMap((statement, index) => {
    const hit = matches(statement, action, caller);
    return hit === 'no' ? [] : [{ ...hit, effect: statement.Effect, name: statement.Sid ?? `number ${index + 1}` }];
  });
  const denied = hits.find(({ effect, unsure }) => effect === 'Deny' && unsure.length === 0);
  if (denied !== undefined) return { says: 'denied', statement: denied.name };
  const doubtful = hits.filter(({ effect, unsure }) => effect === 'Deny' && unsure.length > 0);
  const allowing = hits.filter(({ effect }) => effect === 'Allow');
  if (allowing.length === 0) return { says: 'silent' };
  if (doubtful.length === 0 && allowing.some(({ unsure }) => unsure.length === 0)) return { says: 'allowed' };
  return { says: 'unknown', keys: [...new Set([...doubtful, ...allowing].flatMap(({ unsure }) => unsure))] };
}

/** `no`, or a match that depends on what stands in `unsure`. */
function matches(statement: Statement, action: string, caller: Caller): 'no' | { readonly unsure: readonly string[] } {
  const { Action, NotAction, Principal, NotPrincipal, Condition = {} } = statement;
  const accountsOf = (patterns: readonly string[]) => patterns.some(pattern => matchesGlob(pattern.toLowerCase(), action.toLowerCase()));
  if (Action === undefined ? NotAction === undefined || accountsOf(NotAction) : !accountsOf(Action)) return 'no';
  const who = Principal === undefined ? notNamed(NotPrincipal, caller) : named(Principal, statement.Effect, caller);
  if (who === false) return 'no';
  const unsure = who === undefined ? ['NotPrincipal'] : [];
  for (const [operator, keys] of Object.entries(Condition)) {
    for (const [key, values] of Object.entries(keys)) {
      const holds = holdsFor(operator, caller.context[key.toLowerCase()], values);
      if (holds === false) return 'no';
      if (holds === undefined) unsure.push(key);
    }
  }
  return { unsure };
}

/** Of whatever partition: one account is in one only. */
export const isOf = (account: string, arn: string): boolean => new RegExp(`^arn:[a-z-]+:iam::${account}:`).test(arn);
const isRoot = (account: string, arn: string): boolean => isOf(account, arn) && arn.endsWith(':root');

/** A whole account is named by its ID or its root. An Allow for anybody of it is one for the account; a Deny for one of its roles is not. */
function named(principal: readonly string[], effect: Statement['Effect'], { account, arn }: Caller): boolean {
  const whole = principal.some(who => who === '*' || who === account || isRoot(account, who) || who === arn);
  return whole || (effect === 'Allow' && arn === undefined && principal.some(who => isOf(account, who)));
}

/** Undefined: an exception is made for some of the account. */
function notNamed(except: readonly string[] | undefined, { account, arn }: Caller): boolean | undefined {
  if (except === undefined) return false;
  if (!except.some(who => who === account || isOf(account, who))) return true;
  return arn !== undefined && !except.includes(arn) ? true : undefined;
}

const OPERATORS: Readonly<Record<string, (value: string, inputs: string) => boolean>> = {
  StringEquals: (value, inputs) => value === inputs,
  StringEqualsIgnoreCase: (value, inputs) => value.toLowerCase() === inputs.toLowerCase(),
  StringLike: (value, inputs) => matchesGlob(inputs, value),
  ArnEquals: (value, inputs) => matchesGlob(inputs, value),
  ArnLike: (value, inputs) => matchesGlob(inputs, value),
  Bool: (value, inputs) => value === inputs.toLowerCase(),
};

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html */
function holdsFor(operator: string, value: string | undefined, inputs: readonly string[]): boolean | undefined {
  const [, not, plain = ''] = /^(?:ForAnyValue:)?(?:(String|Arn)Not)?(\w+?)(?:IfExists)?$/.exec(operator) ?? [];
  const test = OPERATORS[not === undefined ? plain : `${not}${plain}`];
  if (test === undefined || value === undefined) return undefined;
  const found = inputs.some(one => test(value, one));
  return not === undefined ? found : !found;
}
