import { AccessError, TimeoutError, UsageError } from '../kit/errors.ts';
import type { Commits } from '../ports/deps.ts';
import { octokitWith } from './github.ts';

const PER_PAGE = 100;

/** https://docs.github.com/en/rest/commits/commits#list-commits: a page holds all ancestors by date; only first parents are followed through it. */
export const githubCommits = (baseUrl: string | undefined): Commits => ({
  async firstParents({ repository, ref, atMost, token }) {
    const [owner = '', repo = ''] = repository.split('/');
    const given = token ?? process.env.GITHUB_TOKEN ?? '';
    if (given === '')
      throw new UsageError([
        '"github-token" is missing: the history of a repository is read with it. Use `github-token: ${{ github.token }}`',
      ]);
    const octokit = await octokitWith(given, baseUrl);
    const parentOf = new Map<string, string | undefined>();
    const list: string[] = [];
    for (let next: string | undefined = ref; next !== undefined && list.length < atMost; next = parentOf.get(list.at(-1) ?? '')) {
      if (parentOf.has(next)) {
        list.push(next);
        continue;
      }
      const { data } = await octokit.rest.repos
        .listCommits({ owner, repo, sha: next, per_page: PER_PAGE })
        .catch(refused(repository, next));
      for (const { sha, parents } of data) parentOf.set(sha, parents[0]?.sha);
      const [head] = data;
      if (head === undefined) break;
      list.push(head.sha);
    }
    return list;
  },
});

interface ApiFailure {
  readonly status?: number;
  readonly message?: string;
  readonly response?: { readonly headers?: Readonly<Record<string, string | undefined>> };
}

const refused =
  (repository: string, ref: string) =>
  (cause: unknown): never => {
    const { status = 0, message, response } = cause as ApiFailure;
    // 422 is what GitHub says to something that looks like a commit and is none; 409 to an empty repository.
    if ([404, 409, 422].includes(status))
      throw new UsageError([`${repository} has no commit or branch "${ref}", or the token may not read it`], {
        cause,
        next: 'Give the job "permissions: contents: read". Another repository that is private needs a "github-token" that may read its contents: `github.token` reads its own repository only. To ami-pipeline.yml hand it as the secret "repository-token".',
      });
    // https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
    if (status === 429 || (status === 403 && response?.headers?.['x-ratelimit-remaining'] === '0'))
      throw new TimeoutError(`GitHub lets us ask no more for now: ${message}`, { cause, next: 'Run the job again in an hour.' });
    if (status === 401 || status === 403) {
      throw new AccessError(`GitHub refused to list the commits of ${repository}: ${message}`, {
        cause,
        next: 'Give the job "permissions: contents: read".',
      });
    }
    throw new TimeoutError(`GitHub did not answer what the commits of ${repository} are: ${message}`, {
      cause,
      next: 'Run the job again.',
    });
  };
