import { usesOf } from '../../domain/roll/group.ts';
import { twinName } from '../../domain/roll/pair.ts';
import { type GroupPlan, sayNow } from '../../domain/roll/plan.ts';
import { sayDuration } from '../../kit/duration.ts';
import { code, table, text } from '../../kit/markdown.ts';
import type { Delivered } from './deliver.ts';
import type { Part } from './parts.ts';

/** The plan and the end of a promotion, for the log and for the job summary. A dry run tells exactly the plan of a real one. */

export const tellPlan = (parts: readonly Part[]): void => parts.forEach(tellPart);

function tellPart({ promotion, region, several, world }: Part): void {
  const { info, warn, summary } = world.report;
  const { image, because, environment, groups, refusals, pointer, deed, was } = promotion;
  const title = `${deed === 'promote' ? 'Promote' : 'Roll back to'} ${image.id} in ${environment}`;
  const moves =
    pointer.current?.value === image.id ? 'names it already' : `moves from ${pointer.current?.value ?? 'nothing'} when all is proven`;
  info(`${title}: ${because}; replaces ${was ?? 'nothing'}`);
  for (const group of groups) info(`${group.facts.group.name} (${sayNowAll(group)}): ${sayDeed(group)}; ${group.because}`);
  info(`${pointer.name}: ${moves}`);
  for (const group of groups) for (const warning of group.warnings) warn(`${group.facts.group.name}: ${warning}`);
  summary(
    [
      `### ${text(title)}${several ? ` (${region})` : ''}`,
      `${code(image.id)}: ${text(because)}. Replaces ${was === undefined ? 'nothing' : code(was)}.`,
      groups.length === 0 ? '' : table(['Group', 'Now', 'Will', 'Why', 'About'], groups.map(planRow)),
      `${code(pointer.name)}: ${text(moves)}.`,
      ...groups.flatMap(({ facts, warnings }) => warnings.map(warning => `- ⚠️ ${code(facts.group.name)}: ${text(warning)}`)),
      ...refusals.map(refusal => `- ❌ ${text(refusal)}`),
    ]
      .filter(part => part !== '')
      .join('\n\n'),
  );
}

const sayNowAll = ({ facts }: GroupPlan): string =>
  facts.group.launch.kind === 'configuration'
    ? `launch configuration ${facts.group.launch.name}`
    : usesOf(facts.group.launch)
        .map(use => sayNow(use, facts.versions))
        .join(', ');

function sayDeed({ deed, changes, replaces, replacesPool, atATime, mustPin, facts }: GroupPlan): string {
  const { name, desired } = facts.group;
  if (deed === 'nothing') return 'nothing to do';
  if (deed === 'watch') return 'watch the refresh that runs';
  const makes = changes
    .filter(({ to }) => to === undefined)
    .map(({ from }) => `${from.templateName} gets a version made from ${from.number}`);
  const reuses = changes.flatMap(({ from, to }) =>
    to === undefined || to.number === from.number ? [] : [`${to.templateName}:${to.number} is used again`],
  );
  const batches = Math.ceil(replaces / atATime);
  const swap = `${twinName(name)} comes beside it with ${desired} instances, and takes over when it has proven itself`;
  const roll =
    deed === 'swap'
      ? swap
      : deed === 'template'
        ? 'gets the version, replaces nothing'
        : `replaces ${replaces} instances, ${atATime} at a time, ${batches} ${batches === 1 ? 'batch' : 'batches'}`;
  const pool = replacesPool.length === 0 ? '' : `then ${replacesPool.join(', ')} of its warm pool`;
  return [mustPin ? 'is pinned' : '', ...makes, ...reuses, roll, pool].filter(part => part !== '').join(', ');
}

const planRow = (group: GroupPlan): string[] => [
  code(group.facts.group.name),
  code(sayNowAll(group)),
  text(sayDeed(group)),
  text(group.because),
  group.aboutSeconds === 0 ? '' : sayDuration(group.aboutSeconds),
];

export const tellEnd = (parts: readonly Part[], ended: readonly Delivered[]): void =>
  parts.forEach((part, i) => {
    if (ended[i] !== undefined) tellEndOf(part, ended[i]);
  });

function tellEndOf({ promotion, region, several, world }: Part, { rolled, moved }: Delivered): void {
  const { pointer, was, image, environment } = promotion;
  const where = `${text(environment)}${several ? ` (${region})` : ''}`;
  const rows = rolled.map(({ group, from, to, status, refresh }) => [
    code(group),
    code(from),
    code(to),
    text(status),
    refresh === undefined ? '' : code(refresh),
  ]);
  world.report.summary(
    [
      moved === undefined ? `### ⏳ ${code(image.id)} is on its way to ${where}` : `### ✅ ${where} runs ${code(image.id)}`,
      rows.length === 0 ? '' : table(['Group', 'Before', 'After', 'Ended', 'Refresh'], rows),
      moved === undefined
        ? `The roll goes on by itself. Run this again with the same settings: it watches, proves and moves ${code(pointer.name)}.`
        : `${code(pointer.name)} names ${code(image.id)} (version ${moved.version})${was === undefined ? '' : `; it replaces ${code(was)}`}.`,
    ]
      .filter(part => part !== '')
      .join('\n\n'),
  );
}
