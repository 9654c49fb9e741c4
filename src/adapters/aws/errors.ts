import { AccessError, ActionError, CancelledError, RejectedError, TimeoutError, UnknownError, UnreachableError } from '../../kit/errors.ts';
import { denial, type Failure } from './denials.ts';
import { FORK_HINT, isFork } from './oidc-token.ts';

/** The code of an AWS error, also of one that is the cause of an ActionError; '' for anything else. */
export const codeOf = (cause: unknown): string => {
  if (cause instanceof ActionError) return codeOf(cause.cause);
  const { Code, code, name } = (cause ?? {}) as { Code?: string; code?: string; name?: string };
  return Code ?? (typeof code === 'string' ? code : undefined) ?? name ?? '';
};

export const isCode = (cause: unknown, ...codes: readonly string[]): boolean => codes.includes(codeOf(cause));

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
    const failure = { doing, code: codeOf(cause), said: cause instanceof Error ? cause.message : String(cause), cause };
    throw credentialsGone(failure) ?? denial(failure) ?? passing(failure) ?? answered(failure) ?? cause;
  };

/** No credentials, or expired ones. */
function credentialsGone({ doing, code, said, cause }: Failure): ActionError | undefined {
  if (EXPIRED.test(code) || SAYS_EXPIRED.test(said)) {
    return new UnknownError(`The credentials expired (${doing}). What was started continues without this run.`, {
      cause,
      next: 'Run the job again: it continues what it started. Set "role-to-assume": the action then renews its credentials itself. If the credentials are new, check the clock of the runner.',
    });
  }
  if (!NO_CREDENTIALS.test(code)) return undefined;
  return new AccessError(`No AWS credentials: ${isFork() ? FORK_HINT : said}`, {
    cause,
    next: 'Set "role-to-assume", or run aws-actions/configure-aws-credentials before this step. To use the role of the instance that the runner is, set "allow-instance-role: true".',
  });
}

/** What may pass when it is tried again. */
function passing({ doing, code, said, cause }: Failure): ActionError | undefined {
  if (code === 'AbortError') return new CancelledError('Cancelled.', { cause });
  if (THROTTLED.test(code))
    return new TimeoutError(`AWS throttled all retries (${doing}): ${code}. The image is not the cause.`, {
      cause,
      next: 'Run the job again.',
    });
  if (!UNREACHABLE.test(code)) return undefined;
  return new UnreachableError(`Cannot reach AWS (${doing}): ${code}: ${said}`, {
    cause,
    next: 'Check "region", and the network, proxy and certificates of the runner.',
  });
}

/** Every other error of AWS. */
function answered({ doing, code, said, cause }: Failure): ActionError | undefined {
  const status = (cause as { $metadata?: { httpStatusCode?: number } } | undefined)?.$metadata?.httpStatusCode ?? 0;
  if (status >= 500) return new TimeoutError(`AWS failed to ${doing}: ${code}: ${said}`, { cause, next: 'Run the job again.' });
  return status >= 400 ? new RejectedError(`AWS refused to ${doing}: ${code}: ${said}`, { cause }) : undefined;
}
