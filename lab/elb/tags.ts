import type {
  AddTagsCommandInput,
  AddTagsCommandOutput,
  DescribeTagsCommandInput,
  DescribeTagsCommandOutput,
  Tag,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { AwsError, type Operation, type Operations } from '../operation.ts';
import { type Place, slice } from '../place.ts';

/** Tags of load balancers and target groups, by ARN. */
const tags = slice(() => new Map<string, Map<string, string>>());

export function setBalancingTags(place: Place, arn: string, added: readonly Tag[] = []): void {
  const own = tags(place).get(arn) ?? new Map<string, string>();
  for (const { Key = '', Value = '' } of added) own.set(Key, Value);
  tags(place).set(arn, own);
}

export const dropBalancingTags = (place: Place, arn: string): void => void tags(place).delete(arn);

function tagsOf(place: Place, arn: string): Map<string, string> {
  const found = tags(place).get(arn);
  if (found !== undefined) return found;
  if (arn.includes(':targetgroup/')) throw new AwsError('TargetGroupNotFound', `Target groups '${arn}' not found`);
  throw new AwsError('LoadBalancerNotFound', `Load balancers '[${arn}]' not found`);
}

/** https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_AddTags.html */
const addTags: Operation<AddTagsCommandInput, AddTagsCommandOutput> = ({ ResourceArns = [], Tags }, { place }) => {
  for (const arn of ResourceArns) tagsOf(place, arn);
  for (const arn of ResourceArns) setBalancingTags(place, arn, Tags);
  return {};
};

/** At most 20 resources. https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeTags.html */
const describeTags: Operation<DescribeTagsCommandInput, DescribeTagsCommandOutput> = ({ ResourceArns = [] }, { place }) => {
  if (ResourceArns.length > 20) throw new AwsError('ValidationError', 'At most 20 resource ARNs can be described at a time.');
  return {
    TagDescriptions: ResourceArns.map(ResourceArn => ({
      ResourceArn,
      Tags: [...tagsOf(place, ResourceArn)].map(([Key, Value]) => ({ Key, Value })),
    })),
  };
};

export const balancingTagOperations: Operations = { AddTags: addTags, DescribeTags: describeTags };
