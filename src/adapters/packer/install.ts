import { realpath } from 'node:fs/promises';
import { basename, delimiter, isAbsolute, join } from 'node:path';
import satisfies from 'semver/functions/satisfies.js';
import maxSatisfying from 'semver/ranges/max-satisfying.js';
import { ActionError, RejectedError, UsageError } from '../../kit/errors.ts';
import type { PackerRequirement, PackerTool } from '../../ports/packer.ts';
import { cacheFolder } from '../cached-file.ts';
import { capture, isInside, realExecutable } from '../capture.ts';
import { BRIEFLY } from './environment.ts';
import { type Archive, PINS, pinnedArchive, thisPlatform } from './pins.ts';

/** Finds or installs Packer, the version that was asked for and nothing that merely has the name. */

export interface Installer {
  readonly workspace: string;
  readonly temp: string;
  readonly environment: NodeJS.ProcessEnv;
  log(line: string): void;
}

/** From PATH if it fits, otherwise the vendor's archive. Rejects with every reason when there is neither. */
export async function installedPacker(requirement: PackerRequirement, installer: Installer): Promise<PackerTool> {
  const { tool, refused } = await packerOnPath(requirement.version, installer.workspace, installer.environment);
  for (const line of refused) installer.log(line);
  if (tool !== undefined) return { ...tool, from: 'path' };
  const archive = await fromArchive(requirement, installer);
  if ('tool' in archive) return archive.tool;
  const reasons = [...(refused.length === 0 ? ['PATH has no packer'] : refused), archive.reason];
  throw new RejectedError(`Packer ${requirement.version} not found:\n- ${reasons.join('\n- ')}`, {
    next: 'Put Packer on PATH (hashicorp/setup-packer), or let the runner reach https://releases.hashicorp.com.',
  });
}

async function fromArchive(
  requirement: PackerRequirement,
  { environment, temp }: Installer,
): Promise<{ readonly tool: PackerTool } | { readonly reason: string }> {
  const archive = chosenArchive(requirement);
  if ('reason' in archive) return archive;
  try {
    // Loaded late: most runners have Packer on PATH.
    const { unpackedArchive } = await import('./archive.ts');
    const binary = await unpackedArchive(archive, { mirror: requirement.mirror, cache: cacheFolder(environment), temp });
    return { tool: { binary, version: archive.version, from: 'archive' } };
  } catch (failure) {
    if (failure instanceof ActionError) throw failure;
    return {
      reason: `the archive of Packer ${archive.version} could not be downloaded from ${requirement.mirror}: ${(failure as Error).message}`,
    };
  }
}

export function chosenArchive({ version, sha256 }: PackerRequirement, platform = thisPlatform()): Archive | { readonly reason: string } {
  if (sha256 !== undefined) {
    if (/^\d+\.\d+\.\d+$/.test(version)) return { version, platform, sha256 };
    throw new UsageError([`"packer-version" must be one version such as 1.16.0 when "packer-sha256" is set, got "${version}"`]);
  }
  const newest = maxSatisfying(Object.keys(PINS), version);
  const archive = newest === null ? undefined : pinnedArchive(newest, platform);
  return archive ?? { reason: `the action knows no archive of Packer ${version} for ${platform}: set "packer-sha256"` };
}

export interface Search {
  readonly tool: Pick<PackerTool, 'binary' | 'version'> | undefined;
  /** What was found and refused, each with its reason. */
  readonly refused: readonly string[];
}

/**
 * The first Packer of PATH that may be used. A relative folder of PATH and everything inside the workspace are refused: a pull request
 * could put its own there. The \`packer\` of cracklib (Fedora, RHEL) is another program.
 */
export async function packerOnPath(range: string, workspace: string, environment: NodeJS.ProcessEnv): Promise<Search> {
  const refused: string[] = [];
  const workspaces = [workspace, await realpath(workspace).catch(() => workspace)];
  for (const folder of (environment.PATH ?? '').split(delimiter)) {
    const candidate = join(folder, process.platform === 'win32' ? 'packer.exe' : 'packer');
    const real = await realExecutable(candidate);
    if (real === undefined) continue;
    const reason = refusalOf(folder, candidate, real, workspaces);
    const version = reason === undefined ? await versionOf(real, environment) : undefined;
    if (reason !== undefined) refused.push(`${candidate} ${reason}`);
    else if (version === undefined) refused.push(`${candidate} is not HashiCorp's Packer: "packer version" prints no version`);
    else if (!satisfies(version, range)) refused.push(`${candidate} is ${version}, "packer-version" asks for ${range}`);
    else return { tool: { binary: real, version }, refused };
  }
  return { tool: undefined, refused };
}

function refusalOf(folder: string, candidate: string, real: string, workspaces: readonly string[]): string | undefined {
  if (!isAbsolute(folder)) return 'is in a relative folder of PATH';
  if (isInside(workspaces, candidate, real)) return 'is inside the workspace';
  return basename(real).startsWith('cracklib') ? 'belongs to cracklib' : undefined;
}

/** Undefined for a program that only has the name. */
async function versionOf(binary: string, own: NodeJS.ProcessEnv): Promise<string | undefined> {
  const { PATH, HOME, TMPDIR, XDG_CACHE_HOME, PACKER_CACHE_DIR } = own;
  // Packer creates its cache folder even for this question: without these it would create one in the user's home.
  const environment = { PATH, HOME, TMPDIR, XDG_CACHE_HOME, PACKER_CACHE_DIR, CHECKPOINT_DISABLE: '1', ...BRIEFLY };
  const answer = await capture(binary, ['version'], { timeoutSeconds: 20, environment }).catch(() => undefined);
  return /^Packer v(\d+\.\d+\.\d+(?:-[\w.]+)?)$/m.exec(answer?.stdout ?? '')?.[1];
}
