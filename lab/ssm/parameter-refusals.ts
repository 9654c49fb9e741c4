import { AwsError } from '../operation.ts';

/** Errors of Parameter Store, in its wording. https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html#API_PutParameter_Errors */

export const notFound = (name: string): AwsError => new AwsError('ParameterNotFound', `Parameter ${name} not found.`);

export const versionNotFound = (name: string, selector: number | string): AwsError =>
  new AwsError(
    'ParameterVersionNotFound',
    `Systems Manager could not find ${/^\d+$/.test(String(selector)) ? 'version' : 'label'} ${selector} of ${name}. Verify the version and try again.`,
  );

export const alreadyExists = (): AwsError =>
  new AwsError(
    'ParameterAlreadyExists',
    'The parameter already exists. To overwrite this value, set the overwrite option in the request to true.',
  );

export const oldestIsLabelled = (name: string, version: number): AwsError =>
  new AwsError(
    'ParameterMaxVersionLimitExceeded',
    `You attempted to create a new version of ${name} by calling the PutParameter API with the overwrite flag. Version ${version}, the oldest version, ` +
      "can't be deleted because it has a label associated with it. Move the label to another version of the parameter, and try again.",
  );

/** "the system reports that validation is still in process": https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-ec2-aliases.html */
export const stillChecking = (name: string): AwsError =>
  new AwsError('TooManyUpdates', `Validation of ${name} is still in process. Wait for it to end, and try again.`);

export const tooManyLabels = (): AwsError =>
  new AwsError(
    'ParameterVersionLabelLimitExceeded',
    'A parameter version can have maximum 10 labels. Move one or more labels to another version and try again.',
  );

export const otherAccount = (arn: string): AwsError =>
  new AwsError('AccessDeniedException', `User is not authorized to perform: ssm:GetParameter on resource: ${arn}`);
