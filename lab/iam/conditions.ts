import type { Context } from './context.ts';
import { like, textsOf, withVariables } from './patterns.ts';

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html */
export interface Condition {
  /** `StringLike`, without its prefix and suffix. */
  readonly operator: string;
  readonly set: 'ForAllValues' | 'ForAnyValue' | undefined;
  readonly ifExists: boolean;
  readonly key: string;
  readonly values: readonly string[];
}

const PARTS = /^(?:(ForAllValues|ForAnyValue):)?(.+?)(IfExists)?$/;

export function readConditions(block: unknown): readonly Condition[] {
  return Object.entries((block ?? {}) as Readonly<Record<string, object>>).flatMap(([name, keys]) => {
    const [, set, operator = '', ifExists] = PARTS.exec(name) ?? [];
    if (operator !== 'Null' && !(operator in OPERATORS)) throw new Error(`The lab does not know the condition operator ${name}.`);
    return Object.entries(keys).map(([key, values]) => ({
      ...{ operator, set: set as Condition['set'], ifExists: ifExists !== undefined, key, values: textsOf(values) },
    }));
  });
}

/** The block that `readConditions` reads. */
export function writeConditions(conditions: readonly Condition[]): Readonly<Record<string, object>> {
  const block: Record<string, Record<string, readonly string[]>> = {};
  for (const { operator, set, ifExists, key, values } of conditions) {
    const name = `${set === undefined ? '' : `${set}:`}${operator}${ifExists ? 'IfExists' : ''}`;
    block[name] = { ...block[name], [key]: values };
  }
  return block;
}

type Test = (wanted: string, value: string) => boolean;

const number =
  (compare: (wanted: number, value: number) => boolean): Test =>
  (wanted, value) =>
    compare(Number(wanted), Number(value));
const date =
  (compare: (wanted: number, value: number) => boolean): Test =>
  (wanted, value) =>
    compare(Date.parse(wanted), Date.parse(value));

/** Each of the six parts of an ARN is compared on its own. */
const arnLike: Test = (wanted, value) => {
  const parts = (arn: string) => [...arn.split(':').slice(0, 5), arn.split(':').slice(5).join(':')];
  return parts(value).length === 6 && parts(wanted).every((pattern, i) => like(pattern, parts(value)[i] ?? ''));
};

const equals: Test = (wanted, value) => wanted === value;
const equalsIgnoreCase: Test = (wanted, value) => wanted.toLowerCase() === value.toLowerCase();

/** Positive tests. `negated` operators hold when no value fits. */
const OPERATORS: Readonly<Record<string, { readonly test: Test; readonly negated?: boolean }>> = {
  StringEquals: { test: equals },
  StringNotEquals: { test: equals, negated: true },
  StringEqualsIgnoreCase: { test: equalsIgnoreCase },
  StringNotEqualsIgnoreCase: { test: equalsIgnoreCase, negated: true },
  StringLike: { test: like },
  StringNotLike: { test: like, negated: true },
  ArnEquals: { test: arnLike },
  ArnNotEquals: { test: arnLike, negated: true },
  ArnLike: { test: arnLike },
  ArnNotLike: { test: arnLike, negated: true },
  Bool: { test: equalsIgnoreCase },
  NumericEquals: { test: number((wanted, value) => value === wanted) },
  NumericNotEquals: { test: number((wanted, value) => value === wanted), negated: true },
  NumericLessThan: { test: number((wanted, value) => value < wanted) },
  NumericLessThanEquals: { test: number((wanted, value) => value <= wanted) },
  NumericGreaterThan: { test: number((wanted, value) => value > wanted) },
  NumericGreaterThanEquals: { test: number((wanted, value) => value >= wanted) },
  DateLessThan: { test: date((wanted, value) => value < wanted) },
  DateGreaterThan: { test: date((wanted, value) => value > wanted) },
};

/** All conditions must hold. */
export const holds = (conditions: readonly Condition[], context: Context): boolean => conditions.every(one => holdsOne(one, context));

function holdsOne(condition: Condition, context: Context): boolean {
  const { operator, set, ifExists, key, values } = condition;
  const present = context.get(key.toLowerCase());
  if (operator === 'Null') return values.includes(String(present === undefined));
  const { test, negated = false } = OPERATORS[operator] ?? { test: () => false };
  // A missing key fails a positive operator and passes a negated one, IfExists and ForAllValues.
  // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html
  if (present === undefined || present.length === 0) return set === 'ForAnyValue' ? false : negated || ifExists || set === 'ForAllValues';
  const fits = (value: string) => values.some(wanted => test(withVariables(wanted, context), value)) !== negated;
  return set === 'ForAnyValue' ? present.some(fits) : present.every(fits);
}
