import { UsageError } from '../kit/errors.ts';
import type { Deps } from '../ports/deps.ts';
import type { BuildOptions } from './settings.ts';

/** The base image tells when the foundation has changed. */
export const incrementProblem = ({ appPaths, baseImage = [] }: Pick<BuildOptions, 'appPaths' | 'baseImage'>): string | undefined =>
  appPaths.length > 0 && baseImage.length === 0 ? '"app-paths" needs "base-image": a full build begins with it' : undefined;

/** Undefined without "app-paths". @throws UsageError for a glob that matches no file. */
export async function applicationFiles(
  { appPaths }: Pick<BuildOptions, 'appPaths'>,
  { content }: Deps<never, 'content'>,
): Promise<ReadonlySet<string> | undefined> {
  if (appPaths.length === 0) return undefined;
  const found = await content.paths(appPaths);
  if (found.length === 0) throw new UsageError([`"app-paths" matches no file: ${appPaths.join(', ')}`], { unchanged: true });
  return new Set(found);
}
