import type { RequestLaunchTemplateData, ResponseLaunchTemplateData, ValidationError } from '@aws-sdk/client-ec2';
import type { Place } from '../place.ts';
import { imageFor } from './images.ts';

/** A reference to a parameter where an image ID may stand: `resolve:ssm:name`, `:name:version`, `:name:label`, or an ARN. */
export const isAlias = (imageId: string | undefined): boolean => imageId?.startsWith('resolve:ssm:') ?? false;

/** What a version that says only `given` holds: a request and a description of it differ only in their TypeScript names. */
export const storable = (given: RequestLaunchTemplateData): ResponseLaunchTemplateData =>
  structuredClone(given) as ResponseLaunchTemplateData;

/**
 * Field by field: what is given replaces what is inherited, whole fields, no merging inside them. Snapshots of inherited block device mappings
 * are dropped unless they are given again.
 * https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateLaunchTemplateVersion.html (SourceVersion)
 */
export function inherit(source: ResponseLaunchTemplateData, given: RequestLaunchTemplateData): ResponseLaunchTemplateData {
  const kept = structuredClone(source);
  for (const mapping of kept.BlockDeviceMappings ?? []) delete mapping.Ebs?.SnapshotId;
  const said = Object.fromEntries(Object.entries(storable(given)).filter(([, value]) => value !== undefined));
  return { ...kept, ...said };
}

/**
 * Parameters are not fully validated when a version is made; what is found comes back as a warning, with 200.
 * https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ValidationWarning.html
 */
export function doubts(place: Place, data: ResponseLaunchTemplateData): readonly ValidationError[] {
  const { ImageId } = data;
  if (ImageId === undefined || isAlias(ImageId) || imageFor(place, ImageId) !== undefined) return [];
  return [{ Code: 'InvalidAMIID.NotFound', Message: `The image id '[${ImageId}]' does not exist` }];
}
