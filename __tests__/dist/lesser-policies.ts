import type { Statement } from '../../lab/iam/policy.ts';

/** Policies from which one part is taken, to prove that each is needed. */

export type Part = 'action' | 'statement' | 'resource' | 'condition' | 'value of a condition';

interface Lesser {
  readonly what: string;
  /** Position of the statement, and what it is without the part. */
  readonly at: number;
  readonly change: Partial<Statement>;
}

const others = <T>(all: readonly T[], one: T) => all.filter(other => other !== one);
type Changes = (statement: Statement) => readonly (readonly [what: string, change: Partial<Statement>])[];
const CHANGES: Readonly<Record<Part, Changes>> = {
  action: ({ actions }) => actions.map(one => [one, { actions: others(actions, one) }]),
  statement: () => [['statement', { actions: [] }]],
  resource: ({ resources }) => resources.map(one => [one, { resources: others(resources, one) }]),
  condition: ({ conditions }) => conditions.map(one => [`${one.operator} ${one.key}`, { conditions: others(conditions, one) }]),
  'value of a condition': ({ conditions }) =>
    conditions.flatMap(one =>
      others(one.values, '').map(value => {
        const fewer = { ...one, values: others(one.values, value) };
        return [`${one.key} ${value}`, { conditions: conditions.map(other => (other === one ? fewer : other)) }] as const;
      }),
    ),
};

/** Of the statements that allow: every way to take out one part of the kind. */
export const lesser = (policies: readonly Statement[], part: Part): readonly Lesser[] =>
  [...policies.entries()]
    .filter(([, { effect }]) => effect === 'Allow')
    .flatMap(([at, statement]) =>
      CHANGES[part](statement).map(([what, change]) => ({ what: `${at} ${statement.actions[0]} ${what}`, at, change })),
    );

export const changed =
  ({ at, change }: Pick<Lesser, 'at' | 'change'>) =>
  (all: readonly Statement[]): readonly Statement[] =>
    all.map((one, i) => (i === at ? { ...one, ...change } : one));
