import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What GitHub serves to a job, as far as we ask: OIDC tokens and the history of a repository. */

export interface Served {
  readonly url: string;
  /** Path and query of every request. */
  readonly asked: readonly string[];
  close(): Promise<void>;
}

type Answer = { readonly status?: number; readonly body: unknown; readonly headers?: Record<string, string> };

interface Sent {
  readonly method: string;
  readonly body: Readonly<Record<string, unknown>>;
}

export async function serve(answer: (url: URL, headers: NodeJS.Dict<string | string[]>, sent: Sent) => Answer): Promise<Served> {
  const asked: string[] = [];
  const server: Server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost');
    asked.push(`${url.pathname}${url.search}`);
    const content = Buffer.concat(await request.toArray()).toString();
    const sent = { method: request.method ?? 'GET', body: content === '' ? {} : JSON.parse(content) };
    const { status = 200, body, headers = {} } = answer(url, request.headers, sent);
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    response.writeHead(status, { 'content-type': 'application/json', connection: 'close', ...headers }).end(text);
  });
  await new Promise<void>(listening => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, asked, close: () => new Promise(closed => void server.close(() => closed())) };
}

const part = (content: object): string => Buffer.from(JSON.stringify(content)).toString('base64url');

/** A job with `id-token: write`: its environment, and a token for whoever asks with it. https://docs.github.com/en/actions/reference/security/oidc */
export async function tokens(sub = 'repo:acme/web:ref:refs/heads/main'): Promise<Served & { readonly env: Record<string, string> }> {
  const served = await serve((url, { authorization }) => {
    if (authorization !== 'Bearer of-this-job') return { status: 401, body: {} };
    return { body: { value: tokenFor({ sub, aud: url.searchParams.get('audience') }) } };
  });
  return { ...served, env: { ...OF_THE_JOB, ACTIONS_ID_TOKEN_REQUEST_URL: `${served.url}/token?api-version=2.0` } };
}

const OF_THE_JOB = {
  ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'of-this-job',
  GITHUB_REPOSITORY_OWNER_ID: '123456',
  GITHUB_REPOSITORY_ID: '456789',
} as const;

function tokenFor(claims: { readonly sub: string; readonly aud: string | null; readonly ref?: string }): string {
  const now = Math.floor(Date.now() / 1000);
  const all = {
    iss: 'https://token.actions.githubusercontent.com',
    ref: 'refs/heads/main',
    repository: 'acme/web',
    repository_id: '456789',
    job_workflow_ref: 'acme/web/.github/workflows/ami.yml@refs/heads/main',
    ...{ iat: now, exp: now + 300 },
    ...claims,
  };
  return `${part({ alg: 'RS256', typ: 'JWT' })}.${part(all)}.unsigned`;
}

export interface Issue {
  readonly number: number;
  title: string;
  body: string;
  state: string;
  readonly comments: { readonly id: number; body: string }[];
}

/** The token service of several jobs, the issues and deployments of a repository, and the commits of another one. */
export interface GitHub extends Served {
  readonly env: Record<string, string>;
  readonly issues: Issue[];
  /** The line of `main` of another repository, acme/image, newest first. */
  readonly commits: string[];
  /** States that deployments were given, by environment. */
  readonly deployments: { readonly environment: string; readonly states: string[] }[];
}

/** `subjectOf`: the `sub` and `ref` of a job that asks, from the query that the runner adds; undefined for a job without `id-token: write`. */
export async function fakeGitHub(
  subjectOf: (query: URLSearchParams) => { readonly sub: string; readonly ref: string } | undefined,
): Promise<GitHub> {
  const issues: Issue[] = [];
  const deployments: GitHub['deployments'][number][] = [];
  const commits: string[] = [];
  const served = await serve((url, { authorization }, sent) => {
    if (url.pathname === '/repos/acme/image/commits')
      return { body: commits.map((sha, i) => ({ sha, parents: commits.slice(i + 1, i + 2).map(parent => ({ sha: parent })) })) };
    if (url.pathname !== '/token') return repositoryAnswer(url, sent, issues, deployments);
    const subject = authorization === 'Bearer of-this-job' ? subjectOf(url.searchParams) : undefined;
    if (subject === undefined) return { status: 401, body: {} };
    return { body: { value: tokenFor({ ...subject, aud: url.searchParams.get('audience') }) } };
  });
  const env = { ...OF_THE_JOB, ACTIONS_ID_TOKEN_REQUEST_URL: `${served.url}/token?api-version=2.0`, GITHUB_API_URL: served.url };
  return { ...served, env, issues, commits, deployments };
}

// https://docs.github.com/en/rest/issues and https://docs.github.com/en/rest/deployments
function repositoryAnswer(
  url: URL,
  { method, body }: Sent,
  issues: Issue[],
  deployments: { environment: string; states: string[] }[],
): Answer {
  const path = url.pathname.replace(/^\/repos\/acme\/(web|image)\//, '');
  const page = Number(url.searchParams.get('page') ?? 1);
  const number = Number(/^issues\/(\d+)/.exec(path)?.[1]);
  const issue = issues.find(one => one.number === number);
  const text = (key: string) => String(body[key] ?? '');
  if (path === 'issues' && method === 'GET') {
    const state = url.searchParams.get('state') ?? 'open';
    return { body: page > 1 ? [] : issues.filter(one => state === 'all' || one.state === state) };
  }
  if (path === 'issues' && method === 'POST') {
    issues.push({ number: issues.length + 1, title: text('title'), body: text('body'), state: 'open', comments: [] });
    return { status: 201, body: issues.at(-1) };
  }
  if (/^issues\/\d+$/.test(path) && issue !== undefined) return { body: Object.assign(issue, body) };
  if (/^issues\/\d+\/comments$/.test(path) && issue !== undefined && method === 'GET') return { body: page > 1 ? [] : issue.comments };
  if (/^issues\/\d+\/comments$/.test(path) && issue !== undefined) {
    issue.comments.push({ id: number * 1000 + issue.comments.length, body: text('body') });
    return { status: 201, body: issue.comments.at(-1) };
  }
  const comment = issues.flatMap(one => one.comments).find(({ id }) => path === `issues/comments/${id}`);
  if (comment !== undefined) return { body: Object.assign(comment, body) };
  if (path === 'deployments' && method === 'GET') return { body: [] };
  if (path === 'deployments') {
    deployments.push({ environment: text('environment'), states: [] });
    return { status: 201, body: { id: deployments.length } };
  }
  const deployment = deployments[Number(/^deployments\/(\d+)\/statuses$/.exec(path)?.[1]) - 1];
  if (deployment !== undefined && method === 'POST') deployment.states.push(text('state'));
  return deployment === undefined ? { status: 404, body: { message: 'Not Found' } } : { status: method === 'POST' ? 201 : 200, body: [] };
}

export interface Commit {
  readonly sha: string;
  readonly parents: readonly string[];
}

/** The list of commits as the API gives it: all ancestors, newest first, whatever line they came by. `perPage` at most. */
export function history(refs: Readonly<Record<string, string>>, commits: readonly Commit[], { perPage = 100 } = {}): Promise<Served> {
  const known = new Map(commits.map(commit => [commit.sha, commit]));
  const ancestors = (sha: string, seen = new Set<string>()): ReadonlySet<string> => {
    if (seen.has(sha)) return seen;
    seen.add(sha);
    for (const parent of known.get(sha)?.parents ?? []) ancestors(parent, seen);
    return seen;
  };
  return serve(url => {
    const wanted = url.searchParams.get('sha') ?? '';
    const sha = refs[wanted] ?? commits.find(commit => commit.sha.startsWith(wanted))?.sha;
    if (url.pathname !== '/repos/acme/web/commits' || sha === undefined) return { status: 404, body: { message: 'Not Found' } };
    const all = ancestors(sha);
    const page = commits.filter(commit => all.has(commit.sha)).slice(0, Math.min(perPage, Number(url.searchParams.get('per_page'))));
    return { body: page.map(commit => ({ sha: commit.sha, parents: commit.parents.map(parent => ({ sha: parent })) })) };
  });
}
