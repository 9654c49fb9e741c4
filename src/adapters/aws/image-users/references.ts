import { DescribeImageReferencesCommand, type EC2Client, type ResourceTypeRequest } from '@aws-sdk/client-ec2';
import { batches, concurrently } from '../../../kit/concurrently.ts';
import type { Edge } from '../../../model/image-users.ts';
import { asExpected } from '../errors.ts';
import { allPages } from '../pages.ts';

const IMAGES_PER_CALL = 10;
const CALLS_AT_ONCE = 4;

// Of launch templates only the newest version: every image that was ever promoted stands in some older one, and which of these is used we read ourselves.
const TYPES: ResourceTypeRequest[] = [
  {
    ResourceType: 'ec2:Instance',
    ResourceTypeOptions: [{ OptionName: 'state-name', OptionValues: ['pending', 'running', 'shutting-down', 'stopping', 'stopped'] }],
  },
  { ResourceType: 'ec2:LaunchTemplate', ResourceTypeOptions: [{ OptionName: 'version-depth', OptionValues: ['1'] }] },
  { ResourceType: 'ssm:Parameter' },
  { ResourceType: 'imagebuilder:ImageRecipe' },
  { ResourceType: 'imagebuilder:ContainerRecipe' },
];

/** https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-ami-references.html */
export async function references(ec2: EC2Client, imageIds: readonly string[]): Promise<readonly Edge[]> {
  const found = await concurrently(batches(imageIds, IMAGES_PER_CALL), CALLS_AT_ONCE, ImageIds =>
    allPages(async NextToken => {
      const page = await ec2
        .send(new DescribeImageReferencesCommand({ ImageIds, ResourceTypes: TYPES, MaxResults: 1000, NextToken }))
        .catch(asExpected('describe the references of images (ec2:DescribeImageReferences)'));
      const edges = (page.ImageReferences ?? []).map(({ ImageId = '', Arn = '' }) => ({ imageId: ImageId, user: `${Arn}, as AWS says` }));
      return { items: edges, next: page.NextToken };
    }),
  );
  return found.flat();
}
