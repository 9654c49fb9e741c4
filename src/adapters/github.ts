import { randomUUID } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { getOctokit } from '@actions/github';
import { UsageError } from '../kit/errors.ts';
import type { RawValue } from '../kit/settings.ts';
import type { Host } from '../main.ts';
import type { Run } from '../ports/deps.ts';
import { insideWorkspace } from './files.ts';
import * as core from './runner.ts';

/** The runner as `main` sees it: inputs, outputs, summary. */
export const githubHost: Host = {
  given: () => withInputs(process.env),
  file: readSmallFile,
  environmentRegion: () => process.env.AWS_REGION ?? process.env.AWS_DEFAULT_REGION,
  output: (name, value) => orReport(`Output "${name}"`, () => core.setOutput(name, value)),
  fail(message, location) {
    process.exitCode = 1;
    core.error(message, location);
  },
  summary: writeSummary,
  debug: message => core.debug(message),
};

// Far more than any settings need: a larger file would take minutes to parse.
const MOST_BYTES = 128 * 1024;

function readSmallFile(path: string): string | undefined {
  const absolute = insideWorkspace(process.env.GITHUB_WORKSPACE || process.cwd(), path);
  const found = statSync(absolute, { throwIfNoEntry: false });
  if (found === undefined) return undefined;
  if (!found.isFile()) throw new UsageError([`"config" must be a file, and ${path} is a directory`], { unchanged: true });
  if (found.size > MOST_BYTES)
    throw new UsageError([`"config" must be at most ${MOST_BYTES} bytes, and ${path} has ${found.size}`], { unchanged: true });
  return readFileSync(absolute, 'utf8');
}

/** Replaces the summary of this step. It is a help: a run does not fail without it. */
export async function writeSummary(markdown: string): Promise<void> {
  if (process.env.GITHUB_STEP_SUMMARY === undefined) return;
  const written = core.summary.addRaw(markdown, true).write({ overwrite: true });
  await written.catch((cause: Error) => core.warning(`The job summary could not be written: ${cause.message}`));
}

/** A file of the runner that cannot be written fails the step, and keeps no other output from being written. */
function orReport(what: string, write: () => void): void {
  try {
    write();
  } catch (cause) {
    core.setFailed(`${what} could not be written: ${(cause as Error).message}. Check the disk and the permissions of the runner.`);
  }
}

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
    event: fact('GITHUB_EVENT_NAME'),
    url: fact('GITHUB_REPOSITORY') && `${fact('GITHUB_SERVER_URL')}/${fact('GITHUB_REPOSITORY')}/actions/runs/${fact('GITHUB_RUN_ID')}`,
    workspace,
    temp: fact('RUNNER_TEMP') || join(workspace, '.ami-action-temp'),
    cancelled,
  };
}

// What the runner reads as a command: https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs
const COMMAND = /^[\s\u0085]*::|##\[/;
// Terminal sequences, and every other control character but the tab.
const SEQUENCE = /(?!\t)\p{Cc}\[[0-9;?]*[ -/]*[@-~]/gu;
const CONTROL = /(?!\t)\p{Cc}/gu;

// One for the process: the runner masks each token, and compares every later line with all of them.
const stopToken = randomUUID();

/** Prints untrusted lines, without control characters. Those that the runner reads as commands go between stop-commands marks with a secret token. */
export function printForeign(lines: readonly string[]): void {
  const shown = lines.map(line => line.replace(SEQUENCE, '').replace(CONTROL, '\u{fffd}'));
  const isCommand = shown.some(line => COMMAND.test(line));
  if (isCommand) core.info(`::stop-commands::${stopToken}`);
  for (const line of shown) core.info(line);
  if (isCommand) core.info(`::${stopToken}::`);
}

export type Octokit = ReturnType<typeof getOctokit>;

/** GitHub's API with a token. Loaded late: most runs do not use it. */
export async function octokitWith(token: string, baseUrl: string | undefined): Promise<Octokit> {
  const github = await import('@actions/github');
  return github.getOctokit(token, baseUrl === undefined ? {} : { baseUrl });
}
