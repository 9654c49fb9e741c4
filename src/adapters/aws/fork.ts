import { readFileSync } from 'node:fs';

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
  'This is a pull request from a fork: GitHub gives it neither an OIDC token nor secrets. Let the job run for the repository\'s own pull requests only: "if: github.event.pull_request.head.repo.full_name == github.repository".';
