import type { RefreshPreferences, StartInstanceRefreshCommandInput } from '@aws-sdk/client-auto-scaling';
import { alarmState } from '../cloudwatch/alarms.ts';
import type { Place } from '../place.ts';
import { invalid } from './group.ts';
import type { Group, Recipe, Rules } from './state.ts';

type Range = readonly [name: keyof RefreshPreferences, least: number, most: number];

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_RefreshPreferences.html */
const RANGES: readonly Range[] = [
  ['MinHealthyPercentage', 0, 100],
  ['MaxHealthyPercentage', 100, 200],
  ['InstanceWarmup', 0, 172_800],
  ['CheckpointDelay', 0, 172_800],
  ['BakeTime', 0, 172_800],
];

/** The wording in which AWS query APIs refuse a value. */
const constraint = (value: unknown, member: string, wanted: string) =>
  invalid(`1 validation error detected: Value '${value}' at 'preferences.${member}' failed to satisfy constraint: ${wanted}`);

const uncapitalised = (name: string): string => name.charAt(0).toLowerCase() + name.slice(1);

function checkPreferences(given: RefreshPreferences): void {
  for (const [name, least, most] of RANGES) {
    const value = given[name];
    if (typeof value !== 'number') continue;
    if (value < least) throw constraint(value, uncapitalised(name), `Member must have value greater than or equal to ${least}`);
    if (value > most) throw constraint(value, uncapitalised(name), `Member must have value less than or equal to ${most}`);
  }
  checkPercentages(given);
  checkCheckpoints(given);
  const alarms = given.AlarmSpecification?.Alarms ?? [];
  if (alarms.length > 10) throw constraint(`[${alarms}]`, 'alarmSpecification.alarms', 'Member must have length less than or equal to 10');
}

function checkPercentages({ MinHealthyPercentage: min, MaxHealthyPercentage: max }: RefreshPreferences): void {
  if (max !== undefined && min === undefined)
    throw invalid('MinHealthyPercentage must be specified when MaxHealthyPercentage is specified.');
  if (max !== undefined && min !== undefined && max - min > 100)
    throw invalid('The difference between MaxHealthyPercentage and MinHealthyPercentage cannot be greater than 100.');
}

function checkCheckpoints({ CheckpointPercentages: percents, CheckpointDelay: delay }: RefreshPreferences): void {
  if (delay !== undefined && (percents === undefined || percents.length === 0))
    throw invalid('CheckpointPercentages must be specified when CheckpointDelay is specified.');
  for (const [index, percent] of (percents ?? []).entries()) {
    if (percent < 1 || percent > 100) throw invalid('Each value in CheckpointPercentages must be between 1 and 100.');
    if (index > 0 && percent <= (percents?.[index - 1] ?? 0)) throw invalid('CheckpointPercentages must be unique and in ascending order.');
  }
}

/** Defaults: https://docs.aws.amazon.com/autoscaling/ec2/userguide/understand-instance-refresh-default-values.html */
export function rulesOf(group: Group, given: RefreshPreferences): Rules {
  const { maintenance } = group;
  const fromPolicy = (percent: number | undefined) => (percent === undefined || percent < 0 ? undefined : percent);
  return {
    minHealthy: given.MinHealthyPercentage ?? fromPolicy(maintenance?.MinHealthyPercentage) ?? 90,
    maxHealthy: given.MaxHealthyPercentage ?? fromPolicy(maintenance?.MaxHealthyPercentage),
    warmupSeconds: given.InstanceWarmup ?? group.warmupSeconds ?? group.graceSeconds,
    checkpoints: given.CheckpointPercentages ?? [],
    checkpointSeconds: given.CheckpointDelay ?? 3600,
    bakeSeconds: given.BakeTime ?? 0,
    skipMatching: given.SkipMatching ?? false,
    autoRollback: given.AutoRollback ?? false,
    alarms: given.AlarmSpecification?.Alarms ?? [],
    protectedOnes: given.ScaleInProtectedInstances ?? 'Wait',
    standby: given.StandbyInstances ?? 'Wait',
  };
}

export function checkStart(input: StartInstanceRefreshCommandInput): void {
  const { DesiredConfiguration: desired, Preferences: given = {}, Strategy } = input;
  if (Strategy !== undefined && Strategy !== 'Rolling') throw invalid(`This lab refreshes by Rolling only, not by ${Strategy}.`);
  checkPreferences(given);
  // The exact words: https://github.com/hashicorp/terraform-provider-aws/issues/29830
  if (given.AutoRollback && desired === undefined)
    throw invalid(
      "The request isn't valid. The AutoRollback parameter cannot be set to true when the DesiredConfiguration parameter is empty. Set AutoRollback to false or specify a desired configuration and try again.",
    );
  if (desired === undefined) return;
  if ((desired.LaunchTemplate === undefined) === (desired.MixedInstancesPolicy === undefined))
    throw invalid('DesiredConfiguration must contain either a LaunchTemplate or a MixedInstancesPolicy.');
}

/** https://docs.aws.amazon.com/autoscaling/ec2/userguide/instance-refresh-overview.html: an alarm that is in ALARM or INSUFFICIENT_DATA refuses the start. */
export function checkAlarms(place: Place, names: readonly string[]): void {
  for (const name of names) {
    const state = alarmState(place, name);
    // The refusal is documented, its wording is not.
    if (state === undefined) throw invalid(`The CloudWatch alarm ${name} was not found.`);
    if (state !== 'OK') throw invalid(`The instance refresh cannot start because the CloudWatch alarm ${name} is in the ${state} state.`);
  }
}

/** Whether the group chooses instance types by requirements. Such a group takes no desired configuration and no skip matching. https://docs.aws.amazon.com/autoscaling/ec2/userguide/instance-refresh-overview.html (Limitations) */
export const choosesByRequirements = (recipe: Recipe): boolean =>
  (recipe.MixedInstancesPolicy?.LaunchTemplate?.Overrides ?? []).some(({ InstanceRequirements }) => InstanceRequirements !== undefined);
