import { AccessError, type ActionError } from '../../kit/errors.ts';

/** Everything by which AWS says "you may not", told apart by who can change that. */

export interface Failure {
  /** Completes "not allowed to ...": "describe images". */
  readonly doing: string;
  readonly code: string;
  readonly said: string;
  readonly cause: unknown;
}

// https://docs.aws.amazon.com/ec2/latest/devguide/errors-overview.html#CommonErrors
const DENIED =
  /^(UnauthorizedOperation|AccessDenied|AccessDeniedException|NotAuthorized|UnauthorizedAccess|AuthorizationError|OptInRequired|KMSAccessDeniedException|PendingVerification|Blocked|AuthFailure)$/;
const BAD_CREDENTIALS =
  /^(InvalidClientTokenId|UnrecognizedClientException|InvalidAccessKeyId|SignatureDoesNotMatch|InvalidSignatureException|IncompleteSignature|IncompleteSignatureException|MissingAuthenticationToken|MissingAuthenticationTokenException)$/;
const WRONG_CLOCK = /Signature expired|Signature not yet current|RequestTimeTooSkewed|RequestInTheFuture/;

/** Of the three things that EC2 calls AuthFailure, one is about credentials. */
const isAboutCredentials = ({ code, said }: Failure): boolean =>
  BAD_CREDENTIALS.test(code) || (code === 'AuthFailure' && /credential|signature|access key/i.test(said));

export function denial(failure: Failure): ActionError | undefined {
  const { doing, code, said, cause } = failure;
  if (WRONG_CLOCK.test(`${code}: ${said}`)) {
    return new AccessError(`AWS does not take requests of this time (${doing}): ${code}: ${said}`, {
      cause,
      next: 'Set the clock of the runner.',
    });
  }
  if (isAboutCredentials(failure)) {
    // What a region says that an account has not enabled. https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-regions.html
    return new AccessError(`AWS does not know these credentials (${doing}): ${code}: ${said}`, {
      cause,
      next: 'Check them. If they are good in another region, this one is not enabled for the account: aws account enable-region --region-name <region>.',
    });
  }
  if (!DENIED.test(code)) return undefined;
  const [id] = /\b(?:ami|snap)-\w+/.exec(code === 'AuthFailure' ? said : '') ?? [];
  const reason = id === undefined ? '' : `${id} is not shared with this account, or not there any more: `;
  return new AccessError(`Not allowed to ${doing}: ${reason}${code}: ${said.replace(ENCODED, '').trim()}`, {
    cause,
    next: remedy(failure, id),
  });
}

const ENCODED = /\s*Encoded authorization failure message: *(\S+)/;
// https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
const WHICH = /(explicit deny in an?|because no) ([a-z -]+? policy|permissions boundary)/i;

function remedy({ code, said }: Failure, notShared: string | undefined): string {
  if (notShared !== undefined)
    return `Its owner shares it with this account: mode "share". If that is done: does it still exist, and do the Allowed AMIs of this account let it in?`;
  if (code === 'OptInRequired' && /marketplace/i.test(said)) return 'Accept the terms of that product in AWS Marketplace, in this account.';
  if (code === 'OptInRequired') return 'Enable that region, or that service, for the account; or take the region out of the settings.';
  if (code === 'PendingVerification' || code === 'Blocked') return 'AWS holds the account back, not us: ask AWS Support.';
  const grant = grantFor(said);
  const [, encoded] = ENCODED.exec(said) ?? [];
  if (encoded === undefined) return grant;
  return `${grant} Which statement it was, AWS tells who may ask: aws sts decode-authorization-message --query DecodedMessage --output text --encoded-message ${encoded}`;
}

/** Where AWS says which policy it was: the one of the role is not the only one that can say no. */
function grantFor(said: string): string {
  const [, how, policy] = WHICH.exec(said) ?? [];
  if (policy === undefined || (how === 'because no' && policy === 'identity-based policy'))
    return 'Grant it to the role; the policy of each mode is in examples/policies of ami-action.';
  return how === 'because no'
    ? `Granting it to the role is not enough: the ${policy} must allow it, too.`
    : `Granting it to the role does not help: a ${policy} denies it. Whoever owns that must let the role through.`;
}
