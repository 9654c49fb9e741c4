import {
  CreateImageUsageReportCommand,
  DescribeImageUsageReportEntriesCommand,
  DescribeImageUsageReportsCommand,
  type EC2Client,
} from '@aws-sdk/client-ec2';
import type { UsageReport } from '../../../ports/images.ts';
import { asExpected } from '../errors.ts';
import { allPages } from '../pages.ts';

/** The only sight of accounts that we cannot enter. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/your-ec2-ami-usage.html */
export async function startUsageReport(ec2: EC2Client, imageId: string, token: string): Promise<string> {
  const ResourceTypes = [{ ResourceType: 'ec2:Instance' }, { ResourceType: 'ec2:LaunchTemplate' }];
  const { ReportId } = await ec2
    .send(new CreateImageUsageReportCommand({ ImageId: imageId, ResourceTypes, ClientToken: token }))
    .catch(asExpected(`ask for a usage report of ${imageId} (ec2:CreateImageUsageReport)`));
  return ReportId ?? '';
}

export async function usage(ec2: EC2Client, reportId: string): Promise<UsageReport> {
  const { ImageUsageReports = [] } = await ec2
    .send(new DescribeImageUsageReportsCommand({ ReportIds: [reportId] }))
    .catch(asExpected(`see the usage report ${reportId} (ec2:DescribeImageUsageReports)`));
  const state = ImageUsageReports[0]?.State;
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
