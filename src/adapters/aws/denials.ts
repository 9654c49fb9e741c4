import { AccessError, type ActionError } from '../../kit/errors.ts';
import { formatPlace, type Place } from './place.ts';

/** Every denial of AWS, sorted by who can change it. */

export interface Failure {
  /** Completes "not allowed to ...": "describe images". */
  readonly doing: string;
  readonly code: string;
  readonly message: string;
  readonly place: Place | undefined;
  readonly cause: unknown;
}

// https://docs.aws.amazon.com/ec2/latest/devguide/errors-overview.html#CommonErrors
const DENIED =
  /^(UnauthorizedOperation|AccessDenied|AccessDeniedException|NotAuthorized|UnauthorizedAccess|AuthorizationError|OptInRequired|KMSAccessDeniedException|PendingVerification|Blocked|AuthFailure)$/;
const BAD_CREDENTIALS =
  /^(InvalidClientTokenId|UnrecognizedClientException|InvalidAccessKeyId|SignatureDoesNotMatch|InvalidSignatureException|IncompleteSignature|IncompleteSignatureException|MissingAuthenticationToken|MissingAuthenticationTokenException)$/;
const WRONG_CLOCK = /Signature expired|Signature not yet current|RequestTimeTooSkewed|RequestInTheFuture/;

/** EC2 has three meanings for AuthFailure; one is about credentials. */
const isAboutCredentials = ({ code, message }: Failure): boolean =>
  BAD_CREDENTIALS.test(code) || (code === 'AuthFailure' && /credential|signature|access key/i.test(message));

export function denial(failure: Failure): ActionError | undefined {
  const { doing, code, message, place, cause } = failure;
  const where = formatPlace(place);
  if (WRONG_CLOCK.test(`${code}: ${message}`)) {
    return new AccessError(`AWS refused the time of the request (${doing}): ${code}: ${message}${where}`, {
      cause,
      next: 'Set the clock of the runner: it is some minutes off.',
    });
  }
  if (isAboutCredentials(failure)) {
    // Also the answer of a region that is not enabled. https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-regions.html
    return new AccessError(`AWS does not know these credentials (${doing}): ${code}: ${message}${where}`, {
      cause,
      next: `Check the credentials. If they work in another region, this one is not enabled for the account: aws account enable-region --region-name ${place?.region ?? 'REGION'}`,
    });
  }
  if (!DENIED.test(code)) return undefined;
  const [id] = /\b(?:ami|snap)-\w+/.exec(code === 'AuthFailure' ? message : '') ?? [];
  const reason = id === undefined ? '' : `${id} is not shared with this account, or does not exist any more: `;
  return new AccessError(`Not allowed to ${doing}: ${reason}${code}: ${message.replace(ENCODED, '').trim()}${where}`, {
    cause,
    next: remedy(failure, id),
  });
}

const ENCODED = /\s*Encoded authorization failure message: *(\S+)/;
// https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
const WHICH = /(explicit deny in an?|because no) ([a-z -]+? policy|permissions boundary)/i;

function remedy({ code, message }: Failure, notShared: string | undefined): string {
  if (notShared !== undefined)
    return 'Share it with this account: mode "share" in the account that owns it. If it is shared already, check that it still exists and that "Allowed AMIs" of this account permits it.';
  if (code === 'OptInRequired' && /marketplace/i.test(message))
    return 'Accept the terms of that product in AWS Marketplace, with this account.';
  if (code === 'OptInRequired') return 'Enable that region or service for the account, or remove the region from the settings.';
  if (code === 'PendingVerification' || code === 'Blocked') return 'AWS has restricted the account: contact AWS Support.';
  const grant = grantFor(message);
  const [, encoded] = ENCODED.exec(message) ?? [];
  if (encoded === undefined) return grant;
  return `${grant} The statement that denied it: aws sts decode-authorization-message --query DecodedMessage --output text --encoded-message ${encoded}`;
}

const POLICIES = 'https://github.com/org/ami-action/tree/v1/examples/policies';

/** The policy that AWS names: the one of the role is not the only one that can deny. */
function grantFor(message: string): string {
  const [, how, policy] = WHICH.exec(message) ?? [];
  const [, role] = /assumed-role\/([^/\s]+)\//.exec(message) ?? [];
  if (policy === undefined || (how === 'because no' && policy === 'identity-based policy'))
    return `Grant it to the role${role === undefined ? '' : ` ${role}`}. The policy of each mode: ${POLICIES}`;
  return how === 'because no'
    ? `Allow it in the ${policy} as well: granting it to the role is not enough.`
    : `Ask the owner of the ${policy} that denies it to except the role: granting it to the role has no effect.`;
}
