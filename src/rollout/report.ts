import { formatDuration } from '../kit/format.ts';
import { code, table, text } from '../kit/markdown.ts';
import type { Reporter } from '../ports/deps.ts';
import type { RegionResult } from './apply.ts';
import type { RegionPlan } from './region-plans.ts';
import { formatAction, formatGroupState, formatLaunchUses, formatRevert } from './rules/format.ts';
import type { GroupPlan } from './rules/plan.ts';

/** The plan and the result of a promotion, for the log and the job summary. A dry run shows exactly the plan of a real run. */

const joined = (parts: readonly string[]): string => parts.filter(part => part !== '').join('\n\n');

export const reportPlan = (plans: readonly RegionPlan[]): void => plans.forEach(reportRegionPlan);

function reportRegionPlan({ promotion, region, several, deps }: RegionPlan): void {
  const { info, warn, summary } = deps.report;
  const { image, reason, environment, groups, pointer, operation, was } = promotion;
  const title = `${operation === 'promote' ? 'Promote' : 'Roll back to'} ${image.id} in ${environment}`;
  const moves =
    pointer.current?.value === image.id
      ? `already names ${image.id}`
      : `moves from ${pointer.current?.value ?? 'nothing'} when all groups are verified`;
  info(`${title}: ${reason}; replaces ${was ?? 'nothing'}`);
  for (const group of groups) reportGroup(group, info);
  info(`${pointer.name}: ${moves}`);
  for (const warning of promotion.warnings) warn(warning);
  for (const group of groups) for (const warning of group.warnings) warn(`${group.facts.group.name}: ${warning}`);
  summary(
    joined([
      `### ${text(title)}${several ? ` (${region})` : ''}`,
      `${code(image.id)}: ${text(reason)}. Replaces ${was === undefined ? 'nothing' : code(was)}.`,
      groups.length === 0 ? '' : table(['Group', 'Now', 'Action', 'Reason', 'On failure', 'About'], groups.map(planRow)),
      `${code(pointer.name)} ${text(moves)}.`,
      ...promotion.warnings.map(warning => `- ⚠️ ${text(warning)}`),
      ...groups.flatMap(({ facts, warnings }) => warnings.map(warning => `- ⚠️ ${code(facts.group.name)}: ${text(warning)}`)),
    ]),
  );
}

function reportGroup(plan: GroupPlan, info: Reporter['info']): void {
  const { name } = plan.facts.group;
  const revert = formatRevert(plan);
  info(`${name} (${formatLaunchUses(plan.facts)}): ${formatAction(plan)}; ${plan.reason}`);
  info(`${name} has ${formatGroupState(plan.facts)}${revert === '' ? '' : `; on failure, ${revert}`}`);
}

const planRow = (group: GroupPlan): string[] => [
  code(group.facts.group.name),
  `${code(formatLaunchUses(group.facts))} ${text(formatGroupState(group.facts))}`,
  text(formatAction(group)),
  text(group.reason),
  text(formatRevert(group)),
  group.estimatedSeconds === 0 ? '' : formatDuration(group.estimatedSeconds),
];

/** Home last, because each result is put above the others. */
export function reportResult(plans: readonly RegionPlan[], results: readonly RegionResult[]): void {
  for (const [i, plan] of [...plans.entries()].reverse()) if (results[i] !== undefined) reportRegionResult(plan, results[i]);
}

function reportRegionResult({ promotion, region, several, deps }: RegionPlan, { results, moved }: RegionResult): void {
  const { pointer, was, image, environment } = promotion;
  const where = `${text(environment)}${several ? ` (${region})` : ''}`;
  const rows = results.map(({ group, from, to, status, refresh }) => [
    ...[code(group), code(from), code(to), text(status)],
    refresh === undefined ? '' : code(refresh),
  ]);
  deps.report.summary(
    joined([
      moved === undefined ? `### ⏳ ${where}: rollout of ${code(image.id)} in progress` : `### ✅ ${where} runs ${code(image.id)}`,
      rows.length === 0 ? '' : table(['Group', 'Before', 'After', 'Status', 'Refresh'], rows),
      moved === undefined
        ? `The rollout continues in AWS. Run the job again with the same settings: it watches the rollout, verifies it and moves ${code(pointer.name)}.`
        : `${code(pointer.name)} names ${code(image.id)} (version ${moved.version})${was === undefined ? '' : `; it replaces ${code(was)}`}.`,
    ]),
    'above',
  );
}
