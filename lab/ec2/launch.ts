import type { RunInstancesRequest } from '@aws-sdk/client-ec2';
import { takeAddress } from '../addresses.ts';
import { newId } from '../ids.ts';
import type { Principal } from '../kms/use.ts';
import { AwsError } from '../operation.ts';
import type { Place } from '../place.ts';
import { blockDevices, makeVolumes } from './block-devices.ts';
import { tagsFor } from './filters.ts';
import { launchableImage } from './image-choice.ts';
import { instanceType, type LabType } from './instance-types.ts';
import { bootFirst } from './lifecycle.ts';
import { mishaps } from './mishaps.ts';
import { groupsFor, type LabSubnet, network, subnetFor } from './network.ts';
import { instances, keyPairs, type LabImage, type LabInstance, setTags } from './state.ts';

/** Input of RunInstances with launch templates resolved. Fields that are not read here are accepted and have no effect. */
export type LaunchRequest = Omit<RunInstancesRequest, 'MinCount' | 'MaxCount' | 'LaunchTemplate'>;

export interface Batch {
  readonly reservationId: string;
  readonly launchIndex: number;
}

/** Launches one instance, in state pending; it boots in the background. Throws what RunInstances refuses. */
export async function launchInstance(
  place: Place,
  request: LaunchRequest,
  batch: Batch = newBatch(),
  by: Principal = { account: place.account },
): Promise<LabInstance> {
  const image = launchableImage(place, request.ImageId);
  const type = instanceType(request.InstanceType ?? 'm1.small');
  checkArchitecture(image, type);
  const subnet = freeSubnet(place, type, request);
  const devices = blockDevices(place, image, request.BlockDeviceMappings);
  const groups = groupsOf(place, request);
  checkKey(place, request.KeyName);
  const id = newId('i');
  const instance: LabInstance = {
    ...{ id, place, ...batch, imageId: image.id, type: type.name, architecture: type.architecture },
    ...{ state: 'pending', stateReason: undefined, transition: '', impaired: false },
    ...{ launchedAt: place.core.clock.date(), changedAt: place.core.clock.date() },
    ...{ subnetId: subnet.id, vpcId: subnet.vpcId, zone: subnet.zone, address: await takeAddress(place.core) },
    keyName: request.KeyName,
    groupIds: groups.map(group => group.id),
    profileArn: profileArn(place, request.IamInstanceProfile),
    userData: request.UserData,
    shutdownBehavior: request.InstanceInitiatedShutdownBehavior ?? 'stop',
    terminationProtected: request.DisableApiTermination ?? false,
    stopProtected: request.DisableApiStop ?? false,
    metadata: metadataOptions(image, request),
    rootDevice: image.rootDevice,
    volumeIds: makeVolumes(place, id, subnet.zone, devices, tagsFor(request.TagSpecifications, 'volume')),
    clientToken: request.ClientToken,
    ...{ disk: undefined, guest: undefined, oldConsole: '' },
  };
  instances(place).set(id, instance);
  setTags(place, id, tagsFor(request.TagSpecifications, 'instance'));
  noteLaunch(image);
  bootFirst(instance, image, by);
  return instance;
}

export const newBatch = (): Batch => ({ reservationId: newId('r'), launchIndex: 0 });

function checkArchitecture(image: LabImage, type: LabType): void {
  if (image.architecture === type.architecture) return;
  throw new AwsError(
    'InvalidParameterValue',
    `The architecture '${type.architecture}' of the specified instance type does not match the architecture '${image.architecture}' of the specified AMI. Specify an instance type and an AMI that have matching architectures, and try again. You can use 'describe-instance-types' or 'describe-images' to discover the architecture of the instance type or AMI.`,
  );
}

/** A request without subnet and zone gets a subnet with capacity. */
function freeSubnet(place: Place, type: LabType, request: LaunchRequest): LabSubnet {
  const zone = request.Placement?.AvailabilityZone;
  const subnetId = request.SubnetId ?? request.NetworkInterfaces?.[0]?.SubnetId;
  const free = ({ zone }: LabSubnet) => ![type.name, zone, `${type.name}/${zone}`].some(full => mishaps(place).noCapacity.has(full));
  const all = network(place).subnets;
  const wanted = subnetId === undefined && zone === undefined ? all : [subnetFor(place, { subnetId, zone })];
  const found = wanted[Math.floor(Math.random() * wanted.length)];
  if (found !== undefined && free(found)) return found;
  const other = wanted.find(free);
  if (other !== undefined) return other;
  throw noCapacity(
    type,
    wanted.map(subnet => subnet.zone),
    all.filter(free).map(subnet => subnet.zone),
  );
}

/** Status 500: SDKs retry it. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html#api-error-codes-table-server */
function noCapacity({ name }: LabType, wanted: readonly string[], elsewhere: readonly string[]): AwsError {
  const where = `the Availability Zone you requested (${wanted.join(', ')})`;
  const hint = elsewhere.length === 0 ? '' : ` You can currently get ${name} capacity by choosing ${elsewhere.join(', ')}.`;
  const message = `We currently do not have sufficient ${name} capacity in ${where}. Our system will be working on provisioning additional capacity.${hint}`;
  return new AwsError('InsufficientInstanceCapacity', message, 500);
}

const groupsOf = (place: Place, { SecurityGroupIds, SecurityGroups, NetworkInterfaces }: LaunchRequest) =>
  groupsFor(place, SecurityGroupIds ?? NetworkInterfaces?.[0]?.Groups ?? [], SecurityGroups ?? []);

function checkKey(place: Place, name: string | undefined): void {
  if (name === undefined || keyPairs(place).has(name)) return;
  throw new AwsError('InvalidKeyPair.NotFound', `The key pair '${name}' does not exist`);
}

export const profileArn = ({ account }: Place, profile: LaunchRequest['IamInstanceProfile']): string | undefined =>
  profile?.Arn ?? (profile?.Name === undefined ? undefined : `arn:aws:iam::${account}:instance-profile/${profile.Name}`);

const metadataOptions = (image: LabImage, { MetadataOptions = {} }: LaunchRequest): LabInstance['metadata'] => ({
  State: 'applied',
  HttpTokens: MetadataOptions.HttpTokens ?? (image.imdsV2 ? 'required' : 'optional'),
  HttpPutResponseHopLimit: MetadataOptions.HttpPutResponseHopLimit ?? (image.imdsV2 ? 2 : 1),
  HttpEndpoint: MetadataOptions.HttpEndpoint ?? 'enabled',
  InstanceMetadataTags: MetadataOptions.InstanceMetadataTags ?? 'disabled',
  HttpProtocolIpv6: MetadataOptions.HttpProtocolIpv6 ?? 'disabled',
});

const DAY = 24 * 60 * 60;

/** Updated with a delay of a day. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ami-last-launched-time.html */
function noteLaunch(image: LabImage): void {
  const { clock } = image.place.core;
  const launchedAt = clock.date();
  clock.after(DAY, () => {
    image.lastLaunchedAt = launchedAt;
  });
}
