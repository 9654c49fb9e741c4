import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** A disk of Debian 12 with kernel, systemd and cloud-init, in the cache of the user. Made once, in about two minutes; needs root and the packages below. */

const NEEDED = ['mmdebstrap', 'mke2fs', 'qemu-img', 'qemu-system-x86_64', 'nc'];
const INSTALL = 'apt-get install --no-install-recommends mmdebstrap e2fsprogs qemu-utils qemu-system-x86 seabios ipxe-qemu netcat-openbsd';

const PACKAGES =
  'systemd,systemd-sysv,dbus,udev,cloud-init,iproute2,ifupdown,isc-dhcp-client,openssh-server,curl,netbase,sudo,linux-image-cloud-amd64';

const FILES: Readonly<Record<string, string>> = {
  'etc/fstab': '/dev/vda / ext4 defaults 0 1\n',
  'etc/hostname': 'vm\n',
  'etc/network/interfaces': 'auto lo\niface lo inet loopback\nallow-hotplug eth0\niface eth0 inet dhcp\n',
  'etc/cloud/cloud.cfg.d/99_lab.cfg':
    'datasource_list: [ Ec2, None ]\ndatasource: { Ec2: { strict_id: false, max_wait: 10, timeout: 2 } }\n',
};

export interface VmDisk {
  /** qcow2; never written to. */
  readonly disk: string;
  readonly kernel: string;
  readonly initrd: string;
}

export function vmDisk(log: (line: string) => void): VmDisk {
  const missing = NEEDED.filter(tool => !isInstalled(tool));
  if (missing.length > 0) throw new Error(`Missing: ${missing.join(', ')}. Install: ${INSTALL}`);
  const recipe = createHash('sha256')
    .update(JSON.stringify([PACKAGES, FILES]))
    .digest('hex')
    .slice(0, 12);
  const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'ami-action', 'vm');
  const home = join(cache, recipe);
  if (!existsSync(home)) {
    mkdirSync(cache, { recursive: true });
    const building = mkdtempSync(join(cache, 'building-'));
    try {
      build(building, log);
      renameSync(building, home);
    } finally {
      rmSync(building, { recursive: true, force: true });
    }
  }
  return { disk: join(home, 'disk.qcow2'), kernel: join(home, 'vmlinuz'), initrd: join(home, 'initrd.img') };
}

const isInstalled = (tool: string): boolean => {
  try {
    execFileSync('sh', ['-c', `command -v ${tool}`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};

function build(home: string, log: (line: string) => void): void {
  const root = join(home, 'root');
  log('Building the Debian root (about a minute)');
  execFileSync('mmdebstrap', ['--quiet', '--variant=minbase', `--include=${PACKAGES}`, 'bookworm', root], { stdio: 'inherit' });
  for (const [path, content] of Object.entries(FILES)) {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  // A login prompt on the serial console is the proof of a complete boot.
  const wants = join(root, 'etc/systemd/system/getty.target.wants');
  mkdirSync(wants, { recursive: true });
  symlinkSync('/lib/systemd/system/serial-getty@.service', join(wants, 'serial-getty@ttyS0.service'));
  const boot = readdirSync(join(root, 'boot'));
  for (const [name, prefix] of [
    ['vmlinuz', 'vmlinuz-'],
    ['initrd.img', 'initrd.img-'],
  ] as const)
    copyFileSync(join(root, 'boot', boot.find(file => file.startsWith(prefix)) ?? ''), join(home, name));
  log('Building the disk');
  const raw = join(home, 'disk.raw');
  execFileSync('mke2fs', ['-q', '-t', 'ext4', '-d', root, '-L', 'root', raw, '2G'], { stdio: 'inherit' });
  execFileSync('qemu-img', ['convert', '-O', 'qcow2', raw, join(home, 'disk.qcow2')]);
  rmSync(raw);
  rmSync(root, { recursive: true });
}
