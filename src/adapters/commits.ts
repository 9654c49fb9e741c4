import { AccessError, TimeoutError, UsageError } from '../kit/errors.ts';
import type { Commits } from '../ports/github.ts';
import { octokitWith } from './github.ts';

const PER_PAGE = 100;

/** https://docs.github.com/en/rest/commits/commits#list-commits: a page lists all ancestors by date, and only first parents are followed. */
export const githubCommits = (baseUrl: string | undefined): Commits => ({
  async firstParents({ repository, ref, atMost, token }) {
    const [owner = '', repo = ''] = repository.split('/');
    const given = token ?? process.env.GITHUB_TOKEN ?? '';
    if (given === '')
      throw new UsageError(['"github-token" is required to read the history of a repository. Set `github-token: ${{ github.token }}`']);
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

  // The list is oldest first, 250 at most. https://docs.github.com/en/rest/commits/commits#compare-two-commits
  async between({ repository, base, head, token }) {
    const [owner = '', repo = ''] = repository.split('/');
    const octokit = await octokitWith(token, baseUrl);
    const found = await octokit.rest.repos
      .compareCommitsWithBasehead({ owner, repo, basehead: `${base}...${head}` })
      .catch(() => undefined);
    if (found === undefined) return undefined;
    const { total_commits: total, commits } = found.data;
    const newest = commits.map(({ commit, author }) => ({
      title: commit.message.split('\n')[0] ?? '',
      author: author?.login ?? commit.author?.name ?? '',
    }));
    return { total, newest: newest.reverse() };
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
    // 422: it looks like a commit and is none. 409: the repository is empty.
    if ([404, 409, 422].includes(status))
      throw new UsageError([`Repository ${repository} has no commit or branch "${ref}", or the token cannot read it`], {
        cause,
        next: 'Add "permissions: contents: read" to the job. For another private repository, set "github-token" to a token that can read its contents: `github.token` reads its own repository only. In ami-pipeline.yml it is the secret "repository-token".',
      });
    // https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
    if (status === 429 || (status === 403 && response?.headers?.['x-ratelimit-remaining'] === '0'))
      throw new TimeoutError(`The rate limit of GitHub is used up: ${message}`, { cause, next: 'Run the job again in an hour.' });
    if (status === 401 || status === 403) {
      throw new AccessError(`GitHub refused to list the commits of ${repository}: ${message}`, {
        cause,
        next: 'Add "permissions: contents: read" to the job.',
      });
    }
    throw new TimeoutError(`GitHub could not list the commits of ${repository}: ${message}`, {
      cause,
      next: 'Run the job again.',
    });
  };
