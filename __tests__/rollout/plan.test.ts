import { describe, expect, test } from '@jest/globals';
import { atVersions, type Group, type Launch, sameLaunch, useKey } from '../../src/model/group.ts';
import type { TemplateVersion } from '../../src/model/template.ts';
import type { GroupFacts, PlanOptions } from '../../src/rollout/rules/facts.ts';
import { formatPaces } from '../../src/rollout/rules/pace.ts';
import { contentKey, launchAfter, planGroup } from '../../src/rollout/rules/plan.ts';
import { replacedAtATime } from '../../src/rollout/rules/preferences.ts';
import { estimate, terraformWarnings } from '../../src/rollout/rules/warnings.ts';
import { configuration, facts, group, member, refresh, use, version, wanted } from './fixtures.ts';

const NONE = { minHealthy: undefined, maxHealthy: undefined };

const mixed = (policy: Readonly<Record<string, unknown>> = {}): Launch => ({
  kind: 'mixed',
  template: use('3'),
  overrides: [
    { instanceType: 't3.micro', template: undefined, imageId: undefined },
    { instanceType: 't3.small', template: use('7', 'lt-2'), imageId: undefined },
  ],
  policy,
});

describe('what is done to a group', () => {
  const ready = new Map([[contentKey(version(4)), version(4, { imageId: 'ami-new' })]]);
  const runs = new Map([
    ['i-1', 'ami-new'],
    ['i-2', 'ami-new'],
  ]);
  const on4 = {
    group: group({ launch: { kind: 'template', template: use('4') } }),
    versions: new Map([[useKey(use('4')), version(4, { imageId: 'ami-new' })]]),
  };
  test.each<[string, Partial<GroupFacts>, string, string]>([
    ['runs another image', {}, 'refresh', '2 of 2 instances in service run another image'],
    [
      'launches the image but runs another',
      on4,
      'refresh',
      '2 of 2 instances in service run another image, although it launches this image',
    ],
    ['launches and runs it', { ...on4, images: runs }, 'nothing', 'launches and runs ami-new only'],
    [
      'is being refreshed to it by us',
      { ready, active: refresh() },
      'watch',
      'refresh r-1 to this image is in progress (InProgress, 50 %)',
    ],
    [
      'is being rolled back from it',
      { ready, active: refresh({ status: 'RollbackInProgress' }) },
      'watch',
      'refresh r-1 to this image is in progress (RollbackInProgress, 50 %)',
    ],
    [
      'is being refreshed to something else',
      { ready, active: refresh({ desired: { kind: 'template', template: use('9') } }) },
      'refresh',
      '2 of 2 instances in service run another image',
    ],
    ['has no instances', { group: group({ desired: 0, members: [] }) }, 'template', 'no instances: only the template version changes'],
    [
      'has only instances that leave',
      { group: group({ desired: 0, members: [member('i-1', { state: 'Terminating:Wait' })] }) },
      'template',
      'no instances: only the template version changes',
    ],
    [
      'launches it, and has nothing in service though it should',
      { ...on4, group: { ...on4.group, members: [member('i-1', { state: 'Pending' })] }, images: runs },
      'refresh',
      'none of its 2 instances is in service',
    ],
    [
      'runs it, and would take another image out of its warm pool',
      { ...on4, images: new Map([...runs, ['i-9', 'ami-old']]), warmPool: ['i-9'] },
      'refresh',
      '1 instance of its warm pool runs another image',
    ],
    [
      'has no instances, but a warm pool with another image',
      { group: group({ desired: 0, members: [] }), warmPool: ['i-9'] },
      'refresh',
      '1 instance of its warm pool runs another image',
    ],
    [
      'runs it, in the warm pool too',
      { ...on4, images: new Map([...runs, ['i-9', 'ami-new']]), warmPool: ['i-9'] },
      'nothing',
      'launches and runs ami-new only',
    ],
    [
      'runs it from $Latest',
      {
        group: group({ launch: { kind: 'template', template: use('$Latest') } }),
        versions: new Map([[useKey(use('$Latest')), version(4, { imageId: 'ami-new' })]]),
        images: runs,
      },
      'template',
      'runs ami-new already: only the version number is pinned',
    ],
  ])('a group that %s', (_, change, action, reason) => {
    expect(planGroup(facts(change), wanted)).toMatchObject({ action, reason });
  });

  test('an equal version is used again, one that differs in more than the image is not', () => {
    expect(planGroup(facts({ ready }), wanted).changes).toMatchObject([{ from: { number: 3 }, to: { number: 4 } }]);
    const other = new Map([[contentKey(version(4, { content: 'x' })), version(4, { content: 'x', imageId: 'ami-new' })]]);
    expect(planGroup(facts({ ready: other }), wanted).changes).toMatchObject([{ from: { number: 3 }, to: undefined }]);
  });

  test('$Latest is pinned to the number that it means now, which is what the way back leads to', () => {
    const latest = use('$Latest');
    const plan = planGroup(
      facts({ group: group({ launch: { kind: 'template', template: latest } }), versions: new Map([[useKey(latest), version(3)]]) }),
      wanted,
    );
    expect(plan).toMatchObject({ action: 'refresh', mustPin: true, before: { template: { version: '3' } } });
    expect(plan.warnings).toEqual([
      'launches from web:$Latest: the group is pinned to the current version number and stays pinned, because AWS cannot roll back otherwise',
      'a fleet, compute environment or script that launches web:$Latest too gets the new image at once: pin it to a version number',
    ]);
  });

  test('a batch size that AWS cannot express is reported with what it will be', () => {
    const members = Array.from({ length: 300 }, (_, i) => member(`i-${i}`));
    const plan = (batchSize: number) => planGroup(facts({ group: group({ desired: 300, members }) }), { ...wanted, batchSize });
    expect(plan(3)).toMatchObject({ atATime: 3, warnings: [] });
    expect(plan(4)).toMatchObject({
      atATime: 3,
      warnings: ['"batch-size" is 4, but AWS takes whole percents only: 3 of 300 instances are replaced at a time'],
    });
    expect(planGroup(facts(), { ...wanted, batchSize: 5 })).toMatchObject({ atATime: 2, warnings: [] });
  });

  test('the instances of a warm pool are planned only where instances are replaced', () => {
    const images = new Map([...facts().images, ['i-8', 'ami-new'], ['i-9', 'ami-old']]);
    expect(planGroup(facts({ warmPool: ['i-8', 'i-9'], images }), wanted).replacesPool).toEqual(['i-9']);
    expect(planGroup(facts({ ready, warmPool: ['i-9'], active: refresh() }), wanted)).toMatchObject({ action: 'watch', replacesPool: [] });
  });

  test('batches and duration are planned', () => {
    expect(planGroup(facts(), { ...wanted, minHealthy: 50 })).toMatchObject({ replaces: 2, atATime: 1, estimatedSeconds: 2 * 120 + 300 });
    expect([
      replacedAtATime({ desired: 10 }, NONE),
      replacedAtATime({ desired: 10 }, { ...NONE, minHealthy: 50 }),
      replacedAtATime({ desired: 2 }, NONE),
      replacedAtATime({ desired: 4 }, { minHealthy: 100, maxHealthy: 200 }),
    ]).toEqual([1, 5, 1, 4]);
  });
});

describe('what is refused, with the remedy', () => {
  const lt = (change: Partial<TemplateVersion>) => ({ versions: new Map([[useKey(use('3')), version(3, change)]]) });
  test.each<[string, Partial<GroupFacts>, RegExp]>([
    [
      'scenario 53: a launch configuration',
      {
        group: group({ launch: { kind: 'configuration', name: 'lc' } }),
        configuration: { now: configuration(), copyName: 'lc-ami-action-1' },
      },
      /launch configuration "lc".*Create a launch template/,
    ],
    [
      'scenario 53: a template that reads a parameter',
      lt({ imageId: 'resolve:ssm:/ami/web' }),
      /reads its image from a parameter \(resolve:ssm:\/ami\/web\).*strategy: none/,
    ],
    ['a template without an image', lt({ imageId: '' }), /web:3 names no image/],
    ['a version that is gone', { versions: new Map() }, /launch template version web:3 does not exist/],
    [
      'scenario 35: the wrong architecture',
      { architectures: new Map([['t3.micro', ['arm64']]]) },
      /t3\.micro is arm64, but ami-new is x86_64/,
    ],
    [
      'an instance type that does not exist',
      { architectures: new Map([['t3.micro', undefined]]) },
      /t3\.micro does not exist in this region/,
    ],
    [
      'scenario 55: the refresh of another process',
      { active: refresh({ desired: undefined }) },
      /refresh r-1 \(not started by ami-action\) is InProgress \(50 %, to what the group launches\)/,
    ],
    [
      'scenario 63: suspended processes',
      { group: group({ suspended: ['Launch', 'AZRebalance', 'HealthCheck'] }) },
      /^web: Launch and HealthCheck are suspended.*resume-processes/,
    ],
    [
      'scenario 63: new instances would get no traffic',
      { group: group({ suspended: ['AddToLoadBalancer'], targetGroups: ['arn:tg'] }) },
      /^web: AddToLoadBalancer is suspended, so a rollout would .* leave new ones without traffic/,
    ],
    [
      'scenario 63: new instances would get no traffic of a classic balancer',
      { group: group({ suspended: ['AddToLoadBalancer'], healthCheck: 'EC2', balancers: ['old-elb'] }) },
      /AddToLoadBalancer is suspended/,
    ],
    [
      'scenario 63: new instances would get no traffic of whatever the health check asks',
      { group: group({ suspended: ['AddToLoadBalancer'], healthCheck: 'EC2,ELB' }) },
      /AddToLoadBalancer is suspended/,
    ],
    [
      'scenario 63: a protected instance',
      { group: group({ members: [member('i-1', { protected: true })] }) },
      /i-1 is protected from scale-in; AWS would wait an hour/,
    ],
    [
      'scenario 63: an instance in standby',
      { group: group({ members: [member('i-1', { state: 'Standby' })] }) },
      /i-1 is in standby; AWS would wait an hour/,
    ],
    ['a volume from a snapshot', lt({ snapshotIds: ['snap-9'] }), /creates a volume from snap-9.*put the volume into the image/],
    [
      'others on $Latest of the template',
      { latestUsers: new Map([['lt-1', ['batch']]]) },
      /batch launches from \$Latest of the same launch template/,
    ],
    [
      'scenario 54: an override with its own image',
      {
        group: group({
          launch: { ...mixed(), overrides: [{ instanceType: 'm5.large', template: undefined, imageId: 'ami-x' }] } as Launch,
        }),
      },
      /override m5\.large names its own image ami-x/,
    ],
    [
      'a refresh of another process, also in a group without instances',
      { group: group({ desired: 0, members: [] }), active: refresh({ desired: { kind: 'template', template: use('9') } }) },
      /^web: refresh r-1 \(not started by ami-action\) is InProgress/,
    ],
    [
      'minor m13: a member of the policy that the SDK would drop',
      { group: group({ launch: { ...mixed(), unknown: ['MixedInstancesPolicy.InstancesDistribution.Shape'] } as Launch }) },
      /AWS shows MixedInstancesPolicy\.InstancesDistribution\.Shape, which this version of ami-action does not know and a rollout would remove: update ami-action/,
    ],
    ['a group that is being deleted', { group: group({ beingDeleted: true }) }, /being deleted/],
  ])('%s', (_, change, says) => {
    expect(planGroup(facts(change), wanted).refusals.join('\n')).toMatch(says);
  });

  test('nothing, where nothing is in the way', () => {
    expect(planGroup(facts(), wanted)).toMatchObject({ refusals: [], warnings: [] });
    expect(planGroup(facts({ latestUsers: new Map([['lt-2', ['batch']]]) }), wanted).refusals).toEqual([]);
    const unbalanced = facts({ group: group({ suspended: ['AddToLoadBalancer', 'AZRebalance'], healthCheck: 'EC2' }) });
    expect(planGroup(unbalanced, wanted).refusals).toEqual([]);
    const shielded = facts({ group: group({ members: [member('i-1', { protected: true }), member('i-2', { state: 'Standby' })] }) });
    expect(planGroup(shielded, { ...wanted, protectedInstances: 'refresh', standbyInstances: 'terminate' })).toMatchObject({
      refusals: [],
      warnings: [],
    });
  });

  test('that AWS does not ask the load balancer is said', () => {
    const unasked = (healthCheck: string, targetGroups: string[]) =>
      planGroup(facts({ group: group({ healthCheck, targetGroups }) }), wanted).warnings;
    expect(unasked('EC2', ['arn:tg'])).toEqual([
      expect.stringMatching(/^health check type EC2: AWS continues even if new instances get no traffic/),
    ]);
    expect([unasked('EC2,ELB', ['arn:tg']), unasked('EC2', [])]).toEqual([[], []]);
  });

  test('behind a classic balancer, which is asked, it is the same; that VPC Lattice cannot be asked is a warning for both strategies', () => {
    const unasked = (balancer: string, healthCheck: string) =>
      (['rolling', 'blue-green'] as const).map(
        strategy => planGroup(facts({ group: group({ healthCheck, balancers: [balancer] }) }), { ...wanted, strategy }).warnings,
      );
    expect(unasked('old-elb', 'EC2')).toEqual([[expect.stringMatching(/^health check type EC2: AWS continues/)], []]);
    const lattice = 'arn:aws:vpc-lattice:eu-central-1:111122223333:targetgroup/tg-1';
    const expected = `health check type EC2: AWS does not show whether new instances are healthy in ${lattice}. Set the health check type to VPC_LATTICE`;
    expect(unasked(lattice, 'EC2')).toEqual([[expected], [expected]]);
    expect([...unasked('old-elb', 'ELB'), ...unasked(lattice, 'VPC_LATTICE')]).toEqual([[], [], [], []]);
  });

  test('scenario 63: waiting an hour is said to be that', () => {
    const shielded = facts({ group: group({ members: [member('i-1', { protected: true }), member('i-2', { state: 'Standby' })] }) });
    const { warnings } = planGroup(shielded, { ...wanted, protectedInstances: 'wait', standbyInstances: 'wait' });
    expect(warnings.join('\n')).toMatch(/protected instance: AWS waits one hour[\s\S]*in standby: AWS waits one hour/);
  });
});

describe('scenario 54: a mixed instances policy', () => {
  const versions = new Map([
    [useKey(use('3')), version(3)],
    [useKey(use('7', 'lt-2')), version(7, { templateId: 'lt-2', instanceType: 't3.small' })],
  ]);
  const both = facts({
    group: group({ launch: mixed({ InstancesDistribution: { OnDemandBaseCapacity: 1 } }) }),
    versions,
    architectures: new Map([
      ['t3.micro', ['x86_64']],
      ['t3.small', ['x86_64']],
    ]),
  });

  test('overrides with a template of their own get a version of it, and the policy stays whole', () => {
    const plan = planGroup(both, wanted);
    expect(plan.changes.map(({ from }) => `${from.templateId}:${from.number}`)).toEqual(['lt-1:3', 'lt-2:7']);
    expect(plan.refusals).toEqual([]);
    const made = plan.changes.map(change => ({ ...change, to: version(change.from.number + 1, { templateId: change.from.templateId }) }));
    expect(launchAfter(plan.before, made)).toMatchObject({
      template: { version: '4' },
      overrides: [{ template: undefined }, { template: { templateId: 'lt-2', version: '8' } }],
      policy: { InstancesDistribution: { OnDemandBaseCapacity: 1 } },
    });
  });

  test('an override for another architecture is refused by its name', () => {
    const arm = {
      ...both,
      architectures: new Map([
        ['t3.micro', ['x86_64' as const]],
        ['t3.small', ['arm64' as const]],
      ]),
    };
    expect(planGroup(arm, wanted).refusals).toEqual([
      expect.stringMatching(/^web: instance type t3\.small is arm64, but ami-new is x86_64/),
    ]);
  });

  test('is known again by every version that it names', () => {
    expect(sameLaunch(mixed(), mixed())).toBe(true);
    expect(sameLaunch(mixed(), atVersions(mixed(), new Map([[useKey(use('7', 'lt-2')), 8]])))).toBe(false);
    expect(sameLaunch(mixed(), { kind: 'template', template: use('3') })).toBe(false);
  });
});

describe('groups that others manage', () => {
  const tagged = (tags: Record<string, string>) => facts({ group: group({ tags }) });
  test.each<[string, Partial<GroupFacts>, RegExp]>([
    ['EKS', tagged({ 'eks:nodegroup-name': 'blue' }), /belongs to EKS node group blue.*name it in "node-groups" as cluster\/nodegroup/],
    [
      'Elastic Beanstalk',
      tagged({ 'elasticbeanstalk:environment-name': 'shop' }),
      /belongs to Elastic Beanstalk environment shop.*ImageId/,
    ],
    ['AWS Batch', tagged({ AWSBatchServiceTag: 'batch' }), /belongs to AWS Batch compute environment batch/],
    ['an operator', facts({ group: group({ operator: 'eks.amazonaws.com' }) }), /eks\.amazonaws\.com manages it, and AWS refuses changes/],
  ])('%s: refused by every strategy', (_, change, refusal) => {
    for (const strategy of ['rolling', 'blue-green'] as const) {
      expect(planGroup(facts(change), { ...wanted, strategy }).refusals).toEqual([expect.stringMatching(refusal)]);
    }
  });

  test('a stack: refused with its settings as the remedy; not where the template reads the pointer, nor in a rollback', () => {
    const stack = tagged({ 'aws:cloudformation:stack-name': 'web-prod' });
    const refusal =
      'web: it belongs to CloudFormation stack web-prod, whose next update would put its own image back: set "stack: web-prod" and "stack-parameter" (its parameter that holds the image) instead of naming the group';
    for (const strategy of ['rolling', 'blue-green', 'two-groups'] as const)
      expect(planGroup(stack, { ...wanted, strategy }).refusals).toContain(refusal);
    expect(planGroup(stack, { ...wanted, operation: 'rollback' })).toMatchObject({
      refusals: [],
      warnings: [expect.stringMatching(/^belongs to CloudFormation stack web-prod: the next stack update/)],
    });
    const reads = { ...stack, versions: new Map([[useKey(use('3')), version(3, { imageId: 'resolve:ssm:/ami/web/prod' })]]) };
    const following = { ...wanted, parameterTemplates: 'follow', pointer: { name: '/ami/web/prod', value: 'ami-old' } } as const;
    expect(planGroup(reads, following)).toMatchObject({ by: 'pointer', refusals: [] });
    expect(planGroup(stack, { ...wanted, operation: 'rollback', strategy: 'blue-green' }).refusals).toEqual([
      'web: it belongs to CloudFormation stack web-prod, which blue-green would delete it from: set "strategy: rolling"',
    ]);
  });

  test('Kubernetes nodes and ECS instances are not drained: a warning', () => {
    const both = tagged({ 'k8s.io/cluster-autoscaler/shop': 'owned', AmazonECSManaged: '' });
    expect(planGroup(both, wanted).warnings).toEqual([
      expect.stringMatching(/Kubernetes nodes/),
      expect.stringMatching(/ECS capacity provider/),
    ]);
  });
});

describe('groups whose sizes are not instances', () => {
  const mixed = (change: object): Launch => ({
    kind: 'mixed',
    template: use('3'),
    overrides: [{ instanceType: 't3.micro', template: undefined, imageId: undefined, ...change }],
    policy: {},
  });
  const byRequirements = mixed({ instanceType: undefined, byRequirements: true });

  test('instance requirements: no refresh changes their image, by template or by policy', () => {
    const required = new Map([[useKey(use('3')), version(3, { content: '{"InstanceRequirements":{}}' })]]);
    for (const change of [{ group: group({ launch: byRequirements }) }, { versions: required }])
      expect(planGroup(facts(change), wanted).refusals).toEqual([expect.stringMatching(/^web: it selects instance types by requirements/)]);
    expect(planGroup(facts({ group: group({ launch: byRequirements }) }), { ...wanted, strategy: 'blue-green' }).refusals).toEqual([]);
  });

  test('one override, or one template of several, is enough; a refresh by the pointer changes no template', () => {
    const half: Launch = {
      ...{ kind: 'mixed', template: use('3'), policy: {} },
      overrides: [
        { instanceType: 't3.micro', template: undefined, imageId: undefined },
        { instanceType: undefined, byRequirements: true, template: undefined, imageId: undefined },
      ],
    };
    const second = new Map([...facts().versions, ['lt-2 1', version(1, { templateId: 'lt-2', content: '{"InstanceRequirements":{}}' })]]);
    for (const change of [{ group: group({ launch: half }) }, { versions: second }])
      expect(planGroup(facts(change), wanted).refusals).toEqual([expect.stringMatching(/^web: it selects instance types by requirements/)]);
    const reading = new Map([
      [useKey(use('3')), version(3, { imageId: 'resolve:ssm:/ami/web/stage', content: '{"InstanceRequirements":{}}' })],
    ]);
    expect(planGroup(facts({ versions: reading }), { ...wanted, parameterTemplates: 'follow' }).refusals).toEqual([]);
    const empty = { group: group({ sizeUnit: 'weights', desired: 0, members: [] }) };
    for (const sized of [{}, empty]) expect(planGroup(facts(sized), { ...wanted, batchSize: 1 }).refusals).toEqual([]);
    expect(planGroup(facts({ cannotCopy: ['a hook'] }), { ...wanted, strategy: 'blue-green' }).refusals).toEqual([
      'web: a hook, so the green group would differ from web: set "strategy: rolling"',
    ]);
  });

  test.each(['weights', 'vcpu', 'memory-mib'] as const)('%s: batches count instances, and what counts sizes is refused', sizeUnit => {
    const weighted = facts({ group: group({ sizeUnit, desired: 40 }) });
    expect(planGroup(weighted, { ...wanted, minHealthy: 50 })).toMatchObject({ atATime: 1, replaces: 2, refusals: [] });
    expect(planGroup(weighted, { ...wanted, batchSize: 1 }).refusals).toEqual([
      `web: its sizes count ${sizeUnit}, not instances: set "min-healthy" instead of "batch-size"`,
    ]);
    expect(planGroup(weighted, { ...wanted, strategy: 'blue-green' }).refusals).toEqual([
      expect.stringMatching(`its sizes count ${sizeUnit}, not instances, so blue-green cannot tell`),
    ]);
  });
});

test('a weight as large as the group: AWS may replace all at once', () => {
  const heavy = facts({ group: group({ sizeUnit: 'weights', heaviest: 4, desired: 4 }) });
  expect(planGroup(heavy, wanted).warnings).toEqual([
    'one instance may count for 4 of the 4 that it wants: AWS may replace all instances at once',
  ]);
  expect(planGroup(facts({ group: group({ sizeUnit: 'weights', heaviest: 4, desired: 40 }) }), wanted).warnings).toEqual([]);
});

describe('a second group next to this one', () => {
  const blue = { ...wanted, strategy: 'blue-green' as const };
  test.each([
    ['{"NetworkInterfaces":[{"NetworkInterfaceId":"eni-1"}]}', 'its launch template attaches the network interface eni-1'],
    ['{"NetworkInterfaces":[{"PrivateIpAddress":"10.0.0.4"}]}', 'its launch template sets the private IP address 10.0.0.4'],
    ['{"InstanceMarketOptions":{"MarketType":"capacity-block"}}', 'its launch template launches into a capacity-block'],
    [
      '{"CapacityReservationSpecification":{"CapacityReservationPreference":"capacity-reservations-only"}}',
      'its launch template launches into capacity reservations only',
    ],
  ])('minor m12: %s is refused', (content, reason) => {
    const exclusive = facts({ versions: new Map([[useKey(use('3')), version(3, { content })]]) });
    expect(planGroup(exclusive, blue).refusals).toEqual([
      `web: ${reason}, so the green group could not launch next to web: set "strategy: rolling"`,
    ]);
    expect(planGroup(exclusive, wanted).refusals).toEqual([]);
  });

  test('major M9: what completes its hooks must know both', () => {
    const hooked = facts({ hooks: ['join (arn:aws:sqs:eu-central-1:111122223333:hooks)', 'drain'] });
    expect(planGroup(hooked, blue).warnings).toEqual([
      'what completes the lifecycle hooks join (arn:aws:sqs:eu-central-1:111122223333:hooks), drain must know web-green too, or its instances wait for the timeout',
    ]);
    expect(planGroup(hooked, wanted).warnings).toEqual([]);
  });
});

test.each<[string, Record<string, string>, number]>([
  ['green group', { 'ami-action:successor-of': 'web-blue', 'ami-action:held-min': '1' }, 1],
  ['old group', { 'ami-action:held-min': '2' }, 2],
])('an emptied %s whose other half was deleted serves nothing: refused, not done', (_, tags, min) => {
  const alone = { max: 0, desired: 0, members: [], tags };
  const upToDate = { launch: { kind: 'template' as const, template: use('4') } };
  const versions = new Map([[useKey(use('4')), version(4, { imageId: 'ami-new' })]]);
  const ready = new Map([[contentKey(version(4)), version(4, { imageId: 'ami-new' })]]);
  const done = planGroup(facts({ group: group({ ...alone, ...upToDate }), versions, ready }), wanted);
  expect([done.action, done.refusals]).toEqual(['nothing', planGroup(facts({ group: group(alone) }), wanted).refusals]);
  expect(done.refusals).toEqual([
    `web: an earlier run had emptied it when the group that served next to it was deleted, so nothing serves: set its sizes (aws autoscaling update-auto-scaling-group --auto-scaling-group-name web --min-size ${min} --max-size ... --desired-capacity ...)`,
  ]);
  expect(planGroup(facts({ group: group({ ...alone, max: 4 }) }), wanted).refusals).toEqual([]);
  expect(planGroup(facts({ group: group({ ...alone, tags: {} }) }), wanted).refusals).toEqual([]);
});

test('minor m5: a refresh of a stack is waited for, and never ended', () => {
  const tags = { 'aws:cloudformation:stack-name': 'web-prod' };
  const busy = facts({ group: group({ tags }), active: refresh({ desired: { kind: 'template', template: use('9') } }) });
  expect(planGroup(busy, { ...wanted, operation: 'rollback', foreignRefresh: 'supersede' })).toMatchObject({
    blocker: undefined,
    refusals: [
      'web: refresh r-1 (not started by ami-action) is InProgress (50 %, to web:9): wait for its end, or set "foreign-refresh" to wait: to end it would fail CloudFormation stack web-prod',
    ],
  });
  expect(planGroup(busy, { ...wanted, foreignRefresh: 'wait' }).blocker).toMatchObject({ kind: 'refresh', how: 'wait' });
});

describe('pace: batches, time and the most instances at once', () => {
  const members = Array.from({ length: 10 }, (_, i) => member(`i-${i}`));
  const ten = facts({ group: group({ desired: 10, members }) });
  const formatted = (options: Partial<PlanOptions>, given = ten) => {
    const { paces } = planGroup(given, { ...wanted, ...options });
    return paces && formatPaces(paces);
  };
  test('of the chosen one, and of the other', () => {
    expect([formatted({}), formatted({ pace: 'fast' })]).toEqual([
      '10 batches, about 25m, at most 11 instances at once (pace fast: 1 batch, about 7m, at most 20)',
      '1 batch, about 7m, at most 20 instances at once (pace safe: 10 batches, about 25m, at most 11)',
    ]);
  });

  test('of settings of your own', () => {
    expect(formatted({ minHealthy: 50 })).toBe(
      '2 batches, about 9m, at most 10 instances at once (pace fast: 1 batch, about 7m, at most 20)',
    );
  });

  test('of weighted groups they count instances', () => {
    expect(formatted({}, facts({ group: group({ desired: 100, sizeUnit: 'weights', heaviest: 10, members }) }))).toBe(
      '10 batches, about 25m, at most 11 instances at once (pace fast: 1 batch, about 7m, at most 20)',
    );
  });

  test('only where instances are replaced, and the other one only where it differs', () => {
    expect(formatted({ strategy: 'blue-green' })).toBeUndefined();
    expect(formatted({}, facts({ group: group({ desired: 1, members: [member('i-1')] }) }))).toBe(
      '1 batch, about 7m, at most 2 instances at once',
    );
  });
});

describe('how much of a group stays in service', () => {
  const kept = (change: Partial<Group>, options: Partial<PlanOptions> = {}) => {
    const { preferences, atATime } = planGroup(facts({ group: group(change) }), { ...wanted, ...options });
    return [preferences.minHealthy, preferences.maxHealthy, atATime];
  };
  test.each<[string, Partial<Group>, Partial<PlanOptions>, readonly (number | undefined)[]]>([
    ['all of it, where neither settings nor a policy say less', { desired: 1 }, {}, [100, 110, 1]],
    ['also of many', { desired: 40 }, {}, [100, 110, 4]],
    ['as the maintenance policy says', { desired: 10, maintenance: { minHealthy: 50, maxHealthy: 100 } }, {}, [undefined, undefined, 5]],
    ['as the settings say', { desired: 10, maintenance: { minHealthy: 50, maxHealthy: 100 } }, { minHealthy: 80 }, [80, 100, 2]],
    [
      'minor m7: never more than 100 apart from the maximum of the policy',
      { desired: 10, maintenance: { minHealthy: 90, maxHealthy: 200 } },
      { minHealthy: 50 },
      [50, 150, 10],
    ],
    [
      'minor m7: a batch size next to a policy with a larger maximum',
      { desired: 10, maintenance: { minHealthy: 100, maxHealthy: 200 } },
      { batchSize: 2 },
      [80, 100, 2],
    ],
    [
      'all new instances at once, with a fast pace',
      { desired: 10, maintenance: { minHealthy: 50, maxHealthy: 100 } },
      { pace: 'fast' },
      [100, 200, 10],
    ],
  ])('%s', (_, change, options, expected) => expect(kept(change, options)).toEqual(expected));
});

test('a suspended InstanceRefresh process: the refresh would wait without an end', () => {
  const suspended = facts({ group: group({ suspended: ['InstanceRefresh'] }) });
  expect(planGroup(suspended, wanted).refusals).toEqual([expect.stringMatching(/^web: InstanceRefresh is suspended/)]);
  expect(planGroup(suspended, { ...wanted, strategy: 'blue-green' }).refusals).toEqual([]);
});

describe('alarms', () => {
  const states = new Map([
    ['errors', 'ALARM'],
    ['latency', 'OK'],
    ['new', 'INSUFFICIENT_DATA'],
  ]);
  const alarms = ['errors', 'latency', 'new', 'typo'];

  test('that are not OK refuse a refresh, because AWS would refuse it after the first write', () => {
    expect(planGroup(facts({ alarms: states }), { ...wanted, alarms }).refusals).toEqual([
      'web: alarm "errors" is ALARM, and AWS starts no refresh until it is OK: fix its cause, or remove it from "alarms"',
      'web: alarm "new" is INSUFFICIENT_DATA, and AWS starts no refresh until it is OK: fix its cause, or remove it from "alarms"',
      'web: alarm "typo" does not exist: remove it from "alarms", or create it',
    ]);
  });

  test('refuse nothing where no refresh starts', () => {
    const images = new Map([
      ['i-1', 'ami-new'],
      ['i-2', 'ami-new'],
    ]);
    const versions = new Map([[useKey(use('3')), version(3, { imageId: 'ami-new' })]]);
    expect(planGroup(facts({ alarms: states, images, versions }), { ...wanted, alarms })).toMatchObject({
      action: 'nothing',
      refusals: [],
    });
  });
});

describe('a template that reads a parameter', () => {
  const reading = (imageId: string, change: Partial<GroupFacts> = {}) =>
    facts({ versions: new Map([[useKey(use('3')), version(3, { imageId })]]), ...change });
  const follow = { ...wanted, parameterTemplates: 'follow' as const };
  const ours = 'resolve:ssm:/ami/web/stage';
  const runs = new Map([
    ['i-1', 'ami-new'],
    ['i-2', 'ami-new'],
  ]);
  test.each<[string, GroupFacts, PlanOptions, object]>([
    ['is followed when it reads the pointer', reading(ours), follow, { by: 'pointer', action: 'refresh', refusals: [], changes: [] }],
    [
      'by its ARN too',
      reading('resolve:ssm:arn:aws:ssm:eu-central-1:111122223333:parameter/ami/web/stage'),
      follow,
      { by: 'pointer', refusals: [] },
    ],
    [
      'is refused when it reads another',
      reading('resolve:ssm:/ami/web/prod'),
      follow,
      { by: 'version', refusals: [expect.stringMatching(/reads its image from a parameter \(resolve:ssm:\/ami\/web\/prod\)/)] },
    ],
    [
      'is refused when it reads one version of it',
      reading(`${ours}:3`),
      follow,
      { by: 'version', refusals: [expect.stringMatching(/parameter/)] },
    ],
    [
      'is pinned first',
      reading(ours),
      { ...wanted, parameterTemplates: 'pin' },
      { by: 'version', blocker: { kind: 'parameter' }, refusals: [] },
    ],
    [
      'is done when everything runs the image',
      reading(ours, { images: runs }),
      { ...follow, pointer: { ...wanted.pointer, value: 'ami-new' } },
      { action: 'nothing' },
    ],
    ['waits for the pointer only when everything runs the image', reading(ours, { images: runs }), follow, { action: 'nothing' }],
    [
      'takes a refresh of like with like for its own once the pointer has moved',
      reading(ours, { active: refresh({ desired: undefined }) }),
      { ...follow, pointer: { ...wanted.pointer, value: 'ami-new' } },
      { action: 'watch' },
    ],
    [
      'but one that began before the pointer named this image leads to another one',
      reading(ours, { active: refresh({ desired: undefined, startedAt: new Date(1000) }) }),
      { ...follow, pointer: { ...wanted.pointer, value: 'ami-new', since: new Date(2000) } },
      { action: 'refresh' },
    ],
    [
      'and before that of another process',
      reading(ours, { active: refresh({ desired: undefined }) }),
      follow,
      { action: 'refresh', refusals: [expect.stringMatching(/refresh r-1 \(not started by ami-action\) is/)] },
    ],
  ])('%s', (_, of, how, plan) => {
    expect(planGroup(of, how)).toMatchObject(plan);
  });

  test('followed, AWS can neither skip nor roll back', () => {
    expect(planGroup(reading(ours), follow).preferences).toMatchObject({ skipMatching: false, autoRollback: false });
  });

  test('the plan counts what AWS will replace: with nothing to skip by that is every instance', () => {
    const half = reading(ours, { images: new Map([['i-1', 'ami-new'], ...[...facts().images].slice(1)]) });
    const all = half.group.members.length;
    const named = { ...half, versions: new Map([...half.versions].map(([key, version]) => [key, { ...version, imageId: 'ami-old' }])) };
    expect(planGroup(half, follow).replaces).toBe(all);
    expect(planGroup(named, { ...wanted }).replaces).toBe(all - 1);
    expect(planGroup(named, { ...wanted, skipMatching: false })).toMatchObject({ replaces: all, preferences: { skipMatching: false } });
  });
});

describe('scenario 55: what is done about the refresh of another process', () => {
  const active = refresh({ desired: { kind: 'template', template: use('9') } });
  const goesBack = { ...active, status: 'RollbackInProgress' as const };
  test.each<[string, Partial<GroupFacts>, Partial<PlanOptions>, unknown]>([
    ['refused unless the user says otherwise', { active }, {}, undefined],
    ['waited for', { active }, { foreignRefresh: 'wait' }, 'wait'],
    ['superseded', { active }, { foreignRefresh: 'supersede' }, 'supersede'],
    ['superseded by a rollback where it is our own promotion', { active, activeIsOurs: true }, { operation: 'rollback' }, 'supersede'],
    ['refused by a rollback where it is not', { active }, { operation: 'rollback' }, undefined],
    ['refused by a promotion though it is ours', { active, activeIsOurs: true }, {}, undefined],
    ['waited for by a promotion, where ours goes back already', { active: goesBack, activeIsOurs: true }, {}, 'wait'],
    ["refused by a promotion, where another process's rolls back", { active: goesBack }, {}, undefined],
  ])('%s', (_, change, how, done) => {
    const plan = planGroup(facts(change), { ...wanted, ...how });
    expect(plan.blocker?.kind === 'refresh' ? plan.blocker.how : undefined).toBe(done);
    expect(plan.refusals.length).toBe(done === undefined ? 1 : 0);
  });

  test('whose it is, the refusal says', () => {
    const said = (activeIsOurs: boolean) => planGroup(facts({ active, activeIsOurs }), wanted).refusals;
    expect([said(true), said(false)]).toEqual([
      [expect.stringMatching(/^web: refresh r-1 \(of an earlier run\) is InProgress \(50 %, to web:9\): wait for its end/)],
      [expect.stringMatching(/^web: refresh r-1 \(not started by ami-action\) is InProgress/)],
    ]);
  });

  // It carries no template version that would say so.
  const pointer = '/ami/web/stage';
  const movedAt = new Date('2026-05-01T12:00:05.300Z');
  const at = (time: string) => refresh({ desired: undefined, startedAt: new Date(`2026-05-01T12:00:${time}Z`) });
  const reader = (imageId = `resolve:ssm:${pointer}`) => ({ versions: new Map([[useKey(use('3')), version(3, { imageId })]]) });
  const undoes = { operation: 'rollback', parameterTemplates: 'follow', pointer: { name: pointer, value: 'ami-bad', movedAt } } as const;
  test.each<[string, Partial<GroupFacts>, Partial<PlanOptions>, unknown]>([
    ['began after we moved it', { active: at('09') }, {}, 'supersede'],
    ['began in the same second', { active: at('05') }, {}, 'supersede'],
    ['has not begun yet', { active: refresh({ desired: undefined }) }, {}, 'supersede'],
    ['began before', { active: at('04') }, {}, undefined],
    ['leads elsewhere', { active: { ...at('09'), desired: { kind: 'template', template: use('9') } } }, {}, undefined],
    ['runs after a promotion that came to its end', { active: at('09') }, { pointer: { name: pointer, value: 'ami-bad' } }, undefined],
    ['is met by another promotion', { active: at('09') }, { operation: 'promote' }, undefined],
  ])('where the template reads the pointer, one that %s', (_, change, how, done) => {
    const plan = planGroup(facts({ ...reader(), ...change }), { ...wanted, ...undoes, ...how });
    expect(plan.blocker?.kind === 'refresh' ? plan.blocker.how : undefined).toBe(done);
    expect(plan.refusals.length).toBe(done === undefined ? 1 : 0);
  });

  test('of a group whose template reads another parameter it is not ours', () => {
    const plan = planGroup(facts({ ...reader('resolve:ssm:/else'), active: at('09') }), {
      ...wanted,
      ...undoes,
      parameterTemplates: 'pin',
    });
    expect([plan.blocker?.kind, plan.refusals.length]).toEqual(['parameter', 1]);
  });
});

test('a group that is up to date, but whose template version was deleted, can launch nothing: refused, not unchanged', () => {
  const images = new Map([
    ['i-1', 'ami-new'],
    ['i-2', 'ami-new'],
  ]);
  expect(planGroup(facts({ images, versions: new Map() }), wanted)).toMatchObject({
    action: 'nothing',
    refusals: ['web: launch template version web:3 does not exist, so the group can launch nothing'],
  });
});

describe('what is planned only where something is done', () => {
  const version4 = version(4, { imageId: 'ami-new' });
  const runs = new Map(['i-1', 'i-2'].map(id => [id, 'ami-new']));
  const upToDate = (change: Partial<Group> = {}) => ({
    group: group({ launch: { kind: 'template', template: use('4') }, ...change }),
    versions: new Map([[useKey(use('4')), version4]]),
    images: runs,
  });
  const ready = new Map([[contentKey(version4), version4]]);
  const latest = use('$Latest');
  const onLatest = { group: group({ launch: { kind: 'template', template: latest } }), versions: new Map([[useKey(latest), version(3)]]) };

  test('a group that is up to date is refused by nothing that hinders a rollout, and warned of nothing', () => {
    const hindered = upToDate({ suspended: ['Launch'], tags: { AmazonECSManaged: '' } });
    expect(planGroup(facts(hindered), wanted)).toMatchObject({
      ...{ action: 'nothing', refusals: [], warnings: [], replaces: 0, mustPin: false, estimatedSeconds: 0 },
    });
  });

  test('one with a green group of another image is not up to date: refused', () => {
    const successor = { group: group({ name: 'web-green', tags: { 'ami-action:successor-of': 'web' } }), imageId: 'ami-other' };
    expect(planGroup(facts({ ...upToDate(), successor }), wanted)).toMatchObject({
      action: 'nothing',
      refusals: [expect.stringMatching(/^web: green group web-green exists with ami-other: promote that image/)],
    });
  });

  test('how many are replaced, and how long it takes', () => {
    const empty = { group: group({ desired: 0, members: [member('i-1', { state: 'Terminating:Wait' })] }) };
    const counted = (change: Partial<GroupFacts>, options: Partial<PlanOptions> = {}) => {
      const { action, replaces, estimatedSeconds } = planGroup(facts(change), { ...wanted, ...options });
      return [action, replaces, estimatedSeconds];
    };
    expect([counted({}), counted({}, { strategy: 'blue-green' }), counted(empty), counted({ ready, active: refresh() })]).toEqual([
      ['refresh', 2, 540],
      ['swap', 2, 420],
      ['template', 0, 0],
      ['watch', 0, 0],
    ]);
  });

  test('$Latest is pinned where the version changes, and left where our refresh is watched', () => {
    const pins = (change: Partial<GroupFacts>, options: Partial<PlanOptions> = {}) => {
      const { action, mustPin } = planGroup(facts({ ...onLatest, ...change }), { ...wanted, ...options });
      return [action, mustPin];
    };
    const empty = { group: { ...onLatest.group, desired: 0, members: [] } };
    expect([pins({}), pins({}, { strategy: 'blue-green' }), pins(empty), pins({ ready, active: refresh() })]).toEqual([
      ['refresh', true],
      ['swap', true],
      ['template', true],
      ['watch', false],
    ]);
  });

  test('others on $Latest get nothing new where a version that exists is used', () => {
    const shared = { ...onLatest, latestUsers: new Map([['lt-1', ['batch']]]) };
    const [made, reused] = [shared, { ...shared, ready }].map(change => planGroup(facts(change), wanted));
    expect([made?.refusals.length, reused?.refusals]).toEqual([1, []]);
    expect([made?.warnings.length, reused?.warnings]).toEqual([
      2,
      [expect.stringMatching(/^launches from web:\$Latest: the group is pinned/)],
    ]);
  });

  test('only $Latest means another version when one is made', () => {
    const standard = use('$Default');
    const launch: Launch = { kind: 'template', template: standard };
    const { warnings } = planGroup(facts({ group: group({ launch }), versions: new Map([[useKey(standard), version(3)]]) }), wanted);
    expect(warnings).toEqual([expect.stringMatching(/^launches from web:\$Default: the group is pinned/)]);
  });

  test('a template that reads the pointer keeps its $Latest, and says what AWS cannot do', () => {
    const reading = { ...onLatest, versions: new Map([[useKey(latest), version(3, { imageId: 'resolve:ssm:/ami/web/stage' })]]) };
    const plan = planGroup(facts(reading), { ...wanted, parameterTemplates: 'follow' });
    expect(plan).toMatchObject({ by: 'pointer', mustPin: false, before: { kind: 'template', template: { version: '$Latest' } } });
    expect(plan.warnings).toEqual([
      'the launch template reads the pointer: the pointer moves first, and AWS cannot roll back. On failure the action moves the pointer back and replaces the instances again',
    ]);
  });
});

describe('a group on a launch configuration', () => {
  const on = (name: string) => group({ launch: { kind: 'configuration', name } });
  const lc = { now: configuration(), copyName: 'lc-copy' };
  const plan = (how: 'keep' | 'convert', change: Partial<GroupFacts>) =>
    planGroup(facts({ group: on('lc'), versions: new Map(), configuration: lc, ...change }), { ...wanted, launchConfigurations: how });

  test('kept: it is set back to what it launched before the rollout, and AWS rolls nothing back', () => {
    expect(plan('keep', {})).toMatchObject({
      ...{
        by: 'configuration',
        action: 'refresh',
        changes: [],
        before: { kind: 'configuration', name: 'lc' },
        refusals: [],
        mustPin: false,
      },
      preferences: { skipMatching: false, autoRollback: false },
      warnings: [
        'launches from a launch configuration: AWS cannot roll back. On failure the action sets the old one and replaces the instances again',
      ],
    });
    const unfinished = { group: on('lc-copy'), configuration: { now: { ...lc.now, name: 'lc-copy' }, before: 'lc', copyName: 'lc-copy' } };
    expect(plan('keep', unfinished)).toMatchObject({ before: { kind: 'configuration', name: 'lc' }, mustPin: false });
  });

  test('kept: our refresh to the copy is watched, and not one before the copy exists', () => {
    const active = refresh({ desired: undefined });
    const now = { ...lc.now, name: 'lc-copy', imageId: 'ami-new' };
    const copied = { group: on('lc-copy'), active, configuration: { now, ready: now, before: 'lc', copyName: 'lc-copy' } };
    expect([plan('keep', copied).action, plan('keep', { active }).action]).toEqual(['watch', 'refresh']);
  });

  test('converted: it launches the template when the refresh has succeeded, and AWS rolls back', () => {
    const converted = plan('convert', {});
    expect(converted).toMatchObject({ by: 'version', action: 'refresh', before: { kind: 'configuration', name: 'lc' }, refusals: [] });
    expect(converted.warnings).toEqual([
      'launch configuration lc becomes launch template lc-: InstanceType=t3.micro. The group launches from it when the refresh has succeeded',
    ]);
    const change = { from: version(1), to: version(2) };
    expect(launchAfter(converted.before, [change])).toEqual({ kind: 'template', template: use('2') });
    expect([launchAfter(converted.before, []), launchAfter(converted.before, [{ ...change, to: undefined }])]).toEqual([
      undefined,
      undefined,
    ]);
  });

  test('a group on a template is planned by its version, whatever is said of launch configurations', () => {
    expect(planGroup(facts(), { ...wanted, launchConfigurations: 'keep' })).toMatchObject({ by: 'version', before: { kind: 'template' } });
  });
});

describe('what a person should know before', () => {
  const warned = (change: Partial<GroupFacts>, options: Partial<PlanOptions> = {}) =>
    planGroup(facts(change), { ...wanted, ...options }).warnings;

  test('instances that keep the current image, in a rolling update only', () => {
    const kept = (count: number) => ({
      group: group({
        members: Array.from({ length: 2 * count }, (_, i) => member(`i-${i}`, i < count ? { protected: true } : { state: 'Standby' })),
      }),
    });
    const ignore = { protectedInstances: 'ignore', standbyInstances: 'ignore' } as const;
    expect([warned(kept(1), ignore), warned(kept(2), ignore)]).toEqual([
      ['1 protected instance keeps the current image', '1 instance in standby keeps the current image'],
      ['2 protected instances keep the current image', '2 instances in standby keep the current image'],
    ]);
    const idle = { group: group({ name: 'web-idle', desired: 0, members: [] }), schedules: [] };
    expect([
      warned(kept(1), { ...ignore, strategy: 'blue-green' }),
      warned({ ...kept(1), idle }, { ...ignore, strategy: 'two-groups' }),
      warned({}, ignore),
      warned({}, { protectedInstances: 'wait', standbyInstances: 'wait' }),
    ]).toEqual([[], [], [], []]);
  });

  test('snapshots of the old image that the template names', () => {
    const named = (...snapshotIds: string[]) => ({ versions: new Map([[useKey(use('3')), version(3, { snapshotIds })]]) });
    const imageSnapshots = new Set(['snap-1', 'snap-2']);
    expect(warned({ ...named('snap-1', 'snap-9', 'snap-2'), imageSnapshots })).toEqual([
      'the launch template names snapshots of the old image (snap-1, snap-2); the new version takes the snapshots of the new image',
    ]);
    expect(warned({ ...named('snap-9'), imageSnapshots })).toEqual([]);
  });

  test('what concerns a refresh is not said of a swap, nor what concerns a swap of a refresh', () => {
    const members = Array.from({ length: 300 }, (_, i) => member(`i-${i}`));
    const many = { group: group({ desired: 300, members }) };
    expect(warned(many, { batchSize: 4, strategy: 'blue-green' })).toEqual([]);
    expect(warned({ group: group({ sizeUnit: 'weights', heaviest: 4 }) }, { strategy: 'blue-green' })).toEqual([]);
    expect(warned({ hooks: ['join'] }, { strategy: 'blue-green' })).toEqual([
      'what completes the lifecycle hook join must know web-green too, or its instances wait for the timeout',
    ]);
    const balancers = ['arn:aws:vpc-lattice:1', 'arn:aws:vpc-lattice:2'];
    const silent = { healthCheck: 'EC2', balancers };
    expect(warned({ group: group(silent) })).toEqual([expect.stringContaining(`in ${balancers.join(', ')}. Set the health check type`)]);
    expect(warned({ group: group({ ...silent, desired: 0, members: [] }) })).toEqual([]);
  });

  test('what Terraform manages, by any tag that says so', () => {
    const tagged = (tags: Record<string, string>) => group({ tags: { Name: 'web', ...tags } });
    const [tofu, web] = [tagged({ OpenTofu: 'yes' }), tagged({})];
    const ignored = (more = '') => `"lifecycle { ignore_changes = [launch_template, mixed_instances_policy${more}] }"`;
    expect([terraformWarnings([tofu, web], 'rolling'), terraformWarnings([tofu], 'two-groups')]).toEqual([
      [
        `web is managed by Terraform (tag OpenTofu=yes): its next apply launches the old image again, unless the group has ${ignored()} and no "instance_refresh" block`,
      ],
      [expect.stringContaining(ignored(', min_size, max_size, desired_capacity'))],
    ]);
  });

  test('the time of a rollout: its batches, the pauses before the last checkpoint, and the watch at the end', () => {
    const { preferences } = planGroup(facts(), wanted);
    const paused = { ...preferences, checkpoints: [10, 50, 100], checkpointDelaySeconds: 600 };
    expect([
      estimate(2, preferences, group()),
      estimate(2, paused, group()),
      estimate(2, { ...paused, warmUpSeconds: 0 }, group()),
    ]).toEqual([540, 540 + 1200, 480 + 1200]);
  });
});

describe('what decides between nothing and a rollout', () => {
  const version4 = version(4, { imageId: 'ami-new' });
  const ready = new Map([[contentKey(version4), version4]]);
  const runs = new Map(['i-1', 'i-2'].map(id => [id, 'ami-new']));
  const one = new Map([...runs, ['i-1', 'ami-old']]);
  const on4 = { group: group({ launch: { kind: 'template', template: use('4') } }), versions: new Map([[useKey(use('4')), version4]]) };
  const decided = (change: Partial<GroupFacts>, options: Partial<PlanOptions> = {}) => {
    const { action, reason } = planGroup(facts(change), { ...wanted, ...options });
    return [action, reason];
  };
  const reading = (imageId: string, change: Partial<GroupFacts> = {}) => ({
    versions: new Map([[useKey(use('3')), version(3, { imageId })]]),
    ...change,
  });
  const ours = 'resolve:ssm:/ami/web/stage';
  const follow = { parameterTemplates: 'follow' } as const;
  const moved = { ...follow, pointer: { name: '/ami/web/stage', value: 'ami-new', since: new Date(5500) } };

  test('a protected instance with another image counts, unless it is to keep it', () => {
    const shielded = (id: string) => ({
      ...on4,
      group: { ...on4.group, members: ['i-1', 'i-2'].map(each => member(each, { protected: each === id })) },
      images: one,
    });
    expect([
      decided(shielded('i-1'), { protectedInstances: 'ignore' })[0],
      decided(shielded('i-1'), { protectedInstances: 'refresh' })[0],
      decided(shielded('i-2'), { protectedInstances: 'ignore' })[0],
      decided(shielded(''), { protectedInstances: 'ignore' })[0],
    ]).toEqual(['nothing', 'refresh', 'refresh', 'refresh']);
  });

  test('a refresh in progress, and instances that go, are no state to leave as it is', () => {
    const active = refresh({ desired: { kind: 'template', template: use('9') } });
    expect(decided({ ...on4, images: runs, active })[0]).toBe('refresh');
    const leaving = group({ members: [member('i-1', { state: 'Terminating' })] });
    expect(decided({ group: leaving })).toEqual(['refresh', 'none of its 2 instances is in service']);
    expect(decided({ group: group({ desired: 0, members: [member('i-1', { state: 'Pending' })] }) })[0]).toBe('refresh');
    expect(decided({ ready, active: refresh({ status: 'Successful' }) })[0]).toBe('refresh');
  });

  test('the reason counts what runs another image', () => {
    expect(decided({ images: one })).toEqual(['refresh', '1 of 2 instances in service runs another image']);
    const pool = { ...on4, images: new Map([...runs, ['i-8', 'ami-old'], ['i-9', 'ami-old']]), warmPool: ['i-8', 'i-9'] };
    expect(decided(pool)).toEqual(['refresh', '2 instances of its warm pool run another image']);
  });

  test('two groups: the one that serves must launch the image too', () => {
    const idle = { group: group({ name: 'web-idle', desired: 0, members: [] }), schedules: [] };
    const pair = { strategy: 'two-groups' } as const;
    expect(decided({ images: runs, idle }, pair)).toEqual(['swap', 'runs ami-new, but launches another image']);
    expect(decided({ ...on4, images: runs, idle }, pair)).toEqual(['nothing', 'launches and runs ami-new only']);
    const launch: Launch = {
      kind: 'mixed',
      template: use('4'),
      overrides: [{ instanceType: 't3.small', template: use('7', 'lt-2'), imageId: undefined }],
      policy: {},
    };
    const half = {
      group: group({ launch }),
      versions: new Map([...on4.versions, [useKey(use('7', 'lt-2')), version(7, { templateId: 'lt-2' })]]),
    };
    expect(decided({ ...half, images: runs, idle }, pair)[0]).toBe('swap');
  });

  test('a launch configuration is known by its image', () => {
    const on = (imageId: string) => {
      const now = { ...configuration(), imageId };
      return {
        group: group({ launch: { kind: 'configuration', name: 'lc' } }),
        versions: new Map(),
        configuration: { now, copyName: 'copy' },
        images: runs,
      };
    };
    const keep = { launchConfigurations: 'keep' } as const;
    expect([decided(on('ami-new'), keep)[0], decided(on('ami-old'), keep)[0]]).toEqual(['nothing', 'refresh']);
    expect(planGroup(facts(on('ami-old')), { ...wanted, ...follow, launchConfigurations: 'convert' }).by).toBe('version');
  });

  test('a template that reads the pointer launches what the pointer names', () => {
    expect(decided(reading(ours, { images: runs }), moved)).toEqual(['nothing', 'launches and runs ami-new only']);
    expect(decided(reading(ours, { images: runs }), follow)).toEqual(['nothing', 'runs ami-new only, and launches what the pointer names']);
    expect(decided(reading(ours), moved)[1]).toBe('2 of 2 instances in service run another image, although it launches this image');
    expect(decided(reading(ours), follow)[1]).toBe('2 of 2 instances in service run another image');
  });

  test('its refresh is ours from the second on in which the pointer moved, or when AWS shows no time', () => {
    const at = (startedAt: Date | undefined, desired?: Launch) =>
      decided(reading(ours, { active: refresh({ desired, startedAt }) }), moved)[0];
    expect([at(new Date(5000)), at(new Date(6000)), at(undefined), at(new Date(4000))]).toEqual(['watch', 'watch', 'watch', 'refresh']);
    expect(at(new Date(6000), { kind: 'template', template: use('9') })).toBe('refresh');
    expect(
      planGroup(facts(reading(ours, { active: refresh({ desired: undefined }) })), { ...wanted, ...moved, foreignRefresh: 'wait' }),
    ).toMatchObject({
      action: 'watch',
      blocker: undefined,
    });
  });

  test('it reads the pointer only by its whole name, with every template', () => {
    const by = (imageId: string, change: Partial<GroupFacts> = {}) =>
      planGroup(facts(reading(imageId, change)), { ...wanted, ...follow }).by;
    const arn = 'resolve:ssm:arn:aws:ssm:eu-central-1:111122223333:parameter';
    expect([by(`${arn}/ami/web/stage`), by(`${arn}/ami/web/prod`), by('resolve:ssm:/x:parameter/ami/web/stage')]).toEqual([
      'pointer',
      'version',
      'version',
    ]);
    const both = { group: group({ launch: mixed() }) };
    const of = (second: string) =>
      by(ours, { ...both, versions: new Map([...reading(ours).versions, [useKey(use('7', 'lt-2')), version(7, { imageId: second })]]) });
    expect([of(ours), of('ami-old')]).toEqual(['pointer', 'version']);
    const pinned = { ...both, versions: new Map([...facts().versions, [useKey(use('7', 'lt-2')), version(7, { imageId: ours })]]) };
    const pin = { ...wanted, parameterTemplates: 'pin' } as const;
    expect(planGroup(facts(pinned), pin).blocker).toEqual({ kind: 'parameter' });
    const idle = { group: group({ name: 'web-idle', desired: 0, members: [] }), schedules: [] };
    expect(planGroup(facts({ ...pinned, idle }), { ...pin, strategy: 'two-groups' }).blocker).toBeUndefined();
  });
});

describe('what is refused only where it matters', () => {
  const blue = { strategy: 'blue-green' } as const;
  const pair = { strategy: 'two-groups' } as const;
  const idle = { group: group({ name: 'web-idle', desired: 0, members: [] }), schedules: [] };
  const refused = (change: Partial<GroupFacts>, options: Partial<PlanOptions> = {}) =>
    planGroup(facts(change), { ...wanted, ...options }).refusals;

  test('blue-green with a template that reads the pointer: both groups would launch the same', () => {
    const versions = new Map([[useKey(use('3')), version(3, { imageId: 'resolve:ssm:/ami/web/stage' })]]);
    expect(refused({ versions }, { ...blue, parameterTemplates: 'follow' })).toEqual([
      'web: the launch template reads the pointer, so both groups would launch the same image: set "parameter-templates: pin"',
    ]);
    expect(refused({ versions }, { parameterTemplates: 'follow' })).toEqual([]);
    const says = (imageId: string) => refused({ versions: new Map([[useKey(use('3')), version(3, { imageId })]]) }).join();
    expect(
      [says('resolve:ssm:/ami/web/stage'), says('resolve:ssm:/ami/web/prod')].map(each => each.includes('"parameter-templates: follow"')),
    ).toEqual([true, false]);
  });

  test('a name that is taken, and what cannot be copied, matter where a group is created', () => {
    expect(refused({ nameTaken: true })).toEqual([]);
    expect(refused({ nameTaken: true }, blue)).toEqual([expect.stringMatching(/^web: group web-green exists, and is not its green group/)]);
    expect(refused({ cannotCopy: ['a hook'] }, blue).length).toBe(1);
    expect([refused({ cannotCopy: ['a hook'] }), refused({ cannotCopy: ['a hook'], idle }, pair)]).toEqual([[], []]);
  });

  test('processes that are suspended matter where instances are replaced, protection where AWS waits for it', () => {
    const suspended = ['Launch'];
    expect(refused({ group: group({ suspended, desired: 0, members: [] }) })).toEqual([]);
    const shielded = group({ members: [member('i-1', { protected: true }), member('i-2', { state: 'Standby' })] });
    expect(refused({ group: shielded }, blue)).toEqual([]);
    const two = (change: object) => refused({ group: group({ members: ['i-1', 'i-2'].map(id => member(id, change)) }) });
    expect([two({ protected: true }), two({ state: 'Standby' })]).toEqual([
      [expect.stringMatching(/^web: i-1, i-2 are protected from scale-in; /)],
      [expect.stringMatching(/^web: i-1, i-2 are in standby; /)],
    ]);
  });

  test('a snapshot matters unless it is of the old image, or nothing new is created', () => {
    const versions = new Map([[useKey(use('3')), version(3, { snapshotIds: ['snap-1', 'snap-9'] })]]);
    const imageSnapshots = new Set(['snap-1']);
    expect(refused({ versions, imageSnapshots })).toEqual([
      expect.stringMatching(/^web: the launch template creates a volume from snap-9,/),
    ]);
    const ready = new Map([[contentKey(version(4)), version(4, { imageId: 'ami-new' })]]);
    expect(refused({ versions, ready, active: refresh() })).toEqual([]);
  });

  test('others on $Latest, one or several', () => {
    const says = (...groups: string[]) => refused({ latestUsers: new Map([['lt-1', groups]]) });
    const rest = 'from $Latest of the same launch template and would get the new version at once: pin';
    expect([says('api'), says('api', 'job')]).toEqual([
      [`web: api launches ${rest} it to a version number, or add it to "groups"`],
      [`web: api, job launch ${rest} them to a version number, or add them to "groups"`],
    ]);
  });

  test('an instance type whose architecture AWS did not show is left to AWS', () => {
    expect(refused({ architectures: new Map() })).toEqual([]);
    expect(refused({ architectures: new Map([['t3.micro', ['i386', 'arm64']]]) })).toEqual([
      'web: instance type t3.micro is i386 or arm64, but ami-new is x86_64: select an image with "architecture", or remove the type from the group',
    ]);
  });
});
