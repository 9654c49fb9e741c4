import {
  DescribeImageAttributeCommand,
  DescribeInstancesCommand,
  DescribeTagsCommand,
  type EC2Client,
  type Filter,
  type Instance,
  type LaunchPermission,
  type Tag,
  type TagDescription,
} from '@aws-sdk/client-ec2';
import type { Tags } from '../../model/image.ts';
import { always } from './complete.ts';
import { asExpected, isCode } from './errors.ts';
import { allPages, listed } from './pages.ts';

/** EC2 listings and tags, as several adapters need them. */

// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html
export const MOST_FILTER_VALUES = 200;

// In a filter's value * and ? match anything.
export const literally = (value: string) => value.replace(/[\\*?]/g, '\\$&');

export const toEc2Tags = (tags: Tags): Tag[] => Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));

export const tagsFromEc2 = (
  tags: readonly { Key?: string | undefined; Value?: string | undefined }[] | undefined,
): Record<string, string> => Object.fromEntries((tags ?? []).map(({ Key = '', Value = '' }) => [Key, Value]));

export const tagFilters = (tags: Tags): Filter[] =>
  Object.entries(tags).map(([key, value]) => ({ Name: `tag:${key}`, Values: [literally(value)] }));

/** By filter, never by ID: one instance that EC2 has forgotten would fail the whole call. */
export const listInstances = (ec2: EC2Client, Filters: Filter[]): Promise<Instance[]> =>
  allPages(async NextToken => {
    const page = await ec2
      .send(new DescribeInstancesCommand({ Filters, IncludeManagedResources: true, MaxResults: 1000, NextToken }))
      .catch(asExpected('describe instances (ec2:DescribeInstances)'));
    return { items: page.Reservations?.flatMap(({ Instances }) => listed(Instances)), next: page.NextToken };
  });

export const listTags = (ec2: EC2Client, Filters: Filter[]): Promise<TagDescription[]> =>
  allPages(async NextToken => {
    const page = await ec2
      .send(new DescribeTagsCommand({ Filters, MaxResults: 1000, NextToken }))
      .catch(asExpected('list tags (ec2:DescribeTags)'));
    return { items: always(page.Tags, 'Tags of DescribeTags'), next: page.NextToken };
  });

/**
 * Whether a call was denied because what it names is gone: a permission that names tags denies a call for what has none. A call that is repeated, because
 * the answer to the first was lost, finds it so. https://docs.aws.amazon.com/IAM/latest/UserGuide/access_tags.html
 */
export const isDeniedAsGone = async (ec2: EC2Client, cause: unknown, id: string): Promise<boolean> =>
  isCode(cause, 'UnauthorizedOperation') &&
  (await listTags(ec2, [{ Name: 'resource-id', Values: [id] }]).then(
    tags => tags.length === 0,
    () => false,
  ));

export async function launchPermissions(ec2: EC2Client, imageId: string): Promise<readonly LaunchPermission[]> {
  const { LaunchPermissions } = await ec2
    .send(new DescribeImageAttributeCommand({ ImageId: imageId, Attribute: 'launchPermission' }))
    .catch(asExpected(`see who ${imageId} is shared with (ec2:DescribeImageAttribute)`));
  return listed(LaunchPermissions);
}

export const granteeOf = ({ UserId, Group, OrganizationArn, OrganizationalUnitArn }: LaunchPermission): string | undefined =>
  UserId ?? OrganizationArn ?? OrganizationalUnitArn ?? Group;
