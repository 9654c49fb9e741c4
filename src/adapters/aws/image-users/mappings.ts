interface Mapping {
  readonly Ebs?: { readonly SnapshotId?: string | undefined } | undefined;
}

/** Snapshots that volumes are made from at launch, beside those of the image. */
export const snapshotsIn = ({ BlockDeviceMappings = [] }: { readonly BlockDeviceMappings?: readonly Mapping[] | undefined }): string[] =>
  BlockDeviceMappings.flatMap(({ Ebs }) => Ebs?.SnapshotId ?? []);
