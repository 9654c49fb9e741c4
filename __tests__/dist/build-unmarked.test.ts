import type { ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { launchInstance } from '../../lab/ec2/launch.ts';
import { network } from '../../lab/ec2/network.ts';
import { setTags } from '../../lab/ec2/state.ts';
import { concurrently } from '../../src/kit/concurrently.ts';
import {
  bare,
  build,
  describeWithPacker as describe,
  forOtherTemplates,
  killRunner,
  labOfTests,
  leftovers,
  madeImages,
  postOf,
  tagsIn,
  temporaryTags,
} from './build-lab.ts';

/** Templates that declare none of our variables: their tags are added in a copy, and the repository stays as it is. */

const lab = await labOfTests({ timings: { boot: 1, statusChecks: 1, shutdown: 1, image: 1 } });

let accounts = 300000000000;
const newAccount = () => {
  accounts += 1;
  return String(accounts);
};

const json = (): Record<string, string> => ({
  'image.json': JSON.stringify({
    variables: { ssh_port: '22' },
    builders: [
      {
        ...{ type: 'amazon-ebs', ami_name: 'by-hand-{{timestamp}}', instance_type: 't3.micro', ssh_username: 'admin' },
        ssh_port: '{{user `ssh_port`}}',
        source_ami_filter: { owners: ['136693071363'], most_recent: true, filters: { name: 'debian-12-amd64-*' } },
      },
    ],
  }),
});

const run = (
  account: string,
  files: Record<string, string>,
  more: Parameters<typeof build>[1] = {},
  on: Parameters<typeof build>[0] = lab,
) =>
  build(on, {
    ...{ files, as: { account } },
    with: { family: 'web', template: Object.keys(files)[0] ?? '', rebuild: 'max-age:7d' },
    ...more,
  });

/** One image of the family without anything temporary, and nothing else. */
function isWhole(account: string, id: string | undefined): void {
  const images = madeImages(lab, undefined, account);
  expect(images.map(image => image.id)).toEqual([id]);
  expect(tagsIn(lab, id ?? '', undefined, account)).toMatchObject({ Name: images[0]?.name, 'ami-action:family': 'web' });
  expect(temporaryTags(lab, id ?? '', undefined, account)).toEqual([]);
  expect(leftovers(lab, undefined, account)).toEqual([]);
}

describe('a template without our variables', () => {
  const folder = {
    'images/web/image.pkr.hcl': (bare()['image.pkr.hcl'] ?? '').replace(
      /build \{.*\}/,
      `locals {
        root = "\${path.root}"
      }
      build {
        sources = ["source.amazon-ebs.own"]
        provisioner "file" {
          source = "\${path.root}/app.txt"
          destination = "/tmp/app.txt"
        }
        provisioner "shell" {
          inline = [<<-EOT
            grep -qx app /tmp/app.txt
            echo "root=\${local.root} one=\${trimspace(file("one.txt"))} above=\${trimspace(templatefile("../shared/two.tpl", { x = "2" }))}"
          EOT
          ]
        }
        post-processor "manifest" {
          output = "\${path.root}/manifest.json"
        }
      }`,
    ),
    'images/web/app.txt': 'app\n',
    'images/web/one.txt': 'one\n',
    'images/shared/two.tpl': 'two-${x}\n',
  };

  test('builds with the tags of the run, from a copy whose paths lead to the same files', async () => {
    const account = newAccount();
    const ran = await run(account, folder, { with: { family: 'web', template: 'images/web', rebuild: 'max-age:7d' } });
    expect(ran.errors).toEqual([]);
    expect(ran.log).toContain('Added to a copy of the template, outside the repository: run_tags, run_volume_tags, tags (amazon-ebs.own).');
    expect(ran.warnings.join()).not.toContain('run_tags');
    expect(ran.log).toContain(`root=${join(ran.workspace, 'images/web')} one=one above=two-2`);
    expect(readFileSync(join(ran.workspace, 'images/web/image.pkr.hcl'), 'utf8')).toBe(folder['images/web/image.pkr.hcl']);
    expect(existsSync(join(ran.workspace, 'images/web/manifest.json'))).toBe(true);
    isWhole(account, ran.outputs['ami-id']);
    const launch = lab.calls.all().find(call => call.account === account && call.operation === 'RunInstances');
    expect(JSON.stringify(launch?.input)).toContain('ami-action:expires-at');
  });

  test('leaves no copy behind, and an unchanged push builds nothing', async () => {
    const account = newAccount();
    const ran = await run(account, bare());
    expect(readdirSync(join(ran.workspace, '..', 'temp')).filter(name => name.startsWith('ami-action-'))).toEqual([]);
    const again = await run(account, bare());
    expect(again.outputs).toMatchObject({ built: 'false', 'ami-id': ran.outputs['ami-id'], fingerprint: ran.outputs['fingerprint'] });
  });

  test('that is broken is reported with the lines of the repository', async () => {
    const files = { 'image.pkr.hcl': `${bare()['image.pkr.hcl']}\nsource "amazon-ebs" "other" {\n  nonsense = true\n}\n` };
    const text = files['image.pkr.hcl'].replace(
      'sources = ["source.amazon-ebs.own"]',
      'sources = ["source.amazon-ebs.own", "source.amazon-ebs.other"]',
    );
    const line = text.split('\n').findIndex(one => one.includes('nonsense')) + 1;
    const ran = await run(newAccount(), { 'image.pkr.hcl': text });
    expect(ran.errors.join()).toContain(`on ${join(ran.workspace, 'image.pkr.hcl')} line ${line}`);
    expect(ran.errors.join()).toContain(`Next: Fix line ${line} of`);
  });
});

test('the role that we ship is enough, which lets Packer create only what is tagged', async () => {
  const role = readFileSync(join(import.meta.dirname, '..', '..', 'examples', 'delivery-role.yml'), 'utf8');
  const parameters = {
    ...{ Subject: 'repo:acme/web', Repository: 'acme/web', RepositoryId: '456789', Families: 'web' },
    ...{ LaunchTemplates: 'lt-00000000000000000', ConsumerAccounts: '444455556666', Adopt: 'allow' },
    VerdictKey: 'arn:aws:kms:eu-central-1:111122223333:key/verdicts',
  };
  lab.deploy(role, { stack: 'ami-web', parameters });
  const ran = await build(lab, { files: bare(), with: { family: 'web', template: 'image.pkr.hcl' }, as: { role: 'ami-web-images' } });
  expect(ran.errors).toEqual([]);
  expect(tagsIn(lab, ran.outputs['ami-id'] ?? '')).toMatchObject({ 'ami-action:family': 'web' });
});

test('killed in a region that only Packer knows: post and the next run look in every region', async () => {
  const account = newAccount();
  const files = {
    'image.pkr.hcl': `variable "where" { default = "eu-west-1,x" }\n${bare('region = split(",", var.where)[0]')['image.pkr.hcl']}`,
  };
  let child: ChildProcess | undefined;
  const ran = await run(account, files, {
    onStart: started => {
      child = started;
    },
    onLine: line => {
      if (child !== undefined && /Waiting for AMI to become ready/.test(line)) killRunner(child);
    },
  });
  expect(ran.signal).toBe('SIGKILL');
  expect(leftovers(lab, 'eu-west-1', account)).not.toEqual([]);
  const post = await postOf(lab, ran, { ...lab.environment({ account }), AMI_ACTION_CLOCK_SPEED: '10' });
  expect(post.errors).toEqual([]);
  expect(leftovers(lab, 'eu-west-1', account)).toEqual([]);
  expect(madeImages(lab, 'eu-west-1', account)).toEqual([]);
});

describe('killed with its runner, at every call that creates something', () => {
  const changes = ['CreateKeyPair', 'CreateSecurityGroup', 'RunInstances', 'CreateImage', 'CreateTags'];
  // A fleet launches from a template that Packer creates for it.
  const fleet = ['CreateLaunchTemplate', 'CreateFleet'];

  const skipping = bare('skip_ami_run_tags = true');

  test.each<[string, Record<string, string>, readonly string[]]>([
    ['HCL', bare(), changes],
    ['HCL without run tags on its image', skipping, changes],
    ['JSON', json(), changes],
    ['a Spot Instance', bare('spot_price = "auto"'), fleet],
  ])(
    '%s: the next run removes everything and builds, or adopts what is complete',
    async (name, files, operations) => {
      // The shipped role launches no fleet, and an image without run tags is not its to deregister.
      const on = operations === fleet || files === skipping ? forOtherTemplates(lab) : lab;
      await concurrently(operations, 3, async operation => {
        const account = newAccount();
        let child: ChildProcess | undefined;
        const action = { kill: () => child && killRunner(child), at: 'after' } as const;
        const lift = lab.faults.add({ account, nth: 1, operation, when: ({ client }) => !client.includes('ami-action'), action });
        const onStart = (started: ChildProcess) => {
          child = started;
        };
        const ran = await run(account, files, { onStart }, on);
        lift();
        expect([name, operation, ran.signal]).toEqual([name, operation, 'SIGKILL']);
        const next = await run(account, files, { env: { AMI_ACTION_CLOCK_SINCE: String(lab.clock.since - 180_000) } }, on);
        expect([name, operation, next.errors]).toEqual([name, operation, []]);
        isWhole(account, next.outputs['ami-id']);
      });
    },
    300_000,
  );
});

// Nothing that Packer names is on its instance, and tags prove nothing: the event history does.
test('killed, without a key pair or security group of Packer: removed once the event history shows its launch; a tag alone ends nothing', async () => {
  const account = newAccount();
  const place = lab.place(account);
  const group = [...network(place).groups.values()].find(({ name }) => name === 'default')?.id ?? '';
  const files = bare(`communicator = "none"\nssh_agent_auth = true\nsecurity_group_ids = ["${group}"]`);
  let child: ChildProcess | undefined;
  const lift = lab.faults.add({
    ...{ account, nth: 1, operation: 'RunInstances' },
    action: { kill: () => child && killRunner(child), at: 'after' },
  });
  const onStart = (started: ChildProcess) => {
    child = started;
  };
  expect((await run(account, files, { onStart })).signal).toBe('SIGKILL');
  lift();
  const [killed = ''] = leftovers(lab, undefined, account);
  const later = () => run(account, files, { env: { AMI_ACTION_CLOCK_SINCE: String(lab.clock.since - 180_000) } });
  const named = (id: string) => expect.stringContaining(`Instance ${id} has the tags of a leftover, but neither`);
  const deny = lab.faults.add({ account, operation: 'LookupEvents', action: { error: 'AccessDeniedException', message: 'no' } });
  const denied = await later();
  deny();
  expect([denied.errors, denied.warnings, leftovers(lab, undefined, account)]).toEqual([
    [],
    expect.arrayContaining([named(killed)]),
    [killed],
  ]);
  expect(denied.warnings.join()).toMatch(
    /its launch cannot be looked up \(Not allowed to read the event history \(cloudtrail:LookupEvents\)/,
  );
  const { id: production } = await launchInstance(place, { ImageId: denied.outputs['ami-id'], InstanceType: 't3.micro' });
  setTags(place, production, tagsIn(lab, killed, undefined, account));
  const seen = await later();
  expect([seen.errors, seen.warnings, leftovers(lab, undefined, account)]).toEqual([
    [],
    expect.arrayContaining([named(production)]),
    [production],
  ]);
});
