import type { TemplateUse } from './group.ts';

/** A managed node group of EKS, as AWS shows it. https://docs.aws.amazon.com/eks/latest/APIReference/API_Nodegroup.html */
export interface NodeGroup {
  readonly status: string;
  /** Undefined: it was created without a launch template, and EKS cannot add one. */
  readonly template: TemplateUse | undefined;
  /** Its Auto Scaling groups. */
  readonly groups: readonly string[];
  readonly min: number;
  readonly max: number;
  readonly desired: number;
  /** How many nodes an update replaces at once. */
  readonly atOnce: number;
  readonly subnets: number;
  readonly issues: readonly string[];
}

/** `cluster/nodegroup` */
export interface NodeGroupName {
  readonly cluster: string;
  readonly name: string;
}

/** https://docs.aws.amazon.com/eks/latest/APIReference/API_Update.html */
export interface NodeUpdate {
  readonly id: string;
  readonly status: 'InProgress' | 'Failed' | 'Cancelled' | 'Successful';
  /** The launch template version that it leads to. */
  readonly version: string | undefined;
  readonly errors: readonly string[];
}

export const formatNodeGroup = ({ cluster, name }: NodeGroupName): string => `${cluster}/${name}`;

export function parseNodeGroup(text: string): NodeGroupName {
  const [cluster = '', name = ''] = text.split('/');
  return { cluster, name };
}
