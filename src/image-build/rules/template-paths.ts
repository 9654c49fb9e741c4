import { posix } from 'node:path';
import type { VariableValues } from './variable-values.ts';

/** The files that a template refers to, and the directory in which its relative paths work. */

export interface PathReference {
  /** What a relative path is relative to: the directory of the template, or the one in which Packer runs. */
  readonly from: 'template' | 'working-directory';
  /** The path, or its static beginning: "scripts/" for "scripts/${local.os}.sh". */
  readonly path: string;
  readonly isWhole: boolean;
}

export interface PathReferences {
  readonly found: readonly PathReference[];
  /** A file is selected by an expression that only Packer can evaluate. */
  readonly isDynamic: boolean;
}

/** Attributes that hold local paths in provisioners, sources and post-processors. */
const NAMES = '(?:scripts?|sources?|\\w+_(?:files?|paths?|dir|directory)|data_directory|chef_environment|manifests?)';
const VALUE = '("(?:[^"\\\\\\n]|\\\\.)*"|\\[[^\\]]*\\]|[^\\s"\\[{][^\\n]*)';
const ATTRIBUTE = new RegExp(`(?:^|[{,])[ \\t]*"?(${NAMES})"?[ \\t]*[=:][ \\t]*${VALUE}`, 'gm');
/** Packer resolves these against the directory of the template. */
const FUNCTION = /\b(?:file|filebase64|fileexists|fileset|templatefile|filesha\d+|filemd5)\(\s*("(?:[^"\\\n]|\\.)*"|[^\s",)][^,)\n]*)/g;
const LITERAL = /"((?:[^"\\\n]|\\.)*)"/g;
/** Not paths of this machine: targets on the instance, and sources of plugins. */
const REMOTE = new Set(['remote_path', 'remote_file', 'remote_folder', 'destination_path', 'instance_metadata_path']);

/** All that the text refers to. `values`: of the variables, by which paths are completed. */
export function pathReferences(text: string, values: VariableValues): PathReferences {
  const attributes = [...text.matchAll(ATTRIBUTE)].filter(([, name = '']) => !REMOTE.has(name));
  const literals = attributes.flatMap(([, name = '', value = '']) => {
    const all = /^["[]/.test(value) ? [...value.matchAll(LITERAL)].map(([, literal = '']) => literal) : [expression(value)];
    return all.map(literal => ({ literal, from: 'working-directory' as const, isPlaybook: name.startsWith('playbook') }));
  });
  const calls = [...text.matchAll(FUNCTION)].map(([, value = '']) => ({
    ...{ literal: value.startsWith('"') ? value.slice(1, -1) : expression(value) },
    ...{ from: 'template' as const, isPlaybook: false },
  }));
  const resolved = [...literals, ...calls].map(({ literal, from, isPlaybook }) => reference(complete(literal, values), from, isPlaybook));
  return { found: resolved.filter(one => one !== undefined), isDynamic: resolved.includes(undefined) };
}

/** `var.name` is a text with one variable; anything else is for Packer alone. */
const expression = (value: string): string => `\${${value.trim().replace(/[,}\]\s]+$/, '')}}`;

const complete = (literal: string, values: VariableValues): string =>
  literal
    .replace(
      /\$\{\s*var\.([\w-]+)\s*\}|\{\{\s*user\s+[`"']?\\?"?([\w-]+)\\?"?[`"']?\s*\}\}/g,
      (all, hcl = '', json = '') => values[hcl || json] ?? all,
    )
    .replace(/\$\{\s*path\.root\s*\}|\{\{\s*template_dir\s*\}\}/g, '\0root')
    .replace(/\$\{\s*path\.cwd\s*\}|\{\{\s*pwd\s*\}\}/g, '\0cwd');

/** Undefined where not even a beginning is known. */
function reference(path: string, from: PathReference['from'], isPlaybook: boolean): PathReference | undefined {
  const base = path.startsWith('\0root') ? 'template' : path.startsWith('\0cwd') ? 'working-directory' : from;
  const local = path.replace(/^\0(root|cwd)\/?/, '');
  const dynamic = local.search(/\$\{|%\{|\{\{|\0/);
  if (dynamic === 0 && !path.startsWith('\0')) return undefined;
  const known = dynamic < 0 ? local : local.slice(0, local.lastIndexOf('/', dynamic) + 1);
  // Roles and variables are next to a playbook.
  const whole = isPlaybook && known.includes('/') ? posix.dirname(known) : known;
  return { from: base, path: whole === '' ? '.' : whole, isWhole: dynamic < 0 };
}

/** Directories from the workspace to the template, both included. A template outside has none between. */
export function ancestors(workspace: string, templateFolder: string): readonly string[] {
  const local = posix.relative(workspace, templateFolder);
  if (local === '') return [workspace];
  if (local.startsWith('..')) return [workspace, templateFolder];
  const parts = local.split('/');
  return [workspace, ...parts.map((_, index) => posix.join(workspace, ...parts.slice(0, index + 1)))];
}

export interface WorkingDirectory {
  readonly path: string;
  readonly reason: string;
}

/**
 * Where the relative paths of the template exist: the workspace, unless more of them exist in the directory of the template or one between.
 * `counts`: how many of `total` exist in each, in the order of `ancestors`.
 */
export function chooseWorkingDirectory(directories: readonly string[], counts: readonly number[], total: number): WorkingDirectory {
  const [workspace = ''] = directories;
  const best = Math.max(...counts);
  const index = counts.indexOf(best);
  if (index <= 0) return { path: workspace, reason: 'the workspace' };
  const there = `${best} of ${total} relative ${total === 1 ? 'path' : 'paths'} of the template`;
  return {
    path: directories[index] ?? workspace,
    reason: `${there} ${best === 1 ? 'exists' : 'exist'} there, and ${counts[0]} in the workspace`,
  };
}
