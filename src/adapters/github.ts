import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as core from '@actions/core';
import type { getOctokit } from '@actions/github';
import type { RawValue } from '../kit/settings.ts';
import type { Host } from '../main.ts';
import type { Run } from '../ports/deps.ts';

/** The runner as `main` sees it: inputs, outputs, summary. */
export const githubHost: Host = {
  given: () => withInputs(process.env),
  file: path => {
    const absolute = join(process.env.GITHUB_WORKSPACE ?? process.cwd(), path);
    return existsSync(absolute) ? readFileSync(absolute, 'utf8') : undefined;
  },
  environmentRegion: () => process.env.AWS_REGION ?? process.env.AWS_DEFAULT_REGION,
  output: (name, value) => core.setOutput(name, value),
  fail(message, location) {
    process.exitCode = core.ExitCode.Failure;
    core.error(message, location === undefined ? {} : { file: location.file, startLine: location.line });
  },
  async summary(markdown) {
    if (process.env.GITHUB_STEP_SUMMARY !== undefined) await core.summary.addRaw(markdown, true).write();
  },
  debug: message => core.debug(message),
};

// `keep-newest` arrives as INPUT_KEEP-NEWEST.
// https://docs.github.com/en/actions/reference/workflows-and-actions/metadata-syntax#inputs
const withInputs = (environment: NodeJS.ProcessEnv): Record<string, RawValue> =>
  Object.fromEntries(
    Object.entries(environment).flatMap(([key, value]) =>
      key.startsWith('INPUT_') && value !== undefined ? [[key.slice('INPUT_'.length).toLowerCase(), value]] : [],
    ),
  );

export function runFacts(cancelled: AbortSignal): Run {
  const fact = (name: string) => process.env[name] ?? '';
  const workspace = fact('GITHUB_WORKSPACE') || process.cwd();
  return {
    repository: fact('GITHUB_REPOSITORY'),
    commit: fact('GITHUB_SHA'),
    ref: fact('GITHUB_REF'),
    id: fact('GITHUB_RUN_ID'),
    attempt: fact('GITHUB_RUN_ATTEMPT') || '1',
    job: fact('GITHUB_JOB'),
    actor: fact('GITHUB_ACTOR'),
    url: fact('GITHUB_REPOSITORY') && `${fact('GITHUB_SERVER_URL')}/${fact('GITHUB_REPOSITORY')}/actions/runs/${fact('GITHUB_RUN_ID')}`,
    workspace,
    temp: fact('RUNNER_TEMP') || join(workspace, '.ami-action-temp'),
    cancelled,
  };
}

/** Prints untrusted lines. Those that the runner could read as a workflow command go between stop-commands marks with a secret token. */
export function printForeign(lines: readonly string[]): void {
  if (!lines.some(line => /::|##\[/.test(line))) {
    for (const line of lines) core.info(line);
    return;
  }
  const token = randomUUID();
  core.info(`::stop-commands::${token}`);
  for (const line of lines) core.info(line);
  core.info(`::${token}::`);
}

export type Octokit = ReturnType<typeof getOctokit>;

/** GitHub's API with a token. Loaded late: most runs do not use it. */
export async function octokitWith(token: string, baseUrl: string | undefined): Promise<Octokit> {
  const github = await import('@actions/github');
  return github.getOctokit(token, baseUrl === undefined ? {} : { baseUrl });
}
