/** The shapes of AWS's identifiers, as sources of regular expressions that fit into larger ones. */
export const AMI_ID = 'ami-(?:[0-9a-f]{17}|[0-9a-f]{8})';
export const REGION = '[a-z]{2,4}(?:-[a-z]+)+-\\d';
export const ACCOUNT_ID = '\\d{12}';
export const ROLE_ARN = `arn:aws[a-z-]*:iam::${ACCOUNT_ID}:role/[\\w+=,.@/-]+`;

export const whole = (source: string): RegExp => new RegExp(`^${source}$`);

const AMI = whole(AMI_ID);
export const isAmiId = (text: string): boolean => AMI.test(text);

const ACCOUNT = whole(ACCOUNT_ID);
export const isAccountId = (text: string): boolean => ACCOUNT.test(text);

/** https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/create-launch-template.html#use-an-ssm-parameter-instead-of-an-ami-id */
const PARAMETER_REFERENCE = 'resolve:ssm:';

/** Whether a launch template names a parameter in place of an image ID. */
export const isParameterReference = (imageId: string): boolean => imageId.startsWith(PARAMETER_REFERENCE);

/** The parameter's name, with version or label, or its ARN. */
export const referencedParameter = (imageId: string): string => imageId.slice(PARAMETER_REFERENCE.length);

/** Of every client token of the action. EC2 takes a token at a launch and never afterwards, unlike a tag: it proves who launched an instance. */
export const TOKEN_PREFIX = 'ami-action-';
