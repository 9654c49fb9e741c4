import type { Group } from '../../model/group.ts';
import type { RegionClients } from '../../ports/deps.ts';
import { beforeTag, copyName, isCopy, madeFor, originalName, templateName } from '../rules/configuration.ts';
import type { ConfigurationFacts } from '../rules/facts.ts';
import type { RolloutInputs } from '../rules/settings.ts';

/** Reads the launch configuration of a group; undefined where it launches from a template. Writes nothing. */
export async function readConfiguration(
  group: Group,
  imageId: string,
  how: RolloutInputs['launchConfigurations'],
  { launchConfigurations: port }: Pick<RegionClients, 'launchConfigurations'>,
): Promise<ConfigurationFacts | undefined> {
  if (group.launch.kind !== 'configuration') return undefined;
  const now = await port.get(group.launch.name);
  if (now === undefined) return undefined;
  const facts = { now, copyName: copyName(group.name, now.name, imageId) };
  if (how === 'convert') return { ...facts, template: await port.template(templateName(now.name)) };
  if (how !== 'keep') return facts;
  const [original, copy, before] = await Promise.all(
    [originalName(now.name), facts.copyName, group.tags[beforeTag(imageId)]].map(name => (name === undefined ? undefined : port.get(name))),
  );
  const isMade = madeFor(group).some(([, name]) => name === facts.copyName);
  const ready = [now, original, isMade ? copy : undefined].find(each => each !== undefined && isCopy(each, now, imageId));
  return { ...facts, ready, before: before?.name, taken: copy !== undefined && ready === undefined };
}
