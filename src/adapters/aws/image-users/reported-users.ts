import {
  CreateImageUsageReportCommand,
  DescribeImageReferencesCommand,
  DescribeImageUsageReportEntriesCommand,
  DescribeImageUsageReportsCommand,
  type EC2Client,
  type ResourceTypeRequest,
} from '@aws-sdk/client-ec2';
import { batches, concurrently } from '../../../kit/concurrently.ts';
import { isDenied } from '../../../kit/errors.ts';
import type { Edge } from '../../../model/image-users.ts';
import type { UsageReport } from '../../../ports/images.ts';
import { always } from '../complete.ts';
import { asExpected } from '../errors.ts';
import { allPages, listed } from '../pages.ts';

const IMAGES_PER_CALL = 10;
const CALLS_AT_ONCE = 4;

// Of launch templates only the latest version: older ones name every image that was ever promoted, and which of them is in use is read elsewhere.
const BY_EC2: ResourceTypeRequest[] = [
  {
    ResourceType: 'ec2:Instance',
    ResourceTypeOptions: [{ OptionName: 'state-name', OptionValues: ['pending', 'running', 'shutting-down', 'stopping', 'stopped'] }],
  },
  { ResourceType: 'ec2:LaunchTemplate', ResourceTypeOptions: [{ OptionName: 'version-depth', OptionValues: ['1'] }] },
  { ResourceType: 'ssm:Parameter' },
];

const BY_IMAGE_BUILDER: ResourceTypeRequest[] = [
  { ResourceType: 'imagebuilder:ImageRecipe' },
  { ResourceType: 'imagebuilder:ContainerRecipe' },
];

/** What EC2 knows of this account's references. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-ami-references.html */
export async function references(ec2: EC2Client, imageIds: readonly string[]): Promise<readonly Edge[]> {
  const found = await concurrently(batches(imageIds, IMAGES_PER_CALL), CALLS_AT_ONCE, async ids => {
    try {
      return await listReferences(ec2, ids, [...BY_EC2, ...BY_IMAGE_BUILDER], 'describe the references of images', OWN_ACTION);
    } catch (failure) {
      if (!isDenied(failure)) throw failure;
      // EC2 asks the other services with the permissions of the caller. A call of their own tells whose permissions are missing.
      await listReferences(ec2, ids, BY_EC2, 'describe the references of images', OWN_ACTION);
      return await listReferences(ec2, ids, BY_IMAGE_BUILDER, 'describe the Image Builder recipes of images', IMAGE_BUILDER_ACTIONS);
    }
  });
  return found.flat();
}

const OWN_ACTION = 'ec2:DescribeImageReferences';
const IMAGE_BUILDER_ACTIONS = `${OWN_ACTION}, imagebuilder:ListImageRecipes, imagebuilder:ListContainerRecipes, imagebuilder:GetContainerRecipe`;

const listReferences = (ec2: EC2Client, ImageIds: string[], ResourceTypes: ResourceTypeRequest[], doing: string, actions: string) =>
  allPages(async NextToken => {
    const page = await ec2
      .send(new DescribeImageReferencesCommand({ ImageIds, ResourceTypes, MaxResults: 1000, NextToken }))
      .catch(asExpected(`${doing} (${actions})`));
    const edges = always(page.ImageReferences, 'ImageReferences of DescribeImageReferences').map(({ ImageId, Arn = '' }) => ({
      imageId: always(ImageId, 'ImageId of an image reference'),
      user: `${Arn} (reported by EC2)`,
    }));
    return { items: edges, next: page.NextToken };
  });

/** Use in accounts that cannot be read. The same token is the same report. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/your-ec2-ami-usage.html */
export async function startUsageReport(ec2: EC2Client, imageId: string, token: string): Promise<string> {
  const ResourceTypes = [{ ResourceType: 'ec2:Instance' }, { ResourceType: 'ec2:LaunchTemplate' }];
  const { ReportId } = await ec2
    .send(new CreateImageUsageReportCommand({ ImageId: imageId, ResourceTypes, ClientToken: token }))
    .catch(asExpected(`request a usage report of ${imageId} (ec2:CreateImageUsageReport)`));
  return ReportId ?? '';
}

export async function usage(ec2: EC2Client, reportId: string): Promise<UsageReport> {
  const { ImageUsageReports } = await ec2
    .send(new DescribeImageUsageReportsCommand({ ReportIds: [reportId] }))
    .catch(asExpected(`describe the usage report ${reportId} (ec2:DescribeImageUsageReports)`));
  const state = listed(ImageUsageReports)[0]?.State;
  if (state !== 'available') return { state: state === 'error' || state === 'failed' ? 'error' : 'pending', entries: [] };
  const entries = await allPages(async NextToken => {
    const page = await ec2
      .send(new DescribeImageUsageReportEntriesCommand({ ReportIds: [reportId], NextToken }))
      .catch(asExpected(`read the usage report ${reportId} (ec2:DescribeImageUsageReportEntries)`));
    return { items: always(page.ImageUsageReportEntries, `the entries of ${reportId}`), next: page.NextToken };
  });
  return {
    state,
    entries: entries.map(({ AccountId = '', ResourceType = '', UsageCount = 0 }) => ({
      account: AccountId,
      resourceType: ResourceType,
      count: UsageCount,
    })),
  };
}
