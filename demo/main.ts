// npm run demo. Every process of the demo (compiler, instances, Packer, lab) runs in one process namespace. The kernel ends them all when its
// first process ends. Every file is in the cache folder.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setUp } from '../scripts/setup.ts';
import { cacheFolder } from '../src/adapters/cached-file.ts';

// npm does not signal its children when it is killed. A changed ancestor shows it.
const ancestors = [process.ppid, parentOf(process.ppid)];
const isOrphaned = () => process.ppid !== ancestors[0] || parentOf(process.ppid) !== ancestors[1];

const { missing } = await setUp({ only: ['node', 'sandbox'] });
for (const line of missing) console.error(line);
if (missing.length > 0) process.exit(1);

const demo = join(cacheFolder({ ...process.env, RUNNER_TOOL_CACHE: undefined }), 'demo');
const temporary = join(demo, `temporary-${process.pid}`);
mkdirSync(demo, { recursive: true });
sweep();
mkdirSync(temporary);
process.on('exit', () => rmSync(temporary, { recursive: true, force: true }));

const asRoot = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
const namespace = [...asRoot, '--pid', '--fork', '--kill-child=KILL', '--mount-proc'];
const story = spawn('unshare', [...namespace, process.execPath, join(import.meta.dirname, 'story.ts'), ...process.argv.slice(2)], {
  // The story ends when its standard input closes, so it also ends when this process is killed.
  stdio: ['pipe', 'inherit', 'inherit'],
  env: { ...process.env, TMPDIR: temporary },
});
story.on('exit', (code, signal) => process.exit(code ?? (signal === null ? 1 : 130)));
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => story.stdin?.end());
setInterval(() => {
  if (isOrphaned()) story.stdin?.end();
}, 500).unref();

/** Removes the temporary folders of killed runs. */
function sweep(): void {
  for (const name of readdirSync(demo)) {
    const [, pid] = /^temporary-(\d+)$/.exec(name) ?? [];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) rmSync(join(demo, name), { recursive: true, force: true });
  }
}

function parentOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return 0;
  }
}
