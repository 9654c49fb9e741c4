import type {
  CreateLaunchTemplateCommandInput,
  CreateLaunchTemplateCommandOutput,
  DeleteLaunchTemplateCommandInput,
  DeleteLaunchTemplateCommandOutput,
  DescribeLaunchTemplatesCommandInput,
  DescribeLaunchTemplatesCommandOutput,
  Filter,
  LaunchTemplate,
  ModifyLaunchTemplateCommandInput,
  ModifyLaunchTemplateCommandOutput,
} from '@aws-sdk/client-ec2';
import { newId } from '../ids.ts';
import { AwsError, type Operation, type Operations } from '../operation.ts';
import type { Place } from '../place.ts';
import { page } from '../ssm/pages.ts';
import { storable } from './launch-template-data.ts';
import { type LabTemplate, latestVersion, onceByToken, templateLimits, templateOf, templates, versionOf } from './launch-template-state.ts';
import { addVersion, createVersion, deleteVersions, describeVersions, warning } from './launch-template-versions.ts';
import { dropTags, setTags, tagsOf } from './state.ts';

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateLaunchTemplate.html */
const createLaunchTemplate: Operation<CreateLaunchTemplateCommandInput, CreateLaunchTemplateCommandOutput> = (input, call) =>
  onceByToken(call.place, 'CreateLaunchTemplate', input, () => {
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
    for (const { ResourceType, Tags } of input.TagSpecifications ?? [])
      if (ResourceType === 'launch-template')
        setTags(place, template.id, Object.fromEntries((Tags ?? []).map(({ Key, Value }) => [Key, Value ?? ''])));
    return { LaunchTemplate: described(place, template), Warning: warning(place, first) };
  });

const described = (place: Place, template: LabTemplate): LaunchTemplate => ({
  LaunchTemplateId: template.id,
  LaunchTemplateName: template.name,
  CreateTime: template.createdAt,
  CreatedBy: template.createdBy,
  DefaultVersionNumber: template.defaultVersion,
  LatestVersionNumber: latestVersion(template),
  Tags: Object.entries(tagsOf(place, template.id)).map(([Key, Value]) => ({ Key, Value })),
});

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeLaunchTemplates.html */
const describeLaunchTemplates: Operation<DescribeLaunchTemplatesCommandInput, DescribeLaunchTemplatesCommandOutput> = (
  input,
  { place },
) => {
  const byId = (input.LaunchTemplateIds ?? []).map(LaunchTemplateId => templateOf(place, { LaunchTemplateId }));
  const byName = (input.LaunchTemplateNames ?? []).map(LaunchTemplateName => templateOf(place, { LaunchTemplateName }));
  const named = [...new Set([...byId, ...byName])];
  const found = (named.length > 0 ? named : [...templates(place).values()])
    .filter(template => (input.Filters ?? []).every(filter => fits(place, template, filter)))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
  const { items, NextToken } = page(found, ({ id }) => id, input, templateLimits(place).pageSize);
  return { LaunchTemplates: items.map(template => described(place, template)), NextToken };
};

function fits(place: Place, template: LabTemplate, { Name = '', Values = [] }: Filter): boolean {
  const tags = tagsOf(place, template.id);
  if (Name === 'launch-template-name') return Values.includes(template.name);
  if (Name === 'tag-key') return Values.some(key => key in tags);
  if (Name.startsWith('tag:')) return Values.includes(tags[Name.slice(4)] ?? '\0');
  throw new AwsError('InvalidParameterValue', `The filter '${Name}' is invalid`);
}

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyLaunchTemplate.html */
const modifyLaunchTemplate: Operation<ModifyLaunchTemplateCommandInput, ModifyLaunchTemplateCommandOutput> = (input, { place }) =>
  onceByToken(place, 'ModifyLaunchTemplate', input, () => {
    const template = templateOf(place, input);
    if (input.DefaultVersion !== undefined) template.defaultVersion = versionOf(template, input.DefaultVersion).number;
    return { LaunchTemplate: described(place, template) };
  });

/** Also one that groups use: their next launch fails. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/delete-launch-template.html */
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
