import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { EC2Client, RegisterImageCommand, RunInstancesCommand, TerminateInstancesCommand } from '@aws-sdk/client-ec2';
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
 * One story on real machines: Debian 12 with kernel, systemd, cloud-init, sshd and metadata service under QEMU, with the shipped roles. Its
 * parts run in order and wait for states, so that at most two machines boot at a time: without KVM each takes a processor. `npm run vm` runs it.
 */

/** A test instance lives for at least 950 s. The guests' clocks are ahead, so that its end comes after 400 s. */
const AHEAD_SECONDS = 550;
const SHORT = { 'boot-timeout': '10s', 'agent-timeout': '10s', 'checks-timeout': '10s' };
/** For what has no end of its own on a machine that is slow. */
const PATIENCE_SECONDS = 1800;
const PATIENCE = PATIENCE_SECONDS * 1000;
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
/** Debian as it comes. */
let plain: string;
/** What Packer made, by the name of the source. */
let made: Readonly<Record<string, string>> = {};
/** Runs next to the validation of the good image. */
let broken: Promise<Ran>;

const ROLE = { as: { role: 'ami-web-images' } };
const all = () => [...instances(lab.place()).values()];
const ofRun = (run: string) => all().find(({ id }) => tagsOf(lab.place(), id)['ami-action:run'] === `${run}/1`) as LabInstance;
const endOf = ({ id }: LabInstance) => Date.parse(tagsOf(lab.place(), id)['ami-action:expires-at'] ?? '') - AHEAD_SECONDS * 1000;
const hasLogin = (instance: LabInstance) => LOGIN.test(consoleOf(instance));
/** With it, a run of the story tells how long its parts take. */
const began = Date.now();
const note = (what: string) => void process.stderr.write(`vm: ${what} after ${Math.round((Date.now() - began) / 1000)} s\n`);

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

/** An instance of Debian whose runner dies as soon as it is launched; returns when it has booted. */
async function orphan(run: string, own: Readonly<Record<string, string>> = {}): Promise<LabInstance> {
  let kill = () => {};
  const files = { 'user-data.sh': '#!/bin/sh\necho "own user data ran" > /dev/ttyS0\n' };
  const { signal } = await runAction({
    ...{ mode: 'validate', lab, files, env: { GITHUB_RUN_ID: run }, ...ROLE },
    with: { family: 'web', image: plain, checks: '- command: "true"', 'instance-profile': 'ami-web-test', ...SHORT, ...own },
    onStart: child => {
      kill = () => void child.kill('SIGKILL');
    },
    onLine: line => {
      if (line.includes('Launched test instance')) kill();
    },
  });
  expect(signal).toBe('SIGKILL');
  await until(() => hasLogin(ofRun(run)) || ofRun(run).state === 'terminated', PATIENCE_SECONDS);
  note(`login of ${run}`);
  return ofRun(run);
}

/** The shipped template, twice: as it is, and with a service that ends at once. Packer waits for SSH for five minutes; a slow machine takes longer. */
function buildBoth(): Promise<Ran> {
  const both = ['good', 'broken'].map(
    name => `source "source.amazon-ebs.web" {\n    name = "${name}"\n    ami_name = "\${local.name}-${name}"\n  }`,
  );
  const files = changed(
    ['  ami_name        = local.name\n', ''],
    ['  ssh_username            =', '  ssh_timeout             = "30m"\n  ssh_username            ='],
    ['sources = ["source.amazon-ebs.web"]', both.join('\n  ')],
  );
  files['packer/image.pkr.hcl'] = (files['packer/image.pkr.hcl'] ?? '').replace(
    /\}\s*$/,
    `  provisioner "shell" {\n    only = ["amazon-ebs.broken"]\n    inline = ["echo 'raise SystemExit(\\"cannot read /etc/web.conf\\")' | sudo tee /opt/web/server.py"]\n  }\n}\n`,
  );
  return build(lab, { files, with: { family: 'web' }, ...ROLE });
}

function validate(name: 'good' | 'broken', wanted: Readonly<Record<string, string>> = {}): Promise<Ran> {
  const patient = { 'boot-timeout': '30m', 'agent-timeout': '30m', 'checks-timeout': '30m' };
  const settings = { family: 'web', image: made[name] ?? '', checks: CHECKS, 'instance-profile': 'ami-web-test', ...patient, ...wanted };
  return runAction({ mode: 'validate', lab, with: settings, env: { GITHUB_JOB: name }, ...ROLE });
}

beforeAll(async () => {
  const timings = { boot: 1, statusChecks: 1, agent: 0, shutdown: 1, image: 2, forget: 36_000 };
  lab = await startLab({ speed: 1, machines: await vmHypervisor({ aheadSeconds: AHEAD_SECONDS }), timings });
  const template = readFileSync(join(import.meta.dirname, '..', '..', 'examples', 'delivery-role.yml'), 'utf8');
  const parameters = { Subject: 'repo:acme/web', Repository: 'acme/web', RepositoryId: '456789', Families: 'web' };
  lab.deploy(template, { stack: 'ami-web', parameters });
  const { AWS_ACCESS_KEY_ID: accessKeyId = '' } = lab.environment();
  ec2 = new EC2Client({ endpoint: lab.url, region: lab.place().region, credentials: { accessKeyId, secretAccessKey: 'x' } });
  plain = await plainImage();
  note('the lab is ready');
}, PATIENCE);
afterAll(async () => {
  await lab.close();
  removeWorkspaces();
});

describe('on real machines', () => {
  test(
    'the boothook of version 0.1.0 blocks the boot; with that of today, two instances boot, one next to it and one after it',
    async () => {
      const UserData = Buffer.from(DEADLOCK).toString('base64');
      const asked = { ImageId: plain, InstanceType: 't3.micro', MinCount: 1, MaxCount: 1, UserData } as const;
      const { Instances: [launched] = [] } = await ec2.send(new RunInstancesCommand(asked));
      const old = instances(lab.place()).get(launched?.InstanceId ?? '') as LabInstance;
      const orphans = [await orphan('2001'), await orphan('2002', { 'user-data': 'user-data.sh' })];
      expect(orphans.map(hasLogin)).toEqual([true, true]);
      expect([old.state, hasLogin(old)]).toEqual(['running', false]);
      // It got as far as the boothook.
      expect(consoleOf(old)).toMatch(/cloud-init|Cloud-init/);
      await ec2.send(new TerminateInstancesCommand({ InstanceIds: [old.id] }));
    },
    PATIENCE,
  );

  test(
    'real Packer builds the shipped template',
    async () => {
      const ran = await buildBoth();
      note('images');
      expect([ran.errors, ran.outputs['outcome']]).toEqual([[], 'done']);
      const images = JSON.parse(ran.outputs['images'] ?? '[]') as { source: string; id: string }[];
      made = Object.fromEntries(images.map(({ source, id }) => [source.replace('amazon-ebs.', ''), id]));
      expect(Object.keys(made).sort()).toEqual(['broken', 'good']);
    },
    PATIENCE,
  );

  test(
    'validate passes a good image, before and after a reboot',
    async () => {
      broken = validate('broken');
      broken.catch(() => undefined);
      const ran = await validate('good', { reboot: 'true' });
      note('verdict of the good image');
      expect(ran.errors).toEqual([]);
      expect(ran.outputs).toMatchObject({ verdict: 'passed', outcome: 'done' });
      expect(lab.calls.count('RebootInstances')).toBe(1);
    },
    PATIENCE,
  );

  test(
    'a broken image fails, and the message names the cause',
    async () => {
      const ran = await broken;
      note('verdict of the broken image');
      expect([ran.exitCode, ran.outputs['verdict'], ran.outputs['outcome']]).toEqual([1, 'failed', 'rejected']);
      expect(ran.errors.join()).toMatch(/- service web is active and enabled: .*web is (failed|activating)/);
    },
    PATIENCE,
  );

  test.each([
    ['without user data', '2001'],
    ['with user data of its own', '2002'],
  ] as const)(
    'an instance %s whose runner was killed terminates itself at its deadline',
    async (_, run) => {
      const instance = ofRun(run);
      await until(() => instance.state === 'terminated', PATIENCE_SECONDS);
      note(`the end of ${run}, ${Math.round((instance.changedAt.getTime() - endOf(instance)) / 1000)} s after its deadline,`);
      expect(instance.stateReason?.code).toBe('Client.InstanceInitiatedShutdown');
      expect(instance.changedAt.getTime()).toBeGreaterThanOrEqual(endOf(instance));
      if (run === '2002') expect(consoleOf(instance)).toContain('own user data ran');
    },
    PATIENCE,
  );
});
