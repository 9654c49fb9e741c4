import type { ServerChannel, Session } from 'ssh2';
import { enter, exitCode, type Inside } from '../enter.ts';
import type { GuestSpec } from '../hypervisor.ts';
import type { Pipes } from '../pipes.ts';
import { accountOf } from './authorize.ts';
import { serveSftp } from './sftp.ts';

export interface Doorway {
  readonly spec: GuestSpec;
  readonly pipes: Pipes;
  readonly port: number;
  /** PID 1 of the running guest. Waits during a reboot. */
  pid(): Promise<number>;
}

interface SessionOptions {
  readonly user: string;
  readonly environment: Record<string, string>;
  /** With a terminal, stderr goes to the same stream. */
  terminal: boolean;
}

/** One session of a client: a command, or a file transfer. scp is a command. */
export function serveSession(doorway: Doorway, user: string, session: Session): void {
  const options: SessionOptions = { user, environment: {}, terminal: false };
  let inside: Inside | undefined;
  session.on('pty', accept => {
    options.terminal = true;
    accept?.();
  });
  session.on('env', (accept, _reject, { key, val }) => {
    options.environment[key] = val;
    accept?.();
  });
  session.on('signal', (accept, _reject, { name }) => {
    inside?.kill(`SIG${name}` as NodeJS.Signals);
    accept?.();
  });
  session.on('exec', (accept, _reject, { command }) => {
    const channel = accept();
    channel.on('error', () => {});
    carryOut(doorway, options, command, channel, started => {
      inside = started;
    }).catch((cause: Error) => refuse(channel, cause));
  });
  session.on('sftp', accept => {
    const root = async () => `/proc/${await doorway.pid()}/root`;
    serveSftp(accept(), root, async () => (await accountOf(doorway.spec.disk.path, user)).home);
  });
}

/** As sshd does it: the account's shell runs the command in the account's home. */
async function carryOut(
  { spec, pipes, pid }: Doorway,
  { user, environment, terminal }: SessionOptions,
  command: string,
  channel: ServerChannel,
  onStart: (inside: Inside) => void,
): Promise<void> {
  const { name, home, shell } = await accountOf(spec.disk.path, user);
  const inside = await enter(pipes, await pid(), {
    command: ['/bin/sh', '-c', 'cd "$HOME" 2>/dev/null || cd /; exec "$1" -c "$2"', 'sshd', shell, command],
    environment: { ...environment, HOME: home, USER: name, LOGNAME: name, SHELL: shell },
    withInput: true,
  });
  onStart(inside);
  if (inside.stdin !== undefined) channel.pipe(inside.stdin);
  inside.stdout.pipe(channel, { end: false });
  inside.stderr.pipe(terminal ? channel : channel.stderr, { end: false });
  // As with sshd, a process that writes after the client has closed gets SIGPIPE.
  channel.once('close', () => {
    for (const socket of [inside.stdin, inside.stdout, inside.stderr]) socket?.destroy();
  });
  const [ended] = await Promise.all([inside.ended, inside.drained]);
  inside.stdin?.destroy();
  if (channel.destroyed) return;
  if (ended.signal === undefined) channel.exit(exitCode(ended));
  else channel.exit(ended.signal.slice(3));
  channel.end();
}

function refuse(channel: ServerChannel, cause: Error): void {
  channel.stderr.write(`${cause.message}\n`);
  channel.exit(255);
  channel.end();
}
