import type { LaunchTemplateSpecification, TagSpecification } from '@aws-sdk/client-ec2';
import { tagRecord, tagsFor } from '../ec2/filters.ts';
import { imageEver } from '../ec2/images.ts';
import { resolvedImage, resolveTemplate } from '../ec2/launch-template-spec.ts';
import { templates } from '../ec2/launch-template-state.ts';
import { keyPairs, tagsOf } from '../ec2/state.ts';
import { AwsError } from '../operation.ts';
import type { Place } from '../place.ts';
import type { Finder, Found } from './targets.ts';

type Json = Readonly<Record<string, unknown>>;

/** Members of an input that name resources of a type. */
const MEMBERS: Readonly<Record<string, readonly string[]>> = {
  image: ['ImageId', 'ImageIds', 'SourceImageId'],
  instance: ['InstanceId', 'InstanceIds'],
  snapshot: ['SnapshotId', 'SnapshotIds', 'SourceSnapshotId'],
  volume: ['VolumeId', 'VolumeIds'],
  'security-group': ['GroupId', 'GroupIds', 'SecurityGroupIds', 'Groups'],
  subnet: ['SubnetId'],
  vpc: ['VpcId'],
  'key-pair': ['KeyName', 'KeyPairId'],
  'launch-template': ['LaunchTemplateId', 'LaunchTemplateName'],
};

const PREFIXES: Readonly<Record<string, string>> = {
  ...{ i: 'instance', ami: 'image', snap: 'snapshot', vol: 'volume', sg: 'security-group', subnet: 'subnet', vpc: 'vpc' },
  ...{ key: 'key-pair', lt: 'launch-template', eni: 'network-interface', report: 'image-usage-report' },
  ...{ sir: 'spot-instances-request' },
};

const typeOfId = (id: string): string => PREFIXES[id.slice(0, id.lastIndexOf('-'))] ?? 'unknown';

/** Texts under these member names, at any depth. */
function texts(value: unknown, names: readonly string[]): readonly string[] {
  if (Array.isArray(value)) return value.flatMap(item => texts(item, names));
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array || value instanceof Date) return [];
  return Object.entries(value).flatMap(([name, member]) => {
    const own = names.includes(name) ? [member].flat().filter(item => typeof item === 'string') : [];
    return [...own, ...texts(member, names)];
  });
}

/** Instance data of a launch with its template filled in. A template that does not exist is left to the operation to refuse. */
export function launchData(place: Place, input: Json): Json {
  const spec = input['LaunchTemplate'] as LaunchTemplateSpecification | undefined;
  if (spec === undefined) return input;
  try {
    const { data } = resolveTemplate(place, spec);
    const given = Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined));
    const TagSpecifications = [data.TagSpecifications, input['TagSpecifications']].flatMap(list => (list as TagSpecification[]) ?? []);
    return { ...data, ...given, TagSpecifications };
  } catch (cause) {
    if (cause instanceof AwsError) return input;
    throw cause;
  }
}

/** Resources of an EC2 call: IDs in its input, and for calls that create, `*` with the tags of the request. */
export const ec2Found: Finder = (operation, input, place) => {
  if (operation === 'CreateTags' || operation === 'DeleteTags') return tagged(input as Json, place);
  const data = operation === 'RunInstances' ? launchData(place, input as Json) : (input as Json);
  const specifications = data['TagSpecifications'] as TagSpecification[] | undefined;
  const existing = Object.entries(MEMBERS).flatMap(([type, names]) =>
    texts(data, names).map(id => describeOne(type, id, placeOf(operation, data, place), place, data)),
  );
  const created = createdTypes(operation, specifications).map(
    (type): Found => ({ type, id: '*', requestTags: tagsFor(specifications, type), keys: keysOf(type, data, place) }),
  );
  return [...existing.map(found => withRequestTags(operation, found, specifications)), ...created];
};

/** A copy names its source in another region. */
const placeOf = (operation: string, data: Json, place: Place): Place => {
  const region = data['SourceRegion'];
  return operation.startsWith('Copy') && typeof region === 'string' ? place.core.place(place.account, region) : place;
};

const CREATED: Readonly<Record<string, readonly string[]>> = {
  RunInstances: ['instance', 'volume', 'network-interface'],
  CreateImage: ['image', 'snapshot'],
  CopyImage: ['image', 'snapshot'],
  CopySnapshot: ['snapshot'],
  RegisterImage: ['image'],
  CreateImageUsageReport: ['image-usage-report'],
  CreateSecurityGroup: ['security-group'],
  CreateLaunchTemplate: ['launch-template'],
  CreateSnapshot: ['snapshot'],
  CreateFleet: ['fleet'],
};

const createdTypes = (operation: string, specifications: TagSpecification[] | undefined): readonly string[] =>
  CREATED[operation] ??
  (/^(Create|Import)KeyPair/.test(operation) ? [] : (specifications ?? []).flatMap(({ ResourceType }) => ResourceType ?? []));

/** A key pair and a launch template have their names before they are created. */
const withRequestTags = (operation: string, found: Found, specifications: TagSpecification[] | undefined): Found =>
  /^((Create|Import)KeyPair|CreateLaunchTemplate)$/.test(operation)
    ? { ...found, requestTags: tagsFor(specifications, found.type) }
    : found;

function tagged(input: Json, place: Place): readonly Found[] {
  const requestTags = tagRecord(input['Tags'] as { Key?: string; Value?: string }[] | undefined);
  return ((input['Resources'] as readonly string[]) ?? []).map(id => ({ ...describeOne(typeOfId(id), id, place, place, {}), requestTags }));
}

function describeOne(type: string, text: string, at: Place, home: Place, data: Json): Found {
  const id = idOf(type, text, at);
  return {
    type,
    id: nameOf(type, id, at),
    place: at,
    tags: tagsOf(at, id),
    keys: { ...keysOf(type, data, home), ...imageKeys(type, id, at) },
  };
}

/** Parameters and names that stand for an ID. */
function idOf(type: string, text: string, place: Place): string {
  if (type === 'image') return aliasedImage(place, text);
  if (type === 'launch-template') return [...templates(place).values()].find(({ id, name }) => id === text || name === text)?.id ?? text;
  if (type === 'key-pair') return keyPairs(place).get(text)?.id ?? text;
  return text;
}

function aliasedImage(place: Place, text: string): string {
  try {
    return resolvedImage(place, text) ?? text;
  } catch {
    return text;
  }
}

/** The ARN of a key pair has its name. */
const nameOf = (type: string, id: string, place: Place): string =>
  type === 'key-pair' ? ([...keyPairs(place).values()].find(pair => pair.id === id)?.name ?? id) : id;

function imageKeys(type: string, id: string, place: Place): Found['keys'] {
  if (type !== 'image') return {};
  const image = imageEver(place, id);
  if (image === undefined) return {};
  return { 'ec2:ImageID': id, 'ec2:Public': String(image.launchers.has('all')), 'ec2:Owner': image.place.account };
}

/** Condition keys from the request itself. */
function keysOf(type: string, data: Json, place: Place): Found['keys'] {
  const profile = data['IamInstanceProfile'] as { Arn?: string; Name?: string } | undefined;
  const permission = data['CreateVolumePermission'] as Readonly<Record<string, { UserId?: string; Group?: string }[]>> | undefined;
  const side = (kind: 'Add' | 'Remove', member: 'UserId' | 'Group') =>
    (permission?.[kind] ?? [])
      .flatMap(one => one[member] ?? [])
      .concat((member === 'UserId' && data['OperationType'] === kind.toLowerCase() ? (data['UserIds'] as string[]) : []) ?? []);
  return {
    'ec2:InstanceType': type === 'instance' ? (data['InstanceType'] as string | undefined) : undefined,
    'ec2:InstanceProfile':
      profile === undefined ? undefined : (profile.Arn ?? `arn:aws:iam::${place.account}:instance-profile/${profile.Name}`),
    'ec2:LaunchTemplate': templateArn(data, place),
    'ec2:Attribute': typeof data['Attribute'] === 'string' ? data['Attribute'] : undefined,
    'ec2:Add/userId': side('Add', 'UserId'),
    'ec2:Add/group': side('Add', 'Group'),
    'ec2:Remove/userId': side('Remove', 'UserId'),
    'ec2:Remove/group': side('Remove', 'Group'),
  };
}

function templateArn(data: Json, place: Place): string | undefined {
  const { LaunchTemplateId: id, LaunchTemplateName: name } = (data['LaunchTemplate'] ?? {}) as LaunchTemplateSpecification;
  if (id === undefined && name === undefined) return undefined;
  return `arn:aws:ec2:${place.region}:${place.account}:launch-template/${idOf('launch-template', id ?? name ?? '', place)}`;
}
