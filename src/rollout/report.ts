import { formatDuration } from '../kit/format.ts';
import { code, table, text } from '../kit/markdown.ts';
import type { Reporter } from '../ports/deps.ts';
import type { RegionResult } from './apply.ts';
import type { RegionPlan } from './region-plans.ts';
import { formatAction, formatGroupState, formatLaunchUses, formatRevert } from './rules/format.ts';
import type { GroupPlan } from './rules/plan.ts';

/** The plan and the end of a promotion, for the log and for the job summary. A dry run tells exactly the plan of a real one. */

export const reportPlan = (parts: readonly RegionPlan[]): void => parts.forEach(reportRegionPlan);

function reportRegionPlan({ promotion, region, several, deps }: RegionPlan): void {
  const { info, warn, summary } = deps.report;
  const { image, reason, environment, groups, pointer, operation, was } = promotion;
  const title = `${operation === 'promote' ? 'Promote' : 'Roll back to'} ${image.id} in ${environment}`;
  const moves =
    pointer.current?.value === image.id ? 'names it already' : `moves from ${pointer.current?.value ?? 'nothing'} when all is proven`;
  info(`${title}: ${reason}; replaces ${was ?? 'nothing'}`);
  for (const group of groups) reportGroup(group, info);
  info(`${pointer.name}: ${moves}`);
  for (const group of groups) for (const warning of group.warnings) warn(`${group.facts.group.name}: ${warning}`);
  summary(
    [
      `### ${text(title)}${several ? ` (${region})` : ''}`,
      `${code(image.id)}: ${text(reason)}. Replaces ${was === undefined ? 'nothing' : code(was)}.`,
      groups.length === 0 ? '' : table(['Group', 'Now', 'Will', 'Why', 'If it fails', 'About'], groups.map(planRow)),
      `${code(pointer.name)}: ${text(moves)}.`,
      ...groups.flatMap(({ facts, warnings }) => warnings.map(warning => `- ⚠️ ${code(facts.group.name)}: ${text(warning)}`)),
    ]
      .filter(part => part !== '')
      .join('\n\n'),
  );
}

function reportGroup(plan: GroupPlan, info: Reporter['info']): void {
  const { name } = plan.facts.group;
  const back = formatRevert(plan);
  info(`${name} (${formatLaunchUses(plan.facts)}): ${formatAction(plan)}; ${plan.reason}`);
  info(`${name} has ${formatGroupState(plan.facts)}${back === '' ? '' : `; if it fails, ${back}`}`);
}

const planRow = (group: GroupPlan): string[] => [
  code(group.facts.group.name),
  `${code(formatLaunchUses(group.facts))} ${text(formatGroupState(group.facts))}`,
  text(formatAction(group)),
  text(group.reason),
  text(formatRevert(group)),
  group.estimatedSeconds === 0 ? '' : formatDuration(group.estimatedSeconds),
];

export function reportResult(parts: readonly RegionPlan[], ended: readonly RegionResult[]): void {
  // Home is told last: each goes above what stands there.
  for (const [i, part] of [...parts.entries()].reverse()) if (ended[i] !== undefined) reportRegionResult(part, ended[i]);
}

function reportRegionResult({ promotion, region, several, deps }: RegionPlan, { results, moved }: RegionResult): void {
  const { pointer, was, image, environment } = promotion;
  const where = `${text(environment)}${several ? ` (${region})` : ''}`;
  const rows = results.map(({ group, from, to, status, refresh }) => [
    code(group),
    code(from),
    code(to),
    text(status),
    refresh === undefined ? '' : code(refresh),
  ]);
  deps.report.summary(
    [
      moved === undefined ? `### ⏳ ${code(image.id)} is on its way to ${where}` : `### ✅ ${where} runs ${code(image.id)}`,
      rows.length === 0 ? '' : table(['Group', 'Before', 'After', 'Ended', 'Refresh'], rows),
      moved === undefined
        ? `The roll goes on by itself. Run this again with the same settings: it watches, proves and moves ${code(pointer.name)}.`
        : `${code(pointer.name)} names ${code(image.id)} (version ${moved.version})${was === undefined ? '' : `; it replaces ${code(was)}`}.`,
    ]
      .filter(part => part !== '')
      .join('\n\n'),
    'above',
  );
}
