import { describe, expect, test } from '@jest/globals';
import { ancestors, chooseWorkingDirectory, pathReferences } from '../../src/image-build/rules/template-paths.ts';
import { declaredVariables, varFileValues } from '../../src/image-build/rules/variable-values.ts';

const there = (path: string, isWhole = true) => ({ from: 'working-directory', path, isWhole });
const inTemplate = (path: string, isWhole = true) => ({ from: 'template', path, isWhole });

describe('the files that a template refers to', () => {
  test.each<[string, string, readonly object[]]>([
    ['a script', '  script = "scripts/install.sh"', [there('scripts/install.sh')]],
    ['several, over lines', 'scripts = [\n  "a.sh",\n  "b/c.sh", # note\n]', [there('a.sh'), there('b/c.sh')]],
    ['path.root', 'source = "${path.root}/../app"', [inTemplate('../app')]],
    ['path.cwd', 'source = "${path.cwd}/app/"', [there('app/')]],
    ['a variable', 'script = "scripts/${var.os}.sh"', [there('scripts/rhel.sh')]],
    ['a bare variable', 'user_data_file = var.os', [there('rhel')]],
    ['a dynamic end', 'script = "scripts/${local.os}/${var.os}.sh"', [there('scripts/', false)]],
    ['a function', 'user_data = templatefile("user-data.tpl", { a = 1 })', [inTemplate('user-data.tpl')]],
    ['a playbook, with its roles', 'playbook_file = "./ansible/node.yml"', [there('./ansible')]],
    [
      'JSON',
      '{"provisioners": [{\n"type": "shell",\n"script": "{{template_dir}}/x.sh"},\n{"type":"file", "source": "conf/{{user `os`}}"}]}',
      [inTemplate('x.sh'), there('conf/rhel')],
    ],
    ['nothing of this machine', 'inline = ["./x.sh"]\ndestination = "app/x"\nremote_path = "/tmp/x"', []],
  ])('%s', (_, text, found) => {
    expect(pathReferences(text, { os: 'rhel' })).toEqual({ found, isDynamic: false });
  });

  test.each([
    'scripts = local.all',
    'script = "${local.dir}/x.sh"',
    'source = fileset(var.unknown, "*")',
    'playbook_file = "{{user `unknown`}}"',
  ])('cannot be read from %s', text => {
    expect(pathReferences(text, {}).isDynamic).toBe(true);
  });
});

describe('the directory in which Packer runs', () => {
  test('is one from the workspace to the template', () => {
    expect(ancestors('/w', '/w/images/capi/packer')).toEqual(['/w', '/w/images', '/w/images/capi', '/w/images/capi/packer']);
    expect(ancestors('/w', '/w')).toEqual(['/w']);
    expect(ancestors('/w', '/elsewhere')).toEqual(['/w', '/elsewhere']);
  });

  test.each<[readonly number[], string, string]>([
    [[0, 0, 0], '/w', 'the workspace'],
    [[3, 0, 0], '/w', 'the workspace'],
    [[2, 0, 2], '/w', 'the workspace'],
    [[1, 0, 3], '/w/a/b', '3 of 4 relative paths of the template exist there, and 1 in the workspace'],
    [[0, 4, 0], '/w/a', '4 of 4 relative paths of the template exist there, and 0 in the workspace'],
  ])('is, where %j paths exist, %s', (counts, path, reason) => {
    expect(chooseWorkingDirectory(['/w', '/w/a', '/w/a/b'], counts, 4)).toEqual({ path, reason });
  });
});

test('variables are read from HCL, HCL as JSON, and legacy JSON', () => {
  const hcl =
    'variable "a" {\n  default = "x\\"y"\n}\nvariable "b" { type = string }\nvariable "c" {\n  default = ["eu-west-1"]\n  sensitive = true\n}\nvariable "d" {\n  default = null\n}';
  expect(declaredVariables(hcl)).toEqual([
    { name: 'a', isSensitive: false, isOptional: true, fallback: 'x"y' },
    { name: 'b', isSensitive: false, isOptional: false, fallback: undefined },
    { name: 'c', isSensitive: true, isOptional: true, fallback: '["eu-west-1"]' },
    { name: 'd', isSensitive: false, isOptional: true, fallback: undefined },
  ]);
  expect(declaredVariables('{"variable": {"a": {"default": "x"}}}')).toEqual([
    { name: 'a', isSensitive: false, isOptional: true, fallback: 'x' },
  ]);
  expect(declaredVariables('{"variables": {"a": "x", "b": null}, "sensitive-variables": ["a"]}')).toEqual([
    { name: 'a', isSensitive: true, isOptional: true, fallback: 'x' },
    { name: 'b', isSensitive: false, isOptional: false, fallback: undefined },
  ]);
});

test('var files are read in HCL and JSON', () => {
  expect(varFileValues('# note\nregion = "eu-west-1"\nami_regions = [\n  "a", "b",\n]\ncount = 3\n')).toEqual({
    region: 'eu-west-1',
    ami_regions: '[\n  "a", "b",\n]',
  });
  expect(varFileValues('{"region": "eu-west-1", "users": ["1"], "n": 3}')).toEqual({ region: 'eu-west-1', users: '["1"]' });
});
