import {
  DescribeInstanceStatusCommand,
  DescribeInstancesCommand,
  DescribeInstanceTypesCommand,
  type EC2Client,
  GetConsoleOutputCommand,
  type _InstanceType as InstanceType,
  RebootInstancesCommand,
  RunInstancesCommand,
  type RunInstancesCommandInput,
  type Instance as SdkInstance,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2';
import type { Architecture } from '../../model/image.ts';
import type { Instance, InstanceSpec, Instances } from '../../ports/instances.ts';
import { listInstances, tagFilters, tagsFromEc2, toEc2Tags } from './ec2.ts';
import { asExpected, isCode, unreadableAnswer } from './errors.ts';
import { launchRefusal } from './launch-refusals.ts';
import { listed } from './pages.ts';

const unlessUnknown =
  (doing: string) =>
  (cause: unknown): undefined =>
    isCode(cause, 'InvalidInstanceID.NotFound') ? undefined : asExpected(doing)(cause);

export const ec2Instances = (ec2: EC2Client): Instances => ({
  async launch(spec) {
    try {
      const { Instances: [launched] = [] } = await ec2.send(new RunInstancesCommand(launchInput(spec)));
      if (launched?.InstanceId === undefined || (launched.ClientToken ?? spec.token) !== spec.token)
        throw unreadableAnswer(`launch an instance of ${spec.imageId} (ec2:RunInstances)`, 'it names no instance of this launch');
      return fromEc2(launched);
    } catch (cause) {
      const refusal = launchRefusal(cause);
      if (refusal !== undefined) return refusal;
      return asExpected(`launch an instance of ${spec.imageId} (ec2:RunInstances, iam:PassRole for an instance profile)`)(cause);
    }
  },
  async get(id) {
    const seen = await ec2
      .send(new DescribeInstancesCommand({ InstanceIds: [id] }))
      .catch(unlessUnknown(`describe instance ${id} (ec2:DescribeInstances)`));
    return seen?.Reservations?.flatMap(({ Instances = [] }) => Instances.map(fromEc2)).find(instance => instance.id === id);
  },
  async findByToken(token, id) {
    const found = await listInstances(ec2, [
      id === undefined ? { Name: 'client-token', Values: [token] } : { Name: 'instance-id', Values: [id] },
    ]);
    return found.map(fromEc2).find(({ clientToken, tags }) => clientToken === token && tags['ManagedBy'] === 'ami-action');
  },
  async health(id) {
    const seen = await ec2
      .send(new DescribeInstanceStatusCommand({ InstanceIds: [id] }))
      .catch(unlessUnknown(`read the status of ${id} (ec2:DescribeInstanceStatus)`));
    const status = seen?.InstanceStatuses?.find(({ InstanceId }) => InstanceId === id);
    return status && { system: status.SystemStatus?.Status ?? '', instance: status.InstanceStatus?.Status ?? '' };
  },
  async reboot(id) {
    await ec2.send(new RebootInstancesCommand({ InstanceIds: [id] })).catch(asExpected(`reboot ${id} (ec2:RebootInstances)`));
  },
  tagged: async tags => (await listInstances(ec2, tagFilters(tags))).map(fromEc2),
  async terminate(ids) {
    await ec2
      .send(new TerminateInstancesCommand({ InstanceIds: [...ids] }))
      .catch(unlessUnknown(`terminate ${ids.join(', ')} (ec2:TerminateInstances)`));
  },
  console: id => consoleOf(ec2, id),
  async architectures(instanceType) {
    try {
      const InstanceTypes = [instanceType as InstanceType];
      const { InstanceTypes: [type] = [] } = await ec2.send(new DescribeInstanceTypesCommand({ InstanceTypes }));
      return type && [...listed(type.ProcessorInfo?.SupportedArchitectures as Architecture[] | undefined)];
    } catch (cause) {
      if (isCode(cause, 'InvalidInstanceType', 'InvalidParameterValue')) return undefined;
      return asExpected(`describe instance type ${instanceType} (ec2:DescribeInstanceTypes)`)(cause);
    }
  },
});

async function consoleOf(ec2: EC2Client, id: string): Promise<string> {
  const doing = asExpected(`read the console of ${id} (ec2:GetConsoleOutput)`);
  // Only Nitro instances have the latest output; others have that of the last boot.
  const latest = ec2.send(new GetConsoleOutputCommand({ InstanceId: id, Latest: true }));
  const { Output } = await latest.catch(cause =>
    isCode(cause, 'UnsupportedOperation') ? ec2.send(new GetConsoleOutputCommand({ InstanceId: id })).catch(doing) : doing(cause),
  );
  return Buffer.from(Output ?? '', 'base64').toString('utf8');
}

// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RunInstances.html
function launchInput(spec: InstanceSpec): RunInstancesCommandInput {
  const profile = spec.instanceProfile;
  const tags = toEc2Tags(spec.tags);
  return {
    ImageId: spec.imageId,
    InstanceType: spec.instanceType as InstanceType,
    MinCount: 1,
    MaxCount: 1,
    ClientToken: spec.token,
    InstanceInitiatedShutdownBehavior: 'terminate',
    MetadataOptions: { HttpEndpoint: 'enabled', HttpTokens: 'required' },
    BlockDeviceMappings: spec.devices.map(DeviceName => ({ DeviceName, Ebs: { Encrypted: true, DeleteOnTermination: true } })),
    TagSpecifications: (['instance', 'volume', 'network-interface'] as const).map(ResourceType => ({ ResourceType, Tags: tags })),
    ...(spec.subnetId === undefined ? {} : { SubnetId: spec.subnetId }),
    ...(spec.securityGroupIds === undefined || spec.securityGroupIds.length === 0 ? {} : { SecurityGroupIds: [...spec.securityGroupIds] }),
    ...(profile === undefined ? {} : { IamInstanceProfile: profile.startsWith('arn:') ? { Arn: profile } : { Name: profile } }),
    ...(spec.userData === undefined ? {} : { UserData: Buffer.from(spec.userData).toString('base64') }),
  };
}

const fromEc2 = (instance: SdkInstance): Instance => ({
  id: instance.InstanceId ?? '',
  imageId: instance.ImageId ?? '',
  state: instance.State?.Name ?? 'pending',
  stateReason: [instance.StateReason?.Code, instance.StateReason?.Message].filter(Boolean).join(': '),
  tags: tagsFromEc2(instance.Tags),
  clientToken: instance.ClientToken,
  launchedAt: instance.LaunchTime ?? new Date(0),
  privateIp: instance.PrivateIpAddress,
});
