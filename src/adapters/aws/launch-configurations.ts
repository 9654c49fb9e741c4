import {
  type AutoScalingClient,
  type LaunchConfiguration as AwsConfiguration,
  CreateLaunchConfigurationCommand,
  type CreateLaunchConfigurationCommandInput,
  DeleteLaunchConfigurationCommand,
  DescribeLaunchConfigurationsCommand,
} from '@aws-sdk/client-auto-scaling';
import {
  CreateLaunchTemplateCommand,
  DeleteLaunchTemplateCommand,
  DescribeLaunchTemplatesCommand,
  type EC2Client,
} from '@aws-sdk/client-ec2';
import type { LaunchConfiguration } from '../../model/launch-configuration.ts';
import type { LaunchConfigurations } from '../../ports/groups.ts';
import { asExpected, isCode, undefinedOn } from './errors.ts';
import { canonical, ec2LaunchTemplates, snapshotsOf, withoutSnapshots } from './launch-templates.ts';
import { listed } from './pages.ts';
import { orBusy, quotaOf } from './refreshes.ts';

export const launchConfigurations = (client: AutoScalingClient, ec2: EC2Client): LaunchConfigurations => ({
  ...convertedTemplates(ec2),

  async get(name) {
    const page = await client
      .send(new DescribeLaunchConfigurationsCommand({ LaunchConfigurationNames: [name] }))
      .catch(orBusy('describe launch configurations (autoscaling:DescribeLaunchConfigurations)'));
    return listed(page.LaunchConfigurations).map(fromAws)[0];
  },

  async copy({ from, as, imageId, without }) {
    const input = { ...withoutSnapshots(from.settings, without), LaunchConfigurationName: as, ImageId: imageId };
    await client
      .send(new CreateLaunchConfigurationCommand(input as CreateLaunchConfigurationCommandInput))
      .catch(undefinedOn('AlreadyExists', 'AlreadyExistsFault'))
      .catch(quotaOf(`create launch configuration ${as}`))
      .catch(orBusy(`create launch configuration ${as} (autoscaling:CreateLaunchConfiguration)`));
  },

  async remove(name) {
    await client
      .send(new DeleteLaunchConfigurationCommand({ LaunchConfigurationName: name }))
      .catch(unlessGone)
      .catch(undefinedOn('ResourceInUse', 'ResourceInUseFault'))
      .catch(orBusy(`delete launch configuration ${name} (autoscaling:DeleteLaunchConfiguration)`));
  },
});

const convertedTemplates = (ec2: EC2Client): Pick<LaunchConfigurations, 'template' | 'createTemplate' | 'removeTemplate'> => ({
  async template(name) {
    const answer = await ec2
      .send(new DescribeLaunchTemplatesCommand({ LaunchTemplateNames: [name] }))
      .catch(undefinedOn('InvalidLaunchTemplateName.NotFoundException'))
      .catch(asExpected('describe launch templates (ec2:DescribeLaunchTemplates)'));
    const [found] = listed(answer === undefined ? [] : answer.LaunchTemplates);
    if (found === undefined) return undefined;
    const { LaunchTemplateId: templateId = '', Tags = [] } = found;
    const first = await ec2LaunchTemplates(ec2).version({ templateId, version: '1' });
    return { templateId, first, tags: Object.fromEntries(Tags.map(({ Key = '', Value = '' }) => [Key, Value])) };
  },

  async createTemplate({ name, data, tags, description }) {
    const Tags = Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));
    const created = await ec2
      .send(
        new CreateLaunchTemplateCommand({
          ...{ LaunchTemplateName: name, LaunchTemplateData: data, VersionDescription: description.slice(0, 255) },
          TagSpecifications: [{ ResourceType: 'launch-template', Tags }],
        }),
      )
      .catch(undefinedOn('InvalidLaunchTemplateName.AlreadyExistsException'))
      .catch(asExpected(`create launch template ${name} (ec2:CreateLaunchTemplate)`));
    return (created?.Warning?.Errors ?? []).map(({ Code = '', Message = '' }) => `${Code}: ${Message}`);
  },

  async removeTemplate(templateId) {
    await ec2
      .send(new DeleteLaunchTemplateCommand({ LaunchTemplateId: templateId }))
      .catch(undefinedOn('InvalidLaunchTemplateId.NotFound'))
      .catch(asExpected(`delete launch template ${templateId} (ec2:DeleteLaunchTemplate)`));
  },
});

const isEmpty = (value: unknown): boolean => value === undefined || value === '' || (Array.isArray(value) && value.length === 0);

function fromAws({
  LaunchConfigurationName,
  ImageId,
  LaunchConfigurationARN: _,
  CreatedTime: __,
  ...all
}: AwsConfiguration): LaunchConfiguration {
  const settings = Object.fromEntries(Object.entries(all).filter(([, value]) => !isEmpty(value)));
  return {
    ...{ name: LaunchConfigurationName ?? '', imageId: ImageId ?? '', instanceType: all.InstanceType, settings },
    content: canonical(withoutSnapshots(settings)),
    snapshotIds: snapshotsOf(all.BlockDeviceMappings),
  };
}

/** A repeated call whose first answer was lost. */
function unlessGone(cause: unknown): void {
  const isGone = isCode(cause, 'ValidationError') && cause instanceof Error && /not found/i.test(cause.message);
  if (!isGone) throw cause;
}
