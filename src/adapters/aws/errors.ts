import { AccessError, ActionError, CancelledError, RejectedError, TimeoutError, UnknownError, UnreachableError } from '../../kit/errors.ts';
import { denial, type Failure } from './denials.ts';
import { FORK_HINT, isFork } from './oidc-token.ts';
import { formatPlace, type Place, placeOf } from './place.ts';

/** The code of an AWS error, also of one that is the cause of an ActionError; '' for anything else. */
export const codeOf = (cause: unknown): string => {
  if (cause instanceof ActionError) return codeOf(cause.cause);
  const { Code, code, name } = (cause ?? {}) as { Code?: string; code?: string; name?: string };
  return Code ?? (typeof code === 'string' ? code : undefined) ?? name ?? '';
};

export const isCode = (cause: unknown, ...codes: readonly string[]): boolean => codes.includes(codeOf(cause));

/** The SDK has sent the call more than once: the first may have been carried out, and its answer lost. */
export const isRepeated = (cause: unknown): boolean => ((cause as { $metadata?: { attempts?: number } }).$metadata?.attempts ?? 1) > 1;

/** For `catch`: these codes are an answer, `undefined`. */
export const undefinedOn =
  (...codes: readonly string[]) =>
  (cause: unknown): undefined => {
    if (!isCode(cause, ...codes)) throw cause;
  };

// https://docs.aws.amazon.com/ec2/latest/devguide/errors-overview.html#CommonErrors
const EXPIRED = /^(ExpiredToken|ExpiredTokenException|RequestExpired|TokenRefreshRequired)$/;
const SAYS_EXPIRED = /security token included in the request is expired/i;
const NO_CREDENTIALS = /^(CredentialsProviderError|ProviderError|TokenProviderError)$/;
const THROTTLED = /^(RequestLimitExceeded|Throttling|ThrottlingException|TooManyRequestsException|EC2ThrottledException|SlowDown)$/;
const UNREACHABLE =
  /^(ECONNREFUSED|ECONNRESET|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|EPIPE|TimeoutError|NetworkingError|UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT)$/;

/** An AWS failure as an ActionError, sorted by who must act. `doing` completes "Not allowed to ...": "describe images (ec2:DescribeImages)". */
export const asExpected =
  (doing: string) =>
  (cause: unknown): never => {
    if (cause instanceof ActionError) throw cause;
    const message = cause instanceof Error ? cause.message : String(cause);
    const failure = { doing, code: codeOf(cause), message, place: placeOf(cause), cause };
    throw unreadable(failure) ?? credentialsGone(failure) ?? denial(failure) ?? passing(failure) ?? answered(failure) ?? cause;
  };

/** The answer of AWS, or of a proxy in between, that is no answer of AWS's API. What was asked for may have happened all the same. */
export const unreadableAnswer = (
  doing: string,
  reason: string,
  details: { cause?: unknown; place?: Place | undefined } = {},
): UnreachableError =>
  new UnreachableError(`AWS's answer cannot be read (${doing}): ${reason}${formatPlace(details.place)}`, {
    cause: details.cause,
    next: 'Run the job again. If it repeats, check the proxies between the runner and AWS, and "AWS_ENDPOINT_URL".',
  });

// The SDK keeps the response on what its parsers throw, and `$fault` marks the errors that it could parse.
// https://github.com/smithy-lang/smithy-typescript
function unreadable({ doing, message, place, cause }: Failure): ActionError | undefined {
  const { $fault, $response, $metadata } = (cause ?? {}) as {
    $fault?: string;
    $response?: object;
    $metadata?: { httpStatusCode?: number };
  };
  const status = $metadata?.httpStatusCode ?? 0;
  if ($response === undefined || status >= 500) return undefined;
  // A page of a proxy has no code that the SDK could find.
  const isAws = $fault !== undefined && status >= 400 && !/^Unknown(Error)?$/.test(codeOf(cause));
  if (isAws) return undefined;
  const [reason = ''] = message.split(/\n *Deserialization error/);
  return unreadableAnswer(doing, `HTTP ${status}: ${reason.slice(0, 200)}`, { cause, place });
}

/** No credentials, or expired ones. */
function credentialsGone({ doing, code, message, place, cause }: Failure): ActionError | undefined {
  if (EXPIRED.test(code) || SAYS_EXPIRED.test(message)) {
    return new UnknownError(`The credentials expired (${doing}). What was started continues without this run.${formatPlace(place)}`, {
      cause,
      next: 'Run the job again: it continues what it started. Set "role-to-assume": the action then renews its credentials itself. If the credentials are new, check the clock of the runner.',
    });
  }
  if (!NO_CREDENTIALS.test(code)) return undefined;
  return new AccessError(`No AWS credentials: ${isFork() ? FORK_HINT : message}`, {
    cause,
    next: 'Set "role-to-assume", or run aws-actions/configure-aws-credentials before this step. To use the role of the instance that the runner is, set "allow-instance-role: true".',
  });
}

/** What may pass when it is tried again. */
function passing({ doing, code, message, place, cause }: Failure): ActionError | undefined {
  if (code === 'AbortError') return new CancelledError('Cancelled.', { cause });
  if (THROTTLED.test(code))
    return new TimeoutError(`AWS throttled all retries (${doing}): ${code}. The image is not the cause.${formatPlace(place)}`, {
      cause,
      next: 'Run the job again.',
    });
  if (!UNREACHABLE.test(code)) return undefined;
  return new UnreachableError(`Cannot reach AWS (${doing}): ${code}: ${message}${formatPlace(place)}`, {
    cause,
    next: 'Check "region", and the network, proxy and certificates of the runner.',
  });
}

/** Every other error of AWS. */
function answered({ doing, code, message, place, cause }: Failure): ActionError | undefined {
  const status = (cause as { $metadata?: { httpStatusCode?: number } } | undefined)?.$metadata?.httpStatusCode ?? 0;
  if (status >= 500)
    return new TimeoutError(`AWS failed to ${doing}: ${code}: ${message}${formatPlace(place)}`, { cause, next: 'Run the job again.' });
  return status >= 400 ? new RejectedError(`AWS refused to ${doing}: ${code}: ${message}${formatPlace(place)}`, { cause }) : undefined;
}
