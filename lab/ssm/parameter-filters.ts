import type { ParameterStringFilter } from '@aws-sdk/client-ssm';
import { AwsError } from '../operation.ts';
import { type LabParameter, latest } from './parameter-state.ts';
import { check, like } from './validation.ts';

/** Which keys which operation takes, with which options. https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_ParameterStringFilter.html */
export const DESCRIBE_KEYS = /^(tag:.+|Name|Type|KeyId|Path|Tier|DataType)$/;
export const PATH_KEYS = /^(Type|KeyId|Label)$/;
const ANY_KEY = /^(tag:.+|Name|Type|KeyId|Path|Label|Tier|DataType)$/;

const OPTIONS: Readonly<Record<string, readonly string[]>> = {
  Name: ['Equals', 'BeginsWith', 'Contains'],
  Path: ['Recursive', 'OneLevel'],
  Label: ['Equals'],
};

export function refuseFilters(filters: readonly ParameterStringFilter[], allowed: RegExp): void {
  check(...filters.map(({ Key }) => like('parameterFilters.member.key', Key, ANY_KEY)));
  for (const { Key = '', Option, Values } of filters) {
    if (!allowed.test(Key)) {
      throw new AwsError(
        'InvalidFilterKey',
        `The following filter key is not valid: ${Key}. Valid filter keys include: ${allowed.source}.`,
      );
    }
    const options = OPTIONS[Key] ?? ['Equals', 'BeginsWith'];
    if (Option !== undefined && !options.includes(Option)) {
      throw new AwsError(
        'InvalidFilterOption',
        `The following filter option is not valid: ${Option}. Valid options include: ${options.join(', ')}.`,
      );
    }
    if ((Values ?? []).length === 0 && !Key.startsWith('tag:')) {
      throw new AwsError('InvalidFilterValue', `The following filter values are missing : null for filter key ${Key}`);
    }
  }
}

/** Every filter must match with one of its values. */
export const fits = (parameter: LabParameter, filters: readonly ParameterStringFilter[]): boolean =>
  filters.every(filter => fitsOne(parameter, filter));

function fitsOne(parameter: LabParameter, { Key = '', Option, Values = [] }: ParameterStringFilter): boolean {
  if (Key === 'Label') return parameter.versions.some(({ labels }) => Values.some(value => labels.has(value)));
  if (Key === 'Path') return Values.some(value => isBelow(parameter.name, value, Option === 'Recursive'));
  const is = attribute(parameter, Key);
  if (is === undefined) return false;
  if (Key.startsWith('tag:') && Values.length === 0) return true;
  // A filter treats `a` and `/a` as the same name.
  const bare = (text: string) => (Key === 'Name' && Option !== 'Contains' ? text.replace(/^\//, '') : text);
  return Values.some(value => compare(bare(is), bare(value), Option ?? 'Equals'));
}

function attribute(parameter: LabParameter, key: string): string | undefined {
  const version = latest(parameter);
  if (key.startsWith('tag:')) return parameter.tags.get(key.slice('tag:'.length));
  const known: Readonly<Record<string, string | undefined>> = {
    Name: parameter.name,
    Type: version.type,
    KeyId: version.keyId,
    Tier: version.tier,
    DataType: version.dataType,
  };
  return known[key];
}

function compare(is: string, wanted: string, option: string): boolean {
  if (option === 'BeginsWith') return is.startsWith(wanted);
  return option === 'Contains' ? is.includes(wanted) : is === wanted;
}

function isBelow(name: string, path: string, recursive: boolean): boolean {
  const from = `/${path.replace(/^\/+|\/+$/g, '')}/`.replace('//', '/');
  const full = name.startsWith('/') ? name : `/${name}`;
  return full.startsWith(from) && (recursive || !full.slice(from.length).includes('/'));
}
