import type { GroupIdentifier, Instance, InstanceBlockDeviceMapping, InstanceState } from '@aws-sdk/client-ec2';
import { tagList } from './filters.ts';
import { network } from './network.ts';
import { type LabInstance, tagsOf, volumes } from './state.ts';

// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_InstanceState.html
const CODES = { pending: 0, running: 16, 'shutting-down': 32, terminated: 48, stopping: 64, stopped: 80 } as const;

export const stateOf = ({ state }: Pick<LabInstance, 'state'>): InstanceState => ({ Code: CODES[state], Name: state });

/** The instance as DescribeInstances and RunInstances return it. A terminated instance has no address, disk or subnet. */
export function instanceShape(instance: LabInstance): Instance {
  const { place } = instance;
  const groups = groupsOf(instance);
  const gone = instance.state === 'terminated';
  return {
    InstanceId: instance.id,
    ImageId: instance.imageId,
    InstanceType: instance.type,
    State: stateOf(instance),
    StateReason: instance.stateReason && { Code: instance.stateReason.code, Message: instance.stateReason.message },
    StateTransitionReason: instance.transition,
    AmiLaunchIndex: instance.launchIndex,
    LaunchTime: instance.launchedAt,
    Placement: { AvailabilityZone: instance.zone, GroupName: '', Tenancy: 'default' },
    Monitoring: { State: 'disabled' },
    ...(gone ? { PrivateDnsName: '', PublicDnsName: '' } : addresses(instance)),
    KeyName: instance.keyName,
    ClientToken: instance.clientToken ?? '',
    // Only Spot Instances have these. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Instance.html
    ...(instance.spotRequestId === undefined ? {} : { InstanceLifecycle: 'spot', SpotInstanceRequestId: instance.spotRequestId }),
    Architecture: instance.architecture,
    ...{ RootDeviceType: 'ebs', RootDeviceName: instance.rootDevice, VirtualizationType: 'hvm', Hypervisor: 'xen', EnaSupport: true },
    ...{ ProductCodes: [], EbsOptimized: false, PlatformDetails: 'Linux/UNIX', UsageOperation: 'RunInstances', SourceDestCheck: true },
    BlockDeviceMappings: gone ? [] : blockDevices(instance),
    SecurityGroups: gone ? [] : groups,
    IamInstanceProfile: instance.profileArn === undefined ? undefined : { Arn: instance.profileArn, Id: 'AIPALAB0000000000LAB0' },
    MetadataOptions: instance.metadata,
    Tags: tagList(tagsOf(place, instance.id)),
  };
}

const addresses = ({ address, state, subnetId, vpcId }: LabInstance): Partial<Instance> => ({
  PrivateIpAddress: address,
  PrivateDnsName: address,
  // The public address is released on stop: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-instance-addressing.html
  ...(state === 'stopped' ? { PublicDnsName: '' } : { PublicIpAddress: address, PublicDnsName: address }),
  ...{ SubnetId: subnetId, VpcId: vpcId },
});

export const groupsOf = ({ place, groupIds }: LabInstance): GroupIdentifier[] =>
  groupIds.map(id => ({ GroupId: id, GroupName: network(place).groups.get(id)?.name ?? '' }));

export const volumesOf = ({ place, id }: LabInstance) => [...volumes(place).values()].filter(({ attached }) => attached?.instanceId === id);

export const blockDevices = (instance: LabInstance): InstanceBlockDeviceMapping[] =>
  volumesOf(instance).map(({ id, attached, createdAt }) => ({
    DeviceName: attached?.device,
    Ebs: { VolumeId: id, Status: 'attached', AttachTime: createdAt, DeleteOnTermination: attached?.deleteOnTermination },
  }));
