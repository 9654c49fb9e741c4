import type {
  _InstanceType,
  DescribeInstanceAttributeCommandInput,
  DescribeInstanceAttributeCommandOutput,
  DescribeInstanceCreditSpecificationsCommandInput,
  DescribeInstanceCreditSpecificationsCommandOutput,
  InstanceAttribute,
  ModifyInstanceAttributeCommandInput,
  ModifyInstanceAttributeCommandOutput,
} from '@aws-sdk/client-ec2';
import { AwsError, type Operation } from '../operation.ts';
import { findInstances } from './describe-instances.ts';
import { blockDevices, groupsOf, volumesOf } from './instance-shape.ts';
import { instanceType } from './instance-types.ts';
import { groupsFor } from './network.ts';
import type { LabInstance } from './state.ts';

const SHOWN: Readonly<Record<string, (instance: LabInstance) => Omit<InstanceAttribute, 'InstanceId'>>> = {
  instanceType: ({ type }) => ({ InstanceType: { Value: type } }),
  userData: ({ userData }) => ({ UserData: userData === undefined ? {} : { Value: userData } }),
  disableApiTermination: ({ terminationProtected }) => ({ DisableApiTermination: { Value: terminationProtected } }),
  disableApiStop: ({ stopProtected }) => ({ DisableApiStop: { Value: stopProtected } }),
  instanceInitiatedShutdownBehavior: ({ shutdownBehavior }) => ({ InstanceInitiatedShutdownBehavior: { Value: shutdownBehavior } }),
  rootDeviceName: ({ rootDevice }) => ({ RootDeviceName: { Value: rootDevice } }),
  blockDeviceMapping: instance => ({ BlockDeviceMappings: blockDevices(instance) }),
  groupSet: instance => ({ Groups: groupsOf(instance) }),
  enaSupport: () => ({ EnaSupport: { Value: true } }),
  ebsOptimized: () => ({ EbsOptimized: { Value: false } }),
  sriovNetSupport: () => ({ SriovNetSupport: { Value: 'simple' } }),
  sourceDestCheck: () => ({ SourceDestCheck: { Value: true } }),
};

/** One attribute per call. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstanceAttribute.html */
export const describeInstanceAttribute: Operation<DescribeInstanceAttributeCommandInput, DescribeInstanceAttributeCommandOutput> = (
  { InstanceId = '', Attribute = '' },
  { place },
) => {
  const [instance] = findInstances(place, [InstanceId]);
  const show = SHOWN[Attribute];
  if (show === undefined) throw new AwsError('InvalidParameterValue', `The lab does not know the attribute ${Attribute} of an instance.`);
  return { InstanceId, ...(instance && show(instance)) };
};

/** Of types from t3 on, `unlimited`. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstanceCreditSpecifications.html */
export const describeCredits: Operation<
  DescribeInstanceCreditSpecificationsCommandInput,
  DescribeInstanceCreditSpecificationsCommandOutput
> = ({ InstanceIds = [] }, { place }) => ({
  InstanceCreditSpecifications: findInstances(place, InstanceIds).map(({ id, type }) => ({
    InstanceId: id,
    CpuCredits: type.startsWith('t2') ? 'standard' : 'unlimited',
  })),
});

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyInstanceAttribute.html */
export const modifyInstanceAttribute: Operation<ModifyInstanceAttributeCommandInput, ModifyInstanceAttributeCommandOutput> = (
  input,
  { place },
) => {
  const wanted = spelledOut(input);
  for (const instance of findInstances(place, [wanted.InstanceId ?? ''])) {
    changeStopped(instance, wanted);
    const { DisableApiTermination, DisableApiStop, InstanceInitiatedShutdownBehavior, Groups } = wanted;
    if (DisableApiStop?.Value !== undefined) instance.stopProtected = DisableApiStop.Value;
    if (DisableApiTermination?.Value !== undefined) instance.terminationProtected = DisableApiTermination.Value;
    const behavior = InstanceInitiatedShutdownBehavior?.Value;
    if (behavior === 'stop' || behavior === 'terminate') instance.shutdownBehavior = behavior;
    else if (behavior !== undefined)
      throw new AwsError('InvalidParameterValue', `Invalid value '${behavior}' for instanceInitiatedShutdownBehavior`);
    if (Groups !== undefined) instance.groupIds = groupsFor(place, Groups, []).map(({ id }) => id);
    for (const { DeviceName, Ebs } of wanted.BlockDeviceMappings ?? []) {
      const volume = volumesOf(instance).find(({ attached }) => attached?.device === DeviceName);
      if (volume?.attached !== undefined && Ebs?.DeleteOnTermination !== undefined) {
        volume.attached = { ...volume.attached, deleteOnTermination: Ebs.DeleteOnTermination };
      }
    }
  }
  return {};
};

function changeStopped(instance: LabInstance, { InstanceType, UserData }: ModifyInstanceAttributeCommandInput): void {
  if (InstanceType?.Value === undefined && UserData?.Value === undefined) return;
  if (instance.state !== 'stopped') {
    throw new AwsError('IncorrectInstanceState', `The instance '${instance.id}' is not in the 'stopped' state.`);
  }
  if (InstanceType?.Value !== undefined) instance.type = instanceType(InstanceType.Value).name as _InstanceType;
  if (UserData?.Value !== undefined) instance.userData = Buffer.from(UserData.Value).toString('base64');
}

/** The older form of the request: `Attribute` and `Value`. */
function spelledOut(input: ModifyInstanceAttributeCommandInput): ModifyInstanceAttributeCommandInput {
  const { Attribute, Value } = input;
  if (Attribute === undefined || Value === undefined) return input;
  if (Attribute === 'disableApiTermination') return { ...input, DisableApiTermination: { Value: Value === 'true' } };
  if (Attribute === 'disableApiStop') return { ...input, DisableApiStop: { Value: Value === 'true' } };
  if (Attribute === 'instanceInitiatedShutdownBehavior') return { ...input, InstanceInitiatedShutdownBehavior: { Value } };
  if (Attribute === 'instanceType') return { ...input, InstanceType: { Value } };
  throw new AwsError('InvalidParameterValue', `The lab cannot change the attribute ${Attribute} of an instance.`);
}
