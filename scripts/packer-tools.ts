import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { cacheFolder } from '../src/adapters/cached-file.ts';
import { capture } from '../src/adapters/capture.ts';
import { builtFromSource } from '../src/adapters/packer/from-source.ts';

/**
 * Real Packer and its amazon plugin for tests and demo, wherever the vendor's site cannot be reached: built from the
 * modules that tools/ pins. Some minutes the first time; after that the files in the cache are only compared with their hashes.
 */
export async function packerTools(): Promise<{ path: string; pluginPath: string }> {
  const cache = cacheFolder({ ...process.env, RUNNER_TOOL_CACHE: undefined });
  const tool = (name: 'packer' | 'packer-plugin-amazon') => ({ name, folder: join(import.meta.dirname, '..', 'tools', name) });
  // One after the other: each alone keeps every processor busy.
  const packer = await builtFromSource(tool('packer'), cache, process.env, say);
  const plugin = await builtFromSource(tool('packer-plugin-amazon'), cache, process.env, say);
  const pluginPath = join(dirname(plugin.binary), 'plugins');
  if (!(await isInstalled(pluginPath, plugin.binary))) await install(packer.binary, plugin.binary, pluginPath);
  return { path: dirname(packer.binary), pluginPath };
}

const say = (line: string): void => console.error(line);

/** Packer itself compares the plugin with its hash when it loads it; here it is enough that the plugin is the one that was built. */
async function isInstalled(pluginPath: string, plugin: string): Promise<boolean> {
  const built = await readFile(`${plugin}.sha256`, 'utf8');
  return await readFile(join(pluginPath, 'installed'), 'utf8').then(
    installed => installed === built,
    () => false,
  );
}

/** Needs no network: Packer asks the plugin what it is, copies it and writes its hash beside it. */
async function install(packer: string, plugin: string, pluginPath: string): Promise<void> {
  await mkdir(pluginPath, { recursive: true });
  const environment = { ...process.env, PACKER_PLUGIN_PATH: pluginPath, CHECKPOINT_DISABLE: '1' };
  const { exitCode, stdout, stderr } = await capture(packer, ['plugins', 'install', '--path', plugin, 'github.com/hashicorp/amazon'], {
    timeoutSeconds: 120,
    environment,
  });
  if (exitCode !== 0) throw new Error(`packer plugins install failed: ${stderr || stdout}`);
  await writeFile(join(pluginPath, 'installed'), await readFile(`${plugin}.sha256`));
}

if (import.meta.main) console.log(JSON.stringify(await packerTools()));
