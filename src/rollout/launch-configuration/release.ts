import { type Group, isOver, usesOf } from '../../model/group.ts';
import type { FailedRollout, RolloutPorts } from '../rollout-state.ts';
import { CONVERTED_FROM, launchesAgain, madeFor, templateName, unfinishedTags } from '../rules/configuration.ts';
import type { GroupPlan } from '../rules/plan.ts';

/** Removes what ami-action made and nothing uses: by exact name and our tag, both read right before. */

type Ports = Pick<RolloutPorts, 'groups' | 'launchConfigurations'>;

/** Templates of a conversion that failed. A group whose refresh is still in progress keeps its template. */
export const removeConverted = ({ order, aws }: FailedRollout): Promise<readonly string[]> =>
  removeTemplates(
    order.plans.filter(({ action }) => action !== 'nothing'),
    aws,
  );

async function removeTemplates(plans: readonly GroupPlan[], aws: Ports): Promise<readonly string[]> {
  const names = plans.flatMap(({ facts: { configuration }, by }) =>
    configuration === undefined || by !== 'version' ? [] : [configuration.now.name],
  );
  const kept: string[] = [];
  for (const name of new Set(names)) {
    const template = await aws.launchConfigurations.template(templateName(name));
    if (template?.tags[CONVERTED_FROM] !== name) continue;
    const users = await usersOf(template.templateId, aws);
    if (users.length > 0) kept.push(`launch template ${templateName(name)} stays: ${users.join(', ')} launches from it`);
    else await aws.launchConfigurations.removeTemplate(template.templateId);
  }
  return kept;
}

async function usersOf(templateId: string, { groups }: Ports): Promise<readonly string[]> {
  const users: string[] = [];
  for (const { name, launch } of await groups.find({})) {
    const active = (await groups.refreshes(name)).filter(refresh => !isOver(refresh));
    const launches = [launch, ...active.flatMap(({ desired }) => desired ?? [])];
    if (launches.flatMap(usesOf).some(use => use.templateId === templateId)) users.push(name);
  }
  return users;
}

/** After a revert: only of groups that launch what they did before. The others keep the tag, which shows the next run the way back. */
export const releaseReverted = ({ order, aws }: FailedRollout): Promise<void> =>
  release(order.plans, aws, (group, { before }) => launchesAgain(group, before));

/** After the pointer has moved. A group that still launches from its launch configuration does not need the template of an interrupted run. */
export async function releaseMoved(plans: readonly GroupPlan[], aws: Ports): Promise<void> {
  await release(plans, aws, () => true);
  const unused = plans.filter(({ action, facts }) => action === 'nothing' && facts.configuration?.template !== undefined);
  await removeTemplates(unused, aws);
}

async function release(plans: readonly GroupPlan[], aws: Ports, isSettled: (group: Group, plan: GroupPlan) => boolean): Promise<void> {
  for (const plan of plans.filter(({ by }) => by === 'configuration')) {
    const all = await aws.groups.find({});
    const group = all.find(({ name }) => name === plan.facts.group.name);
    if (group === undefined || !isSettled(group, plan)) continue;
    const isUsed = (name: string) => all.some(({ launch }) => launch.kind === 'configuration' && launch.name === name);
    const unused = madeFor(group).filter(([, name]) => !isUsed(name));
    for (const [, name] of unused) await aws.launchConfigurations.remove(name);
    const over = [...unused.map(([key]) => key), ...unfinishedTags(group)];
    if (over.length > 0) await aws.groups.untag(group.name, over);
  }
}
