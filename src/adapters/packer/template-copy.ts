import { randomUUID } from 'node:crypto';
import { copyFileSync, mkdirSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { originalLine } from '../../image-build/rules/template-tags.ts';
import type { Journal, JournalEntry, Run } from '../../ports/deps.ts';
import type { PackerBuild, TemplateEdit } from '../../ports/packer.ts';

/** A template with changed files, outside the repository. */
export interface TemplateCopy {
  /** For Packer. */
  readonly path: string;
  /** Names files and lines of the repository in a line of Packer's output. */
  original(line: string): string;
  remove(): void;
}

/**
 * The changed files, and links to all others: those next to the template, and next to each directory between it and the workspace, so
 * that `..` leads to the same files.
 */
export function templateCopy(
  { workspace, temp }: Pick<Run, 'workspace' | 'temp'>,
  journal: Journal,
  { template, edits }: Pick<PackerBuild, 'template' | 'edits'>,
): TemplateCopy {
  const folder = statSync(template).isDirectory() ? template : dirname(template);
  const inner = relative(workspace, folder);
  const top = inner.startsWith('..') ? folder : workspace;
  const root = join(temp, `ami-action-${randomUUID()}`);
  const entry: JournalEntry = { kind: 'file', path: root };
  journal.remember(entry);
  const texts = new Map(edits.map(({ path, text }) => [path, text]));
  mirror(top, root, relative(top, folder).split(sep).filter(Boolean), texts);
  return {
    path: join(root, relative(top, template)),
    original: line => (line.includes(root) ? withLines(line.replaceAll(root, top), edits) : line),
    remove() {
      rmSync(root, { recursive: true, force: true });
      journal.forget(entry);
    },
  };
}

function mirror(from: string, to: string, [next, ...deeper]: readonly string[], texts: ReadonlyMap<string, string>): void {
  mkdirSync(to, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(from)) {
    const [path, target] = [join(from, name), join(to, name)];
    const text = texts.get(path);
    if (name === next) mirror(path, target, deeper, texts);
    else if (text === undefined) link(path, target);
    else writeFileSync(target, text, { mode: 0o600 });
  }
}

/** Windows lets most users create no links to files. */
function link(path: string, target: string): void {
  const isFile = statSync(path, { throwIfNoEntry: false })?.isFile() === true;
  if (process.platform === 'win32' && isFile) copyFileSync(path, target);
  else symlinkSync(path, target, isFile ? 'file' : 'junction');
}

const escaped = (path: string): string => path.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** "on <path> line 12" */
const withLines = (text: string, edits: readonly TemplateEdit[]): string =>
  edits.reduce(
    (shown, edit) =>
      shown.replace(
        new RegExp(`(on ${escaped(edit.path)} line )(\\d+)`, 'g'),
        (_, head: string, line: string) => `${head}${originalLine(Number(line), edit)}`,
      ),
    text,
  );
