import { createHash } from 'node:crypto';
import { mkdir, readdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { PackerEnded } from '../../ports/packer.ts';
import { templateTexts } from './template-files.ts';

export interface PluginHost {
  readonly environment: NodeJS.ProcessEnv;
  /** Where plugins of ours lie; the same path on every runner, because the cache knows folders by their path. */
  readonly folder: string;
  log(line: string): void;
}

/**
 * Keeps the plugins of a template in the cache of the repository, and says where Packer is to look for them. Undefined: it is left to look where it
 * always does, because somebody has put plugins there, or there is nothing to keep.
 */
export async function pluginFolder(template: string, { environment, folder }: PluginHost): Promise<string | undefined> {
  if (environment['PACKER_PLUGIN_PATH'] || !environment['ACTIONS_RUNTIME_TOKEN']) return undefined;
  if ((await ownPlugins(environment)) || (await requirements(template)) === '') return undefined;
  return folder;
}

/** Downloads what is not in the cache, and puts it there. The cache is a help: when it fails, the download goes on without it. */
export async function cachedPlugins(template: string, host: PluginHost, init: () => Promise<PackerEnded>): Promise<PackerEnded> {
  const cache = await import('@actions/cache');
  // Packer takes what is there as long as it fits; by the month it gets a chance to find something newer.
  const month = new Date().toISOString().slice(0, 7);
  const key = `ami-action-plugins-${process.platform}-${process.arch}-${month}-${sha256(await requirements(template))}`;
  await mkdir(host.folder, { recursive: true });
  const restored = await cache
    .restoreCache([host.folder], key)
    .catch((failure: Error) => void host.log(`The cache of plugins cannot be read: ${failure.message}`));
  if (restored !== undefined) host.log('Plugins come from the cache; Packer compares them with their hashes.');
  const ended = await init();
  if (ended.exitCode !== 0 || restored !== undefined || (await readdir(host.folder)).length === 0) return ended;
  await cache
    .saveCache([host.folder], key)
    .catch((failure: Error) => void host.log(`The plugins cannot be put into the cache: ${failure.message}`));
  return ended;
}

/** What a template requires, as it says it: the text of its `required_plugins` blocks. */
async function requirements(template: string): Promise<string> {
  const texts = await templateTexts(template);
  return texts.flatMap(text => [...text.matchAll(/required_plugins"?\s*:?\s*\{[\s\S]*?\n?\s*\}\s*\}/g)].map(([block]) => block)).join('\n');
}

async function ownPlugins(environment: NodeJS.ProcessEnv): Promise<boolean> {
  const home = environment['HOME'] || homedir();
  const config = environment['PACKER_CONFIG_DIR'] || join(environment['XDG_CONFIG_HOME'] || join(home, '.config'), 'packer');
  const found = await Promise.all([join(config, 'plugins'), join(home, '.packer.d', 'plugins')].map(path => readdir(path).catch(() => [])));
  return found.flat().length > 0;
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 32);
