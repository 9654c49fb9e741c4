import type { ResponseLaunchTemplateData, ValidationError } from '@aws-sdk/client-ec2';
import { AwsError } from '../operation.ts';
import { type Place, slice } from '../place.ts';

export interface LabTemplate {
  readonly id: string;
  readonly name: string;
  readonly createdAt: Date;
  readonly createdBy: string;
  defaultVersion: number;
  /** The highest number so far. Numbers are not reused after a deletion. */
  lastNumber: number;
  readonly versions: Map<number, LabTemplateVersion>;
}

export interface LabTemplateVersion {
  readonly number: number;
  readonly description: string | undefined;
  readonly createdAt: Date;
  readonly createdBy: string;
  readonly data: ResponseLaunchTemplateData;
}

/** The number to which `$Latest` resolves now. */
export const latestVersion = ({ versions }: LabTemplate): number => Math.max(...versions.keys());

/** By ID. */
export const templates = slice(() => new Map<string, LabTemplate>());

/** Quotas. Tests lower them. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/launch-template-restrictions.html */
export const templateLimits = slice(() => ({ templates: 5000, versions: 10_000 }));

/** Warnings of the next CreateLaunchTemplate or CreateLaunchTemplateVersion. For tests. */
export const nextDoubts = slice((): ValidationError[] => []);

export interface TemplateNamed {
  readonly LaunchTemplateId?: string | undefined;
  readonly LaunchTemplateName?: string | undefined;
}

/** Codes: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html */
export function templateOf(place: Place, { LaunchTemplateId: id, LaunchTemplateName: name }: TemplateNamed): LabTemplate {
  if ((id === undefined) === (name === undefined))
    throw new AwsError('MissingParameter', 'Either the launch template ID or the launch template name must be specified, but not both.');
  return id === undefined ? templateByName(place, name ?? '') : templateById(place, id);
}

function templateById(place: Place, id: string): LabTemplate {
  if (!/^lt-[0-9a-f]{8,17}$/.test(id)) throw new AwsError('InvalidLaunchTemplateId.Malformed', `Invalid id: "${id}" (expecting "lt-...")`);
  const found = templates(place).get(id);
  if (found !== undefined) return found;
  throw new AwsError('InvalidLaunchTemplateId.NotFound', `The specified launch template, with template ID ${id}, does not exist.`);
}

function templateByName(place: Place, name: string): LabTemplate {
  const found = [...templates(place).values()].find(template => template.name === name);
  if (found !== undefined) return found;
  throw new AwsError(
    'InvalidLaunchTemplateName.NotFoundException',
    `The specified launch template, with template name ${name}, does not exist.`,
  );
}

/** A number, `$Latest` or `$Default`. */
export function versionOf(template: LabTemplate, wanted: string | undefined): LabTemplateVersion {
  const number = wanted === '$Latest' ? latestVersion(template) : wanted === '$Default' ? template.defaultVersion : Number(wanted);
  if (!Number.isInteger(number) || number < 1) throw new AwsError('InvalidParameterValue', `Invalid launch template version: ${wanted}`);
  const found = template.versions.get(number);
  if (found !== undefined) return found;
  const message = `Could not find the specified version ${wanted} for the launch template with ID ${template.id}.`;
  throw new AwsError('InvalidLaunchTemplateId.VersionNotFound', message);
}
