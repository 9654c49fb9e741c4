import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import type { CallRecord } from '../../lab/calls.ts';
import { launchInstance } from '../../lab/ec2/launch.ts';
import { setTags } from '../../lab/ec2/state.ts';
import { ADMINISTRATOR, type Ran } from '../../lab/runner.ts';
import {
  bare,
  build,
  DEBIAN,
  describeWithPacker as describe,
  idle,
  isOurs,
  killRunner,
  labOfTests,
  launched,
  leftovers,
  madeImages,
  packerHere,
  postOf,
  tagsIn,
} from './build-lab.ts';

/** Templates as other repositories have them: what they do differently from the example, each in the smallest form that builds. */

const lab = await labOfTests();

function deferred() {
  let resolve = () => {};
  const promise = new Promise<void>(done => {
    resolve = done;
  });
  return { promise, resolve };
}

describe('which template and which var files are used', () => {
  const files = () => ({
    ...idle(),
    'stage.pkrvars.hcl': 'app_version = "1"\n',
    'prod.pkrvars.hcl': 'app_version = "2"\n',
    '.github/ami.yml': 'environments:\n  stage: { var-files: [stage.pkrvars.hcl] }\n  prod: { var-files: [prod.pkrvars.hcl] }\n',
  });
  const run = (more: Record<string, string>) => build(lab, { files: files(), with: { family: 'own', 'base-image': DEBIAN, ...more } });

  test('determines the image: prod never gets the one of stage', async () => {
    const stage = await run({ environment: 'stage' });
    expect(stage.outputs['built']).toBe('true');
    const prod = await run({ environment: 'prod', 'dry-run': 'true' });
    expect(prod.outputs['reason']).toBe(`changed since ${stage.outputs['ami-id']}: template, var-files or working-directory`);
    const again = await run({ environment: 'stage' });
    expect(again.outputs).toMatchObject({ built: 'false', 'ami-id': stage.outputs['ami-id'] });
  });
});

test('the default template that does not exist is an error that names the templates of the workspace', async () => {
  const files = { 'images/web/a.pkr.hcl': '', 'images/db/b.pkr.hcl': '', 'node_modules/x/c.pkr.hcl': '' };
  const ran = await build(lab, { files, with: { family: 'missing' } });
  expect(ran.errors.join()).toContain(
    '"template" is "packer" (the default), which does not exist in the workspace: set it to one of the templates here: images/db, images/web',
  );
});

describe('relative paths', () => {
  const source = bare(
    '',
    'build {\n  sources = ["source.amazon-ebs.own"]\n  provisioner "shell" {\n    script = "scripts/x.sh"\n  }\n  post-processor "manifest" {\n    output = "manifest.json"\n  }\n}',
  );
  const files = {
    'images/web/image.pkr.hcl': source['image.pkr.hcl'] ?? '',
    'images/web/scripts/x.sh': '#!/bin/sh\necho "ran in the template"\n',
  };

  test('work where they exist: Packer runs in the directory of the template, and says why', async () => {
    const ran = await build(lab, { files, with: { family: 'relative', template: 'images/web' } });
    expect(ran.errors).toEqual([]);
    expect(ran.log).toContain('Packer runs in images/web: 1 of 1 relative path of the template exists there, and 0 in the workspace.');
    expect(ran.log).toContain('ran in the template');
  });

  test('work where "working-directory" says', async () => {
    const both = { ...files, 'scripts/x.sh': '#!/bin/sh\necho "ran in the workspace"\n' };
    const ran = await build(lab, { files: both, with: { family: 'chosen', template: 'images/web' } });
    expect(ran.log).toContain('ran in the workspace');
    const set = await build(lab, { files: both, with: { family: 'chosen', template: 'images/web', 'working-directory': 'images/web' } });
    expect(set.errors).toEqual([]);
    expect(set.log).toContain('ran in the template');
    const wrong = await build(lab, { files, with: { family: 'chosen', template: 'images/web', 'working-directory': 'nowhere' } });
    expect(wrong.errors.join()).toContain(
      '"working-directory" is "nowhere", which is not a directory of the workspace\nNo changes were made.',
    );
  });
});

/** `bare` with variables of its own, and how its source uses them. */
const own = (variables: string, source: string, builds?: string) => {
  const files = bare(source, builds);
  return { 'image.pkr.hcl': `${variables}\n${files['image.pkr.hcl']}` };
};
const run = (family: string, files: Record<string, string>, more: Record<string, string> = {}) =>
  build(lab, { files, with: { family, template: 'image.pkr.hcl', ...more } });
const idsOf = (ran: Ran) => Object.keys(JSON.parse(ran.outputs['ami-ids'] ?? '{}')).sort();

describe('regions of a template', () => {
  const copying = () => own('variable "ami_regions" { type = list(string) }', 'ami_regions = var.ami_regions');

  test('a required ami_regions gets an empty list where there is one region', async () => {
    const ran = await run('one-region', copying());
    expect(ran.errors).toEqual([]);
    expect(idsOf(ran)).toEqual(['eu-central-1']);
  });

  test('ami_regions under "var" is a list in YAML, and an unchanged run outputs every copy again', async () => {
    const more = { 'base-image': DEBIAN, var: 'ssh_port: 2322\nami_regions: [eu-west-1]' };
    const files = own(
      'variable "ami_regions" { type = list(string) }\nvariable "source_ami" { default = "" }',
      'ami_regions = var.ami_regions',
    );
    const ran = await run('listed', files, more);
    expect(ran.errors).toEqual([]);
    expect(idsOf(ran)).toEqual(['eu-central-1', 'eu-west-1']);
    expect(ran.warnings.join()).toContain('The template sets its regions itself (ami_regions): it builds in eu-central-1, eu-west-1.');
    const again = await run('listed', files, more);
    expect(again.outputs).toMatchObject({ built: 'false', 'ami-ids': ran.outputs['ami-ids'] });
    const both = await run('listed', files, { ...more, regions: 'eu-north-1' });
    expect(both.errors.join()).toContain('"var.ami_regions" is set by ami-action: use "name", "tags", "regions" or "base-image" instead');
  });

  const renamed = () => own('variable "aws_region" { default = "us-east-1" }', 'region = var.aws_region');

  test('a region variable of another name gets "region"', async () => {
    const ran = await run('renamed', renamed());
    expect(ran.errors).toEqual([]);
    expect(idsOf(ran)).toEqual(['eu-central-1']);
    expect(ran.log).toContain('Variables that ami-action sets: aws_region.');
  });

  test('a region of a var file wins, is reported before anything is built, and is where the next run looks', async () => {
    const files = { ...renamed(), 'west.pkrvars.hcl': 'aws_region = "eu-west-1"\n' };
    const more = { 'var-files': 'west.pkrvars.hcl', rebuild: 'max-age:7d' };
    const plan = await run('west', files, { ...more, 'dry-run': 'true' });
    expect(plan.warnings.join()).toContain('it builds in eu-west-1, and not in eu-central-1. Existing images are looked for there.');
    expect(plan.summary).toContain('| `aws_region` | `eu-west-1` | "var-files" |');
    expect(plan.summary).toContain('| Regions | `eu-west-1` |');
    const ran = await run('west', files, more);
    expect(ran.errors).toEqual([]);
    expect(idsOf(ran)).toEqual(['eu-west-1']);
    expect((await run('west', files, more)).outputs).toMatchObject({ built: 'false', 'ami-ids': ran.outputs['ami-ids'] });
  });
});

describe('a template that names its image itself', () => {
  test('is reported with that name, and "name" is refused', async () => {
    const ran = await run('names-itself', bare());
    const id = ran.outputs['ami-id'] ?? '';
    const name = madeImages(lab).find(image => image.id === id)?.name;
    expect(ran.summary).toContain(`| \`${name}\` |`);
    expect(ran.outputs['image-name']).toBe(name);
    const refused = await run('names-itself', bare(), { name: 'mine-{timestamp}' });
    expect(refused.errors.join()).toContain(
      '"name" is set, but the template does not declare the variable "ami_name" that it needs\nNo changes were made.',
    );
    const plan = await run('names-itself', bare(), { 'dry-run': 'true' });
    expect(plan.summary).toContain('Would build an image of names-itself, named by the template');
    expect(plan.outputs['image-name']).toBeUndefined();
    const regions = await run('names-itself', bare(), { regions: 'eu-west-1' });
    expect(regions.errors).toEqual([
      '"regions" is set, but the template does not declare the variable "ami_regions" that it needs\nNo changes were made.\nNext: Declare it: variable "ami_regions" { type = list(string) }, and set ami_regions = var.ami_regions in the source. Or remove "regions" from the build: mode "share" copies too.',
    ]);
  });

  test('must not give one name to two sources of a region: refused before the build, not after it', async () => {
    const files = own('variable "ami_name" { type = string }', '');
    const twice = files['image.pkr.hcl'].replace(/ami_name = "[^\n]*/, 'ami_name = var.ami_name');
    const second = /source "amazon-ebs"[\s\S]*?\n {4}\}/.exec(twice)?.[0].replace('"own"', '"second"') ?? '';
    const both = twice.replace('sources = ["source.amazon-ebs.own"]', 'sources = ["source.amazon-ebs.own", "source.amazon-ebs.second"]');
    const before = launched(lab);
    const ran = await run('same-name', { 'image.pkr.hcl': `${both}\n${second}` });
    expect(ran.errors.join()).toContain('The sources amazon-ebs.own, amazon-ebs.second give their images the same name');
    expect(launched(lab)).toBe(before);
  });

  test('keeps its own tag Name, on the image and its snapshots', async () => {
    const tags = 'tags = { Name = "own" }\n  snapshot_tags = { Name = "own snapshot" }';
    const ran = await run('own-name', bare(tags));
    const id = ran.outputs['ami-id'] ?? '';
    const snapshot = madeImages(lab).find(image => image.id === id)?.devices[0]?.snapshotId ?? '';
    expect(tagsIn(lab, id)).toMatchObject({ Name: 'own', 'ami-action:family': 'own-name' });
    expect(tagsIn(lab, snapshot)).toMatchObject({ Name: 'own snapshot', 'ami-action:family': 'own-name' });
    expect(tagsIn(lab, (await run('own-name', bare(tags), { tags: 'Name: set' })).outputs['ami-id'] ?? '')['Name']).toBe('set');
  });
});

describe('a template with credentials of its own', () => {
  const ROLE = 'arn:aws:iam::444455556666:role/builder';
  test.each<[string, string, string, string]>([
    [
      'a role',
      `assume_role { role_arn = "${ROLE}" }`,
      `assumes a role of its own in amazon-ebs.own (${ROLE}): Packer builds in account 444455556666, and ami-action works in 111122223333`,
      'Remove assume_role',
    ],
    [
      'a profile',
      'profile = "prod"',
      'uses a profile of its own in amazon-ebs.own (prod): Packer builds possibly in another account',
      'Remove profile',
    ],
  ])('%s is refused before anything is built', async (_, source, says, next) => {
    const before = launched(lab);
    const ran = await run('foreign', bare(source));
    expect(ran.outputs['outcome']).toBe('usage');
    expect(ran.errors.join()).toContain(says);
    expect(ran.errors.join()).toContain(`No changes were made.\nNext: ${next}`);
    expect(launched(lab)).toBe(before);
  });

  test('is not allowed in an account that "allowed-account-ids" does not contain, with "template-role" neither', async () => {
    const more = { 'template-role': ROLE, 'allowed-account-ids': '111122223333' };
    const ran = await run('foreign', bare(`assume_role { role_arn = "${ROLE}" }`), more);
    expect(ran.outputs['outcome']).toBe('access');
    expect(ran.errors.join()).toContain('"template-role" is of account 444455556666, which "allowed-account-ids" does not contain.');
  });

  const foreign = bare(`assume_role { role_arn = "${ROLE}" }`);
  const OTHER = '444455556666';
  const there = { 'template-role': ROLE, 'allowed-account-ids': `111122223333,${OTHER}`, rebuild: 'max-age:7d' };

  test('is followed with "template-role": the image is found, tagged, and found again in that account', async () => {
    const before = madeImages(lab).length;
    const ran = await run('followed', foreign, there);
    expect(ran.errors).toEqual([]);
    expect(tagsIn(lab, ran.outputs['ami-id'] ?? '', undefined, OTHER)).toMatchObject({ 'ami-action:family': 'followed' });
    expect(madeImages(lab)).toHaveLength(before);
    expect(leftovers(lab, undefined, OTHER)).toEqual([]);
    expect((await run('followed', foreign, there)).outputs).toMatchObject({ built: 'false', 'ami-id': ran.outputs['ami-id'] });
    expect((await run('followed', foreign, { ...there, rebuild: 'always', 'dry-run': 'true' })).summary).toContain(
      '| Account | `444455556666` |',
    );
  });

  test('and killed, post removes what it left in that account', async () => {
    let child: ChildProcess | undefined;
    const ran = await build(lab, {
      files: foreign,
      with: { family: 'followed', template: 'image.pkr.hcl', ...there, rebuild: 'always' },
      onStart: started => {
        child = started;
      },
      onLine: line => {
        if (child !== undefined && /Waiting for AMI to become ready/.test(line)) killRunner(child);
      },
    });
    expect(ran.signal).toBe('SIGKILL');
    expect(leftovers(lab, undefined, OTHER)).not.toEqual([]);
    const ended = await postOf(lab, ran);
    expect(ended.errors).toEqual([]);
    expect(leftovers(lab, undefined, OTHER)).toEqual([]);
    expect(madeImages(lab, undefined, OTHER).filter(({ id }) => !('ami-action:family' in tagsIn(lab, id, undefined, OTHER)))).toEqual([]);
  });

  test('with "template-role" of another account is refused, or ends within "timeout" where only Packer knows the role', async () => {
    const wrong = { 'template-role': 'arn:aws:iam::555566667777:role/other', rebuild: 'always', timeout: '30m' };
    const refused = await run('lost', foreign, wrong);
    expect(refused.errors.join()).toContain(
      `The template assumes ${ROLE} in amazon-ebs.own, and "template-role" is of another account\nNo changes were made.`,
    );
    expect((await run('lost', bare(), wrong)).errors.join()).toContain(
      '"template-role" is set, but the template uses no credentials of its own: remove the setting',
    );
    const ran = await build(lab, {
      files: bare(`assume_role { role_arn = format("%s", "${ROLE}") }`),
      with: { family: 'lost', template: 'image.pkr.hcl', ...wrong },
      env: { AMI_ACTION_CLOCK_SPEED: '60' },
    });
    expect(ran.outputs['outcome']).toBe('timeout');
    expect(ran.errors.join()).toContain('Does the template build in another account (assume_role, profile, keys)? Set "template-role".');
  });

  test('of the same account is like others', async () => {
    const ran = await run('same', bare('assume_role { role_arn = "arn:aws:iam::111122223333:role/x" }'), { 'dry-run': 'true' });
    expect(ran.errors.join()).not.toContain('of its own');
  });
});

describe('a template that Packer checks', () => {
  const sources =
    'build {\n  sources = ["source.amazon-ebs.own"]\n  source "amazon-ebs.own" {\n    name = "second"\n  }\n  provisioner "shell" {\n    environment_vars = [data.amazon-ami.base.id == "" ? "" : "X=${data.amazon-ami.base.id}"]\n    inline = ["true"]\n  }\n}';
  const data =
    'data "amazon-ami" "base" {\n  owners = ["136693071363"]\n  most_recent = true\n  filters = { name = "debian-12-amd64-*" }\n  region = "eu-central-1"\n}';

  test('may use the values of data sources, in a dry run too, which checks them as a build does', async () => {
    const planned = await run('data', own(data, '', sources), { 'dry-run': 'true' });
    expect([planned.errors, planned.outputs['outcome']]).toEqual([[], 'planned']);
    const ran = await run('data', own(data, '', sources));
    expect(ran.errors).toEqual([]);
    expect(JSON.parse(ran.outputs['images'] ?? '[]')).toHaveLength(2);
  });

  const halfValid = {
    'image.json': JSON.stringify({
      builders: [
        {
          ...{ type: 'amazon-ebs', name: 'good', region: 'eu-central-1', instance_type: 't3.micro', ssh_username: 'admin' },
          ...{
            ami_name: 'good-{{timestamp}}',
            source_ami_filter: { filters: { name: 'debian-12-amd64-*' }, owners: ['136693071363'] },
          },
        },
        { type: 'amazon-ebs', name: 'broken' },
      ],
    }),
  };

  test.each<[string, Record<string, string>, string, string]>([
    [
      'HCL',
      own('', '', 'build {\n  sources = ["source.amazon-ebs.own", "source.amazon-ebs.broken"]\n}\nsource "amazon-ebs" "broken" {}'),
      'image.pkr.hcl',
      'packer build failed: Error: 6 error(s) occurred:',
    ],
    ['JSON', halfValid, 'image.json', 'packer build failed: Error: Failed to prepare build: "broken"'],
  ])('is not built at all where one of its sources is invalid: %s', async (form, files, template, says) => {
    const before = launched(lab);
    const ran = await build(lab, { files, with: { family: `broken-${form}`, template, ...(form === 'JSON' ? { var: '' } : {}) } });
    expect(ran.outputs['outcome']).toBe('usage');
    expect(ran.errors.join()).toContain(says);
    expect(ran.log).not.toContain('packer validate');
    expect(launched(lab)).toBe(before);
    expect(leftovers(lab)).toEqual([]);
  });

  test('leaves nothing where a valid source is faster than the stop: Packer gives up a request that EC2 then carries out', async () => {
    const [path = ''] = packerHere()['PATH']?.split(':') ?? [];
    const slow = mkdtempSync(join(tmpdir(), 'ami-action-slow-'));
    // The action sleeps from the start of Packer until the valid source creates its key pair.
    writeFileSync(join(slow, 'packer'), `#!/bin/sh\n[ "$1" = build ] && kill -STOP $PPID\nexec ${path}/packer "$@"\n`, { mode: 0o755 });
    let action: ChildProcess | undefined;
    const looked = deferred();
    const created = deferred();
    const ofPacker = { operation: 'CreateKeyPair', when: (call: CallRecord) => !isOurs(call), nth: 1 };
    lab.faults.add({
      ...ofPacker,
      action: {
        at: 'before',
        run: () => {
          const look = () => {
            looked.resolve();
            return created.promise;
          };
          lab.faults.add({ operation: 'DescribeTags', when: isOurs, nth: 1, action: { at: 'after', run: look } });
          action?.kill('SIGCONT');
          return looked.promise;
        },
      },
    });
    lab.faults.add({ ...ofPacker, action: { at: 'after', run: created.resolve } });
    const ran = await build(lab, {
      files: halfValid,
      with: { family: 'faster', template: 'image.json', var: '' },
      env: { PATH: `${slow}:${packerHere()['PATH']}` },
      onStart: child => {
        action = child;
      },
    });
    lab.faults.clear();
    rmSync(slow, { recursive: true });
    expect(ran.log).toMatch(/Removed key-pair key-\w+ in eu-central-1, a leftover of a build/);
    expect([ran.outputs['outcome'], leftovers(lab)]).toEqual(['usage', []]);
    expect(ran.errors.join()).toContain('packer build failed: Error: Failed to prepare build: "broken"');
    expect(ran.errors.join()).not.toContain('Nothing was changed');
    const nothing = await postOf(lab, ran);
    expect([nothing.log, nothing.warnings, nothing.errors]).toEqual([expect.stringContaining('No leftovers of Packer.'), [], []]);
    // A launch of the last moment that EC2 shows after both looks.
    const [{ tags }] = JSON.parse(ran.state['journal'] ?? '[]');
    const [base] = madeImages(lab, undefined, '136693071363');
    const { id } = await launchInstance(lab.place(), { ImageId: base?.id, InstanceType: 't3.micro' });
    setTags(lab.place(), id, { 'ami-action:repository': 'acme/web', ...tags });
    const late = await postOf(lab, ran);
    expect([late.log, late.errors, leftovers(lab)]).toEqual([expect.stringContaining(`Removed instance ${id} in eu-central-1.`), [], []]);
  });

  test('runs in a dry run, which then refuses what cannot be built', async () => {
    const plugin = bare(
      '',
      'build {\n  sources = ["source.amazon-ebs.own"]\n  provisioner "ansible" {\n    playbook_file = "x.yml"\n  }\n}',
    );
    const missing = await run('dry', plugin, { 'dry-run': 'true' });
    expect(missing.outputs['outcome']).toBe('usage');
    expect(missing.errors.join()).toContain('Next: Add github.com/hashicorp/ansible to required_plugins.');
    const unset = await run('dry', own('variable "must" { type = string }', ''), { 'dry-run': 'true' });
    expect(unset.errors.join()).toContain('A variable of the template has no value.');
    const path = bare('', 'build {\n  sources = ["source.amazon-ebs.own"]\n  provisioner "shell" {\n    script = "nowhere.sh"\n  }\n}');
    expect((await run('dry', path, { 'dry-run': 'true' })).errors.join()).toContain('Next: Set "working-directory" to the directory');
  });
});

describe('a warning with its fix', () => {
  const warned = async (source: string, more: Record<string, string> = { 'dry-run': 'true' }) =>
    (await run('warned', bare(source), more)).warnings;

  test('for sharing before validation, and for a flag that removes the old image first', async () => {
    const found = await warned('ami_groups = ["all"]\n  force_deregister = true');
    expect(found).toContain(
      'The template shares its images before they are validated: ami_groups = all (amazon-ebs.own). Remove it, and use mode share after validate.',
    );
    expect(found.join()).toContain(
      'force_deregister or force_delete_snapshot: Packer removes the old image of that name before the new one exists. Remove the flag',
    );
  });

  test('for SSH from everywhere, and not where the template restricts it', async () => {
    const open =
      'Every address may reach the build instance by SSH (amazon-ebs.own). Set temporary_security_group_source_public_ip = true, temporary_security_group_source_cidrs, or ssh_interface = "session_manager".';
    expect(await warned('')).toContain(open);
    expect(await warned('temporary_security_group_source_cidrs = ["0.0.0.0/0"]')).toContain(open);
    expect(await warned('temporary_security_group_source_cidrs = ["10.0.0.0/8"]')).not.toContain(open);
  });

  test('for a base image without the SSM Agent, and not where a script installs it', async () => {
    const missing =
      'The base image has no SSM Agent, and nothing in the template installs it: mode validate needs it. Install amazon-ssm-agent in a provisioner.';
    expect(await warned('')).toContain(missing);
    const script = 'build {\n  sources = ["source.amazon-ebs.own"]\n  provisioner "shell" {\n    script = "agent.sh"\n  }\n}';
    const files = { ...bare('', script), 'agent.sh': 'apt-get install amazon-ssm-agent\n' };
    expect((await run('warned', files, { 'dry-run': 'true' })).warnings).not.toContain(missing);
  });

  test('for an image that is not encrypted, unless the template means it', async () => {
    const ran = await run('warned', bare());
    expect(ran.warnings).toContain(
      `${ran.outputs['ami-id']} is not encrypted, and the template does not say so. Set encrypt_boot = true, or false if it is meant.`,
    );
    expect((await warned('encrypt_boot = false', {})).join()).not.toContain('is not encrypted');
  });
});

test('a source that makes volumes alone: what it made is under "Left behind", and stays', async () => {
  const files = bare(
    'ebs_volumes {\n    device_name = "/dev/xvdf"\n    volume_size = 1\n    volume_type = "gp3"\n    delete_on_termination = false\n  }',
  );
  const text = files['image.pkr.hcl']?.replace(/ami_name.*/, '').replaceAll('amazon-ebs', 'amazon-ebsvolume') ?? '';
  // Packer tags its volumes only afterwards, which the shipped role may not.
  const wanted = { family: 'volumes', template: 'image.pkr.hcl' };
  const ran = await build(lab, { files: { 'image.pkr.hcl': text }, with: wanted, as: { role: ADMINISTRATOR } });
  expect(ran.outputs['outcome']).toBe('rejected');
  expect(ran.errors.join()).toMatch(
    /Packer succeeded, but produced no AMI\.\nLeft behind:\n- vol-[0-9a-f]+ in eu-central-1, which amazon-ebsvolume\.own makes: it is kept/,
  );
  const [id = ''] = /vol-[0-9a-f]+/.exec(ran.errors.join()) ?? [];
  expect(leftovers(lab)).toEqual([id]);
});

test('killed while a template without our variables makes its image: post finds image and instance by their IDs', async () => {
  let child: ChildProcess | undefined;
  const ran = await build(lab, {
    files: bare(),
    with: { family: 'killed', template: 'image.pkr.hcl' },
    onStart: started => {
      child = started;
    },
    onLine: line => {
      if (child !== undefined && /Waiting for AMI to become ready/.test(line)) killRunner(child);
    },
  });
  expect(ran.signal).toBe('SIGKILL');
  const ended = await postOf(lab, ran);
  expect(ended.errors).toEqual([]);
  expect(ended.log).toMatch(/Removed image ami-/);
  expect((await postOf(lab, ran)).log).toMatch(/Packer created i-[0-9a-f]+, ami-[0-9a-f]+, which no longer exist in eu-central-1\./);
  expect(ended.log).toMatch(/Removed instance i-/);
  expect(ended.log).not.toContain('No leftovers');
});

// robustness.md F4
test('an image that becomes available after Packer has given it up is found by its ID, and removed', async () => {
  const all = () => [...madeImages(lab).map(({ id }) => id), ...leftovers(lab)];
  const before = all();
  const ofImage = ({ input: { ImageIds } }: CallRecord) => Array.isArray(ImageIds) && ImageIds.length > 0;
  const asPending = (output: object) => {
    const { Images = [] } = output as { Images?: readonly object[] };
    return { ...output, Images: Images.map(image => ({ ...image, State: 'pending' })) };
  };
  const when = (call: CallRecord) => !isOurs(call) && ofImage(call);
  const heal = lab.faults.add({ operation: 'DescribeImages', when, action: { answer: asPending } });
  const ran = await build(lab, {
    files: bare(),
    with: { family: 'given-up', template: 'image.pkr.hcl' },
    env: { AWS_MAX_ATTEMPTS: '2', AWS_POLL_DELAY_SECONDS: '1' },
  });
  heal();
  expect(ran.errors.join()).toContain('Error waiting for AMI');
  expect(ran.log).toMatch(/Removed image ami-[0-9a-f]+ in eu-central-1, a leftover of a build/);
  expect([all(), ran.state['journal']]).toEqual([before, '[]']);
});
