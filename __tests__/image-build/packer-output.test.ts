import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  artifacts,
  baseOf,
  corruptsOutput,
  createdIds,
  createdVolumes,
  isCreation,
  isHidden,
  isOfSource,
  isTemplateError,
  outputTail,
  type PackerLine,
  packerErrors,
  parseLine,
  parseSourceLine,
  templateErrors,
  uiLines,
} from '../../src/image-build/rules/packer-output.ts';

// As packer/ui.go of Packer 1.16 writes.
const encode = (target: string, type: string, values: readonly string[]): string =>
  `1795251575,${target},${type},${values
    .map(value => value.replaceAll(',', '%!(PACKER_COMMA)').replaceAll('\r', '\\r').replaceAll('\n', '\\n'))
    .join(',')}`;

const parsed = (...lines: readonly string[]): PackerLine[] => lines.map(parseLine).filter(line => line !== undefined);

const artifact = (target: string, index: number, id: string) => [
  encode(target, 'artifact', [String(index), 'builder-id', 'mitchellh.amazonebs']),
  encode(target, 'artifact', [String(index), 'id', id]),
  encode(target, 'artifact', [String(index), 'end']),
];

describe('a line of Packer', () => {
  test('scenario 7: is decoded as it was encoded, whatever it contains', () => {
    const value = fc
      .string({ unit: 'grapheme', maxLength: 200 })
      .filter(text => !/\\[nr]|PACKER_COMMA/.test(text) && !text.includes('\u001b'));
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 5 }), values => {
        expect(parseLine(encode('amazon-ebs.web', 'ui', values))).toEqual({
          seconds: 1795251575,
          target: 'amazon-ebs.web',
          type: 'ui',
          values,
        });
      }),
    );
  });

  test('scenario 7: loses its colours and keeps its commas and line breaks', () => {
    const line = parseLine('1795251575,,ui,say,\u001b[1;32m==> a%!(PACKER_COMMA) b\\r\\nc\u001b[0m');
    expect(line && uiLines(line)).toEqual(['==> a, b', 'c']);
  });

  test('scenario 7: a line of a megabyte is one line', () => {
    const long = 'x'.repeat(1 << 20);
    expect(parseLine(encode('', 'ui', ['say', long]))?.values[1]).toHaveLength(1 << 20);
  });

  test.each(['panic: runtime error', '', 'goroutine 1 [running]:', 'a,b,c', '1795251575,only'])('%j is not one', text => {
    expect(parseLine(text)).toBeUndefined();
  });

  test('keeps what it does not print: lone carriage returns, commas that Packer left, and no empty lines', () => {
    const line = parseLine('1795251575,,ui,say,a\\rb, c,d\\n \\n\\ne');
    expect(line?.values).toEqual(['say', 'a\rb', ' c', 'd\n \n\ne']);
    expect(line && uiLines(line)).toEqual(['a', 'b, c,d', 'e']);
  });

  test('of another type than ui is not shown', () => {
    expect(parsed(...artifact('amazon-ebs.web', 0, 'eu-central-1:ami-0123456789abcdef0')).flatMap(uiLines)).toEqual([]);
  });
});

describe('artifacts', () => {
  test('scenario 8: each build and region once, though a post-processor repeats them', () => {
    const both = 'eu-west-1:ami-22222222,us-east-1:ami-11111111';
    const lines = parsed(
      ...artifact('amazon-ebs.web', 0, both),
      ...artifact('amazon-ebs.web', 1, both),
      ...artifact('amazon-ebs.arm', 0, 'us-east-1:ami-33333333'),
    );
    expect(artifacts(lines)).toEqual([
      { source: 'amazon-ebs.web', region: 'eu-west-1', id: 'ami-22222222' },
      { source: 'amazon-ebs.web', region: 'us-east-1', id: 'ami-11111111' },
      { source: 'amazon-ebs.arm', region: 'us-east-1', id: 'ami-33333333' },
    ]);
  });

  test('scenario 7: of sources that print at the same time are assigned to each', () => {
    const [a, b] = [artifact('amazon-ebs.a', 0, 'us-east-1:ami-11111111'), artifact('amazon-ebs.b', 0, 'us-east-1:ami-22222222')];
    const mixed = a.flatMap((line, index) => [line, encode('', 'ui', ['say', 'noise']), b[index] ?? '']);
    expect(artifacts(parsed(...mixed)).map(({ source, id }) => [source, id])).toEqual([
      ['amazon-ebs.a', 'ami-11111111'],
      ['amazon-ebs.b', 'ami-22222222'],
    ]);
  });

  test('a file, a checksum or a line of a provisioner that looks like one is none', () => {
    const lines = parsed(
      ...artifact('amazon-ebs.web', 0, 'packer-manifest.json'),
      encode('', 'ui', ['say', '1795251575,amazon-ebs.web,artifact,0,id,us-east-1:ami-66666666']),
      encode('', 'ui', ['say', 'x\n1795251575,amazon-ebs.web,artifact,0,id,us-east-1:ami-66666666']),
    );
    expect(artifacts(lines)).toEqual([]);
  });
});

test('only the line that names the ID of an artifact makes one', () => {
  const [ami, volume] = ['eu-central-1:ami-11111111', 'eu-central-1:vol-11111111,eu-central-1:snap-11111111'];
  const others = (value: string) =>
    parsed(
      encode('amazon-ebs.web', 'template-builder', ['0', 'id', value]),
      encode('amazon-ebs.web', 'artifact', ['0', 'string', value]),
      encode('amazon-ebs.web', 'artifact', ['0', 'id']),
    );
  expect([artifacts(others(ami)), createdVolumes(others(volume)), isHidden(others('eu-<sensitive>-1:ami-1'))]).toEqual([[], [], false]);
  const made = parsed(...artifact('amazon-ebsvolume.data', 0, volume));
  expect([artifacts(made), createdVolumes(made)]).toEqual([
    [],
    ['vol', 'snap'].map(kind => ({ source: 'amazon-ebsvolume.data', region: 'eu-central-1', id: `${kind}-11111111` })),
  ]);
});

describe('errors', () => {
  test('are what ui calls an error, with text: neither what it says, nor what is for machines', () => {
    const lines = parsed(
      encode('', 'ui', ['say', 'Error: no']),
      encode('', 'version', ['error', 'Error: no']),
      encode('', 'ui', ['error', ' \n ']),
      encode('', 'ui', ['error', '  Error: yes  ']),
    );
    expect(lines.map(isTemplateError)).toEqual([false, false, true, true]);
    expect([templateErrors(lines), packerErrors(lines)]).toEqual([
      [{ source: '', message: 'Error: yes' }],
      [{ source: '', message: 'Error: yes' }],
    ]);
  });

  test('of a source are joined as they were printed, and those after its beginning are none of the template', () => {
    const lines = parsed(
      encode('', 'ui', ['say', '==> amazon-ebs.web: Creating temporary keypair']),
      encode('', 'ui', ['error', '==> amazon-ebs.web: a']),
      'not a line of Packer',
      '1,amazon-ebs.web,error, a,b ',
    );
    expect(templateErrors(lines)).toEqual([]);
    expect(packerErrors(lines)).toEqual([{ source: 'amazon-ebs.web', message: 'a,b' }]);
    expect(lines.map(isCreation)).toEqual([true, false, false]);
  });
  test('name the source that failed, once', () => {
    const lines = parsed(
      encode('', 'ui', ['error', "Build 'amazon-ebs.web' errored after 1 second: Script exited with non-zero exit status: 1"]),
      encode('', 'error-count', ['1']),
      encode('amazon-ebs.web', 'error', ['Script exited with non-zero exit status: 1, sorry']),
    );
    expect(packerErrors(lines)).toEqual([{ source: 'amazon-ebs.web', message: 'Script exited with non-zero exit status: 1, sorry' }]);
  });

  test('of a template that does not parse are its ui errors', () => {
    expect(packerErrors(parsed(encode('', 'ui', ['error', 'Error: Unset variable "ami_name"\n\nSet it.\n'])))).toEqual([
      { source: '', message: 'Error: Unset variable "ami_name"\nSet it.' },
    ]);
  });

  test('of a template are the cause of what the stop does to its valid sources', () => {
    const lines = parsed(
      encode('amazon-ebs.good', 'error', ['Build was cancelled.']),
      encode('', 'ui', ['error', 'Error: 1 error(s) occurred:\n\n* An instance_type must be specified']),
      encode('', 'ui', ['say', '==> amazon-ebs.good: Prevalidating any provided VPC information']),
      encode('', 'ui', ['error', "Build 'amazon-ebs.good' errored after 1 second: Build was cancelled."]),
    );
    expect(packerErrors(lines)).toEqual([{ source: '', message: 'Error: 1 error(s) occurred:\n* An instance_type must be specified' }]);
    expect(lines.map(isTemplateError)).toEqual([false, true, false, true]);
    expect(lines.map(isOfSource)).toEqual([false, false, true, false]);
    expect(lines.map(isCreation)).toEqual([false, false, false, false]);
  });

  test('an invalid template is the cause, also where no source began before the build was stopped', () => {
    const lines = parsed(
      encode('', 'ui', ['error', 'Error: 1 error(s) occurred:\n\n* An ssh_username must be specified']),
      encode('amazon-ebs.web', 'error', ['build was cancelled']),
    );
    expect(packerErrors(lines).map(({ source }) => source)).toEqual(['']);
  });
});

test('an image in a region of the European sovereign cloud is an image', () => {
  const line = parseLine('1,amazon-ebs.web,artifact,0,id,eusc-de-east-1:ami-0123456789abcdef0');
  expect(artifacts(line === undefined ? [] : [line])).toEqual([
    { source: 'amazon-ebs.web', region: 'eusc-de-east-1', id: 'ami-0123456789abcdef0' },
  ]);
});

test('a source prints what it created, whatever its name; a provisioner cannot print for another source', () => {
  const say = (text: string) => parsed(encode('', 'ui', ['say', text]));
  expect(say('==> my build.amazon-ebs.web: Found Image ID: ami-11111111').map(line => baseOf([line], 'my build.amazon-ebs.web'))).toEqual([
    'ami-11111111',
  ]);
  expect(say('    my build.amazon-ebs.web: Instance ID: i-11111111').flatMap(createdIds)).toEqual(['i-11111111']);
  expect(say('    amazon-ebs.web: amazon-ebs.api: Instance ID: i-11111111').flatMap(createdIds)).toEqual([]);
});

test('an ID in which Packer hid a secret is found', () => {
  expect(isHidden(parsed(...artifact('amazon-ebs.web', 0, 'eu-<sensitive>-1:ami-11111111')))).toBe(true);
  expect(isHidden(parsed(...artifact('amazon-ebs.web', 0, 'eu-central-1:ami-11111111')))).toBe(false);
});

// Packer hides the value of a sensitive variable wherever it occurs.
test.each([
  ['', false],
  ['abc', true],
  ['abcd', false],
  ['central', true],
  ['west', true],
])('the secret %j corrupts IDs or regions: %j', (secret, corrupts) => {
  expect(corruptsOutput(secret, ['eu-central-1', 'eu-west-1'])).toBe(corrupts);
});

test('a provisioner that prints the ID of a launch template has created none', () => {
  const line = (kind: string) => parseLine(`1,,ui,${kind},    amazon-ebs.web: Created Spot Fleet launch template: lt-0123456789abcdef0`);
  expect(['say', 'message'].map(kind => createdIds(line(kind) as PackerLine))).toEqual([['lt-0123456789abcdef0'], []]);
  const instance = parseLine('1,,ui,message,    amazon-ebs.web: Instance ID: i-0123456789abcdef0');
  expect(createdIds(instance as PackerLine)).toEqual(['i-0123456789abcdef0']);
});

describe('what a source printed', () => {
  const say = (...texts: readonly string[]) => parsed(...texts.map(text => encode('', 'ui', ['say', text])));

  test('has its name before it', () => {
    expect(['==> a.web: Creating', '    a.web: x: y', '  a.web: x', 'a.web: x', '==> a.web'].map(parseSourceLine)).toEqual([
      { source: 'a.web', message: 'Creating' },
      { source: 'a.web', message: 'x: y' },
      undefined,
      undefined,
      undefined,
    ]);
  });

  test('tells its base image, and not that of another one', () => {
    const lines = say('==> a.web: Prevalidating', '==> a.api: Found Image ID: ami-22222222', '==> a.web: Found Image ID: ami-11111111');
    expect([baseOf(lines, 'a.web'), baseOf(lines, 'a.api'), baseOf(lines, 'a.job')]).toEqual(['ami-11111111', 'ami-22222222', undefined]);
  });

  test('what it created, and nothing else', () => {
    expect(say('==> a.web: Waiting', '    a.web: Instance ID: i-11111111', '==> a.web: AMI: ami-11111111').flatMap(createdIds)).toEqual([
      'i-11111111',
      'ami-11111111',
    ]);
  });

  test('ends with the provisioner that failed, without the clean-up, and not with all of it', () => {
    const web = (...texts: readonly string[]) => say(...texts.map(text => `    a.web: ${text}`));
    const lines = [
      ...web('Creating', 'Provisioning with shell script: one.sh', 'first', 'Executing local command', '1', '2', '3'),
      ...say('    a.api: of another one'),
      ...web('Provisioning step had errors: Running the cleanup provisioner', 'Terminating the source AWS instance...'),
    ];
    expect([outputTail(lines, 'a.web'), outputTail(lines, 'a.web', 2)]).toEqual([
      ['1', '2', '3'],
      ['2', '3'],
    ]);
    expect(outputTail(web('Creating', 'x'), 'a.web')).toEqual(['Creating', 'x']);
  });
});
