import { execFile } from 'node:child_process';
import { copyFile, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Disk, Hypervisor } from './hypervisor.ts';
import { claimRunDirectory } from './run-directory.ts';
import { vmBase } from './vm/base-disk.ts';
import { bootVm, type VmGuest } from './vm/guest.ts';
import { accelerator } from './vm/qemu.ts';

interface Options {
  /** How far the clocks of the guests are ahead of the host's, so that a deadline of theirs comes sooner. */
  readonly aheadSeconds?: number;
  /** Where a guest's sshd answers, on its address on this host. */
  readonly sshPort?: number;
}

/**
 * Guests as machines of their own: Debian 12 with kernel, systemd, cloud-init, sshd and metadata service under QEMU. Needs the programs
 * of VM_PACKAGES. All guests have the kernel of the base disk, whatever an image installs.
 */
export async function vmHypervisor({ aheadSeconds = 0, sshPort = 2322 }: Options = {}): Promise<Hypervisor> {
  const base = await vmBase(line => console.error(line));
  const place = { base, accelerator: await accelerator(base), sshPort, aheadSeconds };
  const directory = await claimRunDirectory();
  const disks = await vmDisks(join(directory, 'disks'), base.disk);
  /** By disk. */
  const guests = new Map<string, VmGuest>();
  return {
    kind: 'vm',
    baseDisk: async () => disks.base,
    clone: disk => guests.get(disk.id)?.paused(() => disks.clone(disk)) ?? disks.clone(disk),
    discard: disks.discard,
    boot: async spec => {
      disks.noteWritten(spec.disk);
      const guest = await bootVm(place, spec);
      guests.set(spec.disk.id, guest);
      void guest.over.then(() => guests.delete(spec.disk.id));
      return guest;
    },
    close: async () => {
      await Promise.all([...guests.values()].map(guest => guest.kill()));
      await rm(directory, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

/** Disks as qcow2 files: what differs from another disk. The content of an image is never written to, so other disks can rest on it. */
async function vmDisks(directory: string, basePath: string) {
  await mkdir(directory, { recursive: true });
  const base: Disk = { id: 'base', path: basePath };
  const written = new Set<string>();
  let count = 0;
  return {
    base,
    noteWritten: ({ id }: Disk) => void written.add(id),
    clone: async (disk: Disk): Promise<Disk> => {
      count += 1;
      const copy = { id: `disk-${count}`, path: join(directory, `${count}.qcow2`) };
      if (written.has(disk.id)) await copyFile(disk.path, copy.path);
      else await promisify(execFile)('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', disk.path, '-F', 'qcow2', copy.path]);
      return copy;
    },
    // Instances may rest on a disk that was never written to: it stays until the lab ends.
    discard: async ({ id, path }: Disk) => {
      if (written.has(id)) await rm(path, { force: true });
    },
  };
}
