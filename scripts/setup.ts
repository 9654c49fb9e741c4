// What a fresh machine lacks. `npm test` and `npm run demo` call this first; when everything is there it takes less than a second.
import { execFileSync, spawnSync } from 'node:child_process';
import { VM_PACKAGES, VM_PROGRAMS, vmBase } from '../lab/machines/vm/base-disk.ts';
import { goTool } from './go-tools.ts';
import { packerTools } from './packer-tools.ts';

export type Part = 'node' | 'sandbox' | 'packer' | 'go-tools' | 'vm';

/** Environment that later steps need: PATH with Packer, where its plugin lies. */
export interface Ready {
  readonly environment: Readonly<Record<string, string>>;
  /** What could not be had, and why. Empty: everything is there. */
  readonly missing: readonly string[];
}

const HAS = (command: string) => spawnSync('sh', ['-c', `command -v ${command}`]).status === 0;

export async function setUp({ only }: { only: readonly Part[] }): Promise<Ready> {
  const missing: string[] = [];
  let environment: Record<string, string> = {};
  const part = async (name: Part, work: () => Promise<void> | void) => {
    if (!only.includes(name)) return;
    const begun = Date.now();
    const patience = setInterval(() => console.log(`... for ${Math.round((Date.now() - begun) / 60_000)} min`), 60_000);
    try {
      await work();
    } catch (failure) {
      missing.push(`${name}: ${(failure as Error).message}`);
    } finally {
      clearInterval(patience);
    }
  };
  await part('node', checkNode);
  await part('sandbox', installSandbox);
  await part('packer', async () => {
    const { path, pluginPath } = await packerTools();
    environment = { ...environment, PATH: `${path}:${process.env['PATH'] ?? ''}`, PACKER_PLUGIN_PATH: pluginPath };
  });
  await part('go-tools', async () => {
    await goTool('actionlint');
    await goTool('act');
  });
  await part('vm', async () => {
    aptInstall(VM_PROGRAMS, VM_PACKAGES);
    await vmBase(line => console.log(line));
  });
  return { environment, missing };
}

/** The lab and the scripts are TypeScript, which Node runs by itself from 22.18 on. npm scripts find the one of node_modules first. */
function checkNode(): void {
  const [major = 0] = process.versions.node.split('.').map(Number);
  if (major < 24)
    throw new Error(`this wants Node 24, which "npm ci" brings; it runs on ${process.version}. Start it by npm, not by node.`);
}

/** Instances of the lab are sandboxes of bubblewrap: https://github.com/containers/bubblewrap */
const installSandbox = (): void => aptInstall(['bwrap', 'nsenter', 'unshare'], ['bubblewrap', 'util-linux']);

function aptInstall(programs: readonly string[], packages: readonly string[]): void {
  if (programs.every(HAS)) return;
  const root = process.getuid?.() === 0;
  if (!HAS('apt-get') || !(root || HAS('sudo'))) throw new Error(`install ${packages.join(', ')}: the instances of the lab need them`);
  console.log(`Installing ${packages.join(', ')}, once ...`);
  const apt = (args: readonly string[]) =>
    execFileSync(root ? 'apt-get' : 'sudo', [...(root ? [] : ['apt-get']), ...args], { stdio: ['ignore', 'ignore', 'inherit'] });
  const install = ['install', '-y', '-qq', '--no-install-recommends', ...packages];
  try {
    apt(install);
  } catch {
    apt(['update', '-qq']);
    apt(install);
  }
}
