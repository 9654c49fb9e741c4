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
import { LabelParameterVersionCommand } from '@aws-sdk/client-ssm';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { fleets, spotFleets, spotRequests } from '../../lab/ec2/fleets.ts';
import { recipes } from '../../lab/ec2/image-references.ts';
import { images } from '../../lab/ec2/images.ts';
import { instances } from '../../lab/ec2/state.ts';
import { removeWorkspaces } from '../harness.ts';
import { afterThePlan, familyOfFive, type PruneLab, planOf, pruneLab, REAL } from './prune-lab.ts';

/** Everything that may launch an image keeps it, and says so in the plan. */

let l: PruneLab;
afterEach(() => l.lab.close());
afterAll(removeWorkspaces);

const stage = async (): Promise<void> => {
  l = await familyOfFive();
};

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

test('older launch template versions count as far back as template-depth', async () => {
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

test('scenario 67: an image that only one of these can launch is kept, and an image that none can launch is removed', async () => {
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
  const reason = (name: string) => plan[name]?.replace(/i-0[0-9a-f]{16}/g, 'i-?').replace(/refresh [0-9a-f-]{36}/, 'refresh ?');
  expect(Object.fromEntries(Object.keys(plan).map(name => [name, reason(name)]))).toMatchObject({
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

test('scenario 67: an image that only a recipe of Image Builder uses is kept', async () => {
  await stage();
  const arn = `arn:aws:imagebuilder:${l.home.region}:${l.home.account}:image-recipe/web/1.0.0`;
  recipes(l.home).set(arn, l.id('d50'));
  const ran = await l.act('prune', REAL);
  expect([ran.exitCode, l.there()]).toEqual([0, ['d50', 'd40', 'd20', 'd10']]);
  expect(planOf(l, ran)['d50']).toBe(`keep: used by ${arn.replace(/\d{8}(\d{4})/, '…$1')} (reported by EC2)`);
});

/** The environment's pointer stands in its own section, and nowhere else. */
const FILES = { '.github/ami.yml': 'environments:\n  prod:\n    pointer: /prod/{family}/ami\n' };

describe('a pointer that only the section of its environment names', () => {
  test('keeps what prod may be rolled back to, and is shown in a list', async () => {
    await stage();
    await l.parameter('/prod/web/ami', l.id('d50'), l.id('d40'));
    const ran = await l.act('prune', REAL, { files: FILES });
    expect([ran.exitCode, l.there()]).toEqual([0, ['d50', 'd40', 'd20', 'd10']]);
    expect(planOf(l, ran)['d50']).toBe('keep: used by parameter /prod/web/ami, to roll back to');
    const listed = await l.act('list', {}, { files: FILES });
    expect(l.named(listed.outputs['images'] ?? '')).toContain('parameter /prod/web/ami, to roll back to');
    const refused = await l.act('delete', { image: l.id('d50') }, { files: FILES });
    expect([refused.exitCode, refused.outputs['outcome'], l.there().includes('d50')]).toEqual([1, 'rejected', true]);
  });

  test('keeps the candidate that a promotion to prod writes while prune runs', async () => {
    await stage();
    await l.parameter('/prod/web/ami', l.id('d40'));
    afterThePlan(l, () => l.parameter('/prod/web/ami/candidate', l.id('d30')));
    const ran = await l.act('prune', REAL, { files: FILES });
    expect([ran.exitCode, ran.outputs['removed'], l.there()]).toEqual([0, '1', ['d40', 'd30', 'd20', 'd10']]);
  });
});

describe('a snapshot that volumes are made from at launch', () => {
  test('keeps its image, and stays itself when it has none, whether a launch template or a launch configuration names it', async () => {
    await stage();
    l.image('d60', { daysOld: 60 });
    const mapped = (name: string) => [{ DeviceName: '/dev/sdb', Ebs: { SnapshotId: `snap-${l.id(name).slice('ami-'.length)}` } }];
    const InstanceType = 't3.micro' as const;
    const LaunchTemplateData = { ImageId: l.id('d40'), InstanceType, BlockDeviceMappings: mapped('d50') };
    await l.cloud.ec2.send(new CreateLaunchTemplateCommand({ LaunchTemplateName: 'data', LaunchTemplateData }));
    const configuration = { LaunchConfigurationName: 'old', ImageId: l.id('d40'), InstanceType, BlockDeviceMappings: mapped('d60') };
    await l.cloud.autoScaling.send(new CreateLaunchConfigurationCommand(configuration));
    images(l.home).delete(l.id('d60'));
    const ran = await l.act('prune', REAL);
    expect([ran.exitCode, ran.outputs['removed'], l.there()]).toEqual([0, '1', ['d50', 'd40', 'd20', 'd10']]);
    expect(planOf(l, ran)['d50']).toMatch(/^keep: used by launch template data version 1, for a volume from snap-/);
    expect(ran.log).not.toContain('remove snapshot');
    expect([ran.outputs['orphan-snapshots'], l.orphans()]).toEqual(['0', [`snap-${l.id('d60').slice('ami-'.length)}`]]);
  });
});
