import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type BuildInputs, changedInputs, fingerprint } from '../../src/image-build/rules/fingerprint.ts';
import { environmentNames, ownRegions, removesFirst } from '../../src/image-build/rules/template-text.ts';
import { sensitiveNames } from '../../src/image-build/rules/variable-values.ts';

const INPUTS: BuildInputs = {
  family: 'web',
  files: [
    { path: 'app/server.py', mode: '100644', blob: 'a'.repeat(40) },
    { path: 'packer/image.pkr.hcl', mode: '100644', blob: 'b'.repeat(40) },
  ],
  variables: { app_version: '1', colour: 'red' },
  secrets: {},
  base: 'ami-0123456789abcdef0',
  packerVersion: '>=1.11.0',
  paths: ['packer', '', 'stage.pkrvars.hcl', 'common.pkrvars.hcl'],
  targets: { regions: ['eu-central-1'], architecture: undefined, sources: ['', ''] },
};
const before = fingerprint(INPUTS);
const [server, template] = INPUTS.files as [BuildInputs['files'][number], BuildInputs['files'][number]];

describe('a fingerprint', () => {
  test('does not depend on the order of files, variables and regions', () => {
    const same = fingerprint({ ...INPUTS, files: [template, server], variables: { colour: 'red', app_version: '1' } });
    expect(same).toEqual(before);
    const regions = (...names: string[]) => fingerprint({ ...INPUTS, targets: { ...INPUTS.targets, regions: names } }).value;
    expect(regions('eu-west-1', 'eu-central-1')).toBe(regions('eu-central-1', 'eu-west-1'));
  });

  const changes: readonly (readonly [string, Partial<BuildInputs>, string])[] = [
    ['a file with another content', { files: [{ ...server, blob: 'c'.repeat(40) }, template] }, 'files'],
    ['a file with another name', { files: [{ ...server, path: 'app/serve.py' }, template] }, 'files'],
    ['a file that became executable', { files: [{ ...server, mode: '100755' }, template] }, 'files'],
    ['a file more', { files: [...INPUTS.files, { ...server, path: 'b' }] }, 'files'],
    ['a variable with another value', { variables: { ...INPUTS.variables, colour: 'blue' } }, 'variables'],
    ['a value that moved to another variable', { variables: { app_version: 'red', colour: '1' } }, 'variables'],
    ['a secret', { secrets: { token: 'x' } }, 'variables'],
    ['another base image', { base: 'ami-0fedcba9876543210' }, 'base image'],
    ['no base image', { base: undefined }, 'base image'],
    ['another Packer', { packerVersion: '1.16.0' }, 'packer-version'],
    ['another template', { paths: ['other', ...INPUTS.paths.slice(1)] }, 'template, var-files or working-directory'],
    [
      'var files in another order',
      { paths: ['packer', '', 'common.pkrvars.hcl', 'stage.pkrvars.hcl'] },
      'template, var-files or working-directory',
    ],
    ['another region', { targets: { ...INPUTS.targets, regions: ['eu-west-1'] } }, 'regions, architecture, instance type or sources'],
    ['another architecture', { targets: { ...INPUTS.targets, architecture: 'arm64' } }, 'regions, architecture, instance type or sources'],
    [
      'other sources',
      { targets: { ...INPUTS.targets, sources: ['amazon-ebs.web', ''] } },
      'regions, architecture, instance type or sources',
    ],
  ];

  test.each(changes)('changes with %s, and names it', (_, change, part) => {
    const now = fingerprint({ ...INPUTS, ...change });
    expect(now.value).not.toBe(before.value);
    expect(changedInputs(now, before.inputs)).toEqual([part]);
  });

  test('fits into a tag, value and inputs alike', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.string()), fc.array(fc.string()), (variables, regions) => {
        const print = fingerprint({ ...INPUTS, variables, targets: { ...INPUTS.targets, regions } });
        expect(print.value).toMatch(/^[0-9a-f]{64}$/);
        expect(print.inputs.length).toBeLessThanOrEqual(256);
      }),
    );
  });

  test('does not contain a secret, nor a plain hash of it', () => {
    const now = fingerprint({ ...INPUTS, secrets: { token: 'hunter2' } });
    expect(JSON.stringify(now)).not.toContain('hunter2');
    expect(fingerprint({ ...INPUTS, secrets: { token: 'hunter2' } })).toEqual(now);
    // Salted with the family: the same secret has another hash elsewhere.
    expect(fingerprint({ ...INPUTS, family: 'api', secrets: { token: 'hunter2' } }).value).not.toBe(now.value);
  });

  test('of an image without inputs cannot be compared', () => {
    expect(changedInputs(before, undefined)).toBeUndefined();
    expect(changedInputs(before, 'something else')).toBeUndefined();
  });
});

test('the environment variables that a template reads are found, and the instance type counts', () => {
  expect(environmentNames('default = env("AWS_SESSION_TOKEN")\nkey = env("AWS_ACCESS_KEY_ID")')).toEqual([]);
  expect(environmentNames('default = env("APP_VERSION")\nother = env( "B" )\nenvironment = "x"')).toEqual(['APP_VERSION', 'B']);
  expect(environmentNames(JSON.stringify({ a: '${env("A")}', b: '{{env `B`}}', c: '{{ env "C" }}' }))).toEqual(['A', 'B', 'C']);
  const typed = (instanceType: string) => fingerprint({ ...INPUTS, targets: { ...INPUTS.targets, instanceType } }).value;
  expect(new Set([typed('t3.small'), typed('t3.large'), before.value]).size).toBe(3);
});

test.each<[string, string, readonly string[]]>([
  ['a block', 'variable "token" {\n  type      = string\n  sensitive = true\n}\nvariable "b" {\n  default = "sensitive"\n}', ['token']],
  ['one line', 'variable "token" { sensitive = true }\nvariable "b" { type = string }', ['token']],
  [
    'an indented block with a nested block',
    '  variable "a" {\n    validation {\n      condition = true\n    }\n    sensitive = true\n  }\n  variable "b" {\n  }',
    ['a'],
  ],
  ['one that is false, and one of something else', 'variable "a" {\n  sensitive = false\n}\nlocal "b" {\n  sensitive = true\n}', []],
  ['JSON', '{"variables": {"a": "", "b": ""}, "sensitive-variables": ["b"]}', ['b']],
  ['HCL as JSON', '{"variable": {"a": {"sensitive": true}, "b": [{"sensitive": true}], "c": {"type": "string"}}}', ['a', 'b']],
])('which variables are sensitive is read from %s', (_, template, names) => {
  expect(sensitiveNames(template)).toEqual(names);
});

test.each([
  ['  force_deregister = true', true],
  ['"force_delete_snapshot": "true"', true],
  ['  # force_deregister = true', false],
  ['  force_deregister = false', false],
])('%s removes the old image first: %s', (template, removes) => {
  expect(removesFirst(template)).toBe(removes);
});

test.each<[string, readonly string[]]>([
  ['  region = "us-east-1"', ['us-east-1']],
  ['ami_regions = [\n    "eu-west-1", # near\n    "us-gov-west-1",\n  ]', ['eu-west-1', 'us-gov-west-1']],
  ['{ "builders": [{\n "region": "eu-west-1"\n}] }', ['eu-west-1']],
  ['  region = var.region\n  ami_regions = var.ami_regions\n  # region = "us-east-1"\n  note = "eu-west-1"', []],
])('%j sets regions itself: %j', (template, regions) => {
  expect(ownRegions(template)).toEqual(regions);
});
