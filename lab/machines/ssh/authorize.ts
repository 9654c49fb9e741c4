import { timingSafeEqual } from 'node:crypto';
import ssh2, { type AuthContext, type ParsedKey, type PublicKeyAuthContext } from 'ssh2';
import { readIn } from '../rooted.ts';

/**
 * Lets in whoever holds a key that the guest's authorized_keys names at this moment. Any user name will do; one that the guest does not know is
 * taken for its admin, so that a template may say `ec2-user` or `ubuntu`.
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
    // ssh2 answers `ssh-rsa` for an rsa-sha2 offer, and OpenSSH then takes the key for refused.
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

/** As the guest's /etc/passwd has it. Commands run as root all the same. */
export async function accountOf(root: string, user: string): Promise<Account> {
  const lines = ((await readIn(root, '/etc/passwd')) ?? '').split('\n').map(line => line.split(':'));
  const line = lines.find(([name]) => name === user) ?? lines.find(([name]) => name === 'admin');
  return { name: line?.[0] ?? 'root', home: line?.[5] || '/root', shell: line?.[6] || '/bin/sh' };
}
