import { type Group, type TemplateUse, usesOf } from '../model/group.ts';
import { formatNodeGroup } from '../model/node-group.ts';
import { type FactPorts, readGroups } from './facts.ts';
import { planNodeGroups } from './node-group/facts.ts';
import type { PromotionClients } from './rollout-spec.ts';
import { activeGroup } from './rules/group-pair.ts';
import { planGroup } from './rules/plan.ts';
import type { RolloutOptions } from './rules/settings.ts';
import { decideStack } from './rules/stack.ts';
import { readStack } from './stack/plan.ts';

/** Whether a group, or the stack or node group in its place, could be rolled out, whatever the image. */
export interface GroupCheck {
  readonly kind: 'group' | 'stack' | 'node group';
  readonly name: string;
  readonly templateIds: readonly string[];
  /** Each with its fix. Empty: it can be rolled out. */
  readonly refusals: readonly string[];
  readonly warnings: readonly string[];
}

const ANY_IMAGE = 'ami-0ffffffffffffffff';

type CheckOptions = RolloutOptions & { readonly pointer: string };

/** Throws a `UsageError` if a group, the stack or its parameter does not exist. Writes nothing, so a stack gets no change set. */
export const checkAll = async (options: CheckOptions, aws: PromotionClients): Promise<readonly GroupCheck[]> => [
  ...(await (options.stack === undefined ? checkGroups(options, aws) : checkStack(options.stack, options, aws))),
  ...(await checkNodeGroups(options.nodeGroups ?? [], aws)),
];

async function checkStack(name: string, { stackParameter: parameter = '', ...options }: CheckOptions, aws: PromotionClients) {
  const { facts } = await readStack(name, parameter, aws);
  const { refusals, warnings } = decideStack(facts, { ...options, parameter, imageId: ANY_IMAGE, operation: 'promote' });
  return [{ kind: 'stack' as const, name, templateIds: [], refusals, warnings }];
}

async function checkNodeGroups(names: readonly string[], aws: PromotionClients): Promise<readonly GroupCheck[]> {
  return (await planNodeGroups(names, ANY_IMAGE, aws)).map(({ facts: { which, version }, refusals }) => ({
    ...{ kind: 'node group', name: formatNodeGroup(which), refusals, warnings: [] },
    templateIds: version === undefined ? [] : [version.templateId],
  }));
}

/** Plans each group with the image that it launches already. */
async function checkGroups(options: CheckOptions, aws: FactPorts): Promise<readonly GroupCheck[]> {
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
    return { kind: 'group', name: fact.group.name, templateIds, refusals: plan?.refusals ?? [], warnings: plan?.warnings ?? [] };
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
