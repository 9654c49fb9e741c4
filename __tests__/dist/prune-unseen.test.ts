import { CreateAutoScalingGroupCommand } from '@aws-sdk/client-auto-scaling';
import { CreateLaunchTemplateCommand, DescribeSubnetsCommand, RunInstancesCommand } from '@aws-sdk/client-ec2';
import { PutParameterCommand } from '@aws-sdk/client-ssm';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { mishaps } from '../../lab/ec2/mishaps.ts';
import { parameters } from '../../lab/ssm/parameter-state.ts';
import { removeWorkspaces } from '../harness.ts';
import { familyOfFive, type PruneLab, planOf, REAL } from './prune-lab.ts';

/** A source that cannot be read counts as in use: denied sources, other accounts, missing usage reports. */

let l: PruneLab;
afterEach(() => l.lab.close());
afterAll(removeWorkspaces);

const stage = async (): Promise<void> => {
  l = await familyOfFive();
};

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

  test('each denied source stops the run and names the permission', async () => {
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
      const lift = l.lab.faults.add({ service, operation, action: { error, message: 'You may not.', status: 403 } });
      const ran = await l.act('prune', REAL);
      lift();
      expect([operation, ran.exitCode, ran.outputs['outcome']]).toEqual([operation, 1, 'access']);
      expect(ran.errors[0]).toMatch(says instanceof RegExp ? says : `Not allowed to ${says}: ${error}: You may not.`);
      expect(ran.warnings).toEqual(['No changes were made: an image counts as in use if a source cannot be read.']);
    }
    expect(l.there()).toHaveLength(5);
    expect(l.lab.calls.count('DeregisterImage')).toBe(0);
  });

  test('denied recipes of Image Builder stop the run, and the message names the permissions', async () => {
    await stage();
    const isAboutRecipes = (call: unknown) => JSON.stringify(call).includes('imagebuilder:ImageRecipe');
    const action = { error: 'UnauthorizedOperation', message: 'You may not.', status: 403 };
    l.lab.faults.add({ operation: 'DescribeImageReferences', when: isAboutRecipes, action });
    const ran = await l.act('prune', REAL);
    expect([ran.exitCode, ran.outputs['outcome'], l.there().length]).toEqual([1, 'access', 5]);
    expect(ran.errors[0]).toContain(
      'Not allowed to describe the Image Builder recipes of images (ec2:DescribeImageReferences, imagebuilder:ListImageRecipes, imagebuilder:ListContainerRecipes, imagebuilder:GetContainerRecipe)',
    );
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
  ] as const)('%s stops the run, too', async (_, operation, action, outcome) => {
    await stage();
    l.lab.faults.add({ operation, action });
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
      action: { error: 'InvalidNextToken' },
    });
    const ran = await l.act('prune', REAL);
    expect([ran.exitCode, l.there().length]).toEqual([1, 5]);
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
    const denied = { action: { error: 'AccessDenied', message: 'no', status: 403 } } as const;
    for (const rule of [
      { ...denied, operation: 'AssumeRole' },
      { ...denied, operation: 'DescribeAutoScalingGroups', account: CONSUMER },
    ]) {
      const lift = l.lab.faults.add(rule);
      const ran = await l.act('prune', SHARED);
      lift();
      expect([ran.exitCode, l.there().length]).toEqual([0, 5]);
      expect(planOf(l, ran)['d30']).toContain(`keep: may be used by account …2222 (shared; not readable: Not allowed to `);
    }
  });

  test('stays when the role that is given belongs to another account: what it sees says nothing of this one', async () => {
    await stageShared();
    const ran = await l.act('prune', { ...REAL, 'target-role': 'arn:aws:iam::444444444444:role/ami-consumer' });
    expect([ran.exitCode, l.there().length]).toEqual([0, 5]);
    expect(planOf(l, ran)['d50']).toBe(`keep: may be used by account …2222 (shared; not readable)`);
  });

  test('stays when that account comes to use it after the plan was made', async () => {
    await stageShared();
    parameters(consumer()).clear();
    const use = async () => {
      await l.cloudOf(CONSUMER).ssm.send(new PutParameterCommand({ Name: '/ami/web/prod/candidate', Value: l.id('d50'), Type: 'String' }));
    };
    // The last call of the plan; the next are those of the second look.
    l.lab.faults.add({ operation: 'DescribeLaunchTemplateVersions', account: CONSUMER, nth: 1, action: { run: use, at: 'after' } });
    const ran = await l.act('prune', SHARED);
    expect([ran.exitCode, l.there()]).toEqual([0, ['d50', 'd40', 'd20', 'd10']]);
    expect(l.named(ran.log)).toContain(
      `d50 is kept: after the plan was made: used by parameter /ami/web/prod/candidate in account ${CONSUMER}`,
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
    expect(planOf(l, ran)['d50']).toBe('keep: used by 1 ec2:Instance in account …3333 (usage report)');
  });

  test('that ends in an error keeps the image', async () => {
    await stage();
    mishaps(l.home).usageReportsFail = true;
    const ran = await l.act('prune', WITH_REPORTS);
    expect([ran.exitCode, l.there().length]).toEqual([0, 5]);
    expect(planOf(l, ran)['d50']).toBe('keep: may be used by another account (its usage report failed)');
  });

  test('that is pending for longer than anybody waits keeps the image', async () => {
    await stage();
    Object.assign(l.lab.core.timings, { usageReport: 86_400 });
    const ran = await l.act('prune', WITH_REPORTS);
    expect([ran.exitCode, l.there().length]).toEqual([0, 5]);
    expect(planOf(l, ran)['d50']).toBe('keep: may be used by another account (its usage report did not arrive)');
  });
});
