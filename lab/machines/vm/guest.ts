import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import type { Guest, GuestSpec } from '../hypervisor.ts';
import { type AgentLine, agentLine } from './agent-line.ts';
import type { VmBase } from './base-disk.ts';
import { metadataService } from './metadata.ts';
import { type Qemu, startQemu } from './qemu.ts';

interface Place {
  readonly base: VmBase;
  readonly accelerator: readonly string[];
  readonly sshPort: number;
  readonly aheadSeconds: number;
}

/** A guest, and the function that turns its power off. */
export interface VmGuest extends Guest {
  readonly over: Promise<void>;
  kill(): Promise<void>;
  /** Runs `work` while the machine is paused and all that it wrote is in its disk file. */
  paused<T>(work: () => Promise<T>): Promise<T>;
}

/** Boots a machine. EC2 calls an instance running when its machine runs, long before its system has booted; so does this. */
export async function bootVm({ base, accelerator, sshPort, aheadSeconds }: Place, spec: GuestSpec): Promise<VmGuest> {
  const agent = agentLine(spec.instanceId);
  const service = await serve(spec, agent);
  const consoleFile = `${spec.disk.path}.console`;
  const qemu = await startQemu({
    ...{ base, accelerator, disk: spec.disk.path, consoleFile, instanceId: spec.instanceId, ssh: `${spec.address}:${sshPort}` },
    instanceType: spec.about?.instanceType ?? 't3.micro',
    servicePort: (service.address() as AddressInfo).port,
    now: new Date(Date.now() + aheadSeconds * 1000),
  }).catch((cause: unknown) => {
    service.close();
    throw cause;
  });
  const power = { on: true };
  const over = qemu.ended.then(() => {
    agent.hangUp();
    service.close();
    service.closeAllConnections();
    if (power.on) spec.onEnd();
    power.on = false;
  });
  return guestOf(spec, { qemu, agent, power, over, consoleFile });
}

interface Parts {
  readonly qemu: Qemu;
  readonly agent: AgentLine;
  readonly power: { on: boolean };
  readonly over: Promise<void>;
  readonly consoleFile: string;
}

/** A guest that does not heed its power button is turned off: EC2 waits some minutes. */
const STOP_SECONDS = 90;

function guestOf({ address }: GuestSpec, { qemu, agent, power, over, consoleFile }: Parts): VmGuest {
  const forwarded = new Map<number, Promise<void>>();
  const kill = async () => {
    power.on = false;
    qemu.kill();
    await over;
  };
  return {
    address,
    over,
    kill,
    paused: async work => {
      await qemu.monitor('stop');
      return work().finally(() => qemu.monitor('cont'));
    },
    exec: agent.exec,
    agentAlive: async () => power.on && agent.isAlive(),
    console: () => tail(consoleFile),
    http: async (port, path) => {
      if (!power.on) return undefined;
      const forward = forwarded.get(port) ?? qemu.monitor(`hostfwd_add n0 tcp:${address}:${port}-:${port}`);
      forwarded.set(port, forward);
      await forward;
      return statusOf(`http://${address}:${port}${path}`);
    },
    stop: async () => {
      if (!power.on) return over;
      power.on = false;
      await qemu.monitor('system_powerdown');
      const patience = new AbortController();
      const late = setTimeout(STOP_SECONDS * 1000, true, { signal: patience.signal }).catch(() => false);
      if (await Promise.race([over.then(() => false), late])) qemu.kill();
      patience.abort();
      await over;
    },
  };
}

async function serve(spec: GuestSpec, agent: AgentLine): Promise<Server> {
  const metadata = metadataService(spec);
  const server = createServer((request, response) => {
    if (request.url?.startsWith('/agent/')) agent.serve(request, response);
    else metadata(request, response);
  });
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done));
  return server;
}

const HTTP_MILLISECONDS = 5000;

const statusOf = (url: string): Promise<number | undefined> =>
  fetch(url, { signal: AbortSignal.timeout(HTTP_MILLISECONDS), redirect: 'manual' }).then(
    ({ status }) => status,
    () => undefined,
  );

/** Like EC2, the last 64 KiB. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-console.html */
const CONSOLE_BYTES = 65_536;

function tail(path: string): string {
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    const kept = Buffer.alloc(Math.min(size, CONSOLE_BYTES));
    readSync(file, kept, 0, kept.length, size - kept.length);
    return kept.toString();
  } finally {
    closeSync(file);
  }
}
