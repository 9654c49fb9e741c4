import { AMI_ID, isParameterReference, referencedParameter } from './patterns.ts';
import { imageSequence } from './pointer.ts';

/**
 * Who may still launch which image. Facts are what AWS answered, all of it; edges are what follows from them.
 * An edge too many keeps an image for nothing; an edge too few takes the image away that production boots from.
 */
export interface UserFacts {
  readonly instances: readonly InstanceFact[];
  readonly launchers: readonly Launcher[];
  /** The default and the newest version of every template, and each version that a launcher names by number. */
  readonly versions: readonly VersionFact[];
  readonly parameters: readonly ParameterFact[];
  /** What each `resolve:ssm:...` that stands in place of an image means now. One that means nothing launches nothing. */
  readonly aliases: ReadonlyMap<string, string>;
}

export interface InstanceFact {
  readonly id: string;
  readonly state: string;
  readonly imageId: string;
  /** The Auto Scaling group that it belongs to. */
  readonly group?: string | undefined;
}

/** Something that starts instances whenever it likes: a group, a refresh, a fleet, a launch configuration. */
export interface Launcher {
  /** As the subject of a sentence: "group web". */
  readonly user: string;
  /** Its name, where it is an Auto Scaling group. */
  readonly group?: string | undefined;
  readonly launches: readonly LaunchSource[];
  /** What it makes volumes from, beside those of its image. */
  readonly snapshotIds?: readonly string[];
}

export type LaunchSource =
  | { readonly imageId: string }
  /** By ID or by name, whichever was said; `$Latest`, `$Default` or a number. */
  | { readonly template: string; readonly version: string };

export interface VersionFact {
  readonly templateId: string;
  readonly templateName: string;
  readonly version: number;
  readonly isDefault: boolean;
  readonly isLatest: boolean;
  /** One of the newest that somebody wants kept. */
  readonly isRecent?: boolean;
  /** Empty: the template leaves the image to whoever uses it. */
  readonly imageId: string;
  readonly snapshotIds?: readonly string[];
}

export interface ParameterFact {
  readonly name: string;
  readonly value: string;
  /** For a pointer: its history, newest first. */
  readonly history: readonly { readonly version: number; readonly value: string; readonly description: string }[];
}

/** One reason why an image may still be launched. */
export interface Edge {
  /** Or the ID of a snapshot that volumes are made from at launch. */
  readonly imageId: string;
  readonly user: string;
}

/** The parameters that name the images of a family's environments. */
export interface PointerNames {
  /** Fits the pointer of every environment, and what stands below it: its candidate. The group `below` tells the two apart. */
  readonly pattern: RegExp;
}

const IMAGE_ID = new RegExp(`\\b${AMI_ID}\\b`, 'g');

export const imageIdsIn = (text: string): string[] => [...new Set(text.match(IMAGE_ID) ?? [])];

/** Every edge, grouped by image. `rollbackDepth`: how many earlier images of each pointer stay, for a rollback to go back to. */
export function whoUses(facts: UserFacts, rollbackDepth: number): ReadonlyMap<string, readonly string[]> {
  // What tells most comes first, since a table shows only the first few: the environment, then its group.
  const edges = [
    ...facts.parameters.flatMap(parameter => ofParameter(parameter, rollbackDepth)),
    ...facts.launchers.flatMap(launcher => [...ofLauncher(launcher, facts), ...ofVolumes(launcher.user, launcher)]),
    ...facts.instances.flatMap(ofInstance),
    ...facts.versions.flatMap(version => [...ofVersion(version, facts), ...ofVolumes(sayVersion(version), version)]),
  ];
  const users = new Map<string, Set<string>>();
  for (const { imageId, user } of edges) users.set(imageId, (users.get(imageId) ?? new Set()).add(user));
  return new Map([...users].map(([imageId, all]) => [imageId, [...all]]));
}

/** An image is used where it is launched, and where volumes are made from one of its snapshots: removing it takes these along. */
export const usersOf = (
  all: ReadonlyMap<string, readonly string[]>,
  { id, snapshotIds }: { readonly id: string; readonly snapshotIds: readonly string[] },
): readonly string[] => [...new Set([id, ...snapshotIds].flatMap(one => all.get(one) ?? []))];

const ofVolumes = (user: string, { snapshotIds = [] }: { readonly snapshotIds?: readonly string[] }): Edge[] =>
  snapshotIds.map(snapshotId => ({ imageId: snapshotId, user: `${user}, for a volume from ${snapshotId}` }));

const sayVersion = ({ templateName, version }: VersionFact): string => `launch template ${templateName} version ${version}`;

// A stopped instance starts again; a terminated one, which AWS still lists for an hour, never does.
const ofInstance = ({ id, state, imageId }: InstanceFact): Edge[] =>
  state === 'terminated' ? [] : [{ imageId, user: `instance ${id}${state === 'running' ? '' : ` (${state})`}` }];

export function ofLauncher({ user, launches }: Launcher, facts: UserFacts): Edge[] {
  return launches.flatMap((launch): Edge[] => {
    if ('imageId' in launch) return images(launch.imageId, facts).map(imageId => ({ imageId, user }));
    const version = facts.versions.find(known => isMeant(known, launch));
    if (version === undefined) return [];
    const how = `${user}, by version ${version.version} of launch template ${version.templateName}`;
    return images(version.imageId, facts).map(imageId => ({ imageId, user: how }));
  });
}

function isMeant(known: VersionFact, { template, version }: { template: string; version: string }): boolean {
  if (known.templateId !== template && known.templateName !== template) return false;
  if (version === '$Latest') return known.isLatest;
  return version === '$Default' || version === '' ? known.isDefault : String(known.version) === version;
}

function ofVersion(fact: VersionFact, facts: UserFacts): Edge[] {
  const roles = [...(fact.isDefault ? ['default'] : []), ...(fact.isLatest ? ['latest'] : []), ...(fact.isRecent ? ['recent'] : [])];
  if (roles.length === 0) return [];
  const user = `${sayVersion(fact)} (${roles.join(' and ')})`;
  return images(fact.imageId, facts).map(imageId => ({ imageId, user }));
}

/** The current value, and what a rollback may go back to: the images that ran before it, in turn, and the last different values whatever the deed was. */
function ofParameter({ name, value, history }: ParameterFact, rollbackDepth: number): Edge[] {
  const current = imageIdsIn(value);
  const different = [...new Set(history.flatMap(entry => imageIdsIn(entry.value)))].filter(imageId => !current.includes(imageId));
  const inTurn = imageSequence(history).slice(0, -1).reverse().flatMap(imageIdsIn);
  const earlier = new Set([...different.slice(0, rollbackDepth), ...inTurn.slice(0, rollbackDepth)]);
  return [
    ...current.map(imageId => ({ imageId, user: `parameter ${name}` })),
    ...[...earlier].map(imageId => ({ imageId, user: `parameter ${name}, to roll back to` })),
  ];
}

/** What stands in place of an image ID: the ID itself, or a parameter that is looked up at launch. */
const images = (said: string, { aliases }: UserFacts): string[] =>
  imageIdsIn(isParameterReference(said) ? (aliases.get(said) ?? '') : said);

/** Every parameter that stands in place of an image: `resolve:ssm:name`, `:version`, `:label`, or with an ARN. AWS's own images are never ours. */
export const aliasesIn = (launchers: readonly Launcher[], versions: readonly VersionFact[]): string[] => {
  const said = [
    ...launchers.flatMap(({ launches }) => launches.flatMap(launch => ('imageId' in launch ? [launch.imageId] : []))),
    ...versions.map(({ imageId }) => imageId),
  ];
  return [...new Set(said.filter(isParameterReference))].filter(
    alias => !/^(arn:[^/]*:parameter)?\/aws\/service\//.test(referencedParameter(alias)),
  );
};

/** Versions that launchers name by number, by template: neither default nor newest, yet launched from. */
export function numberedVersions(launchers: readonly Launcher[]): ReadonlyMap<string, readonly string[]> {
  const numbers = new Map<string, Set<string>>();
  for (const launch of launchers.flatMap(({ launches }) => launches)) {
    if ('imageId' in launch || !/^\d+$/.test(launch.version)) continue;
    numbers.set(launch.template, (numbers.get(launch.template) ?? new Set()).add(launch.version));
  }
  return new Map([...numbers].map(([template, versions]) => [template, [...versions]]));
}

/** `/ami/{family}/{environment}` and its like as the names that they may stand for. What may be a pointer itself is not something below another. */
export function pointerNames(templates: readonly string[], family: string): PointerNames {
  const one = templates
    .map(template => template.replaceAll('{family}', family).split(/\{(?:environment|architecture)\}/))
    .map(parts => parts.map(part => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')).join('[^/]+'))
    .join('|');
  return { pattern: new RegExp(`^(?:(?:${one})|(?:${one})(?<below>/.+))$`) };
}
