import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Report } from '../../acceptance/report.ts';
import { groups } from '../../lab/autoscaling/group.ts';
import { images, snapshots } from '../../lab/ec2/images.ts';
import { templates } from '../../lab/ec2/launch-template-state.ts';
import { network } from '../../lab/ec2/network.ts';
import { instances, keyPairs, volumes } from '../../lab/ec2/state.ts';
import { listeners, targetGroups } from '../../lab/elb/target-state.ts';
import { instanceProfiles, roles } from '../../lab/iam/roles.ts';
import type { Lab } from '../../lab/lab.ts';
import { parameters } from '../../lab/ssm/parameter-state.ts';
import { packerHere } from './build-lab.ts';

/** The acceptance suite as a process, against the lab. */

export const ROOT = join(import.meta.dirname, '..', '..');
export const ACCOUNT = '111122223333';
const OVER = ['terminated', 'shutting-down', 'deregistered'];

/** Everything in the account that costs money or could be in the way of a next run, by kind and name. */
export function inventory(lab: Lab): readonly string[] {
  const places = lab.core.places().filter(({ account }) => account === ACCOUNT);
  const found = places.flatMap(place => [
    ...[...instances(place).values()].filter(({ state }) => !OVER.includes(state)).map(({ id }) => id),
    ...[...images(place).values()].filter(({ state }) => !OVER.includes(state)).map(({ id }) => id),
    ...snapshots(place).keys(),
    ...templates(place).keys(),
    ...[...network(place).groups.values()].filter(({ name }) => name !== 'default').map(({ name }) => `security group ${name}`),
    ...[...keyPairs(place).keys()].map(name => `key pair ${name}`),
    ...volumes(place).keys(),
    ...[...groups(place).keys()].map(name => `group ${name}`),
    ...targetGroups(place).keys(),
    ...listeners(place).keys(),
    ...parameters(place).keys(),
  ]);
  return [...found, ...roles(lab.core).keys(), ...instanceProfiles(lab.core).keys()].sort();
}

export interface Suite {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly log: string;
  /** Undefined when the process died before it wrote one. */
  readonly report: Report | undefined;
}

export interface SuiteOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Called with a function that kills the process with all that it started. */
  readonly onStart?: (kill: () => void) => void;
}

/** Runs the suite with these variables of AWS: of the lab, or of an emulator. */
export async function acceptance(
  aws: Readonly<Record<string, string>>,
  { args = [], env = {}, onStart }: SuiteOptions = {},
): Promise<Suite> {
  const folder = mkdtempSync(join(tmpdir(), 'ami-acceptance-test-'));
  const usual = ['--account', ACCOUNT, '--report', folder, '--packer-var', 'ssh_port=2322'];
  const child = spawn(process.execPath, [join(ROOT, 'acceptance', 'main.ts'), ...usual, ...args], {
    cwd: ROOT,
    env: { ...process.env, ...packerHere(), ACTIONS_ID_TOKEN_REQUEST_URL: undefined, TMPDIR: folder, ...aws, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own, so that it dies as a whole, as on a machine that is switched off.
    detached: true,
  });
  onStart?.(() => process.kill(-(child.pid ?? 0), 'SIGKILL'));
  const log = await logOf(child);
  try {
    return { exitCode: child.exitCode, signal: child.signalCode, log, report: reportIn(folder) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function logOf(child: ChildProcess): Promise<string> {
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', chunk => {
      text += chunk;
    });
  await new Promise(done => child.once('exit', done));
  return text;
}

function reportIn(folder: string): Report | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, 'acceptance.json'), 'utf8'));
  } catch {
    return undefined;
  }
}
