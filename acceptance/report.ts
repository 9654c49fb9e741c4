import type { Answer } from './answers.ts';
import type { CostLine } from './cost.ts';

/** What a run found, as JSON, and as Markdown. */
export interface Report {
  readonly account: string;
  readonly regions: readonly string[];
  readonly endpoint: string;
  readonly startedAt: string;
  readonly minutes: number;
  readonly ok: boolean;
  /** What an earlier run had left, and this one removed first. */
  readonly foundAtStart: readonly string[];
  readonly steps: readonly {
    readonly title: string;
    readonly result: 'ok' | 'failed' | 'not run';
    readonly seconds: number;
    readonly text: string;
  }[];
  readonly answers: readonly Answer[];
  readonly notAsked: readonly { readonly id: string; readonly reason: string }[];
  readonly cost: { readonly lines: readonly CostLine[]; readonly dollars: number };
  readonly removed: readonly string[];
  readonly left: readonly string[];
}

const cell = (text: string): string => text.replace(/\s+/g, ' ').replaceAll('|', '\\|');
const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map(row => `| ${row.map(cell).join(' | ')} |`).join('\n');
const list = (lines: readonly string[]): string => (lines.length === 0 ? 'Nothing.' : lines.map(line => `- ${line}`).join('\n'));

export function toMarkdown(report: Report): string {
  const { account, regions, endpoint, startedAt, minutes, ok } = report;
  return `# Acceptance: ${ok ? 'passed' : 'failed'}

Account ${account}, ${regions.join(' and ')}, ${endpoint}, ${startedAt}, ${minutes} minutes.

## Steps

${table(
  ['Step', 'Result', 'Seconds', 'Seen'],
  report.steps.map(({ title, result, seconds, text }) => [title, result, String(seconds), text]),
)}

## What AWS answered to the suspected points

${table(
  ['Point', 'Question', 'Assumed', 'Answer', 'As assumed'],
  report.answers.map(({ id, question, assumed, answered, asAssumed }) => [id, question, assumed, answered, asAssumed ? 'yes' : 'NO']),
)}

Not asked:

${table(
  ['Point', 'Why'],
  report.notAsked.map(({ id, reason }) => [id, reason]),
)}

## Cost

An estimate from hours and public prices, at most: $${report.cost.dollars.toFixed(2)}.

${table(
  ['What', 'Hours', 'Dollars'],
  report.cost.lines.map(({ what, hours, dollars }) => [what, hours.toFixed(2), dollars.toFixed(4)]),
)}

## Left by an earlier run

${list(report.foundAtStart)}

## Not removed

${list(report.left)}
`;
}
