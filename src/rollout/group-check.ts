import { type Group, type TemplateUse, usesOf } from '../model/group.ts';
import { type FactPorts, readGroups } from './facts.ts';
import { activeGroup } from './rules/group-pair.ts';
import { planGroup } from './rules/plan.ts';
import type { RolloutOptions } from './rules/settings.ts';

/** Whether a group could be rolled out, whatever the image. */
export interface GroupCheck {
  readonly name: string;
  readonly templateIds: readonly string[];
  /** Each with its fix. Empty: it can be rolled out. */
  readonly refusals: readonly string[];
  readonly warnings: readonly string[];
}

const ANY_IMAGE = 'ami-0ffffffffffffffff';

/** Plans each group with the image that it launches already. Throws a `UsageError` if a group does not exist. */
export async function checkGroups(options: RolloutOptions & { readonly pointer: string }, aws: FactPorts): Promise<readonly GroupCheck[]> {
  const listed = await aws.groups.find({});
  const first = (options.groups ?? []).flatMap(name => activeGroup(listed, name, options.strategy) ?? [])[0];
  const [use] = first === undefined ? [] : usesOf(first.launch);
  const image = await imageOf(use, first, aws);
  const facts = await readGroups(options, { next: ANY_IMAGE }, aws, { since: Number.POSITIVE_INFINITY, listed });
  // Another image than the current one: with the same one nothing would have to be replaced.
  const next = image === undefined ? undefined : { ...image, id: ANY_IMAGE };
  const pointer = { name: options.pointer, value: undefined, movedAt: undefined };
  return facts.map(fact => {
    const templateIds = [...new Set(usesOf(fact.group.launch).map(({ templateId }) => templateId))];
    const plan = next === undefined ? undefined : planGroup(fact, { ...options, image: next, operation: 'promote', pointer });
    return { name: fact.group.name, templateIds, refusals: plan?.refusals ?? [], warnings: plan?.warnings ?? [] };
  });
}

async function imageOf(
  use: TemplateUse | undefined,
  first: Group | undefined,
  { launchTemplates, launchConfigurations, images }: FactPorts,
) {
  const configuration = first?.launch.kind === 'configuration' ? await launchConfigurations.get(first.launch.name) : undefined;
  const version = use === undefined ? configuration : await launchTemplates.version(use);
  return version === undefined ? undefined : images.get(version.imageId);
}
