/** Markdown for job summaries. Untrusted text goes through `text`, `code` or `block`. */

// Control, zero-width and direction characters can change how a table reads.
const INVISIBLE = /[\p{C}\u2028\u2029]/gu;
const INVISIBLE_IN_BLOCK = /[^\P{C}\n\t]|[\u2028\u2029]/gu;

/** Untrusted text: no HTML, link, mention or table break. */
export const text = (raw: string): string =>
  raw
    .replace(/\r?\n/g, ' ')
    .replace(INVISIBLE, '')
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/>/g, '&gt;')
    .replace(/[\\`*_{}[\]|#~!]/g, '\\$&')
    .replace(/@/g, '&#64;')
    .replace(/:(?=\/\/)/g, '&#58;')
    .replace(/(www)\./gi, '$1&#46;');

/** Untrusted text as inline code, also for a table cell. */
export const code = (raw: string): string => {
  const inside = raw.replace(/\s+/g, ' ').replace(INVISIBLE, '').replace(/\|/g, '¦').replace(/`/g, 'ˋ').trim();
  return inside === '' ? '' : `\`${inside}\``;
};

/** Untrusted lines as a code block that none of them can close. */
export const block = (raw: string): string => {
  const longest = Math.max(2, ...[...raw.matchAll(/`+/g)].map(([ticks]) => ticks.length));
  const fence = '`'.repeat(longest + 1);
  return `${fence}text\n${raw.replace(INVISIBLE_IN_BLOCK, '')}\n${fence}`;
};

/** Cells are Markdown: escape untrusted text. A column of empty cells is left out. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const isShown = head.map((_, column) => rows.length === 0 || rows.some(cells => cells[column] !== ''));
  return [head, head.map(() => '---'), ...rows].map(cells => `| ${cells.filter((_, column) => isShown[column]).join(' | ')} |`).join('\n');
}

/** Words that stay in one line, also in a narrow column. */
export const nonBreaking = (words: string): string => words.replaceAll(' ', '\u00a0');

/** A table by its columns; `shown: false` leaves one out. */
export function columns<T>(
  rows: readonly T[],
  all: readonly (readonly [head: string, cell: (row: T) => string, shown?: boolean])[],
): string {
  const shown = all.filter(([, , isShown = true]) => isShown);
  return table(
    shown.map(([head]) => head),
    rows.map(row => shown.map(([, cell]) => cell(row))),
  );
}

export const details = (summary: string, body: string): string => `<details><summary>${text(summary)}</summary>\n\n${body}\n\n</details>`;
