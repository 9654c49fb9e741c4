import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CreateLaunchConfigurationCommand, PutLifecycleHookCommand, PutWarmPoolCommand } from '@aws-sdk/client-auto-scaling';
import {
  CreateLaunchTemplateCommand,
  DescribeSubnetsCommand,
  EC2Client,
  ModifySnapshotAttributeCommand,
  RunInstancesCommand,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2';
import { CreateNodegroupCommand, EKSClient } from '@aws-sdk/client-eks';
import { GetParameterCommand, PutParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { groups } from '../../lab/autoscaling/group.ts';
import { images, snapshots } from '../../lab/ec2/images.ts';
import { network } from '../../lab/ec2/network.ts';
import { dropTags, instances, setTags, tagsOf } from '../../lab/ec2/state.ts';
import { contextOf } from '../../lab/iam/context.ts';
import { AWS_MANAGED } from '../../lab/iam/managed-policies.ts';
import { evaluate, readPolicy, type Statement } from '../../lab/iam/policy.ts';
import { type Asked, askedPermissions, type LabRole, roles } from '../../lab/iam/roles.ts';
import { keys } from '../../lab/kms/keys.ts';
import { type Lab, startLab } from '../../lab/lab.ts';
import { actionsOf, BLOCKS } from '../../scripts/contract-parts.ts';
import { modes } from '../../src/modes.ts';
import { type Ran, removeWorkspaces, runAction } from '../harness.ts';
import { build, DEBIAN, describeWithPacker, forOtherTemplates, idle } from './build-lab.ts';
import { tokens } from './github.ts';
import { changed, lesser } from './lesser-policies.ts';
import { familyOfFive, REAL } from './prune-lab.ts';
import { POINTER, rollLab } from './roll-lab.ts';
import { BUILD, STAGE, shareLab } from './share-lab.ts';
import { type Kind, shiftLab } from './shift-lab.ts';
import { READS, stackLab } from './stack-lab.ts';
import { validateLab } from './validate-lab.ts';

/** Every mode of the bundle with the role of examples/, in labs that authorise every call. */

const read = (name: string) => readFileSync(join(import.meta.dirname, '..', '..', 'examples', name), 'utf8');
const [DELIVERY, ENVIRONMENT] = [read('delivery-role.yml'), read('environment-role.yml')];
const arn = (name: string) => `arn:aws:iam::${BUILD}:role/${name}`;
const SHARE = `arn:aws:iam::${STAGE}:role/ami-web-stage-share`;
const ROLES = {
  images: arn('ami-web-images'),
  read: arn('ami-web-read'),
  /** The role that reads, where the stack lets pull requests use it. */
  preview: arn('ami-pull-read'),
  rollout: arn('ami-web-stage-rollout'),
  share: SHARE,
} as const;
const as = (role: keyof typeof ROLES) => ({ as: { role: ROLES[role].replace(/^.*\//, '') } });

const KEY = `arn:aws:kms:eu-central-1:${BUILD}:key/verdicts`;
/** Encrypts images. */
const DISK_KEYS = ['eu-central-1', 'eu-west-1'].map(region => `arn:aws:kms:${region}:${BUILD}:key/1234abcd-12ab-34cd-56ef-1234567890ab`);
/** A key whose use the roles of the account decide. */
const OF_THE_ACCOUNT = {
  Statement: [{ Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${BUILD}:root` }, Action: 'kms:*', Resource: '*' }],
};
/** The role that a lifecycle hook has, and a role that reads from another account. */
const [HOOK, READER] = [arn('web-hooks'), `arn:aws:iam::${STAGE}:role/ami-reader`];

const balancing = `elasticloadbalancing:eu-central-1:${BUILD}`;
/** What `shift-at` may name: a listener and a rule. */
const LISTENERS = [`arn:aws:${balancing}:listener/net/web/1/2`, `arn:aws:${balancing}:listener-rule/app/web/1/2/3`];

/** With the records that `shift-at` may name. */
const ZONE = 'arn:aws:route53:::hostedzone/Z0123456789ABC';

const STACKS = 'web,shop-web';

const labs: Lab[] = [];
interface Wanted {
  readonly launchTemplates?: readonly string[];
  readonly families?: string;
}

/** The stacks of one repository, as the heads of the templates deploy them. */
function shipped<L extends { lab: Lab }>(l: L, { launchTemplates = ['lt-00000000000000000'], families = 'web' }: Wanted = {}): L {
  labs.push(l.lab);
  const common = {
    Subject: 'repo:acme/web',
    RepositoryId: '456789',
    Families: families,
    LaunchTemplates: launchTemplates.join(','),
    VerdictKey: KEY,
  };
  const delivery = {
    Repository: 'acme/web',
    ConsumerAccounts: STAGE,
    Adopt: 'allow',
    PackerCopies: 'allow',
    Keys: DISK_KEYS.join(','),
    OtherRoles: SHARE,
  };
  l.lab.deploy(DELIVERY, { stack: 'ami-web', parameters: { ...common, ...delivery, Readers: READER } });
  const pull = { Repository: 'acme/web', PullRequests: 'read', Stacks: STACKS };
  l.lab.deploy(DELIVERY, { stack: 'ami-pull', parameters: { ...common, ...pull } });
  const own = {
    GroupRoles: arn('web'),
    HookRoles: HOOK,
    LaunchConfigurations: 'allow',
    NodeGroups: 'main/blue',
    Listeners: LISTENERS.join(','),
    Stacks: STACKS,
    HostedZones: ZONE,
  };
  const group = { Environment: 'stage', Pointers: '/ami/web', Groups: 'web*,reads*', ...own };
  l.lab.deploy(ENVIRONMENT, { stack: 'ami-web-stage', parameters: { ...common, ...group, OtherRoles: READER } });
  const consumer = {
    ...common,
    Environment: 'stage',
    Pointers: '/ami/web',
    Groups: 'web*',
    DeliveryRole: ROLES.images,
    Provider: 'create',
  };
  l.lab.deploy(ENVIRONMENT, { account: STAGE, stack: 'ami-web-stage', parameters: consumer });
  return l;
}
afterAll(async () => {
  await Promise.all(labs.map(lab => lab.close()));
  removeWorkspaces();
});

const outcomes: Record<string, string[]> = {};
const note = (mode: string, ran: Ran): Ran => {
  outcomes[mode] = [...(outcomes[mode] ?? []), ran.outputs['outcome'] ?? `exit ${ran.exitCode}`];
  return ran;
};
const MODES: Readonly<Record<string, keyof typeof ROLES>> = { list: 'read', resolve: 'read', promote: 'rollout', rollback: 'rollout' };
const asOf = (mode: string) => as(MODES[mode] ?? 'images');
const keyOf = (lab: Lab) => lab.environment()['AWS_ACCESS_KEY_ID'] ?? '';
const asked = (role: string): readonly Asked[] => labs.flatMap(lab => askedPermissions(lab.core)).filter(one => one.role === role);

test('list, prune and delete find their users and remove images', async () => {
  const l = shipped(await familyOfFive());
  await l.group('batch', l.id('d20'));
  // Tags alone do not make an instance a leftover: its launch is looked up.
  const expired = { purpose: 'build', repository: 'acme/web', 'expires-at': '2026-01-01T00:00:00Z' };
  for (const id of instances(l.home).keys())
    setTags(l.home, id, Object.fromEntries(Object.entries(expired).map(([key, value]) => [`ami-action:${key}`, value])));
  for (const [mode, wanted] of [
    ['list', {}],
    ['prune', {}],
    ['prune', REAL],
    ['delete', { image: l.id('d10'), 'dry-run': 'false' }],
  ] as const)
    expect(note(mode, await l.act(mode, wanted, asOf(mode))).errors).toEqual([]);
  expect(l.there()).toEqual(['d40', 'd20']);
});

test('promote and rollback roll groups out, by refresh, parameter and blue-green', async () => {
  const l = await rollLab();
  const [first, second] = [l.image('web-a'), l.image('web-b')];
  const profile = {
    IamInstanceProfile: { Name: 'web' },
    TagSpecifications: [{ ResourceType: 'instance' as const, Tags: [{ Key: 'a', Value: 'b' }] }],
  };
  const web = await l.template('web', { ImageId: first, ...profile });
  const reads = await l.template('reads', { ImageId: `resolve:ssm:${POINTER}` });
  await l.group('web', { LaunchTemplateId: web, Version: '1' });
  await l.pointerTo(first);
  await l.group('reads', { LaunchTemplateId: reads, Version: '1' }, { DesiredCapacity: 1 });
  await l.cloud.autoScaling.send(
    new PutLifecycleHookCommand({
      ...{ AutoScalingGroupName: 'web', LifecycleHookName: 'bye', LifecycleTransition: 'autoscaling:EC2_INSTANCE_TERMINATING' },
      ...{ NotificationTargetARN: `arn:aws:sqs:eu-central-1:${BUILD}:bye`, RoleARN: HOOK, HeartbeatTimeout: 30 },
    }),
  );
  shipped(l, { launchTemplates: [web, reads] });
  const both = { groups: 'web,reads', 'parameter-templates': 'follow' };
  for (const [mode, wanted] of [
    ['promote', { image: second, ...both }],
    ['rollback', both],
    ['promote', { image: second, groups: 'web', strategy: 'blue-green', 'lift-veto': 'true' }],
  ] as const)
    expect(note(mode, await l.act(mode, wanted, asOf(mode))).errors).toEqual([]);
  expect(l.pointer()).toBe(second);
  // Two permanent groups: the other one is as empty as its owner made it.
  const TargetGroupARNs = groups(l.place)
    .get('web-green')
    ?.sources.map(({ id }) => id);
  await l.group('web-two', { LaunchTemplateId: web, Version: '1' }, { DesiredCapacity: 0, TargetGroupARNs });
  const pair = { groups: 'web-green,web-two', strategy: 'two-groups', 'adopt-groups': 'true' };
  expect(note('promote', await l.act('promote', { image: l.image('web-c'), ...pair }, asOf('promote'))).errors).toEqual([]);
});

type Act = (mode: 'promote', wanted: Record<string, string>, more: ReturnType<typeof as>) => Promise<Ran>;
/** What the preview of a pull request says of a promotion. */
async function previewed({ act }: { readonly act: Act }, wanted: Readonly<Record<string, string>>): Promise<Ran> {
  const ran = await act('promote', { 'dry-run': 'true', ...wanted }, as('preview'));
  expect([ran.errors, ran.outputs['outcome']]).toEqual([[], 'planned']);
  return ran;
}

test('the role that reads previews a promotion for a pull request', async () => {
  const l = await rollLab();
  const [first, second] = [l.image('web-a'), l.image('web-b')];
  const web = await l.template('web', { ImageId: first });
  await l.group('web', { LaunchTemplateId: web, Version: '1' });
  await l.pointerTo(first);
  shipped(l, { launchTemplates: [web] });
  await l.alarm('errors', 'OK');
  const TargetGroupARNs = groups(l.place)
    .get('web')
    ?.sources.map(({ id }) => id);
  await l.group('web-two', { LaunchTemplateId: web, Version: '1' }, { DesiredCapacity: 0, TargetGroupARNs });
  const next = { image: second, groups: 'web' };
  await previewed(l, { ...next, alarms: 'errors' });
  await previewed(l, { ...next, image: first });
  await previewed(l, { ...next, strategy: 'blue-green' });
  await previewed(l, { ...next, groups: 'web,web-two', strategy: 'two-groups', 'adopt-groups': 'true' });
  await l.cloud.autoScaling.send(new PutWarmPoolCommand({ AutoScalingGroupName: 'web', MinSize: 1 }));
  await previewed(l, next);
});

test.each<Kind>(['rule', 'network', 'records', 'classic'])('the role that reads previews a cut-over by weights: %s', async kind => {
  const { l, b, settings } = await shiftLab(kind, 'temporary');
  await previewed(shipped(l), { ...settings, image: b });
});

test('promote rolls groups on launch configurations out, by a copy and by a conversion', async () => {
  const l = await rollLab();
  const [first, second, third] = [l.image('web-a'), l.image('web-b'), l.image('web-c')];
  const LaunchConfigurationName = 'web-lc';
  await l.cloud.autoScaling.send(
    new CreateLaunchConfigurationCommand({ LaunchConfigurationName, ImageId: first, InstanceType: 't3.micro', IamInstanceProfile: 'web' }),
  );
  await l.group('web', {}, { LaunchTemplate: undefined, LaunchConfigurationName, DesiredCapacity: 1 });
  await l.pointerTo(first);
  shipped(l);
  for (const how of ['keep', 'convert']) await previewed(l, { image: second, groups: 'web', 'launch-configurations': how });
  l.fails.add('web');
  const failed = await l.act('promote', { image: second, groups: 'web', 'launch-configurations': 'convert' }, asOf('promote'));
  expect([failed.outputs['outcome'], l.versions('web-lc'), l.launches('web')]).toEqual(['rejected', [], { LaunchConfigurationName }]);
  l.fails.clear();
  for (const [image, how] of [
    [second, 'keep'],
    [first, 'keep'],
    [third, 'convert'],
  ] as const) {
    const wanted = { image, groups: 'web', 'launch-configurations': how };
    expect(note('promote', await l.act('promote', wanted, asOf('promote'))).errors).toEqual([]);
  }
  expect(l.launches('web')?.LaunchTemplate?.Version).toBe('2');
});

const NO_CHANGE_SET = 'the role may not create a change set of stack web (cloudformation:CreateChangeSet)';

test('promote and rollback update the stack that the role names, and a preview reads it', async () => {
  const l = shipped(await stackLab());
  const before = l.events();
  const { warnings, summary } = await previewed(l, { image: l.b });
  expect([warnings, l.changeSets(), l.events()]).toEqual([[expect.stringContaining(NO_CHANGE_SET)], [], before]);
  expect(summary).toContain(NO_CHANGE_SET);
  for (const [mode, wanted] of [
    ['promote', { image: l.b }],
    ['rollback', {}],
  ] as const)
    expect(note(mode, await l.act(mode, wanted, asOf(mode))).errors).toEqual([]);
});

test('a stack without a service role is updated and rolled back with the permissions of the caller, which lack: said in the plan', async () => {
  const l = shipped(await stackLab({ role: 'none' }));
  const ran = await l.act('promote', { image: l.b }, asOf('promote'));
  const plan = ran.log.slice(0, ran.log.indexOf(`Write ${l.b} to`));
  expect(plan).toContain('stack web has no service role, so CloudFormation changes and rolls back its resources with the permissions of');
  expect(ran.errors.join('\n')).toMatch(
    /is not authorized to perform: ec2:CreateLaunchTemplateVersion on resource[\s\S]*aws cloudformation continue-update-rollback --stack-name web/,
  );
  expect([await l.status(), l.fleet(), l.pointer()]).toEqual(['UPDATE_ROLLBACK_FAILED', [l.a, l.a], l.a]);
  // Its denials are meant.
  labs.splice(labs.indexOf(l.lab), 1);
  await l.lab.close();
});

test('promote moves a managed node group of EKS', async () => {
  const l = await rollLab();
  const [first, second] = [l.image('web-a'), l.image('web-b')];
  const web = await l.template('web', { ImageId: first, IamInstanceProfile: { Name: 'web' } });
  const credentials = { accessKeyId: keyOf(l.lab), secretAccessKey: 'x' };
  const { Subnets = [] } = await l.cloud.ec2.send(new DescribeSubnetsCommand({}));
  await new EKSClient({ endpoint: l.lab.url, region: l.place.region, credentials }).send(
    new CreateNodegroupCommand({
      ...{ clusterName: 'main', nodegroupName: 'blue', nodeRole: arn('web'), launchTemplate: { id: web, version: '1' } },
      ...{ subnets: Subnets.flatMap(({ SubnetId }) => SubnetId ?? []), scalingConfig: { minSize: 1, maxSize: 4, desiredSize: 1 } },
    }),
  );
  await l.pointerTo(first);
  shipped(l, { launchTemplates: [web] });
  const wanted = { image: second, groups: '', 'node-groups': 'main/blue' };
  await previewed(l, wanted);
  const ran = await l.act('promote', wanted, asOf('promote'));
  expect([note('promote', ran).errors, l.pointer()]).toEqual([[], second]);
});

test('share gives launch permission and resolve reads selectors', async () => {
  const l = shipped(await shareLab());
  const image = l.image('web-1');
  setTags(l.lab.core.place(BUILD, 'eu-central-1'), image, { 'ami-action:repository': 'acme/web' });
  const before = l.image('before-ami-action');
  for (const one of [before, before.replace('ami-', 'snap-')]) dropTags(l.lab.core.place(BUILD, 'eu-central-1'), one, 'all');
  for (const [mode, wanted] of [
    ['adopt', { images: 'before-*', 'dry-run': 'false' }],
    ['share', { image, accounts: STAGE }],
    ['share', { image, regions: 'eu-west-1' }],
    ['resolve', { image: 'latest' }],
    ['resolve', { image: 'commit:c0ffee0000000000000000000000000000000000' }],
  ] as const)
    expect(note(mode, await l.act(mode, wanted, asOf(mode))).errors).toEqual([]);
  expect(l.labImage(image).launchers.has(STAGE)).toBe(true);
});

test.each([
  ['images', 'validate'],
  ['read', 'list'],
] as const)('doctor runs with the role %s: it tries %s', async (role, mode) => {
  const l = shipped(await shareLab());
  for (const key of DISK_KEYS) keys(l.lab.core).set(key, { policy: OF_THE_ACCOUNT });
  l.image('web-1', { key: DISK_KEYS[0] ?? '' });
  const server = await tokens();
  const env = { ...server.env, AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' };
  const files = { '.github/ami.yml': `family: web\nregion: eu-central-1\nrole-to-assume: ${ROLES[role]}\nchecks: [{ service: web }]\n` };
  const ran = await runAction({ mode: 'doctor', with: { modes: mode }, lab: l.lab, env, files });
  await server.close();
  expect(ran.errors).toEqual([]);
  const found: readonly { area: string; status: string }[] = JSON.parse(ran.outputs['findings'] ?? '[]');
  expect(Object.fromEntries(found.map(({ area, status }) => [area, status]))).toEqual({
    ...{ [mode]: 'ok', account: 'ok', token: 'ok', runner: 'ok', KMS: 'ok', 'Allowed AMIs': 'ok', permissions: 'ok' },
  });
});

test('share copies with a key of the team, and into an account of a consumer, where prune reads', async () => {
  const l = shipped(await shareLab());
  for (const key of DISK_KEYS) keys(l.lab.core).set(key, { policy: OF_THE_ACCOUNT });
  const own = (id: string) => {
    for (const one of [id, id.replace('ami-', 'snap-')])
      setTags(l.home, one, { ...tagsOf(l.home, id), 'ami-action:repository': 'acme/web' });
  };
  const [plain, encrypted] = [l.image('web-1'), l.image('web-2', { key: DISK_KEYS[0] ?? '' })];
  for (const id of [plain, encrypted]) own(id);
  const target = { 'target-role': SHARE };
  for (const [mode, wanted] of [
    ['share', { image: encrypted, regions: 'eu-west-1', 'kms-key': `eu-west-1: ${DISK_KEYS[1]}` }],
    ['share', { image: plain, accounts: STAGE, ...target }],
    ['share', { image: plain, copy: STAGE, ...target }],
    ['prune', { 'min-in-use': '0', ...target }],
  ] as const)
    expect(note(mode, await l.act(mode, wanted, asOf(mode))).errors).toEqual([]);
  expect(l.owned(BUILD, 'eu-west-1').map(({ id }) => l.tags(id, BUILD, 'eu-west-1')['ami-action:family'])).toEqual(['web']);
  expect(l.owned(STAGE)).toHaveLength(1);
});

test('what a promotion asks another account, it asks with the role of "from-role"', async () => {
  const l = shipped(await shareLab());
  const image = l.image('web-1');
  await l.act('share', { image, accounts: STAGE, 'target-role': 'arn:aws:iam::{account}:role/administrator' });
  const { AWS_ACCESS_KEY_ID: accessKeyId = '' } = l.lab.environment({ account: STAGE });
  const ssm = new SSMClient({ endpoint: l.lab.url, region: 'eu-central-1', credentials: { accessKeyId, secretAccessKey: 'x' } });
  await ssm.send(new PutParameterCommand({ Name: '/ami/web/dev', Value: image, Type: 'String' }));
  const wanted = { image: 'environment:dev', environment: 'stage', strategy: 'none', 'from-role': READER };
  expect(note('promote', await l.act('promote', wanted, as('rollout'))).errors).toEqual([]);
});

test('validate launches an instance with the shipped profile, and deletes a failed image', async () => {
  const l = shipped(await validateLab());
  const place = l.lab.core.place(BUILD, 'eu-central-1');
  const own = (image: string) => setTags(place, l.snapshotOf(image), { 'ami-action:family': 'web' });
  const passing = await l.bake('passing');
  own(passing);
  keys(l.lab.core).set(DISK_KEY, { policy: OF_THE_ACCOUNT });
  Object.assign(snapshots(place).get(l.snapshotOf(passing)) ?? {}, { encrypted: true, kmsKeyId: DISK_KEY });
  expect(note('validate', await l.validate(passing, { 'instance-profile': 'ami-web-test' }, as('images'))).errors).toEqual([]);
  const failing = await l.bake('failing');
  own(failing);
  note(
    'validate',
    await l.validate(failing, { checks: '- command: "false"', 'on-failure': 'delete', 'instance-profile': 'ami-web-test' }, as('images')),
  );
  expect(l.imageOf(failing)?.state).toBe('deregistered');
});

describeWithPacker('with Packer', () => {
  let lab: Lab;
  beforeAll(async () => {
    ({ lab } = shipped({ lab: await startLab({ speed: 240 }) }));
  });

  test('build makes an image', async () => {
    expect(note('build', await build(lab, { with: { family: 'web' }, ...as('images') })).errors).toEqual([]);
  });

  test('build lets Packer copy to another region, where the role allows it', async () => {
    const wanted = { with: { family: 'web', regions: 'eu-west-1', rebuild: 'always' }, ...as('images') };
    expect(note('build', await build(lab, wanted)).errors).toEqual([]);
    // Not among the labs whose denials count.
    const usual = await startLab({ speed: 240 });
    usual.deploy(DELIVERY, {
      stack: 'ami-web',
      parameters: { Subject: 'repo:acme/web', Repository: 'acme/web', RepositoryId: '456789', Families: 'web' },
    });
    const { errors } = await build(usual, wanted).finally(() => usual.close());
    expect(errors.join('\n')).toContain(
      'Packer copied the image to another region, and tags its snapshots only afterwards: the role may tag no snapshot that is not its own.',
    );
    expect(errors.join('\n')).toContain('Next: Set "home-only: true", and let mode "share" make the copies.');
    expect(errors.join('\n')).toMatch(
      /Left behind:\n- Snapshot snap-\w+ \(missing-permissions; UnauthorizedOperation\) in eu-west-1 could not be deleted with the image\./,
    );
  });

  test('build makes an image in a subnet that gives no public address, encrypted with a key of the team', async () => {
    const place = lab.core.place(BUILD, 'eu-central-1');
    for (const key of DISK_KEYS) keys(lab.core).set(key, { policy: OF_THE_ACCOUNT });
    const [{ id: subnet_id } = { id: '' }] = network(place).subnets;
    // The user of Amazon Linux and of RHEL, whose root devices differ: the action names that of the base image.
    const variables = {
      ssh_port: '2322',
      ssh_username: 'ec2-user',
      subnet_id,
      associate_public_ip_address: true,
      kms_key_id: DISK_KEYS[0],
    };
    const wanted = { family: 'web', rebuild: 'always', 'base-image': DEBIAN, var: JSON.stringify(variables) };
    const ran = note('build', await build(forOtherTemplates(lab), { files: idle(), with: wanted, ...as('images') }));
    expect(ran.errors).toEqual([]);
    const id = images(place).get(ran.outputs['ami-id'] ?? '')?.devices[0]?.snapshotId ?? '';
    expect(snapshots(place).get(id)?.kmsKeyId).toBe(DISK_KEYS[0]);
    expect(lab.calls.count('DescribeSubnets')).toBeGreaterThan(0);
  });
});

const deployed = (name: keyof typeof ROLES): LabRole => {
  const found = labs.map(lab => roles(lab.core).get(ROLES[name])).find(role => role !== undefined);
  if (found === undefined) throw new Error('not deployed');
  return found;
};
/** In every lab the policies differ by the launch templates that they name. */
const deployedIn = (lab: Lab, name: keyof typeof ROLES) => roles(lab.core).get(ROLES[name]) as LabRole;

type Call = readonly [action: string, resource: string, keys?: Readonly<Record<string, string | readonly string[]>>];
const question = ([action, resource, keys = {}]: Call) => ({
  action,
  resource: resource.startsWith('arn:') ? resource : `arn:aws:${resource}`,
  context: contextOf(keys),
});
const OWN = { 'aws:ResourceTag/ami-action:repository': 'acme/web' };
const FOR_FAMILY = { 'aws:ResourceTag/ami-action:for-family': 'web' };
const FAMILY = { 'aws:ResourceTag/ami-action:family': 'web' };

/** Of the role itself, and of an encrypted image. */
const doctorOf = (role: string): readonly Call[] => [
  ['iam:SimulatePrincipalPolicy', `iam::${BUILD}:role/${role}`],
  ['iam:GetRole', `iam::${BUILD}:role/${role}`],
  ['ec2:DescribeSnapshots', '*'],
  ['ec2:GetAllowedImagesSettings', '*'],
  ['kms:DescribeKey', DISK_KEYS[0] ?? ''],
];

/** Calls that these stories do not make, and others do: doctor, after an interrupted build, with a VPC, with shared snapshots. */
const ALSO: Readonly<Record<keyof typeof ROLES, readonly Call[]>> = {
  images: [
    ...doctorOf('ami-web-images'),
    ['kms:GenerateMac', KEY],
    ['kms:VerifyMac', KEY],
    ['ec2:DeregisterImage', 'ec2:eu-central-1::image/ami-1', OWN],
    ['ec2:DeleteSnapshot', 'ec2:eu-central-1::snapshot/snap-1', OWN],
    ['ec2:ModifyImageAttribute', 'ec2:eu-central-1::image/ami-1', OWN],
    ['ec2:CreateSecurityGroup', `ec2:eu-central-1:${BUILD}:vpc/vpc-1`],
    ['ec2:CreateImageUsageReport', `ec2:eu-central-1:${BUILD}:image-usage-report/*`],
    ['ec2:CreateImageUsageReport', 'ec2:eu-central-1::image/ami-1', FAMILY],
    ['ec2:DeleteLaunchTemplateVersions', `ec2:eu-central-1:${BUILD}:launch-template/lt-00000000000000000`],
    ['ec2:ModifySnapshotAttribute', 'ec2:eu-central-1::snapshot/snap-1', { ...FAMILY, 'ec2:Add/userId': STAGE }],
    // The verdict, and a failed copy, of an image that was adopted.
    ['ec2:CreateTags', 'ec2:eu-central-1::image/ami-1', FAMILY],
    ['ec2:DeregisterImage', 'ec2:eu-central-1::image/ami-1', FOR_FAMILY],
    ['ec2:DeleteSnapshot', 'ec2:eu-central-1::snapshot/snap-1', FOR_FAMILY],
  ],
  read: doctorOf('ami-web-read'),
  preview: [
    ...doctorOf('ami-pull-read'),
    ['kms:VerifyMac', KEY],
    // While a node group or the stack is updated.
    ['eks:ListUpdates', `eks:eu-central-1:${BUILD}:nodegroup/main/blue/1`],
    ['eks:DescribeUpdate', `eks:eu-central-1:${BUILD}:nodegroup/main/blue/1`],
    ...STACKS.split(',').map(
      (name): Call => ['cloudformation:DescribeStackEvents', `cloudformation:eu-central-1:${BUILD}:stack/${name}/1`],
    ),
  ],
  rollout: [
    ...doctorOf('ami-web-stage-rollout'),
    ['kms:VerifyMac', KEY],
    ['cloudformation:CancelUpdateStack', `cloudformation:eu-central-1:${BUILD}:stack/web/1`],
    ['cloudformation:CancelUpdateStack', `cloudformation:eu-central-1:${BUILD}:stack/shop-web/1`],
    ['ec2:DeleteLaunchTemplateVersions', `ec2:eu-central-1:${BUILD}:launch-template/lt-00000000000000000`],
    ['elasticloadbalancing:ModifyListener', LISTENERS[0] ?? ''],
    ['elasticloadbalancing:ModifyRule', LISTENERS[1] ?? ''],
    ['route53:ChangeResourceRecordSets', ZONE],
    ['ssm:SendCommand', 'ssm:eu-central-1::document/AWS-RunShellScript'],
    ['ssm:SendCommand', `ec2:eu-central-1:${BUILD}:instance/i-1`, { 'ssm:resourceTag/aws:autoscaling:groupName': 'web' }],
    ['ssm:SendCommand', `ec2:eu-central-1:${BUILD}:instance/i-1`, { 'ssm:resourceTag/aws:autoscaling:groupName': 'reads' }],
  ],
  // A tag that changed, one that went, a copy that failed, and a copy of an image that failed.
  share: [
    ...['ec2:eu-central-1::image/ami-1', 'ec2:eu-central-1::snapshot/snap-1'].flatMap(resource =>
      ['ec2:CreateTags', 'ec2:DeleteTags', 'ec2:DeregisterImage', 'ec2:DeleteSnapshot'].map((action): Call => [action, resource, FAMILY]),
    ),
    ['ec2:DeregisterImage', 'ec2:eu-central-1::image/ami-1', FOR_FAMILY],
    ['ec2:DeleteSnapshot', 'ec2:eu-central-1::snapshot/snap-1', FOR_FAMILY],
  ],
};

const PERMISSIONS = JSON.parse(read('../permissions.json'));
const namedBy = (...all: readonly string[]) => [...new Set(all.flatMap(mode => actionsOf(mode, PERMISSIONS)))];
/** What the calls of the modes and AWS require: https://docs.aws.amazon.com/service-authorization/latest/reference/reference.html */
const READ = namedBy('list', 'resolve').filter(action => action !== 'sts:AssumeRole');
const REQUIRED: Readonly<Record<keyof typeof ROLES, readonly string[]>> = {
  images: namedBy('build', 'validate', 'share', 'prune', 'delete', 'adopt', 'resolve', 'list'),
  read: READ,
  preview: READ,
  rollout: namedBy('promote', 'rollback'),
  share: namedBy('share', 'list').filter(BLOCKS.reads),
};

/** Calls that a changed role would be denied, of those that the modes made, and actions that it no longer names. */
const denied = (name: keyof typeof ROLES, change: (policies: readonly Statement[]) => readonly Statement[]): number =>
  REQUIRED[name].filter(
    action => !change(deployed(name).policies).some(({ effect, actions }) => effect === 'Allow' && actions.includes(action)),
  ).length +
  ALSO[name].filter(call => evaluate(change(deployed(name).policies), question(call)) !== 'allowed').length +
  labs.flatMap(lab =>
    askedPermissions(lab.core).filter(
      one =>
        one.role === ROLES[name] &&
        one.allowed &&
        one.action !== 'sts:AssumeRoleWithWebIdentity' &&
        evaluate(change(deployedIn(lab, name).policies), one) !== 'allowed',
    ),
  ).length;

/** What is optional: a preview without a change set, and whether doctor may read more of a key than that it can be used. */
const OPTIONAL: Readonly<Record<string, readonly string[]>> = {
  [ROLES.preview]: ['cloudformation:CreateChangeSet'],
  [ROLES.read]: ['kms:GetKeyPolicy', 'kms:ListGrants'],
};

test('every mode ran, and no role was denied what a mode needs', () => {
  expect(Object.keys(modes).filter(mode => !(mode in outcomes) && !['build', 'doctor'].includes(mode))).toEqual([]);
  expect(
    Object.values(outcomes)
      .flat()
      .filter(outcome => /access|bug/.test(outcome)),
  ).toEqual([]);
  for (const role of Object.values(ROLES)) {
    const refused = asked(role)
      .filter(({ allowed }) => !allowed)
      .map(({ action }) => action);
    expect([role, refused]).toEqual([role, OPTIONAL[role] ?? []]);
  }
});

const WEB = { ...OWN, ...FAMILY };
const OTHER = { 'aws:ResourceTag/ami-action:repository': 'acme/shop', 'aws:ResourceTag/ami-action:family': 'shop' };
/** Tags that Packer gives to the snapshots of a copy. */
const BY_PACKER = { 'aws:RequestTag/ami-action:repository': 'acme/web', 'aws:RequestTag/ami-action:for-family': 'web' };
const OTHER_REQUEST = { 'aws:RequestTag/ami-action:family': 'shop' };
const region = `eu-central-1:${BUILD}`;
const instance = `ec2:${region}:instance/i-1`;
const snapshot = 'ec2:eu-central-1::snapshot/snap-1';
const image = 'ec2:eu-central-1::image/ami-1';
const LAMBDA = { 'iam:PassedToService': 'lambda.amazonaws.com' };
const VIA_EC2 = { 'kms:ViaService': 'ec2.eu-central-1.amazonaws.com' };
const [DISK_KEY = ''] = DISK_KEYS;

/** What a role may, and what it may not. */
const PAIRS: readonly (readonly [role: keyof typeof ROLES, may: Call, mayNot: Call])[] = [
  [
    'rollout',
    ['eks:UpdateNodegroupVersion', `eks:${region}:nodegroup/main/blue/1`],
    ['eks:UpdateNodegroupVersion', `eks:${region}:nodegroup/main/green/1`],
  ],
  [
    'rollout',
    ['ec2:CreateLaunchTemplate', `ec2:${region}:launch-template/web-lc`, { 'aws:RequestTag/ami-action:launch-configuration': 'web-lc' }],
    ['ec2:CreateLaunchTemplate', `ec2:${region}:launch-template/web-lc`],
  ],
  [
    'rollout',
    ['ec2:DeleteLaunchTemplate', `ec2:${region}:launch-template/lt-1`, { 'aws:ResourceTag/ami-action:launch-configuration': 'web-lc' }],
    ['ec2:DeleteLaunchTemplate', `ec2:${region}:launch-template/lt-1`],
  ],
  ['rollout', ['ssm:PutParameter', `ssm:${region}:parameter/ami/web/stage`], ['ssm:PutParameter', `ssm:${region}:parameter/ami/web/prod`]],
  [
    'rollout',
    ['ssm:DeleteParameter', `ssm:${region}:parameter/ami/web/stage/candidate`],
    ['ssm:DeleteParameter', `ssm:${region}:parameter/ami/web/prod/candidate`],
  ],
  ['rollout', ['ssm:GetParameter', `ssm:${region}:parameter/ami/web/prod`], ['ssm:GetParameter', `ssm:${region}:parameter/db/password`]],
  [
    'rollout',
    ['autoscaling:StartInstanceRefresh', `autoscaling:${region}:autoScalingGroup:1:autoScalingGroupName/web`],
    ['autoscaling:StartInstanceRefresh', `autoscaling:${region}:autoScalingGroup:1:autoScalingGroupName/shop`],
  ],
  [
    'rollout',
    ['ec2:CreateTags', image, { ...WEB, 'aws:TagKeys': ['ami-action:vetoed-in'] }],
    ['ec2:CreateTags', image, { ...WEB, 'aws:TagKeys': ['ami-action:vetoed-in', 'ami-action:verdict'] }],
  ],
  [
    'rollout',
    ['ssm:SendCommand', instance, { 'ssm:resourceTag/aws:autoscaling:groupName': 'web' }],
    ['ssm:SendCommand', instance, { 'ssm:resourceTag/aws:autoscaling:groupName': 'shop' }],
  ],
  [
    'rollout',
    ['iam:PassRole', arn('web'), { 'iam:PassedToService': 'ec2.amazonaws.com' }],
    ['iam:PassRole', arn('admin'), { 'iam:PassedToService': 'ec2.amazonaws.com' }],
  ],
  [
    'rollout',
    ['iam:PassRole', arn('web'), { 'iam:PassedToService': 'ec2.amazonaws.com' }],
    ['iam:PassRole', arn('web'), { 'iam:PassedToService': 'lambda.amazonaws.com' }],
  ],
  ['rollout', ['route53:ChangeResourceRecordSets', ZONE], ['route53:ChangeResourceRecordSets', ZONE.replace('ABC', 'XYZ')]],
  [
    'rollout',
    ['cloudformation:ExecuteChangeSet', `cloudformation:${region}:stack/shop-web/1`],
    ['cloudformation:ExecuteChangeSet', `cloudformation:${region}:stack/shop/1`],
  ],
  [
    'rollout',
    ['elasticloadbalancing:ModifyRule', LISTENERS[1] ?? ''],
    ['elasticloadbalancing:ModifyRule', `${balancing}:listener-rule/app/shop/1/2/3`],
  ],
  ['images', ['ec2:TerminateInstances', instance, WEB], ['ec2:TerminateInstances', instance, OTHER]],
  ['images', ['ec2:DeregisterImage', image, WEB], ['ec2:DeregisterImage', image, {}]],
  ['images', ['ec2:DeleteSnapshot', snapshot, WEB], ['ec2:DeleteSnapshot', snapshot, OTHER]],
  ['images', ['ec2:CreateTags', image, WEB], ['ec2:CreateTags', image, { ...OTHER, 'aws:RequestTag/ami-action:family': 'web' }]],
  ['images', ['ec2:ModifyImageAttribute', image, FAMILY], ['ec2:ModifyImageAttribute', image, OTHER]],
  [
    'images',
    ['ec2:ModifySnapshotAttribute', snapshot, { ...WEB, 'ec2:Add/userId': STAGE }],
    ['ec2:ModifySnapshotAttribute', snapshot, { ...WEB, 'ec2:Add/userId': '999999999999' }],
  ],
  [
    'images',
    ['ec2:RunInstances', `ec2:${region}:instance/*`, { 'aws:RequestTag/ami-action:repository': 'acme/web' }],
    ['ec2:RunInstances', `ec2:${region}:instance/*`, {}],
  ],
  [
    'images',
    [
      'ssm:SendCommand',
      instance,
      { 'ssm:resourceTag/ami-action:purpose': 'validate', 'ssm:resourceTag/ami-action:repository': 'acme/web' },
    ],
    ['ssm:SendCommand', instance, { 'ssm:resourceTag/ami-action:repository': 'acme/web' }],
  ],
  [
    'images',
    ['ec2:CreateKeyPair', `ec2:${region}:key-pair/a`, { 'aws:RequestTag/ami-action:repository': 'acme/web' }],
    ['ec2:CreateKeyPair', `ec2:${region}:key-pair/a`],
  ],
  ['images', ['ec2:ModifyImageAttribute', image, OWN], ['ec2:ModifyImageAttribute', image, { ...OTHER, ...OWN }]],
  ['images', ['ec2:ModifyImageAttribute', image, OWN], ['ec2:ModifyImageAttribute', image]],
  ['images', ['ec2:DisableImage', image, FAMILY], ['ec2:DisableImage', image, OTHER]],
  ['images', ['ec2:CreateTags', image, { 'aws:RequestTag/ami-action:family': 'web' }], ['ec2:CreateTags', image, OTHER_REQUEST]],
  [
    'images',
    ['ec2:ModifySnapshotAttribute', snapshot, { ...WEB, 'ec2:Add/userId': STAGE }],
    ['ec2:ModifySnapshotAttribute', snapshot, { ...OTHER, 'ec2:Add/userId': STAGE }],
  ],
  [
    'images',
    [
      'ssm:SendCommand',
      instance,
      { 'ssm:resourceTag/ami-action:purpose': 'validate', 'ssm:resourceTag/ami-action:repository': 'acme/web' },
    ],
    [
      'ssm:SendCommand',
      instance,
      { 'ssm:resourceTag/ami-action:purpose': 'validate', 'ssm:resourceTag/ami-action:repository': 'acme/shop' },
    ],
  ],
  [
    'images',
    ['iam:PassRole', arn('ami-web-TestInstance'), { 'iam:PassedToService': 'ec2.amazonaws.com' }],
    ['iam:PassRole', arn('ami-web-TestInstance'), LAMBDA],
  ],
  ['images', ['kms:Decrypt', DISK_KEY, VIA_EC2], ['kms:Decrypt', DISK_KEY, { 'kms:ViaService': 'rds.eu-central-1.amazonaws.com' }]],
  [
    'images',
    ['kms:CreateGrant', DISK_KEY, { ...VIA_EC2, 'kms:GrantIsForAWSResource': 'true' }],
    ['kms:CreateGrant', DISK_KEY, { ...VIA_EC2, 'kms:GrantIsForAWSResource': 'false' }],
  ],
  [
    'images',
    ['kms:CreateGrant', DISK_KEY, { ...VIA_EC2, 'kms:GrantIsForAWSResource': 'true' }],
    ['kms:CreateGrant', DISK_KEY, { 'kms:GrantIsForAWSResource': 'true' }],
  ],
  ...[OTHER, { 'aws:RequestTag/ami-action:repository': 'acme/shop' }, { 'aws:RequestTag/ami-action:for-family': 'shop' }].map(
    other => ['images', ['ec2:CreateTags', snapshot, BY_PACKER], ['ec2:CreateTags', snapshot, { ...BY_PACKER, ...other }]] as const,
  ),
  ['images', ['ec2:DeregisterImage', image, FOR_FAMILY], ['ec2:DeregisterImage', image, OTHER]],
  ['images', ['sts:AssumeRole', SHARE], ['sts:AssumeRole', arn('admin')]],
  [
    'rollout',
    ['ec2:CreateTags', image, { ...WEB, 'aws:TagKeys': ['ami-action:vetoed-in'] }],
    ['ec2:CreateTags', image, { ...OTHER, 'aws:TagKeys': ['ami-action:vetoed-in'] }],
  ],
  ['rollout', ['ec2:CreateTags', instance, { 'ec2:CreateAction': 'RunInstances' }], ['ec2:CreateTags', instance, OTHER]],
  [
    'rollout',
    ['iam:PassRole', HOOK, { 'iam:PassedToService': 'autoscaling.amazonaws.com' }],
    ['iam:PassRole', HOOK, { 'iam:PassedToService': 'ec2.amazonaws.com' }],
  ],
  ['rollout', ['sts:AssumeRole', READER], ['sts:AssumeRole', arn('admin')]],
  ['share', ['ec2:CreateTags', image, { 'aws:RequestTag/ami-action:family': 'web' }], ['ec2:CreateTags', image, OTHER_REQUEST]],
  ['share', ['ec2:CreateTags', image, FAMILY], ['ec2:CreateTags', image, OTHER]],
  ['share', ['ec2:DeregisterImage', image, FOR_FAMILY], ['ec2:DeregisterImage', image, OTHER]],
  ['share', ['ec2:DeleteSnapshot', snapshot, FOR_FAMILY], ['ec2:DeleteSnapshot', snapshot, OTHER]],
  ['share', ['ec2:CreateTags', snapshot, { 'ec2:CreateAction': 'CopyImage' }], ['ec2:CreateTags', snapshot, {}]],
];

/** What a role may not with any tags. */
const NEVER: readonly (readonly [role: keyof typeof ROLES, call: Call])[] = [
  ...PAIRS.map(([role, , mayNot]) => [role, mayNot] as const),
  ['rollout', ['ec2:TerminateInstances', instance, WEB]],
  ['rollout', ['kms:GenerateMac', KEY]],
  ['rollout', ['ec2:ModifySnapshotAttribute', snapshot, WEB]],
  ['rollout', ['ec2:RunInstances', `ec2:${region}:instance/*`, { 'aws:RequestTag/ami-action:repository': 'acme/web' }]],
  ['images', ['ssm:PutParameter', `ssm:${region}:parameter/ami/web/stage`]],
  ['images', ['autoscaling:StartInstanceRefresh', `autoscaling:${region}:autoScalingGroup:1:autoScalingGroupName/web`]],
  ['images', ['iam:PassRole', arn('web'), { 'iam:PassedToService': 'ec2.amazonaws.com' }]],
  ['images', ['kms:Decrypt', `kms:${region}:key/1`, { 'kms:ViaService': 'ssm.eu-central-1.amazonaws.com' }]],
  ['read', ['ec2:CreateTags', image, WEB]],
  ['share', ['ec2:ModifyImageAttribute', image, FAMILY]],
  ['share', ['ec2:TerminateInstances', instance, WEB]],
];

const NAMES = Object.keys(ROLES) as (keyof typeof ROLES)[];

describe.each(NAMES)('the role %s', name => {
  /** With `LaunchConfigurations` the role may launch from any template, so a launch proves another statement only without that one. */
  const withoutAnyTemplate = (at: number) => (all: readonly Statement[]) =>
    all.map((one, i) =>
      i !== at && one.conditions.some(({ operator, key }) => operator === 'Null' && key === 'ec2:LaunchTemplate')
        ? { ...one, actions: [] }
        : one,
    );

  test.each(['action', 'statement', 'resource', 'value of a condition'] as const)('without any single %s, denies a call', part => {
    const kept = lesser(deployed(name).policies, part).filter(
      one => denied(name, all => changed(one)(withoutAnyTemplate(one.at)(all))) === denied(name, withoutAnyTemplate(one.at)),
    );
    expect(kept.map(({ what }) => what)).toEqual([]);
  });

  test('without any single condition, allows what it must not', () => {
    const opens = (policies: readonly Statement[]) =>
      NEVER.some(([role, call]) => role === name && evaluate(policies, question(call)) === 'allowed');
    const kept = lesser(deployed(name).policies, 'condition').filter(one => !opens(changed(one)(deployed(name).policies)));
    expect(kept.map(({ what }) => what)).toEqual([]);
  });

  test('secret parameters stay closed whatever another policy allows, and nothing else does', () => {
    const guards = deployed(name).policies.filter(({ effect }) => effect === 'Deny');
    const decrypt = (service: string) =>
      question(['kms:Decrypt', `kms:eu-central-1:${BUILD}:key/1`, { 'kms:ViaService': `${service}.eu-central-1.amazonaws.com` }]);
    const all = readPolicy({ Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] });
    const verdicts = (deny: readonly Statement[]) => ['ssm', 'ec2'].map(service => evaluate([...deny, ...all], decrypt(service)));
    if (name === 'rollout') return expect(guards).toEqual([]);
    expect(verdicts(guards)).toEqual(['explicit', 'allowed']);
    expect(verdicts([])).toEqual(['allowed', 'allowed']);
    expect(verdicts(guards.map(guard => ({ ...guard, conditions: [] })))).toEqual(['explicit', 'explicit']);
  });
});

test('test instances have what an SSM agent needs and nothing that reads parameters', () => {
  const [statement] = roles((labs[0] as Lab).core).get(arn('ami-web-TestInstance'))?.policies ?? [];
  const managed = readPolicy(AWS_MANAGED['AmazonSSMManagedEC2InstanceDefaultPolicy']).flatMap(({ actions }) => actions);
  const agent = managed.filter(action => /^(ec2messages|ssmmessages):|^ssm:UpdateInstanceInformation$/.test(action));
  expect(statement?.actions).toEqual([...agent].sort());
});

test('the policies of promote and rollback alone suffice for a launch template that reads the pointer', async () => {
  const l = await rollLab();
  const [first, second] = [l.image('web-a'), l.image('web-b')];
  const reads = await l.template('reads', { ImageId: `resolve:ssm:${POINTER}` });
  await l.pointerTo(first);
  await l.group('reads', { LaunchTemplateId: reads, Version: '1' }, { DesiredCapacity: 1 });
  shipped(l);
  const known = roles(l.lab.core).get(ROLES.rollout) as LabRole;
  for (const [mode, wanted] of [
    ['promote', { image: second }],
    ['rollback', {}],
  ] as const) {
    roles(l.lab.core).set(ROLES.rollout, { ...known, policies: readPolicy(JSON.parse(read(`policies/${mode}.json`))) });
    const ran = await l.act(mode, { groups: 'reads', 'parameter-templates': 'follow', ...wanted }, as('rollout'));
    expect([mode, ran.errors]).toEqual([mode, []]);
  }
  roles(l.lab.core).set(ROLES.rollout, known);
});

describe('a mode whose permission is missing', () => {
  /** Deploys the role without these actions. */
  const without = (lab: Lab, ...actions: readonly string[]) => {
    for (const role of Object.values(ROLES)) {
      const { policies, ...rest } = roles(lab.core).get(role) as LabRole;
      const fewer = policies.map(one => ({ ...one, actions: one.actions.filter(action => !actions.includes(action)) }));
      roles(lab.core).set(role, { ...rest, policies: fewer });
    }
  };

  test.each(['ec2:DescribeLaunchTemplates', 'imagebuilder:ListImageRecipes', 'ssm:DescribeParameters', 'ec2:DescribeImageReferences'])(
    'prune without %s ends with outcome access and removes nothing',
    async action => {
      const l = shipped(await familyOfFive());
      without(l.lab, action);
      const ran = await l.act('prune', REAL, as('images'));
      expect([ran.exitCode, ran.outputs['outcome']]).toEqual([1, 'access']);
      expect(ran.errors.join()).toContain(action);
      expect(l.there()).toHaveLength(5);
    },
  );

  test.each(['ec2:RunInstances', 'autoscaling:StartInstanceRefresh', 'ec2:CreateLaunchTemplateVersion', 'ssm:PutParameter'])(
    'promote without %s ends with outcome access and the group runs the image as before',
    async action => {
      const l = await rollLab();
      const [first, second] = [l.image('web-a'), l.image('web-b')];
      const web = await l.template('web', { ImageId: first });
      await l.group('web', { LaunchTemplateId: web, Version: '1' });
      await l.pointerTo(first);
      shipped(l, { launchTemplates: [web] });
      without(l.lab, action);
      const ran = await l.act('promote', { image: second, groups: 'web' }, as('rollout'));
      expect([ran.exitCode, ran.outputs['outcome']]).toEqual([1, 'access']);
      expect([l.pointer(), new Set(l.runs('web'))]).toEqual([first, new Set([first])]);
    },
  );
});

// A dry run goes on without its change set; a real run would find out after the pointer has moved.
test('promote of a stack that reads the pointer, without a change set, ends before it writes', async () => {
  const l = shipped(await stackLab(READS));
  const { policies, ...role } = deployedIn(l.lab, 'rollout');
  const fewer = policies.map(one => ({ ...one, actions: one.actions.filter(action => action !== 'cloudformation:CreateChangeSet') }));
  roles(l.lab.core).set(role.arn, { ...role, policies: fewer });
  const mark = l.lab.calls.mark();
  const ran = await l.act('promote', { image: l.b }, as('rollout'));
  roles(l.lab.core).set(role.arn, { ...role, policies });
  expect([ran.outputs['outcome'], ran.errors[0]]).toEqual([
    'access',
    expect.stringContaining('Not allowed to create a change set of stack web'),
  ]);
  expect([l.steps(mark), l.pointer(), l.candidate()]).toEqual([['CreateChangeSet'], l.a, false]);
});

test('with the role of stage, AWS denies what belongs to others, in its words', async () => {
  const l = await shareLab();
  const admin = { endpoint: l.lab.url, region: 'eu-central-1', credentials: { accessKeyId: keyOf(l.lab), secretAccessKey: 'x' } };
  const LaunchTemplateData = { ImageId: l.image('web-1'), InstanceType: 't3.micro' as const };
  const template = new CreateLaunchTemplateCommand({ LaunchTemplateName: 'web', LaunchTemplateData });
  const { LaunchTemplateId = '' } = (await new EC2Client(admin).send(template)).LaunchTemplate ?? {};
  shipped(l, { launchTemplates: [LaunchTemplateId] });
  const credentials = l.lab.environment({ role: 'ami-web-stage-rollout' });
  const at = {
    ...{ endpoint: l.lab.url, region: 'eu-central-1' },
    credentials: {
      accessKeyId: credentials['AWS_ACCESS_KEY_ID'] ?? '',
      secretAccessKey: 'x',
      sessionToken: credentials['AWS_SESSION_TOKEN'] ?? '',
    },
  };
  const [ec2, ssm] = [new EC2Client(at), new SSMClient(at)];
  const foreign = l.image('shop-1', { tags: { 'ami-action:family': 'shop' } });
  const launch = new RunInstancesCommand({ ImageId: foreign, InstanceType: 't3.micro', MinCount: 1, MaxCount: 1 });
  const { Instances: [running] = [] } = await new EC2Client(admin).send(launch);
  await new SSMClient(admin).send(new PutParameterCommand({ Name: '/db/password', Value: 'secret', Type: 'String' }));
  const own = { LaunchTemplate: { LaunchTemplateId, Version: '1' }, MinCount: 1, MaxCount: 1 };
  await ec2.send(new RunInstancesCommand(own));
  const CreateVolumePermission = { Add: [{ UserId: STAGE }] };
  const denials = await Promise.all(
    [
      () => ssm.send(new PutParameterCommand({ Name: '/ami/web/prod', Value: foreign, Type: 'String' })),
      () => ec2.send(new TerminateInstancesCommand({ InstanceIds: [running?.InstanceId ?? ''] })),
      () => ec2.send(new ModifySnapshotAttributeCommand({ SnapshotId: foreign.replace('ami-', 'snap-'), CreateVolumePermission })),
      // What it may launch, with a role that it may not pass.
      () => ec2.send(new RunInstancesCommand({ ...own, IamInstanceProfile: { Name: 'admin' } })),
      () => ssm.send(new GetParameterCommand({ Name: '/db/password' })),
    ].map(call =>
      call().then(
        () => 'allowed',
        (cause: Error) => /is not authorized to perform: (\S+)/.exec(cause.message)?.[1],
      ),
    ),
  );
  expect(denials).toEqual([
    'ssm:PutParameter',
    'ec2:TerminateInstances',
    'ec2:ModifySnapshotAttribute',
    'iam:PassRole',
    'ssm:GetParameter',
  ]);
});

describe('the roles stay with their own', () => {
  const run = (role: keyof typeof ROLES, call: Call) => evaluate(deployed(role).policies, question(call)) === 'allowed';

  test.each(PAIRS)('%s may %j, and not %j', (role, may, mayNot) => {
    expect([run(role, may), run(role, mayNot)]).toEqual([true, false]);
  });

  test.each(NEVER)('%s may not %j', (role, call) => expect(run(role, call)).toBe(false));

  test('of two repositories in one account, neither changes or is trusted with what belongs to the other', () => {
    const lab = labs[0] as Lab;
    const shop = { Subject: 'repo:acme/shop', Repository: 'acme/shop', RepositoryId: '567890', Families: 'shop', Provider: 'exists' };
    lab.deploy(DELIVERY, { stack: 'ami-shop', parameters: { ...shop, ConsumerAccounts: STAGE } });
    const groupOf = { Environment: 'stage', Pointers: '/ami/shop', Groups: 'shop*', LaunchTemplates: 'lt-2' };
    const { Repository: _, ...common } = shop;
    lab.deploy(ENVIRONMENT, { stack: 'ami-shop-stage', parameters: { ...common, ...groupOf } });
    const may = (role: string, call: Call) => evaluate(roles(lab.core).get(arn(role))?.policies ?? [], question(call)) === 'allowed';
    const of = (name: string): readonly (readonly [role: string, call: Call])[] => {
      const tags = { 'aws:ResourceTag/ami-action:repository': `acme/${name}`, 'aws:ResourceTag/ami-action:family': name };
      const tested = { 'ssm:resourceTag/ami-action:purpose': 'validate', 'ssm:resourceTag/ami-action:repository': `acme/${name}` };
      return [
        ['images', ['ec2:TerminateInstances', instance, tags]],
        ['images', ['ec2:DeregisterImage', image, tags]],
        ['images', ['ec2:DeleteSnapshot', snapshot, tags]],
        ['images', ['ec2:ModifyImageAttribute', image, tags]],
        ['images', ['ec2:ModifySnapshotAttribute', snapshot, { ...tags, 'ec2:Add/userId': STAGE }]],
        ['images', ['ssm:SendCommand', instance, tested]],
        ['images', ['iam:PassRole', arn(`ami-${name}-TestInstance`), { 'iam:PassedToService': 'ec2.amazonaws.com' }]],
        ['stage-rollout', ['ssm:PutParameter', `ssm:${region}:parameter/ami/${name}/stage`]],
        ['stage-rollout', ['autoscaling:StartInstanceRefresh', `autoscaling:${region}:autoScalingGroup:1:autoScalingGroupName/${name}`]],
        ['stage-rollout', ['ssm:SendCommand', instance, { 'ssm:resourceTag/aws:autoscaling:groupName': name }]],
      ];
    };
    for (const [own, other] of [
      ['web', 'shop'],
      ['shop', 'web'],
    ] as const) {
      expect(of(own).map(([role, call]) => may(`ami-${own}-${role}`, call))).toEqual(of(own).map(() => true));
      expect(of(other).map(([role, call]) => may(`ami-${own}-${role}`, call))).toEqual(of(other).map(() => false));
    }
    const trusts = ({ trust, arn: role }: LabRole, claims: Readonly<Record<string, string>>) =>
      evaluate(forEvaluation(trust), tokenOf(role, claims)) === 'allowed';
    const images = roles(lab.core).get(arn('ami-shop-images')) as LabRole;
    const ofShop = { sub: 'repo:acme/shop:ref:refs/heads/main', repository_id: '567890' };
    expect([trusts(images, { sub: MAIN }), trusts(images, ofShop), trusts(deployed('images'), ofShop)]).toEqual([false, true, false]);
  });

  test('images without a family are tagged only where the stack allows adoption', () => {
    const call = question(['ec2:CreateTags', image, { 'aws:RequestTag/ami-action:family': 'web' }]);
    const { core } = labs[0] as Lab;
    expect(evaluate(deployed('images').policies, call)).toBe('allowed');
    const parameters = { Subject: 'repo:acme/web', Repository: 'acme/web', RepositoryId: '456789', Families: 'web' };
    (labs[0] as Lab).deploy(DELIVERY, { stack: 'ami-strict', parameters });
    expect(evaluate(roles(core).get(arn('ami-strict-images'))?.policies ?? [], call)).toBe('implicit');
  });

  const CLAIMS = { aud: 'sts.amazonaws.com', ref: 'refs/heads/main', repository_id: '456789' };
  const tokenOf = (role: string, claims: Readonly<Record<string, string>>) =>
    question([
      'sts:AssumeRoleWithWebIdentity',
      role,
      Object.fromEntries(
        Object.entries({ ...CLAIMS, ...claims }).map(([key, value]) => [`token.actions.githubusercontent.com:${key}`, value]),
      ),
    ]);
  /** A trust policy carries no resource: it is about its role. */
  const forEvaluation = (trust: readonly Statement[]) => trust.map(statement => ({ ...statement, resources: ['*'] }));
  const MAIN = 'repo:acme/web:ref:refs/heads/main';
  const STAGE_JOB = 'repo:acme/web:environment:stage';
  const TAG = 'refs/tags/v1.2.0';
  const PIPELINE = 'org/ami-action/.github/workflows/ami-pipeline.yml@v1';

  const TOKENS: readonly (readonly [role: 'images' | 'read' | 'rollout', claims: Readonly<Record<string, string>>, trusted: boolean])[] = [
    ...(['images', 'read'] as const).flatMap(
      role =>
        [
          [role, { sub: MAIN }, true],
          [role, { sub: 'repo:acme/web:ref:refs/heads/feature', ref: 'refs/heads/feature' }, false],
          [role, { sub: `repo:acme/web:ref:${TAG}`, ref: TAG }, false],
          [role, { sub: 'repo:acme/web:pull_request', ref: 'refs/pull/1/merge' }, false],
          [role, { sub: STAGE_JOB }, false],
          [role, { sub: MAIN, ref: 'refs/heads/feature' }, false],
          [role, { sub: MAIN, repository_id: '1' }, false],
          [role, { sub: MAIN, aud: 'https://github.com/acme' }, false],
        ] as const,
    ),
    ['rollout', { sub: STAGE_JOB }, true],
    ['rollout', { sub: MAIN }, false],
    ['rollout', { sub: 'repo:acme/web:environment:prod' }, false],
    ['rollout', { sub: STAGE_JOB, ref: 'refs/heads/feature' }, false],
    ['rollout', { sub: STAGE_JOB, ref: TAG }, false],
    ['rollout', { sub: STAGE_JOB, repository_id: '1' }, false],
    ['rollout', { sub: STAGE_JOB, aud: 'https://github.com/acme' }, false],
  ];
  test.each(TOKENS)('%s trusts a token with %j: %j', (role, claims, trusted) => {
    const verdict = evaluate(forEvaluation(deployed(role).trust), tokenOf(ROLES[role], claims));
    expect(verdict === 'allowed').toBe(trusted);
  });

  const ofGithub = (role: LabRole) => role.trust.filter(({ principals }) => 'Federated' in principals);

  test.each(['images', 'read', 'rollout'] as const)('%s without any single condition of its trust, trusts another token', name => {
    const trust = ofGithub(deployed(name)).slice(0, 1);
    const kept = lesser(trust, 'condition').filter(
      one =>
        !TOKENS.some(
          ([role, claims, trusted]) =>
            role === name && !trusted && evaluate(forEvaluation(changed(one)(trust)), tokenOf(ROLES[name], claims)) === 'allowed',
        ),
    );
    expect(kept.map(({ what }) => what)).toEqual([]);
  });

  test.each([
    ['images', 'environment:pull-request'],
    ['read', 'pull_request'],
  ])('%s trusts a pull request where the stack says so, and without any single condition others too', (name, of) => {
    const lab = labs[0] as Lab;
    const parameters = { Subject: 'repo:acme/web', Repository: 'acme/web', RepositoryId: '456789', Families: 'web' };
    lab.deploy(DELIVERY, { stack: 'ami-pull', parameters: { ...parameters, PullRequests: 'build' } });
    const [, statement] = roles(lab.core).get(arn(`ami-pull-${name}`))?.trust ?? [];
    const sub = `repo:acme/web:${of}`;
    const foreign = [{ sub: STAGE_JOB }, { sub, repository_id: '1' }, { sub, aud: 'https://github.com/acme' }];
    const trusted = (trust: readonly Statement[], all: readonly Readonly<Record<string, string>>[]) =>
      all.filter(claims => evaluate(forEvaluation(trust), tokenOf(arn(`ami-pull-${name}`), claims)) === 'allowed').length;
    const trust = [statement as Statement];
    expect([trusted(trust, [{ sub }]), trusted(trust, foreign)]).toEqual([1, 0]);
    const kept = lesser(trust, 'condition').filter(one => trusted(changed(one)(trust), foreign) === 0);
    expect([lesser(trust, 'condition').length, kept]).toEqual([3, []]);
  });

  test('tags and one workflow are trusted where the stack says so', () => {
    const { core } = labs[0] as Lab;
    const common = {
      Subject: 'repo:acme/web',
      RepositoryId: '456789',
      Families: 'web',
      ReleaseTags: 'v*',
      Workflow: `${PIPELINE.slice(0, -2)}*`,
    };
    (labs[0] as Lab).deploy(DELIVERY, { stack: 'ami-tags', parameters: { ...common, Repository: 'acme/web' } });
    const group = { Environment: 'stage', Pointers: '/ami/web', Groups: 'web*', LaunchTemplates: 'lt-1' };
    (labs[0] as Lab).deploy(ENVIRONMENT, { stack: 'ami-tags-stage', parameters: { ...common, ...group } });
    const trusts = (role: string, claims: Readonly<Record<string, string>>) =>
      evaluate(forEvaluation(roles(core).get(arn(role))?.trust ?? []), tokenOf(arn(role), claims)) === 'allowed';
    const tagged = { sub: `repo:acme/web:ref:${TAG}`, ref: TAG };
    for (const role of ['ami-tags-images', 'ami-tags-read'])
      expect([
        trusts(role, { ...tagged, job_workflow_ref: PIPELINE }),
        trusts(role, { sub: MAIN, job_workflow_ref: PIPELINE }),
        trusts(role, tagged),
        trusts(role, { ...tagged, job_workflow_ref: 'acme/web/.github/workflows/own.yml@refs/tags/v1.2.0' }),
        trusts(role, { sub: 'repo:acme/web:ref:refs/tags/next', ref: 'refs/tags/next', job_workflow_ref: PIPELINE }),
      ]).toEqual([true, true, false, false, false]);
    expect([
      trusts('ami-tags-stage-rollout', { sub: STAGE_JOB, ref: TAG, job_workflow_ref: PIPELINE }),
      trusts('ami-tags-stage-rollout', { sub: STAGE_JOB, ref: TAG }),
      trusts('ami-tags-stage-rollout', { sub: STAGE_JOB, ref: 'refs/tags/next', job_workflow_ref: PIPELINE }),
    ]).toEqual([true, false, false]);
  });

  test('roles of other accounts are trusted by name', () => {
    const principals = (name: keyof typeof ROLES) => deployed(name).trust.flatMap(statement => statement.principals['AWS'] ?? []);
    expect([principals('read'), principals('share'), principals('images'), principals('rollout')]).toEqual([
      [READER],
      [ROLES.images],
      [],
      [],
    ]);
  });

  test('in China, instances are a service of another name', () => {
    const lab = labs[0] as Lab;
    const parameters = { Subject: 'repo:acme/web', Repository: 'acme/web', RepositoryId: '456789', Families: 'web' };
    lab.deploy(DELIVERY, { stack: 'ami-china', region: 'cn-north-1', parameters });
    const role = [...roles(lab.core).values()].find(one => one.name === 'ami-china-TestInstance');
    expect(role?.trust.map(({ principals }) => principals)).toEqual([{ Service: ['ec2.amazonaws.com.cn'] }]);
  });
});
