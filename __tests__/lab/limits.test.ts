import {
  CreateAutoScalingGroupCommand,
  DeleteAutoScalingGroupCommand,
  DeleteLifecycleHookCommand,
  DeleteNotificationConfigurationCommand,
  DeletePolicyCommand,
  DeleteScheduledActionCommand,
  DescribeAutoScalingGroupsCommand,
  DescribeLifecycleHooksCommand,
  DescribeNotificationConfigurationsCommand,
  DescribePoliciesCommand,
  DescribeScheduledActionsCommand,
  PutLifecycleHookCommand,
  PutNotificationConfigurationCommand,
  PutScalingPolicyCommand,
  PutScheduledUpdateGroupActionCommand,
  SuspendProcessesCommand,
  UpdateAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';
import { PutMetricAlarmCommand, SetAlarmStateCommand } from '@aws-sdk/client-cloudwatch';
import {
  CreateSecurityGroupCommand,
  DeleteSecurityGroupCommand,
  DescribeImagesCommand,
  DescribeInstanceAttributeCommand,
  DescribeTagsCommand,
  ModifyInstanceAttributeCommand,
  StopInstancesCommand,
} from '@aws-sdk/client-ec2';
import { GetServiceSettingCommand } from '@aws-sdk/client-ssm';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { groups } from '../../lab/autoscaling/group.ts';
import { mishaps } from '../../lab/ec2/mishaps.ts';
import { refusal } from './clients.ts';
import { aGroup, anImage, aTemplate, ended, type Stage, settled, stage, start, theGroup, until } from './group-stage.ts';

let on: Stage;
let image: string;
let template: string;

beforeAll(async () => {
  // A group stays pending delete for a second.
  on = await stage({ timings: { shutdown: 600 } });
  image = await anImage(on, 'limits');
  template = await aTemplate(on, 'limits', { ImageId: image });
});
afterAll(() => on.close());

const small = (name: string, change: Parameters<typeof aGroup>[2] = {}) =>
  aGroup(on, name, { LaunchTemplate: { LaunchTemplateId: template }, DesiredCapacity: 1, ...change });

describe('filters', () => {
  const images = (values: number, length = 1) =>
    on.ec2.send(
      new DescribeImagesCommand({
        Filters: [
          { Name: 'image-id', Values: Array.from({ length: values }, (_, i) => `ami-${i}`) },
          { Name: 'name', Values: ['n'.repeat(length)] },
        ],
      }),
    );

  test('take 200 values on a single call, of 255 characters each', async () => {
    expect((await images(199)).Images).toEqual([]);
    expect(await refusal(images(200))).toBe('FilterLimitExceeded: The maximum number of filter values specified on a single call is 200');
    expect(await refusal(images(1, 256))).toBe('FilterLimitExceeded: The maximum length for a filter value is 255 characters');
  });

  test('group names are limited by MaxRecords', async () => {
    const names = Array.from({ length: 60 }, (_, i) => `group-${i}`);
    const ask = (MaxRecords?: number) => on.asg.send(new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: names, MaxRecords }));
    expect(await refusal(ask())).toMatch(/^ValidationError: .*\(60\) exceeds the limit of 50/);
    expect((await ask(100)).AutoScalingGroups).toEqual([]);
  });
});

// https://docs.aws.amazon.com/systems-manager/latest/userguide/managed-instances-default-host-management.html
test('Default Host Management is off', async () => {
  const SettingId = '/ssm/managed-instance/default-ec2-instance-management-role';
  const { ServiceSetting } = await on.ssm.send(new GetServiceSettingCommand({ SettingId }));
  expect(ServiceSetting).toMatchObject({ SettingValue: '$None', Status: 'Default' });
});

test('tags of a deleted resource linger in DescribeTags when a test sets it', async () => {
  const tag = { Key: 'run', Value: '1' };
  const { GroupId = '' } = await on.ec2.send(
    new CreateSecurityGroupCommand({
      GroupName: 'lingers',
      Description: 'x',
      TagSpecifications: [{ ResourceType: 'security-group', Tags: [tag] }],
    }),
  );
  mishaps(on.lab.place()).tagsLingerSeconds = 300;
  await on.ec2.send(new DeleteSecurityGroupCommand({ GroupId }));
  const tags = async () => (await on.ec2.send(new DescribeTagsCommand({ Filters: [{ Name: 'resource-id', Values: [GroupId] }] }))).Tags;
  expect(await tags()).toEqual([{ ResourceId: GroupId, ResourceType: 'security-group', ...tag }]);
  await until(tags, found => found?.length === 0);
  mishaps(on.lab.place()).tagsLingerSeconds = 0;
});

describe('a group', () => {
  test('that is pending delete keeps its name and refuses changes', async () => {
    await small('going');
    await on.asg.send(new DeleteAutoScalingGroupCommand({ AutoScalingGroupName: 'going', ForceDelete: true }));
    expect(await refusal(small('going'))).toBe(
      'AlreadyExistsFault: AutoScalingGroup by this name already exists - A group with the name going already exists and is pending delete.  Please wait until Autoscaling completes the deletion process before creating another group with the same name.',
    );
    expect(await refusal(on.asg.send(new UpdateAutoScalingGroupCommand({ AutoScalingGroupName: 'going', MaxSize: 3 })))).toBe(
      'ValidationError: The AutoScaling group may not be modified while it is pending delete',
    );
    await until(
      () => theGroup(on, 'going'),
      found => found === undefined,
    );
  });

  test('whose name is in use is refused', async () => {
    await small('taken');
    expect(await refusal(small('taken'))).toBe(
      'AlreadyExistsFault: AutoScalingGroup by this name already exists - A group with the name taken already exists',
    );
  });

  test('with an operator is described with it and refuses changes by others', async () => {
    await small('managed');
    Object.assign(groups(on.lab.place()).get('managed')?.described ?? {}, { Operator: { Principal: 'eks.amazonaws.com' } });
    expect(await theGroup(on, 'managed')).toMatchObject({ Operator: { Principal: 'eks.amazonaws.com' } });
    const suspend = new SuspendProcessesCommand({ AutoScalingGroupName: 'managed', ScalingProcesses: ['Launch'] });
    expect(await refusal(on.asg.send(suspend))).toMatch(/^AccessDenied: .*autoscaling:SuspendProcesses.*eks\.amazonaws\.com/);
    expect(await refusal(start(on, 'managed'))).toMatch(/^AccessDenied/);
    expect((await theGroup(on, 'managed'))?.SuspendedProcesses).toEqual([]);
  });

  test('with instance requirements launches a type that meets them, and takes no desired configuration', async () => {
    const Overrides = [{ InstanceRequirements: { VCpuCount: { Min: 4 }, MemoryMiB: { Min: 16_000 } } }];
    const MixedInstancesPolicy = {
      LaunchTemplate: { LaunchTemplateSpecification: { LaunchTemplateId: template, Version: '1' }, Overrides },
    };
    await small('by-attributes', { LaunchTemplate: undefined, MixedInstancesPolicy });
    expect((await settled(on, 'by-attributes', 1)).map(({ InstanceType }) => InstanceType)).toEqual(['t2.xlarge']);
    const DesiredConfiguration = { MixedInstancesPolicy };
    expect(await refusal(start(on, 'by-attributes', { DesiredConfiguration }))).toMatch(/^ValidationError: .*instance requirements/);
    expect(await refusal(start(on, 'by-attributes', { Preferences: { SkipMatching: true } }))).toMatch(/^ValidationError/);
    expect(await start(on, 'by-attributes')).not.toBe('');
  });

  // https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-mixed-instances-groups-instance-weighting.html
  test('with weights counts its desired capacity in units, also in a refresh', async () => {
    const Overrides = [{ InstanceType: 'm5.large', WeightedCapacity: '2' }];
    const policy = (Version: string) => ({
      LaunchTemplate: { LaunchTemplateSpecification: { LaunchTemplateId: template, Version }, Overrides },
    });
    const options = { MinSize: 0, MaxSize: 8, AvailabilityZones: ['eu-central-1a'], MixedInstancesPolicy: policy('1') };
    await on.asg.send(new CreateAutoScalingGroupCommand({ AutoScalingGroupName: 'weighted', DesiredCapacity: 5, ...options }));
    const present = await settled(on, 'weighted', 3);
    expect(present.map(({ WeightedCapacity }) => WeightedCapacity)).toEqual(['2', '2', '2']);
    expect((await theGroup(on, 'weighted'))?.DesiredCapacity).toBe(5);
    await start(on, 'weighted');
    expect((await ended(on, 'weighted')).Status).toBe('Successful');
    const fresh = await settled(on, 'weighted', 3);
    expect(fresh.filter(({ InstanceId }) => present.some(old => old.InstanceId === InstanceId))).toEqual([]);
  });

  // https://docs.aws.amazon.com/autoscaling/ec2/userguide/instance-refresh-overview.html
  test('starts no refresh with an alarm that is unknown, in ALARM or without data', async () => {
    await small('watched');
    const begin = () => start(on, 'watched', { Preferences: { AlarmSpecification: { Alarms: ['errors'] } } });
    expect(await refusal(begin())).toMatch(/^ValidationError: .*errors was not found/);
    const alarm = { AlarmName: 'errors', ComparisonOperator: 'GreaterThanThreshold', EvaluationPeriods: 1 } as const;
    await on.alarms.send(new PutMetricAlarmCommand(alarm));
    expect(await refusal(begin())).toMatch(/^ValidationError: .*INSUFFICIENT_DATA/);
    const set = (StateValue: 'ALARM' | 'OK') =>
      on.alarms.send(new SetAlarmStateCommand({ AlarmName: 'errors', StateValue, StateReason: 'test' }));
    await set('ALARM');
    expect(await refusal(begin())).toMatch(/^ValidationError: .*in the ALARM state/);
    await set('OK');
    expect(await begin()).not.toBe('');
  });

  test('loses its hooks, policies, schedules and notifications one by one, as Terraform removes them', async () => {
    await small('attached');
    const AutoScalingGroupName = 'attached';
    const TopicARN = 'arn:aws:sns:eu-central-1:111122223333:topic';
    const [LifecycleHookName, PolicyName, ScheduledActionName] = ['hook', 'policy', 'action'];
    await on.asg.send(
      new PutLifecycleHookCommand({ AutoScalingGroupName, LifecycleHookName, LifecycleTransition: 'autoscaling:EC2_INSTANCE_LAUNCHING' }),
    );
    await on.asg.send(
      new PutScalingPolicyCommand({ AutoScalingGroupName, PolicyName, AdjustmentType: 'ChangeInCapacity', ScalingAdjustment: 1 }),
    );
    await on.asg.send(new PutScheduledUpdateGroupActionCommand({ AutoScalingGroupName, ScheduledActionName, Recurrence: '0 6 * * *' }));
    const NotificationTypes = ['autoscaling:EC2_INSTANCE_LAUNCH'];
    await on.asg.send(new PutNotificationConfigurationCommand({ AutoScalingGroupName, TopicARN, NotificationTypes }));
    const removals = [
      new DeleteLifecycleHookCommand({ AutoScalingGroupName, LifecycleHookName }),
      new DeletePolicyCommand({ AutoScalingGroupName, PolicyName }),
      new DeleteScheduledActionCommand({ AutoScalingGroupName, ScheduledActionName }),
      new DeleteNotificationConfigurationCommand({ AutoScalingGroupName, TopicARN }),
    ] as const;
    const { ScalingPolicies: [policy] = [] } = await on.asg.send(new DescribePoliciesCommand({ AutoScalingGroupName }));
    expect(policy).toMatchObject({ StepAdjustments: [], Alarms: [] });
    const { ScheduledUpdateGroupActions: [action] = [] } = await on.asg.send(new DescribeScheduledActionsCommand({ AutoScalingGroupName }));
    expect(action?.ScheduledActionARN).toMatch(
      /:scheduledUpdateGroupAction:.*:autoScalingGroupName\/attached:scheduledActionName\/action$/,
    );
    for (const removal of removals) await on.asg.send(removal as DeletePolicyCommand);
    for (const removal of removals) expect(await refusal(on.asg.send(removal as DeletePolicyCommand))).toMatch(/^ValidationError: /);
    expect((await on.asg.send(new DescribeLifecycleHooksCommand({ AutoScalingGroupName }))).LifecycleHooks).toEqual([]);
    expect((await on.asg.send(new DescribePoliciesCommand({ AutoScalingGroupName }))).ScalingPolicies).toEqual([]);
    expect((await on.asg.send(new DescribeScheduledActionsCommand({ AutoScalingGroupName }))).ScheduledUpdateGroupActions).toEqual([]);
    const { NotificationConfigurations } = await on.asg.send(
      new DescribeNotificationConfigurationsCommand({ AutoScalingGroupNames: [AutoScalingGroupName] }),
    );
    expect(NotificationConfigurations).toEqual([]);
  });
});

// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Stop_Start.html#Using_StopProtection
test('an instance that is protected from stopping is not stopped', async () => {
  await small('stoppable');
  const [{ InstanceId = '' } = {}] = await settled(on, 'stoppable', 1);
  const protection = async () =>
    (await on.ec2.send(new DescribeInstanceAttributeCommand({ InstanceId, Attribute: 'disableApiStop' }))).DisableApiStop;
  expect(await protection()).toEqual({ Value: false });
  await on.ec2.send(new ModifyInstanceAttributeCommand({ InstanceId, DisableApiStop: { Value: true } }));
  expect(await protection()).toEqual({ Value: true });
  expect(await refusal(on.ec2.send(new StopInstancesCommand({ InstanceIds: [InstanceId] })))).toMatch(
    /^OperationNotPermitted: .*disableApiStop/,
  );
  await on.ec2.send(new ModifyInstanceAttributeCommand({ InstanceId, Attribute: 'disableApiStop', Value: 'false' }));
  expect(await protection()).toEqual({ Value: false });
});

describe('answers that a fault spoils', () => {
  const list = () => on.ec2.send(new DescribeImagesCommand({ ImageIds: [image] }));

  test('lack a member, or a whole list', async () => {
    const undo = on.lab.faults.add({ operation: 'DescribeImages', action: { omit: ['Images[].CreationDate', 'Images[].State'] } });
    const [found] = (await list()).Images ?? [];
    expect([found?.ImageId, found?.CreationDate, found?.State]).toEqual([image, undefined, undefined]);
    undo();
    const none = on.lab.faults.add({ operation: 'DescribeImages', action: { omit: ['Images'] } });
    expect(await list()).not.toHaveProperty('Images');
    none();
    expect((await list()).Images?.[0]?.State).toBe('available');
  });

  test.each([
    ['a page of HTML with 200', { status: 200, body: '<html><body>ok</body></html>' }],
    ['cut XML', { status: 200, body: '<DescribeImagesResponse><imagesSet><item>', type: 'text/xml' }],
    ['an empty body', { status: 200, body: '' }],
    ['a redirect', { status: 301, body: '' }],
  ])('are %s', async (_, respond) => {
    const undo = on.lab.faults.add({ operation: 'DescribeImages', nth: 1, action: { respond } });
    const answer = await list().then(
      ({ Images }) => Images,
      (cause: unknown) => (cause instanceof Error ? 'error' : cause),
    );
    expect([undefined, 'error']).toContain(answer);
    undo();
    expect(on.lab.calls.all().at(-1)?.outcome).toBe(`raw ${respond.status}`);
  });

  test('come before or after the action', async () => {
    const make = (GroupName: string) => on.ec2.send(new CreateSecurityGroupCommand({ GroupName, Description: 'x' }));
    const respond = { status: 200, body: '<' };
    on.lab.faults.add({ operation: 'CreateSecurityGroup', nth: 1, action: { respond, at: 'before' } });
    await expect(make('unread')).rejects.toThrow();
    on.lab.faults.add({ operation: 'CreateSecurityGroup', nth: 1, action: { respond } });
    await expect(make('unread')).rejects.toThrow();
    expect(await refusal(make('unread'))).toMatch(/^InvalidGroup.Duplicate/);
    on.lab.faults.clear();
  });
});
