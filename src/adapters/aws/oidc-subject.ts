/** How GitHub names a job in its token, `sub`, and what a trust policy must say to fit it. */

const IMMUTABLE = /^repo:([^/:@]+)@\d+\/([^/:@]+)@\d+:/;

export interface Ids {
  readonly owner: string;
  readonly repository: string;
}

/**
 * Repositories made, renamed or moved after 15 July 2026 have IDs in their subject; older ones do not, until their admin wants it.
 * https://docs.github.com/en/actions/concepts/security/openid-connect#immutable-subject-claims
 */
export function subjectHint(subject: string, ids: Ids): string {
  const [, owner, repository] = IMMUTABLE.exec(subject) ?? [];
  if (owner !== undefined) {
    const older = subject.replace(IMMUTABLE, `repo:${owner}/${repository}:`);
    return `This repository has a subject with immutable IDs: a policy that was written for the older form, "${older}", does not fit it.`;
  }
  const [, name = '', rest = ''] = /^repo:([^:@]+\/[^:@]+):(.+)$/.exec(subject) ?? [];
  if (name === '') return 'The subject of this repository is customized: the policy must follow it.';
  const [ownerName, repositoryName] = name.split('/');
  const newer = `repo:${ownerName}@${ids.owner || 'ID'}/${repositoryName}@${ids.repository || 'ID'}:${rest}`;
  return `This repository has the older form: a policy that was written for the one with immutable IDs, "${newer}", does not fit it.`;
}

/** What a token says, unchecked: it is told to people, and proves nothing. */
export function claimsOf(token: string): { readonly sub: string; readonly aud: string } {
  try {
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Readonly<Record<string, unknown>>;
    return { sub: String(claims['sub'] ?? ''), aud: String(claims['aud'] ?? '') };
  } catch {
    return { sub: '', aud: '' };
  }
}
