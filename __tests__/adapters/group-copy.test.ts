import type { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import { describe, expect, test } from '@jest/globals';
import { groupCopies } from '../../src/adapters/aws/group-copy.ts';
import { autoScalingGroups } from '../../src/adapters/aws/groups.ts';

/** What a copy of a group is sent, call by call. `answers`: by the name of the call; a list is answered page by page. */

interface Sent {
  readonly call: string;
  readonly input: Record<string, unknown>;
}

const EMPTY: Readonly<Record<string, object>> = {
  DescribePolicies: { ScalingPolicies: [] },
  DescribeLifecycleHooks: { LifecycleHooks: [] },
  DescribeNotificationConfigurations: { NotificationConfigurations: [] },
  DescribeTrafficSources: { TrafficSources: [] },
};

function account(answers: Readonly<Record<string, object | readonly object[]>>) {
  const sent: Sent[] = [];
  const send = async (command: { readonly input: Record<string, unknown> }) => {
    const call = command.constructor.name.replace(/Command$/, '');
    sent.push({ call, input: command.input });
    const answer = answers[call] ?? EMPTY[call] ?? {};
    return Array.isArray(answer) ? answer[Number(command.input['NextToken'] ?? 0)] : answer;
  };
  const client = { send } as unknown as AutoScalingClient;
  const inputs = (call: string) => sent.filter(each => each.call === call).map(({ input }) => input);
  return { port: groupCopies(client), groups: autoScalingGroups(client, {} as never, {} as never), inputs };
}

const web = { AutoScalingGroupName: 'web', MinSize: 1, MaxSize: 4, DesiredCapacity: 2 };
const described = (change: object = {}) => ({ DescribeAutoScalingGroups: { AutoScalingGroups: [{ ...web, ...change }] } });

describe('what hangs on a group', () => {
  test('major M8: a metric of the group becomes a metric of its copy', async () => {
    const metric = (name: string) => ({
      CustomizedMetricSpecification: { MetricName: 'backlog', Dimensions: [{ Name: 'AutoScalingGroupName', Value: name }] },
      TargetValue: 10,
    });
    const policy = { PolicyName: 'queue', PolicyType: 'TargetTrackingScaling', TargetTrackingConfiguration: metric('web') };
    const { port, inputs } = account({
      ...described(),
      DescribePolicies: { ScalingPolicies: [policy] },
    });
    await port.copyAttachments('web', 'web-green', []);
    expect(inputs('PutScalingPolicy')).toEqual([
      expect.objectContaining({ AutoScalingGroupName: 'web-green', TargetTrackingConfiguration: metric('web-green') }),
    ]);
  });

  test('major M10: processes that are suspended on purpose are suspended on the copy', async () => {
    const { port, inputs } = account({ ...described() });
    await port.copyAttachments('web', 'web-green', ['AZRebalance', 'AlarmNotification']);
    expect(inputs('SuspendProcesses')).toEqual([
      { AutoScalingGroupName: 'web-green', ScalingProcesses: ['AZRebalance', 'AlarmNotification'] },
    ]);
  });

  test('major M5: a group drains for as long as all its termination hooks may hold an instance', async () => {
    const hook = (LifecycleTransition: string, HeartbeatTimeout?: number) => ({ LifecycleTransition, HeartbeatTimeout });
    const ends = 'autoscaling:EC2_INSTANCE_TERMINATING';
    const LifecycleHooks = [hook(ends, 7200), hook(ends), hook('autoscaling:EC2_INSTANCE_LAUNCHING', 60)];
    const { port } = account({ ...described(), DescribeLifecycleHooks: { LifecycleHooks } });
    expect(await port.terminationSeconds('web')).toBe(7200 + 3600);
  });

  test('minor m10: notifications are read to the last page', async () => {
    const page = (NotificationType: string, NextToken?: string) => ({
      NotificationConfigurations: [{ TopicARN: 'arn:ops', NotificationType }],
      NextToken,
    });
    const { port, inputs } = account({
      ...described(),
      DescribeNotificationConfigurations: [page('launch', '1'), page('terminate')],
    });
    await port.copyAttachments('web', 'web-green', []);
    expect(inputs('PutNotificationConfiguration')).toEqual([
      { AutoScalingGroupName: 'web-green', TopicARN: 'arn:ops', NotificationTypes: ['launch', 'terminate'] },
    ]);
  });

  test('minor m8: a recurring action that begins in the future does not begin at once on the copy', async () => {
    const now = Date.parse('2026-12-01T00:00:00Z');
    const future = new Date('2027-01-01T00:00:00Z');
    const action = (ScheduledActionName: string, StartTime: Date) => ({
      ScheduledActionName,
      StartTime,
      Recurrence: '0 22 * * *',
      MinSize: 1,
    });
    const actions = [action('next-year', future), action('now', new Date(now + 1000))];
    const { port, inputs } = account({ ...described(), DescribeScheduledActions: { ScheduledUpdateGroupActions: actions } });
    await port.copySchedules('web', 'web-green', now);
    expect(inputs('PutScheduledUpdateGroupAction').map(({ ScheduledActionName, StartTime }) => [ScheduledActionName, StartTime])).toEqual([
      ['next-year', future],
      ['now', undefined],
    ]);
  });

  test('major M9, minor m11: what cannot be copied is told apart, and hooks name who completes them', async () => {
    const hooks = [
      { LifecycleHookName: 'join', NotificationTargetARN: 'arn:aws:sqs:eu-central-1:111122223333:hooks' },
      { LifecycleHookName: 'drain' },
      { LifecycleHookName: 'CodeDeploy-managed-automatic-launch-deployment-hook-web' },
    ];
    const policies = [
      { PolicyName: 'forecast', PolicyType: 'PredictiveScaling' },
      { PolicyName: 'step', PolicyType: 'StepScaling' },
    ];
    const reserved = { CapacityReservationSpecification: { CapacityReservationPreference: 'capacity-reservations-only' } };
    const { port } = account({
      ...described(reserved),
      DescribePolicies: { ScalingPolicies: policies },
      DescribeLifecycleHooks: { LifecycleHooks: hooks },
    });
    expect(await port.copyLimits('web')).toEqual({
      cannotCopy: [
        'its predictive scaling policy forecast forecasts from the history of this group',
        'its scaling policy step (StepScaling) is called by CloudWatch alarms',
        'CodeDeploy completes its hook CodeDeploy-managed-automatic-launch-deployment-hook-web for this group only',
        'it launches into capacity reservations only, which the first group fills',
      ],
      hooks: ['join (arn:aws:sqs:eu-central-1:111122223333:hooks)', 'drain', 'CodeDeploy-managed-automatic-launch-deployment-hook-web'],
    });
  });
});

test('major M6, major M7: a copy is created without traffic, and cannot scale in below what the first one runs', async () => {
  const { port, inputs } = account({ ...described({ TargetGroupARNs: ['arn:tg'], LoadBalancerNames: ['classic'], DesiredCapacity: 3 }) });
  const launch = { kind: 'template' as const, template: { templateId: 'lt-1', templateName: 'web', version: '2' } };
  await port.create({ from: 'web', as: 'web-green', launch, tags: {} });
  const [{ TargetGroupARNs, LoadBalancerNames, TrafficSources, MinSize, MaxSize, DesiredCapacity } = {}] = inputs('CreateAutoScalingGroup');
  expect([TargetGroupARNs, LoadBalancerNames, TrafficSources]).toEqual([undefined, undefined, undefined]);
  expect([MinSize, MaxSize, DesiredCapacity]).toEqual([3, 4, 3]);
});

test('minors m6, m9: zonal shift is not validated again, and ten load balancers at most go into one call', async () => {
  const TargetGroupARNs = Array.from({ length: 12 }, (_, i) => `arn:tg-${i}`);
  const shift = { AvailabilityZoneImpairmentPolicy: { ZonalShiftEnabled: true }, TargetGroupARNs };
  const { port, inputs } = account({ ...described(shift) });
  const launch = { kind: 'template' as const, template: { templateId: 'lt-1', templateName: 'web', version: '2' } };
  await port.create({ from: 'web', as: 'web-green', launch, tags: {} });
  await port.attachTraffic('web', 'web-green');
  const [created] = inputs('CreateAutoScalingGroup');
  expect(created).toMatchObject({ SkipZonalShiftValidation: true });
  expect(Object.keys(created ?? {})).not.toContain('TargetGroupARNs');
  expect(
    inputs('AttachTrafficSources').map(({ TrafficSources, SkipZonalShiftValidation }) => [
      (TrafficSources as object[]).length,
      SkipZonalShiftValidation,
    ]),
  ).toEqual([
    [10, true],
    [2, true],
  ]);
});

// aws-ec2 M5: a role that is named is passed, which the caller must be allowed.
test('the service-linked role of a group is named for its copy, unless it is the default one', async () => {
  const role = (name: string) => `arn:aws:iam::111122223333:role/aws-service-role/autoscaling.amazonaws.com/${name}`;
  const launch = { kind: 'template' as const, template: { templateId: 'lt-1', templateName: 'web', version: '2' } };
  const named = async (ServiceLinkedRoleARN: string) => {
    const { port, inputs } = account(described({ ServiceLinkedRoleARN }));
    await port.create({ from: 'web', as: 'web-green', launch, tags: {} });
    return inputs('CreateAutoScalingGroup').map(input => input['ServiceLinkedRoleARN']);
  };
  expect(await named(role('AWSServiceRoleForAutoScaling'))).toEqual([undefined]);
  expect(await named(role('AWSServiceRoleForAutoScaling_keys'))).toEqual([role('AWSServiceRoleForAutoScaling_keys')]);
});

describe('scaling activities', () => {
  const launching = (StatusCode: string, StatusMessage?: string) => ({
    Description: 'Launching a new EC2 instance: i-1',
    StatusCode,
    StatusMessage,
  });
  test('a launch that EC2 ended at once has failed, one that a scale-in cancelled has not', async () => {
    const lost =
      'Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: Client.InternalError: Client error on launch';
    const Activities = [
      launching('Cancelled', lost),
      launching('Cancelled'),
      launching('Failed', 'VcpuLimitExceeded'),
      launching('Successful'),
    ];
    const { groups } = account({ DescribeScalingActivities: { Activities } });
    expect((await groups.launches('web')).map(({ result }) => result)).toEqual(['failed', 'pending', 'failed', 'successful']);
  });
});

describe('of a group', () => {
  const read = async (change: object) => (await account(described(change)).groups.find({ names: ['web'] }))[0];

  test('major M3: the service that manages it is read', async () => {
    expect((await read({ Operator: { Managed: true, Principal: 'eks.amazonaws.com' } }))?.operator).toBe('eks.amazonaws.com');
  });

  test('major M11: what its sizes count is read', async () => {
    const LaunchTemplateSpecification = { LaunchTemplateId: 'lt-1', Version: '1' };
    const Overrides = [
      { InstanceType: 'm5.large', WeightedCapacity: '2' },
      { InstanceType: 'm5.xlarge', WeightedCapacity: '4' },
    ];
    const weighted = await read({ MixedInstancesPolicy: { LaunchTemplate: { LaunchTemplateSpecification, Overrides } } });
    expect([weighted?.sizeUnit, weighted?.heaviest]).toEqual(['weights', 4]);
    expect((await read({ DesiredCapacityType: 'vcpu' }))?.sizeUnit).toBe('vcpu');
    expect((await read({}))?.sizeUnit).toBeUndefined();
  });
});

test('a refresh to what the group launches has no configuration of its own, also where AWS shows an empty one', async () => {
  const InstanceRefreshes = [{}, undefined, { LaunchTemplate: { LaunchTemplateId: 'lt-1', Version: '2' } }].map(DesiredConfiguration => ({
    ...{ InstanceRefreshId: 'r-1', Status: 'InProgress', DesiredConfiguration },
  }));
  const { groups } = account({ DescribeInstanceRefreshes: { InstanceRefreshes } });
  expect((await groups.refreshes('web')).map(({ desired }) => desired?.kind)).toEqual([undefined, undefined, 'template']);
});

test('minor m15: the image of a replaced root volume is the image of the instance', async () => {
  const Instances = [{ InstanceId: 'i-1', ImageId: 'ami-volume' }, { InstanceId: 'i-2' }];
  const { groups } = account(described({ Instances }));
  const [group] = await groups.find({ names: ['web'] });
  expect(group?.members.map(({ id, imageId }) => [id, imageId])).toEqual([
    ['i-1', 'ami-volume'],
    ['i-2', undefined],
  ]);
});
