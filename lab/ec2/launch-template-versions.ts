import type {
  CreateLaunchTemplateVersionCommandInput,
  CreateLaunchTemplateVersionCommandOutput,
  DeleteLaunchTemplateVersionsCommandInput,
  DeleteLaunchTemplateVersionsCommandOutput,
  DescribeLaunchTemplateVersionsCommandInput,
  DescribeLaunchTemplateVersionsCommandOutput,
  LaunchTemplateErrorCode,
  LaunchTemplateVersion,
  ResponseLaunchTemplateData,
} from '@aws-sdk/client-ec2';
import { AwsError, type Call, type Operation } from '../operation.ts';
import type { Place } from '../place.ts';
import { once } from './client-tokens.ts';
import { type Fields, select } from './filters.ts';
import { doubts, inherit } from './launch-template-data.ts';
import { resolvedImage } from './launch-template-spec.ts';
import {
  type LabTemplate,
  type LabTemplateVersion,
  nextDoubts,
  templateLimits,
  templateOf,
  templates,
  versionOf,
} from './launch-template-state.ts';
import { checkPageSize, pageOf } from './paging.ts';

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateLaunchTemplateVersion.html */
export const createVersion: Operation<CreateLaunchTemplateVersionCommandInput, CreateLaunchTemplateVersionCommandOutput> = (input, call) =>
  once(call.place, 'CreateLaunchTemplateVersion', input.ClientToken, input, () => {
    const template = templateOf(call.place, input);
    const source = input.SourceVersion === undefined ? {} : versionOf(template, input.SourceVersion).data;
    const made = addVersion(call, template, inherit(source, input.LaunchTemplateData ?? {}), input.VersionDescription);
    return {
      LaunchTemplateVersion: describedVersion(call.place, template, made, input.ResolveAlias),
      Warning: warning(call.place, made),
    };
  });

export function addVersion(
  call: Call,
  template: LabTemplate,
  data: ResponseLaunchTemplateData,
  description: string | undefined,
): LabTemplateVersion {
  const { versions } = templateLimits(call.place);
  // The quota is documented, its error code is not. EC2 returns this code for other quotas.
  if (template.versions.size >= versions)
    throw new AwsError(
      'ResourceLimitExceeded',
      `You have reached the limit of ${versions} versions for the launch template ${template.id}.`,
    );
  const number = template.lastNumber + 1;
  const made = { number, description, createdAt: call.place.core.clock.date(), createdBy: call.arn, data };
  template.versions.set(number, made);
  template.lastNumber = number;
  return made;
}

export function warning(place: Place, { data }: LabTemplateVersion): CreateLaunchTemplateVersionCommandOutput['Warning'] {
  const Errors = [...doubts(place, data), ...nextDoubts(place).splice(0)];
  return Errors.length === 0 ? undefined : { Errors };
}

function describedVersion(place: Place, template: LabTemplate, version: LabTemplateVersion, resolve = false): LaunchTemplateVersion {
  const { data, number } = version;
  return {
    LaunchTemplateId: template.id,
    LaunchTemplateName: template.name,
    VersionNumber: number,
    VersionDescription: version.description,
    CreateTime: version.createdAt,
    CreatedBy: version.createdBy,
    DefaultVersion: number === template.defaultVersion,
    LaunchTemplateData: resolve ? { ...data, ImageId: resolvedImage(place, data.ImageId) } : data,
  };
}

interface Found {
  readonly template: LabTemplate;
  readonly version: LabTemplateVersion;
}

const FIELDS: Fields<Found> = {
  'create-time': ({ version }) => version.createdAt.toISOString(),
  'http-tokens': ({ version }) => version.data.MetadataOptions?.HttpTokens,
  'iam-instance-profile': ({ version }) => version.data.IamInstanceProfile?.Arn,
  'image-id': ({ version }) => version.data.ImageId,
  'instance-type': ({ version }) => version.data.InstanceType,
  'is-default-version': ({ template, version }) => version.number === template.defaultVersion,
};

/** Newest first within a template. */
const order = ({ template, version }: Found): string => `${template.id}/${10 ** 12 - version.number}`;

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeLaunchTemplateVersions.html */
export const describeVersions: Operation<DescribeLaunchTemplateVersionsCommandInput, DescribeLaunchTemplateVersionsCommandOutput> = (
  input,
  { place },
) => {
  checkPageSize(input, 1, 200);
  const found = select(asked(place, input), input.Filters, FIELDS, () => ({}));
  const { page, NextToken } = pageOf(place, found, order, { MaxResults: 200, ...input });
  return {
    LaunchTemplateVersions: page.map(({ template, version }) => describedVersion(place, template, version, input.ResolveAlias)),
    NextToken,
  };
};

function asked(place: Place, input: DescribeLaunchTemplateVersionsCommandInput): readonly Found[] {
  const wanted = [...new Set(input.Versions ?? [])];
  if (input.LaunchTemplateId === undefined && input.LaunchTemplateName === undefined) {
    if (wanted.length === 0 || wanted.some(version => !version.startsWith('$')))
      throw new AwsError('InvalidParameterCombination', 'Without a launch template, Versions must be $Latest or $Default.');
    return [...templates(place).values()].flatMap(template => distinct(template, wanted));
  }
  const template = templateOf(place, input);
  if (wanted.length > 0) return distinct(template, wanted);
  const least = Number(input.MinVersion ?? 1);
  const most = Number(input.MaxVersion ?? template.lastNumber);
  return [...template.versions.values()].filter(({ number }) => number >= least && number <= most).map(version => ({ template, version }));
}

const distinct = (template: LabTemplate, wanted: readonly string[]): readonly Found[] =>
  [...new Set(wanted.map(version => versionOf(template, version)))].map(version => ({ template, version }));

/** Returns 200 with a result per version. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteLaunchTemplateVersions.html */
export const deleteVersions: Operation<DeleteLaunchTemplateVersionsCommandInput, DeleteLaunchTemplateVersionsCommandOutput> = (
  input,
  { place },
) => {
  const template = templateOf(place, input);
  const wanted = input.Versions ?? [];
  if (wanted.length > 200)
    throw new AwsError('InvalidParameterValue', 'You can delete up to 200 launch template versions in a single request.');
  const verdicts = wanted.map(text => ({ number: Number(text), trouble: undeletable(template, Number(text)) }));
  for (const { number, trouble } of verdicts) if (trouble === undefined) template.versions.delete(number);
  const item = (number: number) => ({ LaunchTemplateId: template.id, LaunchTemplateName: template.name, VersionNumber: number });
  return {
    SuccessfullyDeletedLaunchTemplateVersions: verdicts.filter(({ trouble }) => trouble === undefined).map(({ number }) => item(number)),
    UnsuccessfullyDeletedLaunchTemplateVersions: verdicts.flatMap(({ number, trouble }) =>
      trouble === undefined ? [] : [{ ...item(number), ResponseError: trouble }],
    ),
  };
};

function undeletable(template: LabTemplate, number: number): { Code: LaunchTemplateErrorCode; Message: string } | undefined {
  if (!template.versions.has(number))
    return {
      Code: 'launchTemplateVersionDoesNotExist',
      Message: `The version ${number} of the launch template ${template.id} does not exist.`,
    };
  if (number !== template.defaultVersion) return undefined;
  return { Code: 'unexpectedError', Message: `Cannot delete the default version ${number} of the launch template ${template.id}.` };
}
