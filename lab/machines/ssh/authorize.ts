import { timingSafeEqual } from 'node:crypto';
import ssh2, { type AuthContext, type ParsedKey, type PublicKeyAuthContext } from 'ssh2';
import { readIn } from '../rooted.ts';

/**
 * Accepts a key that is in the guest's authorized_keys now. Any user name works; an unknown one is treated as the guest's
 * admin, so that a template may use `ec2-user` or `ubuntu`.
 */
export async function authorize(root: string, context: AuthContext): Promise<boolean> {
  if (context.method !== 'publickey') return false;
  const { home } = await accountOf(root, context.username);
  const keys = parse((await readIn(root, `${home}/.ssh/authorized_keys`)) ?? '');
  const key = keys.find(candidate => isSame(candidate.getPublicSSH(), context.key.data));
  return key !== undefined && holds(key, context);
}

function holds(key: ParsedKey, context: PublicKeyAuthContext): boolean {
  if (context.signature === undefined || context.blob === undefined) {
    // ssh2 answers `ssh-rsa` to an rsa-sha2 offer, which OpenSSH treats as a refusal.
    if (context.hashAlgo !== undefined) context.key.algo = `rsa-sha2-${context.hashAlgo.slice(3)}`;
    return true;
  }
  return key.verify(context.blob, context.signature, context.hashAlgo) === true;
}

function parse(text: string): readonly ParsedKey[] {
  return text
    .split('\n')
    .map(line => /(?:^|\s)((?:ssh|ecdsa|sk)-\S+\s+\S+)/.exec(line.startsWith('#') ? '' : line)?.[1])
    .filter(line => line !== undefined)
    .map(line => ssh2.utils.parseKey(line))
    .filter((parsed): parsed is ParsedKey => !(parsed instanceof Error));
}

const isSame = (one: Buffer, other: Buffer): boolean => one.length === other.length && timingSafeEqual(one, other);

export interface Account {
  readonly name: string;
  readonly home: string;
  readonly shell: string;
}

/** As in the guest's /etc/passwd. Commands run as root anyway. */
export async function accountOf(root: string, user: string): Promise<Account> {
  const lines = ((await readIn(root, '/etc/passwd')) ?? '').split('\n').map(line => line.split(':'));
  const line = lines.find(([name]) => name === user) ?? lines.find(([name]) => name === 'admin');
  return { name: line?.[0] ?? 'root', home: line?.[5] || '/root', shell: line?.[6] || '/bin/sh' };
}
