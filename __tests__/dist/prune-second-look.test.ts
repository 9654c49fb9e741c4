import { StartInstanceRefreshCommand, UpdateAutoScalingGroupCommand } from '@aws-sdk/client-auto-scaling';
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
import { setTags } from '../../lab/ec2/state.ts';
import { removeWorkspaces } from '../harness.ts';
import { afterThePlan, familyOfFive, type PruneLab, planOf, REAL } from './prune-lab.ts';

/** An image may come into use between the plan and its removal: each is checked again. */

let l: PruneLab;
afterEach(() => l.lab.close());
afterAll(removeWorkspaces);

const stage = async (): Promise<void> => {
  l = await familyOfFive();
};

const isSecondLook = (call: unknown) => JSON.stringify(call).includes('image-id');

describe('the second look', () => {
  test('an image that is launched is kept', async () => {
    await stage();
    const launch = async () => {
      await l.cloud.ec2.send(new RunInstancesCommand({ ImageId: l.id('d50'), InstanceType: 't3.micro', MinCount: 1, MaxCount: 1 }));
    };
    afterThePlan(l, launch);
    const ran = await l.act('prune', REAL);
    expect([ran.exitCode, ran.outputs['removed'], l.there()]).toEqual([0, '1', ['d50', 'd40', 'd20', 'd10']]);
    expect(l.named(ran.log)).toMatch(/d50 is kept: after the plan was made: used by instance i-\w+/);
  });

  test('the image of a candidate is kept', async () => {
    await stage();
    const announce = () => l.parameter('/ami/web/stage/candidate', l.id('d50'));
    afterThePlan(l, announce);
    const ran = await l.act('prune', REAL);
    expect([ran.exitCode, l.there()]).toEqual([0, ['d50', 'd40', 'd20', 'd10']]);
  });

  test('a second look that is denied removes nothing and reports what remains', async () => {
    await stage();
    l.lab.faults.add({ operation: 'DescribeInstances', nth: 2, action: { error: 'UnauthorizedOperation', status: 403 } });
    const ran = await l.act('prune', REAL);
    expect([ran.exitCode, ran.outputs['outcome'], ran.outputs['removed'], l.there().length]).toEqual([1, 'access', '0', 5]);
    expect(l.named(ran.errors[0] ?? '')).toContain('- image d50: Not allowed to describe instances (ec2:DescribeInstances)');
  });

  test('a launched image that the second listing lacks is kept all the same', async () => {
    await stage();
    afterThePlan(l, () =>
      l.cloud.ec2.send(new RunInstancesCommand({ ImageId: l.id('d50'), InstanceType: 't3.micro', MinCount: 1, MaxCount: 1 })),
    );
    const image = l.labImage('d50');
    const hide = () => void images(l.home).delete(image.id);
    const show = () => void images(l.home).set(image.id, image);
    l.lab.faults.add({ operation: 'DescribeImages', when: isSecondLook, nth: 1, action: { run: hide, at: 'before' } });
    l.lab.faults.add({ operation: 'DescribeImages', when: isSecondLook, nth: 1, action: { run: show, at: 'after' } });
    const ran = await l.act('prune', REAL);
    expect([ran.exitCode, ran.outputs['removed'], l.there()]).toEqual([0, '1', ['d50', 'd40', 'd20', 'd10']]);
    expect(l.named(ran.log)).toMatch(/d50 is kept: after the plan was made: used by instance/);
  });
});

describe('a pointer that changes while images are being removed', () => {
  test.each(['/ami/web/prod', '/ami/web/stage', '/ami/web/stage/candidate'])('keeps the image that %s names now', async name => {
    await stage();
    for (let n = 0; n < 12; n++) l.image(`d${60 + n}`, { daysOld: 60 + n });
    // The oldest are removed first, so d30 is among the last.
    l.lab.faults.add({
      operation: 'DeregisterImage',
      nth: 1,
      action: { run: () => l.parameter(name, l.id('d40'), l.id('d30')), at: 'before' },
    });
    const ran = await l.act('prune', REAL);
    expect([ran.exitCode, ran.outputs['removed'], l.there()]).toEqual([0, '13', ['d40', 'd30', 'd20', 'd10']]);
    expect(l.named(ran.log)).toContain(`d30 is kept: after the plan was made: used by parameter ${name}`);
  });
});

describe('it sees', () => {
  test('that an image was shared after the plan was made', async () => {
    await stage();
    const LaunchPermission = { Add: [{ UserId: '444455556666' }] };
    afterThePlan(l, () => l.cloud.ec2.send(new ModifyImageAttributeCommand({ ImageId: l.id('d50'), LaunchPermission })));
    const ran = await l.act('prune', REAL);
    expect([ran.exitCode, ran.outputs['removed'], l.there()]).toEqual([0, '1', ['d50', 'd40', 'd20', 'd10']]);
    expect(l.named(ran.log)).toContain('d50 is kept: after the plan was made: may be used by account 444455556666 (shared; not readable)');
  });

  test('that an unchanged build has reused an image after the plan was made', async () => {
    await stage();
    const taken = { 'ami-action:reused-at': new Date(l.lab.clock.now()).toISOString() };
    afterThePlan(l, async () => setTags(l.home, l.id('d50'), taken));
    const ran = await l.act('prune', REAL);
    expect([ran.exitCode, ran.outputs['removed'], l.there()]).toEqual([0, '1', ['d50', 'd40', 'd20', 'd10']]);
    expect(l.named(ran.log)).toContain('d50 is kept: after the plan was made: reused by an unchanged build');
    // And so does the plan of the next.
    const next = await l.act('prune', REAL);
    expect([next.outputs['removed'], planOf(l, next)['d50']]).toEqual(['0', 'keep: reused recently by an unchanged build']);
  });

  test('a parameter of any name, and a refresh back to an older version, that began after the plan was made', async () => {
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
    afterThePlan(l, async () => {
      await l.parameter('/golden/web', l.id('d50'));
      // Long enough to be there at the second look, however slow this machine is.
      const Preferences = { BakeTime: 172_800 };
      await autoScaling.send(
        new StartInstanceRefreshCommand({ AutoScalingGroupName, DesiredConfiguration: { LaunchTemplate }, Preferences }),
      );
    });
    const ran = await l.act('prune', REAL);
    expect([ran.exitCode, ran.outputs['removed'], l.there()]).toEqual([0, '0', ['d50', 'd40', 'd30', 'd20', 'd10']]);
    expect(l.named(ran.log)).toMatch(/d30 is kept: after the plan was made: .*refresh \S+ of group www/);
  });
});

describe('it sees what launches without a group and was created after the plan was made', () => {
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
    afterThePlan(l, async () => come());
    const ran = await l.act('prune', REAL);
    expect([ran.exitCode, ran.outputs['removed'], l.there()]).toEqual([0, '1', ['d50', 'd40', 'd20', 'd10']]);
    expect(l.named(ran.log)).toContain(`d50 is kept: after the plan was made: ${says}`);
  });

  test('and a cancelled request is not a user', async () => {
    await stage();
    spotRequests(l.home).push({ SpotInstanceRequestId: 'sir-1', State: 'open', LaunchSpecification: { ImageId: l.id('d20') } });
    afterThePlan(l, () =>
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
