import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withSelfTermination } from '../src/validation/rules/test-run.ts';
import { type VmDisk, vmDisk } from './vm-disk.ts';

/**
 * Proves self-termination on a real Debian 12 (kernel, systemd, cloud-init with the EC2 data source) under QEMU: `npm run vm`. With the user data of the action
 * the instance boots, runs the user's own user data and powers off at its deadline. With the boothook of version 0.1.0 it must not boot, or this proves nothing.
 */

const log = (line: string) => console.log(`${new Date().toISOString().slice(11, 19)} ${line}`);

const BOOT_LIMIT_SECONDS = 600;
/** From launch to self-termination: longer than a boot without hardware virtualisation. */
const LIFE_SECONDS = 300;
const LATE_SECONDS = 90;

/** The timer waits for sysinit.target, which waits for cloud-init, which waits for the boothook, which waits for the timer. */
const DEADLOCK = `#cloud-boothook
#!/bin/sh
systemd-run --quiet --on-active=600 --timer-property=AccuracySec=1s shutdown -h now 2>/dev/null && exit 0
`;

const OWN = '#!/bin/sh\necho "own user data ran" > /dev/ttyS0\n';

interface Boot {
  /** Seconds from start to the login prompt; undefined: none. */
  readonly loginSeconds: number | undefined;
  /** Seconds from start to power-off; undefined: none. */
  readonly endSeconds: number | undefined;
  readonly console: string;
}

async function boot(disk: VmDisk, userData: string, until: (state: Omit<Boot, 'console'>) => boolean, limitSeconds: number): Promise<Boot> {
  const home = mkdtempSync(join(tmpdir(), 'ami-action-vm-'));
  const metadata = await serveMetadata(userData);
  const consoleFile = join(home, 'console');
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', disk.disk, '-F', 'qcow2', join(home, 'disk.qcow2')]);
  const startedAt = Date.now();
  const seconds = () => (Date.now() - startedAt) / 1000;
  const child = spawn('qemu-system-x86_64', qemuArguments(disk, home, (metadata.address() as AddressInfo).port), { stdio: 'inherit' });
  let endSeconds: number | undefined;
  child.once('exit', () => {
    endSeconds = seconds();
  });
  let loginSeconds: number | undefined;
  const console = () => (existsSync(consoleFile) ? readFileSync(consoleFile, 'utf8') : '');
  try {
    while (seconds() < limitSeconds && endSeconds === undefined) {
      if (loginSeconds === undefined && console().includes('vm login:')) loginSeconds = seconds();
      if (until({ loginSeconds, endSeconds })) break;
      await new Promise(done => setTimeout(done, 500));
    }
    return { loginSeconds, endSeconds, console: console() };
  } finally {
    child.kill('SIGKILL');
    metadata.close();
    rmSync(home, { recursive: true, force: true });
  }
}

/** Without KVM: it exists on some machines where a guest hangs in its first lines. */
const qemuArguments = ({ kernel, initrd }: VmDisk, home: string, port: number): string[] => {
  const accelerator = process.env['VM_KVM'] === 'true' ? ['-accel', 'kvm', '-cpu', 'host'] : ['-accel', 'tcg', '-cpu', 'max'];
  const network = `user,id=n0,net=169.254.0.0/16,dhcpstart=169.254.10.15,guestfwd=tcp:169.254.169.254:80-cmd:nc 127.0.0.1 ${port}`;
  return [
    ...['-m', '512', '-display', 'none', '-no-reboot', ...accelerator],
    ...['-kernel', kernel, '-initrd', initrd, '-append', 'root=/dev/vda rw console=ttyS0 net.ifnames=0'],
    ...['-drive', `file=${join(home, 'disk.qcow2')},if=virtio,format=qcow2`, '-serial', `file:${join(home, 'console')}`],
    // cloud-init recognises EC2 by the UUID.
    ...['-smbios', 'type=1,manufacturer=Amazon EC2,product=t3.micro,uuid=ec2a1b2c-0000-4000-8000-000000000001,serial=ec2a1b2c'],
    ...['-netdev', network, '-device', 'virtio-net-pci,netdev=n0'],
  ];
};

const META: Readonly<Record<string, string>> = {
  '': 'ami-id\nhostname\ninstance-id\nlocal-hostname\nlocal-ipv4',
  'ami-id': 'ami-00000000000000001',
  hostname: 'vm',
  'instance-id': 'i-00000000000000001',
  'local-hostname': 'vm',
  'local-ipv4': '169.254.10.15',
};

/** The instance metadata service, version 2. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html */
async function serveMetadata(userData: string): Promise<Server> {
  const server = createServer((request, response) => {
    const url = request.url ?? '';
    const [, path = ''] = /^\/[^/]+\/(.*)$/.exec(url) ?? [];
    const answer = url.includes('/api/token')
      ? 'token'
      : path === 'user-data'
        ? userData
        : path === 'dynamic/instance-identity/document'
          ? JSON.stringify({ region: 'eu-central-1', instanceId: META['instance-id'], availabilityZone: 'eu-central-1a' })
          : META[/^meta-data\/(.*)$/.exec(path)?.[1] ?? '-'];
    response.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'text/plain', connection: 'close' });
    response.end(answer ?? '');
  });
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done));
  return server;
}

function verify(claim: string, holds: boolean, seen: Boot): void {
  log(`${holds ? '✔' : '✘'} ${claim}`);
  if (holds) return;
  console.log(seen.console.split('\n').slice(-40).join('\n'));
  process.exitCode = 1;
}

const format = (value: number | undefined) => (value === undefined ? 'never' : `after ${value.toFixed(0)} s`);

const disk = vmDisk(log);
const endsAt = new Date(Date.now() + LIFE_SECONDS * 1000);
log(`Booting with self-termination at ${endsAt.toISOString()}`);
const good = await boot(disk, withSelfTermination(OWN, endsAt), () => false, LIFE_SECONDS + LATE_SECONDS);
verify(`self-termination does not block the boot (login prompt ${format(good.loginSeconds)})`, good.loginSeconds !== undefined, good);
verify("the user's own user data runs", good.console.includes('own user data ran'), good);
const lateSeconds = (good.endSeconds ?? Number.POSITIVE_INFINITY) - LIFE_SECONDS;
verify(
  `the instance powers off at its deadline (${format(good.endSeconds)} of ${LIFE_SECONDS} s)`,
  Math.abs(lateSeconds) < LATE_SECONDS,
  good,
);

const limit = Math.min(BOOT_LIMIT_SECONDS, Math.max(160, 2.5 * (good.loginSeconds ?? 0)));
log(`Booting with the boothook of version 0.1.0, for ${limit.toFixed(0)} s`);
const old = await boot(disk, DEADLOCK, ({ loginSeconds }) => loginSeconds !== undefined, limit);
verify(`the boothook of version 0.1.0 blocks the boot (login prompt ${format(old.loginSeconds)})`, old.loginSeconds === undefined, old);
