import {
  CreateImageUsageReportCommand,
  DescribeImageReferencesCommand,
  DescribeImageUsageReportEntriesCommand,
  DescribeImageUsageReportsCommand,
  type EC2Client,
  type ResourceTypeRequest,
} from '@aws-sdk/client-ec2';
import { batches, concurrently } from '../../../kit/concurrently.ts';
import type { Edge } from '../../../model/image-users.ts';
import type { UsageReport } from '../../../ports/images.ts';
import { asExpected } from '../errors.ts';
import { allPages, listed } from '../pages.ts';

const IMAGES_PER_CALL = 10;
const CALLS_AT_ONCE = 4;

// Of launch templates only the latest version: older ones name every image that was ever promoted, and which of them is in use is read elsewhere.
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

/** What EC2 knows of this account's references. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-ami-references.html */
export async function references(ec2: EC2Client, imageIds: readonly string[]): Promise<readonly Edge[]> {
  const found = await concurrently(batches(imageIds, IMAGES_PER_CALL), CALLS_AT_ONCE, ImageIds =>
    allPages(async NextToken => {
      const page = await ec2
        .send(new DescribeImageReferencesCommand({ ImageIds, ResourceTypes: TYPES, MaxResults: 1000, NextToken }))
        .catch(asExpected('describe the references of images (ec2:DescribeImageReferences)'));
      const edges = listed(page.ImageReferences).map(({ ImageId = '', Arn = '' }) => ({
        imageId: ImageId,
        user: `${Arn} (reported by EC2)`,
      }));
      return { items: edges, next: page.NextToken };
    }),
  );
  return found.flat();
}

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
    return { items: page.ImageUsageReportEntries, next: page.NextToken };
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
