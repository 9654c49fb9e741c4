import { closest } from 'fastest-levenshtein';
import type { Stack } from '../../model/stack.ts';
import type { RolloutOptions } from './settings.ts';

/** The settings of a stack. */

type FitOptions = Pick<RolloutOptions, 'stack' | 'stackParameter' | 'strategy'> & Readonly<Record<string, unknown>>;

/** Settings that a stack decides for itself. */
const OF_THE_TEMPLATE = [
  ...(['minHealthy', 'maxHealthy', 'checkpoints', 'checkpointDelay', 'alarms', 'batchSize'] as const),
  ...(['protectedInstances', 'standbyInstances'] as const),
];

/** Combinations of settings that cannot work. `named`: groups that are named as well. */
export function stackProblems(options: FitOptions, named: number): readonly (string | false)[] {
  const { stack, stackParameter, strategy } = options;
  const given = OF_THE_TEMPLATE.filter(key => options[key] !== undefined).map(
    key => `"${key.replace(/[A-Z]/g, c => `-${c.toLowerCase()}`)}"`,
  );
  if (stack === undefined) return [stackParameter !== undefined && '"stack-parameter" needs "stack": name the stack'];
  return [
    stackParameter === undefined && '"stack" needs "stack-parameter": the parameter of the stack that holds the image',
    named > 0 && '"stack" takes all groups of the stack: remove "groups" and "group-tags"',
    strategy !== 'rolling' &&
      `"stack" and "strategy: ${strategy}" exclude each other: the update policy of the template decides how instances are replaced`,
    given.length > 0 && `${given.join(', ')} and "stack" exclude each other: set the same in the update policy of the template`,
  ];
}

export const unknownParameter = ({ name, parameters }: Stack, parameter: string): string => {
  const names = parameters.map(each => each.name);
  const hint = names.length === 0 ? '' : `, did you mean "${closest(parameter, names)}"?`;
  return `"stack-parameter": stack ${name} has no parameter "${parameter}"${hint}`;
};
