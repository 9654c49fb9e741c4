import type {
  DeleteParameterCommandInput,
  DeleteParameterCommandOutput,
  DeleteParametersCommandInput,
  DeleteParametersCommandOutput,
  PutParameterCommandInput,
  PutParameterCommandOutput,
} from '@aws-sdk/client-ssm';
import { imageFor } from '../ec2/images.ts';
import type { Call, Operation } from '../operation.ts';
import type { Place } from '../place.ts';
import { nameToWrite } from './parameter-name.ts';
import { alreadyExists, notFound, oldestIsLabelled, stillChecking } from './parameter-refusals.ts';
import { refusePut } from './parameter-rules.ts';
import { type LabParameter, latest, type ParameterVersion, parameterArn, parameters, underCheck } from './parameter-state.ts';
import { check, given, length } from './validation.ts';

const KEPT = 100;

/** https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html */
export const putParameter: Operation<PutParameterCommandInput, PutParameterCommandOutput> = (input, call) => {
  const { place } = call;
  const name = nameToWrite(place, input.Name);
  const existing = parameters(place).get(name);
  refusePut(input, existing);
  if (existing !== undefined && input.Overwrite !== true) throw alreadyExists();
  if (underCheck(place).has(name)) throw stillChecking(name);
  refuseFullHistory(existing);
  const version = versionOf(input, existing, call);
  const tags = new Map((input.Tags ?? []).map(({ Key = '', Value = '' }) => [Key, Value]));
  if (version.dataType === 'aws:ec2:image') checkThenStore(place, name, version, tags);
  else store(place, name, version, tags);
  return { Version: version.version, Tier: version.tier };
};

/** The oldest version is deleted, unless it has a label. https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-versions.html */
function refuseFullHistory(existing: LabParameter | undefined): void {
  const oldest = existing?.versions[0];
  if (existing === undefined || oldest === undefined || existing.versions.length < KEPT) return;
  if (oldest.labels.size > 0) throw oldestIsLabelled(existing.name, oldest.version);
}

// An overwrite keeps the members that it does not set.
function versionOf(input: PutParameterCommandInput, existing: LabParameter | undefined, { arn, place }: Call): ParameterVersion {
  const before = existing && latest(existing);
  const type = input.Type ?? before?.type ?? 'String';
  return {
    version: (before?.version ?? 0) + 1,
    value: input.Value ?? '',
    type,
    dataType: input.DataType ?? before?.dataType ?? 'text',
    description: input.Description ?? before?.description,
    tier: input.Tier === 'Intelligent-Tiering' ? 'Standard' : (input.Tier ?? before?.tier ?? 'Standard'),
    keyId: input.KeyId ?? before?.keyId ?? (type === 'SecureString' ? 'alias/aws/ssm' : undefined),
    allowedPattern: input.AllowedPattern ?? before?.allowedPattern,
    writtenAt: place.core.clock.date(),
    writtenBy: arn,
    labels: new Set(),
  };
}

/**
 * The image is validated after the call has succeeded and returned a version number. If the image is not available in this
 * account and region, the parameter silently keeps its value.
 * https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-ec2-aliases.html
 */
function checkThenStore(place: Place, name: string, version: ParameterVersion, tags: ReadonlyMap<string, string>): void {
  underCheck(place).add(name);
  place.core.clock.after(place.core.timings.parameterCheck, () => {
    underCheck(place).delete(name);
    if (imageFor(place, version.value)?.state !== 'available') return;
    store(place, name, version, tags);
  });
}

function store(place: Place, name: string, version: ParameterVersion, tags: ReadonlyMap<string, string>): void {
  const known = parameters(place).get(name);
  if (known === undefined) {
    parameters(place).set(name, { name, arn: parameterArn(place, place.account, name), versions: [version], tags: new Map(tags) });
    return;
  }
  known.versions.push(version);
  if (known.versions.length > KEPT) known.versions.shift();
}

/** https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DeleteParameter.html */
export const deleteParameter: Operation<DeleteParameterCommandInput, DeleteParameterCommandOutput> = ({ Name }, { place }) => {
  check(given('name', Name), length('name', Name, 1, 2048));
  if (!parameters(place).delete((Name ?? '').trim())) throw notFound(Name ?? '');
  return {};
};

/** https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DeleteParameters.html */
export const deleteParameters: Operation<DeleteParametersCommandInput, DeleteParametersCommandOutput> = ({ Names }, { place }) => {
  check(given('names', Names), length('names', Names, 1, 10));
  const names = [...new Set(Names)];
  const deleted = names.filter(name => parameters(place).delete(name.trim()));
  return { DeletedParameters: deleted, InvalidParameters: names.filter(name => !deleted.includes(name)) };
};
