import { formatDuration } from '../../kit/format.ts';

/** An environment and what it runs. */
export interface Stage {
  readonly name: string;
  readonly version: string;
  /** Undefined: since this run. */
  readonly since: Date | undefined;
}

/** Build and environments from left to right, as a chart. https://mermaid.js.org/syntax/flowchart.html */
export function stagesChart(
  stages: readonly Stage[],
  built: { readonly version: string; readonly at: Date | undefined },
  now: number,
): string {
  const age = (at: Date) => `${formatDuration(Math.max(0, (now - at.getTime()) / 1000)).split(' ')[0]} ago`;
  const nodes = [
    { name: 'build', version: built.version, when: built.at === undefined ? undefined : age(built.at) },
    ...stages.map(({ name, version, since }) => ({ name, version, when: since === undefined ? 'now' : age(since) })),
  ].map(
    ({ name, version, when }, n) => `n${n}["${label(name)}<br/>${[label(version), ...(when === undefined ? [] : [when])].join(' · ')}"]`,
  );
  return ['```mermaid', 'flowchart LR', `  ${nodes.join(' --> ')}`, '```'].join('\n');
}

/** Versions and names may be of others; these characters are syntax of the chart. */
const label = (raw: string): string => raw.replace(/[^\p{L}\p{N} ./_-]/gu, ' ').trim() || '-';
