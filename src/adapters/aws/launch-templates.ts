import {
  CreateLaunchTemplateVersionCommand,
  DeleteLaunchTemplateVersionsCommand,
  DescribeLaunchTemplateVersionsCommand,
  type DescribeLaunchTemplateVersionsRequest,
  type EC2Client,
  type LaunchTemplateVersion,
  type ResponseLaunchTemplateData,
} from '@aws-sdk/client-ec2';
import { batches } from '../../kit/concurrently.ts';
import { RejectedError } from '../../kit/errors.ts';
import type { TemplateVersion } from '../../model/template.ts';
import type { LaunchTemplates } from '../../ports/groups.ts';
import { always } from './complete.ts';
import { asExpected, codeOf, isCode } from './errors.ts';
import { allPages } from './pages.ts';

export const ec2LaunchTemplates = (ec2: EC2Client): LaunchTemplates => ({
  async version({ templateId, version }) {
    const [found] = await versions(ec2, { LaunchTemplateId: templateId, Versions: [version] });
    return found;
  },

  async resolved({ templateId, number }) {
    const query = { LaunchTemplateId: templateId, Versions: [String(number)], ResolveAlias: true };
    const found = await versions(ec2, query).catch(withoutParameter);
    return found?.[0]?.imageId;
  },

  withImage: (templateId, imageId) =>
    versions(ec2, { LaunchTemplateId: templateId, Filters: [{ Name: 'image-id', Values: [imageId] }] }).then(all =>
      all.filter(version => version.imageId === imageId),
    ),

  async withImages(templateId, imageIds) {
    const all = await Promise.all(
      batches(imageIds, 200).map(Values => versions(ec2, { LaunchTemplateId: templateId, Filters: [{ Name: 'image-id', Values }] })),
    );
    return all.flat().filter(({ imageId }) => imageIds.includes(imageId));
  },

  async create({ source, imageId, description, token }) {
    const doing = `create a version of launch template ${source.templateName} (ec2:CreateLaunchTemplateVersion)`;
    const created = await ec2
      .send(
        new CreateLaunchTemplateVersionCommand({
          LaunchTemplateId: source.templateId,
          SourceVersion: String(source.number),
          VersionDescription: description.slice(0, 255),
          LaunchTemplateData: { ImageId: imageId },
          ClientToken: token,
        }),
      )
      .catch(orFull(source.templateName))
      .catch(asExpected(doing));
    const warnings = (created.Warning?.Errors ?? []).map(({ Code = '', Message = '' }) => `${Code}: ${Message}`);
    return { version: fromEc2(created.LaunchTemplateVersion ?? {}), warnings };
  },

  async remove({ templateId, templateName, number }) {
    const doing = `remove version ${number} of launch template ${templateName} (ec2:DeleteLaunchTemplateVersions)`;
    const answer = await ec2
      .send(new DeleteLaunchTemplateVersionsCommand({ LaunchTemplateId: templateId, Versions: [String(number)] }))
      .catch(asExpected(doing));
    // HTTP 200 also when nothing was deleted: the body has the error.
    // https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteLaunchTemplateVersions.html
    const refused = answer.UnsuccessfullyDeletedLaunchTemplateVersions?.[0]?.ResponseError;
    if (refused !== undefined && refused.Code !== 'launchTemplateVersionDoesNotExist') {
      throw new RejectedError(`AWS refused to ${doing}: ${refused.Code}: ${refused.Message}`);
    }
  },
});

/** The parameter that the version names does not exist. The code is the one of a launch; AWS documents none for this call. */
function withoutParameter(failure: unknown): undefined {
  const message = failure instanceof Error ? failure.message : '';
  if (!isCode(failure, 'InvalidParameterValue', 'ParameterNotFound') || !/parameter.* (does not exist|not found)/i.test(message))
    throw failure;
}

/** Raw versions. Where versions are named AWS documents no page size; it pages by itself. */
export const listVersions = (ec2: EC2Client, query: DescribeLaunchTemplateVersionsRequest): Promise<LaunchTemplateVersion[]> =>
  allPages(async NextToken => {
    const MaxResults = query.Versions === undefined ? 200 : undefined;
    const page = await ec2
      .send(new DescribeLaunchTemplateVersionsCommand({ ...query, IncludeManagedResources: true, MaxResults, NextToken }))
      .catch(asExpected('describe launch template versions (ec2:DescribeLaunchTemplateVersions)'));
    return { items: always(page.LaunchTemplateVersions, 'LaunchTemplateVersions of DescribeLaunchTemplateVersions'), next: page.NextToken };
  });

/** Empty when the template or one of the versions does not exist. */
const versions = (ec2: EC2Client, query: DescribeLaunchTemplateVersionsRequest): Promise<TemplateVersion[]> =>
  listVersions(ec2, query).then(
    found => found.map(fromEc2),
    failure => {
      if (isCode(failure, 'InvalidLaunchTemplateId.NotFound', 'InvalidLaunchTemplateId.VersionNotFound')) return [];
      throw failure;
    },
  );

function fromEc2(version: LaunchTemplateVersion): TemplateVersion {
  const { ImageId = '', ...data } = version.LaunchTemplateData ?? {};
  return {
    templateId: version.LaunchTemplateId ?? '',
    templateName: version.LaunchTemplateName ?? '',
    number: version.VersionNumber ?? 0,
    imageId: ImageId,
    instanceType: data.InstanceType,
    content: canonical(asRequested(data)),
    snapshotIds: snapshotsOf(data.BlockDeviceMappings),
    isDefault: version.DefaultVersion ?? false,
    description: version.VersionDescription ?? '',
  };
}

/**
 * Without what would make a version differ from its source: it does not inherit the snapshots, and the state of its metadata options changes.
 * https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_LaunchTemplateInstanceMetadataOptions.html
 */
const asRequested = ({ MetadataOptions: metadata, ...data }: ResponseLaunchTemplateData) => ({
  ...withoutSnapshots(data),
  MetadataOptions: metadata === undefined ? undefined : { ...metadata, State: undefined },
});

interface Volume {
  readonly Ebs?: { readonly SnapshotId?: string | undefined } | undefined;
}

export const withoutSnapshots = <T extends { readonly BlockDeviceMappings?: readonly Volume[] | undefined }>(
  data: T,
  only?: ReadonlySet<string>,
) =>
  data.BlockDeviceMappings === undefined
    ? data
    : {
        ...data,
        BlockDeviceMappings: data.BlockDeviceMappings.map(volume =>
          volume.Ebs?.SnapshotId === undefined || only?.has(volume.Ebs.SnapshotId) === false
            ? volume
            : { ...volume, Ebs: { ...volume.Ebs, SnapshotId: undefined } },
        ),
      };

export const snapshotsOf = (volumes: readonly Volume[] = []): readonly string[] =>
  volumes.flatMap(({ Ebs }) => (Ebs?.SnapshotId === undefined ? [] : [Ebs.SnapshotId]));

/** The same text for the same content: keys and lists in order, empty values left out. */
export const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, inner: unknown) => {
    if (Array.isArray(inner)) return [...inner].sort((a, b) => (canonical(a) < canonical(b) ? -1 : 1));
    if (typeof inner !== 'object' || inner === null || inner instanceof Date) return inner;
    const present = Object.entries(inner).filter(([, part]) => part !== undefined && !(Array.isArray(part) && part.length === 0));
    return Object.fromEntries(present.sort(([a], [b]) => (a < b ? -1 : 1)));
  });

// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/launch-template-restrictions.html
const orFull =
  (name: string) =>
  (cause: unknown): never => {
    if (!/^(ResourceLimitExceeded|.*VersionLimitExceeded)$/.test(codeOf(cause))) throw cause;
    throw new RejectedError(`Launch template ${name} is full: the quota of 10,000 versions is used up.`, {
      cause,
      next: `Delete versions that nothing uses: aws ec2 delete-launch-template-versions --launch-template-name ${name} --versions ...`,
    });
  };
