import type {
  CreateImageUsageReportCommandInput,
  CreateImageUsageReportCommandOutput,
  DescribeImageUsageReportEntriesCommandInput,
  DescribeImageUsageReportEntriesCommandOutput,
  DescribeImageUsageReportsCommandInput,
  DescribeImageUsageReportsCommandOutput,
  ImageReferenceResourceType,
  ImageUsageResourceTypeRequest,
  ResourceTypeOption,
} from '@aws-sdk/client-ec2';
import { newId } from '../ids.ts';
import { AwsError, type Operation } from '../operation.ts';
import { type Place, slice } from '../place.ts';
import { once } from './client-tokens.ts';
import { select } from './filters.ts';
import { ownImage } from './image-choice.ts';
import { references } from './image-references.ts';
import { neighbours } from './images.ts';
import { mishaps } from './mishaps.ts';
import { pageOf } from './paging.ts';

interface Report {
  readonly id: string;
  readonly imageId: string;
  readonly types: readonly ImageUsageResourceTypeRequest[];
  readonly accounts: readonly string[] | undefined;
  readonly createdAt: Date;
  state: 'pending' | 'available' | 'error';
  entries: readonly { account: string; type: string; count: number }[];
}

const reports = slice(() => new Map<string, Report>());

const MONTH_MS = 30 * 24 * 60 * 60 * 1000;

/** Numbers of resources in other accounts, without their names. Creating a report takes time. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/your-ec2-ami-usage.html */
export const createImageUsageReport: Operation<CreateImageUsageReportCommandInput, CreateImageUsageReportCommandOutput> = async (
  input,
  { place },
) => ({ ReportId: await once(place, 'CreateImageUsageReport', input.ClientToken, input, () => begin(place, input)) });

function begin(place: Place, { ImageId, ResourceTypes = [], AccountIds }: CreateImageUsageReportCommandInput): string {
  const { clock, timings } = place.core;
  const image = ownImage(place, ImageId);
  if (ResourceTypes.length === 0) throw new AwsError('MissingParameter', 'The request must contain the parameter ResourceTypes');
  const report: Report = {
    ...{ id: newId('amiur'), imageId: image.id, types: ResourceTypes, accounts: AccountIds, createdAt: clock.date() },
    ...{ state: 'pending', entries: [] },
  };
  reports(place).set(report.id, report);
  clock.after(timings.usageReport, () => {
    report.entries = count(place, report);
    report.state = mishaps(place).usageReportsFail ? 'error' : 'available';
  });
  return report.id;
}

/** Twenty template versions are examined, unless the request says more. */
const DEPTH: readonly ResourceTypeOption[] = [{ OptionName: 'version-depth', OptionValues: ['20'] }];

function count(place: Place, { imageId, types, accounts }: Report): Report['entries'] {
  const others = neighbours(place).filter(({ account }) => accounts?.includes(account) ?? true);
  return others.flatMap(other =>
    types.flatMap(({ ResourceType = '', ResourceTypeOptions }) => {
      const options = (ResourceTypeOptions ?? DEPTH) as ResourceTypeOption[];
      const found = references(other, imageId, { ResourceType: ResourceType as ImageReferenceResourceType, ResourceTypeOptions: options });
      return found.length === 0 ? [] : [{ account: other.account, type: ResourceType, count: found.length }];
    }),
  );
}

function wanted(
  place: Place,
  { ReportIds, ImageIds }: { ReportIds?: string[] | undefined; ImageIds?: string[] | undefined },
): readonly Report[] {
  const unknown = ReportIds?.find(id => !reports(place).has(id));
  if (unknown !== undefined) throw new AwsError('InvalidImageUsageReportId.NotFound', `The report '${unknown}' does not exist`);
  return [...reports(place).values()].filter(
    ({ id, imageId }) => (ReportIds?.includes(id) ?? true) && (ImageIds?.includes(imageId) ?? true),
  );
}

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImageUsageReports.html */
export const describeImageUsageReports: Operation<DescribeImageUsageReportsCommandInput, DescribeImageUsageReportsCommandOutput> = (
  input,
  { place },
) => {
  const fields = { state: ({ state }: Report) => state };
  const found = select(wanted(place, input), input.Filters, fields, () => ({}));
  const { page, NextToken } = pageOf(place, found, ({ id }) => id, input);
  const ImageUsageReports = page.map(({ id, imageId, state, createdAt, accounts, types }) => ({
    ...{ ReportId: id, ImageId: imageId, State: state, StateReason: state === 'error' ? 'Internal error' : undefined },
    ...{ CreationTime: createdAt, ExpirationTime: new Date(createdAt.getTime() + MONTH_MS) },
    ...(accounts === undefined ? {} : { AccountIds: [...accounts] }),
    ResourceTypes: types.map(({ ResourceType }) => ({ ResourceType })),
  }));
  return { ImageUsageReports, NextToken };
};

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImageUsageReportEntries.html */
export const describeImageUsageReportEntries: Operation<
  DescribeImageUsageReportEntriesCommandInput,
  DescribeImageUsageReportEntriesCommandOutput
> = (input, { place }) => {
  const lines = wanted(place, input)
    .filter(({ state }) => state === 'available')
    .flatMap(({ id, imageId, createdAt, entries }) => entries.map(entry => ({ id, imageId, createdAt, ...entry })));
  const fields = { 'account-id': (line: { account: string }) => line.account, 'resource-type': (line: { type: string }) => line.type };
  const found = select(lines, input.Filters, fields, () => ({}));
  const { page, NextToken } = pageOf(place, found, line => `${line.id} ${line.account} ${line.type}`, input);
  const ImageUsageReportEntries = page.map(({ id, imageId, createdAt, account, type, count: UsageCount }) => ({
    ...{ ReportId: id, ImageId: imageId, ReportCreationTime: createdAt, AccountId: account, ResourceType: type, UsageCount },
  }));
  return { ImageUsageReportEntries, NextToken };
};
