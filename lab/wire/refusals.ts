import { AwsError, type Protocol } from '../operation.ts';

/** Errors that every operation may return. Each protocol has its own codes. */
export type Refusal = 'throttled' | 'internal' | 'denied' | 'expired' | 'unknownKey' | 'unsigned';

type Spelling = readonly [code: string, message: string, status: number];

// ec2: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
// query: https://docs.aws.amazon.com/autoscaling/ec2/APIReference/CommonErrors.html and the same page of STS and ELB
// json: https://docs.aws.amazon.com/systems-manager/latest/APIReference/CommonErrors.html
const SPELLINGS: Readonly<Record<Protocol, Readonly<Record<Refusal, Spelling>>>> = {
  ec2: {
    throttled: ['RequestLimitExceeded', 'Request limit exceeded.', 503],
    internal: ['InternalError', 'An internal error has occurred', 500],
    denied: ['UnauthorizedOperation', 'You are not authorized to perform this operation.', 403],
    expired: ['RequestExpired', 'Request has expired.', 400],
    unknownKey: ['AuthFailure', 'AWS was not able to validate the provided access credentials', 401],
    unsigned: ['AuthFailure', 'AWS was not able to validate the provided access credentials', 401],
  },
  query: {
    throttled: ['Throttling', 'Rate exceeded', 400],
    internal: ['InternalFailure', 'The request processing has failed because of an unknown error.', 500],
    denied: ['AccessDenied', 'User is not authorized to perform this operation', 403],
    expired: ['ExpiredToken', 'The security token included in the request is expired', 403],
    unknownKey: ['InvalidClientTokenId', 'The security token included in the request is invalid.', 403],
    unsigned: ['MissingAuthenticationToken', 'Request is missing Authentication Token', 403],
  },
  // https://docs.aws.amazon.com/Route53/latest/APIReference/CommonErrors.html
  rest: {
    throttled: ['Throttling', 'Rate exceeded', 400],
    internal: ['InternalFailure', 'The request processing has failed because of an unknown error.', 500],
    denied: ['AccessDenied', 'User is not authorized to perform this operation', 403],
    expired: ['ExpiredToken', 'The security token included in the request is expired', 403],
    unknownKey: ['InvalidClientTokenId', 'The security token included in the request is invalid.', 403],
    unsigned: ['MissingAuthenticationToken', 'Request is missing Authentication Token', 403],
  },
  json: {
    throttled: ['ThrottlingException', 'Rate exceeded', 400],
    internal: ['InternalServerError', 'An error occurred on the server side.', 500],
    denied: ['AccessDeniedException', 'User is not authorized to perform this operation', 400],
    expired: ['ExpiredTokenException', 'The security token included in the request is expired', 400],
    unknownKey: ['UnrecognizedClientException', 'The security token included in the request is invalid.', 400],
    unsigned: ['MissingAuthenticationTokenException', 'Missing Authentication Token', 400],
  },
};

export function refusal(what: Refusal, protocol: Protocol, message?: string): AwsError {
  const [code, usual, status] = SPELLINGS[protocol][what];
  return new AwsError(code, message ?? usual, status);
}
