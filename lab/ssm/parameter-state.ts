import type { ParameterTier, ParameterType } from '@aws-sdk/client-ssm';
import { type Place, slice } from '../place.ts';

export interface ParameterVersion {
  readonly version: number;
  readonly value: string;
  readonly type: ParameterType;
  readonly dataType: string;
  readonly description: string | undefined;
  readonly tier: ParameterTier;
  readonly keyId: string | undefined;
  readonly allowedPattern: string | undefined;
  readonly writtenAt: Date;
  /** ARN of the user who wrote it. */
  readonly writtenBy: string;
  readonly labels: Set<string>;
}

export interface LabParameter {
  readonly name: string;
  readonly arn: string;
  /** Oldest first, never empty, at most 100. */
  readonly versions: ParameterVersion[];
  readonly tags: Map<string, string>;
}

/** By name. */
export const parameters = slice(() => new Map<string, LabParameter>());

/** Names whose `aws:ec2:image` value is being checked. */
export const underCheck = slice(() => new Set<string>());

export function latest(parameter: LabParameter): ParameterVersion {
  const version = parameter.versions.at(-1);
  if (version === undefined) throw new Error(`${parameter.name} has no version`);
  return version;
}

/** `/a/b` and `a` both follow `parameter` by one slash. https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html#awssystemsmanager-resources-for-iam-policies */
export const parameterArn = ({ region }: Place, account: string, name: string): string =>
  `arn:aws:ssm:${region}:${account}:parameter/${name.replace(/^\//, '')}`;

export const byName = (a: { name: string }, b: { name: string }): number => (a.name < b.name ? -1 : 1);
