import { imageIdsIn, type Launcher, ofLauncher, type ParameterFact, type PointerNames, type UserFacts } from '../../model/image-users.ts';
import { isParameterReference, referencedParameter } from '../../model/patterns.ts';
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

/** The groups that the file names, by environment. */
export type EnvironmentGroups = Readonly<Record<string, readonly string[]>>;

export const environmentsOf = (facts: UserFacts, pointers: PointerNames, named: EnvironmentGroups = {}): readonly Environment[] => {
  const environments = pointedOf(facts, pointers);
  return environments.map(environment => ({
    ...environment,
    groups: groupsOf(environment, facts, launcher => ownersOf(launcher, environments, facts, named)),
  }));
};

const pointedOf = (facts: UserFacts, pointers: PointerNames): readonly Omit<Environment, 'groups'>[] =>
  facts.parameters
    .filter(({ name }) => pointers.pattern.test(name) && pointers.pattern.exec(name)?.groups?.['below'] === undefined)
    .flatMap(({ name, value, history }) =>
      imageIdsIn(value).map(imageId => ({
        name: pointers.environmentOf(name) ?? name,
        pointer: name,
        imageId,
        previousId: previousImageId(history),
        ...lastWrite(value, history),
      })),
    );

/** The write that made it current: a later one of the same value changed nothing. */
function lastWrite(value: string, history: ParameterFact['history']): Pick<Environment, 'since' | 'run'> {
  const other = history.findIndex(entry => entry.value !== value);
  const first = history.slice(0, other < 0 ? history.length : other).at(-1);
  return { since: first?.writtenAt, run: first === undefined ? undefined : runOf(first.description) };
}

type Pointed = Omit<Environment, 'groups'>;

/**
 * The environments of a group: whose pointer its launch template reads, or which the file names it for. Empty where neither is known: then the image
 * that it launches shows where it belongs.
 */
export function ownersOf<E extends Pick<Pointed, 'name' | 'pointer'>>(
  launcher: Launcher,
  environments: readonly E[],
  facts: UserFacts,
  named: EnvironmentGroups,
): readonly E[] {
  const read = ofLauncher(launcher, facts).flatMap(({ version }) =>
    version === undefined || !isParameterReference(version.imageId) ? [] : [referencedParameter(version.imageId)],
  );
  const reading = environments.filter(({ pointer }) => read.some(name => name === pointer || name.endsWith(`:parameter${pointer}`)));
  if (reading.length > 0) return reading;
  const names = [launcher.group, launcher.group?.replace(GREEN, '')];
  return environments.filter(({ name }) => named[name]?.some(group => names.includes(group)));
}

/** Blue-green replaces a group by one with this end. */
const GREEN = /-green$/;

const groupsOf = (
  { imageId, pointer }: Pointed,
  facts: UserFacts,
  owners: (launcher: Launcher) => readonly Pointed[],
): Environment['groups'] =>
  facts.launchers.flatMap(launcher => {
    const { group: name } = launcher;
    if (name === undefined || !ofLauncher(launcher, facts).some(edge => edge.imageId === imageId)) return [];
    const own = owners(launcher);
    if (own.length > 0 && !own.some(owner => owner.pointer === pointer)) return [];
    const running = facts.instances.filter(({ group, state, imageId: runs }) => group === name && state === 'running' && runs === imageId);
    return [{ name, instances: running.length }];
  });
