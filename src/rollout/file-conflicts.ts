import type { ConfigFile } from '../kit/config-file.ts';
import type { Problem } from '../kit/errors.ts';
import { kebab, type RawValue, type Settings } from '../kit/settings.ts';
import { DEFAULT_POINTER } from '../model/pointer.ts';
import { rolloutSettings } from './rules/settings.ts';

/** Mistakes of the repository's file that only show when environments are compared: a shared group, a shared pointer, a foreign family. */

type Given = Readonly<Record<string, RawValue>>;

/** Something that only one environment may have. */
interface Claim {
  readonly environment: string;
  /** Equal for two environments that share it. */
  readonly key: string;
  readonly line: number | undefined;
  message(names: string): string;
}

/** `given`: the values under `with:`, of the chosen environment. `settings`: of the mode, because a mode without groups shares none. */
export function fileConflicts(file: ConfigFile, given: Given, chosen: string | undefined, settings: Settings): readonly Problem[] {
  const problemAt = (message: string, line = 1): Problem => ({ message, location: { file: file.path, line } });
  const family = familyConflict(file, given, chosen, settings);
  const problems = family === undefined ? [] : [problemAt(family, file.top.lines.get('family'))];
  if (!('groups' in settings) || given['adopt-groups'] === 'true') return problems;
  const schemas = { groups: rolloutSettings.groups.schema(), tags: rolloutSettings.groupTags.schema() };
  const owners = new Map<string, string>();
  for (const claim of Object.keys(file.environments).flatMap(name => claimsOf(file, name, name === chosen ? given : {}, schemas))) {
    const owner = owners.get(claim.key);
    if (owner === undefined) owners.set(claim.key, claim.environment);
    else if (owner !== claim.environment)
      problems.push(problemAt(claim.message(`${owner} and in ${claim.environment} (${file.path})`), claim.line));
  }
  return problems;
}

/** The groups that the file names, by environment. A name with `{architecture}` stands for both. */
export const groupsByEnvironment = ({ top, environments }: ConfigFile): Readonly<Record<string, readonly string[]>> =>
  Object.fromEntries(
    Object.entries(environments).map(([name, { values }]) => {
      const groups = rolloutSettings.groups.schema().safeParse(filled(values['groups']) ?? filled(top.values['groups'])).data ?? [];
      return [name, groups.flatMap(group => ['x86_64', 'arm64'].map(architecture => group.replaceAll('{architecture}', architecture)))];
    }),
  );

type Schemas = {
  readonly groups: ReturnType<typeof rolloutSettings.groups.schema>;
  readonly tags: ReturnType<typeof rolloutSettings.groupTags.schema>;
};

const APART = 'If they are in two accounts or regions, set "role-to-assume" or "region" in their sections.';

function claimsOf({ top, environments }: ConfigFile, environment: string, given: Given, schemas: Schemas): readonly Claim[] {
  const section = environments[environment];
  const value = (key: string) => filled(given[key]) ?? filled(section?.values[key]) ?? filled(top.values[key]);
  const text = (key: string) => String(value(key) ?? '');
  const line = (key: string) => section?.lines.get(key) ?? top.lines.get(key);
  // Account and region, as far as the file names them: environments in two places share nothing.
  const place = `${text('region')} ${text('role-to-assume')}`;
  const groups = (schemas.groups.safeParse(value('groups')).data ?? []).map(group => ({
    key: `${place} group ${group}`,
    line: line('groups'),
    message: (names: string) => `"${group}" is in "groups" of ${names}: give each environment its own groups. ${APART}`,
  }));
  const tags = Object.entries(schemas.tags.safeParse(value('group-tags')).data ?? {})
    .map(([key, of]) => `${key}=${of}`)
    .sort();
  const tagged = {
    key: `${place} tags ${tags}`,
    line: line('group-tags'),
    message: (names: string) => `"group-tags" (${tags.join(', ')}) is the same in ${names}: give each environment its own groups. ${APART}`,
  };
  const name = String(value('pointer') ?? DEFAULT_POINTER)
    .replaceAll('{family}', text('family'))
    .replaceAll('{environment}', environment);
  const pointer = {
    key: `${place} pointer ${name}`,
    line: line('pointer'),
    message: (names: string) => `"pointer" is the same in ${names}: add {environment} to it. ${APART}`,
  };
  return [...groups, ...(tags.length === 0 ? [] : [tagged]), pointer].map(claim => ({ environment, ...claim }));
}

const filled = (raw: RawValue | undefined): RawValue | undefined => (typeof raw === 'string' && raw.trim() === '' ? undefined : raw);

/** `family` under `with:` while the file's groups or checks are for another family. */
function familyConflict(
  { path, top, environments }: ConfigFile,
  given: Given,
  chosen: string | undefined,
  settings: Settings,
): string | undefined {
  const section = chosen === undefined ? {} : (environments[chosen]?.values ?? {});
  const fromFile = (key: string) => filled(section[key]) ?? filled(top.values[key]);
  const [asked, own] = [filled(given.family), fromFile('family')];
  if (asked === undefined || own === undefined || asked === own) return undefined;
  const borrowed = ['groups', 'groupTags', 'checks']
    .filter(key => key in settings)
    .map(kebab)
    .filter(key => filled(given[key]) === undefined && fromFile(key) !== undefined);
  if (borrowed.length === 0) return undefined;
  const keys = borrowed.map(key => `"${key}"`).join(' and ');
  return `"family" is "${asked}" under "with:", but ${keys} of ${path} ${borrowed.length === 1 ? 'is' : 'are'} for family "${own}": set ${keys} under "with:" too, or "config" to the file of "${asked}"`;
}
