import { expect, test } from '@jest/globals';
import { type Finding, findingOfFailure, firstProblem, nextStep, worstFirst } from '../../src/doctor/rules/findings.ts';
import { permissionsOn } from '../../src/doctor/rules/resources.ts';
import { AccessError, RejectedError, UsageError } from '../../src/kit/errors.ts';

const place: Parameters<typeof permissionsOn>[0] = {
  ...{ partition: 'aws', region: 'eu-central-1', account: '111122223333', pointer: '/ami/web/stage' },
  named: [
    { kind: 'group', name: 'web' },
    { kind: 'group', name: 'batch' },
    { kind: 'stack', name: 'shop' },
    { kind: 'node group', name: 'main/blue' },
  ],
  templateIds: ['lt-1', 'lt-2'],
};
const EC2 = 'arn:aws:ec2:eu-central-1';

// https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
test.each<[action: string, resources: readonly string[]]>([
  ['ec2:CreateLaunchTemplateVersion', ['lt-1', 'lt-2'].map(id => `${EC2}:111122223333:launch-template/${id}`)],
  ['ec2:RunInstances', [`${EC2}:111122223333:instance/*`]],
  ['ec2:TerminateInstances', [`${EC2}:111122223333:instance/*`]],
  ['ec2:DeleteSnapshot', [`${EC2}::snapshot/*`]],
  ['ec2:DeleteVolume', [`${EC2}:111122223333:volume/*`]],
  ['ec2:DeleteKeyPair', [`${EC2}:111122223333:key-pair/*`]],
  ['ec2:DeleteSecurityGroup', [`${EC2}:111122223333:security-group/*`]],
  ['ec2:DeregisterImage', [`${EC2}::image/*`]],
  ['ec2:CreateTags', [`${EC2}::image/*`]],
  ['ec2:CreateLaunchTemplate', []],
  ['ec2:DeleteLaunchTemplate', []],
  ['autoscaling:CreateLaunchConfiguration', []],
  [
    'autoscaling:StartInstanceRefresh',
    ['web', 'batch'].map(name => `arn:aws:autoscaling:eu-central-1:111122223333:autoScalingGroup:*:autoScalingGroupName/${name}`),
  ],
  ['cloudformation:UpdateStack', ['arn:aws:cloudformation:eu-central-1:111122223333:stack/shop/*']],
  ['eks:UpdateNodegroupVersion', ['arn:aws:eks:eu-central-1:111122223333:nodegroup/main/blue/*']],
  ['ssm:SendCommand', ['arn:aws:ssm:eu-central-1::document/AWS-RunShellScript']],
  ['ssm:PutParameter', ['arn:aws:ssm:eu-central-1:111122223333:parameter/ami/web/stage']],
  ['kms:CreateGrant', []],
])('what %s acts on', (action, resources) => {
  expect(permissionsOn(place, [action])).toEqual(resources.map(resource => ({ action, resource })));
});

test('without a pointer no parameter is asked for', () => {
  expect(permissionsOn({ ...place, pointer: undefined }, ['ssm:PutParameter'])).toEqual([]);
});

test('a dry run that is refused is a warning, and what settings or access cause is a problem', () => {
  const rejected = new RejectedError('no', { next: 'Wait.' });
  expect(findingOfFailure('promote', rejected)).toEqual({
    ...{ area: 'promote', status: 'warning', says: 'would be refused now: no', fix: 'Wait.' },
  });
  const denied = new AccessError('denied', { next: 'Allow it.' });
  expect(findingOfFailure('promote', denied)).toEqual({
    ...{ area: 'promote', status: 'problem', says: 'denied', fix: 'Allow it.', cause: denied },
  });
});

const finding = (status: Finding['status'], more: Partial<Finding> = {}): Finding => ({ area: 'build', status, says: status, ...more });

test('the worst come first, and the problem to fix first is that of access', () => {
  const [usage, access] = [new UsageError(['x']), new AccessError('y')];
  const all = [
    finding('ok'),
    finding('skipped'),
    finding('problem', { cause: usage }),
    finding('warning'),
    finding('problem', { cause: access }),
  ];
  expect(worstFirst(all).map(({ status }) => status)).toEqual(['problem', 'problem', 'warning', 'skipped', 'ok']);
  expect([firstProblem(all)?.cause, firstProblem(all.slice(0, 4))?.cause, firstProblem([finding('ok')])]).toEqual([
    access,
    usage,
    undefined,
  ]);
});

test('the next step is the first fix, else the first dry run', () => {
  const fixed = [
    finding('ok', { fix: 'not this' }),
    finding('warning', { area: 'rollback', fix: 'nor this' }),
    finding('problem', { fix: 'Fix it.' }),
  ];
  expect(nextStep(fixed, ['promote'], 'stage')).toBe('Fix it.');
  expect(nextStep([finding('ok')], ['promote'], 'stage')).toBe('npx ami-action promote --environment stage --dry-run');
  expect(nextStep([finding('warning')], [], undefined)).toBe('npx ami-action build --dry-run');
});
