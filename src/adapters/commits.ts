import { getOctokit } from '@actions/github';
import { AccessError, UsageError } from '../kit/errors.ts';
import type { Commits } from '../world.ts';

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
    const octokit = getOctokit(given, baseUrl === undefined ? {} : { baseUrl });
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

const refused =
  (repository: string, ref: string) =>
  (cause: unknown): never => {
    const { status, message } = cause as { status?: number; message?: string };
    if (status === 404 || status === 409)
      throw new UsageError([`${repository} has no commit or branch "${ref}", or the token may not read it`], { cause });
    if (status === 401 || status === 403) {
      throw new AccessError(`GitHub refused to list the commits of ${repository}: ${message}`, {
        cause,
        next: 'Give the job "permissions: contents: read".',
      });
    }
    throw cause;
  };
