import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { EC2Client, RegisterImageCommand } from '@aws-sdk/client-ec2';
import { expect, test } from '@jest/globals';
import { images, neighbours, snapshots } from '../../lab/ec2/images.ts';
import { keys } from '../../lab/kms/keys.ts';
import {
  build,
  changed,
  DEBIAN,
  describeWithPacker as describe,
  idle,
  idly,
  labOfTests,
  launched,
  leftovers,
  madeImages,
  tagsIn,
  twoSources,
} from './build-lab.ts';

/** The effect of each setting of build, seen in what Packer gets or creates. */

const lab = await labOfTests();

const sourcesOf = (images: string | undefined) => (JSON.parse(images ?? '[]') as { source: string }[]).map(({ source }) => source);

describe('which sources are built', () => {
  test.each<[string, Record<string, string>]>([
    ['only', { only: 'amazon-ebs.second' }],
    ['except', { except: 'amazon-ebs.web' }],
  ])('is set by "%s", and the next run finds the image', async (which, wanted) => {
    const before = launched(lab);
    const order = { files: idly(twoSources()), with: { family: which, 'base-image': DEBIAN, ...wanted } };
    const ran = await build(lab, order);
    expect(ran.errors).toEqual([]);
    expect(sourcesOf(ran.outputs['images'])).toEqual(['amazon-ebs.second']);
    expect(launched(lab)).toBe(before + 1);
    expect((await build(lab, order)).outputs).toMatchObject({ built: 'false', 'ami-id': ran.outputs['ami-id'] });
    const all = await build(lab, { ...order, with: { family: which, 'base-image': DEBIAN, 'dry-run': 'true' } });
    expect(all.outputs['reason']).toContain('regions, architecture, instance type or sources');
  });

  test('is nothing when "only" matches none: an error before anything is launched', async () => {
    const before = launched(lab);
    const ran = await build(lab, { files: idle(), with: { family: 'none', only: 'amazon-ebs.unknown' } });
    expect(ran.outputs['outcome']).toBe('usage');
    expect(ran.errors.join()).toContain('No builds to run');
    expect(launched(lab)).toBe(before);
  });

  test('is none when one of several is invalid: Packer alone would build the others', async () => {
    const files = idly(twoSources());
    files['packer/second.pkr.hcl'] = (files['packer/second.pkr.hcl'] ?? '').replace(/ssh_username\s+=.*/, '');
    const before = launched(lab);
    const ran = await build(lab, { files, with: { family: 'onewrong' } });
    expect(ran.outputs['outcome']).toBe('usage');
    expect(ran.errors.join()).toContain('ssh_username');
    expect(launched(lab)).toBe(before);
  });
});

test('"kms_key_id" encrypts the root device, whatever it is called, and adds no other', async () => {
  const key = 'arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab';
  keys(lab.core).set(key, {
    policy: { Statement: [{ Effect: 'Allow', Principal: { AWS: 'arn:aws:iam::111122223333:root' }, Action: 'kms:*', Resource: '*' }] },
  });
  const debian = neighbours(lab.place())
    .flatMap(owner => [...images(owner).values()])
    .find(({ name }) => name.startsWith('debian-12-amd64'));
  const { AWS_ACCESS_KEY_ID: accessKeyId = '' } = lab.environment();
  const ec2 = new EC2Client({ endpoint: lab.url, region: lab.place().region, credentials: { accessKeyId, secretAccessKey: 'x' } });
  const device = { DeviceName: '/dev/sda1', Ebs: { SnapshotId: debian?.devices[0]?.snapshotId } };
  const asked = { Name: 'as-ubuntu', RootDeviceName: '/dev/sda1', Architecture: 'x86_64' as const };
  const { ImageId: base = '' } = await ec2.send(new RegisterImageCommand({ ...asked, BlockDeviceMappings: [device] }));
  // As for RHEL, whose user has another root device than Amazon Linux.
  const variables = JSON.stringify({ ssh_port: '2322', kms_key_id: key, ssh_username: 'ec2-user' });
  const ran = await build(lab, { files: idle(), with: { family: 'locked', 'base-image': base, var: variables } });
  expect(ran.errors).toEqual([]);
  const made = madeImages(lab).find(({ id }) => id === ran.outputs['ami-id']);
  expect(made?.devices).toMatchObject([{ device: '/dev/sda1', encrypted: true }]);
  expect(snapshots(lab.place()).get(made?.devices[0]?.snapshotId ?? '')?.kmsKeyId).toBe(key);
});

test('"ssh_from_runner_only" opens SSH to the address that AWS sees, and to none where that is unknown', async () => {
  const asked: string[] = [];
  const proxy = createServer().on('connect', ({ url = '' }, socket) => {
    asked.push(url);
    socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
  });
  await new Promise<void>(done => proxy.listen(0, '127.0.0.1', done));
  const mark = lab.calls.mark();
  const ran = await build(lab, {
    files: idle(),
    with: { family: 'closed', var: JSON.stringify({ ssh_port: '2322', ssh_from_runner_only: true }) },
    env: { HTTPS_PROXY: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}` },
  });
  proxy.close();
  expect([ran.exitCode, new Set(asked)]).toEqual([1, new Set(['checkip.amazonaws.com:443'])]);
  expect(ran.errors.join()).toContain("failed to get current host's public ip");
  expect([lab.calls.count('AuthorizeSecurityGroupIngress', mark), lab.calls.count('RunInstances', mark)]).toEqual([0, 0]);
  expect(leftovers(lab)).toEqual([]);
});

describe('an invalid template is an error before anything is launched', () => {
  test.each<[string, Record<string, string>, Record<string, string>, string]>([
    ['does not parse', changed(['variable "app_version"', 'variable app version']), {}, 'Packer cannot read the template: Error: '],
    [
      'lacks what the source needs',
      changed(['  ssh_username            = var.ssh_username\n', '']),
      {},
      'An ssh_username must be specified',
    ],
    [
      'has a variable without a value',
      changed(['variable "app_version" {', 'variable "must" {\n  type = string\n}\nvariable "app_version" {']),
      {},
      'has no value',
    ],
    [
      'wants tags as a list',
      changed([
        'variable "ami_tags" {\n  type        = map(string)\n  default     = {}',
        'variable "ami_tags" {\n  type = list(string)\n  default = []',
      ]),
      {},
      'Declare `ami_tags` and `run_tags` as map(string)',
    ],
    ['does not know a variable', idle(), { var: 'ssh_port: 2322\nunknown: x' }, '"var" sets a variable that the template does not declare'],
  ])('%s', async (_, files, wanted, says) => {
    const before = launched(lab);
    const ran = await build(lab, { files, with: { family: 'wrong', ...wanted } });
    expect(ran.outputs['outcome']).toBe('usage');
    expect(ran.errors.join()).toContain(says);
    expect(ran.errors.join()).not.toMatch(/,,ui,|%!\(PACKER_COMMA\)/);
    expect(launched(lab)).toBe(before);
  });
});

describe('variables', () => {
  const echo = (...names: string[]) => {
    const [first = '', ...rest] = names;
    const files = changed(
      ...rest.map(
        name =>
          ['variable "app_version"', `variable "${name}" {\n  type = string\n  default = "none"\n}\n\nvariable "app_version"`] as const,
      ),
      ['"APP_VERSION=${var.app_version}"', `"APP_VERSION=${[first, ...rest].map(name => `${name}:\${var.${name}}`).join(' ')}"`],
    );
    files['packer/scripts/install.sh'] = '#!/bin/sh\necho "said $APP_VERSION"\n';
    return files;
  };

  test('come from "var-files", in their order; "var" wins over them, and "secret-var" too', async () => {
    const files = echo('app_version', 'colour', 'size', 'token');
    files['one.pkrvars.hcl'] = 'app_version = "one"\ncolour = "one"\nsize = "one"\ntoken = "one"\n';
    files['more/two.pkrvars.json'] = JSON.stringify({ colour: 'two', size: 'two' });
    files['packer/scripts/install.sh'] += '[ "${APP_VERSION##*token:}" = s3cret-token ] && echo "token is ours"\n';
    const ran = await build(lab, {
      files,
      with: {
        family: 'vars',
        'var-files': 'one.pkrvars.hcl\nmore/two.pkrvars.json',
        var: 'ssh_port: 2322\nsize: three',
        'secret-var': 'token: s3cret-token',
      },
    });
    expect(ran.errors).toEqual([]);
    expect(ran.log).toContain('said app_version:one colour:two size:three token:***');
    expect(ran.log).toContain('token is ours');
  });

  test('a name in a file that the template does not declare is warned of', async () => {
    const files = { ...idle(), 'one.pkrvars.hcl': 'app_verison = "typo"\n' };
    const ran = await build(lab, { files, with: { family: 'typo', 'var-files': 'one.pkrvars.hcl' } });
    expect(ran.errors).toEqual([]);
    expect(ran.log).toContain('app_verison');
  });
});

describe('the fingerprint', () => {
  test('what a template reads of the environment, and the instance type, change the fingerprint', async () => {
    const files = changed([
      'variable "app_version"',
      'variable "flavour" {\n  type    = string\n  default = env("FLAVOUR")\n}\n\nvariable "app_version"',
    ]);
    const print = async (FLAVOUR: string, more: Record<string, string> = {}) =>
      (await build(lab, { files, with: { family: 'env', 'dry-run': 'true', ...more }, env: { FLAVOUR } })).outputs['fingerprint'];
    const sweet = await print('sweet');
    expect(sweet).toMatch(/^[0-9a-f]{64}$/);
    expect(await print('sweet')).toBe(sweet);
    expect(await print('sour')).not.toBe(sweet);
    expect(await print('sweet', { 'instance-type': 't3.large' })).not.toBe(sweet);
  });
});

describe('"name"', () => {
  const KNOWN = {
    family: 'web',
    version: '1.2.3',
    environment: 'stage',
    architecture: 'arm64',
  };

  test('is made of all placeholders', async () => {
    const name = '{family}-{version}-{environment}-{architecture}-{commit}-{timestamp}';
    const ran = await build(lab, { with: { ...KNOWN, name, 'dry-run': 'true' }, env: { GITHUB_SHA: 'c'.repeat(40) } });
    expect(ran.outputs['image-name']).toMatch(new RegExp(`^web-1\\.2\\.3-stage-arm64-${'c'.repeat(40)}-20\\d{12}$`));
    const made = await build(lab, { files: idle(), with: { family: 'named', name: 'exact {family} (v1) [x]' } });
    expect(madeImages(lab).map(image => image.name)).toContain(made.outputs['image-name']);
    expect(made.outputs['image-name']).toBe('exact named (v1) [x]');
  });

  test('differs for two architectures, whose jobs may begin in the same second', async () => {
    const ran = await build(lab, { with: { family: 'web', architecture: 'arm64', 'dry-run': 'true' } });
    expect(ran.outputs['image-name']).toMatch(/^web-1111111-arm64-20\d{12}$/);
  });

  test.each(['environment', 'architecture'])('with {%s}, which has no value, is refused with the fix', async fact => {
    const before = lab.calls.count();
    const ran = await build(lab, { with: { family: 'web', name: `{family}-{${fact}}` } });
    expect(ran.errors.join()).toContain(`"name" contains {${fact}}, which has no value: set "${fact}", or remove {${fact}} from "name"`);
    expect(lab.calls.count()).toBe(before);
  });
});

test('"packer-version" that PATH does not meet is an error that names the versions found, before anything is launched', async () => {
  const before = launched(lab);
  const ran = await build(lab, { with: { family: 'newer', 'packer-version': '>=99.0.0' } });
  expect(ran.outputs['outcome']).toBe('rejected');
  expect(ran.errors.join()).toContain('Packer >=99.0.0 not found');
  expect(ran.errors.join()).toMatch(/packer is \d+\.\d+\.\d+, "packer-version" asks for >=99\.0\.0/);
  expect(launched(lab)).toBe(before);
});

describe('a variable that the template marks as sensitive', () => {
  const SECRET = 'hunter2, "quoted" & more';
  const files = () => ({
    ...changed(
      [
        'variable "app_version"',
        'variable "token" {\n  type      = string\n  sensitive = true\n}\nvariable "pin" {\n  default = ""\n}\n\nvariable "app_version"',
      ],
      ['"APP_VERSION=${var.app_version}"', '"APP_VERSION=${var.app_version}", "TOKEN=${base64encode(var.token)}"'],
    ),
    'packer/scripts/install.sh': '#!/bin/sh\necho "token is $(echo "$TOKEN" | base64 -d)" >&2\n',
  });
  const run = (wanted: Record<string, string> = {}) =>
    build(lab, {
      files: files(),
      with: { family: 'hush', 'base-image': DEBIAN, var: JSON.stringify({ ssh_port: '2322', token: SECRET }), ...wanted },
      env: { RUNNER_DEBUG: '1' },
    });
  const unseen = (ran: Awaited<ReturnType<typeof run>>) => {
    const log = ran.log.replaceAll(/^::add-mask::.*$/gm, '');
    for (const shown of [log, ran.summary, JSON.stringify(ran.outputs), JSON.stringify(ran.state)]) expect(shown).not.toContain('hunter2');
  };

  test('is shown nowhere by a dry run, which reports all else that Packer would get', async () => {
    const ran = await run({ 'dry-run': 'true', 'secret-var': 'ssh_username: admin', regions: 'eu-west-1', tags: 'team: web' });
    expect(ran.errors).toEqual([]);
    unseen(ran);
    const rows = ran.summary.split('\n').map(line => line.replace(/^\| | \|$/g, '').split(' | '));
    const said = Object.fromEntries(rows);
    expect(said['Fingerprint']).toBe(`\`${ran.outputs['fingerprint']}\``);
    expect(said['Base image']).toMatch(/^`ami-/);
    expect(rows).toContainEqual(['`token`', '`***`', '"var"']);
    expect(rows).toContainEqual(['`ssh_username`', '`***`', '"secret-var"']);
    expect(rows).toContainEqual(['`ssh_port`', '`2322`', '"var"']);
    expect(rows).toContainEqual(['`ami_name`', `\`${ran.outputs['image-name']}\``, 'ami-action']);
    expect(rows).toContainEqual(['`ami_regions`', '`["eu-west-1"]`', 'ami-action']);
    expect(ran.warnings.join()).toContain('The template marks token as sensitive. Set it under "secret-var"');
  });

  test.each([
    ['behind a link', 'packer'],
    ['in a template outside the workspace', '../away/packer'],
  ])('%s is as secret, and environment variables that it reads count', async (_, template) => {
    const home = mkdtempSync(join(tmpdir(), 'build-settings-'));
    const put = (files: Record<string, string>) => {
      for (const [path, content] of Object.entries(files)) {
        mkdirSync(dirname(join(home, path)), { recursive: true });
        writeFileSync(join(home, path), content);
      }
    };
    const token = 'variable "token" {\n  sensitive = true\n  default   = env("FLAVOUR")\n}\n';
    for (const folder of ['work', 'away'])
      put(Object.fromEntries(Object.entries(idle()).map(([path, text]) => [`${folder}/${path}`, text])));
    put({ 'away/packer/token.pkr.hcl': token });
    symlinkSync('../../away/packer/token.pkr.hcl', join(home, 'work/packer/token.pkr.hcl'));
    const print = async (FLAVOUR: string, more: Record<string, string> = {}) => {
      const wanted = { family: 'elsewhere', template, 'dry-run': 'true', ...more };
      const ran = await build(lab, { workspace: join(home, 'work'), with: wanted, env: { FLAVOUR } });
      expect(ran.errors).toEqual([]);
      return ran;
    };
    const sweet = await print('sweet');
    expect((await print('sour')).outputs['fingerprint']).not.toBe(sweet.outputs['fingerprint']);
    unseen(await print('sweet', { var: JSON.stringify({ ssh_port: '2322', token: SECRET }) }));
    rmSync(home, { recursive: true });
  });

  test.each(['1', 'central'])('is refused when it is %j: Packer would hide it in the ID of the image', async token => {
    const before = launched(lab);
    const said = await run({ var: JSON.stringify({ ssh_port: '2322', token }) });
    const ofTheStep = await build(lab, { files: files(), with: { family: 'hush' }, env: { PKR_VAR_token: token } });
    for (const ran of [said, ofTheStep]) {
      expect(ran.outputs['outcome']).toBe('usage');
      expect(ran.errors.join()).toContain('The template marks token as sensitive, and its value is so short or common');
    }
    expect(launched(lab)).toBe(before);
  });

  test('with a short default is reported when Packer has hidden the ID, and the image is removed', async () => {
    const before = madeImages(lab).length;
    const pin = changed(
      ['variable "app_version"', 'variable "pin" {\n  default   = "1"\n  sensitive = true\n}\n\nvariable "app_version"'],
      ['"APP_VERSION=${var.app_version}"', '"APP_VERSION=${var.app_version}", "PIN=${var.pin}"'],
    );
    const ran = await build(lab, { files: idly(pin), with: { family: 'pin' } });
    expect(ran.outputs['outcome']).toBe('usage');
    expect(ran.errors.join()).toContain('Packer printed no readable ID of the image');
    expect(madeImages(lab)).toHaveLength(before);
    expect(leftovers(lab)).toEqual([]);
  });

  test('is in no tag, and salted in the fingerprint: another family has another fingerprint', async () => {
    // Not a secret for Packer. It occurs in the name of the region, and in most IDs.
    const ran = await run({ 'secret-var': 'pin: "1"' });
    expect(ran.errors).toEqual([]);
    // The runner masks it.
    expect(ran.warnings.join()).toContain('that the runner masks them in the IDs of images too: pin.');
    unseen(ran);
    const id = ran.outputs['ami-id'] ?? '';
    expect(madeImages(lab).map(image => image.id)).toContain(id);
    expect(JSON.stringify(tagsIn(lab, id))).not.toContain('hunter2');
    const print = async (family: string, wanted: Record<string, string> = {}) =>
      (await run({ family, 'dry-run': 'true', ...wanted })).outputs['fingerprint'];
    expect(await print('hush-a')).not.toBe(await print('hush-b'));
    expect(await print('hush-a', { var: 'app_version: 1' })).toBe(await print('hush-b', { var: 'app_version: 1' }));
    expect(leftovers(lab)).toEqual([]);
  });
});
