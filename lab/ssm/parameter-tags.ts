import type {
  AddTagsToResourceCommandInput,
  AddTagsToResourceCommandOutput,
  ListTagsForResourceCommandInput,
  ListTagsForResourceCommandOutput,
  RemoveTagsFromResourceCommandInput,
  RemoveTagsFromResourceCommandOutput,
} from '@aws-sdk/client-ssm';
import { AwsError, type Operation } from '../operation.ts';
import type { Place } from '../place.ts';
import { readReference } from './parameter-name.ts';
import { parameters } from './parameter-state.ts';

const MOST = 50;

/** https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_AddTagsToResource.html */
export const addTagsToResource: Operation<AddTagsToResourceCommandInput, AddTagsToResourceCommandOutput> = (input, { place }) => {
  const tags = tagsOf(place, input);
  const wanted = new Map([...tags, ...(input.Tags ?? []).map(({ Key = '', Value = '' }) => [Key, Value] as const)]);
  if (wanted.size > MOST) throw new AwsError('TooManyTagsError', 'The Targets parameter includes too many tags.');
  for (const [key, value] of wanted) tags.set(key, value);
  return {};
};

/** https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_RemoveTagsFromResource.html */
export const removeTagsFromResource: Operation<RemoveTagsFromResourceCommandInput, RemoveTagsFromResourceCommandOutput> = (
  input,
  { place },
) => {
  const tags = tagsOf(place, input);
  for (const key of input.TagKeys ?? []) tags.delete(key);
  return {};
};

/** https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_ListTagsForResource.html */
export const listTagsForResource: Operation<ListTagsForResourceCommandInput, ListTagsForResourceCommandOutput> = (input, { place }) => ({
  TagList: [...tagsOf(place, input)].map(([Key, Value]) => ({ Key, Value })),
});

/** Of the taggable resources of Systems Manager, the lab has only parameters. */
function tagsOf(place: Place, { ResourceType, ResourceId = '' }: ListTagsForResourceCommandInput): Map<string, string> {
  if (ResourceType !== 'Parameter') throw new AwsError('InvalidResourceType', 'Invalid Resource Type');
  const parameter = parameters(place).get(readReference(place, ResourceId).name);
  if (parameter === undefined) throw new AwsError('InvalidResourceId', 'Invalid Resource Id');
  return parameter.tags;
}
