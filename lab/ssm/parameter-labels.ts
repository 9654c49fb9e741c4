import type {
  LabelParameterVersionCommandInput,
  LabelParameterVersionCommandOutput,
  UnlabelParameterVersionCommandInput,
  UnlabelParameterVersionCommandOutput,
} from '@aws-sdk/client-ssm';
import type { Operation } from '../operation.ts';
import type { Place } from '../place.ts';
import { notFound, tooManyLabels, versionNotFound } from './parameter-refusals.ts';
import { type LabParameter, latest, type ParameterVersion, parameters } from './parameter-state.ts';
import { check, given, length } from './validation.ts';

const MOST = 10;
const isLabel = (label: string): boolean => /^(?!aws|ssm)[a-z_.-][\w.-]*$/i.test(label);

/**
 * A label belongs to one version of a parameter; setting it on another moves it. Invalid labels are returned in a list, with 200.
 * https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_LabelParameterVersion.html
 */
export const labelParameterVersion: Operation<LabelParameterVersionCommandInput, LabelParameterVersionCommandOutput> = (
  input,
  { place },
) => {
  refuseLabels(input.Name, input.Labels);
  const parameter = known(place, input.Name);
  const version = input.ParameterVersion === undefined ? latest(parameter) : one(parameter, input.ParameterVersion);
  const wanted = [...new Set(input.Labels)];
  const labels = wanted.filter(isLabel);
  if (new Set([...version.labels, ...labels]).size > MOST) throw tooManyLabels();
  for (const label of labels) {
    for (const other of parameter.versions) other.labels.delete(label);
    version.labels.add(label);
  }
  return { InvalidLabels: wanted.filter(label => !isLabel(label)), ParameterVersion: version.version };
};

/** https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_UnlabelParameterVersion.html */
export const unlabelParameterVersion: Operation<UnlabelParameterVersionCommandInput, UnlabelParameterVersionCommandOutput> = (
  input,
  { place },
) => {
  refuseLabels(input.Name, input.Labels);
  check(given('parameterVersion', input.ParameterVersion));
  const parameter = known(place, input.Name);
  const version = one(parameter, input.ParameterVersion ?? 0);
  const wanted = [...new Set(input.Labels)];
  const removed = wanted.filter(label => version.labels.delete(label));
  return { RemovedLabels: removed, InvalidLabels: wanted.filter(label => !removed.includes(label)) };
};

const refuseLabels = (name: string | undefined, labels: readonly string[] | undefined): void =>
  check(
    given('name', name),
    length('name', name, 1, 2048),
    given('labels', labels),
    length('labels', labels, 1, MOST),
    ...(labels ?? []).map(label => length('labels', label, 1, 100)),
  );

function known(place: Place, name = ''): LabParameter {
  const parameter = parameters(place).get(name.trim());
  if (parameter === undefined) throw notFound(name);
  return parameter;
}

function one(parameter: LabParameter, number: number): ParameterVersion {
  const version = parameter.versions.find(candidate => candidate.version === number);
  if (version === undefined) throw versionNotFound(parameter.name, number);
  return version;
}
