// npm run acceptance -- --account <id>: runs the modes on a real account, or on the lab by AWS_ENDPOINT_URL, and removes everything.
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import { removeWorkspaces } from '../lab/runner.ts';
import { systemClock } from '../src/adapters/clock.ts';
import { connect } from './cloud.ts';
import { estimate, type Usage } from './cost.ts';
import { NOT_ASKED } from './points.ts';
import { removeEverything } from './remove.ts';
import { type Report, toMarkdown } from './report.ts';
import type { Stage } from './stage.ts';
import { type Step, steps, usesOfRun } from './steps.ts';
import { sessions, subjectOfToken } from './token.ts';

const { values: options } = parseArgs({
  options: {
    account: { type: 'string' },
    regions: { type: 'string', default: 'us-east-1,us-west-2' },
    role: { type: 'string' },
    report: { type: 'string', default: 'acceptance-report' },
    template: { type: 'string', default: 'packer' },
    'packer-var': { type: 'string', multiple: true, default: [] },
    'remove-only': { type: 'boolean', default: false },
  },
});

const [first = '', second = ''] = options.regions.split(',');
if (options.account === undefined || second === '') {
  console.error('Usage: npm run acceptance -- --account <12 digits> [--regions <one>,<other>] [--report <folder>] [--remove-only]');
  process.exit(2);
}
const clock = systemClock(new AbortController().signal);
const credentials = options.role === undefined ? undefined : sessions(options.role, first, clock);
const [home, away] = [connect(first, credentials), connect(second, credentials)];
const { Account } = await home.sts.send(new GetCallerIdentityCommand({}));
if (Account !== options.account) {
  console.error(`The credentials are of account ${Account}, must be of ${options.account}. No changes were made.`);
  process.exit(2);
}

const workspace = mkdtempSync(join(tmpdir(), 'ami-acceptance-'));
cpSync(resolve(options.template), join(workspace, 'packer'), { recursive: true });
const stage: Stage = {
  ...{ account: options.account, home, away, clock, credentials, workspace },
  packerVariables: Object.fromEntries(options['packer-var'].map(text => text.split('=', 2) as [string, string])),
  ...{ usages: [], seen: new Map(), made: new Map(), answers: [] },
  // GitHub hides what a mask command names. Elsewhere it would show the secret.
  print: line => (process.env['GITHUB_ACTIONS'] === 'true' || !line.startsWith('::add-mask::') ? console.log(`  ${line}`) : undefined),
};

console.log('Removing what an earlier run left ...');
const before = await removeEverything([home, away], clock);
for (const line of before.removed) console.log(`  ${line}`);

const startedAt = clock.now();
const results: Report['steps'][number][] = [];
if (before.left.length > 0) console.log(`\nNo step runs, because something stays:\n${before.left.join('\n')}`);
else if (!options['remove-only']) await play(steps(await subjectOfToken()));

console.log('\nRemoving everything ...');
const after = await removeEverything([home, away], clock);
rmSync(workspace, { recursive: true, force: true });
removeWorkspaces();
finish();

/** In order, until one fails. */
async function play(all: readonly Step[]): Promise<void> {
  let failed = false;
  for (const step of all) {
    if (failed) results.push({ title: step.title, result: 'not run', seconds: 0, text: '' });
    else failed = !(await playOne(step));
  }
}

async function playOne({ title, run, uses }: Step): Promise<boolean> {
  console.log(`\n${title} ...`);
  const from = clock.now();
  const [result, text] = await run(stage).then(
    seen => ['ok', seen] as const,
    (cause: Error) => ['failed', cause.message] as const,
  );
  const seconds = Math.round((clock.now() - from) / 1000);
  console.log(`${title}: ${result}, ${seconds} s. ${text}`);
  stage.usages.push(...(uses?.(seconds / 3600) ?? []));
  results.push({ title, result, seconds, text });
  return result === 'ok';
}

function finish(): void {
  const hours = (clock.now() - startedAt) / 3_600_000;
  const usages: readonly Usage[] = [...stage.usages, ...(options['remove-only'] ? [] : usesOfRun(hours))];
  const report: Report = {
    ...{ account: Account ?? '', regions: [first, second], endpoint: process.env['AWS_ENDPOINT_URL'] ?? 'AWS' },
    ...{ startedAt: new Date(startedAt).toISOString(), minutes: Math.round(hours * 60) },
    ok: results.every(({ result }) => result === 'ok') && after.left.length === 0 && before.left.length === 0,
    ...{ foundAtStart: before.removed, steps: results, answers: stage.answers, notAsked: NOT_ASKED },
    ...{ cost: estimate(usages), removed: after.removed, left: [...before.left, ...after.left] },
  };
  mkdirSync(options.report, { recursive: true });
  writeFileSync(join(options.report, 'acceptance.json'), `${JSON.stringify(report, null, 2)}\n`);
  const markdown = toMarkdown(report);
  writeFileSync(join(options.report, 'acceptance.md'), markdown);
  console.log(`\n${markdown}`);
  process.exitCode = report.ok ? 0 : 1;
}
