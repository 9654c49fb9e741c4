import { concurrently } from '../kit/concurrently.ts';
import { type Group, isOver, type Launch, useKey, usesOf } from '../model/group.ts';
import type { TemplateVersion } from '../model/template.ts';
import type { FailedRollout, RolloutPorts } from './rollout-state.ts';

/** Removes template versions that were made in vain. Only those that we made, and that nobody uses: from one that is gone nothing can be launched. */
export async function removeVersions({ rollout, aws }: FailedRollout): Promise<readonly string[]> {
  const own = new Map(rollout.versions.filter(isOurs).map(version => [useKey(useOf(version)), version]));
  if (own.size === 0) return [];
  const users = await readUsers(aws);
  const left: string[] = [];
  for (const version of own.values()) {
    const used = await usedBy(version, users, aws);
    if (used.length > 0)
      left.push(`${version.templateName}:${version.number} stays: ${used.join(', ')} ${used.length === 1 ? 'uses' : 'use'} it`);
    else await aws.launchTemplates.remove(version);
  }
  return left;
}

const isOurs = ({ description }: TemplateVersion): boolean => description.startsWith('ami-action ');

const useOf = ({ templateId, number }: TemplateVersion) => ({ templateId, version: String(number) });

interface User {
  readonly name: string;
  /** By `useKey`, as it says it: a number, `$Latest` or `$Default`. */
  readonly uses: ReadonlySet<string>;
}

const AT_ONCE = 5;

/** Every group of the account, not only ours: what it launches, what its instances came from, and what a refresh is bringing it. */
async function readUsers({ groups }: RolloutPorts): Promise<readonly User[]> {
  return concurrently(await groups.find({}), AT_ONCE, async group => {
    const active = (await groups.refreshes(group.name)).filter(refresh => !isOver(refresh));
    const launches = [group.launch, ...active.map(({ desired }) => desired)].filter((launch): launch is Launch => launch !== undefined);
    return { name: group.name, uses: new Set([...launches.flatMap(usesOf), ...templatesOf(group)].map(useKey)) };
  });
}

const templatesOf = ({ members }: Group) => members.flatMap(({ template }) => (template === undefined ? [] : [template]));

/** What `$Latest` and `$Default` mean is asked now: somebody may have moved them since the version was made. */
async function usedBy(version: TemplateVersion, users: readonly User[], { launchTemplates }: RolloutPorts): Promise<readonly string[]> {
  const { templateId, number } = version;
  const [latest, byDefault] = await Promise.all(
    ['$Latest', '$Default'].map(moving => launchTemplates.version({ templateId, version: moving })),
  );
  const keys = [
    useKey(useOf(version)),
    ...(latest?.number === number ? [useKey({ templateId, version: '$Latest' })] : []),
    ...(byDefault?.number === number ? [useKey({ templateId, version: '$Default' })] : []),
  ];
  const groups = users.filter(({ uses }) => keys.some(key => uses.has(key))).map(({ name }) => name);
  // The default is what everybody gets who names no version, and not only groups do.
  return byDefault?.number === number ? [...groups, 'whoever launches the default version'] : groups;
}
