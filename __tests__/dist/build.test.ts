import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { images as labImages, snapshots } from '../../lab/ec2/images.ts';
import {
  bare,
  build,
  changed,
  DEBIAN,
  describeWithPacker as describe,
  diskOf,
  labOfTests,
  launched,
  leftovers,
  madeImages,
  tagsIn,
  template,
  twoSources,
} from './build-lab.ts';

const lab = await labOfTests();

describe('build, with real Packer', () => {
  test('builds an image from the template and reports it in outputs and summary', async () => {
    const ran = await build(lab, {
      with: { family: 'main', version: '1.2.0', tags: 'team: web', var: 'ssh_port: 2322\napp_version: 1.2.0' },
    });
    expect(ran.errors).toEqual([]);
    expect(ran.exitCode).toBe(0);
    const image = madeImages(lab).find(({ name }) => name === ran.outputs['image-name']);
    expect(image?.name).toMatch(/^main-1\.2\.0-\d{14}$/);
    expect(image?.imdsV2).toBe(true);
    expect(ran.outputs).toMatchObject({
      'ami-id': image?.id,
      'ami-ids': JSON.stringify({ 'eu-central-1': image?.id }),
      built: 'true',
      outcome: 'done',
    });
    expect(JSON.parse(ran.outputs['images'] ?? '')).toEqual([
      { source: 'amazon-ebs.web', architecture: 'x86_64', region: 'eu-central-1', id: image?.id, name: image?.name },
    ]);
    const console = `https://eu-central-1.console.aws.amazon.com/ec2/home?region=eu-central-1#ImageDetails:imageId=${image?.id}`;
    expect(ran.summary).toContain(`| [\`${image?.id}\`](${console}) |`);
    expect(ran.summary).toContain('✅ Built main 1.2.0 (1111111)');
    expect(ran.summary).toContain('Not validated yet.');
    expect(ran.summary).toContain('| 8 GiB, at most $0.40 a month |');
    for (const phase of ['prepare', 'launch', 'connect', 'provision', 'stop', 'make the image', 'tag', 'clean up'])
      expect(ran.summary).toMatch(new RegExp(`\\| \`amazon-ebs.web\` \\| ${phase} \\| [\\dms. ]+ \\|`));
    expect(ran.summary).toMatch(/\| packer build \| [\dms. ]+ \|/);
    expect(leftovers(lab)).toEqual([]);
  });

  test("tags image and snapshots alike, with the action's and the user's tags, and no temporary ones", async () => {
    const ran = await build(lab, { with: { family: 'tagged', tags: 'team: web' } });
    const id = ran.outputs['ami-id'] ?? '';
    const tags = tagsIn(lab, id);
    expect(tags).toMatchObject({
      Name: ran.outputs['image-name'],
      ManagedBy: 'ami-action',
      team: 'web',
      'ami-action:family': 'tagged',
      'ami-action:version': '1111111',
      'ami-action:commit': '1111111111111111111111111111111111111111',
      'ami-action:ref': 'refs/heads/main',
      'ami-action:repository': 'acme/web',
      'ami-action:run': '1001',
      'ami-action:base-ami': expect.stringMatching(/^ami-/),
      'ami-action:created-at': expect.stringMatching(/^20\d\d-/),
    });
    expect(Object.keys(tags).filter(key => /purpose|expires-at|:build/.test(key))).toEqual([]);
    const snapshot = madeImages(lab).find(image => image.id === id)?.devices[0]?.snapshotId ?? '';
    expect(tagsIn(lab, snapshot)).toEqual(tags);
  });

  test('builds what the template defines, without anything of the build instance', async () => {
    const ran = await build(lab, { with: { family: 'baked', var: 'ssh_port: 2322\napp_version: 4.5.6' } });
    const root = await diskOf(lab, ran.outputs['ami-id'] ?? '');
    const content = (path: string) => readFileSync(join(root, path), 'utf8');
    expect(content('opt/web/version')).toBe('4.5.6\n');
    expect(content('etc/systemd/system/web.service')).toContain('ExecStart=/usr/bin/python3 /opt/web/server.py');
    expect(content('etc/ssh/sshd_config.d/10-hardening.conf')).toContain('PermitRootLogin no');
    expect(content('etc/machine-id')).toBe('');
    expect(existsSync(join(root, 'home/admin/.ssh/authorized_keys'))).toBe(false);
    expect(existsSync(join(root, 'tmp/app'))).toBe(false);
  });

  test('a template that declares none of our variables works too, and gets its tags in a copy', async () => {
    const ran = await build(lab, { files: bare('force_deregister = true'), with: { family: 'plain', template: 'image.pkr.hcl' } });
    expect(ran.errors).toEqual([]);
    const id = ran.outputs['ami-id'] ?? '';
    expect(tagsIn(lab, id)).toMatchObject({ 'ami-action:family': 'plain', Name: expect.stringMatching(/^by-hand-/) });
    expect(ran.log).toContain('Added to a copy of the template, outside the repository: run_tags, run_volume_tags, tags (amazon-ebs.own).');
    expect(ran.warnings.join()).toContain('force_deregister');
    expect(leftovers(lab)).toEqual([]);
  });

  test('a template that sets its regions itself gets a warning before the build', async () => {
    const files = bare('ami_regions = ["eu-west-1"]');
    const ran = await build(lab, { files, with: { family: 'far', template: 'image.pkr.hcl' } });
    expect(ran.errors).toEqual([]);
    expect(Object.keys(JSON.parse(ran.outputs['ami-ids'] ?? '{}')).sort()).toEqual(['eu-central-1', 'eu-west-1']);
    expect(ran.warnings.join()).toContain('The template sets its regions itself (ami_regions): it builds in eu-central-1, eu-west-1.');
  });

  test('a build name may contain spaces', async () => {
    const files = bare('', 'build {\n  name = "my build"\n  sources = ["source.amazon-ebs.own"]\n}');
    const ran = await build(lab, { files, with: { family: 'spaces', template: 'image.pkr.hcl', only: 'my build.amazon-ebs.own' } });
    expect(ran.errors).toEqual([]);
    expect(tagsIn(lab, ran.outputs['ami-id'] ?? '')).toMatchObject({
      'ami-action:source': 'my build.amazon-ebs.own',
      'ami-action:base-ami': expect.stringMatching(/^ami-/),
    });
    expect(ran.summary).toContain('make the image');
  });

  test('a legacy JSON template works too: it gets what it can take, and the next run finds its image', async () => {
    const user = (name: string) => `{{user \`${name}\`}}`;
    const names = ['ami_name', 'ami_tags', 'run_tags', 'source_ami', 'ami_regions', 'region', 'ssh_port'];
    const json = {
      variables: Object.fromEntries(names.map(name => [name, ''])),
      builders: [
        {
          ...{ type: 'amazon-ebs', instance_type: 't3.micro', ssh_username: 'admin' },
          ...Object.fromEntries(names.filter(name => !/tags$/.test(name)).map(name => [name, user(name)])),
        },
      ],
    };
    const order = {
      files: { 'image.json': JSON.stringify(json) },
      with: { family: 'json', template: 'image.json', 'base-image': DEBIAN, regions: 'eu-west-1' },
    };
    const ran = await build(lab, order);
    expect(ran.errors).toEqual([]);
    const ids = JSON.parse(ran.outputs['ami-ids'] ?? '{}');
    expect(Object.keys(ids).sort()).toEqual(['eu-central-1', 'eu-west-1']);
    expect(tagsIn(lab, ids['eu-west-1'], 'eu-west-1')).toMatchObject({ 'ami-action:family': 'json', Name: ran.outputs['image-name'] });
    expect(ran.log).toContain('Added to a copy of the template, outside the repository: run_tags, run_volume_tags, tags (amazon-ebs).');
    const again = await build(lab, order);
    expect(again.outputs).toMatchObject({ built: 'false', 'ami-ids': ran.outputs['ami-ids'] });
  });
});

describe('build refuses before it launches anything', () => {
  test('scenario 12: a name that is taken', async () => {
    const first = await build(lab, { with: { family: 'twice', name: 'twice-fixed' } });
    expect(first.exitCode).toBe(0);
    const before = launched(lab);
    const second = await build(lab, { with: { family: 'twice', name: 'twice-fixed' } });
    expect(second.outputs['outcome']).toBe('usage');
    expect(second.errors.join()).toContain(`${first.outputs['ami-id']} in eu-central-1 already has this name`);
    const copied = { family: 'twice', name: 'twice-fixed', region: 'eu-west-1', regions: 'eu-central-1' };
    const there = await build(lab, { with: copied });
    expect(there.errors.join()).toContain(`${first.outputs['ami-id']} in eu-central-1 already has this name`);
    expect(launched(lab)).toBe(before);
    expect(madeImages(lab).filter(({ name }) => name === 'twice-fixed')).toHaveLength(1);
  });

  test('all problems of its settings at once', async () => {
    const before = lab.calls.count();
    const ran = await build(lab, {
      files: {},
      with: {
        family: 'x',
        name: '{family}#{colour}',
        template: 'nowhere',
        'var-files': 'a.pkrvars.hcl',
        tags: 'aws:x: 1\nami-action:family: y',
        var: 'ami_name: z',
      },
    });
    expect(ran.outputs['outcome']).toBe('usage');
    const errors = ran.errors.join('\n');
    for (const part of ['{colour}', '"nowhere"', '"a.pkrvars.hcl"', '"tags.aws:x"', '"tags.ami-action:family"', '"var.ami_name"'])
      expect(errors).toContain(part);
    expect(lab.calls.count()).toBe(before);
  });

  test('scenario 6: success without an image', async () => {
    const files = changed(['ami_description', 'skip_create_ami = true\n  ami_description']);
    const ran = await build(lab, { files, with: { family: 'none' } });
    expect(ran.exitCode).toBe(1);
    expect(ran.errors.join()).toContain('produced no AMI');
    expect(ran.outputs).toMatchObject({ outcome: 'rejected' });
    expect(ran.outputs['ami-id']).toBeUndefined();
    expect(leftovers(lab)).toEqual([]);
  });
});

describe('build that fails', () => {
  test('names the error of the provisioner and leaves nothing', async () => {
    const files = { ...template(), 'packer/scripts/install.sh': '#!/bin/sh\necho "no such package: nginx" >&2\nexit 7\n' };
    const ran = await build(lab, { files, with: { family: 'broken' } });
    expect(ran.exitCode).toBe(1);
    expect(ran.outputs).toMatchObject({ outcome: 'rejected' });
    expect(ran.errors.join()).toContain('exit status: 7');
    expect(ran.summary).toContain('no such package: nginx');
    expect(leftovers(lab)).toEqual([]);
  });

  test('scenario 5: with one of two sources finished reports its image, outside the family', async () => {
    const files = twoSources();
    files['packer/scripts/clean.sh'] = '#!/bin/sh\n[ "$PACKER_BUILD_NAME" != second ] || exit 9\n';
    const ran = await build(lab, { files, with: { family: 'half' } });
    expect(ran.exitCode).toBe(1);
    const partial = JSON.parse(ran.outputs['partial'] ?? '[]');
    expect(partial).toEqual([{ source: 'amazon-ebs.web', region: 'eu-central-1', id: expect.stringMatching(/^ami-/) }]);
    const tags = tagsIn(lab, partial[0].id);
    // A later run must not take it for the complete build.
    for (const key of ['family', 'fingerprint', 'siblings']) expect(tags[`ami-action:${key}`]).toBeUndefined();
    expect(ran.errors.join()).toContain('amazon-ebs.second');
  });

  test('scenario 18: never shows a secret variable, even on failure', async () => {
    const files = changed(
      ['variable "app_version"', 'variable "token" {\n  type = string\n}\n\nvariable "app_version"'],
      ['"APP_VERSION=${var.app_version}"', '"APP_VERSION=${var.app_version}", "TOKEN=${var.token}"'],
    );
    files['packer/scripts/install.sh'] = '#!/bin/sh\necho "token is $TOKEN"\nexit 3\n';
    const ran = await build(lab, { files, with: { family: 'secret', 'secret-var': 'token: hunter2-and-more' } });
    expect(ran.exitCode).toBe(1);
    expect(ran.log).toContain('::add-mask::hunter2-and-more');
    expect(ran.log.replaceAll('::add-mask::hunter2-and-more', '')).not.toContain('hunter2');
    expect(ran.summary).not.toContain('hunter2');
  });
});

describe('the images of a build', () => {
  test('scenario 9: are those of this run, whatever a manifest in the workspace contains', async () => {
    const files = changed([
      '  provisioner "file" {',
      '  post-processor "manifest" {\n    output = "manifest.json"\n  }\n\n  provisioner "file" {',
    ]);
    const older = { name: 'web', builder_type: 'amazon-ebs', artifact_id: 'eu-central-1:ami-0000000000000dead', packer_run_uuid: 'older' };
    files['manifest.json'] = JSON.stringify({ builds: [older], last_run_uuid: 'older' });
    const ran = await build(lab, { files, with: { family: 'manifest' } });
    expect(ran.errors).toEqual([]);
    // Once, although the post-processor repeats it.
    expect(JSON.parse(ran.outputs['images'] ?? '[]')).toEqual([expect.objectContaining({ id: ran.outputs['ami-id'] })]);
    expect(ran.outputs['ami-id']).not.toContain('dead');
  });

  test('scenario 8: of two sources are one each', async () => {
    const ran = await build(lab, { files: twoSources(), with: { family: 'two', 'base-image': DEBIAN } });
    const images = JSON.parse(ran.outputs['images'] ?? '[]') as { source: string; id: string }[];
    expect(images.map(({ source }) => source).sort()).toEqual(['amazon-ebs.second', 'amazon-ebs.web']);
    expect(new Set(images.map(({ id }) => id)).size).toBe(2);
    expect(ran.outputs).toMatchObject({ outcome: 'done', 'ami-ids': '{}' });
    expect(ran.outputs['ami-id']).toBeUndefined();
    // The next run finds both.
    const again = await build(lab, { files: twoSources(), with: { family: 'two', 'base-image': DEBIAN } });
    expect(again.outputs).toMatchObject({ built: 'false', outcome: 'unchanged' });
    expect(
      JSON.parse(again.outputs['images'] ?? '[]')
        .map(({ id }: { id: string }) => id)
        .sort(),
    ).toEqual(images.map(({ id }) => id).sort());
    // Without one of them the build is incomplete.
    const [one] = madeImages(lab).filter(({ id }) => id === images[0]?.id);
    labImages(lab.place()).delete(one?.id ?? '');
    snapshots(lab.place()).delete(one?.devices[0]?.snapshotId ?? '');
    const half = await build(lab, {
      files: twoSources(),
      with: { family: 'two', 'base-image': DEBIAN, 'dry-run': 'true' },
    });
    expect(half.outputs['reason']).toBe('the build with the same fingerprint has 1 of 2 images in eu-central-1');
  });

  test('may have two architectures', async () => {
    const files = twoSources();
    files['packer/second.pkr.hcl'] = (files['packer/second.pkr.hcl'] ?? '')
      .replaceAll('amd64', 'arm64')
      .replace('"x86_64"', '"arm64"')
      .replace('= var.instance_type', '= "t4g.small"');
    const ran = await build(lab, { files, with: { family: 'processors' } });
    expect(ran.errors).toEqual([]);
    const images = JSON.parse(ran.outputs['images'] ?? '[]') as { source: string; architecture: string }[];
    expect(Object.fromEntries(images.map(({ source, architecture }) => [source, architecture]))).toEqual({
      'amazon-ebs.web': 'x86_64',
      'amazon-ebs.second': 'arm64',
    });
  });

  const oneFails = 'provisioner "shell" {\n  only   = ["amazon-ebs.second"]\n  inline = ["exit 9"]\n}';
  const untagged = bare(
    '',
    `build {\n  sources = ["source.amazon-ebs.own"]\n  source "amazon-ebs.own" {\n    name = "second"\n  }\n  ${oneFails}\n}`,
  );

  test.each([
    [
      'amazon-ebs.web',
      'packer',
      { ...twoSources(), 'packer/scripts/clean.sh': '#!/bin/sh\n[ "$PACKER_BUILD_NAME" != second ] || exit 9\n' },
    ],
    ['amazon-ebs.own', 'image.pkr.hcl', untagged],
  ])('scenario 5: of %s are removed with "cleanup-on-failure" when another source fails', async (source, path, files) => {
    const order = { files, with: { family: 'swept', template: path } };
    const ran = await build(lab, { ...order, with: { ...order.with, 'cleanup-on-failure': 'true' } });
    expect(ran.exitCode).toBe(1);
    const [partial] = JSON.parse(ran.outputs['partial'] ?? '[]');
    expect(partial).toMatchObject({ source });
    expect(ran.errors.join()).toContain(`${partial.id} in eu-central-1 (${source}) was finished and is removed`);
    expect(madeImages(lab).map(({ id }) => id)).not.toContain(partial.id);
    expect(leftovers(lab)).toEqual([]);
  });

  test('scenario 5: of a template without run_tags stay, and are found by the tags of its copy', async () => {
    const ran = await build(lab, { files: untagged, with: { family: 'loose', template: 'image.pkr.hcl' } });
    const [partial] = JSON.parse(ran.outputs['partial'] ?? '[]');
    expect(madeImages(lab).map(({ id }) => id)).toContain(partial.id);
    expect(tagsIn(lab, partial.id)['ami-action:expires-at']).toMatch(/^20\d\d-/);
    expect(ran.errors.join()).toContain('was finished and stays, outside the family, until a later run finds it expired');
  });
});

describe('the environment of Packer', () => {
  test('scenario 15: AWS_MAX_ATTEMPTS=1 does not make our own clients give up', async () => {
    const heal = lab.faults.add({ operation: 'DescribeImages', times: 2, action: { error: 'InternalError', status: 500 } });
    const ran = await build(lab, { with: { family: 'patient', 'dry-run': 'true' }, env: { AWS_MAX_ATTEMPTS: '1' } });
    heal();
    expect(ran.errors).toEqual([]);
    expect(ran.outputs['outcome']).toBe('planned');
  });

  test('scenario 15: AWS_MAX_ATTEMPTS=abc does not reach Packer, and is reported', async () => {
    const ran = await build(lab, { with: { family: 'confused' }, env: { AWS_MAX_ATTEMPTS: 'abc' } });
    expect(ran.errors).toEqual([]);
    expect(ran.warnings.join()).toContain('AWS_MAX_ATTEMPTS is "abc", which is not a number');
  });

  test('scenario 17: variables reach the template unchanged', async () => {
    const nasty = 'a "b" \'c\' ; rm -rf $(id) `id` ${HOME} -x=y\n  second line';
    const files = changed(
      ['variable "app_version"', 'variable "note" {\n  type = string\n}\n\nvariable "app_version"'],
      ['"APP_VERSION=${var.app_version}"', '"APP_VERSION=${base64encode(var.note)}"'],
    );
    files['packer/scripts/install.sh'] = '#!/bin/sh\necho "note: $APP_VERSION"\nexit 0\n';
    const ran = await build(lab, { files, with: { family: 'nasty', var: JSON.stringify({ ssh_port: '2322', note: nasty }) } });
    expect(ran.errors).toEqual([]);
    const [, said = ''] = /note: (\S+)/.exec(ran.log) ?? [];
    expect(Buffer.from(said, 'base64').toString()).toBe(nasty);
  });
});

test('names of branches and tags are text to Packer, never templates', async () => {
  const GITHUB_REF = 'refs/heads/a{{`b`|upper}}{{{{';
  const mark = lab.calls.mark();
  const ran = await build(lab, { with: { family: 'braces', tags: 'team: "{{ unknown }}"' }, env: { GITHUB_REF } });
  expect(ran.errors).toEqual([]);
  const wrote = lab.calls.since(mark).filter(({ operation, client }) => operation === 'CreateTags' && !client.includes('ami-action'));
  const tags = wrote.flatMap(({ input }) => input['Tags'] as { Key: string; Value: string }[]);
  expect(tags.map(({ Key }) => Key)).toContain('ami-action:commit');
  expect(tags.filter(({ Key }) => ['team', 'ami-action:ref'].includes(Key))).toEqual([]);
  expect(tagsIn(lab, ran.outputs['ami-id'] ?? '')).toMatchObject({ 'ami-action:ref': GITHUB_REF, team: '{{ unknown }}' });
});
