import { describe, expect, test } from '@jest/globals';
import { parseHcl } from '../../src/image-build/rules/hcl.ts';
import { templateFacts } from '../../src/image-build/rules/template-facts.ts';
import { resolve, templateModel, variableOf } from '../../src/image-build/rules/template-sources.ts';
import { declaredVariables, varFileValues } from '../../src/image-build/rules/variable-values.ts';

const OPTIONS = { region: 'eu-central-1', regions: [], only: [], except: [] };
const facts = (text: string, overrides: Record<string, string> = {}, more: Partial<typeof OPTIONS> = {}) => {
  const declared = declaredVariables(text);
  const values = Object.fromEntries(declared.flatMap(({ name, fallback }) => (fallback === undefined ? [] : [[name, fallback]])));
  return templateFacts([text], declared, { values: { ...values, ...overrides }, overrides }, { ...OPTIONS, ...more });
};
const source = (body: string, variables = '') => `${variables}\nsource "amazon-ebs" "web" {\n${body}\n}\n`;

describe('HCL', () => {
  test('is read over strings, heredocs, comments and nested blocks', () => {
    const text = `# a = 1
source "amazon-ebs" "a" { # { not a brace
  note = "} \${lookup({ x = "}" }, "x")} {"
  user_data = <<-EOT
    region = "heredoc"
    }
  EOT
  tags = {
    region = "in a map"
  }
  /* region = "comment" */
  assume_role {
    role_arn = "r"
  }
  region = "eu-west-1" // note
}
source "amazon-ebs" "b" { region = "eu-north-1" }
#`;
    const { blocks } = parseHcl(text);
    expect(blocks.map(({ labels }) => labels)).toEqual([
      ['amazon-ebs', 'a'],
      ['amazon-ebs', 'b'],
    ]);
    expect(blocks.map(({ attributes }) => attributes.get('region')?.value)).toEqual(['"eu-west-1"', '"eu-north-1"']);
    expect(blocks[0]?.blocks[0]?.attributes.get('role_arn')?.value).toBe('"r"');
    expect([...(blocks[0]?.attributes.keys() ?? [])]).toEqual(['note', 'user_data', 'tags', 'region']);
  });

  test('that is broken ends', () => {
    for (const text of ['source "a" {', 'a = "', 'a = <<EOT\n', '/*', 'a = [', '"${', '#']) expect(() => parseHcl(text)).not.toThrow();
  });

  test('a map of a var file sets none of the variables with the names of its keys', () => {
    expect(varFileValues('tags = {\n  region = "x"\n}\nregion = "y"')).toEqual({ region: 'y' });
  });
});

describe('the regions of a template', () => {
  test.each<[string, string, Record<string, string>, readonly string[] | undefined]>([
    ['none of its own', source(''), {}, ['eu-central-1']],
    ['the variable region', source('region = var.region', 'variable "region" {}'), {}, ['eu-central-1']],
    ['another name for it', source('region = var.aws_region', 'variable "aws_region" {\n  default = "us-east-1"\n}'), {}, ['eu-central-1']],
    ['a var file', source('region = var.aws_region', 'variable "aws_region" {}'), { aws_region: 'us-east-1' }, ['us-east-1']],
    ['a local value', source('region = local.region', 'locals {\n  region = "us-west-2"\n}'), {}, ['us-west-2']],
    ['a literal, and copies', source('region = "us-east-1"\nami_regions = ["us-west-2", "us-east-1"]'), {}, ['us-east-1', 'us-west-2']],
    [
      'a default list',
      source('ami_regions = var.ami_regions', 'variable "ami_regions" {\n  default = ["us-west-2"]\n}'),
      {},
      ['eu-central-1', 'us-west-2'],
    ],
    ['null', source('region = var.r', 'variable "r" {\n  default = null\n}'), {}, ['eu-central-1']],
    ['what only Packer can tell', source('region = split(",", var.x)[0]', 'variable "x" {}'), {}, undefined],
    [
      'JSON',
      JSON.stringify({ variables: { aws_region: 'us-east-1' }, builders: [{ type: 'amazon-ebs', region: '{{user `aws_region`}}' }] }),
      { aws_region: 'eu-west-1' },
      ['eu-west-1'],
    ],
  ])('%s', (_, text, overrides, regions) => {
    expect(facts(text, overrides).regions).toEqual(regions);
  });

  test('are known where the template requires a list: the action gives it an empty one', () => {
    const text = source(
      'region = var.region\nami_regions = var.ami_regions',
      'variable "region" {}\nvariable "ami_regions" {\n  type = list(string)\n}',
    );
    expect(facts(text).regions).toEqual(['eu-central-1']);
    expect(facts(text, {}, { regions: ['eu-west-1'] } as object).regions).toEqual(['eu-central-1', 'eu-west-1']);
    const unknown = text.replace('type = list(string)', 'default = var.other');
    expect(facts(unknown).regions).toBeUndefined();
  });

  test('are those of the sources that are built', () => {
    const text = `${source('region = "us-east-1"')}source "amazon-ebs" "arm" {\n  region = "us-west-2"\n}`;
    expect(facts(text).regions).toEqual(['us-east-1', 'us-west-2']);
    expect(facts(text, {}, { only: ['amazon-ebs.arm'] } as object)).toMatchObject({ regions: ['us-west-2'] });
    expect(facts(text, {}, { only: ['nightly.amazon-ebs.arm'] } as object).regions).toEqual(['us-west-2']);
    expect(facts(text, {}, { except: ['amazon-ebs.web'] } as object).regions).toEqual(['us-west-2']);
  });
});

test('variables of the action are found under other names, where all sources agree', () => {
  const variables = 'variable "image_name" {}\nvariable "type" {}\nvariable "prefix" {}';
  const text = source('ami_name = var.image_name\ninstance_type = "${var.type}"\nsource_ami = "${var.prefix}-x"', variables);
  expect(facts(text).names).toEqual({ ami_name: 'image_name', instance_type: 'type' });
  const two = `${source('instance_type = var.type', variables)}source "amazon-ebs" "b" {\n  instance_type = "t3.micro"\n}`;
  expect(facts(two).names).toEqual({});
});

test.each<[string, string, readonly object[]]>([
  ['a role', 'assume_role {\n  role_arn = var.role\n}', [{ source: 'amazon-ebs.web', kind: 'assume_role', value: 'arn' }]],
  ['an empty role', 'assume_role {\n  role_arn = ""\n}', []],
  [
    'a role in a dynamic block',
    'dynamic "assume_role" {\n  for_each = [1]\n  content {\n    role_arn = var.role\n  }\n}',
    [{ source: 'amazon-ebs.web', kind: 'assume_role', value: 'arn' }],
  ],
  ['a profile', 'profile = "prod"', [{ source: 'amazon-ebs.web', kind: 'profile', value: 'prod' }]],
  ['keys of the environment', 'access_key = env("AWS_ACCESS_KEY_ID")', []],
  ['keys', 'access_key = "AKIA"', [{ source: 'amazon-ebs.web', kind: 'access_key', value: 'AKIA' }]],
  [
    'what only Packer can tell',
    'assume_role {\n  role_arn = format("%s", var.role)\n}',
    [{ source: 'amazon-ebs.web', kind: 'assume_role', value: undefined }],
  ],
])('credentials: %s', (_, body, credentials) => {
  expect(facts(source(body, 'variable "role" {\n  default = "arn"\n}')).credentials).toEqual(credentials);
});

test('sources with one name in one region are found', () => {
  const two = (first: string, second: string) =>
    facts(`variable "n" {}\nsource "amazon-ebs" "a" {\n${first}\n}\nsource "amazon-ebs" "b" {\n${second}\n}`).sameName;
  expect(two('ami_name = var.n', 'ami_name = "${var.n}"')).toEqual(['amazon-ebs.a', 'amazon-ebs.b']);
  expect(two('ami_name = "x"', 'ami_name = "x"')).toEqual(['amazon-ebs.a', 'amazon-ebs.b']);
  expect(two('ami_name = "${var.n}-a"', 'ami_name = "${var.n}-b"')).toEqual([]);
  expect(two('ami_name = var.n\nregion = "eu-west-1"', 'ami_name = var.n\nregion = "eu-west-2"')).toEqual([]);
});

test('sharing is found in literals and variables', () => {
  const text = source('ami_groups = ["all"]\nami_users = var.users\nsnapshot_users = []', 'variable "users" {\n  default = ["1"]\n}');
  expect(facts(text).sharing).toEqual(['ami_groups = all (amazon-ebs.web)', 'ami_users = 1 (amazon-ebs.web)']);
});

test.each<[string, string, boolean]>([
  ['Packer opens it by default', '', true],
  ['a variable that only Packer knows may restrict it', 'temporary_security_group_source_public_ip = var.x', false],
  ['a flag that is off', 'temporary_security_group_source_public_ip = false', true],
  ['a group of its own', 'security_group_id = "sg-1"', false],
  ['groups that it finds', 'security_group_filter {\n  filters = { name = "x" }\n}', false],
  ['addresses', 'temporary_security_group_source_cidrs = ["10.0.0.0/8"]', false],
  ['every address, as written', 'temporary_security_group_source_cidrs = ["10.0.0.0/8", "0.0.0.0/0"]', true],
  ['Session Manager', 'ssh_interface = "session_manager"', false],
  ['WinRM', 'communicator = "winrm"', false],
])('SSH from everywhere: %s', (_, body, isOpen) => {
  expect(facts(source(body)).openToAll).toEqual(isOpen ? ['amazon-ebs.web'] : []);
});

test('spot instances, owners of base images and what is encrypted by chance are read', () => {
  const text = source(
    'spot_price = var.price\nencrypt_boot = false\nsource_ami_filter {\n  owners = ["136693071363"]\n}',
    'variable "price" {\n  default = "auto"\n}',
  );
  expect(facts(text)).toMatchObject({ spot: ['amazon-ebs.web'], baseOwners: ['136693071363'], encryptedByChance: [] });
  expect(facts(source('spot_price = "0"'))).toMatchObject({ spot: [], baseOwners: [], encryptedByChance: ['amazon-ebs.web'] });
  const volume = 'launch_block_device_mappings {\n  device_name = "/dev/xvda"\n  encrypted = true\n}';
  expect(facts(source(volume)).encryptedByChance).toEqual([]);
});

test('a builder of JSON is the only one without others and without post-processors', () => {
  const json = (more: object) => facts(JSON.stringify({ builders: [{ type: 'amazon-ebs', name: 'web' }], ...more })).soleBuilder;
  expect(json({})).toBe('web');
  expect(json({ 'post-processors': [{ type: 'manifest' }] })).toBeUndefined();
  expect(json({ builders: [{ type: 'amazon-ebs' }, { type: 'amazon-ebs', name: 'b' }] })).toBeUndefined();
});

// github-security.md L2: read word by word, each to the end of the line, this would take ten minutes.
test('a long line of words is read once', () => {
  const { blocks, attributes } = parseHcl(`${'a '.repeat(200_000)}{\n}\n${'b "c" '.repeat(60_000)}\nx = 1\n`);
  expect([blocks.length, [...attributes.keys()]]).toEqual([1, ['x']]);
});

describe('the sources of a template', () => {
  test('are those of Amazon, with their attributes and those of their blocks', () => {
    const hcl = `source "amazon-ebs" "web" {
  region = var.region
  assume_role {
    role_arn = "r"
  }
  dynamic "tag" {
    for_each = var.tags
    labels   = ["no"]
    content {
      key = "k"
    }
  }
}
source "googlecompute" "web" {}
locals {
  a = "1"
}
local "b" {
  expression = "2"
  sensitive  = true
}`;
    const { sources, locals } = templateModel([hcl]);
    expect(sources).toEqual([
      {
        ...{ name: 'amazon-ebs.web', type: 'amazon-ebs' },
        attributes: new Map([
          ['region', 'var.region'],
          ['assume_role{', ''],
          ['assume_role.role_arn', '"r"'],
          ['tag{', ''],
          ['tag.key', '"k"'],
        ]),
      },
    ]);
    expect([...locals]).toEqual([
      ['a', '"1"'],
      ['b', '"2"'],
    ]);
  });

  test('of JSON: builders by their name or type, and the sources of HCL as JSON', () => {
    const role = { assume_role: { role_arn: 'r' }, run_tags: [{ a: 'b' }, null, 'x'] };
    const attributes = new Map([
      ['type', '"amazon-ebs"'],
      ['assume_role', '{"role_arn":"r"}'],
      ['run_tags', '[{"a":"b"},null,"x"]'],
      ['assume_role{', ''],
      ['assume_role.role_arn', '"r"'],
      ['run_tags{', ''],
      ['run_tags.a', '"b"'],
    ]);
    const legacy = { builders: [{ type: 'amazon-ebs', ...role }, { type: 'amazon-ebs', name: 'arm' }, { type: 'docker' }] };
    expect(templateModel([JSON.stringify(legacy)]).sources).toEqual([
      { name: 'amazon-ebs', type: 'amazon-ebs', attributes },
      {
        name: 'arm',
        type: 'amazon-ebs',
        attributes: new Map([
          ['type', '"amazon-ebs"'],
          ['name', '"arm"'],
        ]),
      },
    ]);
    const body = { region: 'r' };
    const asJson = { source: { 'amazon-ebs': { web: body, arm: [body], bare: [] }, docker: { x: body } } };
    const known = new Map([['region', '"r"']]);
    expect(templateModel([JSON.stringify(asJson)]).sources).toEqual([
      { name: 'amazon-ebs.web', type: 'amazon-ebs', attributes: known },
      { name: 'amazon-ebs.arm', type: 'amazon-ebs', attributes: known },
      { name: 'amazon-ebs.bare', type: 'amazon-ebs', attributes: new Map() },
    ]);
    expect(['null', '{}', '{"builders":{}}', '[]'].map(text => templateModel([text]).sources)).toEqual([[], [], [], []]);
  });
});

describe('an expression', () => {
  const model = templateModel([
    'locals {\n  region = var.region\n  again = local.region\n  text = "t"\n  one = local.other\n  other = local.one\n  l1 = local.l2\n  l2 = local.l3\n  l3 = local.l4\n  l4 = local.l5\n  l5 = local.l6\n  l6 = "deep"\n}',
  ]);
  test.each<[string | undefined, string | undefined]>([
    ['var.region', 'region'],
    ['"${var.region}"', 'region'],
    ['"{{user `region`}}"', 'region'],
    ['local.again', 'region'],
    ['local.text', undefined],
    ['local.none', undefined],
    ['local.one', undefined],
    ['"${var.region}-x"', undefined],
    [undefined, undefined],
  ])('%s is the variable %s', (expression, variable) => expect(variableOf(expression, model)).toBe(variable));

  test.each<[string | undefined, string | readonly string[] | undefined]>([
    ['"a"', 'a'],
    ['"say \\"a\\" \\\\ b"', 'say "a" \\ b'],
    ['null', ''],
    ['var.region', 'eu-west-1'],
    ['local.again', 'eu-west-1'],
    ['local.text', 't'],
    ['local.one', undefined],
    ['local.l3', 'deep'],
    ['local.l1', undefined],
    ['["a", var.region, local.text]', ['a', 'eu-west-1', 't']],
    ['["a", # "b"\n "c"]', ['a', 'c']],
    ['["a", var.unknown]', undefined],
    ['[var.list]', undefined],
    ['[]', []],
    ['var.list', ['x', 'y']],
    ['var.spaced', ['x']],
    ['var.unknown', undefined],
    ['"${upper(var.region)}"', undefined],
    ['"%{ if true }a%{ endif }"', undefined],
    ['"{{timestamp}}"', undefined],
    ['upper("a")', undefined],
    [undefined, undefined],
  ])('%s comes to %j', (expression, value) => {
    const values = { region: 'eu-west-1', list: '["x", "y"]', spaced: ' ["x"]' };
    expect(resolve(expression, values, model)).toEqual(value);
  });
});
