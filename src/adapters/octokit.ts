import type { getOctokit } from '@actions/github';

export type Octokit = ReturnType<typeof getOctokit>;

/** GitHub's API with a token. Loaded late: most runs ask GitHub nothing. */
export async function octokitWith(token: string, baseUrl: string | undefined): Promise<Octokit> {
  const github = await import('@actions/github');
  return github.getOctokit(token, baseUrl === undefined ? {} : { baseUrl });
}
