import {
  AttachVolumeCommand,
  CreateFleetCommand,
  CreateLaunchTemplateCommand,
  CreateSnapshotCommand,
  CreateTagsCommand,
  DescribeInstancesCommand,
  DescribeSnapshotsCommand,
  DescribeSpotInstanceRequestsCommand,
  DetachVolumeCommand,
  RunInstancesCommand,
  StopInstancesCommand,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { newestAmazonLinux } from '../../lab/ec2/base-images.ts';
import { mishaps } from '../../lab/ec2/mishaps.ts';
import { instances } from '../../lab/ec2/state.ts';
import { refusal } from './clients.ts';
import { type Stage, stage } from './group-stage.ts';

let on: Stage;
let base = '';
beforeAll(async () => {
  on = await stage();
  base = newestAmazonLinux(on.lab.core, 'eu-central-1', 'x86_64') ?? '';
});
afterAll(() => on.close());

const described = async (id: string) =>
  (await on.ec2.send(new DescribeInstancesCommand({ InstanceIds: [id] }))).Reservations?.[0]?.Instances?.[0];
const become = async (id: string, state: string) => {
  while (instances(on.lab.place()).get(id)?.state !== state) await new Promise(done => setTimeout(done, 5));
};
const launched = async (): Promise<string> => {
  const answer = await on.ec2.send(new RunInstancesCommand({ ImageId: base, InstanceType: 't3.micro', MinCount: 1, MaxCount: 1 }));
  const id = answer.Instances?.[0]?.InstanceId ?? '';
  await become(id, 'running');
  return id;
};

test('an instant fleet launches a Spot Instance of the first type with capacity, from its template; its request ends with it', async () => {
  await on.ec2.send(
    new CreateLaunchTemplateCommand({
      LaunchTemplateName: 'spot',
      LaunchTemplateData: {
        ImageId: base,
        IamInstanceProfile: { Name: '' },
        Placement: { AvailabilityZone: '' },
        TagSpecifications: [{ ResourceType: 'instance', Tags: [{ Key: 'a', Value: 'b' }] }],
      },
    }),
  );
  mishaps(on.lab.place()).noCapacity.add('t3.micro');
  const fleet = (...types: ('t3.micro' | 't3.small')[]) =>
    on.ec2.send(
      new CreateFleetCommand({
        Type: 'instant',
        LaunchTemplateConfigs: [
          {
            LaunchTemplateSpecification: { LaunchTemplateName: 'spot', Version: '1' },
            Overrides: types.map(InstanceType => ({ InstanceType })),
          },
        ],
        TargetCapacitySpecification: { TotalTargetCapacity: 1, DefaultTargetCapacityType: 'spot' },
      }),
    );
  expect(await fleet('t3.micro')).toMatchObject({
    Instances: [],
    Errors: [{ ErrorCode: 'InsufficientInstanceCapacity', Lifecycle: 'spot' }],
  });
  const { Instances: [one] = [] } = await fleet('t3.micro', 't3.small');
  mishaps(on.lab.place()).noCapacity.clear();
  const id = one?.InstanceIds?.[0] ?? '';
  const instance = await described(id);
  expect(instance).toMatchObject({ InstanceType: 't3.small', InstanceLifecycle: 'spot', Tags: [{ Key: 'a', Value: 'b' }] });
  const request = instance?.SpotInstanceRequestId ?? '';
  await on.ec2.send(new CreateTagsCommand({ Resources: [request], Tags: [{ Key: 'c', Value: 'd' }] }));
  const states = async () =>
    (await on.ec2.send(new DescribeSpotInstanceRequestsCommand({}))).SpotInstanceRequests?.map(({ State }) => State);
  expect(await states()).toEqual(['active']);
  await on.ec2.send(new TerminateInstancesCommand({ InstanceIds: [id] }));
  expect(await states()).toEqual(['closed']);
});

test('a snapshot of a volume is pending, then completed, with its tags', async () => {
  const volume = (await described(await launched()))?.BlockDeviceMappings?.[0]?.Ebs?.VolumeId;
  const TagSpecifications = [{ ResourceType: 'snapshot' as const, Tags: [{ Key: 'a', Value: 'b' }] }];
  const { SnapshotId = '', State } = await on.ec2.send(new CreateSnapshotCommand({ VolumeId: volume, TagSpecifications }));
  expect(State).toBe('pending');
  const now = async () => (await on.ec2.send(new DescribeSnapshotsCommand({ SnapshotIds: [SnapshotId] }))).Snapshots?.[0];
  while ((await now())?.State === 'pending') await new Promise(done => setTimeout(done, 5));
  expect(await now()).toMatchObject({ State: 'completed', VolumeId: volume, Tags: [{ Key: 'a', Value: 'b' }] });
  expect(await refusal(on.ec2.send(new CreateSnapshotCommand({ VolumeId: 'vol-0123456789abcdef0' })))).toMatch(/^InvalidVolume.NotFound/);
});

test('a root volume is detached only from a stopped instance, and may then be attached elsewhere', async () => {
  const [id, other] = [await launched(), await launched()];
  const VolumeId = (await described(id))?.BlockDeviceMappings?.[0]?.Ebs?.VolumeId;
  expect(await refusal(on.ec2.send(new DetachVolumeCommand({ VolumeId })))).toMatch(/^OperationNotPermitted: Unable to detach root volume/);
  expect(await refusal(on.ec2.send(new AttachVolumeCommand({ VolumeId, InstanceId: other, Device: '/dev/xvdf' })))).toMatch(/^VolumeInUse/);
  await on.ec2.send(new StopInstancesCommand({ InstanceIds: [id] }));
  await become(id, 'stopped');
  await on.ec2.send(new DetachVolumeCommand({ VolumeId }));
  expect(await refusal(on.ec2.send(new DetachVolumeCommand({ VolumeId })))).toMatch(/^IncorrectState/);
  const zones = [id, other].map(one => instances(on.lab.place()).get(one)?.zone);
  const attach = on.ec2.send(new AttachVolumeCommand({ VolumeId, InstanceId: other, Device: '/dev/xvdf' }));
  if (zones[0] !== zones[1]) return expect(await refusal(attach)).toMatch(/^InvalidVolume.ZoneMismatch/);
  await attach;
  expect((await described(other))?.BlockDeviceMappings?.map(({ DeviceName }) => DeviceName)).toContain('/dev/xvdf');
});
