import { createHash } from 'node:crypto';
import type {
  GetParameterCommandInput,
  GetParameterCommandOutput,
  GetParametersCommandInput,
  GetParametersCommandOutput,
  Parameter,
} from '@aws-sdk/client-ssm';
import { AwsError, type Operation } from '../operation.ts';
import type { Place } from '../place.ts';
import { readReference } from './parameter-name.ts';
import { notFound, versionNotFound } from './parameter-refusals.ts';
import { type LabParameter, latest, type ParameterVersion, parameters } from './parameter-state.ts';
import { publicParameter } from './public-parameters.ts';
import { check, given, length } from './validation.ts';

/** Accounts see their own parameters and those that AWS publishes under /aws/service. */
const find = (place: Place, name: string): LabParameter | undefined =>
  name.startsWith('/aws/service/') ? publicParameter(place, name) : parameters(place).get(name);

interface Found {
  readonly parameter: LabParameter;
  readonly version: ParameterVersion;
  readonly selector: string | undefined;
}

/** The version to which a reference resolves now. https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html */
function look(place: Place, reference: string): Found {
  const { name, selector } = readReference(place, reference);
  const parameter = find(place, name);
  if (parameter === undefined) throw notFound(name);
  if (selector === undefined) return { parameter, version: latest(parameter), selector };
  const version = parameter.versions.find(one => String(one.version) === selector || one.labels.has(selector));
  if (version === undefined) throw versionNotFound(name, selector);
  return { parameter, version, selector: `:${selector}` };
}

/** https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html */
export const getParameter: Operation<GetParameterCommandInput, GetParameterCommandOutput> = ({ Name, WithDecryption }, { place }) => {
  check(given('name', Name), length('name', Name, 1, 2048));
  return { Parameter: shown(look(place, Name ?? ''), WithDecryption) };
};

/** Returns known parameters, lists the invalid names, and throws for neither. https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameters.html */
export const getParameters: Operation<GetParametersCommandInput, GetParametersCommandOutput> = ({ Names, WithDecryption }, { place }) => {
  check(given('names', Names), length('names', Names, 1, 10));
  const names = [...new Set(Names)].sort();
  const seen = names.map(name => [name, tryLook(place, name)] as const);
  return {
    Parameters: seen.flatMap(([, found]) => (found === undefined ? [] : [shown(found, WithDecryption)])),
    InvalidParameters: seen.filter(([, found]) => found === undefined).map(([name]) => name),
  };
};

const UNKNOWN = new Set(['ParameterNotFound', 'ParameterVersionNotFound']);

function tryLook(place: Place, reference: string): Found | undefined {
  try {
    return look(place, reference);
  } catch (cause) {
    if (cause instanceof AwsError && UNKNOWN.has(cause.code)) return undefined;
    throw cause;
  }
}

export function shown({ parameter, version, selector }: Found, decrypted: boolean | undefined): Parameter {
  return {
    Name: parameter.name,
    Type: version.type,
    Value: visible(version, decrypted),
    Version: version.version,
    LastModifiedDate: version.writtenAt,
    ARN: parameter.arn,
    DataType: version.dataType,
    ...(selector === undefined ? {} : { Selector: selector }),
  };
}

/** The lab stores secrets in plain text, but returns them encoded without `WithDecryption`. */
export const visible = ({ type, value }: ParameterVersion, decrypted: boolean | undefined): string =>
  type === 'SecureString' && decrypted !== true ? `AQICAH${createHash('sha512').update(value).digest('base64')}` : value;

export interface Resolved {
  readonly value: string;
  /** Auto Scaling accepts only `aws:ec2:image` parameters for `resolve:ssm:` of a launch template. */
  readonly dataType: string;
}

/**
 * The value to which `resolve:ssm:<reference>` of a launch template or RunInstances resolves now. Undefined when there is no such parameter, version
 * or label. https://docs.aws.amazon.com/autoscaling/ec2/userguide/using-systems-manager-parameters.html
 */
export function resolveParameter(place: Place, reference: string): Resolved | undefined {
  const found = tryLook(place, reference.replace(/^resolve:ssm:/, ''));
  return found && { value: found.version.value, dataType: found.version.dataType };
}
