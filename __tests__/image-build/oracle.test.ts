import { join, posix, resolve } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { RawValue } from '../../src/kit/settings.ts';
import {
  based,
  both as bothOf,
  type Edit,
  env,
  put,
  type Reads,
  readsOfText,
  removeScenarios,
  type Scenario,
  say,
  without,
} from './oracle.ts';

/**
 * The oracle of the fingerprint: a Packer that hashes what it really reads. Whenever it reads something else, the fingerprint differs; where a
 * run differs only in what determines no image, the fingerprint is the same. AMI_ACTION_ORACLE_RUNS sets the runs of each property.
 */

const RUNS = Number(process.env['AMI_ACTION_ORACLE_RUNS'] ?? 20);
const LIMIT = 60_000 + RUNS * 20_000;
afterAll(removeScenarios);

const both = (scenario: Scenario, wrote?: Record<string, string>) => bothOf(scenario, readsOfText, wrote);

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

const seed = (scenario: Scenario): Scenario => ({
  ...scenario,
  settings: { ...scenario.settings, template: scenario.settings['template'] ?? 'packer' },
});
// `instance_type` is declared by no template here: the setting would be refused.
const usable = ({ settings: said }: Scenario) =>
  said['instance-type'] === undefined && !(said['var'] === 'token: t' && said['secret-var'] !== undefined);

test(
  'whenever Packer reads something else, the fingerprint is another one',
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(edits, { maxLength: 3 }), fc.array(edits, { minLength: 1, maxLength: 2 }), async (start, change) => {
        const first = seed(start.reduce((scenario, edit) => edit(scenario), PLAIN));
        const second = change.reduce((scenario, edit) => edit(scenario), first);
        fc.pre(usable(first) && usable(second));
        const [a, b] = [await both(first), await both(second)];
        if (a.read !== b.read) expect(b.print).not.toBe(a.print);
      }),
      { numRuns: RUNS },
    );
  },
  LIMIT,
);

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

/** What a template of a random repository makes Packer read; its text and its reads come from the same description. */
type Reference =
  | { readonly kind: 'script' | 'upload' | 'own'; readonly path: string }
  | { readonly kind: 'chosen'; readonly folder: string }
  | { readonly kind: 'environment'; readonly name: string };

type Form = 'directory' | 'file' | 'root' | 'json';
interface Repository {
  readonly form: Form;
  readonly references: readonly Reference[];
  /** Files, apart from those of the template. */
  readonly others: readonly string[];
}

const FOLDERS: Readonly<Record<Form, string>> = { directory: 'images/web/', file: 'images/web/', root: '', json: 'images/web/' };
const TEMPLATES: Readonly<Record<Form, string>> = {
  directory: 'images/web',
  file: 'images/web/image.pkr.hcl',
  root: '.',
  json: 'images/web/image.json',
};

/** Relative to where Packer runs, which may be the workspace, or the directory of the template. */
const PATHS = ['a.sh', 'scripts/a.sh', '../shared/a.sh', 'conf', 'conf/a.conf', 'dist/out.tar'];
const references = fc.oneof(
  fc.record({ kind: fc.constantFrom('script' as const, 'upload' as const, 'own' as const), path: fc.constantFrom(...PATHS) }),
  fc.record({ kind: fc.constant('chosen' as const), folder: fc.constantFrom('scripts', 'conf') }),
  fc.record({ kind: fc.constant('environment' as const), name: fc.constantFrom('FLAVOUR', 'AWS_SESSION_TOKEN') }),
);
const repositories: fc.Arbitrary<Repository> = fc.record({
  form: fc.constantFrom<Form>('directory', 'file', 'root', 'json'),
  references: fc.array(references, { minLength: 1, maxLength: 4 }),
  others: fc.subarray(
    [
      'a.sh',
      'scripts/a.sh',
      'shared/a.sh',
      'conf/a.conf',
      'images/web/a.sh',
      'images/web/scripts/a.sh',
      'images/web/scripts/one.sh',
    ].concat([
      'images/shared/a.sh',
      'images/web/conf/a.conf',
      'scripts/one.sh',
      'scripts/two.sh',
      'conf/one.sh',
      'app/main.py',
      'dist/out.tar',
    ]),
    { minLength: 4 },
  ),
});

const variables = (found: readonly Reference[]): Readonly<Record<string, string>> => ({
  ...{ region: '', source_ami: '', which: 'one' },
  ...Object.fromEntries(found.flatMap((one, index) => (one.kind === 'environment' ? [[`e${index}`, one.name]] : []))),
});

function hclOf(found: readonly Reference[]): string {
  const declared = Object.entries(variables(found)).map(
    ([name, value]) => `variable "${name}" {\n  default = ${/^e\d/.test(name) ? `env("${value}")` : JSON.stringify(value)}\n}\n`,
  );
  const steps = found.map(one => {
    if (one.kind === 'environment') return '';
    if (one.kind === 'chosen') return `  provisioner "shell" {\n    script = "${one.folder}/\${var.which}.sh"\n  }\n`;
    if (one.kind === 'own') return `  provisioner "file" {\n    source = "\${path.root}/${one.path}"\n  }\n`;
    return `  provisioner "file" {\n    ${one.kind === 'script' ? 'script' : 'source'} = "${one.path}"\n  }\n`;
  });
  return `${declared.join('')}source "amazon-ebs" "one" {\n  region = var.region\n  source_ami = var.source_ami\n}\nbuild {\n${steps.join('')}}\n`;
}

const jsonOf = (found: readonly Reference[]): string =>
  JSON.stringify({
    variables: Object.fromEntries(
      Object.entries(variables(found)).map(([name, value]) => [name, /^e\d/.test(name) ? `{{env \`${value}\`}}` : value]),
    ),
    builders: [{ type: 'amazon-ebs', region: '{{user `region`}}', source_ami: '{{user `source_ami`}}' }],
    provisioners: found.flatMap(one => {
      if (one.kind === 'environment') return [];
      if (one.kind === 'chosen') return [{ type: 'shell', script: `${one.folder}/{{user \`which\`}}.sh` }];
      if (one.kind === 'own') return [{ type: 'file', source: `{{template_dir}}/${one.path}` }];
      return [{ type: 'file', [one.kind === 'script' ? 'script' : 'source']: one.path }];
    }),
  });

/** Where Packer finds each reference, with the values that it gets: a later var file wins, and \`var\` over all. */
const readsOf =
  ({ references: found, form }: Repository): Reads =>
  (build, environment, root) => {
    const files = build.varFiles.flatMap(file => (file.endsWith('two.pkrvars.json') ? ['two'] : ['one']));
    const which = build.variables['which'] ?? files.at(-1) ?? (form === 'json' ? undefined : environment['PKR_VAR_which']) ?? 'one';
    return found.flatMap(one => {
      if (one.kind === 'environment') return [];
      if (one.kind === 'own') return [join(root, one.path)];
      return [resolve(build.workingDirectory, one.kind === 'chosen' ? `${one.folder}/${which}.sh` : one.path)];
    });
  };

function scenarioOf({ form, references: found, others }: Repository): Scenario {
  const template = `${FOLDERS[form]}image.${form === 'json' ? 'json' : 'pkr.hcl'}`;
  const files = Object.fromEntries(others.map(path => [path, path]));
  return {
    files: {
      ...files,
      ...{ '.gitignore': 'dist/\n', [template]: form === 'json' ? jsonOf(found) : hclOf(found) },
      ...{ 'one.pkrvars.json': '{"which": "one"}', 'two.pkrvars.json': '{"which": "two"}' },
    },
    settings: { family: 'web', region: 'eu-central-1', template: TEMPLATES[form] },
    environment: {},
  };
}

/** The files of the repository that a reference may lead to, wherever Packer runs. */
function targets({ references: found, others }: Repository): readonly string[] {
  const paths = found.flatMap(one => {
    if (one.kind === 'environment') return [];
    return one.kind === 'chosen' ? [`${one.folder}/one.sh`, `${one.folder}/two.sh`] : [one.path];
  });
  const all = paths.flatMap(path => ['', 'images', 'images/web'].map(folder => posix.join(folder, path)));
  return others.filter(file => all.some(path => file === path || file.startsWith(`${path}/`)));
}

/** Mostly of what Packer reads: of other edits hardly one shows a missing input. */
function editsOf(repository: Repository): fc.Arbitrary<Edit> {
  const { form, references: found, others } = repository;
  const read = targets(repository);
  const names = found.flatMap(one => (one.kind === 'environment' && one.name === 'FLAVOUR' ? [one.name] : []));
  const files = fc.constantFrom(...(read.length > 0 ? read : others));
  const set = (name: string, ...values: readonly RawValue[]) => ({
    weight: 1,
    arbitrary: fc.constantFrom(...values).map(value => say(name, value)),
  });
  return fc.oneof(
    { weight: 6, arbitrary: fc.tuple(files, fc.constantFrom('x', 'y')).map(([path, text]) => put(path, text)) },
    { weight: 1, arbitrary: files.map(without) },
    {
      weight: 3,
      arbitrary: fc
        .tuple(fc.constantFrom('PKR_VAR_which', ...names, ...names), fc.constantFrom('one', 'two'))
        .map(([name, value]) => env(name, value)),
    },
    { weight: 1, arbitrary: fc.shuffledSubarray(['one.pkrvars.json', 'two.pkrvars.json']).map(value => say('var-files', value)) },
    { weight: 1, arbitrary: fc.constantFrom('ami-0123456789abcdef0', 'ami-0fedcba9876543210').map(based) },
    set('var', 'which: one', 'which: two'),
    set('only', 'one', 'amazon-ebs.one', 'amazon-ebs'),
    set('working-directory', '.', ...(form === 'root' ? [] : ['images', 'images/web'])),
    set('region', 'eu-west-1', 'us-east-1'),
    set('content', '*.json', '**'),
  );
}

const CHANGED = repositories.chain(repository => {
  const edits = editsOf(repository);
  return fc.tuple(fc.constant(repository), fc.constantFrom('', '*.json'), fc.array(edits, { maxLength: 2 }), edits);
});

test(
  'nor does it miss an input of a random repository: HCL or JSON, at the root or not, with paths that variables select',
  async () => {
    await fc.assert(
      fc.asyncProperty(CHANGED, async ([repository, content, start, change]) => {
        const first = start.reduce((scenario, edit) => edit(scenario), say('content', content)(scenarioOf(repository)));
        const [a, b] = [await bothOf(first, readsOf(repository)), await bothOf(change(first), readsOf(repository))];
        if (a.read !== b.read) expect(b.print).not.toBe(a.print);
      }),
      { numRuns: RUNS },
    );
  },
  LIMIT,
);

test(
  'and of a random repository it does not depend on what determines no image',
  async () => {
    const neutral: fc.Arbitrary<Edit> = fc.oneof(
      fc.constantFrom(env('UNRELATED', '1'), env('AWS_SESSION_TOKEN', 'x'), env('AWS_ACCESS_KEY_ID', 'x')),
      fc.constant(put('dist/ignored.tar', 'x')),
      fc.constant<Edit>(scenario => say('template', `./${scenario.settings['template']}`)(scenario)),
    );
    await fc.assert(
      fc.asyncProperty(repositories, fc.array(neutral, { minLength: 1, maxLength: 3 }), async (repository, change) => {
        const first = scenarioOf(repository);
        const second = change.reduce((scenario, edit) => edit(scenario), first);
        expect((await bothOf(second, readsOf(repository))).print).toBe((await bothOf(first, readsOf(repository))).print);
      }),
      { numRuns: Math.ceil(RUNS / 2) },
    );
  },
  LIMIT,
);

const EACH: readonly (readonly [string, Edit])[] = [
  ['an environment variable that it reads', env('FLAVOUR', 'two')],
  ['a file that a variable selects', put('scripts/two.sh', 'other')],
  ['an ignored file that it uploads', put('dist/out.tar', 'other')],
  ['the base image', based('ami-0fedcba9876543210')],
];

test.each((['directory', 'file', 'root', 'json'] as const).flatMap(form => EACH.map(([what, edit]) => [what, form, edit] as const)))(
  'of a narrow "content" %s counts all the same: %s',
  async (_, form, edit) => {
    const repository: Repository = {
      form,
      references: [
        { kind: 'chosen', folder: 'scripts' },
        { kind: 'upload', path: 'dist/out.tar' },
        { kind: 'environment', name: 'FLAVOUR' },
      ],
      others: ['scripts/one.sh', 'scripts/two.sh', 'dist/out.tar'],
    };
    const first = [say('content', '*.json'), say('var-files', 'one.pkrvars.json\ntwo.pkrvars.json'), say('working-directory', '.')].reduce(
      (scenario, one) => one(scenario),
      based('ami-0123456789abcdef0')(scenarioOf(repository)),
    );
    const [a, b] = [await bothOf(first, readsOf(repository)), await bothOf(edit(first), readsOf(repository))];
    expect(a.read).not.toBe(b.read);
    expect(a.print).not.toBe(b.print);
  },
);
