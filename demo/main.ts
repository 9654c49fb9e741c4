// npm run demo. Everything that the story starts (instances, Packer, the lab) lives in a process namespace of its own and dies
// with it, however this ends: the kernel kills a namespace whose first process is gone.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setUp } from '../scripts/setup.ts';

await setUp({ only: ['node', 'sandbox', 'packer'] });

const asRoot = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
const story = spawn(
  'unshare',
  [
    ...asRoot,
    '--pid',
    '--fork',
    '--kill-child=KILL',
    '--mount-proc',
    process.execPath,
    join(import.meta.dirname, 'story.ts'),
    ...process.argv.slice(2),
  ],
  // The story ends when its standard input does: that is how it learns that this process was killed.
  { stdio: ['pipe', 'inherit', 'inherit'] },
);
story.on('exit', (code, signal) => process.exit(code ?? (signal === null ? 1 : 130)));
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => story.stdin?.end());

// npm killed outright does not tell its children; then nobody waits for us any more.
const ancestors = [process.ppid, parentOf(process.ppid)];
setInterval(() => {
  if (process.ppid !== ancestors[0] || parentOf(process.ppid) !== ancestors[1]) story.stdin?.end();
}, 500).unref();

function parentOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return 0;
  }
}
