import { formatDuration } from '../kit/format.ts';
import { details, table, text } from '../kit/markdown.ts';

/** A step of the run; `startedAt` is in milliseconds. */
export interface Phase {
  readonly title: string;
  readonly startedAt: number;
  readonly seconds: number;
  readonly ended: 'ok' | 'failed';
}

const MOST_BARS = 30;

/** The steps of a run as a chart and a table, folded. Steps below a second are left out, unless they failed. Empty where nothing took a second. */
export function timeline(phases: readonly Phase[]): string {
  const shown = phases.filter(({ seconds, ended }) => seconds >= 1 || ended === 'failed').sort((a, b) => a.startedAt - b.startedAt);
  const [longest] = [...shown].sort((a, b) => b.seconds - a.seconds);
  if (longest === undefined) return '';
  const rows = shown.map(({ title, seconds, ended }) => [text(title), formatDuration(seconds), ended === 'ok' ? '' : '❌']);
  const title = `Timeline, longest: ${longest.title}, ${formatDuration(longest.seconds)}`;
  return details(title, [gantt(shown), table(['Step', 'Took', ''], rows)].join('\n\n'));
}

/** Dates are seconds since 1970: a reader sees the time of their own zone. https://mermaid.js.org/syntax/gantt.html */
const gantt = (phases: readonly Phase[]): string =>
  [
    '```mermaid',
    'gantt',
    '  dateFormat X',
    '  axisFormat %H:%M:%S',
    ...phases.slice(0, MOST_BARS).map(({ title, startedAt, seconds, ended }) => {
      const start = Math.floor(startedAt / 1000);
      return `  ${label(title)} :${ended === 'ok' ? '' : 'crit, '}${start}, ${start + Math.max(1, Math.round(seconds))}`;
    }),
    '```',
  ].join('\n');

/** Titles may hold text of others; these characters are syntax of the chart. */
const label = (title: string): string => title.replace(/[^\p{L}\p{N} ./_-]/gu, ' ').trim() || 'step';
