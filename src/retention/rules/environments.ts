import { imageIdsIn, ofLauncher, type ParameterFact, type PointerNames, type UserFacts } from '../../model/image-users.ts';
import { previousImageId, runOf } from '../../model/pointer.ts';

/** What an environment runs, since when and by which run, as its pointer and the history of that say. */
export interface Environment {
  /** Its name, or that of its pointer where the name has no environment. */
  readonly name: string;
  readonly pointer: string;
  readonly imageId: string;
  readonly previousId: string | undefined;
  /** Undefined where the history does not show it. */
  readonly since: Date | undefined;
  /** The URL of the run that promoted it. Undefined: another process wrote the pointer. */
  readonly run: string | undefined;
  /** Groups that launch it, each with its instances that run it. */
  readonly groups: readonly { readonly name: string; readonly instances: number }[];
}

export const environmentsOf = (facts: UserFacts, pointers: PointerNames): readonly Environment[] =>
  facts.parameters
    .filter(({ name }) => pointers.pattern.test(name) && pointers.pattern.exec(name)?.groups?.['below'] === undefined)
    .flatMap(({ name, value, history }) =>
      imageIdsIn(value).map(imageId => ({
        name: pointers.environmentOf(name) ?? name,
        pointer: name,
        imageId,
        previousId: previousImageId(history),
        ...lastWrite(value, history),
        groups: groupsOf(imageId, facts),
      })),
    );

/** The write that made it current: a later one of the same value changed nothing. */
function lastWrite(value: string, history: ParameterFact['history']): Pick<Environment, 'since' | 'run'> {
  const other = history.findIndex(entry => entry.value !== value);
  const first = history.slice(0, other < 0 ? history.length : other).at(-1);
  return { since: first?.writtenAt, run: first === undefined ? undefined : runOf(first.description) };
}

const groupsOf = (imageId: string, facts: UserFacts): Environment['groups'] =>
  facts.launchers.flatMap(launcher => {
    const { group: name } = launcher;
    if (name === undefined || !ofLauncher(launcher, facts).some(edge => edge.imageId === imageId)) return [];
    const running = facts.instances.filter(({ group, state, imageId: runs }) => group === name && state === 'running' && runs === imageId);
    return [{ name, instances: running.length }];
  });
