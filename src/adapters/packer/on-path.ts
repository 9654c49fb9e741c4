import { access, constants, realpath } from 'node:fs/promises';
import { basename, delimiter, isAbsolute, join, sep } from 'node:path';
import satisfies from 'semver/functions/satisfies.js';
import { capture } from '../capture.ts';
import { BRIEFLY } from './environment.ts';

export interface FoundPacker {
  readonly binary: string;
  readonly version: string;
}

export interface Search {
  readonly tool: FoundPacker | undefined;
  /** What was found and not taken, and why. */
  readonly refused: readonly string[];
}

/**
 * The first Packer of PATH that may be used. A relative folder of PATH and anything inside the workspace are refused:
 * a pull request could put its own there. cracklib's `packer` (Fedora, RHEL) has the name and is another thing.
 */
export async function packerOnPath(range: string, workspace: string, environment: NodeJS.ProcessEnv): Promise<Search> {
  const refused: string[] = [];
  const inside = await realpath(workspace).catch(() => workspace);
  for (const folder of (environment.PATH ?? '').split(delimiter)) {
    const candidate = join(folder, process.platform === 'win32' ? 'packer.exe' : 'packer');
    const real = await executable(candidate);
    if (real === undefined) continue;
    const strange = strangerBecause(folder, candidate, real, [workspace, inside]);
    const version = strange === undefined ? await versionOf(real, environment) : undefined;
    if (strange !== undefined) refused.push(`${candidate} ${strange}`);
    else if (version === undefined) refused.push(`${candidate} is not HashiCorp's Packer: it does not say its version`);
    else if (!satisfies(version, range)) refused.push(`${candidate} is ${version}, "packer-version" asks for ${range}`);
    else return { tool: { binary: real, version }, refused };
  }
  return { tool: undefined, refused };
}

function strangerBecause(folder: string, candidate: string, real: string, workspaces: readonly string[]): string | undefined {
  if (!isAbsolute(folder)) return 'is in a relative folder of PATH';
  if (workspaces.some(workspace => [candidate, real].some(path => path.startsWith(workspace + sep)))) return 'lies inside the workspace';
  return basename(real).startsWith('cracklib') ? 'is the one of cracklib' : undefined;
}

const executable = (path: string): Promise<string | undefined> =>
  access(path, constants.X_OK)
    .then(() => realpath(path))
    .catch(() => undefined);

/** Undefined for a program that only has the name. */
export async function versionOf(binary: string, own: NodeJS.ProcessEnv): Promise<string | undefined> {
  const { PATH, HOME, TMPDIR, XDG_CACHE_HOME, PACKER_CACHE_DIR } = own;
  // Packer makes its cache folder even to say its version: it must know where ours is, or it makes one in the home of whoever runs it.
  const environment = { PATH, HOME, TMPDIR, XDG_CACHE_HOME, PACKER_CACHE_DIR, CHECKPOINT_DISABLE: '1', ...BRIEFLY };
  const said = await capture(binary, ['version'], { timeoutSeconds: 20, environment }).catch(() => undefined);
  return /^Packer v(\d+\.\d+\.\d+(?:-[\w.]+)?)$/m.exec(said?.stdout ?? '')?.[1];
}
