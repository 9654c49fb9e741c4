import { access, constants, realpath } from 'node:fs/promises';
import { delimiter, isAbsolute, join, sep } from 'node:path';

/**
 * The first executable of that name in an absolute folder of PATH that lies outside the workspace: what is in the current folder,
 * or what a pull request put there, is never meant.
 */
export async function onPath(
  name: string,
  { PATH = '', GITHUB_WORKSPACE }: NodeJS.ProcessEnv,
  workspace = GITHUB_WORKSPACE,
): Promise<string | undefined> {
  const fenced = workspace === undefined || workspace === '' ? [] : [workspace, await realpath(workspace).catch(() => workspace)];
  for (const folder of PATH.split(delimiter).filter(isAbsolute)) {
    const candidate = join(folder, process.platform === 'win32' ? `${name}.exe` : name);
    const real = await access(candidate, constants.X_OK)
      .then(() => realpath(candidate))
      .catch(() => undefined);
    if (real === undefined || fenced.some(fence => [candidate, real].some(path => path.startsWith(fence + sep)))) continue;
    return candidate;
  }
  return undefined;
}
