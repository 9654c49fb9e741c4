import { formatDuration } from '../kit/format.ts';
import { code, details, table, text } from '../kit/markdown.ts';
import { compareLink } from '../model/compare.ts';
import type { Reporter } from '../ports/deps.ts';
import type { RegionResult } from './region-plans.ts';
import { NO_FACTS, type ReleaseFacts } from './release-facts.ts';
import type { RegionPlan } from './rollout-spec.ts';
import { formatAction, formatGroupState, formatLaunchUses, formatRevert } from './rules/format.ts';
import { formatCommits, groupLink, imageLink, nameOf, parameterLink, versionCell, versionOf } from './rules/format-image.ts';
import { nodeLines, nodeRow } from './rules/node-group-format.ts';
import type { GroupPlan } from './rules/plan.ts';
import { isRead } from './rules/stack.ts';
import { formatStack, stackRows } from './rules/stack-format.ts';
import { stagesChart } from './rules/stages.ts';

/** The plan and the result of a promotion, for the log and the job summary. A dry run shows exactly the plan of a real run. */

const joined = (parts: readonly (string | undefined)[]): string => parts.filter(part => part !== undefined && part !== '').join('\n\n');

/** `web 1.0.0`, or the ID of an image without tags. */
const wasOf = ({ was, replaced, scheme }: RegionPlan): string | undefined =>
  replaced !== undefined && replaced.id === was ? nameOf(replaced, scheme) : was;

/** When the pointer moves. Without groups that is all, and the way back is another move. */
function movesOf(plan: RegionPlan): string {
  const { pointer, image, groups, nodeGroups, stack, operation } = plan;
  const from = pointer.current?.value;
  if (from === image.id) return `already names ${image.id}`;
  const moves = `moves from ${from ?? 'nothing'}`;
  if (groups.length + nodeGroups.length === 0 && stack === undefined)
    return `${moves} at once, and no instance is replaced${operation === 'promote' && from !== undefined ? '; mode "rollback" moves it back' : ''}`;
  return `${moves} ${isRead(plan) ? 'before what reads it is replaced and verified' : 'when all groups are verified'}`;
}

/** Open for a dry run; the result of a real run stands above the folded plan. */
export function reportPlan(plans: readonly RegionPlan[], { isDryRun }: { readonly isDryRun: boolean }): void {
  for (const plan of plans) reportRegionPlan(plan, isDryRun);
}

function reportRegionPlan(plan: RegionPlan, isDryRun: boolean): void {
  const { info, warn, summary } = plan.deps.report;
  const { image, reason, environment, groups, stack, pointer, operation, scheme, warnings, closed } = plan;
  const was = wasOf(plan);
  const moves = movesOf(plan);
  const verb = operation === 'promote' ? 'Promote' : 'Roll back to';
  info(`${verb} ${nameOf(image, scheme)} (${image.id}) in ${environment}: ${reason}; replaces ${plan.was ?? 'nothing'}`);
  for (const group of groups) reportGroup(group, info);
  for (const line of plan.nodeGroups.flatMap(nodeLines)) info(line);
  for (const line of stack === undefined ? [] : formatStack(stack, image.id)) info(line);
  info(`${pointer.name}: ${moves}`);
  for (const brake of closed?.reasons ?? []) info(brake);
  for (const warning of warnings) warn(warning);
  for (const group of groups) for (const warning of group.warnings) warn(`${group.facts.group.name}: ${warning}`);
  const rows = [...groups.map(planRow), ...plan.nodeGroups.map(nodeRow)];
  const body = joined([
    `${code(image.id)}: ${text(reason)}. Replaces ${plan.was === undefined ? 'nothing' : code(plan.was)}.`,
    rows.length === 0 ? '' : table(['Group', 'Now', 'Action', 'Reason', 'On failure', 'About'], rows),
    stack === undefined
      ? ''
      : table(
          ['Stack', 'Change'],
          stackRows(stack, image.id).map(([what, change]) => [text(what), text(change)]),
        ),
    `${code(pointer.name)} ${text(moves)}.`,
    ...(closed?.reasons ?? []).map(brake => `- ⛔ ${text(brake)}`),
    ...warnings.map(warning => `- ⚠️ ${text(warning)}`),
    ...groups.flatMap(group => group.warnings.map(warning => `- ⚠️ ${code(group.facts.group.name)}: ${text(warning)}`)),
  ]);
  const where = plan.several ? ` (${plan.region})` : '';
  const goes = `${environment} would ${operation === 'promote' ? 'go' : 'go back'}${was === undefined ? '' : ` from ${was}`} to ${nameOf(image, scheme)}`;
  const dry = joined([`### 🔍 Dry run: ${text(goes)}${where}`, 'No changes were made.', body]);
  summary(isDryRun ? dry : details(`Plan: ${verb.toLowerCase()} ${nameOf(image, scheme)} in ${environment}${where}`, body));
}

function reportGroup(plan: GroupPlan, info: Reporter['info']): void {
  const { name } = plan.facts.group;
  const revert = formatRevert(plan, plan.facts.idle);
  info(`${name} (${formatLaunchUses(plan.facts)}): ${formatAction(plan)}; ${plan.reason}`);
  info(`${name} has ${formatGroupState(plan.facts)}${revert === '' ? '' : `; on failure, ${revert}`}`);
}

const planRow = (group: GroupPlan): string[] => [
  code(group.facts.group.name),
  `${code(formatLaunchUses(group.facts))} ${text(formatGroupState(group.facts))}`,
  text(formatAction(group)),
  text(group.reason),
  text(formatRevert(group, group.facts.idle)),
  group.estimatedSeconds === 0 ? '' : formatDuration(group.estimatedSeconds),
];

export interface ResultFacts extends ReleaseFacts {
  /** When the rollout began. */
  readonly since: number;
  /** Which checks passed in a region. */
  passedIn?(region: string): string | undefined;
}

/** Home last, because each result is put above the others. */
export function reportResult(plans: readonly RegionPlan[], results: readonly RegionResult[], facts: ResultFacts): void {
  // Of all regions, so they are shown once.
  for (const [i, plan] of [...plans.entries()].reverse())
    if (results[i] !== undefined) reportRegionResult(plan, results[i], { ...facts, ...(i === 0 ? {} : NO_FACTS) });
}

function reportRegionResult(plan: RegionPlan, result: RegionResult, facts: ResultFacts): void {
  const passed = facts.passedIn?.(plan.region);
  const { image, pointer, scheme, replaced, was, operation, deps, region } = plan;
  const rows = result.results.map(({ group, from, to, status, refresh }) => [
    ...[groupLink(group, region), code(from), code(to), text(status)],
    refresh === undefined ? '' : code(refresh),
  ]);
  const { url } = deps.run;
  const compare = operation === 'promote' ? compareLink(replaced, image, scheme, url) : undefined;
  const commits = operation === 'promote' ? formatCommits('Changes', compare, facts.commits) : '';
  deps.report.summary(
    joined([
      titleOf(plan, result),
      byLine(plan, facts),
      table(
        ['', 'Before', 'Now'],
        [
          ['Version', versionCell(replaced, scheme), versionCell(image, scheme)],
          ['Image', was === undefined ? '' : imageLink(was, region), imageLink(image.id, region)],
          ['Pointer', '', `${parameterLink(pointer.name, region)}${result.moved === undefined ? '' : ` version ${result.moved.version}`}`],
          ['Checks', '', passed === undefined ? '' : `✅ ${passed}`],
        ].filter(([, before, now]) => before !== '' || now !== ''),
      ),
      commits,
      facts.stages.length < 2 || result.moved === undefined ? '' : chartOf(plan, facts),
      rows.length === 0 ? '' : table(['Group', 'Before', 'After', 'Status', 'Refresh'], rows),
      ...(result.moved === undefined ? [continues(plan)] : afterwardsOf(plan, facts)),
    ]),
    'above',
  );
}

function byLine({ deps }: RegionPlan, { since, approvers }: ResultFacts): string {
  const { actor, url } = deps.run;
  const approved = approvers.length === 0 ? '' : `, approved by ${approvers.map(text).join(', ')}`;
  const took = formatDuration(Math.round((deps.clock.now() - since) / 1000));
  return [actor === '' ? '' : `by ${text(actor)}${approved}`, took, url === '' ? '' : `[workflow run](${url})`]
    .filter(part => part !== '')
    .join(' · ');
}

const chartOf = ({ image, scheme, deps }: RegionPlan, { stages }: ResultFacts): string =>
  stagesChart(stages, { version: versionOf(image, scheme), at: image.createdAt }, deps.clock.now());

function titleOf(plan: RegionPlan, { moved }: RegionResult): string {
  const { image, environment, operation, scheme, region, several } = plan;
  const where = `${text(environment)}${several ? ` (${region})` : ''}`;
  const [name, was] = [text(nameOf(image, scheme)), wasOf(plan)];
  if (moved === undefined) return `### ⏳ ${where}: rollout of ${name} in progress`;
  if (operation === 'rollback') return `### ↩️ ${where} is back on ${name}${was === undefined ? '' : ` (from ${text(was)})`}`;
  return `### ✅ ${where} now runs ${name}${was === undefined ? '' : ` (was ${text(was)})`}`;
}

const continues = ({ pointer }: RegionPlan): string =>
  `The rollout continues in AWS. Run the job again with the same settings: it watches the rollout, verifies it and moves ${code(pointer.name)}.`;

function afterwardsOf(plan: RegionPlan, { commits }: ResultFacts): readonly string[] {
  const { operation, environment, was, replaced, image, scheme } = plan;
  const name = wasOf(plan);
  if (was === undefined || name === undefined) return ['There is no image before this one to roll back to.'];
  if (operation === 'promote') return [`**To go back:** run mode \`rollback\` for ${text(environment)}. It returns to ${text(name)}.`];
  const over = replaced === undefined ? undefined : compareLink(image, replaced, scheme, plan.deps.run.url);
  const vetoed = replaced === undefined ? name : versionOf(replaced, scheme);
  return [
    `${text(vetoed)} is **vetoed in ${text(environment)}**. To promote it again, set \`lift-veto: true\`. A newer image is not affected.`,
    formatCommits('Rolled back', over, commits),
  ];
}

/** Heading of a failure: "web 1.2.0 did not reach stage. stage runs web 1.0.0, as before". `isReverted`: every group runs what it did before. */
export function failureTitle([home]: readonly RegionPlan[], isReverted: boolean): string | undefined {
  if (home === undefined) return undefined;
  const { image, environment, scheme, operation } = home;
  const name = nameOf(image, scheme);
  const failed = operation === 'promote' ? `${name} did not reach ${environment}` : `${environment} did not go back to ${name}`;
  const state = isReverted ? `${environment} runs ${wasOf(home) ?? 'what it did'}, as before` : `Not everything could be reverted`;
  return `${failed}. ${state}`;
}
