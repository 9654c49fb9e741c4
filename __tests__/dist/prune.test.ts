import type { ChildProcess } from 'node:child_process';
import {
  CreateAutoScalingGroupCommand,
  CreateLaunchConfigurationCommand,
  PutWarmPoolCommand,
  StartInstanceRefreshCommand,
} from '@aws-sdk/client-auto-scaling';
import {
  CreateLaunchTemplateCommand,
  CreateLaunchTemplateVersionCommand,
  DescribeSubnetsCommand,
  RunInstancesCommand,
  StopInstancesCommand,
} from '@aws-sdk/client-ec2';
import { LabelParameterVersionCommand, PutParameterCommand } from '@aws-sdk/client-ssm';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { fleets, spotFleets, spotRequests } from '../../lab/ec2/fleets.ts';
import { recipes } from '../../lab/ec2/image-references.ts';
import { images } from '../../lab/ec2/images.ts';
import { mishaps } from '../../lab/ec2/mishaps.ts';
import { instances, setTags } from '../../lab/ec2/state.ts';
import { parameters } from '../../lab/ssm/parameter-state.ts';
import { removeWorkspaces } from '../harness.ts';
import { type PruneLab, planOf, pruneLab } from './prune-lab.ts';

let l: PruneLab;
afterEach(() => l.lab.close());
afterAll(removeWorkspaces);

const POLICY = { 'keep-newest': '2', 'keep-passed': '0' };
const REAL = { ...POLICY, 'dry-run': 'false' };

/** Five images, 10 to 50 days old; prod runs the oldest but one. */
async function stage() {
  l = await pruneLab();
  for (const daysOld of [10, 20, 30, 40, 50]) l.image(`d${daysOld}`, { daysOld });
  await l.parameter('/ami/web/prod', l.id('d40'));
  return l;
}

describe('a family of five', () => {
  test('loses what nothing uses, snapshots included, and a second run finds nothing to do', async () => {
    await stage();
    const ran = await l.act('prune', REAL);
    expect(ran).toMatchObject({
      exitCode: 0,
      outputs: { outcome: 'done', removed: '2', kept: '3', 'freed-gib': '16', 'freed-per-month': '0.8' },
    });
    expect(planOf(l, ran)).toEqual({
      d10: 'keep: one of the newest 2',
      d20: 'keep: one of the newest 2',
      d30: 'remove: nothing uses it',
      d40: 'keep: used by parameter /ami/web/prod',
      d50: 'remove: nothing uses it',
    });
    expect([l.there(), l.orphans()]).toEqual([['d40', 'd20', 'd10'], []]);
    const again = await l.act('prune', REAL);
    expect([again.exitCode, again.outputs['outcome'], again.outputs['removed'], l.there()]).toEqual([
      0,
      'unchanged',
      '0',
      ['d40', 'd20', 'd10'],
    ]);
  });

  test('scenario 78: a dry run is what happens when nothing is said, and it prints the plan of the real run', async () => {
    await stage();
    const mark = l.lab.calls.mark();
    const planned = await l.act('prune', POLICY);
    expect(planned).toMatchObject({ exitCode: 0, outputs: { outcome: 'planned', removed: '2', kept: '3', 'freed-gib': '16' } });
    expect(l.lab.calls.since(mark).filter(({ operation }) => !/^(Describe|Get|List)/.test(operation))).toEqual([]);
    expect(l.there()).toHaveLength(5);
    const done = await l.act('prune', { ...REAL, 'plan-hash': planned.outputs['plan-hash'] ?? '' });
    expect([done.exitCode, done.outputs['plan'], done.outputs['plan-hash']]).toEqual([
      0,
      planned.outputs['plan'],
      planned.outputs['plan-hash'],
    ]);
    const tableOf = (summary: string) => summary.split('\n').filter(line => line.startsWith('|'));
    expect(tableOf(done.summary).slice(0, 7).map(ageless)).toEqual(tableOf(planned.summary).slice(0, 7).map(ageless));
    expect(l.there()).toEqual(['d40', 'd20', 'd10']);
  });

  test('scenario 78: a plan that is no longer the one that was approved is not carried out', async () => {
    await stage();
    const approved = (await l.act('prune', POLICY)).outputs['plan-hash'] ?? '';
    l.image('d60', { daysOld: 60 });
    const ran = await l.act('prune', { ...REAL, 'plan-hash': approved });
    expect([ran.exitCode, ran.outputs['outcome'], l.there()]).toEqual([1, 'rejected', ['d60', 'd50', 'd40', 'd30', 'd20', 'd10']]);
    expect(ran.errors[0]).toContain('The plan is no longer the one that was approved');
  });
});

const ageless = (line: string) => line.replace(/\| \d+[dhms][^|]*\|/, '| age |');

/** Lab time runs fast: a second of it may be no time at all for a busy machine. */
async function until(true_: () => boolean): Promise<void> {
  for (let waited = 0; !true_() && waited < 3600; waited += 30) await l.lab.clock.sleep(30);
  expect(true_()).toBe(true);
}

/** Everything that may launch an image, each with an image of its own; and two that nothing names. */
async function everyKindOfUser() {
  l = await pruneLab();
  const names = [
    ...['stopped', 'warm', 'pinned', 'override-template', 'override-image', 'configuration', 'by-name', 'by-version', 'by-label', 'by-arn'],
    ...[
      'before',
      'longer-ago',
      'candidate',
      'note',
      'desired',
      'previous',
      'default',
      'latest',
      'fleet',
      'fleet-override',
      'spot-fleet',
      'spot-request',
      'unused-1',
      'unused-2',
      'too-long-ago',
    ],
  ];
  for (const [n, name] of names.entries()) l.image(name, { daysOld: 30 + n });
  const { ec2, autoScaling, ssm } = l.cloud;
  const template = async (name: string, ...versions: readonly string[]): Promise<string> => {
    const [first, ...more] = versions.map(ImageId => ({ ImageId, InstanceType: 't3.micro' as const }));
    const made = await ec2.send(new CreateLaunchTemplateCommand({ LaunchTemplateName: name, LaunchTemplateData: first }));
    const LaunchTemplateId = made.LaunchTemplate?.LaunchTemplateId ?? '';
    for (const LaunchTemplateData of more) await ec2.send(new CreateLaunchTemplateVersionCommand({ LaunchTemplateId, LaunchTemplateData }));
    return LaunchTemplateId;
  };
  const { Subnets = [] } = await ec2.send(new DescribeSubnetsCommand({}));
  const group = (AutoScalingGroupName: string, launch: object, DesiredCapacity = 0) =>
    autoScaling.send(
      new CreateAutoScalingGroupCommand({
        ...{ AutoScalingGroupName, MinSize: 0, MaxSize: 4, DesiredCapacity, VPCZoneIdentifier: Subnets[0]?.SubnetId, ...launch },
      }),
    );
  const other = [...images(l.lab.place('137112412989')).keys()][0] ?? '';

  const { Instances = [] } = await ec2.send(
    new RunInstancesCommand({ ImageId: l.id('stopped'), InstanceType: 't3.micro', MinCount: 1, MaxCount: 1 }),
  );
  await until(() => [...instances(l.home).values()].every(({ state }) => state === 'running'));
  await ec2.send(new StopInstancesCommand({ InstanceIds: Instances.map(({ InstanceId = '' }) => InstanceId) }));

  const warm = await template('warm', other, l.id('warm'), other);
  await group('warm', { LaunchTemplate: { LaunchTemplateId: warm, Version: '2' }, MaxSize: 1 });
  await autoScaling.send(new PutWarmPoolCommand({ AutoScalingGroupName: 'warm', MinSize: 1, PoolState: 'Stopped' }));

  // Version 2 of 14: deeper than the ten that DescribeImageReferences looks at by default.
  const pinned = await template('pinned', other, l.id('pinned'), ...Array.from({ length: 12 }, () => other));
  await group('pinned', { LaunchTemplate: { LaunchTemplateId: pinned, Version: '2' } });
  const [plain, own] = [await template('plain', other), await template('own', other, l.id('override-template'), other)];
  const mixed = (Overrides: object[]) => ({
    MixedInstancesPolicy: { LaunchTemplate: { LaunchTemplateSpecification: { LaunchTemplateId: plain, Version: '1' }, Overrides } },
  });
  await group('mixed', mixed([{ InstanceType: 't3.small', LaunchTemplateSpecification: { LaunchTemplateId: own, Version: '2' } }]));
  await group('mixed-image', mixed([{ InstanceType: 't3.small', ImageId: l.id('override-image') }]));
  await autoScaling.send(
    new CreateLaunchConfigurationCommand({ LaunchConfigurationName: 'old', ImageId: l.id('configuration'), InstanceType: 't3.micro' }),
  );

  await l.parameter('/golden/a', l.id('by-version'), l.id('by-label'), l.id('by-name'));
  await l.parameter('/golden/b', l.id('by-arn'));
  await ssm.send(new LabelParameterVersionCommand({ Name: '/golden/a', ParameterVersion: 2, Labels: ['stable'] }));
  const arn = `arn:aws:ssm:${l.home.region}:${l.home.account}:parameter/golden/b`;
  for (const [n, said] of ['/golden/a', '/golden/a:1', '/golden/a:stable', arn].entries())
    await template(`reads-${n}`, `resolve:ssm:${said}`);

  await l.parameter('/ami/web/prod', l.id('too-long-ago'), l.id('longer-ago'), l.id('before'), other);
  await l.parameter('/ami/web/stage/candidate', l.id('candidate'));
  await l.parameter('/notes/images', JSON.stringify({ please: ['keep', l.id('note')] }));

  const rolling = await template('rolling', other, l.id('previous'), l.id('desired'), other);
  await group('rolling', { LaunchTemplate: { LaunchTemplateId: rolling, Version: '2' } }, 1);
  const states = (name: string) =>
    [...instances(l.home).values()].filter(({ imageId }) => imageId === l.id(name)).map(({ state }) => state);
  await until(() => states('previous').includes('running'));
  await autoScaling.send(
    new StartInstanceRefreshCommand({
      AutoScalingGroupName: 'rolling',
      DesiredConfiguration: { LaunchTemplate: { LaunchTemplateId: rolling, Version: '3' } },
      Preferences: { BakeTime: 172_800, SkipMatching: false },
    }),
  );
  const fleet = await template('fleet', other, l.id('fleet'), other);
  const config = (ImageId: string) => [
    { LaunchTemplateSpecification: { LaunchTemplateId: fleet, Version: '2' }, Overrides: [{ ImageId }] },
  ];
  fleets(l.home).push(
    { FleetId: 'fleet-1', FleetState: 'active', Type: 'maintain', LaunchTemplateConfigs: config(l.id('fleet-override')) },
    { FleetId: 'fleet-2', FleetState: 'deleted', Type: 'maintain', LaunchTemplateConfigs: config(l.id('unused-1')) },
  );
  const spotFleet = { IamFleetRole: 'role', TargetCapacity: 1, LaunchSpecifications: [{ ImageId: l.id('spot-fleet') }] };
  spotFleets(l.home).push({ SpotFleetRequestId: 'sfr-1', SpotFleetRequestState: 'active', SpotFleetRequestConfig: spotFleet });
  spotRequests(l.home).push({ SpotInstanceRequestId: 'sir-1', State: 'open', LaunchSpecification: { ImageId: l.id('spot-request') } });
  await template('current', l.id('default'), other, l.id('latest'));
  await until(() => states('stopped').includes('stopped') && states('warm').includes('stopped'));
}

test('older launch template versions count as far back as is said', async () => {
  l = await pruneLab();
  for (const [n, name] of ['newest', 'v3', 'v2', 'v1'].entries()) l.image(name, { daysOld: 10 + n });
  const data = (name: string) => ({ LaunchTemplateData: { ImageId: l.id(name), InstanceType: 't3.micro' as const } });
  await l.cloud.ec2.send(new CreateLaunchTemplateCommand({ LaunchTemplateName: 'web', ...data('newest') }));
  for (const name of ['v1', 'v2', 'v3', 'newest']) {
    await l.cloud.ec2.send(new CreateLaunchTemplateVersionCommand({ LaunchTemplateName: 'web', ...data(name) }));
  }
  const ran = await l.act('prune', { ...REAL, 'keep-newest': '1', 'template-depth': '3' });
  expect([ran.exitCode, l.there()]).toEqual([0, ['v2', 'v3', 'newest']]);
  expect(planOf(l, ran)['v2']).toBe('keep: used by launch template web version 3 (recent)');
});

test('scenario 67: an image stays that only one of these can launch, and what none can launch goes', async () => {
  await everyKindOfUser();
  const ran = await l.act('prune', { 'keep-newest': '1', 'keep-passed': '0', 'rollback-depth': '2', 'dry-run': 'false' });
  expect(ran).toMatchObject({ exitCode: 0, outputs: { outcome: 'done', removed: '3' } });
  const plan = planOf(l, ran);
  expect(Object.keys(plan).filter(name => plan[name]?.startsWith('remove'))).toEqual(['unused-1', 'unused-2', 'too-long-ago']);
  expect(l.there()).toEqual(
    Object.keys(plan)
      .filter(name => !['unused-1', 'unused-2', 'too-long-ago'].includes(name))
      .reverse(),
  );
  expect(l.orphans()).toEqual([]);
  const because = (name: string) => plan[name]?.replace(/i-0[0-9a-f]{16}/g, 'i-?').replace(/refresh [0-9a-f-]{36}/, 'refresh ?');
  expect(Object.fromEntries(Object.keys(plan).map(name => [name, because(name)]))).toMatchObject({
    stopped: 'keep: used by instance i-? (stopped)',
    warm: expect.stringContaining('instance i-? (stopped)'),
    pinned: 'keep: used by group pinned, by version 2 of launch template pinned',
    'override-template': 'keep: used by group mixed, by version 2 of launch template own',
    'override-image': 'keep: used by group mixed-image',
    configuration: 'keep: used by launch configuration old',
    'by-name': expect.stringContaining('launch template reads-0 version 1 (default and latest)'),
    'by-version': 'keep: used by launch template reads-1 version 1 (default and latest)',
    'by-label': 'keep: used by launch template reads-2 version 1 (default and latest)',
    'by-arn': expect.stringContaining('launch template reads-3 version 1 (default and latest)'),
    before: 'keep: used by parameter /ami/web/prod, to roll back to',
    'longer-ago': 'keep: used by parameter /ami/web/prod, to roll back to',
    candidate: 'keep: used by parameter /ami/web/stage/candidate',
    note: 'keep: used by parameter /notes/images',
    desired: expect.stringMatching(/refresh \? of group rolling \((InProgress|Baking)\), by version 3 of launch template rolling/),
    previous: expect.stringContaining('group rolling, by version 2 of launch template rolling'),
    fleet: 'keep: used by fleet fleet-1, by version 2 of launch template fleet',
    'fleet-override': 'keep: used by fleet fleet-1',
    'spot-fleet': 'keep: used by Spot fleet sfr-1',
    'spot-request': 'keep: used by Spot request sir-1',
    default: 'keep: used by launch template current version 1 (default)',
    latest: 'keep: used by launch template current version 3 (latest)',
  });
});

test('scenario 67: an image stays that only a recipe of Image Builder builds upon', async () => {
  await stage();
  const arn = `arn:aws:imagebuilder:${l.home.region}:${l.home.account}:image-recipe/web/1.0.0`;
  recipes(l.home).set(arn, l.id('d50'));
  const ran = await l.act('prune', REAL);
  expect([ran.exitCode, l.there()]).toEqual([0, ['d50', 'd40', 'd20', 'd10']]);
  expect(planOf(l, ran)['d50']).toBe(`keep: used by ${arn.replace(/\d{8}(\d{4})/, '…$1')}, as AWS says`);
});

test('classes of the repository’s file decide before the policy, and ancestors of kept images stay when that is said', async () => {
  l = await pruneLab();
  const pull = { 'ami-action:ref': 'refs/pull/7/merge' };
  l.image('main1', { daysOld: 10 });
  l.image('base', { daysOld: 90 });
  l.image('main2', { daysOld: 20, tags: { 'ami-action:base-ami': l.id('base') } });
  l.image('main3', { daysOld: 30 });
  l.image('pull1', { daysOld: 1, tags: pull });
  l.image('pull2', { daysOld: 3, tags: pull });
  await l.parameter('/ami/web/prod', l.id('main1'));
  const classes = [
    'classes:',
    '  - name: pull request',
    '    tags: { ami-action:ref: refs/pull/* }',
    '    keep-newest: 0',
    '    minimum-age: 2d',
  ];
  const files = { '.github/ami.yml': classes.join('\n') };
  const ran = await l.act('prune', { ...REAL, 'keep-ancestors': 'true' }, { files });
  expect([ran.exitCode, l.there()]).toEqual([0, ['base', 'main2', 'main1', 'pull1']]);
  expect(planOf(l, ran)).toMatchObject({
    pull1: 'keep: younger than minimum-age',
    pull2: 'remove: nothing uses it',
    main2: 'keep: one of the newest 2',
    main3: 'remove: nothing uses it',
    base: 'keep: main2 was built from it',
  });
});

test('what images of other families were built from stays, too, where ancestors are to stay', async () => {
  await stage();
  const api = { 'ami-action:family': 'api', 'ami-action:base-ami': l.id('d50') };
  l.image('api', { daysOld: 1, tags: api });
  const ran = await l.act('prune', { ...REAL, 'keep-ancestors': 'true' });
  expect([ran.exitCode, l.there()]).toEqual([0, ['d50', 'd40', 'd20', 'd10', 'api']]);
  expect(planOf(l, ran)['d50']).toBe('keep: used by api, which was built from it');
});

test('the summary shows first what is done, at most 500 images, and the result below them', async () => {
  l = await pruneLab({ pageSize: undefined });
  for (let n = 0; n < 502; n++) l.image(`d${n}`, { daysOld: 10 + n });
  await l.parameter('/ami/web/prod', l.id('d500'));
  const ran = await l.act('prune', { ...REAL, 'max-removals': '1', 'keep-newest': '1' });
  expect([ran.exitCode, ran.outputs['removed'], ran.outputs['kept']]).toEqual([0, '1', '501']);
  const rows = ran.summary.split('\n').filter(line => line.includes('`ami-'));
  expect([rows.length, l.named(rows[0] ?? '').includes('🗑️ **remove** | `d501` |')]).toEqual([500, true]);
  expect(rows[0]).toMatch(/ \| 8 \| \$0\.40 \| nothing uses it \|$/);
  const below = ran.summary.slice(ran.summary.indexOf(rows[499] ?? '?'));
  expect(below).toContain('And 2 more images: the log names each, with its reason.');
  expect(below).toContain('✅ **1 of 1 planned image removed**, which saves at most 8 GiB, $0.40 a month.');
});

describe('scenario 66: what cannot be read counts as in use', () => {
  const SOURCES = [
    ['ec2', 'DescribeInstances', 'UnauthorizedOperation', 'describe instances (ec2:DescribeInstances)'],
    [
      'ec2',
      'DescribeLaunchTemplateVersions',
      'UnauthorizedOperation',
      'describe launch template versions (ec2:DescribeLaunchTemplateVersions)',
    ],
    ['ec2', 'DescribeImageReferences', 'UnauthorizedOperation', 'describe the references of images (ec2:DescribeImageReferences)'],
    ['ec2', 'DescribeImageAttribute', 'UnauthorizedOperation', /see who ami-\w+ is shared with \(ec2:DescribeImageAttribute\)/],
    ['ec2', 'DescribeFleets', 'UnauthorizedOperation', 'describe fleets (ec2:DescribeFleets)'],
    ['ec2', 'DescribeSpotFleetRequests', 'UnauthorizedOperation', 'describe Spot fleets (ec2:DescribeSpotFleetRequests)'],
    ['ec2', 'DescribeSpotInstanceRequests', 'UnauthorizedOperation', 'describe Spot requests (ec2:DescribeSpotInstanceRequests)'],
    ['autoscaling', 'DescribeAutoScalingGroups', 'AccessDenied', 'describe Auto Scaling groups (autoscaling:DescribeAutoScalingGroups)'],
    [
      'autoscaling',
      'DescribeLaunchConfigurations',
      'AccessDenied',
      'describe launch configurations (autoscaling:DescribeLaunchConfigurations)',
    ],
    [
      'autoscaling',
      'DescribeInstanceRefreshes',
      'AccessDenied',
      'describe the instance refreshes of web (autoscaling:DescribeInstanceRefreshes)',
    ],
    ['ssm', 'DescribeParameters', 'AccessDeniedException', 'list parameters (ssm:DescribeParameters)'],
    ['ssm', 'GetParameters', 'AccessDeniedException', 'read the parameters /ami/web/prod (ssm:GetParameters)'],
    ['ssm', 'GetParameterHistory', 'AccessDeniedException', 'read the history of /ami/web/prod (ssm:GetParameterHistory)'],
  ] as const;

  test('each source, when it is denied, stops everything and names the permission', async () => {
    await stage();
    const { Subnets = [] } = await l.cloud.ec2.send(new DescribeSubnetsCommand({}));
    await l.cloud.ec2.send(
      new CreateLaunchTemplateCommand({
        LaunchTemplateName: 'web',
        LaunchTemplateData: { ImageId: l.id('d10'), InstanceType: 't3.micro' },
      }),
    );
    await l.cloud.autoScaling.send(
      new CreateAutoScalingGroupCommand({
        ...{ AutoScalingGroupName: 'web', MinSize: 0, MaxSize: 1, VPCZoneIdentifier: Subnets[0]?.SubnetId },
        LaunchTemplate: { LaunchTemplateName: 'web', Version: '1' },
      }),
    );
    for (const [service, operation, error, says] of SOURCES) {
      const lift = l.lab.faults.add({ service, operation, deed: { error, message: 'You may not.', status: 403 } });
      const ran = await l.act('prune', REAL);
      lift();
      expect([operation, ran.exitCode, ran.outputs['outcome']]).toEqual([operation, 1, 'access']);
      expect(ran.errors[0]).toMatch(says instanceof RegExp ? says : `Not allowed to ${says}: ${error}: You may not.`);
      expect(ran.warnings).toEqual(['Nothing was removed: what cannot be read counts as in use.']);
    }
    expect(l.there()).toHaveLength(5);
    expect(l.lab.calls.count('DeregisterImage')).toBe(0);
  });

  test.each([
    [
      'an outage of a zone',
      'DescribeInstances',
      { error: 'InternalError', message: 'An internal error has occurred', status: 500 },
      'timeout',
    ],
    ['throttling that does not end', 'DescribeInstances', { refuse: 'throttled' }, 'timeout'],
    ['a region without the API', 'DescribeImageReferences', { error: 'InvalidAction', message: 'not valid here', status: 400 }, 'rejected'],
  ] as const)('%s stops everything too', async (_, operation, deed, outcome) => {
    await stage();
    l.lab.faults.add({ operation, deed });
    const ran = await l.act('prune', REAL);
    expect([ran.exitCode, ran.outputs['outcome'], l.there().length]).toEqual([1, outcome, 5]);
    expect(ran.errors[0]).toContain(`ec2:${operation}`);
  });

  test('a page that comes twice is no complete listing', async () => {
    await stage();
    await l.parameter('/a/1', 'x');
    for (let n = 0; n < 3; n++)
      await l.cloud.ec2.send(new RunInstancesCommand({ ImageId: l.id('d40'), InstanceType: 't3.micro', MinCount: 1, MaxCount: 1 }));
    l.lab.faults.add({
      operation: 'DescribeInstances',
      when: ({ input }) => input['NextToken'] !== undefined,
      deed: { error: 'InvalidNextToken' },
    });
    const ran = await l.act('prune', REAL);
    expect([ran.exitCode, l.there().length]).toEqual([1, 5]);
  });
});

describe('snapshots', () => {
  test('scenario 71: one that another image has too stays, and that is no error', async () => {
    await stage();
    l.image('twin', { daysOld: 5, snapshotOf: 'd50' });
    const ran = await l.act('prune', REAL);
    expect([ran.exitCode, ran.outputs['outcome'], l.there(), l.orphans()]).toEqual([0, 'done', ['d40', 'd10', 'twin'], []]);
  });

  test.each(['missing-permissions', 'internal-error', 'client-error'] as const)(
    'scenario 71: %s fails the job, and the list of what is left is whole',
    async code => {
      await stage();
      const snapshotId = `snap-${l.id('d50').slice('ami-'.length)}`;
      mishaps(l.home).snapshotDeletion.set(snapshotId, code);
      const ran = await l.act('prune', REAL);
      expect([ran.exitCode, ran.outputs['outcome'], ran.outputs['removed']]).toEqual([
        1,
        code === 'missing-permissions' ? 'access' : 'rejected',
        '2',
      ]);
      expect([l.there(), l.orphans()]).toEqual([['d40', 'd20', 'd10'], [snapshotId]]);
      expect(ran.errors[0]).toContain(`2 of 2 images were removed; one thing is left undone.`);
      expect(ran.errors[0]).toContain(`- snapshot ${snapshotId} of ${l.id('d50')} (${code})`);
      expect(ran.errors[0]).toContain(`Next: aws ec2 delete-snapshot --snapshot-id ${snapshotId}`);
    },
  );
});

test('scenario 73: deregistration protection and its cooldown are reasons to keep, no failures', async () => {
  await stage();
  l.labImage('d50').protection = { enabled: true, cooldown: true, until: undefined };
  l.labImage('d30').protection = { enabled: false, cooldown: true, until: new Date(l.lab.clock.now() + 86_400_000) };
  const ran = await l.act('prune', REAL);
  expect([ran.exitCode, ran.outputs['outcome'], l.there().length]).toEqual([0, 'unchanged', 5]);
  expect(planOf(l, ran)).toMatchObject({ d50: 'keep: protected from deregistration', d30: 'keep: protected from deregistration' });
});

test('scenario 73: protection that came after the plan was made keeps the image, and the job stays green', async () => {
  await stage();
  const protect = () => {
    l.labImage('d50').protection = { enabled: true, cooldown: false, until: undefined };
  };
  l.lab.faults.add({ operation: 'DeregisterImage', nth: 1, deed: { run: protect, at: 'before' } });
  const ran = await l.act('prune', { ...REAL, 'max-removals': '1' });
  expect([ran.exitCode, ran.outputs['outcome'], ran.outputs['removed'], l.there().length]).toEqual([0, 'done', '0', 5]);
  expect(l.named(ran.log)).toContain('d50 stays');
});

describe('scenario 74: a policy that would take too much is refused', () => {
  test('nothing left to go back to, a family that is none, and numbers that are none', async () => {
    await stage();
    const cases = [
      [{ 'keep-newest': '0' }, '"keep-newest" must be at least 1, got "0": that would leave nothing to go back to'],
      [{ 'keep-newest': '-1' }, '"keep-newest" must be a whole number from 0 to 10000, got "-1"'],
      [{ family: '*' }, '"family" must be 1 to 100 letters'],
      [{ family: '' }, '"family" is missing'],
      [{ 'max-share': '101' }, '"max-share" must be a whole number from 1 to 100, got "101"'],
      [{ 'max-removals': '0' }, '"max-removals" must be a whole number from 1 to 100000, got "0"'],
      [{ 'minimum-age': '7' }, '"minimum-age" must be a duration such as 90s, 45m, 1h30m or 2d, got "7"'],
      [
        { classes: '- {name: all, tags: {ami-action:family: "*"}, keep-newest: 0}' },
        'must name at least one tag with a value that not everything fits',
      ],
      [{ family: 'wbe' }, '"family": no image in eu-central-1 is tagged ami-action:family=wbe. Families there: web.'],
    ] as const;
    for (const [wrong, says] of cases) {
      const ran = await l.act('prune', { ...REAL, ...wrong });
      expect([ran.exitCode, ran.outputs['outcome']]).toEqual([1, 'usage']);
      expect(ran.errors[0]).toContain(says);
    }
    expect([l.there().length, l.lab.calls.count('DeregisterImage')]).toEqual([5, 0]);
  });

  test('so few in use that it must be the wrong place', async () => {
    await stage();
    const ran = await l.act('prune', { ...REAL, 'min-in-use': '2' });
    expect([ran.exitCode, ran.outputs['outcome'], l.there().length]).toEqual([1, 'rejected', 5]);
    expect(ran.errors[0]).toContain('Only 1 of 5 images of web are in use, and "min-in-use" expects 2. Nothing was removed.');
  });

  test('a family that is given up goes whole when that is said', async () => {
    l = await pruneLab();
    for (const daysOld of [10, 20, 30]) l.image(`d${daysOld}`, { daysOld });
    const wanted = { 'keep-newest': '0', 'keep-passed': '0', 'retire-family': 'true', 'max-share': '100', 'dry-run': 'false' };
    const ran = await l.act('prune', wanted);
    expect([ran.exitCode, l.there(), l.orphans()]).toEqual([0, [], []]);
  });

  test('no more than so many, and no larger a share, in one run; the next run goes on', async () => {
    await stage();
    await l.act('prune', { ...REAL, 'keep-newest': '1', 'max-removals': '1' });
    expect(l.there()).toEqual(['d40', 'd30', 'd20', 'd10']);
    await l.act('prune', { ...REAL, 'keep-newest': '1', 'max-share': '20' });
    expect(l.there()).toEqual(['d40', 'd20', 'd10']);
  });
});

test('scenario 76: public, shared, foreign and backup images are never touched, whatever their tags say', async () => {
  await stage();
  const other = '999999999999';
  l.image('public', { daysOld: 60, change: { launchers: new Set(['all']) } });
  l.image('shared', { daysOld: 61, change: { launchers: new Set([other]) } });
  l.image('organization', { daysOld: 62, change: { launchers: new Set(['arn:aws:organizations::111122223333:organization/o-1']) } });
  l.image('theirs', { daysOld: 63, account: other, change: { launchers: new Set([l.home.account]) } });
  setTags(l.home, l.id('theirs'), { 'ami-action:family': 'web' });
  l.image('backup', { daysOld: 64, tags: { 'aws:backup:source-resource': 'i-1' } });
  l.image('api', { daysOld: 65, tags: { 'ami-action:family': 'api' } });
  l.image('kept', { daysOld: 66, tags: { 'ami-action:keep': 'for the audit' } });
  const ran = await l.act('prune', REAL);
  expect([ran.exitCode, ran.outputs['removed']]).toEqual([0, '2']);
  expect(l.there()).toEqual(['kept', 'api', 'backup', 'organization', 'shared', 'public', 'd40', 'd20', 'd10']);
  expect(l.there(l.lab.place(other))).toEqual(['theirs']);
  expect(planOf(l, ran)).toMatchObject({
    public: 'keep: public: anybody may use it',
    shared: `keep: used by account …9999, which it is shared with and which cannot be looked into`,
    organization: expect.stringContaining('organization/o-1, which it is shared with'),
    backup: 'keep: belongs to AWS Backup',
    kept: 'keep: tagged ami-action:keep',
  });
});

describe('scenario 77: what is gone already is as it should be', () => {
  test.each(['InvalidAMIID.NotFound', 'InvalidAMIID.Unavailable'])('%s is a success', async error => {
    await stage();
    const gone = () => {
      l.labImage('d50').state = 'deregistered';
    };
    l.lab.faults.add({
      operation: 'DeregisterImage',
      when: ({ input }) => input['ImageId'] === l.id('d50'),
      deed: { run: gone, at: 'before' },
    });
    l.lab.faults.add({ operation: 'DeregisterImage', when: ({ input }) => input['ImageId'] === l.id('d50'), deed: { error } });
    const ran = await l.act('prune', REAL);
    expect([ran.exitCode, ran.outputs['outcome'], ran.outputs['removed'], ran.errors]).toEqual([0, 'done', '2', []]);
    expect(l.named(ran.log)).toContain('d50 was gone already.');
    expect(l.there()).toEqual(['d40', 'd20', 'd10']);
  });
});

describe('between the plan and the deed', () => {
  test('an image that somebody launches stays', async () => {
    await stage();
    const launch = async () => {
      await l.cloud.ec2.send(new RunInstancesCommand({ ImageId: l.id('d50'), InstanceType: 't3.micro', MinCount: 1, MaxCount: 1 }));
    };
    l.lab.faults.add({ operation: 'DescribeImageAttribute', nth: 2, deed: { run: launch, at: 'after' } });
    const ran = await l.act('prune', REAL);
    expect([ran.exitCode, ran.outputs['removed'], l.there()]).toEqual([0, '1', ['d50', 'd40', 'd20', 'd10']]);
    expect(l.named(ran.log)).toMatch(/d50 stays, since the plan was made: used by instance i-\w+/);
  });

  test('an image that a promotion announces stays', async () => {
    await stage();
    const announce = () => l.parameter('/ami/web/stage/candidate', l.id('d50'));
    l.lab.faults.add({ operation: 'DescribeImageAttribute', nth: 2, deed: { run: announce, at: 'after' } });
    const ran = await l.act('prune', REAL);
    expect([ran.exitCode, l.there()]).toEqual([0, ['d50', 'd40', 'd20', 'd10']]);
  });

  test('a second look that is refused removes nothing and says what is left', async () => {
    await stage();
    l.lab.faults.add({ operation: 'DescribeInstances', nth: 2, deed: { error: 'UnauthorizedOperation', status: 403 } });
    const ran = await l.act('prune', REAL);
    expect([ran.exitCode, ran.outputs['outcome'], ran.outputs['removed'], l.there().length]).toEqual([1, 'access', '0', 5]);
    expect(l.named(ran.errors[0] ?? '')).toContain('- image d50: Not allowed to describe instances (ec2:DescribeInstances)');
  });
});

test('cancelled in the middle, it ends what it has begun, and says what is left', async () => {
  l = await pruneLab();
  for (let n = 0; n < 20; n++) l.image(`d${n}`, { daysOld: 10 + n });
  await l.parameter('/ami/web/prod', l.id('d0'));
  let child: ChildProcess | undefined;
  const cancel = async () => {
    child?.kill('SIGINT');
    await new Promise(done => setTimeout(done, 200));
  };
  l.lab.faults.add({ operation: 'DeregisterImage', nth: 3, deed: { run: cancel, at: 'before' } });
  const onStart = (started: ChildProcess) => {
    child = started;
  };
  const ran = await l.act('prune', REAL, { onStart });
  const removed = Number(ran.outputs['removed']);
  expect([ran.exitCode, ran.outputs['outcome'], l.there().length]).toEqual([1, 'cancelled', 20 - removed]);
  expect([removed >= 3, removed < 16, l.orphans()]).toEqual([true, true, []]);
  expect(ran.errors[0]?.split('\n').filter(line => line.startsWith('- image ')).length).toBe(16 - removed);
  await l.act('prune', REAL);
  expect(l.there()).toHaveLength(2);
});

test('one that cannot be removed does not stop the others, and the job is red', async () => {
  await stage();
  l.lab.faults.add({
    operation: 'DeregisterImage',
    when: ({ input }) => input['ImageId'] === l.id('d30'),
    deed: { error: 'UnauthorizedOperation', message: 'You may not.', status: 403 },
  });
  const ran = await l.act('prune', REAL);
  expect([ran.exitCode, ran.outputs['outcome'], ran.outputs['removed'], l.there()]).toEqual([
    1,
    'access',
    '1',
    ['d40', 'd30', 'd20', 'd10'],
  ]);
  expect(l.named(ran.errors[0] ?? '')).toContain(
    '1 of 2 images were removed; one thing is left undone.\nLeft behind:\n- image d30: Not allowed to deregister d30',
  );
});

describe('in several regions', () => {
  const BOTH = { ...REAL, regions: 'us-east-1' };
  const build = (name: string) => ({ 'ami-action:commit': `${name}-commit`, 'ami-action:fingerprint': `${name}-print` });

  test('each keeps its newest, and the copies of one image go together or not at all', async () => {
    l = await pruneLab();
    const there = l.lab.place(undefined, 'us-east-1');
    for (const daysOld of [10, 20, 30, 40]) {
      l.image(`eu${daysOld}`, { daysOld, tags: build(`${daysOld}`) });
      l.image(`us${daysOld}`, { daysOld: daysOld - 1, region: 'us-east-1', tags: build(`${daysOld}`) });
    }
    await l.parameter('/ami/web/prod', l.id('eu40'));
    const ran = await l.act('prune', BOTH);
    expect(ran).toMatchObject({ exitCode: 0, outputs: { outcome: 'done', removed: '2', kept: '6' } });
    expect([l.there(), l.there(there)]).toEqual([
      ['eu40', 'eu20', 'eu10'],
      ['us40', 'us20', 'us10'],
    ]);
    expect([l.orphans(), l.orphans(there)]).toEqual([[], []]);
    expect(planOf(l, ran)['us40']).toBe('keep: its copy eu40 in eu-central-1 stays: used by parameter /ami/web/prod');
  });

  test('one region that cannot be read saves the images of all', async () => {
    l = await pruneLab();
    for (const daysOld of [10, 20, 30]) {
      l.image(`eu${daysOld}`, { daysOld });
      l.image(`us${daysOld}`, { daysOld, region: 'us-east-1' });
    }
    await l.parameter('/ami/web/prod', l.id('eu30'));
    l.lab.faults.add({ operation: 'DescribeLaunchConfigurations', region: 'us-east-1', deed: { error: 'AccessDenied', status: 403 } });
    const ran = await l.act('prune', { ...BOTH, 'keep-newest': '1' });
    expect([ran.exitCode, ran.outputs['outcome'], l.there().length]).toEqual([1, 'access', 3]);
  });
});

describe('an image that is shared with another account', () => {
  const CONSUMER = '222222222222';
  const SHARED = { ...REAL, 'target-role': 'arn:aws:iam::{account}:role/ami-consumer' };
  const consumer = () => l.lab.place(CONSUMER);

  /** Both old images are shared; the other account boots one of them. */
  async function stageShared() {
    await stage();
    for (const name of ['d30', 'd50']) l.labImage(name).launchers.add(CONSUMER);
    const theirs = l.cloudOf(CONSUMER);
    await theirs.ssm.send(new PutParameterCommand({ Name: '/ami/web/prod', Value: l.id('d30'), Type: 'String' }));
  }

  test('stays while that account uses it, and goes when it does not', async () => {
    await stageShared();
    const ran = await l.act('prune', SHARED);
    expect([ran.exitCode, l.there()]).toEqual([0, ['d40', 'd30', 'd20', 'd10']]);
    expect(planOf(l, ran)).toMatchObject({
      d30: `keep: used by parameter /ami/web/prod in account …2222`,
      d50: 'remove: nothing uses it',
    });
    parameters(consumer()).clear();
    await l.act('prune', SHARED);
    expect(l.there()).toEqual(['d40', 'd20', 'd10']);
  });

  test('scenario 67: stays when that account cannot be read, wholly or in part', async () => {
    await stageShared();
    parameters(consumer()).clear();
    const denied = { deed: { error: 'AccessDenied', message: 'no', status: 403 } } as const;
    for (const rule of [
      { ...denied, operation: 'AssumeRole' },
      { ...denied, operation: 'DescribeAutoScalingGroups', account: CONSUMER },
    ]) {
      const lift = l.lab.faults.add(rule);
      const ran = await l.act('prune', SHARED);
      lift();
      expect([ran.exitCode, l.there().length]).toEqual([0, 5]);
      expect(planOf(l, ran)['d30']).toContain(
        `keep: used by account …2222, which it is shared with and which cannot be looked into: Not allowed to `,
      );
    }
  });

  test('stays when the role that is given belongs to another account: what it sees says nothing of this one', async () => {
    await stageShared();
    const ran = await l.act('prune', { ...REAL, 'target-role': 'arn:aws:iam::444444444444:role/ami-consumer' });
    expect([ran.exitCode, l.there().length]).toEqual([0, 5]);
    expect(planOf(l, ran)['d50']).toBe(`keep: used by account …2222, which it is shared with and which cannot be looked into`);
  });

  test('stays when that account comes to use it after the plan was made', async () => {
    await stageShared();
    parameters(consumer()).clear();
    const use = async () => {
      await l.cloudOf(CONSUMER).ssm.send(new PutParameterCommand({ Name: '/ami/web/prod/candidate', Value: l.id('d50'), Type: 'String' }));
    };
    // The last call of the plan; the next are those of the second look.
    l.lab.faults.add({ operation: 'DescribeLaunchTemplateVersions', account: CONSUMER, nth: 1, deed: { run: use, at: 'after' } });
    const ran = await l.act('prune', SHARED);
    expect([ran.exitCode, l.there()]).toEqual([0, ['d50', 'd40', 'd20', 'd10']]);
    expect(l.named(ran.log)).toContain(
      `d50 stays, since the plan was made: used by parameter /ami/web/prod/candidate in account ${CONSUMER}`,
    );
  });
});

describe('scenario 68: the usage report', () => {
  const WITH_REPORTS = { ...REAL, 'usage-reports': 'true' };

  test('that names another account keeps the image', async () => {
    await stage();
    // Shared once, launched there, and no longer shared: nothing else can see that.
    l.labImage('d50').launchers.add('333333333333');
    await l
      .cloudOf('333333333333')
      .ec2.send(new RunInstancesCommand({ ImageId: l.id('d50'), InstanceType: 't3.micro', MinCount: 1, MaxCount: 1 }));
    l.labImage('d50').launchers.clear();
    const ran = await l.act('prune', WITH_REPORTS);
    expect([ran.exitCode, l.there()]).toEqual([0, ['d50', 'd40', 'd20', 'd10']]);
    expect(planOf(l, ran)['d50']).toBe('keep: used by 1 ec2:Instance in account …3333, as AWS reports');
  });

  test('that ends in an error, or never comes, keeps the image', async () => {
    await stage();
    mishaps(l.home).usageReportsFail = true;
    const failed = await l.act('prune', WITH_REPORTS);
    expect(planOf(l, failed)['d50']).toBe('keep: used by somebody, perhaps: its usage report ended in an error');
    l.lab.faults.add({ operation: 'DescribeImageUsageReports', deed: { stale: true } });
    const late = await l.act('prune', { ...WITH_REPORTS, 'keep-newest': '3' });
    expect(planOf(l, late)['d50']).toMatch(/^keep: used by somebody, perhaps: its usage report (did not come|ended in an error)$/);
    expect(l.there()).toHaveLength(5);
  });
});
