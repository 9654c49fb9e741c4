import { CreateLaunchConfigurationCommand, StartInstanceRefreshCommand, UpdateAutoScalingGroupCommand } from '@aws-sdk/client-auto-scaling';
import {
  CreateLaunchTemplateCommand,
  CreateLaunchTemplateVersionCommand,
  ModifyImageAttributeCommand,
  ModifyLaunchTemplateCommand,
  RunInstancesCommand,
  type SpotFleetRequestConfigData,
} from '@aws-sdk/client-ec2';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { fleets, spotFleets, spotRequests } from '../../lab/ec2/fleets.ts';
import { images } from '../../lab/ec2/images.ts';
import { templates } from '../../lab/ec2/launch-template-state.ts';
import { setTags } from '../../lab/ec2/state.ts';
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

/** Something happens when the plan is made, just before the second look: d30 and d50 would go. */
const afterThePlan = (run: () => unknown) =>
  l.lab.faults.add({ operation: 'DescribeImageAttribute', nth: 2, deed: { run: async () => void (await run()), at: 'after' } });

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
    afterThePlan(() => l.parameter('/prod/web/ami/candidate', l.id('d30')));
    const ran = await l.act('prune', REAL, { files: FILES });
    expect([ran.exitCode, ran.outputs['removed'], l.there()]).toEqual([0, '1', ['d40', 'd30', 'd20', 'd10']]);
  });
});

describe('the second look', () => {
  test('sees that an image was shared since the plan was made', async () => {
    await stage();
    const LaunchPermission = { Add: [{ UserId: '444455556666' }] };
    afterThePlan(() => l.cloud.ec2.send(new ModifyImageAttributeCommand({ ImageId: l.id('d50'), LaunchPermission })));
    const ran = await l.act('prune', REAL);
    expect([ran.exitCode, ran.outputs['removed'], l.there()]).toEqual([0, '1', ['d50', 'd40', 'd20', 'd10']]);
    expect(l.named(ran.log)).toContain('d50 stays, since the plan was made: used by account 444455556666');
  });

  test('sees that a push which changed nothing has taken an image again since the plan was made', async () => {
    await stage();
    const taken = { 'ami-action:reused-at': new Date(l.lab.clock.now()).toISOString() };
    afterThePlan(async () => setTags(l.home, l.id('d50'), taken));
    const ran = await l.act('prune', REAL);
    expect([ran.exitCode, ran.outputs['removed'], l.there()]).toEqual([0, '1', ['d50', 'd40', 'd20', 'd10']]);
    expect(l.named(ran.log)).toContain('d50 stays, since the plan was made: a push has taken it again');
    // And so does the plan of the next.
    const next = await l.act('prune', REAL);
    expect([next.outputs['removed'], planOf(l, next)['d50']]).toEqual(['0', 'keep: a push that changed nothing has taken it again lately']);
  });

  test('sees a parameter of any name, and a refresh back to an older version, that began since the plan was made', async () => {
    await stage();
    const { ec2, autoScaling } = l.cloud;
    await l.group('www', l.id('d30'));
    const LaunchTemplateName = 'www';
    const LaunchTemplateData = { ImageId: l.id('d40'), InstanceType: 't3.micro' as const };
    await ec2.send(new CreateLaunchTemplateVersionCommand({ LaunchTemplateName, LaunchTemplateData }));
    await ec2.send(new ModifyLaunchTemplateCommand({ LaunchTemplateName, DefaultVersion: '2' }));
    const size = { MinSize: 1, MaxSize: 4, DesiredCapacity: 1 };
    const AutoScalingGroupName = 'www';
    await autoScaling.send(
      new UpdateAutoScalingGroupCommand({ AutoScalingGroupName, LaunchTemplate: { LaunchTemplateName, Version: '2' }, ...size }),
    );
    const LaunchTemplate = { LaunchTemplateName, Version: '1' };
    afterThePlan(async () => {
      await l.parameter('/golden/web', l.id('d50'));
      // Long enough to be there at the second look, however slow this machine is.
      const Preferences = { BakeTime: 172_800 };
      await autoScaling.send(
        new StartInstanceRefreshCommand({ AutoScalingGroupName, DesiredConfiguration: { LaunchTemplate }, Preferences }),
      );
    });
    const ran = await l.act('prune', REAL);
    expect([ran.exitCode, ran.outputs['removed'], l.there()]).toEqual([0, '0', ['d50', 'd40', 'd30', 'd20', 'd10']]);
    expect(l.named(ran.log)).toMatch(/d30 stays, since the plan was made: .*refresh \S+ of group www/);
  });
});

/** What launch templates there are, with the numbers of their versions. */
const versionsThere = () => Object.fromEntries([...templates(l.home).values()].map(({ name, versions }) => [name, [...versions.keys()]]));

describe('launch template versions', () => {
  test('a version that a promotion made and uses since the plan was made stays, as its image does', async () => {
    await stage();
    const { ec2, autoScaling } = l.cloud;
    await l.group('web', l.id('d40'));
    const LaunchTemplateName = 'web';
    const next = (ImageId: string) =>
      ec2.send(new CreateLaunchTemplateVersionCommand({ LaunchTemplateName, LaunchTemplateData: { ImageId, InstanceType: 't3.micro' } }));
    for (const name of ['d30', 'd50', 'd40']) await next(l.id(name));
    const launchFrom = (Version: string) =>
      new UpdateAutoScalingGroupCommand({ AutoScalingGroupName: 'web', LaunchTemplate: { LaunchTemplateName, Version } });
    afterThePlan(async () => {
      await next(l.id('d50'));
      await autoScaling.send(launchFrom('5'));
    });
    const ran = await l.act('prune', { ...REAL, 'template-versions': 'true' });
    expect([ran.exitCode, ran.outputs['removed'], l.there()]).toEqual([0, '1', ['d50', 'd40', 'd20', 'd10']]);
    // Version 2 named d30; version 3 names d50, which stays.
    expect(versionsThere()).toEqual({ web: [1, 3, 4, 5] });
  });
});

describe('the second look sees what launches without a group, and came since the plan was made', () => {
  const data = () => ({ LaunchTemplateData: { ImageId: l.id('d40'), InstanceType: 't3.micro' as const } });
  /** Version 2 of 3 names the image: neither the default nor the newest, so only the fleet that says 2 can launch it. */
  const template = async (name: string) => {
    const { ec2 } = l.cloud;
    await ec2.send(new CreateLaunchTemplateCommand({ LaunchTemplateName: name, ...data() }));
    const named = { ImageId: l.id('d50'), InstanceType: 't3.micro' as const };
    await ec2.send(new CreateLaunchTemplateVersionCommand({ LaunchTemplateName: name, LaunchTemplateData: named }));
    await ec2.send(new CreateLaunchTemplateVersionCommand({ LaunchTemplateName: name, ...data() }));
    return { LaunchTemplateSpecification: { LaunchTemplateName: name, Version: '2' } };
  };
  const mapped = () => [{ DeviceName: '/dev/sdb', Ebs: { SnapshotId: `snap-${l.id('d50').slice('ami-'.length)}` } }];

  test.each<[string, () => Promise<unknown> | unknown, string]>([
    [
      'a fleet, by a version that it names',
      async () => fleets(l.home).push({ FleetId: 'fleet-1', FleetState: 'active', LaunchTemplateConfigs: [await template('fleet')] }),
      'used by fleet fleet-1, by version 2 of launch template fleet',
    ],
    [
      'a fleet, by an override',
      () =>
        fleets(l.home).push({
          ...{ FleetId: 'fleet-1', FleetState: 'modifying' },
          LaunchTemplateConfigs: [{ Overrides: [{ ImageId: l.id('d50') }] }],
        }),
      'used by fleet fleet-1',
    ],
    [
      'a Spot fleet',
      async () => spotFleets(l.home).push(spotFleet({ LaunchTemplateConfigs: [await template('spot')] })),
      'used by Spot fleet sfr-1, by version 2 of launch template spot',
    ],
    [
      'a Spot fleet with launch specifications, and a volume from its snapshot',
      () => spotFleets(l.home).push(spotFleet({ LaunchSpecifications: [{ ImageId: l.id('d40'), BlockDeviceMappings: mapped() }] })),
      'used by Spot fleet sfr-1, for a volume from snap-',
    ],
    [
      'a Spot request that lasts',
      () => spotRequests(l.home).push({ SpotInstanceRequestId: 'sir-1', State: 'open', LaunchSpecification: { ImageId: l.id('d50') } }),
      'used by Spot request sir-1',
    ],
  ])('%s', async (_, come, says) => {
    await stage();
    afterThePlan(async () => come());
    const ran = await l.act('prune', REAL);
    expect([ran.exitCode, ran.outputs['removed'], l.there()]).toEqual([0, '1', ['d50', 'd40', 'd20', 'd10']]);
    expect(l.named(ran.log)).toContain(`d50 stays, since the plan was made: ${says}`);
  });

  test('and one that is over already is no user', async () => {
    await stage();
    spotRequests(l.home).push({ SpotInstanceRequestId: 'sir-1', State: 'open', LaunchSpecification: { ImageId: l.id('d20') } });
    afterThePlan(() =>
      spotRequests(l.home).push({ SpotInstanceRequestId: 'sir-2', State: 'cancelled', LaunchSpecification: { ImageId: l.id('d50') } }),
    );
    const ran = await l.act('prune', REAL);
    expect([ran.exitCode, ran.outputs['removed'], l.there()]).toEqual([0, '2', ['d40', 'd20', 'd10']]);
  });

  const spotFleet = (config: Partial<SpotFleetRequestConfigData>) => ({
    ...{ SpotFleetRequestId: 'sfr-1', SpotFleetRequestState: 'active' as const },
    SpotFleetRequestConfig: { IamFleetRole: 'role', TargetCapacity: 1, ...config },
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
    expect([ran.outputs['orphan-snapshots'], l.orphans()]).toEqual(['0', [`snap-${l.id('d60').slice('ami-'.length)}`]]);
  });
});

describe('scenario 74: a wrong account is told by nothing in use', () => {
  test('though an image is shared with an account that cannot be looked into', async () => {
    l = await pruneLab();
    for (const daysOld of [10, 20, 30, 40, 50]) l.image(`d${daysOld}`, { daysOld });
    const LaunchPermission = { Add: [{ UserId: '444455556666' }] };
    await l.cloud.ec2.send(new ModifyImageAttributeCommand({ ImageId: l.id('d30'), LaunchPermission }));
    const ran = await l.act('prune', REAL);
    expect([ran.exitCode, ran.outputs['outcome'], l.there()]).toEqual([1, 'rejected', ['d50', 'd40', 'd30', 'd20', 'd10']]);
    expect(ran.errors.join()).toContain('Only 0 of 5 images of web are in use');
  });
});

const isSecondLook = (call: unknown) => JSON.stringify(call).includes('image-id');

describe('between the plan and the removal', () => {
  test('an image that the second listing lacks stays all the same when somebody has launched it', async () => {
    await stage();
    afterThePlan(() =>
      l.cloud.ec2.send(new RunInstancesCommand({ ImageId: l.id('d50'), InstanceType: 't3.micro', MinCount: 1, MaxCount: 1 })),
    );
    const image = l.labImage('d50');
    const hide = () => void images(l.home).delete(image.id);
    const show = () => void images(l.home).set(image.id, image);
    l.lab.faults.add({ operation: 'DescribeImages', when: isSecondLook, nth: 1, deed: { run: hide, at: 'before' } });
    l.lab.faults.add({ operation: 'DescribeImages', when: isSecondLook, nth: 1, deed: { run: show, at: 'after' } });
    const ran = await l.act('prune', REAL);
    expect([ran.exitCode, ran.outputs['removed'], l.there()]).toEqual([0, '1', ['d50', 'd40', 'd20', 'd10']]);
    expect(l.named(ran.log)).toMatch(/d50 stays, since the plan was made: used by instance/);
  });
});
