import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import type { VmBase } from './base-disk.ts';
import { GUEST_ADDRESS, GUEST_MAC } from './metadata.ts';

/** A running QEMU. */
export interface Qemu {
  /** Resolves when the process has ended, for whatever reason. */
  readonly ended: Promise<void>;
  /** One command of the human monitor; resolves when it was carried out. https://www.qemu.org/docs/master/system/monitor.html */
  monitor(command: string): Promise<void>;
  kill(): void;
}

export interface Machine {
  readonly base: Pick<VmBase, 'kernel' | 'initrd'>;
  readonly accelerator: readonly string[];
  readonly disk: string;
  readonly consoleFile: string;
  readonly instanceId: string;
  readonly instanceType: string;
  /** Address and port on this host where the guest's sshd answers. */
  readonly ssh: string;
  /** Port of 127.0.0.1 that serves metadata and agent. */
  readonly servicePort: number;
  /** What the guest's clock says now. */
  readonly now: Date;
}

const MEMORY_MIB = '512';
const KERNEL = 'console=ttyS0 net.ifnames=0 no_timer_check mitigations=off';

const argumentsOf = ({ base, accelerator, disk, consoleFile, instanceId, instanceType, ssh, servicePort, now }: Machine): string[] => {
  // The form `-cmd:` starts a program for each connection; the form `-tcp:` opens one connection only.
  const service = (address: string) => `guestfwd=tcp:${address}:80-cmd:nc 127.0.0.1 ${servicePort}`;
  const network = ['user,id=n0,net=169.254.0.0/16', `dhcpstart=${GUEST_ADDRESS}`, `hostfwd=tcp:${ssh}-:22`];
  // cloud-init recognises EC2 by the UUID, which is the serial number too.
  const digits = `ec2${instanceId.replace(/\W|^i/g, '').padEnd(29, '0').slice(0, 29)}`;
  const uuid = digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  return [
    ...['-m', MEMORY_MIB, '-display', 'none', '-qmp', 'stdio', ...accelerator, '-rtc', `base=${now.toISOString().slice(0, 19)}`],
    // On a busy host without KVM the kernel's check of its timer fails, and it panics; what it does against side channels costs much there.
    ...['-kernel', base.kernel, '-initrd', base.initrd, '-append', `root=/dev/vda rw ${KERNEL}`],
    ...['-drive', `file=${disk},if=virtio,format=qcow2,cache=unsafe`, '-serial', `file:${consoleFile}`],
    ...['-smbios', `type=1,manufacturer=Amazon EC2,product=${instanceType},uuid=${uuid},serial=${uuid}`],
    ...['-netdev', [...network, service('169.254.169.254'), service('169.254.169.250')].join(',')],
    ...['-device', `virtio-net-pci,netdev=n0,mac=${GUEST_MAC}`],
  ];
};

/** Resolves when the machine runs and its address accepts connections. Rejects with QEMU's words when it does not start. */
export async function startQemu(machine: Machine): Promise<Qemu> {
  const child = spawn('qemu-system-x86_64', argumentsOf(machine));
  let complaint = '';
  child.stderr.on('data', chunk => {
    complaint += chunk;
  });
  const ended = new Promise<void>(done => child.once('error', () => done()).once('exit', () => done()));
  const answers = answersOf(child);
  const monitor = async (command: string) => {
    const answered = answers.next();
    child.stdin.write(`${JSON.stringify({ execute: 'human-monitor-command', arguments: { 'command-line': command } })}\n`);
    await Promise.race([answered, ended]);
  };
  const ready = answers.next();
  const hasStarted = await Promise.race([ready.then(() => true), ended.then(() => false)]);
  if (!hasStarted) throw new Error(`QEMU does not start: ${complaint.trim().slice(-1000)}`);
  const negotiated = answers.next();
  child.stdin.write(`${JSON.stringify({ execute: 'qmp_capabilities' })}\n`);
  await Promise.race([negotiated, ended]);
  return { ended, monitor, kill: () => void child.kill('SIGKILL') };
}

/** Greeting and answers of QMP, in order. Events are left out. https://www.qemu.org/docs/master/interop/qmp-spec.html */
function answersOf(child: ChildProcessWithoutNullStreams): { next(): Promise<void> } {
  const waiting: (() => void)[] = [];
  child.stdin.on('error', () => undefined);
  createInterface({ input: child.stdout }).on('line', line => {
    if (!line.startsWith('{"timestamp"')) waiting.shift()?.();
  });
  return { next: () => new Promise(done => waiting.push(done)) };
}

const KVM = ['-accel', 'kvm', '-cpu', 'host'] as const;
const TCG = ['-accel', 'tcg', '-cpu', 'Nehalem'] as const;
const KVM_SECONDS = 6;

/** KVM where a kernel starts with it: some machines have /dev/kvm and a guest hangs in its first lines. */
export async function accelerator({ kernel }: Pick<VmBase, 'kernel'>): Promise<readonly string[]> {
  const mayUse = await access('/dev/kvm', constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  );
  if (!mayUse) return TCG;
  const trial = ['-m', '256', '-display', 'none', '-monitor', 'none', '-serial', 'stdio', '-no-reboot'];
  const child = spawn('qemu-system-x86_64', [...trial, ...KVM, '-kernel', kernel, '-append', 'console=ttyS0 panic=-1']);
  const boots = new Promise<boolean>(settle => {
    let console = '';
    child.stdout.on('data', chunk => {
      console += chunk;
      if (console.includes('Linux version')) settle(true);
    });
    child.once('error', () => settle(false)).once('exit', () => settle(false));
  });
  const works = await Promise.race([boots, setTimeout(KVM_SECONDS * 1000, false, { ref: false })]);
  child.kill('SIGKILL');
  return works ? KVM : TCG;
}
