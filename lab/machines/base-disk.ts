import { chmod, chown, copyFile, cp, mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isRoot } from './requirements.ts';

const GUEST = join(dirname(fileURLToPath(import.meta.url)), 'guest');

const DIRECTORIES = [
  'dev',
  'proc',
  'run',
  'sys',
  'usr/local/sbin',
  'etc/alternatives',
  'etc/profile.d',
  'etc/ssh',
  'etc/systemd/system/multi-user.target.wants',
  'home/admin',
  'media',
  'mnt',
  'opt',
  'srv',
  'var/cache',
  'var/lib/amazon/ssm',
  'var/lib/cloud',
  'var/lib/dpkg/info',
  'var/lib/dpkg/updates',
  'var/log/journal',
  'var/spool',
] as const;

const LINKS: Readonly<Record<string, string>> = {
  bin: 'usr/bin',
  sbin: 'usr/sbin',
  lib: 'usr/lib',
  lib64: 'usr/lib64',
  'var/run': '/run',
  'var/lock': '/run/lock',
  'etc/mtab': '/proc/self/mounts',
  'etc/systemd/system/multi-user.target.wants/amazon-ssm-agent.service': '/usr/local/lib/systemd/system/amazon-ssm-agent.service',
};

const ADMIN = 1000;

/** The root of a small Debian: the files of `guest/` over the host's /usr. File modes are set here, because git does not keep them. */
export async function makeBaseDisk(root: string): Promise<void> {
  const at = (path: string) => join(root, path);
  await cp(GUEST, root, { recursive: true });
  await Promise.all(DIRECTORIES.map(directory => mkdir(at(directory), { recursive: true })));
  await Promise.all(Object.entries(LINKS).map(([link, target]) => symlink(target, at(link))));
  await openModes(root);
  await mkdir(at('tmp'));
  await mkdir(at('var/tmp'));
  await mkdir(at('root'));
  await Promise.all([chmod(at('tmp'), 0o1777), chmod(at('var/tmp'), 0o1777), chmod(at('root'), 0o700), chmod(at('etc/shadow'), 0o640)]);
  // Empty, so that it is created at the first boot. https://www.freedesktop.org/software/systemd/man/latest/machine-id.html
  await writeFile(at('etc/machine-id'), '');
  await writeFile(at('var/lib/dpkg/info/format'), '1\n');
  await writeFile(at('var/lib/dpkg/available'), '');
  // The libraries are those of the host, so its cache is used.
  await copyFile('/etc/ld.so.cache', at('etc/ld.so.cache')).catch(() => undefined);
  if (isRoot()) await chown(at('home/admin'), ADMIN, ADMIN);
}

async function openModes(directory: string): Promise<void> {
  await chmod(directory, 0o755);
  const isTools = /\/usr\/local\/(bin|lib\/lab)$/.test(directory);
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) await openModes(path);
    else if (entry.isFile()) await chmod(path, isTools ? 0o755 : 0o644);
  }
}
