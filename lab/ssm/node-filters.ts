import type { InstanceInformation, Target } from '@aws-sdk/client-ssm';
import { tagsOf } from '../ec2/state.ts';
import { AwsError } from '../operation.ts';
import type { Place } from '../place.ts';

/** `tag:<key>` with any of the values, or `tag-key` with any of the keys. https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_Target.html */
export function hasTag(place: Place, id: string, { Key = '', Values = [] }: Target): boolean {
  const tags = tagsOf(place, id);
  if (Key === 'tag-key') return Values.some(key => key in tags);
  if (Key.startsWith('tag:')) return Values.includes(tags[Key.slice('tag:'.length)] ?? '');
  throw new AwsError('InvalidFilterKey', `The lab knows no targets by ${Key}.`);
}

type Field = (node: InstanceInformation) => string | undefined;

const FIELDS: Readonly<Record<string, Field>> = {
  InstanceIds: ({ InstanceId }) => InstanceId,
  PingStatus: ({ PingStatus }) => PingStatus,
  PlatformType: ({ PlatformType }) => PlatformType,
  PlatformTypes: ({ PlatformType }) => PlatformType,
  AgentVersion: ({ AgentVersion }) => AgentVersion,
  ResourceType: ({ ResourceType }) => ResourceType,
  IamRole: ({ IamRole }) => IamRole,
  SourceIds: ({ InstanceId }) => InstanceId,
  SourceTypes: ({ SourceType }) => SourceType,
};

/** https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_InstanceInformationStringFilter.html */
export function fitsFilter(place: Place, node: InstanceInformation, key: string, values: readonly string[]): boolean {
  if (key.startsWith('tag')) return hasTag(place, node.InstanceId ?? '', { Key: key, Values: [...values] });
  const field = FIELDS[key];
  if (field === undefined) throw new AwsError('InvalidFilterKey', `The specified key is not valid: ${key}`);
  return values.includes(field(node) ?? '');
}
