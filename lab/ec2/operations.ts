import type { Operations } from '../operation.ts';
import { enableAllowedImagesSettings, getAllowedImagesSettings, replaceImageCriteria } from './allowed-images.ts';
import { copyImage } from './copy-image.ts';
import { createImage, registerImage } from './create-image.ts';
import { createSnapshot } from './create-snapshot.ts';
import { deregisterImage } from './deregister-image.ts';
import { describeImages } from './describe-images.ts';
import { describeInstanceStatus, describeInstances, getConsoleOutput } from './describe-instances.ts';
import { fleetOperations } from './fleets.ts';
import { describeImageAttribute, modifyImageAttribute, resetImageAttribute } from './image-attributes.ts';
import {
  disableImage,
  disableImageDeprecation,
  disableProtection,
  enableImage,
  enableImageDeprecation,
  enableProtection,
} from './image-lifecycle.ts';
import { describeImageReferences } from './image-references.ts';
import { createImageUsageReport, describeImageUsageReportEntries, describeImageUsageReports } from './image-usage.ts';
import { describeCredits, describeInstanceAttribute, modifyInstanceAttribute } from './instance-attributes.ts';
import { rebootInstances, startInstances, stopInstances, terminateInstances } from './instance-operations.ts';
import { describeInstanceTypeOfferings, describeInstanceTypes } from './instance-types.ts';
import { createKeyPair, deleteKeyPair, describeKeyPairs, importKeyPair } from './key-pairs.ts';
import { recycleBinOperations } from './recycle-bin.ts';
import { describeAvailabilityZones, describeRegions } from './regions.ts';
import { runInstances } from './run-instances.ts';
import { authorizeSecurityGroupIngress, createSecurityGroup, deleteSecurityGroup, describeSecurityGroups } from './security-groups.ts';
import { deleteSnapshot, describeSnapshotAttribute, describeSnapshots, modifySnapshotAttribute } from './snapshots.ts';
import { createTags, deleteTags, describeTags } from './tags.ts';
import { attachVolume, deleteVolume, describeVolumes, detachVolume } from './volumes.ts';
import { describeSubnets, describeVpcs } from './vpcs.ts';

/** All EC2 operations except those on launch templates. */
export const ec2Operations: Operations = {
  ...fleetOperations,
  ...recycleBinOperations,
  DescribeRegions: describeRegions,
  DescribeAvailabilityZones: describeAvailabilityZones,
  DescribeVpcs: describeVpcs,
  DescribeSubnets: describeSubnets,
  DescribeInstanceTypes: describeInstanceTypes,
  DescribeInstanceTypeOfferings: describeInstanceTypeOfferings,
  CreateSecurityGroup: createSecurityGroup,
  AuthorizeSecurityGroupIngress: authorizeSecurityGroupIngress,
  DescribeSecurityGroups: describeSecurityGroups,
  DeleteSecurityGroup: deleteSecurityGroup,
  CreateKeyPair: createKeyPair,
  ImportKeyPair: importKeyPair,
  DescribeKeyPairs: describeKeyPairs,
  DeleteKeyPair: deleteKeyPair,
  RunInstances: runInstances,
  DescribeInstances: describeInstances,
  DescribeInstanceStatus: describeInstanceStatus,
  StartInstances: startInstances,
  StopInstances: stopInstances,
  RebootInstances: rebootInstances,
  TerminateInstances: terminateInstances,
  ModifyInstanceAttribute: modifyInstanceAttribute,
  DescribeInstanceAttribute: describeInstanceAttribute,
  DescribeInstanceCreditSpecifications: describeCredits,
  GetConsoleOutput: getConsoleOutput,
  CreateTags: createTags,
  DeleteTags: deleteTags,
  DescribeTags: describeTags,
  CreateImage: createImage,
  RegisterImage: registerImage,
  CopyImage: copyImage,
  DescribeImages: describeImages,
  DescribeImageAttribute: describeImageAttribute,
  GetAllowedImagesSettings: getAllowedImagesSettings,
  EnableAllowedImagesSettings: enableAllowedImagesSettings,
  ReplaceImageCriteriaInAllowedImagesSettings: replaceImageCriteria,
  ModifyImageAttribute: modifyImageAttribute,
  ResetImageAttribute: resetImageAttribute,
  EnableImageDeprecation: enableImageDeprecation,
  DisableImageDeprecation: disableImageDeprecation,
  EnableImage: enableImage,
  DisableImage: disableImage,
  EnableImageDeregistrationProtection: enableProtection,
  DisableImageDeregistrationProtection: disableProtection,
  DeregisterImage: deregisterImage,
  DescribeSnapshots: describeSnapshots,
  DescribeSnapshotAttribute: describeSnapshotAttribute,
  ModifySnapshotAttribute: modifySnapshotAttribute,
  CreateSnapshot: createSnapshot,
  DeleteSnapshot: deleteSnapshot,
  DescribeVolumes: describeVolumes,
  AttachVolume: attachVolume,
  DetachVolume: detachVolume,
  DeleteVolume: deleteVolume,
  DescribeImageReferences: describeImageReferences,
  CreateImageUsageReport: createImageUsageReport,
  DescribeImageUsageReports: describeImageUsageReports,
  DescribeImageUsageReportEntries: describeImageUsageReportEntries,
};
