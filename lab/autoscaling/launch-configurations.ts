import type {
  CreateLaunchConfigurationCommandInput,
  CreateLaunchConfigurationCommandOutput,
  DeleteLaunchConfigurationCommandInput,
  DeleteLaunchConfigurationCommandOutput,
  DescribeLaunchConfigurationsCommandInput,
  DescribeLaunchConfigurationsCommandOutput,
  LaunchConfiguration,
} from '@aws-sdk/client-auto-scaling';
import { AwsError, type Operation, type Operations } from '../operation.ts';
import { type Place, slice } from '../place.ts';
import { groups, invalid } from './group.ts';
import { arn, records } from './records.ts';

const configurations = slice(() => new Map<string, LaunchConfiguration>());

export function launchConfiguration(place: Place, name: string): LaunchConfiguration {
  const found = configurations(place).get(name);
  if (found === undefined) throw invalid(`Launch configuration name not found - Launch configuration ${name} not found`);
  return found;
}

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_CreateLaunchConfiguration.html */
const createLaunchConfiguration: Operation<CreateLaunchConfigurationCommandInput, CreateLaunchConfigurationCommandOutput> = (
  { InstanceId, ...input },
  { place },
) => {
  const { LaunchConfigurationName: name = '', ImageId, InstanceType } = input;
  if (InstanceId !== undefined) throw invalid('This lab makes launch configurations from values, not from instances.');
  if (ImageId === undefined || InstanceType === undefined)
    throw invalid('Valid requests must contain either the InstanceID parameter or both the ImageId and InstanceType parameters.');
  if (configurations(place).has(name)) {
    const message = `Launch Configuration by this name already exists - A launch configuration already exists with the name ${name}`;
    throw new AwsError('AlreadyExists', message);
  }
  // https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeLaunchConfigurations.html (Examples)
  const usual = { SecurityGroups: [], BlockDeviceMappings: [], InstanceMonitoring: { Enabled: true }, EbsOptimized: false };
  configurations(place).set(name, {
    ...usual,
    ...input,
    ...{ LaunchConfigurationName: name, ImageId, InstanceType },
    LaunchConfigurationARN: arn(place, 'launchConfiguration', `launchConfigurationName/${name}`),
    CreatedTime: place.core.clock.date(),
  });
  return {};
};

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeLaunchConfigurations.html */
const describeLaunchConfigurations: Operation<DescribeLaunchConfigurationsCommandInput, DescribeLaunchConfigurationsCommandOutput> = (
  input,
  { place },
) => {
  const { LaunchConfigurationNames: names = [] } = input;
  const found = [...configurations(place).values()].filter(
    ({ LaunchConfigurationName: name = '' }) => names.length === 0 || names.includes(name),
  );
  const { items, NextToken } = records(place, found, ({ LaunchConfigurationName: name = '' }) => name, input);
  return { LaunchConfigurations: [...items], NextToken };
};

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DeleteLaunchConfiguration.html */
const deleteLaunchConfiguration: Operation<DeleteLaunchConfigurationCommandInput, DeleteLaunchConfigurationCommandOutput> = (
  input,
  { place },
) => {
  const { LaunchConfigurationName: name = '' } = input;
  launchConfiguration(place, name);
  if ([...groups(place).values()].some(({ recipe }) => recipe.LaunchConfigurationName === name))
    throw new AwsError('ResourceInUse', `Cannot delete launch configuration ${name} because it is attached to an AutoScalingGroup`);
  configurations(place).delete(name);
  return {};
};

export const launchConfigurationOperations: Operations = {
  CreateLaunchConfiguration: createLaunchConfiguration,
  DeleteLaunchConfiguration: deleteLaunchConfiguration,
  DescribeLaunchConfigurations: describeLaunchConfigurations,
};
