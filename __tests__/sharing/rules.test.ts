import { describe, expect, test } from '@jest/globals';
import { subjectHint } from '../../src/adapters/aws/oidc-subject.ts';
import { type Criterion, entryOf } from '../../src/model/allowed-images.ts';
import type { ImageKey } from '../../src/model/image-key.ts';
import { keyUse, organizationDoubt } from '../../src/sharing/rules/key.ts';

const ACCOUNT = '444455556666';
const ROOT = `arn:aws:iam::${ACCOUNT}:root`;
const SCALING = `arn:aws:iam::${ACCOUNT}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling`;
const ARN = 'arn:aws:kms:eu-central-1:111122223333:key/1234abcd';

const key = (statement: unknown, grantees: readonly string[] | undefined = []): ImageKey => ({
  ...{ arn: ARN, managedByAws: false, usable: true, grantees },
  policy: JSON.stringify({ Version: '2012-10-17', Statement: statement }),
});
const allow = (principal: unknown, action: unknown = 'kms:*') => ({ Effect: 'Allow', Principal: principal, Action: action, Resource: '*' });

describe('who may use a key', () => {
  test.each([
    ['by its account ID', allow({ AWS: ACCOUNT })],
    ['by its root, among others', [allow({ AWS: ['arn:aws:iam::1:root', ROOT] }, ['kms:DescribeKey', 'kms:Decrypt'])]],
    ['as everybody', allow('*')],
    ['by an action in other letters', allow({ AWS: ROOT }, 'KMS:decrypt')],
    ['by a wildcard in the action', allow({ AWS: ROOT }, 'kms:Dec*')],
    ['beside a service', [allow({ Service: 'ec2.amazonaws.com' }), allow({ AWS: ROOT, Service: 'x' })]],
  ])('an account is named %s', (_, statement) => {
    expect(keyUse(key(statement), ACCOUNT).use).toBe('yes');
  });

  test.each([
    ['is not named', allow({ AWS: 'arn:aws:iam::111122223333:root' })],
    ['may only look', allow({ AWS: ROOT }, 'kms:DescribeKey')],
    ['has a longer ID', allow({ AWS: `arn:aws:iam::${ACCOUNT}7:root` })],
  ])('an account that %s may not', (_, statement) => {
    expect(keyUse(key(statement), ACCOUNT)).toMatchObject({ use: 'no', reason: expect.stringContaining(`add ${ROOT} to it`) });
  });

  test('the same in another partition', () => {
    const there = { ...key([]), arn: ARN.replace('arn:aws:', 'arn:aws-us-gov:') };
    const root = ROOT.replace('arn:aws:', 'arn:aws-us-gov:');
    const named = JSON.stringify({ Statement: allow({ AWS: root }) });
    const role = SCALING.replace('arn:aws:', 'arn:aws-us-gov:');
    expect(keyUse({ ...there, policy: named, grantees: [role] }, ACCOUNT)).toEqual({ use: 'yes' });
    expect(keyUse(there, ACCOUNT)).toMatchObject({ use: 'no', reason: expect.stringContaining(`add ${root} to it`) });
  });

  test('what cannot be read is unknown, not allowed and not refused', () => {
    expect(keyUse({ ...key([]), policy: undefined }, ACCOUNT).use).toBe('unknown');
    expect(keyUse({ ...key([]), policy: 'not JSON' }, ACCOUNT).use).toBe('unknown');
    expect(keyUse({ ...key([]), policy: '{"Statement":7}' }, ACCOUNT).use).toBe('unknown');
  });

  test('a grant does where the policy is silent', () => {
    const strangers = allow({ AWS: 'arn:aws:iam::111122223333:root' });
    expect(keyUse(key(strangers, [`arn:aws:iam::${ACCOUNT}:role/x`]), ACCOUNT).use).toBe('yes');
    expect(keyUse(key(strangers, [`arn:aws:iam::${ACCOUNT}7:role/x`]), ACCOUNT).use).toBe('no');
  });

  test('Auto Scaling has a grant, or it is doubted: across accounts the policy alone does not do for a service-linked role', () => {
    expect(keyUse(key(allow({ AWS: ROOT }), [SCALING]), ACCOUNT)).toEqual({ use: 'yes' });
    expect(keyUse(key(allow({ AWS: [ROOT, SCALING] })), ACCOUNT)).toMatchObject({ warning: expect.stringContaining('no grant names it') });
    expect(keyUse({ ...key(allow({ AWS: ROOT })), grantees: undefined }, ACCOUNT)).toMatchObject({
      warning: expect.stringContaining('kms:ListGrants'),
    });
    expect(keyUse(key(allow({ AWS: ROOT }, 'kms:Decrypt')), ACCOUNT)).toMatchObject({
      use: 'yes',
      warning: expect.stringContaining('does not let that account use kms:CreateGrant'),
    });
  });

  const when = (statement: object, Condition: unknown) => ({ ...statement, Condition });
  const deny = (principal: unknown, action: unknown = 'kms:*') => ({ ...allow(principal, action), Effect: 'Deny', Sid: 'No' });
  const open = allow({ AWS: ROOT });

  test.each<[string, unknown, 'yes' | 'no' | 'unknown']>([
    ['the account by name', [open, deny({ AWS: ROOT })], 'no'],
    ['everybody', [open, deny('*', 'kms:Decrypt')], 'no'],
    ['everybody the handing on', [open, deny('*', ['kms:CreateGrant'])], 'no'],
    ['Auto Scaling by name', [open, deny({ AWS: SCALING })], 'no'],
    [
      'everybody who is not of the owner',
      [open, { Effect: 'Deny', NotPrincipal: { AWS: 'arn:aws:iam::111122223333:root' }, Action: 'kms:*' }],
      'no',
    ],
    ['all but what is listed', [open, { Effect: 'Deny', Principal: '*', NotAction: 'kms:DescribeKey' }], 'no'],
    ['all but what it takes', [open, { Effect: 'Deny', Principal: '*', NotAction: ['kms:Decrypt', 'kms:CreateGrant'] }], 'yes'],
    ['another account', [open, deny({ AWS: 'arn:aws:iam::999999999999:root' })], 'yes'],
    ['one role of the account', [open, deny({ AWS: `arn:aws:iam::${ACCOUNT}:role/x` })], 'yes'],
    [
      'somebody, with an exception in the account',
      [open, { Effect: 'Deny', NotPrincipal: { AWS: `arn:aws:iam::${ACCOUNT}:role/x` }, Action: 'kms:*' }],
      'no',
    ],
    ['other accounts', [open, when(deny('*'), { StringNotEquals: { 'kms:CallerAccount': ['111122223333', ACCOUNT] } })], 'yes'],
    ['all other accounts', [open, when(deny('*'), { StringNotEquals: { 'kms:CallerAccount': '111122223333' } })], 'no'],
    ['everything but EC2', [open, when(deny('*'), { StringNotEquals: { 'kms:ViaService': 'ec2.eu-central-1.amazonaws.com' } })], 'yes'],
    ['EC2', [open, when(deny('*'), { StringLike: { 'kms:ViaService': 'ec2.*.amazonaws.com' } })], 'no'],
    ['calls without TLS', [open, when(deny('*'), { Bool: { 'aws:SecureTransport': false } })], 'yes'],
    ['grants that are not for AWS', [open, when(deny('*', 'kms:CreateGrant'), { Bool: { 'kms:GrantIsForAWSResource': 'false' } })], 'yes'],
    ['other organizations', [open, when(deny('*'), { StringNotEquals: { 'aws:PrincipalOrgID': 'o-1' } })], 'unknown'],
    [
      'by an operator that we do not know, of what we know',
      [open, when(deny('*'), { NumericEquals: { 'aws:PrincipalAccount': '1' } })],
      'unknown',
    ],
    ['by an operator that we do not know', [open, when(deny('*'), { IpAddress: { 'aws:SourceIp': '10.0.0.0/8' } })], 'unknown'],
    ['all but Auto Scaling', [open, when(deny('*'), { ArnNotLike: { 'aws:PrincipalArn': '*AWSServiceRoleForAutoScaling' } })], 'unknown'],
  ])('a Deny of %s', (_, statement, use) => {
    expect(keyUse(key(statement, [SCALING]), ACCOUNT)).toMatchObject(
      use === 'unknown' ? { use, reason: expect.stringMatching(/depends on aws:/) } : { use },
    );
  });

  test('says which statement denies', () => {
    expect(keyUse(key([open, deny({ AWS: SCALING })]), ACCOUNT)).toEqual({
      use: 'no',
      reason: `the policy of ${ARN} denies kms:Decrypt to Auto Scaling in account ${ACCOUNT} (statement No): except it there`,
    });
  });

  test.each<[string, unknown, 'yes' | 'no' | 'unknown']>([
    ['through EC2', { StringEquals: { 'kms:ViaService': ['rds.x', 'ec2.eu-central-1.amazonaws.com'] } }, 'yes'],
    ['through another service', { StringEquals: { 'kms:ViaService': 'rds.eu-central-1.amazonaws.com' } }, 'no'],
    ['of this account', { StringEquals: { 'kms:CallerAccount': ACCOUNT } }, 'yes'],
    ['of another account', { StringEquals: { 'kms:CallerAccount': '999999999999' } }, 'no'],
    ['for AWS', { Bool: { 'kms:GrantIsForAWSResource': 'true' } }, 'yes'],
    ['of an organization', { StringEquals: { 'aws:PrincipalOrgID': 'o-1' } }, 'unknown'],
    ['two at once, one of which fails', { StringEquals: { 'aws:PrincipalOrgID': 'o-1', 'kms:CallerAccount': '1' } }, 'no'],
  ])('an Allow %s', (_, condition, use) => {
    expect(keyUse(key(when(allow('*'), condition), []), ACCOUNT).use).toBe(use);
  });

  test('a whole organization is let in by its ID', () => {
    const unit = 'arn:aws:organizations::111122223333:ou/o-abcdefghij/ou-abcd-12345678';
    const ofOrganization = (id: string) => key(when(allow('*'), { StringEquals: { 'aws:PrincipalOrgID': id } }));
    expect(organizationDoubt(ofOrganization('o-abcdefghij'), unit)).toBeUndefined();
    expect(organizationDoubt(ofOrganization('o-other'), unit)).toContain('does not let the accounts of');
    expect(organizationDoubt(key(open), unit)).toContain('those that it does not name cannot launch the image');
    const paths = { 'ForAnyValue:StringLike': { 'aws:PrincipalOrgPaths': 'o-abcdefghij/r-1/ou-abcd-12345678/*' } };
    expect(organizationDoubt(key(when(allow('*'), paths)), unit)).toContain('was not checked: its policy depends on aws:PrincipalOrgPaths');
    const ofOne = key(when(allow('*'), { StringEquals: { 'kms:CallerAccount': ACCOUNT } }));
    expect(organizationDoubt(ofOne, unit)).toContain('was not checked: its policy depends on kms:CallerAccount');
    expect(organizationDoubt({ ...key(open), policy: undefined }, unit)).toContain('was not checked');
  });
});

describe('Allowed AMIs', () => {
  const day = (n: number) => Date.parse('2026-05-01') + n * 86_400_000;
  const image = { ownerId: '111122223333', name: 'web-1', createdAt: new Date(day(0)), deprecatedAt: undefined };
  const nothing: Criterion = { providers: [], names: [], daysSinceCreated: undefined, daysSinceDeprecated: undefined, further: [] };
  const own = { providers: ['111122223333'] };
  const enters = (criteria: readonly Partial<Criterion>[], state: 'enabled' | 'audit-mode' | 'disabled' = 'enabled', of = image) =>
    entryOf({ state, criteria: criteria.map(criterion => ({ ...nothing, ...criterion })) }, of, day(10));

  test.each<[string, readonly Partial<Criterion>[]]>([
    ['its account', [own]],
    ['its account, in the second', [{ providers: ['amazon'] }, own]],
    ['its name', [{ names: ['api-*', 'web-?'] }]],
    ['its age', [{ ...own, daysSinceCreated: 10 }]],
    ['images that are not deprecated', [{ daysSinceDeprecated: 0 }]],
    ['it in one, and something of which we know nothing in another', [{ further: ['MarketplaceProductCodes'] }, own]],
  ])('by %s they let it in', (_, criteria) => {
    expect(enters(criteria)).toEqual({ lets: 'in' });
  });

  test.each<[readonly Partial<Criterion>[], string]>([
    [[{ providers: ['amazon'] }, { providers: ['aws-marketplace'] }], 'its Allowed AMIs do not list account 111122223333'],
    [[{ providers: ['none'] }], 'its Allowed AMIs do not list account 111122223333'],
    [[{ ...own, names: ['web', 'web.1'] }], 'its Allowed AMIs want other names than "web-1"'],
    [[{ ...own, daysSinceCreated: 9 }], 'its Allowed AMIs want images of at most 9 days, and it is 10 days old'],
    [[{ providers: ['amazon'] }, { names: ['api'] }], 'its Allowed AMIs do not list account 111122223333; want other names than "web-1"'],
    [[{ providers: ['amazon'], further: ['ScanResultCondition'] }], 'its Allowed AMIs do not list account 111122223333'],
    [[], 'its Allowed AMIs let nothing in'],
  ])('%j keep it out', (criteria, reason) => {
    expect(enters(criteria)).toEqual({ lets: 'out', reason });
    expect(enters(criteria, 'audit-mode')).toEqual({ lets: 'in' });
    expect(enters(criteria, 'disabled')).toEqual({ lets: 'in' });
  });

  test('one that is deprecated for long is kept out where they say so', () => {
    const old = { ...image, deprecatedAt: new Date(day(5)) as Date | undefined } as typeof image;
    expect(enters([{ daysSinceDeprecated: 4 }], 'enabled', old)).toMatchObject({ lets: 'out' });
    expect(enters([{ daysSinceDeprecated: 5 }], 'enabled', old)).toMatchObject({ lets: 'in' });
  });

  test('what cannot be told is said, and neither let in nor kept out', () => {
    expect(enters([{ ...own, further: ['MarketplaceProductCodes', 'ScanResultCondition'] }])).toEqual({
      lets: 'unknown',
      reason: 'they ask for MarketplaceProductCodes, ScanResultCondition',
    });
    expect(entryOf(undefined, image, day(10))).toEqual({ lets: 'unknown', reason: 'they may not be read (ec2:GetAllowedImagesSettings)' });
  });
});

test('a subject is told in the form that it does not have', () => {
  const ids = { owner: '1', repository: '2' };
  expect(subjectHint('repo:acme@1/web@2:ref:refs/heads/main', ids)).toContain('"repo:acme/web:ref:refs/heads/main"');
  expect(subjectHint('repo:acme/web:environment:prod', ids)).toContain('"repo:acme@1/web@2:environment:prod"');
  expect(subjectHint('repo:acme/web:pull_request', { owner: '', repository: '' })).toContain('"repo:acme@ID/web@ID:pull_request"');
  expect(subjectHint('job_workflow_ref:acme/x', ids)).toContain('is customized');
});
