import type {
  CreateOrUpdateTagsCommandInput,
  CreateOrUpdateTagsCommandOutput,
  DeleteTagsCommandInput,
  DeleteTagsCommandOutput,
  DescribeTagsCommandInput,
  DescribeTagsCommandOutput,
  Filter,
  Tag,
  TagDescription,
} from '@aws-sdk/client-auto-scaling';
import type { Operation, Operations } from '../operation.ts';
import { groupNamed, groups, invalid } from './group.ts';
import { records } from './records.ts';
import type { Group } from './state.ts';

export const tagDescription = (name: string, { Key, Value, PropagateAtLaunch }: Tag): TagDescription => ({
  ...{ ResourceId: name, ResourceType: 'auto-scaling-group', Key, Value: Value ?? '' },
  PropagateAtLaunch: PropagateAtLaunch ?? false,
});

/** Tags of running instances do not change. https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-tagging.html */
const createOrUpdateTags: Operation<CreateOrUpdateTagsCommandInput, CreateOrUpdateTagsCommandOutput> = ({ Tags = [] }, { place }) => {
  for (const tag of Tags) {
    const group = groupNamed(place, tag.ResourceId);
    group.tags = [...group.tags.filter(({ Key }) => Key !== tag.Key), tagDescription(group.name, tag)];
  }
  return {};
};

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DeleteTags.html */
const deleteTags: Operation<DeleteTagsCommandInput, DeleteTagsCommandOutput> = ({ Tags = [] }, { place }) => {
  for (const tag of Tags) {
    const group = groupNamed(place, tag.ResourceId);
    group.tags = group.tags.filter(({ Key }) => Key !== tag.Key);
  }
  return {};
};

const FIELDS: Readonly<Record<string, (tag: TagDescription) => string>> = {
  'auto-scaling-group': ({ ResourceId = '' }) => ResourceId,
  key: ({ Key = '' }) => Key,
  value: ({ Value = '' }) => Value,
  'propagate-at-launch': ({ PropagateAtLaunch }) => String(PropagateAtLaunch),
};

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeTags.html */
const describeTags: Operation<DescribeTagsCommandInput, DescribeTagsCommandOutput> = (input, { place }) => {
  const tests = (input.Filters ?? []).map(({ Name = '', Values = [] }) => {
    const read = FIELDS[Name];
    if (read === undefined) throw invalid(`The filter ${Name} is not valid.`);
    return (tag: TagDescription) => Values.includes(read(tag));
  });
  const all = [...groups(place).values()].flatMap(({ tags }) => tags);
  const found = all.filter(tag => tests.every(test => test(tag)));
  const { items, NextToken } = records(place, found, ({ ResourceId, Key }) => `${ResourceId}\n${Key}`, input);
  return { Tags: [...items], NextToken };
};

/** tag-key, tag-value and tag:<key>. https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_Filter.html */
export const matchesTagFilters = ({ tags }: Group, filters: readonly Filter[]): boolean =>
  filters.every(({ Name = '', Values = [] }) => {
    if (Name === 'tag-key') return tags.some(({ Key = '' }) => Values.includes(Key));
    if (Name === 'tag-value') return tags.some(({ Value = '' }) => Values.includes(Value));
    if (Name.startsWith('tag:')) return tags.some(({ Key, Value = '' }) => Key === Name.slice('tag:'.length) && Values.includes(Value));
    throw invalid(`The filter ${Name} is not valid.`);
  });

export const tagOperations: Operations = { CreateOrUpdateTags: createOrUpdateTags, DeleteTags: deleteTags, DescribeTags: describeTags };
