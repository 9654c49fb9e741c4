import { rm } from 'node:fs/promises';
import type { Access } from './adapters/aws/session.ts';
import { systemClock } from './adapters/clock.ts';
import { githubCommits } from './adapters/commits.ts';
import { githubDeployments } from './adapters/deployments.ts';
import { workspaceFiles } from './adapters/files.ts';
import { githubHost, runFacts } from './adapters/github.ts';
import { githubIssues } from './adapters/issues.ts';
import { isPost, savedEntries, stateJournal } from './adapters/journal.ts';
import { runnerReporter } from './adapters/reporter.ts';
import { RejectedError } from './kit/errors.ts';
import { explain } from './kit/failure.ts';
import { main, readCommon } from './main.ts';
import { post } from './post.ts';

/** Connects the adapters to main, or to post. The only file that knows them. */

// The runner sends SIGINT, 7.5 s later SIGTERM, 2.5 s later it kills.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-cancellation
const cancel = new AbortController();
process.on('SIGINT', () => cancel.abort());
process.on('SIGTERM', () => cancel.abort());

/** Of package.json; the release checks that both agree. */
const VERSION = '0.1.0';

const clock = systemClock(cancel.signal);
const report = runnerReporter(clock);
const run = runFacts(cancel.signal);
const issues = githubIssues(process.env['GITHUB_API_URL']);

type Comment = Pick<Parameters<Parameters<typeof main>[1]>[0], 'comment' | 'githubToken'>;

// Loaded late: unusable settings are reported before any AWS client is loaded.
const connect = async (settings: Pick<Access, 'roleToAssume' | 'roleDuration' | 'roleChaining' | 'allowInstanceRole'>) => {
  const { regionClients } = await import('./adapters/aws/region-clients.ts');
  return regionClients({ ...settings, mode: process.env['INPUT_MODE'] ?? '', clock, run, report });
};

// The runner kills this process 10 s after a cancel, perhaps while Packer cleans up: what is known is written before.
const WRITTEN_AFTER_MS = 4000;
const CANCELLED = '### 🚫 Cancelled\n\nThe run was cancelled. The `post` step of this job ends what it started.';

// An argument means a terminal: a runner starts the bundle without any.
const entry = process.argv.length > 2 ? runTerminal : isPost() ? runPost : runMain;
await entry().catch(failure => githubHost.fail(explain(withoutStack(failure))));

/** The journal cannot be saved, so nothing was begun. */
function withoutStack(failure: unknown): unknown {
  const { message, code = '' } = failure as NodeJS.ErrnoException;
  if (!/^(EACCES|EISDIR|ENOSPC|EROFS|EDQUOT)$/.test(code) && !/^Missing file at path/.test(message)) return failure;
  return new RejectedError(`A file of the runner cannot be written: ${message}`, { cause: failure, unchanged: true });
}

async function runTerminal(): Promise<void> {
  const { terminal } = await import('./terminal.ts');
  process.exitCode = await terminal(process.argv.slice(2), VERSION, cancel.signal);
}

function writeWhenCancelled(summary: boolean): { done(): void } {
  let timer: NodeJS.Timeout | undefined;
  const write = () => {
    githubHost.output('outcome', 'cancelled');
    if (summary) void report.flush(CANCELLED);
  };
  const start = () => {
    timer = setTimeout(write, WRITTEN_AFTER_MS);
  };
  cancel.signal.addEventListener('abort', start, { once: true });
  return {
    done() {
      cancel.signal.removeEventListener('abort', start);
      clearTimeout(timer);
    },
  };
}

async function runMain(): Promise<void> {
  const journal = stateJournal();
  await main(githubHost, async settings => {
    const early = writeWhenCancelled(settings.summary);
    const inRegion = await connect(settings);
    // What starts processes costs a tenth of the start.
    const [{ packer }, { workspaceContent }, { githubAttestations }, { thisMachine }] = await Promise.all([
      import('./adapters/packer/packer.ts'),
      import('./adapters/content.ts'),
      import('./adapters/attestations.ts'),
      import('./adapters/machine.ts'),
    ]);
    return {
      deps: {
        clock,
        report,
        run,
        journal,
        files: workspaceFiles(run.workspace),
        content: workspaceContent(run.workspace),
        inRegion,
        commits: githubCommits(process.env['GITHUB_API_URL']),
        deployments: githubDeployments(process.env['GITHUB_API_URL']),
        attestations: githubAttestations(run),
        issues,
        machine: thisMachine(run.temp, clock),
        packer: packer({ run, journal, report }),
      },
      async close() {
        early.done();
        if (settings.summary) await report.flush();
        await comment(report.reported(), settings);
      },
    };
  });
}

/** As the summary, a comment is a help: a run does not fail without it. */
async function comment(markdown: string, { comment: number, githubToken: token }: Comment): Promise<void> {
  if (number === undefined) return;
  const { GITHUB_ACTION: step = '', INPUT_CONFIG: config = '', INPUT_ARCHITECTURE: architecture = '' } = process.env;
  const section = [run.job, step, config, architecture].filter(part => part !== '').join('/');
  const written = issues.comment({ repository: run.repository, token, number, section, markdown });
  await written.catch((cause: unknown) => report.warn(`The comment was not written: ${explain(cause)}`));
}

async function runPost(): Promise<void> {
  const entries = savedEntries();
  if (entries.length === 0) return;
  try {
    const inRegion = await connect(await readCommon(githubHost));
    const { endProcess } = await import('./adapters/process.ts');
    const left = await post(entries, {
      report,
      clock,
      inRegion,
      endProcess,
      removeFile: path => rm(path, { force: true, recursive: true }),
    });
    for (const line of left) githubHost.fail(`Left behind: ${line}`);
  } catch (failure) {
    githubHost.fail(explain(failure));
  }
}
