import type { LaunchTemplateSpecification, ResponseLaunchTemplateData } from '@aws-sdk/client-ec2';
import { AwsError } from '../operation.ts';
import type { Place } from '../place.ts';
import { resolveParameter } from '../ssm/parameter-read.ts';
import { isAlias } from './launch-template-data.ts';
import { templateOf, versionOf } from './launch-template-state.ts';

export interface ResolvedTemplate {
  readonly id: string;
  readonly name: string;
  /** The number to which `$Latest` and `$Default` resolve now. */
  readonly version: number;
  /** Unresolved: `ImageId` may be a reference to a parameter. */
  readonly data: ResponseLaunchTemplateData;
}

/**
 * The template data that a launch uses. Without a version it is the default version.
 * https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_LaunchTemplateSpecification.html
 */
export function resolveTemplate(place: Place, wanted: LaunchTemplateSpecification): ResolvedTemplate {
  const template = templateOf(place, wanted);
  const { number, data } = versionOf(template, wanted.Version ?? '$Default');
  return { id: template.id, name: template.name, version: number, data };
}

/**
 * The AMI to which an `ImageId` of a template resolves now. `resolve:ssm:` is resolved at every launch, not when the version is created.
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/create-launch-template.html#use-an-ssm-parameter-instead-of-an-ami-id
 */
export function resolvedImage(place: Place, imageId: string | undefined): string | undefined {
  if (imageId === undefined || !isAlias(imageId)) return imageId;
  const found = resolveParameter(place, imageId);
  if (found !== undefined) return found.value;
  throw new AwsError('InvalidParameterValue', `Invalid value '${imageId}' for imageId. The Systems Manager parameter does not exist.`);
}
