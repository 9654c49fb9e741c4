import { describe, expect, test } from '@jest/globals';
import { subjectHint } from '../../src/adapters/aws/oidc-token.ts';
import { TimeoutError } from '../../src/kit/errors.ts';
import { type Criterion, evaluateAllowedImages, type ImageKey } from '../../src/model/image-access.ts';
import { failureOf } from '../../src/sharing/report.ts';
import { keyWarnings, lockedOut } from '../../src/sharing/rules/key.ts';
import type { Target } from '../../src/sharing/rules/plan.ts';

const ACCOUNT = '444455556666';
const ROOT = `arn:aws:iam::${ACCOUNT}:root`;
const SCALING = `arn:aws:iam::${ACCOUNT}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling`;
const ARN = 'arn:aws:kms:eu-central-1:111122223333:key/1234abcd';

const key = (statement: unknown, grantees: readonly string[] | undefined = []): ImageKey => ({
  ...{ arn: ARN, managedByAws: false, usable: true, grantees },
  policy: JSON.stringify({ Version: '2012-10-17', Statement: statement }),
});
const allow = (principal: unknown, action: unknown = 'kms:*') => ({ Effect: 'Allow', Principal: principal, Action: action, Resource: '*' });
const target = (who: string, kind: Target['kind'] = 'launch'): Target => ({ kind, who, region: 'eu-central-1', role: undefined });
const locked = (of: ImageKey, who = ACCOUNT) => lockedOut(target(who), [of]);
const warned = (of: ImageKey, who = ACCOUNT) => keyWarnings([target(who)], [of]);
const HELP = 'https://docs.aws.amazon.com/ebs/latest/userguide/share-kms-key.html';

describe('who can use a key', () => {
  test.each([
    ['by its account ID', allow({ AWS: ACCOUNT })],
    ['by its root, among others', [allow({ AWS: ['arn:aws:iam::1:root', ROOT] }, ['kms:DescribeKey', 'kms:Decrypt'])]],
    ['by a role', allow({ AWS: `arn:aws:iam::${ACCOUNT}:role/x` })],
    ['by a wildcard', allow('*')],
    ['by a wildcard in a list', allow({ AWS: ['*'] })],
    ['by all but another account', { Effect: 'Allow', NotPrincipal: { AWS: 'arn:aws:iam::999999999999:root' }, Action: 'kms:*' }],
    ['next to a service', [allow({ Service: 'ec2.amazonaws.com' }), allow({ AWS: ROOT, Service: 'x' })]],
  ])('an account that the policy names %s', (_, statement) => {
    expect(locked(key(statement))).toBeUndefined();
  });

  test.each([
    ['is not named', allow({ AWS: 'arn:aws:iam::111122223333:root' })],
    ['is only denied', { ...allow({ AWS: ROOT }), Effect: 'Deny' }],
    ['has a longer ID', allow({ AWS: `arn:aws:iam::${ACCOUNT}7:root` })],
  ])('not an account that %s', (_, statement) => {
    expect(locked(key(statement))).toBe(
      `Key ${ARN} does not allow account ${ACCOUNT}. Add ${ROOT} to its policy, with kms:Decrypt and kms:CreateGrant: ${HELP}`,
    );
    expect(warned(key(statement))).toEqual([]);
  });

  test('our own copies and organizations are not looked for by name', () => {
    expect(lockedOut(target(ACCOUNT, 'region'), [key([])])).toBeUndefined();
    expect(lockedOut(target('arn:aws:organizations::111122223333:organization/o-abcdefghij'), [key([])])).toBeUndefined();
  });

  test('the same in another partition', () => {
    const there = { ...key([]), arn: ARN.replace('arn:aws:', 'arn:aws-us-gov:') };
    const root = ROOT.replace('arn:aws:', 'arn:aws-us-gov:');
    const role = SCALING.replace('arn:aws:', 'arn:aws-us-gov:');
    const named = { ...there, policy: JSON.stringify({ Statement: allow({ AWS: root }) }) };
    expect(locked(named)).toBeUndefined();
    expect(warned({ ...named, grantees: [role] })).toEqual([]);
    expect(locked(there)).toContain(`Add ${root} to its policy`);
  });

  test.each([[undefined], ['not JSON'], ['{"Statement":7}']])('a policy that cannot be read (%j) is a warning, and no refusal', policy => {
    const unread = { ...key([]), policy };
    expect(locked(unread)).toBeUndefined();
    expect(warned(unread)).toEqual([
      `Access of account ${ACCOUNT} to key ${ARN} was not checked: its policy cannot be read (kms:GetKeyPolicy).`,
    ]);
  });

  test('a grant names an account, too', () => {
    const others = allow({ AWS: 'arn:aws:iam::111122223333:root' });
    expect(locked(key(others, [`arn:aws:iam::${ACCOUNT}:role/x`]))).toBeUndefined();
    expect(locked(key(others, [`arn:aws:iam::${ACCOUNT}7:role/x`]))).toContain('does not allow account');
  });

  test('Auto Scaling without a grant is a warning with the command', () => {
    expect(warned(key(allow({ AWS: ROOT }), [SCALING]))).toEqual([]);
    expect(warned(key(allow({ AWS: [ROOT, SCALING] })))).toEqual([
      `Auto Scaling in account ${ACCOUNT} may not be able to use key ${ARN}: no grant names its service-linked role. Instances then end with "Client.InternalError: Client error on launch". In account ${ACCOUNT}, run: aws kms create-grant --key-id ${ARN} --grantee-principal ${SCALING} --operations Encrypt Decrypt ReEncryptFrom ReEncryptTo GenerateDataKey GenerateDataKeyWithoutPlaintext DescribeKey CreateGrant`,
    ]);
    expect(warned({ ...key(allow({ AWS: ROOT })), grantees: undefined })).toEqual([
      expect.stringContaining('its grants cannot be read (kms:ListGrants)'),
    ]);
  });

  test('Deny statements are not evaluated, which is a warning with a link', () => {
    const denied = [allow({ AWS: ROOT }), { ...allow('*'), Effect: 'Deny' }];
    expect(warned(key(denied, [SCALING]))).toEqual([
      `Key ${ARN} has Deny statements, which were not evaluated. Make sure that account ${ACCOUNT} can use it: ${HELP}`,
    ]);
  });

  test('an organization is allowed by its ID; anything else was not checked', () => {
    const unit = 'arn:aws:organizations::111122223333:ou/o-abcdefghij/ou-abcd-12345678';
    const of = (id: string) => key({ ...allow('*'), Condition: { StringEquals: { 'aws:PrincipalOrgID': id } } });
    expect(warned(of('o-abcdefghij'), unit)).toEqual([]);
    for (const unchecked of [of('o-other'), { ...key([]), policy: undefined }])
      expect(warned(unchecked, unit)).toEqual([
        `Access of the accounts of ${unit} to key ${ARN} was not checked. Its policy must allow them (aws:PrincipalOrgID o-abcdefghij): ${HELP}`,
      ]);
  });
});

describe('Allowed AMIs', () => {
  const day = (n: number) => Date.parse('2026-05-01') + n * 86_400_000;
  const image = { ownerId: '111122223333', name: 'web-1', createdAt: new Date(day(0)), deprecatedAt: undefined };
  const nothing: Criterion = { providers: [], names: [], daysSinceCreated: undefined, daysSinceDeprecated: undefined, further: [] };
  const own = { providers: ['111122223333'] };
  const enters = (criteria: readonly Partial<Criterion>[], state: 'enabled' | 'audit-mode' | 'disabled' = 'enabled', of = image) =>
    evaluateAllowedImages({ state, criteria: criteria.map(criterion => ({ ...nothing, ...criterion })) }, of, day(10));

  test.each<[string, readonly Partial<Criterion>[]]>([
    ['its account', [own]],
    ['its account, in the second', [{ providers: ['amazon'] }, own]],
    ['its name', [{ names: ['api-*', 'web-?'] }]],
    ['its age', [{ ...own, daysSinceCreated: 10 }]],
    ['images that are not deprecated', [{ daysSinceDeprecated: 0 }]],
    ['it in one, and have an unknown condition in another', [{ further: ['MarketplaceProductCodes'] }, own]],
  ])('allow %s', (_, criteria) => {
    expect(enters(criteria)).toEqual({ state: 'allowed' });
  });

  test.each<[readonly Partial<Criterion>[], string]>([
    [[{ providers: ['amazon'] }, { providers: ['aws-marketplace'] }], 'Allowed AMIs there do not list account 111122223333'],
    [[{ providers: ['none'] }], 'Allowed AMIs there do not list account 111122223333'],
    [[{ ...own, names: ['web', 'web.1'] }], 'Allowed AMIs there do not match the name "web-1"'],
    [[{ ...own, daysSinceCreated: 9 }], 'Allowed AMIs there require images of at most 9 days, this one is 10 days old'],
    [[{ providers: ['amazon'] }, { names: ['api'] }], 'Allowed AMIs there do not list account 111122223333; do not match the name "web-1"'],
    [[{ providers: ['amazon'], further: ['ScanResultCondition'] }], 'Allowed AMIs there do not list account 111122223333'],
    [[], 'Allowed AMIs there allow no image'],
  ])('%j exclude it', (criteria, reason) => {
    expect(enters(criteria)).toEqual({ state: 'denied', reason });
    expect(enters(criteria, 'audit-mode')).toEqual({ state: 'allowed' });
    expect(enters(criteria, 'disabled')).toEqual({ state: 'allowed' });
  });

  test('an image deprecated for too long is excluded', () => {
    const old = { ...image, deprecatedAt: new Date(day(5)) as Date | undefined } as typeof image;
    expect(enters([{ daysSinceDeprecated: 4 }], 'enabled', old)).toMatchObject({ state: 'denied' });
    expect(enters([{ daysSinceDeprecated: 5 }], 'enabled', old)).toMatchObject({ state: 'allowed' });
  });

  test('what cannot be evaluated is unknown', () => {
    expect(enters([{ ...own, further: ['MarketplaceProductCodes', 'ScanResultCondition'] }])).toEqual({
      state: 'unknown',
      reason: 'the setting has conditions on MarketplaceProductCodes, ScanResultCondition',
    });
    expect(evaluateAllowedImages(undefined, image, day(10))).toEqual({
      state: 'unknown',
      reason: 'the setting cannot be read (ec2:GetAllowedImagesSettings)',
    });
  });
});

test('a subject is reported in the form that it does not have', () => {
  const ids = { owner: '1', repository: '2' };
  expect(subjectHint('repo:acme@1/web@2:ref:refs/heads/main', ids)).toContain('"repo:acme/web:ref:refs/heads/main"');
  expect(subjectHint('repo:acme/web:environment:prod', ids)).toContain('"repo:acme@1/web@2:environment:prod"');
  expect(subjectHint('repo:acme/web:pull_request', { owner: '', repository: '' })).toContain('"repo:acme@ID/web@ID:pull_request"');
  expect(subjectHint('job_workflow_ref:acme/x', ids)).toContain('has a customized subject');
});

// outside.md D12: "Run the job again. Then run the job again".
test('targets that failed say once to run the job again, after what must be done before', () => {
  const result = (who: string, next: string) => ({
    line: { target: { who, region: 'eu-west-1' } },
    failure: new TimeoutError(`${who} failed`, { next }),
  });
  const nextOf = (...results: readonly object[]) => failureOf(results as Parameters<typeof failureOf>[0], {})?.next;
  const again = 'the job: it does only what is missing.';
  expect(nextOf(result('1', 'Run the job again.'), result('2', 'Run the job again.'))).toBe(`Re-run ${again}`);
  expect(nextOf(result('1', 'Run the job again.'), result('2', 'Grant it.'))).toBe(`Grant it. Then re-run ${again}`);
});

test('a copy is made by its own role: only who launches the image needs the key', () => {
  const other = key(allow({ AWS: 'arn:aws:iam::999999999999:root' }));
  const unreadable = { ...other, policy: undefined };
  const warned = (kind: Target['kind']) => keyWarnings([target(ACCOUNT, kind)], [unreadable]);
  expect([warned('launch').length, warned('copy'), warned('region')]).toEqual([1, [], []]);
});
