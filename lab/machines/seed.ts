import { randomBytes } from 'node:crypto';
import { chmod, chown, lstat, rm, symlink } from 'node:fs/promises';
import { join, posix } from 'node:path';
import ssh2 from 'ssh2';
import type { GuestSpec } from './hypervisor.ts';
import { isRoot } from './requirements.ts';
import { readIn, resolveIn, writeIn } from './rooted.ts';
import { readUserData } from './user-data.ts';

/** Prepares a disk before its first boot as an instance: authorized keys, machine identity, user data. As cloud-init does it. */
export async function seed({ instanceId, disk: { path: root }, authorizedKeys, userData, address }: GuestSpec): Promise<void> {
  await Promise.all([
    authorize(root, '/root', authorizedKeys, 0),
    authorize(root, '/home/admin', authorizedKeys, 1000),
    makeHostKeys(root),
    writeIn(root, '/etc/hostname', `${hostname(address)}\n`),
    makeMachineId(root),
    placeUserData(root, instanceId, userData ?? ''),
  ]);
}

export const hostname = (address: string): string => `ip-${address.replaceAll('.', '-')}`;

/** Added to the keys of the image: a key that is left in an image can still log in, as on AWS. */
async function authorize(root: string, home: string, keys: readonly string[], owner: number): Promise<void> {
  if (keys.length === 0) return;
  const file = `${home}/.ssh/authorized_keys`;
  const before = (await readIn(root, file)) ?? '';
  const known = new Set(before.split('\n'));
  const added = keys.map(key => key.trim()).filter(key => !known.has(key));
  const glue = before === '' || before.endsWith('\n') ? '' : '\n';
  await writeIn(root, file, `${before}${glue}${added.map(key => `${key}\n`).join('')}`, 0o600);
  await chmod(await resolveIn(root, posix.dirname(file)), 0o700);
  if (!isRoot()) return;
  for (const path of [posix.dirname(file), file]) await chown(await resolveIn(root, path), owner, owner);
}

/** Creates only missing host keys: those in the image are used by every instance of it. */
async function makeHostKeys(root: string): Promise<void> {
  for (const type of ['ed25519', 'ecdsa'] as const) {
    const file = `/etc/ssh/ssh_host_${type}_key`;
    if ((await readIn(root, file)) !== undefined) continue;
    const keys = type === 'ecdsa' ? ssh2.utils.generateKeyPairSync('ecdsa', { bits: 256 }) : ssh2.utils.generateKeyPairSync('ed25519');
    await writeIn(root, file, keys.private, 0o600);
    await writeIn(root, `${file}.pub`, `${keys.public} root@lab\n`);
  }
}

async function makeMachineId(root: string): Promise<void> {
  if (((await readIn(root, '/etc/machine-id')) ?? '').trim() !== '') return;
  await writeIn(root, '/etc/machine-id', `${randomBytes(16).toString('hex')}\n`, 0o444);
}

/** /var/lib/cloud/instances/<id>, and the link `instance` to it. https://cloudinit.readthedocs.io/en/latest/reference/base_config_reference.html */
async function placeUserData(root: string, instanceId: string, text: string): Promise<void> {
  const directory = `/var/lib/cloud/instances/${instanceId}`;
  const { scripts, boothooks, unhandled } = readUserData(text);
  await writeIn(root, `${directory}/user-data.txt`, text, 0o600);
  for (const [index, script] of scripts.entries()) {
    await writeIn(root, `${directory}/scripts/part-${String(index + 1).padStart(3, '0')}`, script, 0o700);
  }
  for (const [index, hook] of boothooks.entries()) {
    await writeIn(root, `${directory}/boothooks/part-${String(index + 1).padStart(3, '0')}`, hook, 0o700);
  }
  if (unhandled.length > 0) await writeIn(root, `${directory}/unhandled`, unhandled.join('; '));
  await writeIn(root, '/var/lib/cloud/data/instance-id', `${instanceId}\n`);
  const link = join(await resolveIn(root, '/var/lib/cloud'), 'instance');
  if (await lstat(link).catch(() => undefined)) await rm(link, { recursive: true });
  await symlink(directory, link);
}
