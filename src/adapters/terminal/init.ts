import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { stringify } from 'yaml';
import { UsageError } from '../../kit/errors.ts';
import { CONFIG_FILE } from '../../main.ts';
import { FAMILY } from '../../model/common-settings.ts';
import { ACCOUNT_ID, REGION, whole } from '../../model/patterns.ts';
import type { Streams } from './reporter.ts';
import { imagesRole, ROLE_SCRIPT, type RoleFacts, roleScript, rolloutRole, testProfile } from './role-script.ts';
import { repositoryOf } from './run-facts.ts';

/** `ami-action init`: writes the settings file, the workflows and a script for the roles of a repository. */

interface Question {
  readonly flag: string;
  readonly text: string;
  readonly pattern: RegExp;
  readonly mustBe: string;
}

const QUESTIONS: readonly Question[] = [
  {
    flag: 'family',
    text: 'Family: the name of the application',
    pattern: FAMILY,
    mustBe: 'letters, digits, "-", "_", "." or "/"',
  },
  { flag: 'region', text: 'AWS region', pattern: whole(REGION), mustBe: 'a region such as eu-central-1' },
  { flag: 'account', text: 'AWS account ID', pattern: whole(ACCOUNT_ID), mustBe: 'a 12-digit account ID' },
  {
    flag: 'groups',
    text: 'Environments and their Auto Scaling groups (stage=web-stage,prod=web-prod)',
    pattern: /^[\w.-]+=[^,=]+(,[\w.-]+=[^,=]+)*$/,
    mustBe: 'environment=group pairs, such as stage=web-stage,prod=web-prod',
  },
];

export const INIT_FLAGS: readonly string[] = [...QUESTIONS.map(({ flag }) => flag), 'force', 'dry-run'];

export interface InitOptions {
  readonly folder: string;
  readonly version: string;
  /** Folder with the workflows to copy. */
  readonly examples: string;
  readonly flags: ReadonlyMap<string, string>;
  /** Undefined: no terminal, so a missing answer is an error. */
  readonly ask?: ((question: string) => Promise<string>) | undefined;
}

/** Writes nothing if a file exists and `--force` is not given. Throws UsageError with every wrong or missing answer. */
export async function init({ folder, version, examples, flags, ask }: InitOptions, { out }: Streams): Promise<void> {
  if (!existsSync(examples))
    throw new UsageError(['init copies workflows of the package, and this is the single file'], {
      next: 'Run it from npm: npx ami-action init',
    });
  const answers = await answered(flags, ask);
  const repository = repositoryOf(origin(folder)) || 'OWNER/REPOSITORY';
  const { family = '', region = '', account = '', groups = '' } = answers;
  const facts = { family, region, repository, version, environments: environmentsOf(groups) };
  const files = new Map([[CONFIG_FILE, settingsFile(facts, account)], [ROLE_SCRIPT, roleScript(facts)], ...workflows(examples)]);
  const existing = [...files.keys()].filter(path => existsSync(join(folder, path)));
  if (existing.length > 0 && flags.get('force') !== 'true')
    throw new UsageError(
      existing.map(path => `${path} exists already.`),
      { next: 'Add --force to replace it. No file was written.' },
    );
  const isDryRun = flags.get('dry-run') === 'true';
  for (const [path, content] of files) {
    out(`${isDryRun ? 'Would write' : 'Wrote'} ${path}`);
    if (isDryRun) continue;
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
  out(nextSteps(folder, repository));
}

async function answered(flags: ReadonlyMap<string, string>, ask: InitOptions['ask']): Promise<Readonly<Record<string, string>>> {
  const answers: Record<string, string> = {};
  const problems: string[] = [];
  for (const { flag, text, pattern, mustBe } of QUESTIONS) {
    const answer = (flags.get(flag) ?? (ask === undefined ? '' : await ask(`${text}: `))).trim();
    if (answer === '') problems.push(`--${flag} is required: ${text}.`);
    else if (!pattern.test(answer)) problems.push(`--${flag} must be ${mustBe}, got ${JSON.stringify(answer)}.`);
    answers[flag] = answer;
  }
  if (problems.length > 0) throw new UsageError(problems);
  return answers;
}

function environmentsOf(groups: string): Readonly<Record<string, readonly string[]>> {
  const pairs = groups.split(',').map(pair => pair.split('=').map(part => part.trim()) as [string, string]);
  const names = [...new Set(pairs.map(([environment]) => environment))];
  return Object.fromEntries(names.map(name => [name, pairs.flatMap(([of, group]) => (of === name ? [group] : []))]));
}

function settingsFile({ family, region, environments }: RoleFacts, account: string): string {
  const settings = {
    family,
    region,
    'role-to-assume': imagesRole(account, family),
    'instance-profile': testProfile(family),
    checks: ['no-failed-units'],
    environments: Object.fromEntries(
      Object.entries(environments).map(([name, groups]) => [name, { groups, 'role-to-assume': rolloutRole(account, family, name) }]),
    ),
  };
  return `# Settings of ami-action. https://github.com/org/ami-action/tree/v1/docs/reference\n${stringify(settings)}`;
}

const workflows = (examples: string): readonly (readonly [path: string, content: string])[] =>
  ['ami-stage.yml', 'ami-prod.yml', 'ami-rollback.yml', 'ami-prune.yml']
    .filter(file => readdirSync(examples).includes(file))
    .map(file => [`.github/workflows/${file}`, readFileSync(join(examples, file), 'utf8')]);

const nextSteps = (folder: string, repository: string): string =>
  [
    '',
    'Next:',
    `1. Create the roles, with the credentials of an admin: bash ${ROLE_SCRIPT}`,
    `2. Add your checks to ${relative(folder, join(folder, CONFIG_FILE))}.`,
    `3. Create the environments in https://github.com/${repository}/settings/environments, with main as their only branch, and clean-up (for ami-prune.yml). Give prod and clean-up required reviewers.`,
    '4. Commit and push to main.',
    '5. If a job fails, ask for the reason: npx ami-action doctor',
  ].join('\n');

function origin(folder: string): string {
  try {
    return execFileSync('git', ['remote', 'get-url', 'origin'], {
      cwd: folder,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return '';
  }
}

/** Asks on the terminal; undefined where there is none. */
export function terminalQuestions(): { ask: (question: string) => Promise<string>; close: () => void } | undefined {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return undefined;
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  return { ask: question => lines.question(question), close: () => lines.close() };
}
