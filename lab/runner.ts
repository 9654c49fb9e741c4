import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CallLog } from './calls.ts';
import type { Identity, Lab } from './lab.ts';
import { insistOnPermissions } from './permissions.ts';
import { shippedRole } from './shipped.ts';

/** Runs the bundle as GitHub's runner does: `dist/index.js`, settings in INPUT_*, results in files. Used by tests and the demo. */

export interface Order {
  readonly mode: string;
  readonly with?: Readonly<Record<string, string>>;
  /** Undefined for runs that must not call AWS. */
  readonly lab?: Pick<Lab, 'environment'> & Partial<Pick<Lab, 'deploy'>> & { readonly calls: Pick<CallLog, 'mark' | 'since'> };
  readonly as?: Identity;
  readonly env?: Readonly<Record<string, string>>;
  /** Files of the repository: path -> content. */
  readonly files?: Readonly<Record<string, string>>;
  /** An existing workspace. Default: a new, empty one. */
  readonly workspace?: string;
  /** Called with the process as soon as it runs, to signal or kill it. */
  readonly onStart?: (child: ChildProcess) => void;
  /** An earlier run, whose `post:` step is run now. */
  readonly postOf?: Ran;
  readonly onLine?: (line: string) => void;
  /** Runs the action in another way than as a process of its own. */
  readonly execute?: Execute;
}

/** Gets the environment of the runner; returns the exit code and the log. */
export type Execute = (environment: Readonly<Record<string, string>>, workspace: string) => Promise<{ exitCode: number; log: string }>;

export interface Ran {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Log with its workflow commands. */
  readonly log: string;
  readonly outputs: Readonly<Record<string, string>>;
  readonly summary: string;
  readonly state: Readonly<Record<string, string>>;
  /** Texts of error annotations. */
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
  readonly workspace: string;
}

/** The bundle under test. The variable selects one that is not committed. */
const BUNDLE = process.env['AMI_ACTION_BUNDLE'] ?? join(import.meta.dirname, '..', 'dist', 'index.js');

/** The Node that runs the bundle, which may be another version than that of the tests. */
const NODE = process.env['AMI_ACTION_NODE'] ?? process.execPath;

/** The role of a run that may do everything. @public */
export const ADMINISTRATOR = 'administrator';

const made: string[] = [];

/** For afterAll: removes every workspace that a run created. */
export const removeWorkspaces = (): void => {
  for (const folder of made.splice(0)) rmSync(folder, { recursive: true, force: true });
};

export async function runAction(order: Order): Promise<Ran> {
  const home = mkdtempSync(join(tmpdir(), 'ami-action-test-'));
  made.push(home);
  const workspace = order.workspace ?? join(home, 'workspace');
  mkdirSync(join(home, 'temp'), { recursive: true });
  mkdirSync(workspace, { recursive: true });
  for (const [path, content] of Object.entries(order.files ?? {})) {
    mkdirSync(join(workspace, path, '..'), { recursive: true });
    writeFileSync(join(workspace, path), content);
  }
  const files = { output: join(home, 'output'), summary: join(home, 'summary'), state: join(home, 'state') };
  for (const file of Object.values(files)) writeFileSync(file, '');
  const mark = order.lab?.calls.mark() ?? 0;
  const env = environment(order, workspace, home, files);
  const { exitCode, signal, log } = await (order.execute === undefined
    ? asProcess(order, env, workspace)
    : order.execute(env, workspace).then(end => ({ ...end, signal: null })));
  if (order.lab !== undefined) insistOnPermissions(order.lab.calls.since(mark));
  return {
    exitCode,
    signal,
    log,
    outputs: fileCommands(files.output),
    summary: existsSync(files.summary) ? readFileSync(files.summary, 'utf8') : '',
    state: fileCommands(files.state),
    errors: annotations(log, 'error'),
    warnings: annotations(log, 'warning'),
    workspace,
  };
}

async function asProcess({ onStart, onLine }: Order, env: Record<string, string>, cwd: string) {
  const child = spawn(NODE, [BUNDLE], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  onStart?.(child);
  const log = await logOf(child, onLine);
  const { code, signal } = await ended(child);
  return { exitCode: code, signal, log: log.text };
}

function environment(
  order: Order,
  workspace: string,
  home: string,
  files: { output: string; summary: string; state: string },
): Record<string, string> {
  const keep = ['PATH', 'HOME', 'XDG_CACHE_HOME', 'LANG', 'PACKER_PLUGIN_PATH', 'GOFLAGS', 'GOPROXY', 'GOMODCACHE', 'GOCACHE'];
  const inherited = Object.fromEntries(
    keep.flatMap(name => (process.env[name] === undefined ? [] : [[name, process.env[name] as string]])),
  );
  const inputs = Object.fromEntries(
    Object.entries({ mode: order.mode, ...order.with }).map(([name, value]) => [`INPUT_${name.toUpperCase()}`, value]),
  );
  const state = Object.fromEntries(Object.entries(order.postOf?.state ?? {}).map(([name, value]) => [`STATE_${name}`, value]));
  return {
    ...inherited,
    GITHUB_ACTIONS: 'true',
    GITHUB_WORKSPACE: workspace,
    GITHUB_REPOSITORY: 'acme/web',
    GITHUB_SERVER_URL: 'https://github.com',
    GITHUB_SHA: '1111111111111111111111111111111111111111',
    GITHUB_REF: 'refs/heads/main',
    GITHUB_RUN_ID: '1001',
    GITHUB_RUN_ATTEMPT: '1',
    GITHUB_JOB: 'test',
    GITHUB_ACTOR: 'octocat',
    RUNNER_TEMP: join(home, 'temp'),
    RUNNER_TOOL_CACHE: join(home, 'tools'),
    GITHUB_OUTPUT: files.output,
    GITHUB_STEP_SUMMARY: files.summary,
    GITHUB_STATE: files.state,
    ...(order.lab?.environment(identityOf(order, workspace)) ?? {}),
    ...inputs,
    ...state,
    ...order.env,
  };
}

/** A run without a role has the role of examples/ for its mode, unless the test asks for an administrator, or records what a mode calls. */
function identityOf({ mode, as = {}, lab, with: settings = {} }: Order, workspace: string): Identity {
  const { role, ...where } = as;
  if (role === ADMINISTRATOR || process.env['AMI_ACTION_RECORD_CALLS'] !== undefined) return where;
  if (role !== undefined || lab?.deploy === undefined) return as;
  const file = join(workspace, '.github', 'ami.yml');
  const texts = Object.entries(settings).map(([name, value]) => `${name}: ${value}`);
  if (existsSync(file)) texts.push(readFileSync(file, 'utf8'));
  return { ...where, role: shippedRole(lab.deploy, { mode, account: where.account, settings: texts.join('\n') }) };
}

const ended = (child: ChildProcess) =>
  new Promise<{ code: number | null; signal: NodeJS.Signals | null }>(done => {
    if (child.exitCode !== null || child.signalCode !== null) done({ code: child.exitCode, signal: child.signalCode });
    else child.once('exit', (code, signal) => done({ code, signal }));
  });

async function logOf(child: ChildProcess, onLine: ((line: string) => void) | undefined): Promise<{ text: string }> {
  const log = { text: '' };
  const take = (chunk: Buffer) => {
    log.text += chunk;
    for (const line of String(chunk).split('\n')) if (line !== '') onLine?.(line);
  };
  child.stdout?.on('data', take);
  child.stderr?.on('data', take);
  // Not 'close': a grandchild that keeps running on purpose may hold the pipes open.
  await ended(child);
  await new Promise(done => setTimeout(done, 20));
  return log;
}

/** Parses the heredoc form of @actions/core: name<<delimiter, value, delimiter. */
function fileCommands(path: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [, name = '', , value = ''] of readFileSync(path, 'utf8').matchAll(/^(.+?)<<(ghadelimiter_\S+)\n([\s\S]*?)\n\2$/gm))
    found[name] = value;
  return found;
}

const annotations = (log: string, kind: 'error' | 'warning'): string[] =>
  [...log.matchAll(new RegExp(`^::${kind}(?: [^:]*)?::(.*)$`, 'gm'))].map(([, text = '']) =>
    text.replace(/%0D/g, '\r').replace(/%0A/g, '\n').replace(/%25/g, '%'),
  );
