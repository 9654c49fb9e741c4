import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { workspaceContent } from '../../src/adapters/content.ts';
import { packer as realPacker } from '../../src/adapters/packer/packer.ts';
import { planPackerBuild } from '../../src/image-build/packer-build.ts';
import { planBuild } from '../../src/image-build/plan.ts';
import { readTemplate } from '../../src/image-build/read-template.ts';
import { fingerprintOf, recordOutputs } from '../../src/image-build/reuse.ts';
import { settings } from '../../src/image-build/settings.ts';
import { type RawValue, readSettings } from '../../src/kit/settings.ts';
import type { Deps, Journal, Reporter, Run } from '../../src/ports/deps.ts';
import type { PackerBuild } from '../../src/ports/packer.ts';

/** A Packer that hashes what it really reads, next to the fingerprint of the product. It shares no code with the product. */

export interface Scenario {
  readonly files: Readonly<Record<string, string>>;
  readonly settings: Readonly<Record<string, RawValue>>;
  readonly environment: Readonly<Record<string, string>>;
  /** The base image that "base-image" has selected. */
  readonly base?: string;
}

export type Edit = (scenario: Scenario) => Scenario;

export const put =
  (path: string, content: string): Edit =>
  scenario => ({ ...scenario, files: { ...scenario.files, [path]: content } });
export const without =
  (path: string): Edit =>
  scenario => ({ ...scenario, files: Object.fromEntries(Object.entries(scenario.files).filter(([name]) => name !== path)) });
export const say =
  (name: string, value: RawValue): Edit =>
  scenario => ({ ...scenario, settings: { ...scenario.settings, [name]: value } });
export const env =
  (name: string, value: string): Edit =>
  scenario => ({ ...scenario, environment: { ...scenario.environment, [name]: value } });
export const based =
  (id: string): Edit =>
  scenario => ({ ...scenario, base: id });

/** The files of the repository that the template makes Packer read, as it finds them: absolute paths. */
export type Reads = (build: PackerBuild, environment: Readonly<Record<string, string>>, root: string) => readonly string[];

const report: Reporter = {
  ...{ step: (_, work) => work(), info() {}, warn() {}, debug() {}, untrusted() {}, summary() {}, mask() {} },
};
const journal: Journal = { remember() {}, forget() {} };

const home = mkdtempSync(join(tmpdir(), 'oracle-'));
export const removeScenarios = () => rmSync(home, { recursive: true, force: true });
let count = 0;

/** The fingerprint of the product, and all that its Packer gets and reads; `later`: the fingerprint after the build wrote files. */
export async function both({ files, settings: said, environment, base }: Scenario, reads: Reads, wrote: Record<string, string> = {}) {
  count += 1;
  const workspace = join(home, `work-${count}`);
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(workspace, path)), { recursive: true });
    writeFileSync(join(workspace, path), content);
  }
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.com', ...args], { cwd: workspace });
  git('init', '-q');
  git('add', '-A');
  git('commit', '-qm', 'one');
  const around = { PATH: process.env['PATH'] ?? '', RUNNER_TOOL_CACHE: join(home, 'cache'), ...environment };
  const run = { workspace, temp: home, commit: 'c', ref: 'refs/heads/main', repository: 'acme/web', id: '1' } as Run;
  const options = readSettings(settings, { known: settings, sources: [{ name: 'with', file: undefined, values: said }] });
  const real = realPacker({ run, journal, report, environment: around });
  const packer: typeof real = {
    ...real,
    inspect: async (_, template) => ({
      variables: new Map(declaredIn(template).map(name => [name, 'plain' as const])),
      ...{ isJson: template.endsWith('.json'), soleSource: undefined },
    }),
  };
  const content = workspaceContent(workspace, around);
  const aws = { account: { environment: async () => ({}) } };
  const deps = { packer, content, report, run, inRegion: () => aws } as unknown as Deps<
    'account' | 'images' | 'leftovers',
    'content' | 'packer'
  >;
  const plan = { ...planBuild(options, run, packer, { now: 0, id: 'b', problem: undefined }), base };
  const known = base === undefined ? undefined : { id: base, reason: '' };
  const once = async () => {
    const template = await readTemplate(plan, options, deps);
    return { template, ...(await fingerprintOf(options, plan, known, template, deps)) };
  };
  const before = await once();
  const build = await planPackerBuild({ options, plan, template: before.template }, { binary: 'packer', version: '1', from: 'path' }, deps);
  const read = whatPackerReads(build, around, reads);
  for (const [path, text] of Object.entries(wrote)) writeFileSync(join(workspace, path), text);
  await recordOutputs({ options, plan, ...before }, deps);
  const after = await once();
  rmSync(workspace, { recursive: true });
  return { print: before.print.value, read, later: after.print.value };
}

/** Names and tags of the run determine no image. */
function whatPackerReads(build: PackerBuild, environment: Readonly<Record<string, string>>, reads: Reads): string {
  const names = [...textOf(build.template).matchAll(/env\("(\w+)"\)|\{\{env `(\w+)`\}\}/g)].map(([, hcl = '', json = '']) => hcl || json);
  const given = Object.entries(build.given).filter(([name]) => !['ami_name', 'ami_tags', 'run_tags'].includes(name));
  return JSON.stringify([
    ...[filesOf(build.template).map(contentOf), build.varFiles.map(contentOf), build.variables, build.secrets, given, build.only],
    ...[build.except, build.environment['AWS_REGION'], reads(build, environment, rootOf(build.template)).map(contentOf)],
    names.filter(name => !name.startsWith('AWS_')).map(name => environment[name]),
    Object.entries(environment).filter(([name]) => name.startsWith('PKR_VAR_')),
  ]);
}

const rootOf = (template: string): string => (statSync(template).isDirectory() ? template : dirname(template));

/** Of a directory that is uploaded all that is in it. */
function contentOf(path: string): unknown {
  if (!existsSync(path)) return 'missing';
  if (statSync(path).isFile()) return readFileSync(path, 'utf8');
  const names = readdirSync(path, { recursive: true, withFileTypes: true }).filter(
    entry => entry.isFile() && !entry.parentPath.includes('.git'),
  );
  return names
    .map(entry => [join(entry.parentPath, entry.name).slice(path.length), readFileSync(join(entry.parentPath, entry.name), 'utf8')])
    .sort();
}

const filesOf = (template: string): string[] =>
  statSync(template).isDirectory()
    ? readdirSync(template)
        .filter(name => /\.(pkr|auto\.pkrvars)\.hcl$/.test(name))
        .sort()
        .map(name => join(template, name))
    : [template];

const textOf = (template: string): string =>
  filesOf(template)
    .map(path => readFileSync(path, 'utf8'))
    .join('\n');

const declaredIn = (template: string): string[] =>
  template.endsWith('.json')
    ? Object.keys(JSON.parse(textOf(template)).variables)
    : [...textOf(template).matchAll(/variable "(\w+)"/g)].map(([, name = '']) => name);

/** Reads what the text of the template names; for templates whose paths have no variables. */
export const readsOfText: Reads = (build, _, root) => {
  const text = textOf(build.template);
  return [
    ...[...text.matchAll(/(?:script|source) = "([^"]+)"/g)].map(([, path = '']) =>
      path.startsWith('${path.root}') ? join(root, path.slice('${path.root}'.length)) : resolve(build.workingDirectory, path),
    ),
    ...[...text.matchAll(/file\("([^"]+)"\)/g)].map(([, path = '']) => resolve(root, path)),
  ];
};
