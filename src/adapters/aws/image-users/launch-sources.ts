import type { MixedInstancesPolicy } from '@aws-sdk/client-auto-scaling';
import type { LaunchSource } from '../../../model/image-users.ts';

/** What a launch specification names: snapshots, templates, images. */

interface Mapping {
  readonly Ebs?: { readonly SnapshotId?: string | undefined } | undefined;
}

/** Snapshots that volumes are created from at launch, in addition to those of the image. */
export const snapshotsIn = ({ BlockDeviceMappings = [] }: { readonly BlockDeviceMappings?: readonly Mapping[] | undefined }): string[] =>
  BlockDeviceMappings.flatMap(({ Ebs }) => Ebs?.SnapshotId ?? []);

interface Template {
  readonly LaunchTemplateId?: string | undefined;
  readonly LaunchTemplateName?: string | undefined;
  readonly Version?: string | undefined;
}

export function ofTemplate(named: Template | undefined): LaunchSource[] {
  const template = named?.LaunchTemplateId ?? named?.LaunchTemplateName;
  return template === undefined ? [] : [{ template, version: named?.Version ?? '$Default' }];
}

export const ofPolicy = (policy: MixedInstancesPolicy | undefined): LaunchSource[] => [
  ...ofTemplate(policy?.LaunchTemplate?.LaunchTemplateSpecification),
  ...(policy?.LaunchTemplate?.Overrides ?? []).flatMap(override => [
    ...ofTemplate(override.LaunchTemplateSpecification),
    ...(override.ImageId === undefined ? [] : [{ imageId: override.ImageId }]),
  ]),
];
