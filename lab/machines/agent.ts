import { readdir, readFile } from 'node:fs/promises';
import { basename } from 'node:path';

/** Whether the agent's process runs in the guest with this PID 1. Reads the guest's /proc through /proc/<pid>/root. */
export async function hasAgent(pid: number): Promise<boolean> {
  const proc = `/proc/${pid}/root/proc`;
  const processes = (await readdir(proc).catch(() => [])).filter(name => /^\d+$/.test(name));
  const found = await Promise.all(processes.map(async name => isAgent(await readFile(`${proc}/${name}/cmdline`, 'utf8').catch(() => ''))));
  return found.includes(true);
}

const AGENT = 'amazon-ssm-agent';
const SHELLS = new Set(['sh', 'bash', 'dash']);

/** `/usr/bin/amazon-ssm-agent`, or a shell that runs it as a script; not `pgrep amazon-ssm-agent`. A zombie has no command line. */
function isAgent(commandLine: string): boolean {
  const [program = '', script = ''] = commandLine.split('\0');
  return basename(program) === AGENT || (SHELLS.has(basename(program)) && basename(script) === AGENT);
}
