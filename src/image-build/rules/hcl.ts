/** Enough of HCL to find blocks and attributes, and where they stand: strings, heredocs and comments are skipped. https://github.com/hashicorp/hcl/blob/main/hclsyntax/spec.md */

interface HclAttribute {
  /** The expression as written. */
  readonly value: string;
  /** Where the expression begins and ends in the text. */
  readonly start: number;
  readonly end: number;
}

export interface HclBody {
  readonly attributes: ReadonlyMap<string, HclAttribute>;
  readonly blocks: readonly HclBlock[];
}

export interface HclBlock extends HclBody {
  readonly type: string;
  readonly labels: readonly string[];
  /** Behind its opening brace, and at its closing one. */
  readonly start: number;
  readonly end: number;
}

export const parseHcl = (text: string): HclBody => body(text, 0).parsed;

const HEADER = /([A-Za-z_][\w-]*)((?:[ \t]+(?:"[^"\n]*"|[A-Za-z_][\w-]*))*)[ \t]*\{/y;
const ASSIGNMENT = /"?([A-Za-z_][\w-]*)"?[ \t]*=(?!=)[ \t]*/y;

const HEREDOC = /^<<-?([A-Za-z_][\w-]*)[ \t]*\r?\n/;

function body(text: string, from: number): { parsed: HclBody; end: number } {
  const attributes = new Map<string, HclAttribute>();
  const blocks: HclBlock[] = [];
  let at = from;
  while (at < text.length && text[at] !== '}') {
    const assignment = matchAt(ASSIGNMENT, text, at);
    const header = assignment === undefined ? matchAt(HEADER, text, at) : undefined;
    if (assignment !== undefined) {
      const start = at + assignment[0].length;
      const end = expressionEnd(text, start);
      attributes.set(assignment[1] ?? '', { value: text.slice(start, end).trim(), start, end });
      at = end;
    } else if (header !== undefined) {
      const start = at + header[0].length;
      const inner = body(text, start);
      const labels = [...(header[2] ?? '').matchAll(/"([^"]*)"|([\w-]+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');
      blocks.push({ type: header[1] ?? '', labels, start, end: inner.end, ...inner.parsed });
      at = inner.end + 1;
    } else at = skip(text, at);
  }
  return { parsed: { attributes, blocks }, end: at };
}

/** Only where an item may begin: a long line of words is not read once for each word. */
function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | undefined {
  if (/\w/.test(text[at - 1] ?? '') || !/[\w"]/.test(text[at] ?? '')) return undefined;
  let before = at - 1;
  while (text[before] === ' ' || text[before] === '\t') before -= 1;
  pattern.lastIndex = at;
  return /[\w"]/.test(text[before] ?? '') ? undefined : (pattern.exec(text) ?? undefined);
}

/** The end of the line on which all brackets are closed. */
function expressionEnd(text: string, from: number): number {
  let depth = 0;
  for (let at = from; at < text.length; ) {
    const character = text[at] ?? '';
    if (depth === 0 && (character === '\n' || character === '}' || character === '#' || text.startsWith('//', at))) return at;
    if ('([{'.includes(character)) depth += 1;
    if (')]}'.includes(character)) depth -= 1;
    at = skip(text, at);
  }
  return text.length;
}

/** Behind the string, heredoc or comment that begins here, or behind this character. */
function skip(text: string, at: number): number {
  const behind = (mark: string, from: number) => {
    const end = text.indexOf(mark, from);
    return end === -1 ? text.length : end + mark.length;
  };
  if (text[at] === '#' || text.startsWith('//', at)) return Math.max(at + 1, behind('\n', at) - 1);
  if (text.startsWith('/*', at)) return behind('*/', at);
  if (text[at] === '"') return stringEnd(text, at);
  const heredoc = HEREDOC.exec(text.slice(at, at + 200));
  if (heredoc !== null) {
    const end = new RegExp(`^[ \\t]*${heredoc[1]}[ \\t]*$`, 'm').exec(text.slice(at + heredoc[0].length));
    return end === null ? text.length : at + heredoc[0].length + end.index + end[0].length;
  }
  return at + 1;
}

/** Behind the closing quotation mark; an interpolation may contain others. */
function stringEnd(text: string, from: number): number {
  let at = from + 1;
  while (at < text.length && text[at] !== '"') {
    if (text[at] === '\\') at += 2;
    else if (/^[$%]\{/.test(text.slice(at, at + 2)) && !/[$%]/.test(text[at - 1] ?? '')) {
      at = interpolationEnd(text, at + 2);
    } else at += 1;
  }
  return at + 1;
}

function interpolationEnd(text: string, from: number): number {
  let depth = 1;
  let at = from;
  while (at < text.length && depth > 0) {
    if (text[at] === '{') depth += 1;
    if (text[at] === '}') depth -= 1;
    at = text[at] === '"' ? stringEnd(text, at) : at + 1;
  }
  return at;
}

const NAME = /[A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)*/y;

/** Replaces an expression such as `path.root`, in code and in interpolations; text, comments and longer names stay. */
export function replaceName(text: string, name: string, by: string): string {
  let [result, at] = ['', 0];
  // Innermost last. Code: how many of its braces are open; a text: what ends it.
  const contexts: (number | string)[] = [0];
  const take = (length: number, instead = text.slice(at, at + length)) => {
    result += instead;
    at += length;
  };
  while (at < text.length) {
    const context = contexts.at(-1) ?? 0;
    if (typeof context === 'number') {
      const found = matchAt(NAME, text, at)?.[0];
      const heredoc = HEREDOC.exec(text.slice(at, at + 200));
      if (found !== undefined) take(found.length, found === name ? by : found);
      else if (heredoc !== null) {
        contexts.push(heredoc[1] ?? '');
        take(heredoc[0].length);
      } else if (text[at] === '"') {
        contexts.push('"');
        take(1);
      } else if (text[at] === '}' && context === 0 && contexts.length > 1) {
        contexts.pop();
        take(1);
      } else {
        contexts.push((contexts.pop() as number) + (text[at] === '{' ? 1 : text[at] === '}' ? -1 : 0));
        take(skip(text, at) - at);
      }
    } else take(textPart(text, at, context, contexts));
  }
  return result;
}

/** How much of a string or heredoc comes next; enters an interpolation, and leaves the text at its end. */
function textPart(text: string, at: number, mark: string, contexts: (number | string)[]): number {
  const next = text.slice(at, at + 3);
  if (/^([$%])\1\{/.test(next)) return 3;
  if (/^[$%]\{/.test(next)) {
    contexts.push(0);
    return 2;
  }
  if (mark === '"') {
    if (next.startsWith('\\')) return 2;
    if (next.startsWith('"')) contexts.pop();
    return 1;
  }
  const end = text[at - 1] === '\n' ? new RegExp(`^[ \\t]*${mark}[ \\t]*(?=\\r?\\n|$)`).exec(text.slice(at)) : null;
  if (end === null) return 1;
  contexts.pop();
  return end[0].length;
}
