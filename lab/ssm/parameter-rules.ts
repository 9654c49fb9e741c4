import type { PutParameterCommandInput } from '@aws-sdk/client-ssm';
import { AwsError } from '../operation.ts';
import { type LabParameter, latest } from './parameter-state.ts';
import { check, given, invalid, length, oneOf } from './validation.ts';

const TYPES = ['SecureString', 'StringList', 'String'];
const TIERS = ['Standard', 'Advanced', 'Intelligent-Tiering'];
const DATA_TYPES = ['text', 'aws:ec2:image', 'aws:ssm:integration'];

/** Values that are refused for every caller. https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html */
export function refusePut(input: PutParameterCommandInput, existing: LabParameter | undefined): void {
  check(
    given('value', input.Value),
    length('value', input.Value, 1, 8192),
    length('description', input.Description, 0, 1024),
    length('tags', input.Tags, 0, 1000),
    oneOf('type', input.Type, TYPES),
    oneOf('tier', input.Tier, TIERS),
  );
  if (input.Overwrite === true && (input.Tags ?? []).length > 0) {
    throw invalid(
      "Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please remove overwrite flag. " +
        'To update tags for an existing parameter, please use AddTagsToResource or RemoveTagsFromResource.',
    );
  }
  if (existing === undefined && input.Type === undefined) throw invalid('A parameter type is required when you create a parameter.');
  refuseValue(input, existing);
  refuseDataType(input, existing);
}

function refuseValue(input: PutParameterCommandInput, existing: LabParameter | undefined): void {
  const value = input.Value ?? '';
  const before = existing && latest(existing);
  const pattern = input.AllowedPattern ?? before?.allowedPattern;
  if (pattern !== undefined && !matches(pattern, value)) {
    throw new AwsError('ParameterPatternMismatchException', `Parameter value, cannot be validated against allowedPattern: ${pattern}`);
  }
  // 4 KB and 8 KB: https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html
  const tier = input.Tier ?? before?.tier ?? 'Standard';
  if (tier === 'Standard' && Buffer.byteLength(value) > 4096) {
    throw invalid(
      'Standard tier parameters support a maximum parameter value of 4096 characters. To create a larger parameter value, ' +
        'upgrade the parameter to use the advanced-parameter tier.',
    );
  }
  if (tier === 'Standard' && before?.tier === 'Advanced')
    throw invalid("This parameter uses the advanced-parameter tier. You can't downgrade it.");
}

/** The data type cannot change to or from `aws:ec2:image`. https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-data-types.html */
function refuseDataType(input: PutParameterCommandInput, existing: LabParameter | undefined): void {
  const before = existing && latest(existing);
  if (input.DataType !== undefined && !DATA_TYPES.includes(input.DataType)) {
    throw invalid(`The following data type is not supported: ${input.DataType} (Data type names are all lowercase.)`);
  }
  if (before !== undefined && input.Type !== undefined && input.Type !== before.type) {
    throw new AwsError(
      'HierarchyTypeMismatchException',
      "Parameter Store doesn't support changing a parameter type in a hierarchy. You must create a new, unique parameter.",
    );
  }
  if (before !== undefined && input.DataType !== undefined && input.DataType !== before.dataType) {
    throw invalid(`The data type of a parameter can't be changed from ${before.dataType} to ${input.DataType}.`);
  }
  if (input.DataType === 'aws:ec2:image' && (input.Type ?? before?.type) !== 'String') {
    throw invalid('The data type aws:ec2:image is supported for parameters of type String only.');
  }
}

function matches(pattern: string, value: string): boolean {
  try {
    return new RegExp(pattern, 'u').test(value);
  } catch {
    throw new AwsError('InvalidAllowedPatternException', `The allowed pattern is not a valid regular expression: ${pattern}`);
  }
}
