import { formatCount } from '../../kit/format.ts';
import type { RefreshPreferences } from '../../model/group.ts';
import { formatTemplateUse, type Group, isClassic, isNumbered, usesOf } from '../../model/group.ts';
import { templateName } from './configuration.ts';
import { formatData, templateData } from './conversion.ts';
import type { GroupFacts, LaunchedBy, PlanOptions } from './facts.ts';
import type { GroupAction } from './group-action.ts';
import { greenGroupName, launcherOf } from './group-pair.ts';
import { ownerWarnings } from './ownership.ts';
import { shiftWarnings } from './shift.ts';

type Options = Pick<PlanOptions, 'protectedInstances' | 'standbyInstances' | 'strategy' | 'batchSize'>;

interface Planned {
  readonly by: LaunchedBy;
  readonly action: GroupAction;
  readonly atATime: number;
  /** IDs of the launch templates that get a new version. */
  readonly makes: ReadonlySet<string>;
}

/** What a person should know before the rollout starts, although nothing forbids it. */
export const warningsOf = (facts: GroupFacts, options: Options, planned: Planned): string[] =>
  [
    ...ownerWarnings(facts.group),
    ...keptWarnings(facts.group, options),
    ...replacementWarnings(facts, options, planned),
    ...healthWarnings(facts.group, planned),
    ...launchWarnings(launcherOf(facts), planned),
    ...(planned.action === 'swap' ? shiftWarnings(facts) : []),
    ...configurationWarnings(facts, planned),
  ].filter(warning => warning !== false);

type Warnings = readonly (string | false)[];

function keptWarnings(group: Group, { protectedInstances, standbyInstances, strategy }: Options): Warnings {
  const [shielded, standby] = strategy === 'blue-green' || strategy === 'two-groups' ? [[], []] : [protectedOf(group), standbyOf(group)];
  return [
    shielded.length > 0 &&
      protectedInstances === 'ignore' &&
      `${formatCount(shielded.length, 'protected instance')} ${keeps(shielded)} the current image`,
    shielded.length > 0 &&
      protectedInstances === 'wait' &&
      `${formatCount(shielded.length, 'protected instance')}: AWS waits one hour for the protection to be removed, then the refresh fails`,
    standby.length > 0 &&
      standbyInstances === 'wait' &&
      `${formatCount(standby.length, 'instance')} in standby: AWS waits one hour for the return to service, then the refresh fails`,
    standby.length > 0 &&
      standbyInstances === 'ignore' &&
      `${formatCount(standby.length, 'instance')} in standby ${keeps(standby)} the current image`,
  ];
}

function replacementWarnings(
  { group, versions, imageSnapshots, hooks }: GroupFacts,
  { batchSize }: Options,
  { action, atATime }: Planned,
): Warnings {
  const dropped = [...versions.values()].flatMap(({ snapshotIds }) => snapshotIds).filter(id => imageSnapshots.has(id));
  return [
    dropped.length > 0 &&
      `the launch template names snapshots of the old image (${dropped.join(', ')}); the new version takes the snapshots of the new image`,
    action === 'refresh' &&
      batchSize !== undefined &&
      atATime < Math.min(batchSize, group.desired) &&
      `"batch-size" is ${batchSize}, but AWS takes whole percents only: ${atATime} of ${group.desired} instances are replaced at a time`,
    action === 'refresh' &&
      (group.heaviest ?? 0) >= group.desired &&
      `one instance may count for ${group.heaviest} of the ${group.desired} that it wants: AWS may replace all instances at once`,
    action === 'swap' &&
      hooks.length > 0 &&
      `what completes the lifecycle ${hooks.length === 1 ? 'hook' : 'hooks'} ${hooks.join(', ')} must know ${greenGroupName(group.name)} too, or its instances wait for the timeout`,
  ];
}

function healthWarnings({ targetGroups, balancers = [], healthCheck }: Group, { action }: Planned): Warnings {
  const silent = balancers.filter(balancer => !isClassic(balancer));
  return [
    action === 'refresh' &&
      targetGroups.length + balancers.length > silent.length &&
      !healthCheck.includes('ELB') &&
      'health check type EC2: AWS continues even if new instances get no traffic, and this is detected only after the last replacement. Set the health check type to ELB',
    (action === 'refresh' || action === 'swap') &&
      silent.length > 0 &&
      healthCheck === 'EC2' &&
      `health check type EC2: AWS does not show whether new instances are healthy in ${silent.join(', ')}. Set the health check type to VPC_LATTICE`,
  ];
}

function launchWarnings({ launch }: Group, { by, makes }: Planned): Warnings {
  const moving = usesOf(launch).filter(use => !isNumbered(use));
  const latest = moving.filter(({ version, templateId }) => version === '$Latest' && makes.has(templateId));
  return [
    by === 'pointer' &&
      'the launch template reads the pointer: the pointer moves first, and AWS cannot roll back. On failure the action moves the pointer back and replaces the instances again',
    by === 'version' &&
      moving.length > 0 &&
      `launches from ${moving.map(formatTemplateUse).join(', ')}: the group is pinned to the current version number and stays pinned, because AWS cannot roll back otherwise`,
    latest.length > 0 &&
      `a fleet, compute environment or script that launches ${latest.map(formatTemplateUse).join(', ')} too gets the new image at once: pin it to a version number`,
  ];
}

function configurationWarnings({ configuration }: GroupFacts, { by }: Planned): Warnings {
  if (configuration === undefined) return [];
  const { name } = configuration.now;
  return [
    by === 'configuration' &&
      'launches from a launch configuration: AWS cannot roll back. On failure the action sets the old one and replaces the instances again',
    by === 'version' &&
      `launch configuration ${name} becomes launch template ${templateName(name)}: ${formatData(templateData(configuration.now))}. The group launches from it when the refresh has succeeded`,
  ];
}

const keeps = (instances: readonly unknown[]): string => (instances.length === 1 ? 'keeps' : 'keep');

export const protectedOf = ({ members }: Group): readonly string[] => members.filter(member => member.protected).map(({ id }) => id);

export const standbyOf = ({ members }: Group): readonly string[] => members.filter(({ state }) => state === 'Standby').map(({ id }) => id);

// Boot, registration and health checks of one batch, in addition to the warmup. Only for the estimate of the plan.
const BATCH_SECONDS = 90;

/** Seconds that the rollout takes, for the plan. */
export function estimate(batches: number, preferences: RefreshPreferences, group: Group): number {
  const pauses = preferences.checkpoints.filter(percent => percent < 100).length * (preferences.checkpointDelaySeconds ?? 0);
  const warmUp = preferences.warmUpSeconds ?? group.warmUpSeconds;
  return batches * (BATCH_SECONDS + warmUp) + pauses + preferences.bakeSeconds;
}

/** Terraform does not mark what it manages; teams do, with a tag. */
export const terraformWarnings = (groups: readonly Group[], strategy: PlanOptions['strategy']): string[] =>
  groups.flatMap(({ name, tags }) => {
    const [tag] = Object.entries(tags).filter(([key, value]) => /terraform|opentofu/i.test(`${key}=${value}`));
    if (tag === undefined) return [];
    return [
      `${name} is managed by Terraform (tag ${tag.join('=')}): its next apply launches the old image again, unless the group has "lifecycle { ignore_changes = [launch_template, mixed_instances_policy${strategy === 'two-groups' ? ', min_size, max_size, desired_capacity' : ''}] }" and no "instance_refresh" block`,
    ];
  });
