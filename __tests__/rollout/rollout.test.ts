import { describe, expect, test } from '@jest/globals';
import type { Group, Member, Refresh, Source, Target } from '../../src/model/group.ts';
import { checksAreDue, evaluate, evaluateSteadyState, type RefreshSnapshot, suspectIn } from '../../src/rollout/rules/evaluate.ts';
import { imageProblem, proofOf, servingCount, staleOf, warmPoolProblem } from '../../src/rollout/rules/proof.ts';
import { silentSeconds, type Traffic, trafficOf } from '../../src/rollout/rules/traffic.ts';
import { group, member, refresh } from './fixtures.ts';

const proven = { inService: 2, onImage: 2, wrong: [], unknown: [] };
const half = { inService: 2, onImage: 1, wrong: ['i-2'], unknown: [] };
const sight = (change: Partial<RefreshSnapshot>): RefreshSnapshot => ({
  refresh: refresh(),
  group: group(),
  proof: proven,
  traffic: { without: [], coming: [] },
  settled: 2,
  stalePool: [],
  saved: false,
  doubts: 0,
  ...change,
});
const ended = (status: Refresh['status'], change: Partial<RefreshSnapshot> = {}) =>
  evaluate(sight({ refresh: refresh({ status, reason: 'because' }), ...change }));

describe('how a refresh is judged', () => {
  test.each([
    ['RollbackSuccessful', 'AWS rolled the refresh back; the old image runs again. AWS: because'],
    ['RollbackFailed', 'AWS could not roll the refresh back; old and new instances run in the group. AWS: because'],
    ['Cancelled', 'another process cancelled the refresh; old and new instances may run in the group. AWS: because'],
    ['Failed', 'the refresh failed and was not rolled back; old and new instances may run in the group. AWS: because'],
  ] as const)('scenario 56: %s is a failure of its own', (status, reason) => {
    expect(ended(status)).toEqual({ state: 'failed', reason });
  });

  test('scenario 56: a refresh that disappears is a failure, but one empty answer is not', () => {
    const gone = (doubts: number) => evaluate(sight({ refresh: undefined, doubts }));
    expect([gone(0), gone(1)]).toMatchObject([
      { state: 'waiting', doubtful: true },
      { state: 'waiting', doubtful: true },
    ]);
    expect(gone(2)).toEqual({ state: 'failed', reason: 'AWS no longer shows the refresh, so its result is unknown' });
  });

  // outside.md D12: AWS may add a status.
  test.each(['Pending', 'InProgress', 'Cancelling', 'RollbackInProgress', 'Paused'])('%s is waited for, with numbers', status => {
    expect(ended(status as Refresh['status'], { proof: half })).toEqual({
      state: 'waiting',
      note: `${status}, 50 %, 1 of 2 in service run the image. AWS: because`,
      doubtful: false,
    });
  });

  const waits = 'Waiting for remaining instances to be available.';
  const said = (reason: string) => evaluate(sight({ refresh: refresh({ status: 'InProgress', reason }) }));
  test('an example of AWS, another one at every look, is not progress', () => {
    const steady = { state: 'waiting', note: `InProgress, 50 %, 2 of 2 in service run the image. AWS: ${waits}` };
    expect([
      said(waits),
      said(`${waits} For example: i-0a1 has insufficient data to evaluate its health with Amazon EC2.`),
      said(`${waits} For example: i-0b2 is in the lifecycle state Pending`),
    ]).toMatchObject([steady, steady, steady]);
    expect(said('For example: i-0a1 is warming up.')).toMatchObject({ note: 'InProgress, 50 %, 2 of 2 in service run the image' });
    expect(said(`${waits} For example: i-0a1 is warming up. 3 more wait.`)).toMatchObject({ note: `${steady.note} 3 more wait.` });
  });

  test('an example of AWS without data is no cause of a failure', () => {
    const failed = (reason: string) => evaluate(sight({ refresh: refresh({ status: 'Failed', reason }) }));
    const start = 'the refresh failed and was not rolled back; old and new instances may run in the group';
    const young = 'For example: i-0a1 has insufficient data to evaluate its health with Amazon EC2.';
    expect(
      [`${waits} ${young} 3 more wait.`, young, `${waits} For example: i-0a1 is not healthy in Elastic Load Balancing.`].map(failed),
    ).toEqual(
      [
        `${start}. AWS: ${waits} 3 more wait.`,
        start,
        `${start}. AWS: ${waits} For example: i-0a1 is not healthy in Elastic Load Balancing.`,
      ].map(reason => ({ state: 'failed', reason })),
    );
  });

  test('but that a person must do something is', () => {
    const stuck = `${waits} For example: i-0a1 is protected. Remove instance scale-in protection to continue.`;
    expect(said(stuck)).toMatchObject({ note: expect.stringContaining(stuck) });
  });

  test('Successful is green only where every instance in service runs the image and the group launches it', () => {
    expect(ended('Successful', { saved: true })).toEqual({ state: 'done' });
    expect(ended('Successful', { saved: true, proof: half, doubts: 5 })).toEqual({
      state: 'failed',
      reason: 'AWS calls the refresh successful, but i-2 of 2 in service runs another image',
    });
    expect(ended('Successful', { saved: false, doubts: 5 })).toEqual({
      state: 'failed',
      reason: 'AWS calls the refresh successful, but the group does not launch from the new template version',
    });
    expect(ended('Successful', { saved: true, proof: { ...proven, inService: 0 }, doubts: 5 })).toMatchObject({
      reason: 'AWS calls the refresh successful, but no instance is in service',
    });
    expect(ended('Successful', { saved: true, proof: { ...proven, unknown: ['i-9'] }, doubts: 5 })).toMatchObject({
      reason: 'AWS calls the refresh successful, but EC2 does not show the image of i-9',
    });
    expect(ended('Successful', { saved: false, doubts: 4 })).toMatchObject({ state: 'waiting', doubtful: true });
  });

  test('while it bakes, an instance with another image ends it at the second look', () => {
    expect(ended('Baking')).toMatchObject({ state: 'waiting', doubtful: false });
    expect(ended('Baking', { proof: half })).toMatchObject({ state: 'waiting', doubtful: true });
    expect(ended('Baking', { proof: half, doubts: 1 })).toEqual({
      state: 'failed',
      reason: 'during the bake time, i-2 of 2 in service runs another image',
    });
  });

  test('only instances in service count, and protected ones may be spared', () => {
    const members = [member('i-1'), member('i-2', { protected: true }), member('i-3', { state: 'Terminating' }), member('i-4')];
    const images = new Map([
      ['i-1', 'ami-new'],
      ['i-2', 'ami-old'],
      ['i-3', 'ami-old'],
    ]);
    expect(proofOf(group({ members }), images, 'ami-new', { excluded: false })).toEqual({
      inService: 3,
      onImage: 1,
      wrong: ['i-2'],
      unknown: ['i-4'],
    });
    expect(proofOf(group({ members }), images, 'ami-new', { excluded: true })).toEqual({
      inService: 2,
      onImage: 1,
      wrong: [],
      unknown: ['i-4'],
    });
    const spared = group({ members: [member('i-1', { protected: true })] });
    expect(proofOf(spared, images, 'ami-new', { excluded: true })).toMatchObject({ inService: 1, onImage: 1 });
  });
});

test('a problem counts who has it; only healthy instances in service carry load', () => {
  expect([
    imageProblem({ proof: { ...half, wrong: ['i-1', 'i-2'], onImage: 0 }, group: group() }),
    warmPoolProblem({ stalePool: ['i-9'] }),
  ]).toEqual(['i-1, i-2 of 2 in service run another image', 'i-9 of the warm pool runs another image']);
  const members = [member('i-1'), member('i-2', { healthy: false }), member('i-3', { state: 'Pending' })];
  expect(servingCount(group({ members }))).toBe(1);
  expect(
    staleOf(
      ['i-1', 'i-2', 'i-3'],
      new Map([
        ['i-1', 'ami-new'],
        ['i-2', 'ami-old'],
      ]),
      'ami-new',
    ),
  ).toEqual(['i-2', 'i-3']);
});

describe('who is looked at closer', () => {
  const images = new Map([
    ['i-1', 'ami-old'],
    ['i-2', 'ami-new'],
    ['i-3', 'ami-new'],
  ]);
  const with3 = (change: Partial<Member>) => group({ members: [member('i-1', { healthy: false }), member('i-2'), member('i-3', change)] });
  test('a new instance that the group or the reason of the refresh calls sick, never an old one', () => {
    expect(suspectIn(with3({ healthy: false }), refresh(), images, 'ami-new')).toBe('i-3');
    expect(suspectIn(with3({}), refresh({ reason: 'For example: i-2 is not healthy in Elastic Load Balancing' }), images, 'ami-new')).toBe(
      'i-2',
    );
    expect(suspectIn(with3({}), refresh({ reason: 'For example: i-2 is warming up' }), images, 'ami-new')).toBeUndefined();
  });

  test('checks are due at a checkpoint, while it bakes, and before it counts as done', () => {
    const due = (change: Partial<Refresh>, checkpoints: number[]) => checksAreDue(refresh(change), checkpoints);
    expect([due({ percent: 49 }, [50, 100]), due({ percent: 50 }, [50, 100]), due({ percent: 99 }, [])]).toEqual([false, true, false]);
    expect([
      due({ status: 'Baking' }, []),
      due({ status: 'Successful' }, []),
      due({ status: 'RollbackInProgress', percent: 60 }, [50]),
    ]).toEqual([true, true, false]);
  });
});

const NO_TRAFFIC_PROBLEM: Traffic = { without: [], coming: [] };

describe('what load balancers say', () => {
  const target = (instanceId: string, state: string, message = state): Target => ({ instanceId, state, message });
  const healthy = [target('i-1', 'healthy'), target('i-2', 'healthy')];
  test.each<[string, Target[], object]>([
    ['all are healthy', healthy, { without: [], coming: [] }],
    [
      'one is not',
      [target('i-1', 'healthy'), target('i-2', 'unhealthy', 'unhealthy, 500')],
      { without: [{ id: 'i-2', reason: 'unhealthy, 500' }], coming: [] },
    ],
    [
      'one is known in one target group of two',
      [...healthy, target('i-1', 'healthy')],
      { without: [{ id: 'i-2', reason: 'not registered with its target group' }], coming: [] },
    ],
    [
      'one is well in one target group, and new in the other',
      [...healthy, target('i-1', 'healthy'), target('i-2', 'initial', 'initial, Elb.X')],
      { without: [], coming: [{ id: 'i-2', reason: 'initial, Elb.X' }] },
    ],
    [
      'one is new in one target group, and sick in the other',
      [target('i-1', 'healthy'), target('i-2', 'initial'), target('i-1', 'healthy'), target('i-2', 'draining')],
      { without: [{ id: 'i-2', reason: 'draining' }], coming: [] },
    ],
    [
      'no load balancer uses the target group',
      [target('i-1', 'unused', 'unused, Target.NotInUse, x'), target('i-2', 'unused', 'unused, Target.NotInUse, x')],
      { without: [], coming: [] },
    ],
  ])('%s', (name, targets, wanted) => {
    const groups = name.includes('target groups of two') || targets.length > 2 ? ['arn:1', 'arn:2'] : ['arn:1'];
    expect(trafficOf(['i-1', 'i-2'], group({ targetGroups: groups }), targets, [])).toEqual(wanted);
  });

  const elb = (state: string): Source => ({ name: 'old-elb', type: 'elb', state });
  const all = (reason: string) => [
    { id: 'i-1', reason },
    { id: 'i-2', reason },
  ];
  test.each<[string, Partial<Group>, Source[], Traffic]>([
    ['has seen one that is healthy', {}, [elb('InService')], NO_TRAFFIC_PROBLEM],
    ['has seen none, and is asked', {}, [elb('Added')], { without: all('old-elb sees no healthy instance of the group'), coming: [] }],
    ['has seen none, because it is not asked', { healthCheck: 'EC2' }, [elb('Added')], NO_TRAFFIC_PROBLEM],
    [
      'lists its targets',
      { healthCheck: 'EC2' },
      [elb('Adding')],
      { without: [], coming: all('the group is not fully registered with old-elb yet') },
    ],
    ['is not shown yet', {}, [], { without: [], coming: all('the group is not fully registered with old-elb yet') }],
    [
      'finds one sick',
      { members: [member('i-1', { healthy: false }), member('i-2')] },
      [elb('InService')],
      { without: [{ id: 'i-1', reason: 'unhealthy in its group' }], coming: [] },
    ],
    ['is just added, and says of each that it is well', {}, [{ ...elb('Adding'), targets: healthy }], NO_TRAFFIC_PROBLEM],
    ['says of each that it is well', { healthCheck: 'EC2' }, [{ ...elb('Added'), targets: healthy }], NO_TRAFFIC_PROBLEM],
    [
      'says that one is sick, although only it is asked',
      { healthCheck: 'EC2' },
      [{ ...elb('Added'), targets: [target('i-1', 'healthy'), target('i-2', 'unhealthy', 'old-elb says OutOfService')] }],
      { without: [{ id: 'i-2', reason: 'old-elb says OutOfService' }], coming: [] },
    ],
    [
      'asks one for the first time, and has not heard of the other',
      {},
      [{ ...elb('Added'), targets: [target('i-1', 'initial', 'old-elb says OutOfService, in progress')] }],
      {
        without: [],
        coming: [
          { id: 'i-1', reason: 'old-elb says OutOfService, in progress' },
          { id: 'i-2', reason: 'not registered with old-elb yet' },
        ],
      },
    ],
    [
      'and the group is not asked',
      { members: [member('i-1', { healthy: false }), member('i-2')], healthCheck: 'EC2' },
      [elb('InService')],
      NO_TRAFFIC_PROBLEM,
    ],
    [
      'is not there, and the group calls one sick',
      { balancers: [], members: [member('i-1', { healthy: false }), member('i-2')] },
      [],
      NO_TRAFFIC_PROBLEM,
    ],
    [
      'is one of two, and the other one is not ready',
      { balancers: ['new-elb', 'old-elb'] },
      [elb('InService'), { ...elb('Adding'), name: 'new-elb' }],
      { without: [], coming: all('the group is not fully registered with new-elb yet') },
    ],
    [
      'is the worse one of two',
      { balancers: ['new-elb', 'old-elb'] },
      [{ ...elb('Adding'), name: 'new-elb' }, elb('Added')],
      { without: all('old-elb sees no healthy instance of the group'), coming: [] },
    ],
    [
      'is VPC Lattice, which has seen none and is asked',
      { balancers: ['arn:lattice'], healthCheck: 'VPC_LATTICE' },
      [{ name: 'arn:lattice', type: 'vpc-lattice', state: 'Added' }],
      { without: all('arn:lattice sees no healthy instance of the group'), coming: [] },
    ],
    [
      'is VPC Lattice, which another health check asks',
      { balancers: ['arn:lattice'] },
      [{ name: 'arn:lattice', type: 'vpc-lattice', state: 'Added' }],
      NO_TRAFFIC_PROBLEM,
    ],
  ])('a load balancer without target groups %s', (_, change, sources, wanted) => {
    expect(trafficOf(['i-1', 'i-2'], group({ balancers: ['old-elb'], ...change }), [], sources)).toEqual(wanted);
  });

  test('what a group does not say in the grace period means something only where we can ask ourselves', () => {
    const seconds = (balancers: string[], healthCheck = 'ELB') => silentSeconds(group({ balancers, healthCheck, graceSeconds: 300 }));
    const lattice = 'arn:aws:vpc-lattice:eu-central-1:111122223333:targetgroup/tg-1';
    expect([seconds([]), seconds(['old-elb']), seconds(['old-elb', lattice]), seconds([lattice], 'EC2')]).toEqual([0, 0, 360, 0]);
  });

  const sick = {
    without: [
      { id: 'i-2', reason: 'unhealthy, 500' },
      { id: 'i-3', reason: 'x' },
    ],
    coming: [],
  };
  const coming = { without: [], coming: [{ id: 'i-2', reason: 'initial' }] };

  test('while it bakes, who gets no traffic ends it after six looks: then AWS can still roll back', () => {
    expect(ended('Baking', { traffic: sick, doubts: 4 })).toEqual({
      state: 'waiting',
      note: 'Baking: the load balancer sends no traffic to i-2 and 1 more (unhealthy, 500)',
      doubtful: true,
    });
    expect(ended('Baking', { traffic: sick, doubts: 5, group: group({ healthCheck: 'EC2' }) })).toEqual({
      state: 'failed',
      reason:
        'during the bake time, the load balancer sends no traffic to i-2 and 1 more (unhealthy, 500). If the service starts slowly, increase "warm-up"',
    });
    expect(ended('Baking', { traffic: coming, doubts: 9 })).toEqual({
      state: 'waiting',
      note: 'Baking: waiting for the load balancer to register i-2 (initial)',
      doubtful: false,
    });
  });

  test('Successful is no success where it sends nothing, and waits for what it does not know yet', () => {
    expect(ended('Successful', { saved: true, traffic: sick, doubts: 5 })).toEqual({
      state: 'failed',
      reason: 'AWS calls the refresh successful, but the load balancer sends no traffic to i-2 and 1 more (unhealthy, 500)',
    });
    expect(ended('Successful', { saved: true, traffic: sick, doubts: 4 })).toMatchObject({ state: 'waiting', doubtful: true });
    expect(ended('Successful', { saved: true, traffic: coming, doubts: 9 })).toMatchObject({ state: 'waiting', doubtful: false });
    expect(ended('Successful', { saved: true, settled: 0 })).toEqual({
      state: 'waiting',
      note: 'Successful, instances are warming up',
      doubtful: false,
    });
  });

  test('nor where the warm pool still holds another image', () => {
    const stale = (doubts: number) => ended('Successful', { saved: true, stalePool: ['i-8', 'i-9'], doubts });
    expect([stale(4), stale(5)]).toMatchObject([
      { state: 'waiting', doubtful: true },
      { state: 'failed', reason: 'AWS calls the refresh successful, but i-8, i-9 of the warm pool run another image' },
    ]);
  });

  test('where new instances die one after another all may be well at each look, and it is no success', () => {
    const [two, eight] = [group(), group({ desired: 9 })];
    const states = (died: number, of: Group) =>
      (['Baking', 'Successful'] as const).map(s => ended(s, { saved: true, died, group: of }).state);
    expect([states(1, two), states(2, two), states(2, eight), states(3, eight)]).toEqual([
      ['waiting', 'done'],
      ['failed', 'failed'],
      ['waiting', 'done'],
      ['failed', 'failed'],
    ]);
    expect(ended('Baking', { died: 2 })).toEqual({
      state: 'failed',
      reason: 'during the bake time, 2 new instances became unhealthy',
    });
    expect(ended('Successful', { saved: true, died: 2 })).toMatchObject({
      reason: 'AWS calls the refresh successful, but 2 new instances became unhealthy',
    });
  });

  test('a group that was not rolled must be as if it had been', () => {
    const standing = (change: Partial<RefreshSnapshot>) =>
      evaluateSteadyState(sight({ refresh: undefined, saved: true, doubts: 5, ...change }));
    expect([
      standing({}),
      standing({ traffic: sick }),
      standing({ proof: half }),
      standing({ proof: { ...proven, inService: 0 } }),
      standing({ proof: { ...proven, inService: 0 }, settled: 0, group: group({ desired: 0 }) }),
      standing({ traffic: coming }),
    ]).toMatchObject([
      { state: 'done' },
      { state: 'failed', reason: 'the load balancer sends no traffic to i-2 and 1 more (unhealthy, 500)' },
      { state: 'failed', reason: 'i-2 of 2 in service runs another image' },
      { state: 'failed', reason: 'no instance is in service' },
      { state: 'done' },
      { state: 'waiting', note: 'Up to date, waiting for the load balancer to register i-2 (initial)' },
    ]);
  });
});
