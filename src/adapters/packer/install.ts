import { join } from 'node:path';
import satisfies from 'semver/functions/satisfies.js';
import maxSatisfying from 'semver/ranges/max-satisfying.js';
import { ActionError, RejectedError, UsageError } from '../../kit/errors.ts';
import type { PackerRequirement, PackerTool } from '../../ports/packer.ts';
import { cacheFolder } from '../cached-file.ts';
import { builtFromSource, pinnedVersion } from './from-source.ts';
import { packerOnPath } from './on-path.ts';
import { type Archive, PINS, pinnedArchive, thisPlatform } from './pins.ts';

export interface Installer {
  readonly workspace: string;
  readonly temp: string;
  readonly environment: NodeJS.ProcessEnv;
  /** Where the action itself lies: it brings the go.mod that pins Packer. */
  readonly root: string;
  say(line: string): void;
}

type Attempt = { readonly tool: PackerTool } | { readonly reason: string };

/** From PATH if it fits, else the vendor's archive, else built from source. Each that does not work says why. */
export async function installedPacker(wish: PackerRequirement, installer: Installer): Promise<PackerTool> {
  const { tool, refused } = await packerOnPath(wish.version, installer.workspace, installer.environment);
  for (const line of refused) installer.say(line);
  if (tool !== undefined) return { ...tool, from: 'path' };
  const archive = await fromArchive(wish, installer);
  if ('tool' in archive) return archive.tool;
  installer.say(archive.reason);
  const source = await fromSource(wish, installer);
  if ('tool' in source) return source.tool;
  const reasons = [...(refused.length === 0 ? ['PATH has no packer'] : refused), archive.reason, source.reason];
  throw new RejectedError(`There is no Packer ${wish.version} to be had:\n- ${reasons.join('\n- ')}`, {
    next: 'Put Packer on PATH (hashicorp/setup-packer), or let the runner reach https://releases.hashicorp.com.',
  });
}

async function fromArchive(wish: PackerRequirement, { environment, temp }: Installer): Promise<Attempt> {
  const archive = chosenArchive(wish);
  if ('reason' in archive) return archive;
  try {
    // Loaded late: most runners have Packer on PATH.
    const { unpackedArchive } = await import('./archive.ts');
    const binary = await unpackedArchive(archive, { mirror: wish.mirror, cache: cacheFolder(environment), temp });
    return { tool: { binary, version: archive.version, from: 'archive' } };
  } catch (failure) {
    if (failure instanceof ActionError) throw failure;
    return { reason: `the archive of Packer ${archive.version} cannot be had from ${wish.mirror}: ${(failure as Error).message}` };
  }
}

export function chosenArchive({ version, sha256 }: PackerRequirement, platform = thisPlatform()): Archive | { readonly reason: string } {
  if (sha256 !== undefined) {
    if (/^\d+\.\d+\.\d+$/.test(version)) return { version, platform, sha256 };
    throw new UsageError([
      `"packer-sha256" belongs to one archive, so "packer-version" must be one version such as 1.16.0, got "${version}"`,
    ]);
  }
  const newest = maxSatisfying(Object.keys(PINS), version);
  const archive = newest === null ? undefined : pinnedArchive(newest, platform);
  return archive ?? { reason: `no known archive of Packer fits ${version} on ${platform}: say its hash with "packer-sha256"` };
}

async function fromSource(wish: PackerRequirement, { environment, root, say }: Installer): Promise<Attempt> {
  const tool = { name: 'packer', folder: join(root, 'tools', 'packer') } as const;
  try {
    const version = await pinnedVersion(tool);
    if (!satisfies(version, wish.version))
      return { reason: `the source that is pinned here is Packer ${version}, which does not fit ${wish.version}` };
    return { tool: { ...(await builtFromSource(tool, cacheFolder(environment), environment, say)), from: 'source' } };
  } catch (failure) {
    return { reason: `building from source: ${(failure as Error).message}` };
  }
}
