import type {
  DescribeParametersCommandInput,
  DescribeParametersCommandOutput,
  GetParameterHistoryCommandInput,
  GetParameterHistoryCommandOutput,
  GetParametersByPathCommandInput,
  GetParametersByPathCommandOutput,
  ParameterStringFilter,
} from '@aws-sdk/client-ssm';
import type { Operation } from '../operation.ts';
import { ordinal, page } from './pages.ts';
import { DESCRIBE_KEYS, fits, PATH_KEYS, refuseFilters } from './parameter-filters.ts';
import { readReference } from './parameter-name.ts';
import { shown, visible } from './parameter-read.ts';
import { notFound } from './parameter-refusals.ts';
import { byName, type LabParameter, latest, type ParameterVersion, parameters } from './parameter-state.ts';
import { publicParameters } from './public-parameters.ts';
import { check, given, invalid, length, within } from './validation.ts';

/**
 * A page is cut before it is filtered, so it may be short or empty and still have a next one: "The number of items returned, however, can be
 * between zero and the value of MaxResults." https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DescribeParameters.html
 */
export const describeParameters: Operation<DescribeParametersCommandInput, DescribeParametersCommandOutput> = (input, { place }) => {
  check(within('maxResults', input.MaxResults, 1, 50));
  const old = (input.Filters ?? []).map(({ Key, Values }): ParameterStringFilter => ({ Key, Option: oldOption(Key), Values }));
  if (old.length > 0 && (input.ParameterFilters ?? []).length > 0) throw invalid("You can't use Filters and ParameterFilters together.");
  const filters = [...old, ...(input.ParameterFilters ?? [])];
  refuseFilters(filters, DESCRIBE_KEYS);
  const all = [...parameters(place).values()].sort(byName);
  const { items, NextToken } = page(all, ({ name }) => name, input, 10);
  return { Parameters: items.filter(parameter => fits(parameter, filters)).map(described), NextToken };
};

const oldOption = (key: string | undefined): string => (key === 'Name' ? 'BeginsWith' : 'Equals');

const described = (parameter: LabParameter) => ({ Name: parameter.name, ARN: parameter.arn, ...metadata(latest(parameter)) });

const metadata = (version: ParameterVersion) => ({
  Type: version.type,
  LastModifiedDate: version.writtenAt,
  LastModifiedUser: version.writtenBy,
  Version: version.version,
  Tier: version.tier,
  Policies: [],
  DataType: version.dataType,
  ...(version.keyId === undefined ? {} : { KeyId: version.keyId }),
  ...(version.description === undefined ? {} : { Description: version.description }),
  ...(version.allowedPattern === undefined ? {} : { AllowedPattern: version.allowedPattern }),
});

/** https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParametersByPath.html */
export const getParametersByPath: Operation<GetParametersByPathCommandInput, GetParametersByPathCommandOutput> = (input, { place }) => {
  check(given('path', input.Path), length('path', input.Path, 1, 2048), within('maxResults', input.MaxResults, 1, 10));
  const filters = input.ParameterFilters ?? [];
  refuseFilters(filters, PATH_KEYS);
  const path = (input.Path ?? '').trim();
  if (!path.startsWith('/'))
    throw invalid('The parameter doesn\'t meet the parameter name requirements. The parameter name must begin with a forward slash "/".');
  const from = path.replace(/\/*$/, '/');
  const known = from.startsWith('/aws/') ? publicParameters(place) : [...parameters(place).values()];
  const below = known.filter(({ name }) => name.startsWith(from) && (input.Recursive === true || !name.slice(from.length).includes('/')));
  const { items, NextToken } = page([...below].sort(byName), ({ name }) => name, input, 10);
  const label = filters.find(({ Key }) => Key === 'Label');
  const chosen = items.filter(parameter => fits(parameter, filters)).flatMap(parameter => labelled(parameter, label));
  return { Parameters: chosen.map(found => shown(found, input.WithDecryption)), NextToken };
};

/** With a filter for labels, the versions with such a label; otherwise the newest version. */
function labelled(parameter: LabParameter, label: ParameterStringFilter | undefined) {
  const versions =
    label === undefined
      ? [latest(parameter)]
      : parameter.versions.filter(({ labels }) => (label.Values ?? []).some(one => labels.has(one)));
  return versions.map(version => ({ parameter, version, selector: undefined }));
}

/** Oldest first, so the first page does not contain the current version. https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameterHistory.html */
export const getParameterHistory: Operation<GetParameterHistoryCommandInput, GetParameterHistoryCommandOutput> = (input, { place }) => {
  check(given('name', input.Name), length('name', input.Name, 1, 2048), within('maxResults', input.MaxResults, 1, 50));
  const { name } = readReference(place, input.Name ?? '');
  const parameter = parameters(place).get(name);
  if (parameter === undefined) throw notFound(name);
  const { items, NextToken } = page(parameter.versions, ({ version }) => ordinal(version), input, 50);
  const Parameters = items.map(version => ({
    Name: name,
    Value: visible(version, input.WithDecryption),
    Labels: [...version.labels],
    ...metadata(version),
  }));
  return { Parameters, NextToken };
};
