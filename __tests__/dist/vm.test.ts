import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { EC2Client, RegisterImageCommand, RunInstancesCommand } from '@aws-sdk/client-ec2';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { images, neighbours } from '../../lab/ec2/images.ts';
import { consoleOf } from '../../lab/ec2/lifecycle.ts';
import { instances, type LabInstance, setTags, tagsOf } from '../../lab/ec2/state.ts';
import { type Lab, startLab } from '../../lab/lab.ts';
import { vmHypervisor } from '../../lab/machines/vm.ts';
import { type Ran, removeWorkspaces, runAction } from '../harness.ts';
import { build, changed } from './build-lab.ts';
import { until } from './validate-lab.ts';

/**
 * One story on real machines: Debian 12 with kernel, systemd, cloud-init, sshd and metadata service under QEMU, with the shipped roles. All
 * machines boot side by side. `npm run vm` runs it.
 */

/** A test instance lives for at least 950 s. The guests' clocks are ahead, so that its end comes after 400 s. */
const AHEAD_SECONDS = 550;
const SHORT = { 'boot-timeout': '10s', 'agent-timeout': '10s', 'checks-timeout': '10s' };
const LATE_SECONDS = 90;
const PATIENCE = 900_000;
const LOGIN = /^\S+ login:/m;

/** The boothook of version 0.1.0. The timer waits for sysinit.target, which waits for cloud-init, which waits for the boothook, which waits for the timer. */
const DEADLOCK = `#cloud-boothook
#!/bin/sh
systemd-run --quiet --on-active=600 --timer-property=AccuracySec=1s shutdown -h now 2>/dev/null && exit 0
`;

const CHECKS = `
- service: web
- http: { port: 8080, path: /health }
  retry-for: 60s
- path: /opt/web/server.py
- disk: { free: 10% }
- cloud-init
- no-failed-units
- no-leftovers
- ssm-agent
`;

let lab: Lab;
let ec2: EC2Client;
/** The running parts of the story. */
let baked: Promise<Ran>;
let killed: Readonly<Record<'plain' | 'own', Promise<Ran>>>;
let validated: Readonly<Record<'good' | 'broken', Promise<Ran>>>;
let old: string;

const ROLE = { as: { role: 'ami-web-images' } };
const all = () => [...instances(lab.place()).values()];
const tagsOfInstance = ({ id }: LabInstance) => tagsOf(lab.place(), id);

/** An image of the family that is Debian as it comes. */
async function plainImage(): Promise<string> {
  const debian = neighbours(lab.place())
    .flatMap(owner => [...images(owner).values()])
    .find(({ name }) => name.startsWith('debian-12-amd64'));
  const Ebs = { SnapshotId: debian?.devices[0]?.snapshotId };
  const asked = { Name: 'plain', RootDeviceName: '/dev/xvda', Architecture: 'x86_64' as const, ImdsSupport: 'v2.0' as const };
  const { ImageId = '' } = await ec2.send(new RegisterImageCommand({ ...asked, BlockDeviceMappings: [{ DeviceName: '/dev/xvda', Ebs }] }));
  setTags(lab.place(), ImageId, { 'ami-action:family': 'web', 'ami-action:repository': 'acme/web' });
  return ImageId;
}

/** A run of validate whose runner dies as soon as it has launched its instance. */
function killedRun(image: string, run: string, own: Readonly<Record<string, string>> = {}): Promise<Ran> {
  let kill = () => {};
  const files = { 'user-data.sh': '#!/bin/sh\necho "own user data ran" > /dev/ttyS0\n' };
  return runAction({
    ...{ mode: 'validate', lab, files, env: { GITHUB_RUN_ID: run }, ...ROLE },
    with: { family: 'web', image, checks: '- command: "true"', 'instance-profile': 'ami-web-test', ...SHORT, ...own },
    onStart: child => {
      kill = () => void child.kill('SIGKILL');
    },
    onLine: line => {
      if (line.includes('Launched test instance')) kill();
    },
  });
}

/** The shipped template, twice: as it is, and with a service that ends at once. */
function buildBoth(): Promise<Ran> {
  const both = ['good', 'broken'].map(
    name => `source "source.amazon-ebs.web" {\n    name = "${name}"\n    ami_name = "\${local.name}-${name}"\n  }`,
  );
  const files = changed(['  ami_name        = local.name\n', ''], ['sources = ["source.amazon-ebs.web"]', both.join('\n  ')]);
  files['packer/image.pkr.hcl'] = (files['packer/image.pkr.hcl'] ?? '').replace(
    /\}\s*$/,
    `  provisioner "shell" {\n    only = ["amazon-ebs.broken"]\n    inline = ["echo 'raise SystemExit(\\"cannot read /etc/web.conf\\")' | sudo tee /opt/web/server.py"]\n  }\n}\n`,
  );
  return build(lab, { files, with: { family: 'web' }, ...ROLE });
}

async function validate(name: 'good' | 'broken', wanted: Readonly<Record<string, string>>): Promise<Ran> {
  const made = JSON.parse((await baked).outputs['images'] ?? '[]') as { source: string; id: string }[];
  const image = made.find(({ source }) => source === `amazon-ebs.${name}`)?.id ?? '';
  const settings = { family: 'web', image, checks: CHECKS, 'instance-profile': 'ami-web-test', ...wanted };
  return runAction({ mode: 'validate', lab, with: settings, env: { GITHUB_JOB: name }, ...ROLE });
}

beforeAll(async () => {
  const timings = { boot: 1, statusChecks: 1, agent: 0, shutdown: 1, image: 2 };
  lab = await startLab({ speed: 1, machines: await vmHypervisor({ aheadSeconds: AHEAD_SECONDS }), timings });
  const template = readFileSync(join(import.meta.dirname, '..', '..', 'examples', 'delivery-role.yml'), 'utf8');
  const parameters = { Subject: 'repo:acme/web', Repository: 'acme/web', RepositoryId: '456789', Families: 'web' };
  lab.deploy(template, { stack: 'ami-web', parameters });
  const { AWS_ACCESS_KEY_ID: accessKeyId = '' } = lab.environment();
  ec2 = new EC2Client({ endpoint: lab.url, region: lab.place().region, credentials: { accessKeyId, secretAccessKey: 'x' } });
  const image = await plainImage();
  const UserData = Buffer.from(DEADLOCK).toString('base64');
  const { Instances: [launched] = [] } = await ec2.send(
    new RunInstancesCommand({ ImageId: image, InstanceType: 't3.micro', MinCount: 1, MaxCount: 1, UserData }),
  );
  old = launched?.InstanceId ?? '';
  killed = { plain: killedRun(image, '2001'), own: killedRun(image, '2002', { 'user-data': 'user-data.sh' }) };
  baked = buildBoth();
  validated = { good: validate('good', { reboot: 'true' }), broken: validate('broken', {}) };
  for (const part of [baked, ...Object.values(killed), ...Object.values(validated)]) part.catch(() => undefined);
}, PATIENCE);
afterAll(async () => {
  await lab.close();
  removeWorkspaces();
});

describe('on real machines', () => {
  test(
    'real Packer builds the shipped template',
    async () => {
      const ran = await baked;
      expect([ran.errors, ran.outputs['outcome']]).toEqual([[], 'done']);
      expect(JSON.parse(ran.outputs['images'] ?? '[]')).toHaveLength(2);
    },
    PATIENCE,
  );

  test(
    'validate passes a good image, before and after a reboot',
    async () => {
      const ran = await validated.good;
      expect(ran.errors).toEqual([]);
      expect(ran.outputs).toMatchObject({ verdict: 'passed', outcome: 'done' });
      expect(lab.calls.count('RebootInstances')).toBe(1);
    },
    PATIENCE,
  );

  test(
    'a broken image fails, and the message names the cause',
    async () => {
      const ran = await validated.broken;
      expect([ran.exitCode, ran.outputs['verdict'], ran.outputs['outcome']]).toEqual([1, 'failed', 'rejected']);
      expect(ran.errors.join()).toMatch(/- service web is active and enabled: .*web is (failed|activating)/);
    },
    PATIENCE,
  );

  test.each([
    ['without user data', 'plain', '2001'],
    ['with user data of its own', 'own', '2002'],
  ] as const)(
    'an instance %s whose runner was killed boots and terminates itself at its deadline',
    async (_, name, run) => {
      expect((await killed[name]).signal).toBe('SIGKILL');
      const instance = all().find(one => tagsOfInstance(one)['ami-action:run'] === `${run}/1`) as LabInstance;
      const endsAt = Date.parse(tagsOfInstance(instance)['ami-action:expires-at'] ?? '') - AHEAD_SECONDS * 1000;
      await until(() => instance.state === 'terminated', (endsAt - Date.now()) / 1000 + LATE_SECONDS);
      expect(instance.stateReason?.code).toBe('Client.InstanceInitiatedShutdown');
      expect(consoleOf(instance)).toMatch(LOGIN);
      if (name === 'own') expect(consoleOf(instance)).toContain('own user data ran');
      expect(instance.changedAt.getTime()).toBeGreaterThanOrEqual(endsAt);
    },
    PATIENCE,
  );

  test('the boothook of version 0.1.0 blocks the boot: no login, while all that were launched with it have ended', async () => {
    const instance = instances(lab.place()).get(old) as LabInstance;
    expect([instance.state, LOGIN.test(consoleOf(instance))]).toEqual(['running', false]);
    // It got as far as the boothook.
    expect(consoleOf(instance)).toMatch(/cloud-init|Cloud-init/);
  });
});
