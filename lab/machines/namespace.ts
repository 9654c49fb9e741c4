import { spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Pipes } from './pipes.ts';
import { isRoot } from './requirements.ts';

/** The namespaces of a running guest, held by its init. */
export interface Namespace {
  /** Its PID 1, as a PID of the host. */
  readonly pid: number;
  /** Exit code of init: 0 is power off, 64 is reboot, undefined is killed. */
  readonly ended: Promise<number | undefined>;
  kill(): void;
}

export interface Hold {
  readonly root: string;
  readonly hostname: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly onConsole: (chunk: Buffer) => void;
}

/**
 * `--die-with-parent`: the kernel kills bwrap when the lab ends in any way. This ends PID 1 of the guest, every process of the guest,
 * and its mounts. Detached, so that Ctrl-C reaches only the lab, which then shuts down its guests in order.
 */
export async function holdNamespace(pipes: Pipes, { root, hostname, environment, onConsole }: Hold): Promise<Namespace> {
  const [console, info, ready] = await Promise.all([pipes.output(), pipes.output(), pipes.output()]);
  const stdio = ['ignore', console.childEnd, console.childEnd, info.childEnd, ready.childEnd] as const;
  const child = spawn('bwrap', await bubbles(root, hostname), { env: environment, detached: true, stdio: [...stdio] });
  for (const end of [console, info, ready]) closeSync(end.childEnd);
  console.ours.on('data', onConsole);
  const ended = new Promise<number | undefined>(settle => {
    child.once('exit', code => settle(code ?? undefined)).once('error', () => settle(undefined));
  });
  const [described, up] = await Promise.all([gather(info.ours), gather(ready.ours)]);
  const pid = /"child-pid": (\d+)/.exec(described)?.[1];
  const kill = () => void child.kill('SIGKILL');
  if (pid === undefined || up === '') {
    kill();
    throw new Error('the guest did not boot');
  }
  return { pid: Number(pid), ended, kill };
}

async function gather(source: AsyncIterable<Buffer>): Promise<string> {
  let text = '';
  for await (const chunk of source) text += chunk.toString();
  return text;
}

/** The disk is the root; beneath it the host's /usr, read-only, with the guest's own /usr/local. */
async function bubbles(root: string, hostname: string): Promise<string[]> {
  return [
    ...['--bind', root, '/', '--ro-bind', '/usr', '/usr', '--bind', join(root, 'usr/local'), '/usr/local'],
    // Target of links such as /usr/bin/awk.
    ...['--ro-bind-try', '/etc/alternatives', '/etc/alternatives'],
    ...(await shadows(root)).flatMap(([tool, target]) => ['--ro-bind', tool, target]),
    ...['--proc', '/proc', '--dev', '/dev', '--symlink', '/proc/1/fd/1', '/dev/console', '--tmpfs', '/run'],
    ...['--unshare-pid', '--unshare-net', '--unshare-uts', '--unshare-ipc', '--hostname', hostname],
    ...(isRoot() ? [] : ['--unshare-user', '--uid', '0', '--gid', '0', '--cap-add', 'ALL']),
    ...['--die-with-parent', '--chdir', '/', '--info-fd', '3', '--', '/bin/sh', '/usr/local/lib/lab/init'],
  ];
}

/** The guest's tools for scripts that call them by full path. A link (shutdown -> systemctl) needs no mount: systemctl checks its name. */
async function shadows(root: string): Promise<readonly (readonly [string, string])[]> {
  const own = join(root, 'usr/local/bin');
  const tools = new Set(await readdir(own).catch(() => []));
  return (await hostTools()).filter(([name]) => tools.has(name)).map(([name, target]) => [join(own, name), target] as const);
}

const COVERED = ['systemctl', 'systemd-run', 'journalctl', 'cloud-init', 'logger', 'sudo', 'shutdown', 'poweroff', 'reboot', 'halt', 'df'];

let covered: Promise<readonly (readonly [string, string])[]> | undefined;
function hostTools(): Promise<readonly (readonly [string, string])[]> {
  covered ??= findHostTools();
  return covered;
}

async function findHostTools(): Promise<readonly (readonly [string, string])[]> {
  const places = COVERED.flatMap(name => [[name, `/usr/bin/${name}`] as const, [name, `/usr/sbin/${name}`] as const]);
  const isFile = await Promise.all(
    places.map(([, path]) =>
      lstat(path).then(
        found => found.isFile(),
        () => false,
      ),
    ),
  );
  return places.filter((_, index) => isFile[index]);
}
