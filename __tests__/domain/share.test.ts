import { describe, expect, test } from '@jest/globals';
import { keptOutBecause } from '../../src/domain/share/allowed.ts';
import { type ImageKey, keyUse } from '../../src/domain/share/key.ts';
import { subjectHint } from '../../src/domain/subject.ts';

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
    ['by a wildcard in the action', allow({ AWS: ROOT }, 'kms:Dec*')],
    ['beside a service', [allow({ Service: 'ec2.amazonaws.com' }), allow({ AWS: ROOT, Service: 'x' })]],
  ])('an account is named %s', (_, statement) => {
    expect(keyUse(key(statement), ACCOUNT).use).toBe('yes');
  });

  test.each([
    ['is not named', allow({ AWS: 'arn:aws:iam::111122223333:root' })],
    ['is denied', { ...allow({ AWS: ROOT }), Effect: 'Deny' }],
    ['may only look', allow({ AWS: ROOT }, 'kms:DescribeKey')],
    ['has a longer ID', allow({ AWS: `arn:aws:iam::${ACCOUNT}7:root` })],
  ])('an account that %s may not', (_, statement) => {
    expect(keyUse(key(statement), ACCOUNT)).toMatchObject({ use: 'no', because: expect.stringContaining(`add ${ROOT} to it`) });
  });

  test('what cannot be read is unknown, not allowed and not refused', () => {
    expect(keyUse({ ...key([]), policy: undefined }, ACCOUNT).use).toBe('unknown');
    expect(keyUse({ ...key([]), policy: 'not JSON' }, ACCOUNT).use).toBe('unknown');
    expect(keyUse({ ...key([]), policy: '{"Statement":7}' }, ACCOUNT).use).toBe('unknown');
  });

  test('Auto Scaling is named by policy or grant, or it is doubted', () => {
    expect(keyUse(key(allow({ AWS: [ROOT, SCALING] })), ACCOUNT)).toEqual({ use: 'yes' });
    expect(keyUse(key(allow({ AWS: ROOT }), [SCALING]), ACCOUNT)).toEqual({ use: 'yes' });
    expect(keyUse(key(allow({ AWS: ROOT })), ACCOUNT)).toMatchObject({
      doubt: expect.stringContaining('neither its policy nor a grant names it'),
    });
    expect(keyUse({ ...key(allow({ AWS: ROOT })), grantees: undefined }, ACCOUNT)).toMatchObject({
      doubt: expect.stringContaining('kms:ListGrants'),
    });
  });
});

test('Allowed AMIs keep out by owner; of names and dates AWS judges itself', () => {
  const image = { ownerId: '111122223333' };
  const said = (state: 'enabled' | 'audit-mode' | 'disabled', ...criteria: readonly string[][]) =>
    keptOutBecause({ state, criteria: criteria.map(providers => ({ providers })) }, image);
  expect(said('enabled', ['amazon'])).toContain('do not list account 111122223333');
  expect([said('enabled', ['amazon'], ['111122223333']), said('enabled', []), said('disabled', ['amazon'])]).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
  expect(keptOutBecause(undefined, image)).toBeUndefined();
});

test('a subject is told in the form that it does not have', () => {
  const ids = { owner: '1', repository: '2' };
  expect(subjectHint('repo:acme@1/web@2:ref:refs/heads/main', ids)).toContain('"repo:acme/web:ref:refs/heads/main"');
  expect(subjectHint('repo:acme/web:environment:prod', ids)).toContain('"repo:acme@1/web@2:environment:prod"');
  expect(subjectHint('repo:acme/web:pull_request', { owner: '', repository: '' })).toContain('"repo:acme@ID/web@ID:pull_request"');
  expect(subjectHint('job_workflow_ref:acme/x', ids)).toContain('is customized');
});
