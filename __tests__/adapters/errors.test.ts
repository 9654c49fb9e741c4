import { describe, expect, test } from '@jest/globals';
import { asExpected } from '../../src/adapters/aws/errors.ts';
import { withPlace } from '../../src/adapters/aws/place.ts';
import type { ActionError } from '../../src/kit/errors.ts';

/** What becomes of an AWS error. */
function told(cause: Error): ActionError {
  try {
    return asExpected('launch an instance (ec2:RunInstances)')(cause);
  } catch (failure) {
    return failure as ActionError;
  }
}

const errorOf = (name: string, message: string, httpStatusCode = 400) =>
  Object.assign(new Error(message), { name, $metadata: { httpStatusCode } });

const BLOB = 'x9Kf-_'.repeat(100);
const SCP =
  'User: arn:aws:sts::111122223333:assumed-role/ci/x is not authorized to perform: ec2:RunInstances with an explicit deny in a service control policy.';

describe('an answer of AWS', () => {
  test.each<[says: string, code: string, message: string, outcome: string, text: RegExp, next: RegExp]>([
    [
      'of a strange image is not about credentials',
      'AuthFailure',
      'Not authorized for images: [ami-0abc]',
      'access',
      /^Not allowed to launch .*: ami-0abc is not shared with this account, or does not exist any more: AuthFailure: Not auth/,
      /mode "share".*Allowed AMIs/,
    ],
    ['the same, of one', 'AuthFailure', 'Not authorized for image:ami-0abc', 'access', /ami-0abc is not shared with this account/, /share/],
    [
      'of a snapshot',
      'AuthFailure',
      'Not authorized for snapshot: snap-0abc',
      'access',
      /snap-0abc is not shared with this account/,
      /share/,
    ],
    [
      'of something else that is restricted',
      'AuthFailure',
      'Unauthorized attempt to access restricted resource',
      'access',
      /^Not allowed to launch an instance \(ec2:RunInstances\): AuthFailure: Unauth/,
      /^Grant it to the role/,
    ],
    [
      'of unknown credentials, or of a region that is not enabled',
      'AuthFailure',
      'AWS was not able to validate the provided access credentials',
      'access',
      /does not know these credentials/,
      /aws account enable-region/,
    ],
    [
      'the same, of a service that speaks JSON',
      'InvalidSignatureException',
      'The request signature we calculated does not match',
      'access',
      /does not know these credentials/,
      /enable-region/,
    ],
    [
      'of a wrong clock',
      'InvalidSignatureException',
      'Signature expired: 20260501T100000Z is now earlier than 20260501T110000Z',
      'access',
      /refused the time of the request/,
      /clock/,
    ],
    ['of an old session', 'RequestExpired', 'Request has expired.', 'unknown', /^The credentials expired/, /Run the job again.*clock/],
    [
      'the same, whatever it is called',
      'UnrecognizedClientException',
      'The security token included in the request is expired',
      'unknown',
      /^The credentials expired/,
      /Run the job again/,
    ],
    [
      'of a product of the marketplace',
      'OptInRequired',
      'In order to use this AWS Marketplace product you need to accept terms and subscribe.',
      'access',
      /OptInRequired/,
      /^Accept the terms/,
    ],
    ['of a region', 'OptInRequired', 'You are not subscribed to this service.', 'access', /OptInRequired/, /^Enable that region/],
    ['of an account that is held back', 'PendingVerification', 'Your account is being verified.', 'access', /PendingV/, /AWS Support/],
    [
      'of a policy above the account',
      'UnauthorizedOperation',
      SCP,
      'access',
      /explicit deny/,
      /^Ask the owner of the service control policy that denies it to except the role/,
    ],
    [
      'of a policy that lacks it, of the role',
      'AccessDeniedException',
      'User: x is not authorized to perform: ssm:PutParameter because no identity-based policy allows the ssm:PutParameter action',
      'access',
      /because no identity-based/,
      /^Grant it to the role/,
    ],
    [
      'of a policy that lacks it, of the key',
      'AccessDeniedException',
      'User: x is not authorized to perform: kms:Decrypt on this resource because no resource-based policy allows the kms:Decrypt action',
      'access',
      /because no resource-based/,
      /^Allow it in the resource-based policy as well: granting it to the role is not enough\.$/,
    ],
    ['of a quota', 'ResourceLimitExceeded', 'Too many.', 'rejected', /^AWS refused to launch/, /^$/],
  ])('%s', (_, code, message, outcome, text, next) => {
    const failure = told(errorOf(code, message));
    expect([failure.outcome, failure.message, failure.next ?? '']).toEqual([
      outcome,
      expect.stringMatching(text),
      expect.stringMatching(next),
    ]);
  });

  test('that lacks a permission names role, account and region, and where the policies are', async () => {
    const added: ((next: () => Promise<never>) => () => Promise<unknown>)[] = [];
    withPlace({ middlewareStack: { add: (middleware: never) => void added.push(middleware) } }, 'eu-central-1', { account: undefined });
    const message =
      'User: arn:aws:sts::111122223333:assumed-role/ci/x is not authorized to perform: ssm:PutParameter because no identity-based policy allows the ssm:PutParameter action';
    const cause = Object.assign(new Error(message), { name: 'AccessDeniedException' });
    await added[0]?.(() => Promise.reject(cause))().catch(() => undefined);
    const failure = told(cause);
    expect([failure.outcome, failure.message, failure.next]).toEqual([
      'access',
      `Not allowed to launch an instance (ec2:RunInstances): AccessDeniedException: ${message} (account 111122223333, eu-central-1)`,
      'Grant it to the role ci. The policy of each mode: https://github.com/org/ami-action/tree/v1/examples/policies',
    ]);
  });

  test('that is encoded comes with the command that decodes it, and is not printed twice', () => {
    const failure = told(
      errorOf(
        'UnauthorizedOperation',
        `You are not authorized to perform this operation. Encoded authorization failure message: ${BLOB}`,
        403,
      ),
    );
    expect(failure.message).toBe(
      'Not allowed to launch an instance (ec2:RunInstances): UnauthorizedOperation: You are not authorized to perform this operation.',
    );
    expect(failure.next).toMatch(new RegExp(`^Grant it to the role.*decode-authorization-message .*--encoded-message ${BLOB}$`));
  });
});
