import { realpathSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { githubAttestations } from './adapters/attestations.ts';
import { systemClock } from './adapters/clock.ts';
import { githubCommits } from './adapters/commits.ts';
import { workspaceContent } from './adapters/content.ts';
import { githubDeployments } from './adapters/deployments.ts';
import { workspaceFiles } from './adapters/files.ts';
import { githubIssues } from './adapters/issues.ts';
import { thisMachine } from './adapters/machine.ts';
import { endProcess } from './adapters/process.ts';
import { answerCache, answerKey, isCacheable } from './adapters/terminal/answer-cache.ts';
import { type CommandLine, parseArguments, type Request } from './adapters/terminal/arguments.ts';
import { completion, help } from './adapters/terminal/help.ts';
import { EXIT_CODES, isTable, type TerminalHost, terminalHost } from './adapters/terminal/host.ts';
import { init, terminalQuestions } from './adapters/terminal/init.ts';
import { memoryJournal } from './adapters/terminal/journal.ts';
import { type Streams, terminalReporter } from './adapters/terminal/reporter.ts';
import { terminalRun } from './adapters/terminal/run-facts.ts';
import { explain } from './kit/failure.ts';
import { formatDuration } from './kit/format.ts';
import { CONFIG_FILE, main } from './main.ts';
import { post } from './post.ts';

/** The terminal program: the modes of the action with flags instead of `with:`. Builds the deps for a terminal, as index.ts does for a runner. */

const print = process.stdout.write.bind(process.stdout);
const streams: Streams = {
  out: text => void print(`${text}\n`),
  err: text => void process.stderr.write(`${text}\n`),
};

/** Runs one command line. Returns the exit code (adapters/terminal/host.ts). */
export async function terminal(argv: readonly string[], version: string, cancelled: AbortSignal): Promise<number> {
  // Libraries of the runner print commands such as `::debug::` there, where a script reads results.
  process.stdout.write = () => true;
  try {
    const request = parseArguments(argv);
    if (request.kind === 'run') return await answered(request, version, cancelled);
    if (request.kind === 'init') return await runInit(request.flags, version);
    streams.out(textOf(request, version));
    return 0;
  } catch (failure) {
    streams.err(explain(failure));
    return EXIT_CODES.usage;
  }
}

function textOf(request: Exclude<Request, { kind: 'run' | 'init' }>, version: string): string {
  if (request.kind === 'version') return version;
  return request.kind === 'completion' ? completion(request.shell) : help(request.mode);
}

async function runInit(flags: ReadonlyMap<string, string>, version: string): Promise<number> {
  const questions = terminalQuestions();
  // The bundle and bin/ are both one folder below the package.
  const examples = join(dirname(realpathSync(process.argv[1] ?? '')), '..', 'examples', 'workflows');
  try {
    await init({ folder: process.cwd(), version, examples, flags, ask: questions?.ask }, streams);
    return 0;
  } finally {
    questions?.close();
  }
}

/** From the cache, where the question allows it. */
async function answered(commandLine: CommandLine, version: string, cancelled: AbortSignal): Promise<number> {
  const cache = answerCache(process.env, Date.now);
  const lines: string[] = [];
  const print = isTable(commandLine) ? streams.out : streams.err;
  const show = (line: string) => {
    lines.push(line);
    print(line);
  };
  const host = terminalHost(commandLine, process.cwd(), streams);
  if (!isCacheable(commandLine)) {
    // Before too: a run may be killed.
    cache.clear();
    await runMode(commandLine, host, show, cancelled);
    cache.clear();
    return host.finish();
  }
  const key = answerKey(commandLine, settingsFile(commandLine, host), version, process.env);
  const known = commandLine.cache ? cache.read(key) : undefined;
  if (known !== undefined) {
    streams.err(`As read ${formatDuration((Date.now() - known.at) / 1000)} ago. --no-cache reads AWS again.`);
    known.lines.forEach(show);
    for (const [name, value] of known.outputs) host.output(name, value);
    return host.finish();
  }
  const at = Date.now();
  const { warned } = await runMode(commandLine, host, show, cancelled);
  const code = host.finish();
  // A warning would not be said again.
  if (code === 0 && !warned) cache.write(key, { at, outputs: [...host.outputs], lines });
  return code;
}

function settingsFile({ given: { config } }: CommandLine, host: TerminalHost): string | undefined {
  return host.file(typeof config === 'string' ? config : CONFIG_FILE);
}

async function runMode(
  commandLine: CommandLine,
  host: TerminalHost,
  untrusted: (line: string) => void,
  cancelled: AbortSignal,
): Promise<{ readonly warned: boolean }> {
  const temp = await mkdtemp(join(tmpdir(), 'ami-action-'));
  try {
    const folder = process.cwd();
    const clock = systemClock(cancelled);
    const quiet = terminalReporter(clock, streams, { debug: commandLine.debug, untrusted });
    let warned = false;
    const warn = (message: string) => {
      warned = true;
      quiet.warn(message);
    };
    const report = { ...quiet, warn };
    const run = await terminalRun(folder, temp, cancelled);
    const journal = memoryJournal();
    await main(host, async access => {
      const { regionClients } = await import('./adapters/aws/region-clients.ts');
      const { packer } = await import('./adapters/packer/packer.ts');
      // A role of the file trusts the jobs of GitHub, not the user of a terminal.
      const roleToAssume = Object.hasOwn(commandLine.given, 'role-to-assume') ? access.roleToAssume : undefined;
      const inRegion = regionClients({ ...access, roleToAssume, mode: commandLine.mode, clock, run, report });
      const deps = {
        ...{ clock, report, run, journal, inRegion },
        files: workspaceFiles(folder),
        content: workspaceContent(folder),
        commits: githubCommits(process.env['GITHUB_API_URL']),
        deployments: githubDeployments(process.env['GITHUB_API_URL']),
        attestations: githubAttestations(run),
        issues: githubIssues(process.env['GITHUB_API_URL']),
        machine: thisMachine(temp, clock),
        packer: packer({ run, journal, report }),
      };
      const removeFile = (path: string) => rm(path, { force: true, recursive: true });
      // A runner's `post:` step does this. The signal that cancelled the run must not stop the clean-up.
      const clean = () =>
        post(journal.entries(), { report, inRegion, endProcess, removeFile, clock: systemClock(new AbortController().signal) });
      return {
        deps,
        close: async () => {
          for (const line of await clean()) host.fail(`Left behind: ${line}`);
        },
      };
    });
    return { warned };
  } finally {
    await rm(temp, { recursive: true, force: true });
  }
}
