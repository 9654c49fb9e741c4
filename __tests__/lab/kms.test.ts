import { CreateAutoScalingGroupCommand, DescribeAutoScalingGroupsCommand } from '@aws-sdk/client-auto-scaling';
import { CopyImageCommand, CreateLaunchTemplateCommand, ModifyImageAttributeCommand, RunInstancesCommand } from '@aws-sdk/client-ec2';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { images } from '../../lab/ec2/images.ts';
import { network } from '../../lab/ec2/network.ts';
import { instances } from '../../lab/ec2/state.ts';
import { keys, type LabKey } from '../../lab/kms/keys.ts';
import { scalingRole } from '../../lab/kms/use.ts';
import { BUILD, PROD, type ShareLab, STAGE, shareLab } from '../dist/share-lab.ts';
import { clientsOf } from './clients.ts';

/** An encrypted image needs its key in every account. AWS accepts the calls without it and fails later. */

let l: ShareLab;
beforeEach(async () => {
  l = await shareLab();
});
afterEach(() => l.lab.close());

async function shared(key: string, account = STAGE): Promise<string> {
  const id = l.image('web-1', { key });
  const { ec2 } = clientsOf(l.lab, { account: BUILD });
  await ec2.send(new ModifyImageAttributeCommand({ ImageId: id, LaunchPermission: { Add: [{ UserId: account }] } }));
  for (const { snapshotId = '' } of l.labImage(id).devices) l.snapshot(snapshotId).readers.add(account);
  return id;
}

async function launchedIn(account: string, ImageId: string): Promise<string> {
  const order = { ImageId, InstanceType: 't3.micro', MinCount: 1, MaxCount: 1 } as const;
  const { Instances: [made] = [] } = await clientsOf(l.lab, { account }).ec2.send(new RunInstancesCommand(order));
  const seen = () => instances(l.lab.place(account)).get(made?.InstanceId ?? '');
  await l.until(() => seen()?.state !== 'pending');
  return `${seen()?.state} ${seen()?.stateReason?.code ?? ''}`.trim();
}

describe('a naive share of an encrypted image', () => {
  test('succeeds, and its instances terminate before they run', async () => {
    expect(await launchedIn(STAGE, await shared(l.key([])))).toBe('terminated Client.InternalError');
    expect(await launchedIn(STAGE, await shared(l.key([STAGE])))).toBe('running');
    expect(await launchedIn(BUILD, await shared(l.key([])))).toBe('running');
  });

  test('a Deny overrides an Allow', async () => {
    const key = l.key([STAGE, PROD]);
    const { Statement } = (keys(l.lab.core).get(key) as LabKey).policy as { Statement: object[] };
    const Condition = { StringNotEquals: { 'kms:CallerAccount': [BUILD, PROD] } };
    Statement.push({ Effect: 'Deny', Principal: '*', Action: 'kms:*', Resource: '*', Condition });
    expect(await launchedIn(STAGE, await shared(key))).toBe('terminated Client.InternalError');
    expect(await launchedIn(PROD, await shared(key, PROD))).toBe('running');
  });

  test('can be copied, and the copy fails later', async () => {
    const copied = async (key: string) => {
      const SourceImageId = await shared(key);
      const order = { SourceImageId, SourceRegion: l.home.region, Name: `copy-${SourceImageId}` };
      const { ImageId = '' } = await clientsOf(l.lab, { account: STAGE }).ec2.send(new CopyImageCommand(order));
      const copy = () => images(l.lab.place(STAGE)).get(ImageId);
      await l.until(() => copy()?.state !== 'pending');
      return `${copy()?.state} ${copy()?.stateReason?.message ?? ''}`.trim();
    };
    expect(await copied(l.key([]))).toBe('failed Given key ID is not accessible');
    expect(await copied(l.key([STAGE]))).toBe('available');
  });

  // https://docs.aws.amazon.com/autoscaling/ec2/userguide/key-policy-requirements-EBS-encryption.html: "you must use a grant in combination with the key policy"
  test('runs by RunInstances, and not in a group, until Auto Scaling has its own grant', async () => {
    const { ec2, asg } = clientsOf(l.lab, { account: STAGE });
    const ImageId = await shared(l.key([STAGE]));
    await ec2.send(
      new CreateLaunchTemplateCommand({ LaunchTemplateName: 'web', LaunchTemplateData: { ImageId, InstanceType: 't3.micro' } }),
    );
    const group = {
      ...{ AutoScalingGroupName: 'web', MinSize: 1, MaxSize: 1, DesiredCapacity: 1 },
      ...{ LaunchTemplate: { LaunchTemplateName: 'web', Version: '1' }, VPCZoneIdentifier: network(l.lab.place(STAGE)).subnets[0]?.id },
    };
    await asg.send(new CreateAutoScalingGroupCommand(group));
    const ended = () =>
      [...instances(l.lab.place(STAGE)).values()].filter(({ stateReason }) => stateReason?.code === 'Client.InternalError');
    await l.until(() => ended().length > 0);
    l.key([STAGE], { grants: [scalingRole(STAGE)] });
    const inService = async () => {
      const { AutoScalingGroups: [seen] = [] } = await asg.send(new DescribeAutoScalingGroupsCommand({}));
      return seen?.Instances?.some(({ LifecycleState }) => LifecycleState === 'InService') === true;
    };
    await l.until(inService);
    expect(ended().length).toBeGreaterThan(0);
  });
});
