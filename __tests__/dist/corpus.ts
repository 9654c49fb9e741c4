import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/**
 * Templates as other repositories have them, in `__tests__/templates`: each is written for this repository, with the structure of a public one. None
 * declares a variable for the action's sake. The only concession to the lab is `ssh_port = 2322`.
 */
export interface Specimen {
  readonly name: string;
  /** What it has that the example template has not. */
  readonly structure: string;
  readonly with: Readonly<Record<string, string>>;
  /** Packer runs in it by default: where its relative paths exist. */
  readonly runsIn?: string;
  readonly regions: readonly string[];
  readonly images: number;
  /** Calls of a run that finds nothing to build. */
  readonly calls: number;
  /** Operations of EC2 that Packer calls for it, and that the shipped role does not allow. */
  readonly needs?: readonly string[];
  /** Of the images, where the template has a role of its own. */
  readonly account?: string;
  /** A change of this file is a change of the image. */
  readonly source: string;
  /** The file after the nth change; default: one line more. */
  readonly edit?: (text: string, nth: number) => string;
}

const CAPI = 'images/capi/packer';
export const SPECIMENS: readonly Specimen[] = [
  {
    name: 'json-var-files',
    structure: 'JSON, 45 variables, two var files, two manifests, credentials from the environment',
    with: {
      template: 'templates/worker/template.json',
      'var-files': 'templates/worker/variables-default.json\ntemplates/worker/node-1.30.json',
    },
    ...{ regions: ['eu-central-1'], images: 1, calls: 4 },
    source: 'templates/worker/install-worker.sh',
  },
  {
    name: 'root-many-sources',
    structure: '13 sources at the root, `only`, `auto.pkrvars`, a fixed name, a manifest',
    with: { template: '.', only: 'amazon-ebs.al2023,amazon-ebs.al2023arm' },
    ...{ regions: ['eu-central-1'], images: 2, calls: 4 },
    source: 'release.auto.pkrvars.hcl',
    edit: (text, nth) => text.replace(/2026\d+/, `202611${nth + 10}`),
  },
  {
    name: 'dynamic-blocks',
    structure: '`dynamic` blocks, `data "amazon-parameterstore"`, a var file with lists of maps',
    with: { template: '.', 'var-files': 'node.pkrvars.hcl' },
    ...{ regions: ['eu-central-1'], images: 1, calls: 5 },
    source: 'scripts/cpu.sh',
  },
  {
    name: 'chained',
    structure: '`data "amazon-ami"`, relative paths, `../shared`, a tag `Name` of its own, several templates',
    with: { template: 'packer/linux/base' },
    runsIn: 'packer/linux/base',
    ...{ regions: ['eu-central-1'], images: 1, calls: 4 },
    source: 'packer/linux/shared/cleanup.sh',
  },
  {
    name: 'os-var-files',
    structure: 'a var file for each OS, a named build, `./scripts` and `./files`',
    with: { template: 'packer', 'var-files': 'packer/amazon.pkrvars.hcl' },
    runsIn: 'packer',
    ...{ regions: ['eu-central-1'], images: 1, calls: 4 },
    source: 'packer/scripts/os-prep.sh',
  },
  {
    name: 'images-directory',
    structure: '`${path.root}`, `templatefile`, `jsondecode` of a data source in `environment_vars`, `ami_tags`',
    with: { template: 'images/runner' },
    ...{ regions: ['eu-central-1'], images: 1, calls: 4 },
    source: 'images/runner/start.sh.tftpl',
  },
  {
    name: 'surrogate-public',
    structure: '`amazon-ebssurrogate`, `force_deregister`, public, `ami_regions` without a default',
    with: { template: '.' },
    ...{ regions: ['eu-central-1'], images: 1, calls: 4 },
    needs: ['CreateSnapshot', 'DescribeSnapshots', 'ModifyInstanceAttribute', 'ModifySnapshotAttribute', 'RegisterImage'],
    source: 'scripts/bootstrap.sh',
  },
  {
    name: 'json-fifteen-regions',
    structure: 'JSON, nine var files, 15 regions by default, a computed builder name',
    with: {
      template: `${CAPI}/ami/packer.json`,
      'var-files': [
        ...['kubernetes', 'cni', 'containerd', 'wasm', 'ansible', 'goss', 'common', 'additional'].map(
          name => `${CAPI}/config/${name}.json`,
        ),
        `${CAPI}/ami/debian-12.json`,
      ].join('\n'),
    },
    runsIn: 'images/capi',
    regions: [
      ...[
        'ap-northeast-1',
        'ap-northeast-2',
        'ap-south-1',
        'ap-southeast-1',
        'ap-southeast-2',
        'ca-central-1',
        'eu-central-1',
        'eu-north-1',
      ],
      ...['eu-west-1', 'eu-west-2', 'eu-west-3', 'sa-east-1', 'us-east-1', 'us-east-2', 'us-west-1', 'us-west-2'],
    ],
    ...{ images: 16, calls: 34 },
    source: `${CAPI}/files/prepare.sh`,
  },
  {
    name: 'encrypted-copies',
    structure: '`encrypt_boot`, KMS keys by region, `vpc_filter`, `subnet_filter`, `build_region`',
    with: { template: '.', 'var-files': 'release.pkrvars.hcl' },
    ...{ regions: ['eu-central-1', 'us-west-2'], images: 2, calls: 6 },
    needs: ['DescribeSubnets', 'DescribeVpcs'],
    source: 'src/upgrade.sh',
  },
  {
    name: 'surrogate-omitted-volume',
    structure: '`amazon-ebssurrogate`, three volumes, `omit_from_artifact`, var files `*.vars.pkr.hcl`, own `run_tags`, a download',
    with: { template: 'database.pkr.hcl', 'var-files': 'development.vars.pkr.hcl\ncommon.vars.pkr.hcl' },
    ...{ regions: ['eu-central-1'], images: 1, calls: 4 },
    needs: [
      'CreateSnapshot',
      'DescribeInstanceTypeOfferings',
      'DescribeSnapshots',
      'DescribeSubnets',
      'DescribeVpcs',
      'ModifyInstanceAttribute',
      'RegisterImage',
    ],
    source: 'ebssurrogate/scripts/surrogate.sh',
  },
  {
    name: 'neighbour-files',
    structure: 'files of another directory (`../configuration`), no `required_plugins`, own `run_tags`',
    with: { template: 'packer' },
    runsIn: 'packer',
    ...{ regions: ['eu-central-1'], images: 1, calls: 4 },
    source: 'configuration/playbook.sh',
  },
  {
    name: 'json-four-builders',
    structure: 'JSON, four builders, two architectures, `env`, `aws_region`',
    with: { template: 'examples/agent-ami/agent.json' },
    ...{ regions: ['eu-central-1'], images: 4, calls: 4 },
    needs: ['DescribeInstanceTypeOfferings', 'DescribeSubnets', 'DescribeVpcs'],
    source: 'modules/install.sh',
  },
  {
    name: 'hcl-next-to-json',
    structure: 'HCL and JSON in one directory, a literal region, `./linux`',
    with: { template: 'e2e/packer/linux.pkr.hcl' },
    runsIn: 'e2e/packer',
    ...{ regions: ['us-east-1'], images: 1, calls: 5 },
    source: 'e2e/packer/linux/setup.sh',
  },
  {
    name: 'user-data-file',
    structure: '`user_data_file`, a literal region, `aws_polling`',
    with: { template: 'aws/linux' },
    runsIn: 'aws/linux',
    ...{ regions: ['us-west-2'], images: 1, calls: 5 },
    needs: ['DescribeInstanceTypeOfferings', 'DescribeSubnets', 'DescribeVpcs'],
    source: 'aws/linux/setup_ssh.sh',
  },
  {
    name: 'required-regions',
    structure: '`ami_regions` without a default, `source_region`, files of the application (`../../app`)',
    with: { template: 'infra/packer' },
    runsIn: 'infra/packer',
    ...{ regions: ['eu-central-1'], images: 1, calls: 4 },
    source: 'app/index.js',
  },
  {
    name: 'several-clouds',
    structure: 'sources of several builders in one build, `only`',
    with: { template: 'examples/packer-basic/build.pkr.hcl', only: 'amazon-ebs.debian' },
    ...{ regions: ['eu-central-1'], images: 1, calls: 4 },
    source: 'examples/packer-basic/build.pkr.hcl',
  },
  {
    name: 'thirty-templates',
    structure: '30 files of one directory, each with a source and a build; `only`',
    with: { template: '.', only: 'amazon-ebs.nine-05' },
    ...{ regions: ['eu-central-1'], images: 1, calls: 4 },
    source: 'scripts/configure.sh',
  },
  {
    name: 'post-processors',
    structure: 'manifest, checksum, artifice and shell-local post-processors, `shell-local`, a literal region',
    with: { template: 'example' },
    ...{ regions: ['eu-west-1'], images: 1, calls: 5 },
    source: 'example/hello.sh',
  },
  {
    name: 'spot',
    structure: 'a Spot Instance of several types',
    with: { template: 'packer' },
    ...{ regions: ['eu-central-1'], images: 1, calls: 4 },
    needs: ['CreateFleet', 'CreateLaunchTemplate'],
    source: 'packer/install.sh',
  },
  {
    name: 'own-role',
    structure: '`assume_role` of another account, with "template-role"',
    with: { template: 'packer', 'template-role': 'arn:aws:iam::444455556666:role/image-builder' },
    ...{ regions: ['eu-central-1'], images: 1, calls: 5 },
    account: '444455556666',
    source: 'packer/install.sh',
  },
];

/** What was seen of one template. */
export interface Seen {
  readonly needs: string;
  readonly built: string;
  readonly unchanged: string;
  readonly changed?: string;
  readonly cancelled?: string;
  readonly killed?: string;
}

const count = (images: number) => (images === 1 ? '1 image' : `${images} images`);
export const outcomes = {
  needs: (operations: readonly string[]) => operations.map(operation => `\`${operation}\``).join(', '),
  built: (images: number, regions: readonly string[]) =>
    `${count(images)} in ${regions.length > 3 ? `${regions.length} regions` : regions.join(', ')}`,
  unchanged: (calls: number) => `nothing built, ${calls} calls`,
  changed: (images: number) => count(images),
  cancelled: (left: readonly string[]) => (left.length === 0 ? 'nothing' : left.join(', ')),
  killed: (left: readonly string[], images: number) => `${left.length === 0 ? 'nothing' : left.join(', ')}, ${count(images)}`,
};

export const expected = ({ images, regions, calls, needs = [] }: Specimen): Required<Seen> => ({
  needs: outcomes.needs(needs),
  built: outcomes.built(images, regions),
  unchanged: outcomes.unchanged(calls),
  changed: outcomes.changed(images),
  cancelled: outcomes.cancelled([]),
  killed: outcomes.killed([], images),
});

const HEAD = [
  ...['Template', 'Packer runs in', 'Built', 'Pushed again', 'After a change', 'Left after a cancel', 'Left after a kill, and next run'],
  'Needs, beyond the shipped role',
];
const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;

/** The table of docs/your-own-template.md, from what is expected or what was seen. */
export const tableOf = (rows: readonly (readonly [Specimen, Seen])[]): string =>
  [
    row(HEAD),
    row(HEAD.map(() => '---')),
    ...rows.map(([{ name, structure, runsIn }, { built, unchanged, changed = '', cancelled = '', killed = '', needs }]) =>
      row([
        `[${structure}](../__tests__/templates/${name})`,
        runsIn === undefined ? 'the workspace' : `\`${runsIn}\``,
        built,
        unchanged,
        changed,
        cancelled,
        killed,
        needs,
      ]),
    ),
  ].join('\n');

/** A workspace with the files of a template of the corpus, or with these, as after actions/checkout. */
export function checkedOut(files: string | Readonly<Record<string, string>>): Checkout {
  const home = mkdtempSync(join(tmpdir(), 'corpus-'));
  const [path, tools] = [join(home, 'workspace'), join(home, 'tools')];
  mkdirSync(path);
  if (typeof files === 'string') cpSync(join(import.meta.dirname, '..', 'templates', files), path, { recursive: true });
  else
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(join(path, name)), { recursive: true });
      writeFileSync(join(path, name), content);
    }
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.com', ...args], { cwd: path, stdio: 'ignore' });
  git('init', '-q');
  git('add', '-A');
  git('commit', '-qm', 'one');
  return {
    ...{ path, tools },
    write(file, edit) {
      writeFileSync(join(path, file), edit(readFileSync(join(path, file), 'utf8')));
      git('commit', '-qm', 'more', '--', file);
    },
    remove: () => rmSync(home, { recursive: true, force: true }),
  };
}

export interface Checkout {
  readonly path: string;
  /** For RUNNER_TOOL_CACHE: a runner that keeps its workspace keeps this too. */
  readonly tools: string;
  /** Changes a file, and commits it. */
  write(file: string, edit: (text: string) => string): void;
  remove(): void;
}
