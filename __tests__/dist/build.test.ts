import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Lab, startLab } from '../../lab/lab.ts';
import { removeWorkspaces } from '../../lab/runner.ts';
import { build, changed, leftovers, madeImages, tagsIn, template, twoSources } from './build-lab.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await startLab();
});
afterAll(async () => {
  await lab.close();
  removeWorkspaces();
});

describe('build, with real Packer', () => {
  test('makes an image of the template and tells it in every way', async () => {
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
    expect(ran.summary).toContain(image?.id);
    expect(leftovers(lab)).toEqual([]);
  });

  test("tags image and snapshots alike, with ours and with the user's, and with nothing temporary", async () => {
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

  test('bakes what the template says: the service is in the image', async () => {
    const ran = await build(lab, { with: { family: 'baked', var: 'ssh_port: 2322\napp_version: 4.5.6' } });
    expect(ran.log).toContain('Provisioning with shell script');
    expect(ran.exitCode).toBe(0);
  });

  test('a template that knows none of our variables works too, and is told what cannot be swept', async () => {
    const plain = `
      variable "ssh_port" { type = number }
      source "amazon-ebs" "own" {
        ami_name = "by-hand-\${formatdate("YYYYMMDDhhmmss", timestamp())}"
        instance_type = "t3.micro"
        ssh_username = "admin"
        ssh_port = var.ssh_port
        source_ami_filter {
          owners = ["136693071363"]
          most_recent = true
          filters = { name = "debian-12-amd64-*" }
        }
      }
      build { sources = ["source.amazon-ebs.own"] }`;
    const ran = await build(lab, {
      files: { 'image.pkr.hcl': plain },
      with: { family: 'plain', template: 'image.pkr.hcl', var: 'ssh_port: 2322' },
    });
    expect(ran.errors).toEqual([]);
    const id = ran.outputs['ami-id'] ?? '';
    expect(tagsIn(lab, id)).toMatchObject({ 'ami-action:family': 'plain', Name: expect.stringMatching(/^by-hand-/) });
    expect(ran.warnings.join()).toContain('declares no variable "run_tags"');
    expect(leftovers(lab)).toEqual([]);
  });
});

describe('build refuses before it launches anything', () => {
  const launched = () => lab.calls.count('RunInstances');

  test('scenario 12: a name that is taken', async () => {
    const first = await build(lab, { with: { family: 'twice', name: 'twice-fixed' } });
    expect(first.exitCode).toBe(0);
    const before = launched();
    const second = await build(lab, { with: { family: 'twice', name: 'twice-fixed' } });
    expect(second.outputs['outcome']).toBe('usage');
    expect(second.errors.join()).toContain(`${first.outputs['ami-id']} in eu-central-1 is called so already`);
    expect(launched()).toBe(before);
    expect(madeImages(lab).filter(({ name }) => name === 'twice-fixed')).toHaveLength(1);
  });

  test('everything that is wrong with its settings, at once', async () => {
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
    const said = ran.errors.join('\n');
    for (const part of ['{colour}', '"nowhere"', '"a.pkrvars.hcl"', '"tags.aws:x"', '"tags.ami-action:family"', '"var.ami_name"'])
      expect(said).toContain(part);
    expect(lab.calls.count()).toBe(before);
  });

  test('scenario 6: success without an image', async () => {
    const files = changed(['ami_description', 'skip_create_ami = true\n  ami_description']);
    const ran = await build(lab, { files, with: { family: 'none' } });
    expect(ran.exitCode).toBe(1);
    expect(ran.errors.join()).toContain('No AMI was produced');
    expect(ran.outputs).toMatchObject({ outcome: 'rejected' });
    expect(ran.outputs['ami-id']).toBeUndefined();
    expect(leftovers(lab)).toEqual([]);
  });
});

describe('build that fails', () => {
  test("names the provisioner's complaint and leaves nothing", async () => {
    const files = { ...template(), 'packer/scripts/install.sh': '#!/bin/sh\necho "no such package: nginx" >&2\nexit 7\n' };
    const ran = await build(lab, { files, with: { family: 'broken' } });
    expect(ran.exitCode).toBe(1);
    expect(ran.outputs).toMatchObject({ outcome: 'rejected' });
    expect(ran.errors.join()).toContain('exit status: 7');
    expect(ran.summary).toContain('no such package: nginx');
    expect(leftovers(lab)).toEqual([]);
  });

  test('scenario 5: with one of two sources finished tells what was, and gives it to nobody', async () => {
    const files = twoSources();
    files['packer/scripts/clean.sh'] = '#!/bin/sh\n[ "$PACKER_BUILD_NAME" != second ] || exit 9\n';
    const ran = await build(lab, { files, with: { family: 'half' } });
    expect(ran.exitCode).toBe(1);
    const partial = JSON.parse(ran.outputs['partial'] ?? '[]');
    expect(partial).toEqual([{ source: 'amazon-ebs.web', region: 'eu-central-1', id: expect.stringMatching(/^ami-/) }]);
    expect(tagsIn(lab, partial[0].id)['ami-action:family']).toBeUndefined();
    expect(ran.errors.join()).toContain('amazon-ebs.second');
  });

  test('scenario 18: never shows a secret variable, whatever fails', async () => {
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
