import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { LabClock } from '../clock.ts';
import { disksIn } from './disks.ts';
import { bootGuest, type SandboxGuest } from './guest.ts';
import type { Hypervisor } from './hypervisor.ts';
import { pipesIn } from './pipes.ts';
import { complaint, missingRequirements } from './requirements.ts';
import { claimRunDirectory } from './run-directory.ts';

interface Options {
  /** How fast `shutdown +N` and the pauses of services pass. */
  readonly clock: LabClock;
  /** Default: $XDG_CACHE_HOME or ~/.cache. */
  readonly cacheDirectory?: string;
  /** Where a guest's SSH answers, on its own address. */
  readonly sshPort?: number;
}

/** Guests as real processes in real roots, in their own namespaces. They contain accidents, not attackers. */
export async function sandboxHypervisor({ clock, cacheDirectory, sshPort = 2322 }: Options): Promise<Hypervisor> {
  const missing = await missingRequirements();
  if (missing.length > 0) throw new Error(complaint(missing));
  const directory = await claimRunDirectory(cacheDirectory);
  const [disks, pipes] = await Promise.all([disksIn(directory), pipesIn(join(directory, 'pipes'))]);
  const guests = new Set<SandboxGuest>();
  return {
    kind: 'sandbox',
    baseDisk: disks.base,
    clone: disks.clone,
    discard: disks.discard,
    boot: async spec => {
      const guest = await bootGuest({ clock, pipes, sshPort }, spec);
      guests.add(guest);
      void guest.over.then(() => guests.delete(guest));
      return guest;
    },
    close: async () => {
      await Promise.all([...guests].map(guest => guest.kill()));
      await rm(directory, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}
