import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
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

/**
 * The oracle of the fingerprint: a Packer that hashes what it really reads. Whenever it reads something else, the fingerprint differs; where a
 * run differs only in what determines no image, the fingerprint is the same. The oracle shares no code with the product.
 */

const home = mkdtempSync(join(tmpdir(), 'oracle-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

interface Scenario {
  readonly files: Readonly<Record<string, string>>;
  readonly settings: Readonly<Record<string, RawValue>>;
  readonly environment: Readonly<Record<string, string>>;
}

const image = (name: string) => `variable "a" { default = "0" }
variable "token" { default = "" }
variable "flavour" {
  default = env("FLAVOUR")
}
variable "key" {
  default = env("AWS_SESSION_TOKEN")
}
source "amazon-ebs" "${name}" {
  user_data = file("user-data.txt")
}
source "amazon-ebs" "second" {}
build {
  provisioner "shell" {
    script = "scripts/x.sh"
  }
  provisioner "file" {
    source = "dist/app.tar"
  }
  provisioner "shell" {
    script = "\${path.root}/own.sh"
  }
}
`;
const FILES: Record<string, string> = {
  '.gitignore': 'dist/\nnotes/\n',
  'packer/image.pkr.hcl': image('one'),
  'packer/own.sh': 'own',
  'packer/user-data.txt': 'data',
  'packer/scripts/x.sh': 'in the template',
  'packer/base.auto.pkrvars.hcl': 'b = "1"\n',
  'other/image.pkr.hcl': image('one'),
  'other/own.sh': 'own',
  'other/user-data.txt': 'data',
  'scripts/x.sh': 'at the root',
  'stage.pkrvars.hcl': 'a = "1"\n',
  'prod.pkrvars.hcl': 'a = "2"\n',
  'dist/app.tar': 'app',
  'notes/today.md': '',
  'app/main.py': '',
};
const PLAIN: Scenario = { files: FILES, settings: { family: 'web', region: 'eu-central-1' }, environment: {} };

const put =
  (path: string, content: string) =>
  (scenario: Scenario): Scenario => ({ ...scenario, files: { ...scenario.files, [path]: content } });
const without =
  (path: string) =>
  (scenario: Scenario): Scenario => ({
    ...scenario,
    files: Object.fromEntries(Object.entries(scenario.files).filter(([name]) => name !== path)),
  });
const say =
  (name: string, value: RawValue) =>
  (scenario: Scenario): Scenario => ({
    ...scenario,
    settings: { ...scenario.settings, [name]: value },
  });
const env =
  (name: string, value: string) =>
  (scenario: Scenario): Scenario => ({
    ...scenario,
    environment: { ...scenario.environment, [name]: value },
  });

const edits = fc.oneof(
  fc
    .tuple(fc.constantFrom(...Object.keys(FILES)), fc.constantFrom('x', 'y'))
    .map(([path, text]) => put(path, `${FILES[path]}${text === 'x' ? '\n# x' : '\n# y'}`)),
  fc.constantFrom('packer/scripts/x.sh', 'scripts/x.sh', 'packer/base.auto.pkrvars.hcl').map(without),
  fc.constantFrom('packer', 'other', 'packer/image.pkr.hcl').map(value => say('template', value)),
  fc.shuffledSubarray(['stage.pkrvars.hcl', 'prod.pkrvars.hcl']).map(value => say('var-files', value)),
  fc.constantFrom('amazon-ebs.one', 'amazon-ebs.second').map(value => say('only', value)),
  fc.constantFrom('amazon-ebs.one', 'amazon-ebs.second').map(value => say('except', value)),
  fc.constantFrom('.', 'packer', 'other').map(value => say('working-directory', value)),
  fc.constantFrom('a: "1"', 'a: "2"', 'token: t').map(value => say('var', value)),
  fc.constantFrom('token: one', 'token: two').map(value => say('secret-var', value)),
  fc.constantFrom('app/**', '**', 'app/**\n!packer/own.sh').map(value => say('content', value)),
  fc.constantFrom('t3.large', 't3.small').map(value => say('instance-type', value)),
  fc
    .tuple(fc.constantFrom('FLAVOUR', 'PKR_VAR_a', 'AWS_SESSION_TOKEN', 'UNRELATED'), fc.constantFrom('1', '2'))
    .map(([name, value]) => env(name, value)),
);

const report: Reporter = {
  ...{ step: (_, work) => work(), info() {}, warn() {}, debug() {}, untrusted() {}, summary() {}, mask() {} },
};
const journal: Journal = { remember() {}, forget() {} };
let count = 0;

/** The fingerprint of the product, and the hash of all that its Packer reads. */
async function both({ files, settings: said, environment }: Scenario, wrote: Record<string, string> = {}) {
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
      ...{ isJson: false, soleSource: undefined, isSingle: true },
    }),
  };
  const content = workspaceContent(workspace, around);
  const aws = { account: { environment: async () => ({}) } };
  const deps = { packer, content, report, run, inRegion: () => aws } as unknown as Deps<
    'account' | 'images' | 'leftovers',
    'content' | 'packer'
  >;
  const plan = planBuild(options, run, packer, { now: 0, id: 'b', problem: undefined });
  const once = async () => {
    const template = await readTemplate(plan, options, deps);
    return { template, ...(await fingerprintOf(options, plan, undefined, template, deps)) };
  };
  const before = await once();
  const build = await planPackerBuild(
    { options, plan, template: before.template },
    { binary: 'packer', version: '1.16.0', from: 'path' },
    deps,
  );
  const read = whatPackerReads(build, around);
  for (const [path, content] of Object.entries(wrote)) writeFileSync(join(workspace, path), content);
  await recordOutputs({ options, plan, ...before }, deps);
  const after = await once();
  rmSync(workspace, { recursive: true });
  return { print: before.print.value, read, later: after.print.value };
}

/** What determines the image, of all that Packer gets and reads. Names and tags of the run do not. */
function whatPackerReads(build: PackerBuild, environment: Readonly<Record<string, string>>): string {
  const content = (path: string) => (existsSync(path) && statSync(path).isFile() ? readFileSync(path, 'utf8') : 'missing');
  const template = filesOf(build.template);
  const root = statSync(build.template).isDirectory() ? build.template : dirname(build.template);
  const text = template.map(content).join('\n');
  const paths = [
    ...[...text.matchAll(/(?:script|source) = "([^"]+)"/g)].map(([, path = '']) =>
      path.startsWith('${path.root}') ? join(root, path.slice('${path.root}'.length)) : resolve(build.workingDirectory, path),
    ),
    ...[...text.matchAll(/file\("([^"]+)"\)/g)].map(([, path = '']) => resolve(root, path)),
  ];
  const names = [...text.matchAll(/env\("(\w+)"\)/g)].map(([, name = '']) => name).filter(name => name !== 'AWS_SESSION_TOKEN');
  const given = Object.entries(build.given).filter(([name]) => !['ami_name', 'ami_tags', 'run_tags'].includes(name));
  return JSON.stringify([
    ...[text, build.varFiles.map(content), build.variables, build.secrets, given, build.only, build.except],
    ...[
      paths.map(content),
      names.map(name => environment[name]),
      Object.entries(environment).filter(([name]) => name.startsWith('PKR_VAR_')),
    ],
  ]);
}

const filesOf = (template: string): string[] =>
  statSync(template).isDirectory()
    ? readdirSync(template)
        .filter(name => /\.(pkr|auto\.pkrvars)\.hcl$/.test(name))
        .sort()
        .map(name => join(template, name))
    : [template];

const declaredIn = (template: string): string[] =>
  filesOf(template).flatMap(path => [...readFileSync(path, 'utf8').matchAll(/variable "(\w+)"/g)].map(([, name = '']) => name));

const seed = (scenario: Scenario): Scenario => ({
  ...scenario,
  settings: { ...scenario.settings, template: scenario.settings['template'] ?? 'packer' },
});
// `instance_type` is declared by no template here: the setting would be refused.
const usable = ({ settings: said }: Scenario) =>
  said['instance-type'] === undefined && !(said['var'] === 'token: t' && said['secret-var'] !== undefined);

test('whenever Packer reads something else, the fingerprint is another one', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(edits, { maxLength: 3 }), fc.array(edits, { minLength: 1, maxLength: 2 }), async (start, change) => {
      const first = seed(start.reduce((scenario, edit) => edit(scenario), PLAIN));
      const second = change.reduce((scenario, edit) => edit(scenario), first);
      fc.pre(usable(first) && usable(second));
      const [a, b] = [await both(first), await both(second)];
      if (a.read !== b.read) expect(b.print).not.toBe(a.print);
    }),
    { numRuns: 40 },
  );
}, 120_000);

test.each<[string, (scenario: Scenario) => Scenario]>([
  ['session credentials', env('AWS_SESSION_TOKEN', 'another')],
  ['an environment variable that the template does not read', env('UNRELATED', '1')],
  ['a file that git ignores and the template does not name', put('notes/today.md', 'rain')],
  ['the spelling of a path', say('template', './packer/')],
  ['the default, written out', say('template', 'packer')],
])('the fingerprint does not depend on %s', async (_, change) => {
  expect((await both(change(PLAIN))).print).toBe((await both(PLAIN)).print);
});

test.each(['', '**'])('nor on what the build itself writes, with content %j', async content => {
  const scenario = say('content', content)(PLAIN);
  const { print, later } = await both(scenario, {
    'manifest.json': '{"uuid": 1}',
    'packer/packer-manifest.json': '{}',
    'app/main.py': 'written',
  });
  expect(later).toBe(print);
});

test.each<[string, (scenario: Scenario) => Scenario, (scenario: Scenario) => Scenario]>([
  ['template', say('template', 'packer'), say('template', 'other')],
  ['var file', say('var-files', 'stage.pkrvars.hcl'), say('var-files', 'prod.pkrvars.hcl')],
  ['order of var files', say('var-files', 'stage.pkrvars.hcl\nprod.pkrvars.hcl'), say('var-files', 'prod.pkrvars.hcl\nstage.pkrvars.hcl')],
  ['working directory', say('working-directory', '.'), say('working-directory', 'packer')],
  ['ignored file that is uploaded', put('dist/app.tar', 'one'), put('dist/app.tar', 'two')],
])('another %s is another image, with and without "content"', async (_, one, two) => {
  for (const content of ['', 'app/**']) {
    const [a, b] = [await both(say('content', content)(one(PLAIN))), await both(say('content', content)(two(PLAIN)))];
    expect(a.read).not.toBe(b.read);
    expect(a.print).not.toBe(b.print);
  }
});
