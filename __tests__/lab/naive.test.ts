import {
  DescribeAutoScalingGroupsCommand,
  RollbackInstanceRefreshCommand,
  SetDesiredCapacityCommand,
  UpdateAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';
import {
  DeregisterImageCommand,
  DescribeImagesCommand,
  DescribeLaunchTemplateVersionsCommand,
  DescribeSnapshotsCommand,
  RunInstancesCommand,
} from '@aws-sdk/client-ec2';
import { GetParameterCommand, PutParameterCommand } from '@aws-sdk/client-ssm';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mishaps } from '../../lab/ec2/mishaps.ts';
import { sickImages } from '../../lab/elb/target-state.ts';
import {
  activities,
  aGroup,
  anImage,
  aTargetGroup,
  aTemplate,
  aVersion,
  ended,
  running,
  type Stage,
  settled,
  stage,
  start,
  theGroup,
  until,
} from './group-stage.ts';

/** Naive implementations. Each must do damage here, as it would on AWS: a lab that tolerates them proves nothing. */

let on: Stage;
let good: string;
let sick: string;
let template: string;

beforeEach(async () => {
  on = await stage({ timings: { refreshPatience: 400 } });
  good = await anImage(on, 'good');
  sick = await anImage(on, 'sick');
  sickImages(on.lab.place()).add(sick);
  template = await aTemplate(on, 'web', { ImageId: good });
});

afterEach(() => on.close());

const aWebGroup = async (Version: string) =>
  aGroup(on, 'web', {
    ...{ LaunchTemplate: { LaunchTemplateId: template, Version }, DesiredCapacity: 2 },
    ...{ TargetGroupARNs: [await aTargetGroup(on, 'web')], HealthCheckType: 'ELB' },
  });

const to = (Version: string) => ({ LaunchTemplate: { LaunchTemplateId: template, Version } });

const point = (Value: string) => on.ssm.send(new PutParameterCommand({ Name: '/ami/web/prod', Value, Type: 'String', Overwrite: true }));

describe('a naive promotion', () => {
  test('that moves the pointer first leaves it on an image that failed in the group', async () => {
    await point(good);
    await aWebGroup('1');
    const version = await aVersion(on, template, '1', { ImageId: sick });

    await point(sick);
    await start(on, 'web', { DesiredConfiguration: to(String(version)), Preferences: { AutoRollback: true } });
    const { Status } = await ended(on, 'web');

    expect(Status).toBe('RollbackSuccessful');
    expect(await running(on, 'web')).toEqual([good, good]);
    const ImageId = 'resolve:ssm:/ami/web/prod';
    const launched = await on.ec2.send(new RunInstancesCommand({ ImageId, InstanceType: 't3.micro', MinCount: 1, MaxCount: 1 }));
    expect(launched.Instances?.[0]?.ImageId).toBe(sick);
  });

  test('that uses $Latest reaches a scale-out before it is verified, and cannot roll back', async () => {
    await aWebGroup('$Latest');

    await aVersion(on, template, '$Latest', { ImageId: sick });
    await on.asg.send(new SetDesiredCapacityCommand({ AutoScalingGroupName: 'web', DesiredCapacity: 3 }));
    await until(
      () => running(on, 'web'),
      images => images.includes(sick),
    );
    const guarded = start(on, 'web', { DesiredConfiguration: to('$Latest'), Preferences: { AutoRollback: true } });
    await expect(guarded).rejects.toThrow('AutoRollback parameter cannot be set to true');
    await start(on, 'web', { DesiredConfiguration: to('$Latest') });
    const rollback = on.asg.send(new RollbackInstanceRefreshCommand({ AutoScalingGroupName: 'web' }));

    await expect(rollback).rejects.toMatchObject({ name: 'IrreversibleInstanceRefreshFault' });
    expect((await ended(on, 'web')).Status).toBe('Failed');
  });

  test('that updates the group before the refresh rolls back to the bad image', async () => {
    await aWebGroup('1');
    const version = String(await aVersion(on, template, '1', { ImageId: sick }));

    await on.asg.send(new UpdateAutoScalingGroupCommand({ AutoScalingGroupName: 'web', ...to(version) }));
    await start(on, 'web', { DesiredConfiguration: to(version), Preferences: { AutoRollback: true } });
    const { Status, RollbackDetails } = await ended(on, 'web');

    expect(RollbackDetails?.RollbackReason).toContain('automatic rollback');
    expect(Status).toBe('RollbackFailed');
    expect((await theGroup(on, 'web'))?.LaunchTemplate?.Version).toBe(version);
    // One old instance was not replaced. Every instance launched from now on is bad.
    await on.asg.send(new SetDesiredCapacityCommand({ AutoScalingGroupName: 'web', DesiredCapacity: 3 }));
    const images = await until(
      () => running(on, 'web'),
      ({ length }) => length === 3,
    );
    expect(images.filter(id => id === sick)).toHaveLength(2);
  });

  test('that trusts Successful replaces nothing', async () => {
    await point(good);
    const pointed = await aTemplate(on, 'pointed', { ImageId: 'resolve:ssm:/ami/web/prod' });
    await aGroup(on, 'pointed', { LaunchTemplate: { LaunchTemplateId: pointed, Version: '1' }, DesiredCapacity: 2 });
    const better = await anImage(on, 'better');

    await point(better);
    await start(on, 'pointed', { Preferences: { SkipMatching: true } });
    const { Status, PercentageComplete } = await ended(on, 'pointed');

    expect([Status, PercentageComplete]).toEqual(['Successful', 100]);
    expect(await running(on, 'pointed')).toEqual([good, good]);
  });
});

describe('a naive clean-up', () => {
  test('that reads only the first page removes an image that a group on the second page launches', async () => {
    const LaunchTemplate = { LaunchTemplateId: template, Version: '1' };
    for (const name of ['a', 'b', 'z']) {
      const own = name === 'z' ? LaunchTemplate : { LaunchTemplateId: await aTemplate(on, `of-${name}`, { ImageId: sick }), Version: '1' };
      await aGroup(on, name, { LaunchTemplate: own, DesiredCapacity: name === 'z' ? 1 : 0 });
    }
    mishaps(on.lab.place()).pageSize = 2;

    const { AutoScalingGroups = [] } = await on.asg.send(new DescribeAutoScalingGroupsCommand({}));
    const used = new Set<string>();
    for (const { LaunchTemplate: use } of AutoScalingGroups) {
      const { LaunchTemplateId, Version = '' } = use ?? {};
      const found = await on.ec2.send(new DescribeLaunchTemplateVersionsCommand({ LaunchTemplateId, Versions: [Version] }));
      for (const version of found.LaunchTemplateVersions ?? []) used.add(version.LaunchTemplateData?.ImageId ?? '');
    }
    const { Images = [] } = await on.ec2.send(new DescribeImagesCommand({ Owners: ['self'] }));
    for (const { ImageId = '' } of Images) if (!used.has(ImageId)) await on.ec2.send(new DeregisterImageCommand({ ImageId }));

    mishaps(on.lab.place()).pageSize = undefined;
    await on.asg.send(new SetDesiredCapacityCommand({ AutoScalingGroupName: 'z', DesiredCapacity: 2 }));
    const failed = await until(
      async () => (await activities(on, 'z')).filter(({ StatusCode }) => StatusCode === 'Failed'),
      ({ length }) => length > 0,
    );
    expect(failed[0]?.StatusMessage).toContain(good);
    await settled(on, 'z', 1);
  });

  test('that trusts a 200 of a deletion leaves the snapshot unnoticed', async () => {
    const { Images } = await on.ec2.send(new DescribeImagesCommand({ ImageIds: [sick] }));
    const snapshot = Images?.[0]?.BlockDeviceMappings?.[0]?.Ebs?.SnapshotId ?? '';
    mishaps(on.lab.place()).snapshotDeletion.set(snapshot, 'missing-permissions');

    const answer = await on.ec2.send(new DeregisterImageCommand({ ImageId: sick, DeleteAssociatedSnapshots: true }));

    expect(answer.Return).toBe(true);
    expect(answer.DeleteSnapshotResults).toEqual([{ SnapshotId: snapshot, ReturnCode: 'missing-permissions' }]);
    const { Snapshots } = await on.ec2.send(new DescribeSnapshotsCommand({ SnapshotIds: [snapshot] }));
    expect(Snapshots).toHaveLength(1);
  });

  test('that trusts a 200 of a write has a pointer that never moved', async () => {
    const Name = '/ami/web/strict';
    const write = (Value: string) =>
      on.ssm.send(new PutParameterCommand({ Name, Value, Type: 'String', DataType: 'aws:ec2:image', Overwrite: true }));
    const read = async () => (await on.ssm.send(new GetParameterCommand({ Name }))).Parameter?.Value;
    await write(good);
    await until(
      () => read().catch(() => undefined),
      value => value === good,
    );

    const { $metadata } = await write('ami-0123456789abcdef0');

    expect($metadata.httpStatusCode).toBe(200);
    await on.lab.clock.sleep(60);
    expect(await read()).toBe(good);
  });
});
