import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

/** A disk of Debian 12 with kernel, systemd, cloud-init, sshd and the agent, made once by `mmdebstrap` into the cache of the user. */
export interface VmBase {
  /** qcow2; never written to. */
  readonly disk: string;
  readonly kernel: string;
  readonly initrd: string;
}

/** Debian packages of the programs that make and run the machines. */
export const VM_PACKAGES: readonly string[] =
  'mmdebstrap debian-archive-keyring e2fsprogs qemu-utils qemu-system-x86 seabios ipxe-qemu netcat-openbsd'.split(' ');

export const VM_PROGRAMS = ['mmdebstrap', 'mke2fs', 'qemu-img', 'qemu-system-x86_64', 'nc'] as const;

const INCLUDE =
  'systemd,systemd-sysv,dbus,udev,cloud-init,iproute2,ifupdown,isc-dhcp-client,openssh-server,curl,netbase,sudo,linux-image-cloud-amd64';

// The user is that of Debian's images on AWS. One host key type: RSA keys take half a minute without hardware virtualisation. The package
// locales is left out.
const CLOUD = `datasource_list: [ Ec2, None ]
system_info: { default_user: { name: admin } }
ssh_genkeytypes: [ ed25519 ]
locale: false
`;

const FILES: Readonly<Record<string, string>> = {
  'etc/fstab': '/dev/vda / ext4 defaults 0 1\n',
  'etc/hostname': 'debian\n',
  'etc/network/interfaces': 'auto lo\niface lo inet loopback\nsource /etc/network/interfaces.d/*\n',
  'etc/cloud/cloud.cfg.d/99_lab.cfg': CLOUD,
  // As in an image that was cleaned: systemd makes one at the first boot.
  'etc/machine-id': '',
};

const UNITS = {
  'getty.target.wants/serial-getty@ttyS0.service': '/lib/systemd/system/serial-getty@.service',
  'multi-user.target.wants/amazon-ssm-agent.service': '/lib/systemd/system/amazon-ssm-agent.service',
} as const;

const FOLDER = join(import.meta.dirname, 'guest');
const MADE = ['disk.qcow2', 'vmlinuz', 'initrd.img'] as const;
const run = promisify(execFile);

/** Needs root and Debian's registry when it is made. After that its hashes are compared: a changed or truncated disk is made again. */
export async function vmBase(log: (line: string) => void): Promise<VmBase> {
  const agent = await Promise.all(['amazon-ssm-agent', 'amazon-ssm-agent.service'].map(file => readFile(join(FOLDER, file), 'utf8')));
  const recipe = sha256(JSON.stringify([INCLUDE, FILES, UNITS, agent])).slice(0, 16);
  const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'ami-action', 'vm');
  const home = join(cache, recipe);
  if (!(await isWhole(home))) {
    await mkdir(cache, { recursive: true });
    const building = await mkdtemp(join(cache, 'building-'));
    try {
      await build(building, log);
      await rm(home, { recursive: true, force: true });
      await rename(building, home);
    } finally {
      await rm(building, { recursive: true, force: true });
    }
  }
  return { disk: join(home, 'disk.qcow2'), kernel: join(home, 'vmlinuz'), initrd: join(home, 'initrd.img') };
}

async function build(home: string, log: (line: string) => void): Promise<void> {
  const root = join(home, 'root');
  log('Building a disk of Debian 12, once (about two minutes) ...');
  await run('mmdebstrap', ['--quiet', '--variant=minbase', `--include=${INCLUDE}`, 'bookworm', root]);
  for (const [path, content] of Object.entries(FILES)) await put(join(root, path), content);
  for (const [path, target] of Object.entries(UNITS)) {
    const link = join(root, 'etc/systemd/system', path);
    await mkdir(dirname(link), { recursive: true });
    await symlink(target, link);
  }
  await copyFile(join(FOLDER, 'amazon-ssm-agent'), join(root, 'usr/bin/amazon-ssm-agent'));
  await chmod(join(root, 'usr/bin/amazon-ssm-agent'), 0o755);
  await copyFile(join(FOLDER, 'amazon-ssm-agent.service'), join(root, 'lib/systemd/system/amazon-ssm-agent.service'));
  const boot = await readdir(join(root, 'boot'));
  const kernelFile = (prefix: string) => join(root, 'boot', boot.find(file => file.startsWith(prefix)) ?? prefix);
  await copyFile(kernelFile('vmlinuz-'), join(home, 'vmlinuz'));
  await copyFile(kernelFile('initrd.img-'), join(home, 'initrd.img'));
  const raw = join(home, 'disk.raw');
  await run('mke2fs', ['-q', '-t', 'ext4', '-d', root, '-L', 'root', raw, '2G']);
  await run('qemu-img', ['convert', '-O', 'qcow2', raw, join(home, 'disk.qcow2')]);
  await Promise.all([rm(raw), rm(root, { recursive: true })]);
  await writeFile(join(home, 'sha256'), await hashesOf(home));
}

async function put(path: string, content: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
}

const sha256 = (content: string | Buffer): string => createHash('sha256').update(content).digest('hex');

const hashesOf = async (home: string): Promise<string> =>
  (await Promise.all(MADE.map(async file => `${sha256(await readFile(join(home, file)))}  ${file}\n`))).join('');

const isWhole = async (home: string): Promise<boolean> =>
  Promise.all([readFile(join(home, 'sha256'), 'utf8'), hashesOf(home)]).then(
    ([recorded, found]) => recorded === found,
    () => false,
  );
