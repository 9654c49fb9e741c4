import { describe, expect, test } from '@jest/globals';
import type { Side, Split } from '../../src/model/split.ts';
import type { GroupFacts, ShiftFacts } from '../../src/rollout/rules/facts.ts';
import { SHIFT, SUCCESSOR_OF } from '../../src/rollout/rules/group-pair.ts';
import { planGroup } from '../../src/rollout/rules/plan.ts';
import { throwIfUnfit } from '../../src/rollout/rules/preferences.ts';
import { formatShift, percentOf, recordOf, shiftTag, shiftWarnings, sidesOf, weightsAt } from '../../src/rollout/rules/shift.ts';
import { facts, group, wanted } from './fixtures.ts';
import { settings } from './roll-world.ts';

const AT = 'arn:aws:elasticloadbalancing:eu-central-1:111122223333:listener/app/web/1/2';
const side = (id: string, weight: number): Side => ({ id, weight, targetGroups: [id], balancers: [] });
const split = (from = 1, to = 0, change: Partial<Split> = {}): Split => ({
  ...{ at: AT, sides: [side('blue', from), side('green', to)], settleSeconds: 0, stickySeconds: undefined },
  ...change,
});
const shift = (change: Partial<ShiftFacts> = {}): ShiftFacts => ({
  ...{ at: AT, split: split(), details: { alsoUsedBy: [], slowStartSeconds: 0, drainSeconds: 300 }, others: [] },
  ...change,
});
const web = group({ targetGroups: ['blue'] });
const green = (tag: string, change = {}) =>
  group({ name: 'web-green', tags: { [SUCCESSOR_OF]: 'web', ...(tag === '' ? {} : { [SHIFT]: tag }) }, ...change });
const plan = (change: Partial<GroupFacts> = {}, more: Partial<typeof wanted> = {}) =>
  planGroup(facts({ group: web, shift: shift(), ...change }), { ...wanted, strategy: 'blue-green', ...more });

test('the group that serves tells the two sides apart; without that nothing is changed', () => {
  expect(sidesOf(split(), web)?.to.id).toBe('green');
  expect(sidesOf(split(), { targetGroups: ['green'] })?.to.id).toBe('blue');
  expect(sidesOf(split(), { targetGroups: ['blue', 'other'] })).toBeUndefined();
  expect(sidesOf(split(), { targetGroups: ['blue'], balancers: ['classic'] })).toBeUndefined();
  expect(sidesOf({ sides: [] }, web)).toBeUndefined();
  expect(sidesOf({ sides: [side('blue', 1)] }, web)).toBeUndefined();
  expect(sidesOf({ sides: [side('blue', 1), side('green', 0), side('grey', 0)] }, web)).toBeUndefined();
  expect(sidesOf({ sides: [side('blue', 1), side('blue', 0)] }, web)).toBeUndefined();
});

test('weights that no step has set are of another process', () => {
  const record = { at: AT, before: 7, steps: [10, 100] };
  expect([0, 10, 100].map(percent => weightsAt(percent, record))).toEqual([
    [7, 0],
    [90, 10],
    [0, 100],
  ]);
  const at = (from: number, to: number) => percentOf({ from: side('blue', from), to: side('green', to) }, record);
  expect([at(7, 0), at(90, 10), at(0, 100), at(50, 50), at(100, 0)]).toEqual([0, 10, 100, undefined, undefined]);
  expect([recordOf(green(`${AT} 7 10 100`)), recordOf(green(''))]).toEqual([record, undefined]);
  expect([shiftTag(record), shiftTag(undefined)]).toEqual([{ [SHIFT]: `${AT} 7 10 100` }, {}]);
  expect(recordOf({ tags: shiftTag(record) })).toEqual(record);
});

test('a fresh plan takes all steps, and an interrupted one goes on at the step that the weights show', () => {
  expect(plan().shift).toMatchObject({ steps: [10, 50, 100], record: { at: AT, before: 1, steps: [10, 50, 100] }, pauseSeconds: 300 });
  expect(plan({}, { shift: [5, 100], checkpointDelay: 60 }).shift).toMatchObject({
    steps: [5, 100],
    pauseSeconds: 60,
    estimatedSeconds: 60,
  });
  const successor = { group: green(`${AT} 1 10 50 100`), imageId: 'ami-new' };
  const interrupted = { successor, shift: shift({ split: split(50, 50) }) };
  expect(plan(interrupted)).toMatchObject({ action: 'swap', refusals: [], shift: { steps: [50, 100], record: { before: 1 } } });
  expect(plan(interrupted, { shift: [20, 80, 100] }).shift).toMatchObject({ steps: [80, 100], record: { steps: [10, 50, 80, 100] } });
});

test('nothing is shifted where no group takes over', () => {
  expect(plan({}, { strategy: 'rolling' })).toMatchObject({ action: 'refresh', shift: undefined, warnings: [] });
  const rolling = shift({ split: split(1, 0, { stickySeconds: 3600 }) });
  expect(plan({ shift: rolling }, { strategy: 'rolling' }).warnings).toEqual([]);
});

test('its time is that of the pauses and of the answers that resolvers keep', () => {
  const slow = plan({ shift: shift({ split: split(1, 0, { settleSeconds: 60 }) }) });
  expect(slow.shift).toMatchObject({ drainSeconds: 300, estimatedSeconds: 2 * (300 + 60) + 60 });
  expect([plan().estimatedSeconds, slow.estimatedSeconds, plan({ shift: undefined }).estimatedSeconds]).toEqual([
    420 + 600,
    420 + 780,
    420,
  ]);
  expect(plan({ shift: shift({ details: undefined }) }).shift?.drainSeconds).toBe(0);
  expect(slow.shift && formatShift(slow.shift)).toBe(`10, 50, 100 % of the traffic by ${AT}, 5m at each step (deregistration delay 5m)`);
});

test('an idle group at the other side fits', () => {
  const idle = { group: group({ name: 'web-idle', targetGroups: ['green'], desired: 0, members: [] }), schedules: [] };
  expect(plan({ idle }, { strategy: 'two-groups' }).refusals).toEqual([]);
});

describe('refused before the first write', () => {
  const used = 'arn:aws:elasticloadbalancing:eu-central-1:111122223333:listener/app/web/1/3';
  test.each<[string, Partial<GroupFacts>, string]>([
    ['it does not exist', { shift: shift({ split: undefined }) }, `"shift-at": ${AT} does not exist`],
    [
      'one target group',
      { shift: shift({ split: split(1, 0, { sides: [side('blue', 1)] }) }) },
      `${AT} sends to 1 target group: "shift-at" needs a forward action with exactly two`,
    ],
    [
      'the group is attached to something else',
      { group: group({ targetGroups: ['other'] }) },
      `web must be attached to exactly one of the two sides of ${AT}, and to nothing else: blue, green`,
    ],
    ['the other side has traffic', { shift: shift({ split: split(1, 1) }) }, `green has weight 1 at ${AT} already: set it to 0`],
    ['the side that serves has none', { shift: shift({ split: split(0, 0) }) }, `blue, which serves, has weight 0 at ${AT}: set it to 100`],
    [
      'another listener needs the targets',
      { shift: shift({ details: { alsoUsedBy: [used], slowStartSeconds: 0, drainSeconds: 0 } }) },
      `${used} sends to a side of ${AT} too, and would lose its targets: let it send to another target group`,
    ],
    [
      'another group is attached',
      { shift: shift({ others: ['api'] }) },
      `api is attached to a side of ${AT} too, and would get other traffic: detach it`,
    ],
    [
      'other groups are attached',
      { shift: shift({ others: ['api', 'mail'] }) },
      `api, mail are attached to a side of ${AT} too, and would get other traffic: detach them`,
    ],
    [
      'the idle group is attached to the side that serves',
      { idle: { group: group({ name: 'web-idle', targetGroups: ['blue'], desired: 0, members: [] }), schedules: [] } },
      `web-idle must be attached to green, the other side of ${AT}, and to nothing else`,
    ],
    [
      'another process changed the weights of an interrupted run',
      { successor: { group: green(`${AT} 1 10 100`), imageId: 'ami-new' }, shift: shift({ split: split(70, 30) }) },
      `${AT} has the weights 70 (blue) and 30 (green), which another process set: set them to 1 and 0, then run the job again or mode "rollback"`,
    ],
    [
      'the green group was created without weights',
      { successor: { group: green(''), imageId: 'ami-new' } },
      'green group web-green was created without "shift-at": remove "shift-at" to finish, or run mode "rollback" to remove the group',
    ],
    [
      'it was created with weights, and the settings have none',
      { successor: { group: green(`${AT} 1 10 100`), imageId: 'ami-new' }, shift: undefined },
      `green group web-green gets its traffic by ${AT}: set "shift-at" to it to finish, or run mode "rollback" to remove the group`,
    ],
  ])('%s', (_, change, refusal) => {
    const strategy = change.idle === undefined ? 'blue-green' : 'two-groups';
    expect(plan(change, { strategy }).refusals).toEqual([`web: ${refusal}`]);
  });

  test('an alarm that does not exist or is ALARM; one without data does not matter', () => {
    const states = new Map([
      ['rings', 'ALARM'],
      ['new', 'INSUFFICIENT_DATA'],
    ]);
    expect(plan({ alarms: states }, { alarms: ['rings', 'new', 'gone'] }).refusals).toEqual([
      'web: alarm "rings" is ALARM already: fix its cause, or remove it from "alarms"',
      'web: alarm "gone" does not exist: remove it from "alarms", or create it',
    ]);
  });
});

test('what slows the traffic is in the plan', () => {
  const slow = shift({
    split: split(1, 0, { stickySeconds: 3600, settleSeconds: 60 }),
    details: { alsoUsedBy: [], slowStartSeconds: 30, drainSeconds: 300 },
  });
  expect(plan({ shift: slow }).warnings).toEqual([
    'target group stickiness: a client stays with its target group for 1h, so the shares change later than the weights',
    'slow start: a new target gets its full share 30s after its first traffic',
    'DNS: resolvers keep an answer for 1m (the TTL), some longer. Each step takes that much longer',
  ]);
});

test('open connections of a Network Load Balancer stay; nothing is said of what is not slow', () => {
  const at = 'arn:aws:elasticloadbalancing:eu-central-1:111122223333:listener/net/web/1/2';
  expect(shiftWarnings({ shift: shift({ at }) })).toEqual([
    'Network Load Balancer: open connections stay with the old group until they end; only new ones follow the weights',
  ]);
  expect([shift(), shift({ details: undefined }), shift({ split: undefined }), undefined].map(of => shiftWarnings({ shift: of }))).toEqual([
    [],
    [],
    [],
    [],
  ]);
});

test.each([
  [{ strategy: 'rolling' as const }, '"shift-at" needs "strategy: blue-green" or "strategy: two-groups"'],
  [{ groups: ['web', 'api'] }, '"shift-at" takes one group and no "group-tags": got web, api'],
  [{ regions: ['eu-west-1'] }, '"shift-at" works in one region: remove "regions"'],
  [{ shift: [50, 10, 100] }, '"shift" must be ascending without repeats, got 50, 10, 100'],
  [{ shift: [1, 2, 3, 4, 5, 6, 7, 8, 100] }, '"shift" takes at most 8 steps, got 9'],
  [{ shift: [10, 50] }, '"shift" must end with 100, got 10, 50'],
  [{ shiftAt: undefined, shift: [100] }, '"shift" needs "shift-at": what divides the traffic'],
])('%j does not fit', (change, problem) => {
  const fits = { ...settings, strategy: 'blue-green' as const, groups: ['web'], groupTags: undefined, shiftAt: AT, regions: [] };
  expect(() => throwIfUnfit(fits)).not.toThrow();
  expect(() => throwIfUnfit({ ...fits, ...change })).toThrow(problem);
});
