import { AccessError, CancelledError, Expected, RejectedError, TimeoutError, UnknownError, UnreachableError } from '../../kit/errors.ts';
import { FORK_HINT, isFork } from './fork.ts';

/** The code of an AWS error, in whichever of the SDK's places it stands; '' for anything else. */
export const codeOf = (cause: unknown): string => {
  const { Code, code, name } = (cause ?? {}) as { Code?: string; code?: string; name?: string };
  return Code ?? (typeof code === 'string' ? code : undefined) ?? name ?? '';
};

export const isCode = (cause: unknown, ...codes: readonly string[]): boolean => codes.includes(codeOf(cause));

// https://docs.aws.amazon.com/ec2/latest/devguide/errors-overview.html#CommonErrors
const DENIED =
  /^(UnauthorizedOperation|AccessDenied|AccessDeniedException|NotAuthorized|UnauthorizedAccess|AuthorizationError|OptInRequired|KMSAccessDeniedException)$/;
const BAD_CREDENTIALS =
  /^(AuthFailure|InvalidClientTokenId|UnrecognizedClientException|SignatureDoesNotMatch|IncompleteSignature|MissingAuthenticationToken)$/;
const EXPIRED = /^(ExpiredToken|ExpiredTokenException|RequestExpired)$/;
const NO_CREDENTIALS = /^(CredentialsProviderError|ProviderError|TokenProviderError)$/;
const THROTTLED = /^(RequestLimitExceeded|Throttling|ThrottlingException|TooManyRequestsException|EC2ThrottledException|SlowDown)$/;
const UNREACHABLE =
  /^(ECONNREFUSED|ECONNRESET|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|EPIPE|TimeoutError|NetworkingError|UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT)$/;

/** An AWS failure as one of ours, sorted by who must act. `doing` completes "not allowed to ...": "describe images". */
export const asExpected =
  (doing: string) =>
  (cause: unknown): never => {
    if (cause instanceof Expected) throw cause;
    const code = codeOf(cause);
    const said = cause instanceof Error ? cause.message : String(cause);
    if (code === 'AbortError') throw new CancelledError('Cancelled.', { cause });
    if (DENIED.test(code)) {
      throw new AccessError(`Not allowed to ${doing}: ${code}: ${said}`, {
        cause,
        next: 'Grant it to the role; the policy of each mode is in the README.',
      });
    }
    if (BAD_CREDENTIALS.test(code)) throw new AccessError(`AWS does not know these credentials (${doing}): ${code}: ${said}`, { cause });
    if (EXPIRED.test(code)) {
      throw new UnknownError(`The credentials expired (${doing}). What was started goes on without us.`, {
        cause,
        next: 'Run the job again: it finds what it started. With role-to-assume the action renews its credentials itself.',
      });
    }
    if (NO_CREDENTIALS.test(code)) {
      throw new AccessError(`No AWS credentials: ${isFork() ? FORK_HINT : said}`, {
        cause,
        next: 'Set role-to-assume, or run aws-actions/configure-aws-credentials before this step. If the role of the machine is meant that the runner is, set "allow-instance-role: true".',
      });
    }
    if (THROTTLED.test(code))
      throw new TimeoutError(`AWS kept throttling us (${doing}): ${code}. Nothing is wrong with the image.`, {
        cause,
        next: 'Run the job again.',
      });
    if (UNREACHABLE.test(code))
      throw new UnreachableError(`Cannot reach AWS (${doing}): ${code}: ${said}`, {
        cause,
        next: 'Check region, network, proxy and certificates of the runner.',
      });
    const status = (cause as { $metadata?: { httpStatusCode?: number } } | undefined)?.$metadata?.httpStatusCode;
    if (status !== undefined && status >= 500)
      throw new TimeoutError(`AWS failed to ${doing}: ${code}: ${said}`, { cause, next: 'Run the job again.' });
    if (status !== undefined && status >= 400) throw new RejectedError(`AWS refused to ${doing}: ${code}: ${said}`, { cause });
    throw cause;
  };
