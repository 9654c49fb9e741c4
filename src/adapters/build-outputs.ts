import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ContentFile } from '../ports/deps.ts';
import { cacheFolder } from './cached-file.ts';

/**
 * Files that builds of a template wrote into the workspace, such as a manifest: on a runner that keeps its workspace, and for a second build
 * in one job, they would count as changed inputs. Kept outside the workspace, so that the repository cannot name files to ignore.
 */

type Entry = Pick<ContentFile, 'mode' | 'blob'>;

/** By path: what the build wrote, and what was there before. */
type Outputs = Readonly<Record<string, { readonly wrote: Entry; readonly before: Entry | null }>>;

export function outputsFile(workspace: string, template: string, environment: NodeJS.ProcessEnv): string {
  const key = createHash('sha256')
    .update(JSON.stringify([workspace, template]))
    .digest('hex');
  return join(cacheFolder(environment), 'build-outputs', `${key}.json`);
}

async function readOutputs(path: string): Promise<Outputs> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Outputs;
  } catch {
    return {};
  }
}

const isSame = (a: Entry, b: Entry) => a.mode === b.mode && a.blob === b.blob;

/** With what was there before in place of an output that has not changed since. What Packer loads counts as it is. */
export async function withoutOutputs(
  path: string,
  files: readonly ContentFile[],
  loaded: ReadonlySet<string>,
): Promise<readonly ContentFile[]> {
  const outputs = new Map(Object.entries(await readOutputs(path)));
  return files.flatMap(file => {
    const output = outputs.get(file.path);
    if (output === undefined || loaded.has(file.path) || !isSame(output.wrote, file)) return [file];
    return output.before === null ? [] : [{ ...file, ...output.before }];
  });
}

/** `before`: the inputs of the build. A file that cannot be recorded counts as an input. */
export async function recordOutputs(path: string, before: readonly ContentFile[], after: readonly ContentFile[]): Promise<void> {
  const inputs = new Map(before.map(file => [file.path, file]));
  const written = after.flatMap(({ path: name, mode, blob }) => {
    const input = inputs.get(name);
    if (input !== undefined && isSame(input, { mode, blob })) return [];
    return [[name, { wrote: { mode, blob }, before: input === undefined ? null : { mode: input.mode, blob: input.blob } }] as const];
  });
  await mkdir(dirname(path), { recursive: true })
    .then(() => writeFile(path, JSON.stringify(Object.fromEntries(written))))
    .catch(() => undefined);
}
