import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { capture } from '../src/adapters/capture.ts';
import { goTool } from './go-tools.ts';

/** Packer and its amazon plugin for tests and demo, also where the vendor's site cannot be reached. */
export async function packerTools(): Promise<{ path: string; pluginPath: string }> {
  // One after the other: each alone keeps every processor busy.
  const packer = await goTool('packer');
  const plugin = await goTool('packer-plugin-amazon');
  const pluginPath = join(dirname(plugin), 'plugins');
  if (!(await isInstalled(pluginPath, plugin))) await install(packer, plugin, pluginPath);
  return { path: dirname(packer), pluginPath };
}

/** Packer compares the plugin with its hash when it loads it; here it is enough that the plugin is the one that was built. */
async function isInstalled(pluginPath: string, plugin: string): Promise<boolean> {
  const built = await readFile(`${plugin}.sha256`, 'utf8');
  return await readFile(join(pluginPath, 'installed'), 'utf8').then(
    installed => installed === built,
    () => false,
  );
}

/** Needs no network: Packer asks the plugin for its name and version, copies it and writes its hash next to it. */
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
