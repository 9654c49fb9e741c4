import { execFile } from 'node:child_process';
import { access, constants, lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** A requirement of sandboxed guests that this host does not meet. */
export interface Missing {
  readonly what: string;
  readonly fix: string;
}

/** Program -> Debian package. */
const PROGRAMS: Readonly<Record<string, string>> = {
  bwrap: 'bubblewrap',
  nsenter: 'util-linux',
  setsid: 'util-linux',
  setpriv: 'util-linux',
  bash: 'bash',
  awk: 'mawk',
  find: 'findutils',
  getent: 'libc-bin',
  hostname: 'hostname',
  mkfifo: 'coreutils',
};

/** Empty when guests can run here. Programs are searched in the host's /usr, which guests use too. */
export async function missingRequirements(path = '/usr/bin:/usr/sbin'): Promise<readonly Missing[]> {
  if (process.platform !== 'linux') {
    return [{ what: 'Linux (guests are namespaces)', fix: 'start the lab with `machines: paper`, or in a Linux machine or container' }];
  }
  const programs = await Promise.all(
    Object.entries(PROGRAMS).map(async ([name, parcel]) => ((await isOn(path, name)) ? undefined : { name, parcel })),
  );
  const absent = programs.filter(program => program !== undefined);
  const packages = [...new Set(absent.map(({ parcel }) => parcel))].sort();
  if (absent.length > 0) {
    return absent.map(({ name }) => ({ what: `the program ${name}`, fix: `sudo apt-get install --yes ${packages.join(' ')}` }));
  }
  if (!(await lstat('/bin')).isSymbolicLink()) {
    return [{ what: 'a merged /usr (/bin a link to usr/bin)', fix: 'sudo apt-get install --yes usrmerge' }];
  }
  return namespaces();
}

/** GitHub's ubuntu-24.04 forbids unprivileged user namespaces (kernel.apparmor_restrict_unprivileged_userns). */
async function namespaces(): Promise<readonly Missing[]> {
  const tried = ['--ro-bind', '/', '/', '--unshare-pid', '--unshare-net', '--unshare-uts', '--unshare-ipc', '--proc', '/proc', 'true'];
  const failure = await promisify(execFile)('bwrap', isRoot() ? tried : ['--unshare-user', ...tried]).then(
    () => undefined,
    (cause: Error & { stderr?: string }) => cause.stderr?.trim() || cause.message,
  );
  if (failure === undefined) return [];
  const fix = isRoot()
    ? 'run the lab where namespaces may be made (a container needs --privileged)'
    : 'run the lab as root (sudo), or allow unprivileged user namespaces';
  return [{ what: `the permission to make namespaces (bwrap: ${failure})`, fix }];
}

export const isRoot = (): boolean => process.getuid?.() === 0;

async function isOn(path: string, program: string): Promise<boolean> {
  const found = path.split(':').map(directory => access(join(directory, program), constants.X_OK));
  return Promise.any(found).then(
    () => true,
    () => false,
  );
}

/** One sentence per requirement: what is missing, and the fix. */
export const complaint = (missing: readonly Missing[]): string =>
  `This host cannot run the lab's guests.\n${missing.map(({ what, fix }) => `  It lacks ${what}. Fix: ${fix}`).join('\n')}`;
