import type { RequestLaunchTemplateData, ResponseLaunchTemplateData, ValidationError } from '@aws-sdk/client-ec2';
import type { Place } from '../place.ts';
import { imageFor } from './images.ts';

/** A reference to a parameter in place of an image ID: `resolve:ssm:name`, `:name:version`, `:name:label`, or an ARN. */
export const isAlias = (imageId: string | undefined): boolean => imageId?.startsWith('resolve:ssm:') ?? false;

/** The data of a version created from `given` alone. Request and description differ only in their TypeScript types. */
export const storable = (given: RequestLaunchTemplateData): ResponseLaunchTemplateData =>
  structuredClone(given) as ResponseLaunchTemplateData;

/**
 * Each given field replaces the inherited field as a whole. Snapshots of inherited block device mappings
 * are dropped unless the request repeats them.
 * https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateLaunchTemplateVersion.html (SourceVersion)
 */
export function inherit(source: ResponseLaunchTemplateData, given: RequestLaunchTemplateData): ResponseLaunchTemplateData {
  const kept = structuredClone(source);
  for (const mapping of kept.BlockDeviceMappings ?? []) delete mapping.Ebs?.SnapshotId;
  const present = Object.fromEntries(Object.entries(storable(given)).filter(([, value]) => value !== undefined));
  return { ...kept, ...present };
}

/**
 * Parameters are not fully validated when a version is created. Problems are returned as warnings, with 200.
 * https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ValidationWarning.html
 */
export function doubts(place: Place, data: ResponseLaunchTemplateData): readonly ValidationError[] {
  const { ImageId } = data;
  if (ImageId === undefined || isAlias(ImageId) || imageFor(place, ImageId) !== undefined) return [];
  return [{ Code: 'InvalidAMIID.NotFound', Message: `The image id '[${ImageId}]' does not exist` }];
}
