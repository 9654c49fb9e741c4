import type { LabClock } from '../clock.ts';
import { hasAgent } from './agent.ts';
import { ENVIRONMENT, runInside } from './enter.ts';
import type { Guest, GuestSpec } from './hypervisor.ts';
import { holdNamespace, type Namespace } from './namespace.ts';
import type { Pipes } from './pipes.ts';
import { probe } from './probe.ts';
import { hostname, seed } from './seed.ts';
import { listenForSsh, type SshDoor } from './ssh/server.ts';

/** Exit code of init for a reboot. */
const REBOOT = 64;
/** Like EC2, the last 64 KiB. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-console.html */
const CONSOLE_BYTES = 65_536;
const STOP_MILLISECONDS = 5000;
const VOLUME_GIB = 8;

interface Place {
  readonly clock: LabClock;
  readonly pipes: Pipes;
  readonly sshPort: number;
}

/** A guest, and the function that turns its power off. */
export interface SandboxGuest extends Guest {
  readonly over: Promise<void>;
  kill(): Promise<void>;
}

export async function bootGuest(place: Place, spec: GuestSpec): Promise<SandboxGuest> {
  if (spec.firstBoot) await seed(spec);
  const log = consoleLog();
  const power = { on: true };
  let running: Promise<Namespace> | undefined;
  const current = () => {
    running ??= hold(place, spec, spec.firstBoot, log.write);
    return running;
  };
  const door = await listenForSsh({ spec, pipes: place.pipes, port: place.sshPort, pid: async () => (await current()).pid });
  await current().catch(async (cause: unknown) => {
    await door.close();
    throw new Error(`${spec.instanceId}: ${(cause as Error).message}\n${log.read().slice(-1000)}`, { cause });
  });
  const over = lives(door, power, {
    current,
    again: () => {
      running = hold(place, spec, false, log.write);
      return running;
    },
  }).then(async () => {
    await door.close();
    if (power.on) spec.onEnd();
    power.on = false;
  });
  return guestOf(place, spec, { log, power, over, current });
}

const hold = ({ clock, pipes }: Place, spec: GuestSpec, firstBoot: boolean, onConsole: (chunk: Buffer) => void): Promise<Namespace> =>
  holdNamespace(pipes, {
    root: spec.disk.path,
    hostname: hostname(spec.address),
    environment: {
      ...ENVIRONMENT,
      LAB_SPEED: String(Math.max(1, Math.round(clock.speed * 1000))),
      LAB_VOLUME: String(spec.volumeGib ?? VOLUME_GIB),
      LAB_FIRST_BOOT: firstBoot ? '1' : '0',
    },
    onConsole,
  });

interface Lives {
  current(): Promise<Namespace>;
  again(): Promise<Namespace>;
}

/** Boots again after every reboot, until the guest powers off. */
async function lives(door: SshDoor, power: { on: boolean }, { current, again }: Lives): Promise<void> {
  let life = await current();
  while ((await life.ended) === REBOOT && power.on) {
    door.hangUp();
    const next = await again().catch(() => undefined);
    if (next === undefined) return;
    life = next;
  }
}

interface Parts {
  readonly log: ReturnType<typeof consoleLog>;
  readonly power: { on: boolean };
  readonly over: Promise<void>;
  current(): Promise<Namespace>;
}

function guestOf({ pipes }: Place, { address, instanceId }: GuestSpec, { log, power, over, current }: Parts): SandboxGuest {
  const pid = async () => {
    if (!power.on) throw new Error(`${instanceId} does not run`);
    return (await current()).pid;
  };
  const kill = async () => {
    power.on = false;
    (await current().catch(() => undefined))?.kill();
    await over;
  };
  return {
    address,
    over,
    exec: async (command, options) => runInside(pipes, await pid(), command, options),
    agentAlive: async () => power.on && hasAgent(await pid()),
    console: log.read,
    http: async (port, path) => (power.on ? probe(await pid(), address, port, path) : undefined),
    kill,
    stop: async () => {
      if (!power.on) return over;
      const timer = setTimeout(kill, STOP_MILLISECONDS);
      const target = await pid();
      power.on = false;
      // The guest's own tools may be broken by the image.
      await runInside(pipes, target, ['/bin/sh', '-c', 'kill -TERM "$(cat /run/lab/init.pid)"']).catch(kill);
      await over;
      clearTimeout(timer);
    },
  };
}

function consoleLog(): { write(chunk: Buffer): void; read(): string } {
  let kept = Buffer.alloc(0);
  return {
    write: chunk => {
      kept = Buffer.concat([kept, chunk]).subarray(-CONSOLE_BYTES);
    },
    read: () => kept.toString(),
  };
}
