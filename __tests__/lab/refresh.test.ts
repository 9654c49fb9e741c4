import {
  CancelInstanceRefreshCommand,
  DescribeAutoScalingInstancesCommand,
  EnterStandbyCommand,
  PutWarmPoolCommand,
  type RefreshPreferences,
  ResumeProcessesCommand,
  RollbackInstanceRefreshCommand,
  SetDesiredCapacityCommand,
  SetInstanceProtectionCommand,
  SuspendProcessesCommand,
  UpdateAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';
import { PutMetricAlarmCommand, SetAlarmStateCommand } from '@aws-sdk/client-cloudwatch';
import { DeleteLaunchTemplateVersionsCommand, DescribeInstancesCommand, ModifyLaunchTemplateCommand } from '@aws-sdk/client-ec2';
import { PutParameterCommand } from '@aws-sdk/client-ssm';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { pace, quota, reached } from '../../lab/autoscaling/refresh.ts';
import { sickImages } from '../../lab/elb/target-state.ts';
import {
  aGroup,
  anImage,
  aTargetGroup,
  aTemplate,
  aVersion,
  ended,
  reaches,
  running,
  type Stage,
  settled,
  stage,
  start,
  theGroup,
  theRefresh,
  until,
} from './group-stage.ts';

let on: Stage;
let good: string;
let better: string;
let sick: string;

async function enter(options?: Parameters<typeof stage>[0]): Promise<void> {
  on = await stage(options);
  good = await anImage(on, 'good');
  better = await anImage(on, 'better');
  sick = await anImage(on, 'sick');
  sickImages(on.lab.place()).add(sick);
}

beforeAll(() => enter());
afterAll(() => on.close());

/** A group on version 1 of its own template; version 2 has `next`. Returns the answer of a refresh to it. */
async function onTheEve(name: string, next: string, options: Parameters<typeof aGroup>[2] = {}) {
  const LaunchTemplateId = await aTemplate(on, name, { ImageId: good });
  await aGroup(on, name, { LaunchTemplate: { LaunchTemplateId, Version: '1' }, DesiredCapacity: 2, ...options });
  const Version = String(await aVersion(on, LaunchTemplateId, '1', { ImageId: next }));
  return { LaunchTemplateId, DesiredConfiguration: { LaunchTemplate: { LaunchTemplateId, Version } } };
}

const savedVersion = async (name: string) => (await theGroup(on, name))?.LaunchTemplate?.Version;
const idsOf = async (name: string) => ((await theGroup(on, name))?.Instances ?? []).map(({ InstanceId = '' }) => InstanceId);
const cancel = (AutoScalingGroupName: string) => on.asg.send(new CancelInstanceRefreshCommand({ AutoScalingGroupName }));
const rollBack = (AutoScalingGroupName: string) => on.asg.send(new RollbackInstanceRefreshCommand({ AutoScalingGroupName }));

describe('pace', () => {
  test.each([
    ['the default, one of two', 2, 90, undefined, { atLeast: 1, atMost: 2 }],
    ['the default, ten: 10% go first', 10, 90, undefined, { atLeast: 9, atMost: 10 }],
    ['the only one goes first', 1, 90, undefined, { atLeast: 0, atMost: 1 }],
    ['minimum 100 alone: launch before terminate', 4, 100, undefined, { atLeast: 4, atMost: 5 }],
    ['both 100, said: one at a time, launched first', 4, 100, 100, { atLeast: 4, atMost: 5 }],
    ['100 and 150', 4, 100, 150, { atLeast: 4, atMost: 6 }],
    ['100 and 110 of two leaves no room: one', 2, 100, 110, { atLeast: 2, atMost: 3 }],
    ['50 and 150', 4, 50, 150, { atLeast: 2, atMost: 6 }],
    ['minimum 0: all at once', 4, 0, undefined, { atLeast: 0, atMost: 4 }],
  ])('%s', (_, desired, minHealthy, maxHealthy, expected) => {
    expect(pace(desired, { minHealthy, maxHealthy })).toEqual(expected);
  });

  test('checkpoints: the first may be skipped, the last has no delay', () => {
    const rules = { checkpoints: [10, 40, 100] };
    expect([quota(2, rules, 0), quota(2, rules, 40)]).toEqual([1, 2]);
    expect([reached(2, 1, rules, 0), reached(2, 1, rules, 40), reached(2, 2, rules, 40)]).toEqual([40, undefined, undefined]);
  });
});

describe('a refresh that succeeds', () => {
  test('replaces every instance, and writes the desired configuration to the group only then', async () => {
    const { LaunchTemplateId, DesiredConfiguration } = await onTheEve('web', better, { DesiredCapacity: 3 });
    await start(on, 'web', { DesiredConfiguration });
    expect((await theRefresh(on, 'web')).DesiredConfiguration?.LaunchTemplate?.Version).toBe('2');
    expect(await savedVersion('web')).toBe('1');
    expect(await ended(on, 'web')).toMatchObject({ Status: 'Successful', PercentageComplete: 100, InstancesToUpdate: 0 });
    expect(await running(on, 'web')).toEqual([better, better, better]);
    expect((await theGroup(on, 'web'))?.LaunchTemplate).toEqual({ LaunchTemplateId, LaunchTemplateName: 'web', Version: '2' });
  });

  test('is Pending until it begins, and Baking before it is done', async () => {
    const { DesiredConfiguration } = await onTheEve('bakes', better);
    const AutoScalingGroupName = 'bakes';
    await on.asg.send(new SuspendProcessesCommand({ AutoScalingGroupName, ScalingProcesses: ['InstanceRefresh'] }));
    await start(on, 'bakes', { DesiredConfiguration, Preferences: { BakeTime: 120 } });
    await on.lab.clock.sleep(20);
    expect((await theRefresh(on, 'bakes')).Status).toBe('Pending');
    await on.asg.send(new ResumeProcessesCommand({ AutoScalingGroupName }));
    expect(await reaches(on, 'bakes', 'Baking')).toMatchObject({ PercentageComplete: 100 });
    expect(await savedVersion('bakes')).toBe('1');
    expect((await ended(on, 'bakes')).Status).toBe('Successful');
    expect(await savedVersion('bakes')).toBe('2');
  });

  test.each([
    ['launches before it terminates when the minimum is 100', 'first', { MinHealthyPercentage: 100, MaxHealthyPercentage: 150 }, 2],
    ['terminates first by default', 'last', {}, 1],
  ])('%s', async (_, name, Preferences, fewest) => {
    const { DesiredConfiguration } = await onTheEve(name, better);
    await start(on, name, { DesiredConfiguration, Preferences });
    const seen: number[] = [];
    await until(
      async () => {
        seen.push((await theGroup(on, name))?.Instances?.filter(({ LifecycleState }) => LifecycleState === 'InService').length ?? 0);
        return theRefresh(on, name);
      },
      ({ Status }) => Status === 'Successful',
    );
    expect(Math.min(...seen)).toBe(fewest);
    expect(await running(on, name)).toEqual([better, better]);
  });

  test('stops at a checkpoint for its delay', async () => {
    const { DesiredConfiguration } = await onTheEve('checked', better);
    const Preferences = { CheckpointPercentages: [50, 100], CheckpointDelay: 300 };
    await start(on, 'checked', { DesiredConfiguration, Preferences });
    const paused = await until(
      () => theRefresh(on, 'checked'),
      ({ StatusReason = '' }) => StatusReason.includes('checkpoint at 50%'),
    );
    expect(paused).toMatchObject({ Status: 'InProgress', PercentageComplete: 50, InstancesToUpdate: 1 });
    await on.lab.clock.sleep(60);
    expect(await running(on, 'checked')).toEqual([better, good].sort());
    expect((await ended(on, 'checked')).Status).toBe('Successful');
  });

  test('ends early when the last checkpoint is less than all', async () => {
    const { DesiredConfiguration } = await onTheEve('partly', better);
    await start(on, 'partly', { DesiredConfiguration, Preferences: { CheckpointPercentages: [50] } });
    expect(await ended(on, 'partly')).toMatchObject({ Status: 'Successful', PercentageComplete: 50, InstancesToUpdate: 1 });
    expect(await running(on, 'partly')).toEqual([better, good].sort());
  });

  test('waits for the warm-up of new instances', async () => {
    const { DesiredConfiguration } = await onTheEve('slow', better, { DesiredCapacity: 1 });
    await start(on, 'slow', { DesiredConfiguration, Preferences: { InstanceWarmup: 150 } });
    const warming = await until(
      () => theRefresh(on, 'slow'),
      ({ StatusReason = '' }) => StatusReason.includes('is warming up'),
    );
    expect(warming.PercentageComplete).toBe(0);
    expect((await ended(on, 'slow')).Status).toBe('Successful');
  });

  test('skips matching instances; with a parameter as image all match, and none is replaced', async () => {
    await on.ssm.send(new PutParameterCommand({ Name: '/ami/pointer', Value: good, Type: 'String' }));
    const LaunchTemplateId = await aTemplate(on, 'pointed', { ImageId: 'resolve:ssm:/ami/pointer' });
    await aGroup(on, 'pointed', { LaunchTemplate: { LaunchTemplateId, Version: '1' }, DesiredCapacity: 2 });
    await on.ssm.send(new PutParameterCommand({ Name: '/ami/pointer', Value: better, Overwrite: true }));
    await start(on, 'pointed', { Preferences: { SkipMatching: true } });
    expect(await ended(on, 'pointed')).toMatchObject({ Status: 'Successful', PercentageComplete: 100 });
    expect(await running(on, 'pointed')).toEqual([good, good]);
    await start(on, 'pointed');
    await ended(on, 'pointed');
    expect(await running(on, 'pointed')).toEqual([better, better]);
  });

  test('keeps a mixed instances policy complete, and skips matching instances', async () => {
    const [plain, own] = [await aTemplate(on, 'mixed-plain', { ImageId: good }), await aTemplate(on, 'mixed-own', { ImageId: good })];
    const policy = (plainVersion: string, ownVersion: string) => ({
      LaunchTemplate: {
        LaunchTemplateSpecification: { LaunchTemplateId: plain, Version: plainVersion },
        Overrides: [
          { InstanceType: 't3.small' },
          { InstanceType: 't3.medium', LaunchTemplateSpecification: { LaunchTemplateId: own, Version: ownVersion } },
        ],
      },
      InstancesDistribution: { OnDemandBaseCapacity: 1 },
    });
    await aGroup(on, 'mixed', { MixedInstancesPolicy: policy('1', '1'), DesiredCapacity: 2 });
    const [small] = (await theGroup(on, 'mixed'))?.Instances?.filter(({ InstanceType }) => InstanceType === 't3.small') ?? [];
    await aVersion(on, own, '1', { ImageId: better });
    await start(on, 'mixed', { DesiredConfiguration: { MixedInstancesPolicy: policy('1', '2') }, Preferences: { SkipMatching: true } });
    expect(await theRefresh(on, 'mixed')).toMatchObject({ InstancesToUpdate: 1 });
    expect((await ended(on, 'mixed')).Status).toBe('Successful');
    expect(await idsOf('mixed')).toContain(small?.InstanceId);
    const saved = (await theGroup(on, 'mixed'))?.MixedInstancesPolicy;
    expect(saved?.LaunchTemplate?.Overrides?.[1]?.LaunchTemplateSpecification?.Version).toBe('2');
    expect(saved?.InstancesDistribution?.OnDemandBaseCapacity).toBe(1);
  });

  test('launches a scale-out during the refresh from the desired configuration', async () => {
    const { DesiredConfiguration } = await onTheEve('grows', better);
    await start(on, 'grows', { DesiredConfiguration, Preferences: { CheckpointPercentages: [50, 100], CheckpointDelay: 600 } });
    await until(
      () => theRefresh(on, 'grows'),
      ({ StatusReason = '' }) => StatusReason.includes('checkpoint'),
    );
    await on.asg.send(new SetDesiredCapacityCommand({ AutoScalingGroupName: 'grows', DesiredCapacity: 3 }));
    await settled(on, 'grows', 3);
    expect(await running(on, 'grows')).toEqual([better, better, good].sort());
    expect((await ended(on, 'grows')).Status).toBe('Successful');
    expect(await running(on, 'grows')).toEqual([better, better, better]);
  });

  test('renews a warm pool after the instances in service', async () => {
    const { DesiredConfiguration } = await onTheEve('pool', better, { DesiredCapacity: 1, MaxSize: 2 });
    await on.asg.send(new PutWarmPoolCommand({ AutoScalingGroupName: 'pool' }));
    const warmOnes = async () => {
      const { AutoScalingInstances = [] } = await on.asg.send(new DescribeAutoScalingInstancesCommand({}));
      const mine = AutoScalingInstances.filter(
        ({ AutoScalingGroupName, LifecycleState }) => AutoScalingGroupName === 'pool' && LifecycleState === 'Warmed:Stopped',
      );
      return mine.map(({ InstanceId = '' }) => InstanceId);
    };
    const [old] = await until(warmOnes, ids => ids.length === 1);
    await start(on, 'pool', { DesiredConfiguration });
    const done = await ended(on, 'pool');
    expect(done).toMatchObject({ Status: 'Successful', ProgressDetails: { WarmPoolProgress: { PercentageComplete: 100 } } });
    const [renewed = ''] = await warmOnes();
    expect(renewed).not.toBe(old);
    const { Reservations } = await on.ec2.send(new DescribeInstancesCommand({ InstanceIds: [renewed] }));
    expect(Reservations?.[0]?.Instances?.[0]?.ImageId).toBe(better);
  });
});

describe('a refresh that does not succeed', () => {
  test('rolls back on request, and its percentage decreases', async () => {
    const { DesiredConfiguration } = await onTheEve('recalled', better, { DesiredCapacity: 4 });
    await start(on, 'recalled', { DesiredConfiguration, Preferences: { CheckpointPercentages: [50, 100] } });
    await until(
      () => theRefresh(on, 'recalled'),
      ({ PercentageComplete }) => PercentageComplete === 50,
    );
    await rollBack('recalled');
    const seen: number[] = [];
    const undone = await until(
      async () => {
        const refresh = await theRefresh(on, 'recalled');
        seen.push(refresh.PercentageComplete ?? -1);
        return refresh;
      },
      ({ Status }) => Status !== 'RollbackInProgress',
    );
    expect(undone).toMatchObject({ Status: 'RollbackSuccessful', PercentageComplete: 0, InstancesToUpdate: 2 });
    expect(undone.RollbackDetails).toMatchObject({
      PercentageCompleteOnRollback: 50,
      RollbackReason: 'A manual rollback was initiated by a user request.',
    });
    expect(new Set(seen)).toContain(25);
    expect(seen).toEqual([...seen].sort((a, b) => b - a));
    expect(await running(on, 'recalled')).toEqual([good, good, good, good]);
  });

  test('is cancelled: replaced instances stay replaced', async () => {
    const { DesiredConfiguration } = await onTheEve('halved', better);
    await start(on, 'halved', { DesiredConfiguration, Preferences: { CheckpointPercentages: [50, 100] } });
    await until(
      () => theRefresh(on, 'halved'),
      ({ PercentageComplete }) => PercentageComplete === 50,
    );
    await cancel('halved');
    expect(await ended(on, 'halved')).toMatchObject({ Status: 'Cancelled', StatusReason: 'Cancelled due to user request.' });
    expect(await running(on, 'halved')).toEqual([better, good].sort());
    expect(await savedVersion('halved')).toBe('1');
    await expect(cancel('halved')).rejects.toMatchObject({ name: 'ActiveInstanceRefreshNotFoundFault' });
  });

  test('is Cancelling while an instance drains', async () => {
    const TargetGroupARNs = [await aTargetGroup(on, 'between', 300)];
    const { DesiredConfiguration } = await onTheEve('between', better, { TargetGroupARNs });
    await start(on, 'between', { DesiredConfiguration });
    await until(
      async () => (await theGroup(on, 'between'))?.Instances,
      (instances = []) => instances.some(({ LifecycleState }) => LifecycleState === 'Terminating'),
    );
    await cancel('between');
    expect((await theRefresh(on, 'between')).Status).toBe('Cancelling');
    expect((await ended(on, 'between')).Status).toBe('Cancelled');
  });

  test('is rolled back by an alarm', async () => {
    const AlarmName = 'errors';
    const metric = { MetricName: 'Errors', Namespace: 'web', Statistic: 'Sum', Period: 60, EvaluationPeriods: 1 } as const;
    await on.alarms.send(new PutMetricAlarmCommand({ AlarmName, Threshold: 1, ComparisonOperator: 'GreaterThanThreshold', ...metric }));
    await on.alarms.send(new SetAlarmStateCommand({ AlarmName, StateValue: 'OK', StateReason: 'test' }));
    const { DesiredConfiguration } = await onTheEve('alarmed', better);
    const Preferences = { AlarmSpecification: { Alarms: [AlarmName] }, AutoRollback: true, BakeTime: 3600 };
    await start(on, 'alarmed', { DesiredConfiguration, Preferences });
    await reaches(on, 'alarmed', 'Baking');
    await on.alarms.send(new SetAlarmStateCommand({ AlarmName, StateValue: 'ALARM', StateReason: 'test' }));
    const undone = await ended(on, 'alarmed');
    expect(undone.Status).toBe('RollbackSuccessful');
    expect(undone.RollbackDetails?.RollbackReason).toContain('errors is in the ALARM state');
    expect(await running(on, 'alarmed')).toEqual([good, good]);
  });
});

describe('a refresh refuses', () => {
  test('a second one while one runs', async () => {
    const { DesiredConfiguration } = await onTheEve('busy', better);
    await start(on, 'busy', { DesiredConfiguration });
    await expect(start(on, 'busy', { DesiredConfiguration })).rejects.toMatchObject({ name: 'InstanceRefreshInProgressFault' });
  });

  test('an update of the configuration while one with a desired configuration runs', async () => {
    const { LaunchTemplateId, DesiredConfiguration } = await onTheEve('fixed', better);
    await start(on, 'fixed', { DesiredConfiguration, Preferences: { CheckpointPercentages: [50, 100] } });
    const LaunchTemplate = { LaunchTemplateId, Version: '2' };
    const update = on.asg.send(new UpdateAutoScalingGroupCommand({ AutoScalingGroupName: 'fixed', LaunchTemplate }));
    await expect(update).rejects.toThrow('An active instance refresh with a desired configuration exists.');
  });

  test('auto rollback without a desired configuration, in the wording of AWS', async () => {
    await onTheEve('blind', better);
    const asked = start(on, 'blind', { Preferences: { AutoRollback: true } });
    await expect(asked).rejects.toMatchObject({
      name: 'ValidationError',
      message:
        "The request isn't valid. The AutoRollback parameter cannot be set to true when the DesiredConfiguration parameter is empty. Set AutoRollback to false or specify a desired configuration and try again.",
    });
  });

  test.each(['$Latest', '$Default', 'parameter', 'nothing desired'])('a rollback for a group with %s', async how => {
    const name = `oneway-${how.replace(/\W/g, '')}`;
    const ImageId = how === 'parameter' ? 'resolve:ssm:/ami/oneway' : good;
    await on.ssm.send(new PutParameterCommand({ Name: '/ami/oneway', Value: good, Type: 'String', Overwrite: true }));
    const LaunchTemplateId = await aTemplate(on, name, { ImageId });
    await aGroup(on, name, { LaunchTemplate: { LaunchTemplateId, Version: how.startsWith('$') ? how : '1' }, DesiredCapacity: 1 });
    const Version = String(await aVersion(on, LaunchTemplateId, '1', { ImageId: better }));
    const DesiredConfiguration = how === 'nothing desired' ? undefined : { LaunchTemplate: { LaunchTemplateId, Version } };
    await expect(start(on, name, { DesiredConfiguration, Preferences: { AutoRollback: true } })).rejects.toMatchObject({
      name: 'ValidationError',
    });
    await start(on, name, { DesiredConfiguration });
    await expect(rollBack(name)).rejects.toMatchObject({ name: 'IrreversibleInstanceRefreshFault' });
  });

  test('a rollback when it has ended', async () => {
    const { DesiredConfiguration } = await onTheEve('over', better, { DesiredCapacity: 1 });
    await start(on, 'over', { DesiredConfiguration });
    await ended(on, 'over');
    await expect(rollBack('over')).rejects.toMatchObject({ name: 'ActiveInstanceRefreshNotFoundFault' });
  });

  test.each([
    [{ MaxHealthyPercentage: 120 }, 'MinHealthyPercentage must be specified'],
    [{ MinHealthyPercentage: 50, MaxHealthyPercentage: 180 }, 'cannot be greater than 100'],
    [{ MinHealthyPercentage: 101 }, 'less than or equal to 100'],
    [{ CheckpointPercentages: [50, 20] }, 'ascending order'],
    [{ CheckpointPercentages: [50, 50] }, 'unique'],
    [{ CheckpointDelay: 60 }, 'CheckpointPercentages must be specified'],
    [{ BakeTime: 172_801 }, 'less than or equal to 172800'],
    [{ AlarmSpecification: { Alarms: [...'abcdefghijk'] } }, 'length less than or equal to 10'],
  ] satisfies [RefreshPreferences, string][])('preferences such as %j', async (Preferences, words) => {
    await expect(start(on, 'web', { Preferences })).rejects.toThrow(words);
  });
});

describe('a refresh without progress', () => {
  let usual: Stage;

  beforeAll(async () => {
    usual = on;
    await enter({ timings: { refreshPatience: 600 } });
  });

  afterAll(async () => {
    await usual.close();
  });

  const behindBalancer = async (name: string) => ({ TargetGroupARNs: [await aTargetGroup(on, name)], HealthCheckType: 'ELB' });

  test('fails after an hour without healthy new instances, and keeps its changes', async () => {
    const { DesiredConfiguration } = await onTheEve('fails', sick, await behindBalancer('fails'));
    await start(on, 'fails', { DesiredConfiguration });
    const failed = await ended(on, 'fails');
    expect(failed).toMatchObject({ Status: 'Failed', PercentageComplete: 0, InstancesToUpdate: 2 });
    expect(failed.StatusReason).toContain('The problem persisted for 600 seconds.');
    expect(await savedVersion('fails')).toBe('1');
  });

  test('rolls back with AutoRollback: the old image everywhere, the group unchanged', async () => {
    const { DesiredConfiguration } = await onTheEve('undone', sick, await behindBalancer('undone'));
    await start(on, 'undone', { DesiredConfiguration, Preferences: { AutoRollback: true } });
    await reaches(on, 'undone', 'RollbackInProgress');
    const undone = await ended(on, 'undone');
    expect(undone.Status).toBe('RollbackSuccessful');
    expect(undone.RollbackDetails).toMatchObject({ PercentageCompleteOnRollback: 0, InstancesToUpdateOnRollback: 2 });
    expect(undone.RollbackDetails?.RollbackReason).toContain('automatic rollback');
    expect(await running(on, 'undone')).toEqual([good, good]);
    expect(await savedVersion('undone')).toBe('1');
  });

  test('fails to roll back when the saved configuration can no longer be launched', async () => {
    const { LaunchTemplateId, DesiredConfiguration } = await onTheEve('stuck', better);
    await start(on, 'stuck', { DesiredConfiguration, Preferences: { CheckpointPercentages: [50, 100] } });
    await until(
      () => theRefresh(on, 'stuck'),
      ({ PercentageComplete }) => PercentageComplete === 50,
    );
    await on.ec2.send(new ModifyLaunchTemplateCommand({ LaunchTemplateId, DefaultVersion: '2' }));
    await on.ec2.send(new DeleteLaunchTemplateVersionsCommand({ LaunchTemplateId, Versions: ['1'] }));
    await rollBack('stuck');
    const failed = await ended(on, 'stuck');
    expect(failed.Status).toBe('RollbackFailed');
    expect(failed.StatusReason).toContain('Could not find the specified version 1');
  });

  test.each([
    ['waits for a protected instance, then fails', 'guarded', {}, 'Failed', 1],
    ['ignores it with Ignore', 'ignored', { ScaleInProtectedInstances: 'Ignore' }, 'Successful', 1],
    ['replaces it with Refresh', 'overruled', { ScaleInProtectedInstances: 'Refresh' }, 'Successful', 0],
  ] as const)('%s', async (_, name, Preferences, status, left) => {
    const { DesiredConfiguration } = await onTheEve(name, better);
    const [first = ''] = await idsOf(name);
    await on.asg.send(new SetInstanceProtectionCommand({ AutoScalingGroupName: name, InstanceIds: [first], ProtectedFromScaleIn: true }));
    await start(on, name, { DesiredConfiguration, Preferences });
    const done = await ended(on, name);
    expect(done.Status).toBe(status);
    if (status === 'Failed') expect(done.StatusReason).toContain(`${first} is protected. Remove instance scale-in protection to continue.`);
    expect((await running(on, name)).filter(id => id === good)).toHaveLength(left);
  });

  test.each([
    ['waits for an instance in standby, then fails', 'resting', {}, 'Failed', 1],
    ['ignores one in standby with Ignore', 'asleep', { StandbyInstances: 'Ignore' }, 'Successful', 1],
    ['terminates one in standby with Terminate', 'ousted', { StandbyInstances: 'Terminate' }, 'Successful', 0],
  ] as const)('%s', async (_, name, Preferences, status, left) => {
    const { DesiredConfiguration } = await onTheEve(name, better);
    const [first = ''] = await idsOf(name);
    const standby = { AutoScalingGroupName: name, InstanceIds: [first], ShouldDecrementDesiredCapacity: true };
    await on.asg.send(new EnterStandbyCommand(standby));
    await start(on, name, { DesiredConfiguration, Preferences });
    const done = await ended(on, name);
    expect(done.Status).toBe(status);
    if (status === 'Failed') expect(done.StatusReason).toContain(`${first} is in standby.`);
    expect((await running(on, name)).filter(id => id === good)).toHaveLength(left);
  });
});
