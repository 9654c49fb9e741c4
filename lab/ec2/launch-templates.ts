import type {
  CreateLaunchTemplateCommandInput,
  CreateLaunchTemplateCommandOutput,
  DeleteLaunchTemplateCommandInput,
  DeleteLaunchTemplateCommandOutput,
  DescribeLaunchTemplatesCommandInput,
  DescribeLaunchTemplatesCommandOutput,
  LaunchTemplate,
  ModifyLaunchTemplateCommandInput,
  ModifyLaunchTemplateCommandOutput,
} from '@aws-sdk/client-ec2';
import { newId } from '../ids.ts';
import { AwsError, type Operation, type Operations } from '../operation.ts';
import type { Place } from '../place.ts';
import { once } from './client-tokens.ts';
import { type Fields, select, tagList, tagsFor } from './filters.ts';
import { storable } from './launch-template-data.ts';
import { type LabTemplate, latestVersion, templateLimits, templateOf, templates, versionOf } from './launch-template-state.ts';
import { addVersion, createVersion, deleteVersions, describeVersions, warning } from './launch-template-versions.ts';
import { checkPageSize, pageOf } from './paging.ts';
import { dropTags, setTags, tagsOf } from './state.ts';

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateLaunchTemplate.html */
const createLaunchTemplate: Operation<CreateLaunchTemplateCommandInput, CreateLaunchTemplateCommandOutput> = (input, call) =>
  once(call.place, 'CreateLaunchTemplate', input.ClientToken, input, () => {
    const { place } = call;
    const name = input.LaunchTemplateName ?? '';
    if (!/^[\w().\-/]{3,128}$/.test(name))
      throw new AwsError('InvalidLaunchTemplateName.MalformedException', `Invalid launch template name: '${name}'`);
    if ([...templates(place).values()].some(template => template.name === name))
      throw new AwsError('InvalidLaunchTemplateName.AlreadyExistsException', 'Launch template name already in use.');
    if (templates(place).size >= templateLimits(place).templates)
      throw new AwsError('ResourceLimitExceeded', `You have reached the limit of ${templateLimits(place).templates} launch templates.`);
    const at = { createdAt: place.core.clock.date(), createdBy: call.arn };
    const template: LabTemplate = { id: newId('lt'), name, ...at, defaultVersion: 1, lastNumber: 0, versions: new Map() };
    const first = addVersion(call, template, storable(input.LaunchTemplateData ?? {}), input.VersionDescription);
    templates(place).set(template.id, template);
    setTags(place, template.id, tagsFor(input.TagSpecifications, 'launch-template'));
    return { LaunchTemplate: described(place, template), Warning: warning(place, first) };
  });

const described = (place: Place, template: LabTemplate): LaunchTemplate => ({
  LaunchTemplateId: template.id,
  LaunchTemplateName: template.name,
  CreateTime: template.createdAt,
  CreatedBy: template.createdBy,
  DefaultVersionNumber: template.defaultVersion,
  LatestVersionNumber: latestVersion(template),
  Tags: tagList(tagsOf(place, template.id)),
});

const FIELDS: Fields<LabTemplate> = {
  'create-time': ({ createdAt }) => createdAt.toISOString(),
  'launch-template-name': ({ name }) => name,
};

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeLaunchTemplates.html */
const describeLaunchTemplates: Operation<DescribeLaunchTemplatesCommandInput, DescribeLaunchTemplatesCommandOutput> = (
  input,
  { place },
) => {
  checkPageSize(input, 1, 200);
  const byId = (input.LaunchTemplateIds ?? []).map(LaunchTemplateId => templateOf(place, { LaunchTemplateId }));
  const byName = (input.LaunchTemplateNames ?? []).map(LaunchTemplateName => templateOf(place, { LaunchTemplateName }));
  const named = [...new Set([...byId, ...byName])];
  const all = named.length > 0 ? named : [...templates(place).values()];
  const found = select(all, input.Filters, FIELDS, ({ id }) => tagsOf(place, id));
  const { page, NextToken } = pageOf(place, found, ({ id }) => id, { MaxResults: 200, ...input });
  return { LaunchTemplates: page.map(template => described(place, template)), NextToken };
};

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyLaunchTemplate.html */
const modifyLaunchTemplate: Operation<ModifyLaunchTemplateCommandInput, ModifyLaunchTemplateCommandOutput> = (input, { place }) =>
  once(place, 'ModifyLaunchTemplate', input.ClientToken, input, () => {
    const template = templateOf(place, input);
    if (input.DefaultVersion !== undefined) template.defaultVersion = versionOf(template, input.DefaultVersion).number;
    return { LaunchTemplate: described(place, template) };
  });

/** A template that groups use can be deleted too; their next launch fails. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/delete-launch-template.html */
const deleteLaunchTemplate: Operation<DeleteLaunchTemplateCommandInput, DeleteLaunchTemplateCommandOutput> = (input, { place }) => {
  const template = templateOf(place, input);
  const LaunchTemplate = described(place, template);
  templates(place).delete(template.id);
  dropTags(place, template.id, 'all');
  return { LaunchTemplate };
};

export const launchTemplateOperations: Operations = {
  CreateLaunchTemplate: createLaunchTemplate,
  CreateLaunchTemplateVersion: createVersion,
  DeleteLaunchTemplate: deleteLaunchTemplate,
  DeleteLaunchTemplateVersions: deleteVersions,
  DescribeLaunchTemplates: describeLaunchTemplates,
  DescribeLaunchTemplateVersions: describeVersions,
  ModifyLaunchTemplate: modifyLaunchTemplate,
};
