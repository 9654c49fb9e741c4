import {
  AttachTrafficSourcesCommand,
  CreateAutoScalingGroupCommand,
  CreateLaunchConfigurationCommand,
  CreateOrUpdateTagsCommand,
  DeleteAutoScalingGroupCommand,
  DeleteLaunchConfigurationCommand,
  DescribeAutoScalingGroupsCommand,
  DescribeAutoScalingInstancesCommand,
  DescribeTagsCommand,
  DescribeTrafficSourcesCommand,
  DescribeWarmPoolCommand,
  DetachTrafficSourcesCommand,
  EnterStandbyCommand,
  ExitStandbyCommand,
  PutWarmPoolCommand,
  ResumeProcessesCommand,
  SetDesiredCapacityCommand,
  SetInstanceHealthCommand,
  SetInstanceProtectionCommand,
  SuspendProcessesCommand,
  TerminateInstanceInAutoScalingGroupCommand,
  UpdateAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';
import { DeregisterImageCommand, TerminateInstancesCommand } from '@aws-sdk/client-ec2';
import { DescribeTargetHealthCommand } from '@aws-sdk/client-elastic-load-balancing-v2';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mishaps } from '../../lab/ec2/mishaps.ts';
import { sickImages } from '../../lab/elb/target-state.ts';
import {
  activities,
  aGroup,
  anImage,
  aTargetGroup,
  aTemplate,
  aVersion,
  running,
  type Stage,
  settled,
  stage,
  theGroup,
  until,
} from './group-stage.ts';

let on: Stage;
let good: string;
let better: string;

beforeAll(async () => {
  on = await stage();
  good = await anImage(on, 'good');
  better = await anImage(on, 'better');
});

afterAll(() => on.close());

const idsOf = async (name: string) => ((await theGroup(on, name))?.Instances ?? []).map(({ InstanceId = '' }) => InstanceId);

describe('a group', () => {
  test('launches to its desired capacity over all zones, and its instances carry its tags', async () => {
    const template = await aTemplate(on, 'spread', { ImageId: good });
    const Tags = [{ Key: 'app', Value: 'web', PropagateAtLaunch: true }];
    await aGroup(on, 'spread', { LaunchTemplate: { LaunchTemplateId: template }, DesiredCapacity: 3, Tags });
    const group = await theGroup(on, 'spread');
    expect(group?.Instances?.map(({ AvailabilityZone }) => AvailabilityZone).sort()).toEqual([
      'eu-central-1a',
      'eu-central-1b',
      'eu-central-1c',
    ]);
    expect(group?.LaunchTemplate).toEqual({ LaunchTemplateId: template, LaunchTemplateName: 'spread', Version: '$Default' });
    expect(group?.Instances?.[0]?.LaunchTemplate?.Version).toBe('1');
    expect(await running(on, 'spread')).toHaveLength(3);
    const [activity] = await activities(on, 'spread');
    expect(activity?.StatusCode).toBe('Successful');
    expect(activity?.Cause).toMatch(/^At \S+Z an instance was started in response to a difference between desired and actual capacity/);
  });

  test('replaces an instance that was terminated', async () => {
    const template = await aTemplate(on, 'heals', { ImageId: good });
    await aGroup(on, 'heals', { LaunchTemplate: { LaunchTemplateId: template }, DesiredCapacity: 2 });
    const [first = ''] = await idsOf('heals');
    await on.ec2.send(new TerminateInstancesCommand({ InstanceIds: [first] }));
    await until(
      () => idsOf('heals'),
      ids => ids.length === 2 && !ids.includes(first),
    );
    const causes = (await activities(on, 'heals')).map(({ Cause }) => Cause);
    expect(causes).toContainEqual(expect.stringContaining('an EC2 health check indicating it has been terminated or stopped'));
  });

  test('records in its activities why a launch failed, and retries', async () => {
    const doomed = await anImage(on, 'doomed');
    const template = await aTemplate(on, 'doomed', { ImageId: doomed });
    await aGroup(on, 'doomed', { LaunchTemplate: { LaunchTemplateId: template }, DesiredCapacity: 1 });
    await on.ec2.send(new DeregisterImageCommand({ ImageId: doomed }));
    await on.asg.send(new SetDesiredCapacityCommand({ AutoScalingGroupName: 'doomed', DesiredCapacity: 2 }));
    const failures = await until(
      async () => (await activities(on, 'doomed')).filter(({ StatusCode }) => StatusCode === 'Failed'),
      found => found.length > 1,
    );
    expect(failures[0]?.StatusMessage).toMatch(/no longer available\. Launching EC2 instance failed\.$/);
    expect(failures[0]?.Description).toMatch(/^Launching a new EC2 instance\. {2}Status Reason: /);
    expect(await idsOf('doomed')).toHaveLength(1);
  });

  test('an instance that dies while it boots cancels its launch', async () => {
    const stillborn = await anImage(on, 'stillborn');
    mishaps(on.lab.place()).launchFails.set(stillborn, {
      code: 'Client.InternalError',
      message: 'Client.InternalError: Client error on launch',
    });
    const template = await aTemplate(on, 'stillborn', { ImageId: stillborn });
    const LaunchTemplate = { LaunchTemplateId: template };
    await on.asg.send(
      new CreateAutoScalingGroupCommand({
        AutoScalingGroupName: 'stillborn',
        MinSize: 1,
        MaxSize: 1,
        AvailabilityZones: ['eu-central-1a'],
        LaunchTemplate,
      }),
    );
    const [cancelled] = await until(
      async () => (await activities(on, 'stillborn')).filter(({ StatusCode }) => StatusCode === 'Cancelled'),
      found => found.length > 0,
    );
    expect(cancelled?.StatusMessage).toContain('Termination Reason: Client.InternalError: Client error on launch');
  });

  test('skips a zone without capacity', async () => {
    mishaps(on.lab.place()).noCapacity.add('t3.large/eu-central-1a');
    const template = await aTemplate(on, 'crowded', { ImageId: good, InstanceType: 't3.large' });
    const AvailabilityZones = ['eu-central-1a', 'eu-central-1b'];
    await aGroup(on, 'crowded', { LaunchTemplate: { LaunchTemplateId: template }, DesiredCapacity: 2, AvailabilityZones });
    expect((await theGroup(on, 'crowded'))?.Instances?.map(({ AvailabilityZone }) => AvailabilityZone)).toEqual([
      'eu-central-1b',
      'eu-central-1b',
    ]);
  });

  test('scales in without terminating protected instances', async () => {
    const template = await aTemplate(on, 'shrinks', { ImageId: good });
    await aGroup(on, 'shrinks', { LaunchTemplate: { LaunchTemplateId: template }, DesiredCapacity: 3 });
    const [kept = ''] = await idsOf('shrinks');
    await on.asg.send(
      new SetInstanceProtectionCommand({ AutoScalingGroupName: 'shrinks', InstanceIds: [kept], ProtectedFromScaleIn: true }),
    );
    await on.asg.send(new SetDesiredCapacityCommand({ AutoScalingGroupName: 'shrinks', DesiredCapacity: 1 }));
    const [left] = await settled(on, 'shrinks', 1);
    expect(left?.InstanceId).toBe(kept);
    const beyond = on.asg.send(new SetDesiredCapacityCommand({ AutoScalingGroupName: 'shrinks', DesiredCapacity: 11 }));
    await expect(beyond).rejects.toThrow('New SetDesiredCapacity value 11 is above max value 10 for the AutoScalingGroup.');
  });

  test('a standby instance does not count, and returns to service', async () => {
    const template = await aTemplate(on, 'rests', { ImageId: good });
    await aGroup(on, 'rests', { LaunchTemplate: { LaunchTemplateId: template }, DesiredCapacity: 2 });
    const [resting = ''] = await idsOf('rests');
    const asked = { AutoScalingGroupName: 'rests', InstanceIds: [resting] };
    await on.asg.send(new EnterStandbyCommand({ ...asked, ShouldDecrementDesiredCapacity: true }));
    const seen = await on.asg.send(new DescribeAutoScalingInstancesCommand({ InstanceIds: [resting] }));
    expect(seen.AutoScalingInstances?.[0]).toMatchObject({ LifecycleState: 'Standby', AutoScalingGroupName: 'rests' });
    expect((await theGroup(on, 'rests'))?.DesiredCapacity).toBe(1);
    await on.asg.send(new ExitStandbyCommand(asked));
    expect((await theGroup(on, 'rests'))?.DesiredCapacity).toBe(2);
    expect(await idsOf('rests')).toHaveLength(2);
  });

  test('does not launch while Launch is suspended, and does not replace unhealthy instances while ReplaceUnhealthy is', async () => {
    const template = await aTemplate(on, 'frozen', { ImageId: good });
    await aGroup(on, 'frozen', { LaunchTemplate: { LaunchTemplateId: template }, DesiredCapacity: 1 });
    const [only = ''] = await idsOf('frozen');
    await on.asg.send(new SuspendProcessesCommand({ AutoScalingGroupName: 'frozen', ScalingProcesses: ['Launch', 'ReplaceUnhealthy'] }));
    await on.asg.send(new SetInstanceHealthCommand({ InstanceId: only, HealthStatus: 'Unhealthy' }));
    await on.asg.send(new SetDesiredCapacityCommand({ AutoScalingGroupName: 'frozen', DesiredCapacity: 2 }));
    await on.lab.clock.sleep(30);
    expect(await idsOf('frozen')).toEqual([only]);
    expect((await theGroup(on, 'frozen'))?.SuspendedProcesses?.map(({ ProcessName }) => ProcessName)).toEqual([
      'Launch',
      'ReplaceUnhealthy',
    ]);
    await on.asg.send(new ResumeProcessesCommand({ AutoScalingGroupName: 'frozen' }));
    await until(
      () => idsOf('frozen'),
      ids => ids.length === 2 && !ids.includes(only),
    );
  });

  test('terminates one instance on request, with or without a replacement', async () => {
    const template = await aTemplate(on, 'picked', { ImageId: good });
    await aGroup(on, 'picked', { LaunchTemplate: { LaunchTemplateId: template }, DesiredCapacity: 2 });
    const [first = ''] = await idsOf('picked');
    await on.asg.send(new TerminateInstanceInAutoScalingGroupCommand({ InstanceId: first, ShouldDecrementDesiredCapacity: true }));
    const [left] = await settled(on, 'picked', 1);
    expect(left?.InstanceId).not.toBe(first);
    expect((await theGroup(on, 'picked'))?.DesiredCapacity).toBe(1);
  });

  test('is deleted with its instances only by force', async () => {
    const template = await aTemplate(on, 'goes', { ImageId: good });
    await aGroup(on, 'goes', { LaunchTemplate: { LaunchTemplateId: template }, DesiredCapacity: 1 });
    const AutoScalingGroupName = 'goes';
    await expect(on.asg.send(new DeleteAutoScalingGroupCommand({ AutoScalingGroupName }))).rejects.toThrow('still in the group');
    await on.asg.send(new DeleteAutoScalingGroupCommand({ AutoScalingGroupName, ForceDelete: true }));
    expect((await theGroup(on, 'goes'))?.Status).toBe('Delete in progress');
    await until(
      () => theGroup(on, 'goes'),
      group => group === undefined,
    );
    expect(await running(on, 'goes')).toEqual([]);
  });
});

describe('the source of a group', () => {
  test('mixed instances use their overrides, each with its own template and its own image', async () => {
    const plain = await aTemplate(on, 'plain', { ImageId: good });
    const other = await aTemplate(on, 'other', { ImageId: better });
    const special = await anImage(on, 'special');
    const Overrides = [
      { InstanceType: 't3.small' },
      { InstanceType: 't3.medium', LaunchTemplateSpecification: { LaunchTemplateId: other, Version: '1' } },
      { InstanceType: 't3.large', ImageId: special },
    ];
    const LaunchTemplateSpecification = { LaunchTemplateId: plain, Version: '1' };
    const AvailabilityZones = ['eu-central-1b'];
    await aGroup(on, 'mixed', {
      MixedInstancesPolicy: { LaunchTemplate: { LaunchTemplateSpecification, Overrides } },
      ...{ DesiredCapacity: 3, AvailabilityZones },
    });
    expect(await running(on, 'mixed')).toEqual([good, better, special].sort());
    const group = await theGroup(on, 'mixed');
    expect(group?.MixedInstancesPolicy?.InstancesDistribution?.OnDemandPercentageAboveBaseCapacity).toBe(100);
    expect(group?.Instances?.find(({ InstanceType }) => InstanceType === 't3.large')?.ImageId).toBe(special);
    expect(group?.Instances?.find(({ InstanceType }) => InstanceType === 't3.small')?.ImageId).toBeUndefined();
  });

  test('a template is named by ID or by name: the described reference cannot be sent back unchanged', async () => {
    const template = await aTemplate(on, 'named', { ImageId: good });
    await aGroup(on, 'named', { LaunchTemplate: { LaunchTemplateName: 'named' }, DesiredCapacity: 0 });
    const LaunchTemplate = (await theGroup(on, 'named'))?.LaunchTemplate;
    expect(LaunchTemplate).toMatchObject({ LaunchTemplateId: template, LaunchTemplateName: 'named' });
    const update = on.asg.send(new UpdateAutoScalingGroupCommand({ AutoScalingGroupName: 'named', LaunchTemplate }));
    await expect(update).rejects.toThrow('Valid requests must contain either launchTemplateId or LaunchTemplateName');
  });

  test('a template that cannot launch is refused: image deregistered, wrong architecture, no such version', async () => {
    const arm = await anImage(on, 'arm', 'arm64');
    const template = await aTemplate(on, 'wrong', { ImageId: arm });
    const create = (LaunchTemplate: object) =>
      on.asg.send(
        new CreateAutoScalingGroupCommand({
          AutoScalingGroupName: 'wrong',
          MinSize: 0,
          MaxSize: 1,
          AvailabilityZones: ['eu-central-1a'],
          LaunchTemplate,
        }),
      );
    await expect(create({ LaunchTemplateId: template })).rejects.toThrow(/fully-formed launch template.*architecture/);
    await expect(create({ LaunchTemplateId: template, Version: '7' })).rejects.toThrow(/fully-formed launch template.*version 7/);
    await aVersion(on, template, '1', { ImageId: 'ami-0123456789abcdef0' });
    await expect(create({ LaunchTemplateId: template, Version: '2' })).rejects.toThrow(/fully-formed launch template.*does not exist/);
  });

  test('a launch configuration works, and cannot be deleted while a group has it', async () => {
    const LaunchConfigurationName = 'old-style';
    await on.asg.send(new CreateLaunchConfigurationCommand({ LaunchConfigurationName, ImageId: good, InstanceType: 't3.micro' }));
    await aGroup(on, 'old-style', { LaunchConfigurationName, DesiredCapacity: 1 });
    expect(await running(on, 'old-style')).toEqual([good]);
    const removal = on.asg.send(new DeleteLaunchConfigurationCommand({ LaunchConfigurationName }));
    await expect(removal).rejects.toMatchObject({ name: 'ResourceInUseFault' });
  });

  test('a warm pool holds stopped instances that are not in the instances of the group', async () => {
    const template = await aTemplate(on, 'warm', { ImageId: good });
    await aGroup(on, 'warm', { LaunchTemplate: { LaunchTemplateId: template }, DesiredCapacity: 1, MaxSize: 3 });
    await on.asg.send(new PutWarmPoolCommand({ AutoScalingGroupName: 'warm' }));
    const { Instances = [] } = await until(
      () => on.asg.send(new DescribeWarmPoolCommand({ AutoScalingGroupName: 'warm' })),
      pool => pool.Instances?.length === 2 && pool.Instances.every(({ LifecycleState }) => LifecycleState === 'Warmed:Stopped'),
    );
    expect((await theGroup(on, 'warm'))?.WarmPoolSize).toBe(2);
    expect(await idsOf('warm')).not.toContain(Instances[0]?.InstanceId);
    const all = await on.asg.send(new DescribeAutoScalingInstancesCommand({ InstanceIds: [Instances[0]?.InstanceId ?? ''] }));
    expect(all.AutoScalingInstances?.[0]?.AutoScalingGroupName).toBe('warm');
  });
});

describe('behind a load balancer', () => {
  const healthOf = async (TargetGroupArn: string) => {
    const { TargetHealthDescriptions = [] } = await on.elb.send(new DescribeTargetHealthCommand({ TargetGroupArn }));
    return TargetHealthDescriptions;
  };

  test('an instance whose service does not answer is replaced after the grace period', async () => {
    const mute = await anImage(on, 'mute');
    sickImages(on.lab.place()).add(mute);
    const arn = await aTargetGroup(on, 'mute');
    const template = await aTemplate(on, 'mute', { ImageId: mute });
    const options = { HealthCheckType: 'ELB', HealthCheckGracePeriod: 60, TargetGroupARNs: [arn] };
    await aGroup(on, 'mute', { LaunchTemplate: { LaunchTemplateId: template }, DesiredCapacity: 1, ...options });
    const [bad] = await until(
      () => healthOf(arn),
      ([target]) => target?.TargetHealth?.State === 'unhealthy',
    );
    expect(bad?.TargetHealth).toMatchObject({ Reason: 'Target.FailedHealthChecks', Description: 'Health checks failed' });
    const terminated = await until(
      async () => (await activities(on, 'mute')).find(({ Description = '' }) => Description.startsWith('Terminating')),
      found => found !== undefined,
    );
    expect(terminated?.Cause).toContain('an ELB system health check failure');
  });

  test('traffic sources are attached and detached; a target drains before its instance terminates', async () => {
    const arn = await aTargetGroup(on, 'sources', 60);
    const template = await aTemplate(on, 'sources', { ImageId: good });
    await aGroup(on, 'sources', { LaunchTemplate: { LaunchTemplateId: template }, DesiredCapacity: 1, HealthCheckType: 'ELB' });
    const TrafficSources = [{ Identifier: arn, Type: 'elbv2' }];
    await on.asg.send(new AttachTrafficSourcesCommand({ AutoScalingGroupName: 'sources', TrafficSources }));
    await until(
      async () => (await on.asg.send(new DescribeTrafficSourcesCommand({ AutoScalingGroupName: 'sources' }))).TrafficSources,
      found => found?.[0]?.State === 'InService',
    );
    await on.asg.send(new SetDesiredCapacityCommand({ AutoScalingGroupName: 'sources', DesiredCapacity: 0 }));
    const [leaving] = await until(
      () => healthOf(arn),
      ([target]) => target?.TargetHealth?.State === 'draining',
    );
    expect(await running(on, 'sources')).toEqual([good]);
    expect((await theGroup(on, 'sources'))?.Instances?.[0]).toMatchObject({
      InstanceId: leaving?.Target?.Id,
      LifecycleState: 'Terminating',
    });
    await settled(on, 'sources', 0);
    await on.asg.send(new DetachTrafficSourcesCommand({ AutoScalingGroupName: 'sources', TrafficSources }));
    expect((await theGroup(on, 'sources'))?.TrafficSources).toEqual([]);
  });
});

describe('reading', () => {
  test('groups and tags are paginated and filtered by tag', async () => {
    const template = await aTemplate(on, 'paged', { ImageId: good });
    const names = ['paged-a', 'paged-b', 'paged-c'];
    for (const name of names) await aGroup(on, name, { LaunchTemplate: { LaunchTemplateId: template }, DesiredCapacity: 0 });
    const tag = (ResourceId: string) => ({
      ResourceId,
      ResourceType: 'auto-scaling-group',
      Key: 'stage',
      Value: 'paged',
      PropagateAtLaunch: false,
    });
    await on.asg.send(new CreateOrUpdateTagsCommand({ Tags: names.map(tag) }));
    const Filters = [{ Name: 'tag:stage', Values: ['paged'] }];
    const first = await on.asg.send(new DescribeAutoScalingGroupsCommand({ Filters, MaxRecords: 2 }));
    const second = await on.asg.send(new DescribeAutoScalingGroupsCommand({ Filters, MaxRecords: 2, NextToken: first.NextToken }));
    const found = [first, second].flatMap(({ AutoScalingGroups = [] }) => AutoScalingGroups.map(group => group.AutoScalingGroupName));
    expect(found).toEqual(names);
    expect(second.NextToken).toBeUndefined();
    const tags = await on.asg.send(new DescribeTagsCommand({ Filters: [{ Name: 'value', Values: ['paged'] }], MaxRecords: 2 }));
    expect(tags.Tags).toHaveLength(2);
    expect(tags.NextToken).toBeDefined();
  });

  test('an operation that the lab does not have is refused', async () => {
    const { DescribeTerminationPolicyTypesCommand } = await import('@aws-sdk/client-auto-scaling');
    await expect(on.asg.send(new DescribeTerminationPolicyTypesCommand({}))).rejects.toMatchObject({ name: 'InvalidAction' });
  });
});
