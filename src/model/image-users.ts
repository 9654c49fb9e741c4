import { AMI_ID, isParameterReference, referencedParameter } from './patterns.ts';
import { imageSequence, type PointerVersion } from './pointer.ts';

/**
 * What may still launch which image. Facts are the complete answers of AWS; edges follow from them. An extra edge keeps an unused image; a missing edge
 * deletes an image that production boots from.
 */

/** Something that may still launch an image. Every kind forbids a removal; only a known user proves that the image is in use. */
export interface ImageUser {
  /** `unreadable`: an account that the image is shared with cannot be read. `possible`: a usage report is missing. */
  readonly kind: 'known' | 'unreadable' | 'possible';
  /** The subject of a sentence: "group web", "account 111122223333 (shared with it; it cannot be read)". */
  readonly label: string;
}

export const knownUser = (label: string): ImageUser => ({ kind: 'known', label });

/** Image ID, or ID of a snapshot that volumes are created from at launch -> its users. */
export type UsersById = ReadonlyMap<string, readonly ImageUser[]>;

export interface UserFacts {
  readonly instances: readonly InstanceFact[];
  readonly launchers: readonly Launcher[];
  /** Of every template the default and the latest version, and each version that a launcher names by number. */
  readonly versions: readonly VersionFact[];
  readonly parameters: readonly ParameterFact[];
  /** `resolve:ssm:...` -> the value of that parameter now; empty: it does not exist, so nothing can be launched from it. */
  readonly aliases: ReadonlyMap<string, string>;
}

export interface InstanceFact {
  readonly id: string;
  readonly state: string;
  readonly imageId: string;
  readonly group?: string | undefined;
}

/** Something that launches instances at any time: a group, a refresh, a fleet, a launch configuration. */
export interface Launcher {
  /** The subject of a sentence: "group web". */
  readonly user: string;
  readonly group?: string | undefined;
  readonly launches: readonly LaunchSource[];
  /** What it creates additional volumes from. */
  readonly snapshotIds?: readonly string[];
}

export type LaunchSource =
  | { readonly imageId: string }
  /** The template's ID or name; `$Latest`, `$Default` or a number. */
  | { readonly template: string; readonly version: string };

export interface VersionFact {
  readonly templateId: string;
  readonly templateName: string;
  readonly version: number;
  readonly isDefault: boolean;
  readonly isLatest: boolean;
  /** One of the newest versions that `template-depth` keeps. */
  readonly isRecent?: boolean;
  /** Empty: the template names no image. */
  readonly imageId: string;
  readonly snapshotIds?: readonly string[];
  readonly createdBy?: string | undefined;
  readonly createdAt?: Date | undefined;
}

export interface ParameterFact {
  readonly name: string;
  readonly value: string;
  /** Of a pointer: newest first. */
  readonly history: readonly (PointerVersion & { readonly writtenAt?: Date | undefined })[];
}

export interface Edge {
  /** Or the ID of a snapshot that volumes are created from at launch. */
  readonly imageId: string;
  readonly user: string;
  readonly version?: VersionFact;
}

/** The parameters that name the images of a family's environments. */
export interface PointerNames {
  /** How the names begin, up to the first placeholder. */
  readonly prefixes: readonly string[];
  /** Matches the pointer of every environment and the names below it, such as its candidate; those have the group `below`. */
  readonly pattern: RegExp;
  /** The environment of a pointer; undefined where its name has none. */
  environmentOf(name: string): string | undefined;
}

const IMAGE_ID = new RegExp(`\\b${AMI_ID}\\b`, 'g');

export const imageIdsIn = (text: string): string[] => [...new Set(text.match(IMAGE_ID) ?? [])];

/** All users, by image. `rollbackDepth`: how many earlier images of each pointer a rollback can return to. */
export function usersById(facts: UserFacts, rollbackDepth: number): UsersById {
  // A table shows only the first few: the environment comes first, then its group.
  const edges = [
    ...facts.parameters.flatMap(parameter => ofParameter(parameter, rollbackDepth)),
    ...facts.launchers.flatMap(launcher => [...ofLauncher(launcher, facts), ...ofVolumes(launcher.user, launcher)]),
    ...facts.instances.flatMap(ofInstance),
    ...facts.versions.flatMap(version => [...ofVersion(version, facts), ...ofVolumes(formatVersion(version), version)]),
  ];
  const users = new Map<string, Set<string>>();
  for (const { imageId, user } of edges) users.set(imageId, (users.get(imageId) ?? new Set()).add(user));
  return new Map([...users].map(([imageId, labels]) => [imageId, [...labels].map(knownUser)]));
}

/** Users of the image and of its snapshots: a removal deletes both. */
export const usersOf = (
  all: UsersById,
  { id, snapshotIds }: { readonly id: string; readonly snapshotIds: readonly string[] },
): readonly ImageUser[] => [...new Map([id, ...snapshotIds].flatMap(one => all.get(one) ?? []).map(user => [user.label, user])).values()];

const ofVolumes = (user: string, { snapshotIds = [] }: { readonly snapshotIds?: readonly string[] }): Edge[] =>
  snapshotIds.map(snapshotId => ({ imageId: snapshotId, user: `${user}, for a volume from ${snapshotId}` }));

const formatVersion = ({ templateName, version }: VersionFact): string => `launch template ${templateName} version ${version}`;

// A stopped instance can start again. A terminated one cannot; AWS lists it for about an hour.
const ofInstance = ({ id, state, imageId }: InstanceFact): Edge[] =>
  state === 'terminated' ? [] : [{ imageId, user: `instance ${id}${state === 'running' ? '' : ` (${state})`}` }];

export function ofLauncher({ user, launches }: Launcher, facts: UserFacts): Edge[] {
  return launches.flatMap((launch): Edge[] => {
    if ('imageId' in launch) return images(launch.imageId, facts).map(imageId => ({ imageId, user }));
    const version = facts.versions.find(known => isMeant(known, launch));
    if (version === undefined) return [];
    const label = `${user}, by version ${version.version} of launch template ${version.templateName}`;
    return images(version.imageId, facts).map(imageId => ({ imageId, user: label, version }));
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
  const user = `${formatVersion(fact)} (${roles.join(' and ')})`;
  return images(fact.imageId, facts).map(imageId => ({ imageId, user }));
}

/** The current value, and what a rollback can return to: the images that ran before it in sequence, and the last different values. */
function ofParameter({ name, value, history }: ParameterFact, rollbackDepth: number): Edge[] {
  const current = imageIdsIn(value);
  const different = [...new Set(history.flatMap(entry => imageIdsIn(entry.value)))].filter(imageId => !current.includes(imageId));
  const sequence = imageSequence(history).slice(0, -1).reverse().flatMap(imageIdsIn);
  const earlier = new Set([...different.slice(0, rollbackDepth), ...sequence.slice(0, rollbackDepth)]);
  return [
    ...current.map(imageId => ({ imageId, user: `parameter ${name}` })),
    ...[...earlier].map(imageId => ({ imageId, user: `parameter ${name}, to roll back to` })),
  ];
}

/** An image ID, or a parameter that is resolved at launch. */
const images = (spec: string, { aliases }: UserFacts): string[] =>
  imageIdsIn(isParameterReference(spec) ? (aliases.get(spec) ?? '') : spec);

/** All parameters that stand for an image: `resolve:ssm:name`, `:version`, `:label`, or an ARN. Images that AWS publishes are never ours. */
export const aliasesIn = (launchers: readonly Launcher[], versions: readonly VersionFact[]): string[] => {
  const launches = launchers.flatMap(launcher => launcher.launches.flatMap(launch => ('imageId' in launch ? [launch.imageId] : [])));
  const specs = [...launches, ...versions.map(({ imageId }) => imageId)];
  return [...new Set(specs.filter(isParameterReference))].filter(
    alias => !/^(arn:[^/]*:parameter)?\/aws\/service\//.test(referencedParameter(alias)),
  );
};

/** Template -> versions that launchers name by number. */
export function numberedVersions(launchers: readonly Launcher[]): ReadonlyMap<string, readonly string[]> {
  const numbers = new Map<string, Set<string>>();
  for (const launch of launchers.flatMap(({ launches }) => launches)) {
    if ('imageId' in launch || !/^\d+$/.test(launch.version)) continue;
    numbers.set(launch.template, (numbers.get(launch.template) ?? new Set()).add(launch.version));
  }
  return new Map([...numbers].map(([template, versions]) => [template, [...versions]]));
}

/** The names that pointer templates such as `/ami/{family}/{environment}` stand for. A name that is a pointer itself is not below another. */
export function pointerNames(templates: readonly string[], family: string): PointerNames {
  const named = templates.map(template => template.replaceAll('{family}', family));
  const literal = (part: string) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
  const source = (template: string, environment: string) =>
    template
      .split(/(\{environment\}|\{architecture\})/)
      .map(part => (part === '{environment}' ? environment : part === '{architecture}' ? '[^/]+' : literal(part)))
      .join('');
  const one = named.map(template => source(template, '[^/]+')).join('|');
  const each = named.map(template => new RegExp(`^${source(template, '([^/]+)')}$`));
  return {
    prefixes: [...new Set(named.map(template => template.split(/\{(?:environment|architecture)\}/)[0] ?? ''))],
    pattern: new RegExp(`^(?:(?:${one})|(?:${one})(?<below>/.+))$`),
    environmentOf: name => each.flatMap(pattern => pattern.exec(name)?.[1] ?? [])[0],
  };
}
