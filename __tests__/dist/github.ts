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

export async function serve(answer: (url: URL, headers: NodeJS.Dict<string | string[]>) => Answer): Promise<Served> {
  const asked: string[] = [];
  const server: Server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost');
    asked.push(`${url.pathname}${url.search}`);
    const { status = 200, body, headers = {} } = answer(url, request.headers);
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
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: 'https://token.actions.githubusercontent.com',
      sub,
      aud: url.searchParams.get('audience'),
      ref: 'refs/heads/main',
      repository: 'acme/web',
      repository_id: '456789',
      job_workflow_ref: 'acme/web/.github/workflows/ami.yml@refs/heads/main',
      iat: now,
      exp: now + 300,
    };
    return { body: { value: `${part({ alg: 'RS256', typ: 'JWT' })}.${part(claims)}.unsigned` } };
  });
  return {
    ...served,
    env: {
      ACTIONS_ID_TOKEN_REQUEST_URL: `${served.url}/token?api-version=2.0`,
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'of-this-job',
      GITHUB_REPOSITORY_OWNER_ID: '123456',
      GITHUB_REPOSITORY_ID: '456789',
    },
  };
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
