import { readFileSync } from 'node:fs';

/** GitHub's OIDC token: its subject, what a trust policy must say to match it, and who gets none. */

const IMMUTABLE = /^repo:([^/:@]+)@\d+\/([^/:@]+)@\d+:/;

export interface Ids {
  readonly owner: string;
  readonly repository: string;
}

/**
 * Repositories created, renamed or moved after 15 July 2026 have IDs in their subject. Older ones have none until an admin opts in.
 * https://docs.github.com/en/actions/concepts/security/openid-connect#immutable-subject-claims
 */
export function subjectHint(subject: string, ids: Ids): string {
  const [, owner, repository] = IMMUTABLE.exec(subject) ?? [];
  if (owner !== undefined) {
    const older = subject.replace(IMMUTABLE, `repo:${owner}/${repository}:`);
    return `This repository has a subject with immutable IDs. A policy for the older form, "${older}", does not match it.`;
  }
  const [, name = '', rest = ''] = /^repo:([^:@]+\/[^:@]+):(.+)$/.exec(subject) ?? [];
  if (name === '') return 'This repository has a customized subject: the policy must match it.';
  const [ownerName, repositoryName] = name.split('/');
  const newer = `repo:${ownerName}@${ids.owner || 'ID'}/${repositoryName}@${ids.repository || 'ID'}:${rest}`;
  return `This repository has a subject of the older form. A policy for the form with immutable IDs, "${newer}", does not match it.`;
}

/** The claims of a token that are text, not verified: for messages only. */
export function claimsOf(token: string): Readonly<Record<string, string>> & { readonly sub: string; readonly aud: string } {
  const none = { sub: '', aud: '' };
  try {
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Readonly<Record<string, unknown>>;
    return {
      ...none,
      ...Object.fromEntries(Object.entries(claims).flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : []))),
    };
  } catch {
    return none;
  }
}

interface Event {
  readonly pull_request?: { readonly head?: { readonly repo?: { readonly full_name?: string } | null } };
}

/** A pull request from a fork gets neither secrets nor an OIDC token. https://docs.github.com/en/actions/reference/security/secure-use */
export function isFork({ GITHUB_EVENT_PATH: path, GITHUB_REPOSITORY: own }: NodeJS.ProcessEnv = process.env): boolean {
  if (path === undefined || path === '') return false;
  try {
    const { pull_request: request } = JSON.parse(readFileSync(path, 'utf8')) as Event;
    return request !== undefined && request.head?.repo?.full_name !== own;
  } catch {
    return false;
  }
}

export const FORK_HINT =
  'This is a pull request from a fork: GitHub gives it neither an OIDC token nor secrets. Run the job for pull requests of the repository itself only: "if: github.event.pull_request.head.repo.full_name == github.repository".';
