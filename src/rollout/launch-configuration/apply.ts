import { RejectedError } from '../../kit/errors.ts';
import { waitFor } from '../../kit/wait.ts';
import { type Launch, sameLaunch } from '../../model/group.ts';
import type { LaunchConfiguration } from '../../model/launch-configuration.ts';
import type { TemplateVersion } from '../../model/template.ts';
import { tolerateTransientErrors } from '../indeterminate.ts';
import type { RolloutDeps, RolloutOrder, RolloutPorts, RolloutState } from '../rollout-state.ts';
import { beforeTag, CONVERTED_FROM, isCopy, madeTag, templateName } from '../rules/configuration.ts';
import { contentOf, differences, templateData } from '../rules/conversion.ts';
import type { GroupPlan } from '../rules/plan.ts';

/** Gives a group on a launch configuration what it launches after the rollout: a template that is equal to it, or a copy with the image. */

interface Context {
  readonly order: RolloutOrder;
  readonly deps: RolloutDeps;
  readonly aws: RolloutPorts;
}

/** The plans with the version 1 that their new version is created from. A template is made once for all groups of one launch configuration. */
export async function convertAll(context: Context): Promise<readonly GroupPlan[]> {
  const made = new Map<string, TemplateVersion>();
  const plans: GroupPlan[] = [];
  for (const plan of context.order.plans) {
    const { facts, action, by, changes } = plan;
    if (facts.configuration === undefined || by !== 'version' || action === 'nothing' || changes.length > 0) {
      plans.push(plan);
      continue;
    }
    const { now } = facts.configuration;
    const from = made.get(now.name) ?? (await convert(now, context));
    made.set(now.name, from);
    plans.push({ ...plan, changes: [{ from, to: from.imageId === context.order.image.id ? from : undefined }] });
  }
  return plans;
}

/** https://docs.aws.amazon.com/autoscaling/ec2/userguide/migrate-to-launch-templates.html */
async function convert(now: LaunchConfiguration, { deps, aws, order }: Context): Promise<TemplateVersion> {
  const name = templateName(now.name);
  const data = { ...templateData(now), ImageId: now.imageId };
  const warnings = await aws.launchConfigurations.createTemplate({
    ...{ name, data, tags: { [CONVERTED_FROM]: now.name } },
    description: `ami-action convert launch configuration ${now.name}: run ${deps.run.url}`,
  });
  if (warnings.length > 0)
    throw new RejectedError(
      `AWS created launch template ${name} from launch configuration ${now.name} with warnings: ${warnings.join('; ')}`,
      {
        next: 'Fix the launch configuration, or set "launch-configurations: keep".',
      },
    );
  const { first, tags } = await readBack(`launch template ${name}`, port => port.template(name), { deps, aws, order });
  if (first === undefined || tags[CONVERTED_FROM] !== now.name) throw new RejectedError(`Another process created launch template ${name}.`);
  const differing = differences(data, contentOf(first));
  if (differing.length > 0)
    throw new RejectedError(`Launch template ${name} differs from launch configuration ${now.name} in ${differing.join(', ')}.`, {
      next: 'Set "launch-configurations: keep", or migrate the group yourself.',
    });
  deps.report.info(`${name}:1 created, equal to launch configuration ${now.name} in every field`);
  return first;
}

/** Answers of AWS may be seconds old: https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html */
function readBack<T>(
  what: string,
  read: (port: RolloutPorts['launchConfigurations']) => Promise<T | undefined>,
  { deps, aws }: Context,
): Promise<T> {
  const poll = tolerateTransientErrors<T>(async () => {
    const value = await read(aws.launchConfigurations);
    return value === undefined ? { state: 'waiting', note: 'AWS does not show it yet' } : { state: 'done', value };
  }, deps);
  return waitFor({ what: `Reading ${what} back`, everySeconds: 5, atMostSeconds: 60, poll }, deps);
}

/** Creates the copy and returns it. The tags on the group come first: they show what is ours, and the way back. */
export async function copyConfiguration(
  { facts: { group, configuration, imageSnapshots }, before }: GroupPlan,
  context: Context,
): Promise<Launch | undefined> {
  const { order, aws, deps } = context;
  if (configuration === undefined || before.kind !== 'configuration') return undefined;
  const { now, ready, copyName } = configuration;
  const { id } = order.image;
  const name = ready?.name ?? copyName;
  await aws.groups.tag(group.name, { [beforeTag(id)]: before.name, ...(ready === undefined ? { [madeTag(id)]: copyName } : {}) });
  if (ready === undefined) await aws.launchConfigurations.copy({ from: now, as: copyName, imageId: id, without: imageSnapshots });
  const found = await readBack(`launch configuration ${name}`, port => port.get(name), context);
  if (!isCopy(found, now, id))
    throw new RejectedError(`Launch configuration ${name} differs from ${now.name} in more than the image.`, {
      next: `Compare: aws autoscaling describe-launch-configurations --launch-configuration-names ${now.name} ${name}`,
    });
  deps.report.info(
    `launch configuration ${name} with ${id} ${ready === undefined ? 'created from' : 'exists already, equal to'} ${now.name}`,
  );
  return { kind: 'configuration', name };
}

/** Right before its refresh, which has no configuration of its own: the group launches the image from here on. */
export async function setConfiguration(plan: GroupPlan, rollout: RolloutState, { groups }: RolloutPorts): Promise<void> {
  const { group } = plan.facts;
  const target = rollout.targets.get(group.name);
  if (plan.by !== 'configuration' || target === undefined) return;
  rollout.templated.push(plan);
  if (!sameLaunch(group.launch, target)) await groups.setLaunch(group.name, target);
}
