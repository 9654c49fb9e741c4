import { AccessError, UsageError } from '../kit/errors.ts';
import type { Issues } from '../ports/issues.ts';
import { type Octokit, octokitWith } from './github.ts';

/** Comments and issues that later runs edit. https://docs.github.com/en/rest/issues */

const MARK = '<!-- ami-action -->';
// https://docs.github.com/en/rest/issues/comments refuses a longer body.
const MOST = 65_536;

interface Repository {
  readonly owner: string;
  readonly repo: string;
  readonly octokit: Octokit;
}

export const githubIssues = (baseUrl: string | undefined): Issues => ({
  async comment({ repository, token, number, section, markdown }) {
    const { octokit, ...where } = await open(repository, token, baseUrl);
    const issue = { ...where, issue_number: number };
    const all = await octokit.paginate(octokit.rest.issues.listComments, { ...issue, per_page: 100 }).catch(refused('pull-requests'));
    const own = all.find(({ body }) => body?.startsWith(MARK));
    const body = withSection(own?.body ?? MARK, section, markdown);
    if (own === undefined) await octokit.rest.issues.createComment({ ...issue, body }).catch(refused('pull-requests'));
    else await octokit.rest.issues.updateComment({ ...where, comment_id: own.id, body }).catch(refused('pull-requests'));
  },

  async keep({ repository, token, title, markdown }) {
    const at = await open(repository, token, baseUrl);
    const { octokit, ...where } = at;
    const number = await findOpen(at, title);
    if (markdown === undefined) {
      if (number === undefined) return undefined;
      await octokit.rest.issues.update({ ...where, issue_number: number, state: 'closed' }).catch(refused('issues'));
      return { number, change: 'closed' };
    }
    const body = `${MARK}\n${markdown}`.slice(0, MOST);
    if (number !== undefined) {
      await octokit.rest.issues.update({ ...where, issue_number: number, body }).catch(refused('issues'));
      return { number, change: 'edited' };
    }
    const { data } = await octokit.rest.issues.create({ ...where, title, body }).catch(refused('issues'));
    return { number: data.number, change: 'opened' };
  },
});

async function open(repository: string, given: string | undefined, baseUrl: string | undefined): Promise<Repository> {
  const token = given ?? process.env.GITHUB_TOKEN ?? '';
  if (token === '') throw new UsageError(['"github-token" is required to write to GitHub. Set `github-token: ${{ github.token }}`']);
  const [owner = '', repo = ''] = repository.split('/');
  return { owner, repo, octokit: await octokitWith(token, baseUrl) };
}

/** An issue of a person with the same title is left alone. */
async function findOpen({ octokit, ...where }: Repository, title: string): Promise<number | undefined> {
  const all = await octokit.paginate(octokit.rest.issues.listForRepo, { ...where, state: 'open', per_page: 100 }).catch(refused('issues'));
  return all.find(issue => issue.title === title && issue.body?.startsWith(MARK) === true)?.number;
}

/** The comment with this section replaced or appended. Sections of other steps stay. */
export function withSection(body: string, section: string, markdown: string): string {
  const name = section.replace(/[^\w./-]/g, '_');
  const [from, to] = [`<!-- ami-action:${name} -->`, `<!-- /ami-action:${name} -->`];
  const start = body.indexOf(from);
  const end = body.indexOf(to, start);
  const others = start < 0 || end < 0 ? [body, ''] : [body.slice(0, start), body.slice(end + to.length)];
  const room = MOST - others.join('').length - from.length - to.length - 100;
  const shown =
    markdown.length <= room ? markdown : `${markdown.slice(0, Math.max(0, room))}\n\n**Truncated.** The job summary has everything.`;
  return `${others[0]?.trimEnd()}\n${from}\n${shown}\n${to}${others[1]}`;
}

const refused =
  (permission: string) =>
  (cause: unknown): never => {
    const { status, message } = cause as { status?: number; message?: string };
    if (status === undefined) throw cause;
    throw new AccessError(`GitHub refused the ${permission === 'issues' ? 'issue' : 'comment'}: ${status} ${message}`, {
      cause,
      next: `Add "${permission}: write" to the permissions of the job, and set "github-token".`,
    });
  };
