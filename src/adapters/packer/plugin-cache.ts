import { createHash } from 'node:crypto';
import { mkdir, readdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { PackerEnded } from '../../ports/packer.ts';
import { readTemplateFiles } from './template-files.ts';

export interface PluginHost {
  readonly environment: NodeJS.ProcessEnv;
  /** Where plugins are stored. The same path on every runner: the cache identifies folders by path. */
  readonly folder: string;
  log(line: string): void;
}

/**
 * Where Packer finds the plugins of a template, which are kept in the cache of the repository. Undefined: in its usual places, because plugins are
 * installed there, or the template requires none.
 */
export async function pluginFolder(template: string, { environment, folder }: PluginHost): Promise<string | undefined> {
  if (environment['PACKER_PLUGIN_PATH'] || !environment['ACTIONS_RUNTIME_TOKEN']) return undefined;
  if ((await ownPlugins(environment)) || (await requirements(template)) === '') return undefined;
  return folder;
}

/** Restores plugins from the cache, or downloads and saves them. When the cache fails, they are downloaded. */
export async function cachedPlugins(template: string, host: PluginHost, init: () => Promise<PackerEnded>): Promise<PackerEnded> {
  const cache = await import('@actions/cache');
  // Packer keeps an installed version that matches: a new key each month lets it find a newer one.
  const month = new Date().toISOString().slice(0, 7);
  const key = `ami-action-plugins-${process.platform}-${process.arch}-${month}-${sha256(await requirements(template))}`;
  await mkdir(host.folder, { recursive: true });
  const restored = await cache
    .restoreCache([host.folder], key)
    .catch((failure: Error) => void host.log(`The plugin cache could not be read: ${failure.message}`));
  if (restored !== undefined) host.log('Plugins restored from the cache. Packer compares them with their hashes.');
  const ended = await init();
  if (ended.exitCode !== 0 || restored !== undefined || (await readdir(host.folder)).length === 0) return ended;
  await cache
    .saveCache([host.folder], key)
    .catch((failure: Error) => void host.log(`The plugins could not be saved to the cache: ${failure.message}`));
  return ended;
}

/** The text of the `required_plugins` blocks of a template. */
async function requirements(template: string): Promise<string> {
  const texts = await readTemplateFiles(template);
  return texts
    .flatMap(({ text }) => [...text.matchAll(/required_plugins"?\s*:?\s*\{[\s\S]*?\n?\s*\}\s*\}/g)].map(([block]) => block))
    .join('\n');
}

async function ownPlugins(environment: NodeJS.ProcessEnv): Promise<boolean> {
  const home = environment['HOME'] || homedir();
  const config = environment['PACKER_CONFIG_DIR'] || join(environment['XDG_CONFIG_HOME'] || join(home, '.config'), 'packer');
  const found = await Promise.all([join(config, 'plugins'), join(home, '.packer.d', 'plugins')].map(path => readdir(path).catch(() => [])));
  return found.flat().length > 0;
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 32);
