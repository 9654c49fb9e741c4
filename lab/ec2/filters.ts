import type { Filter, Tag } from '@aws-sdk/client-ec2';
import { AwsError } from '../operation.ts';

type Value = string | number | boolean | undefined;
type Tags = Readonly<Record<string, string>>;

/** Filter name -> values of an item. */
export type Fields<T> = Readonly<Record<string, (item: T) => Value | readonly Value[]>>;

/** All filters must match, each with any of its values; `*` and `?` are wildcards. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html */
export function select<T>(
  items: readonly T[],
  filters: readonly Filter[] | undefined,
  fields: Fields<T>,
  tags: (item: T) => Tags,
): readonly T[] {
  checkFilters(filters ?? []);
  const tests = (filters ?? []).map(({ Name = '', Values = [] }) => {
    const read = reader(Name, fields, tags);
    const patterns = Values.map(like);
    return (item: T) => [read(item)].flat().some(value => value !== undefined && patterns.some(pattern => pattern.test(String(value))));
  });
  return items.filter(item => tests.every(test => test(item)));
}

const FILTER_VALUES = 200;
const FILTER_CHARACTERS = 255;

/** FilterLimitExceeded: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html , https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html */
function checkFilters(filters: readonly Filter[]): void {
  const values = filters.flatMap(({ Values = [] }) => Values);
  if (values.length > FILTER_VALUES)
    throw new AwsError('FilterLimitExceeded', `The maximum number of filter values specified on a single call is ${FILTER_VALUES}`);
  if (values.some(value => value.length > FILTER_CHARACTERS))
    throw new AwsError('FilterLimitExceeded', `The maximum length for a filter value is ${FILTER_CHARACTERS} characters`);
}

function reader<T>(name: string, fields: Fields<T>, tags: (item: T) => Tags): (item: T) => Value | readonly Value[] {
  if (name.startsWith('tag:')) return item => tags(item)[name.slice('tag:'.length)];
  if (name === 'tag-key') return item => Object.keys(tags(item));
  const field = fields[name];
  if (field === undefined) throw new AwsError('InvalidParameterValue', `The filter '${name}' is invalid`);
  return field;
}

/** A backslash makes a wildcard literal. */
function like(pattern: string): RegExp {
  const source = pattern.replace(/\\[*?\\]|[*?]|[.+^${}()|[\]\\/]/g, found => {
    if (found === '*') return '[^]*';
    if (found === '?') return '[^]';
    return found.length === 2 ? found : `\\${found}`;
  });
  return new RegExp(`^${source}$`);
}

export const tagList = (tags: Tags): Tag[] => Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));

export const tagRecord = (tags: readonly Tag[] | undefined): Record<string, string> =>
  Object.fromEntries((tags ?? []).map(({ Key = '', Value = '' }) => [Key, Value]));

/** Tags of a `TagSpecifications` for one kind of resource. */
export const tagsFor = (
  specifications: readonly { ResourceType?: string | undefined; Tags?: Tag[] | undefined }[] | undefined,
  kind: string,
): Record<string, string> =>
  tagRecord((specifications ?? []).filter(({ ResourceType }) => ResourceType === kind).flatMap(({ Tags = [] }) => Tags));
