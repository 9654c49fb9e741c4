import type { Disk, Executed, Guest, GuestSpec, Hypervisor } from './hypervisor.ts';

/** Answers of paper guests. A test may replace them at any time. */
export interface Answers {
  exec(command: readonly string[], spec: GuestSpec): Executed | Promise<Executed>;
  agentAlive(spec: GuestSpec): boolean;
  http(port: number, path: string, spec: GuestSpec): number | undefined;
}

export interface PaperDisk extends Disk {
  /** The source of the clone; undefined for the base. */
  readonly origin: PaperDisk | undefined;
}

export interface PaperHypervisor extends Hypervisor {
  readonly kind: 'paper';
  readonly answers: Answers;
  /** Running guests, by instance. */
  readonly guests: ReadonlyMap<string, Guest>;
  /** Disks that were not discarded. */
  readonly disks: ReadonlyMap<string, PaperDisk>;
  /** The guest shuts itself down. */
  end(instanceId: string): void;
}

const SUCCESS: Executed = { exitCode: 0, stdout: '', stderr: '' };

/** Guests without processes, disks and boot time, for tests that need hundreds of instances. */
export function paperHypervisor(): PaperHypervisor {
  const guests = new Map<string, { guest: Guest; spec: GuestSpec }>();
  const disks = new Map<string, PaperDisk>();
  const answers: Answers = { exec: () => SUCCESS, agentAlive: () => true, http: () => 200 };
  let count = 0;
  const disk = (origin: PaperDisk | undefined): PaperDisk => {
    count += 1;
    const made = { id: `disk-${String(count).padStart(6, '0')}`, path: '', origin };
    disks.set(made.id, made);
    return made;
  };
  const base = disk(undefined);
  return {
    kind: 'paper',
    answers,
    disks,
    get guests() {
      return new Map([...guests].map(([id, { guest }]) => [id, guest]));
    },
    baseDisk: async () => base,
    clone: async ({ id }) => disk(known(disks, id)),
    discard: async ({ id }) => {
      if (id !== base.id) disks.delete(id);
    },
    boot: async spec => {
      const guest = paperGuest(spec, answers, guests);
      guests.set(spec.instanceId, { guest, spec });
      return guest;
    },
    end: instanceId => {
      const ended = guests.get(instanceId);
      guests.delete(instanceId);
      ended?.spec.onEnd();
    },
    close: async () => guests.clear(),
  };
}

function known(disks: ReadonlyMap<string, PaperDisk>, id: string): PaperDisk {
  const disk = disks.get(id);
  if (disk === undefined) throw new Error(`there is no disk ${id}`);
  return disk;
}

function paperGuest(spec: GuestSpec, answers: Answers, guests: Map<string, { guest: Guest }>): Guest {
  const guest: Guest = {
    address: spec.address,
    exec: async (command, { onOutput, signal } = {}) => {
      if (!runs()) throw new Error(`${spec.instanceId} does not run`);
      if (signal?.aborted) return { exitCode: 137, stdout: '', stderr: '' };
      const executed = await answers.exec(command, spec);
      for (const text of [executed.stdout, executed.stderr]) if (text !== '') onOutput?.(Buffer.from(text));
      return executed;
    },
    agentAlive: async () => runs() && answers.agentAlive(spec),
    console: () => `paper machine ${spec.instanceId}\n`,
    http: async (port, path) => (runs() ? answers.http(port, path, spec) : undefined),
    stop: async () => {
      if (runs()) guests.delete(spec.instanceId);
    },
  };
  const runs = () => guests.get(spec.instanceId)?.guest === guest;
  return guest;
}
