import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { images, snapshots } from '../../lab/ec2/images.ts';
import { mishaps } from '../../lab/ec2/mishaps.ts';
import { instances, setTags, tagsOf } from '../../lab/ec2/state.ts';
import { contextOf } from '../../lab/iam/context.ts';
import { evaluate, readPolicy, type Statement } from '../../lab/iam/policy.ts';
import { type Asked, askedPermissions } from '../../lab/iam/roles.ts';
import { parameters } from '../../lab/ssm/parameter-state.ts';
import { removeWorkspaces, runAction } from '../harness.ts';
import { dies, KILL_TIMEOUT } from './kill-points.ts';
import { changed, lesser } from './lesser-policies.ts';
import { LATEST, policy, type SavingLab, savingLab, TEST_ROLE } from './saved-instance.ts';
import { passChecks } from './share-lab.ts';

/** An instance that saves itself as the last step of its own set-up: no runner, no Lambda. */

let l: SavingLab;
afterEach(() => l.lab.close());
afterAll(removeWorkspaces);

const made = () => [...images(l.place).values()].filter(({ name, state }) => name.startsWith('web-stage-') && state !== 'deregistered');
const testInstances = () =>
  [...instances(l.place).values()].filter(
    ({ id, state }) => tagsOf(l.place, id)['ami-action:purpose'] === 'validate' && state !== 'terminated' && state !== 'shutting-down',
  );
const imagesUnderTest = () => testInstances().map(({ imageId }) => imageId);
const green = { code: 0, signal: null, problem: '' };
const asked = (): readonly Asked[] => askedPermissions(l.lab.core);
/** Without calls that are repeated because their answer was lost: what they removed has no tags any more. */
const denied = () =>
  asked()
    .filter(
      ({ allowed, action, resource }, i, all) =>
        !allowed && !all.slice(0, i).some(was => was.action === action && was.resource === resource),
    )
    .map(({ action, resource }) => `${action} ${resource}`);

/** The answer to the removal of an image is lost. */
const loseRemoval = (id = '') => {
  const when = ({ input }: { input: Readonly<Record<string, unknown>> }) => input['ImageId'] === id;
  l.lab.faults.add({ operation: 'DeregisterImage', when, nth: 1, action: { reset: 'after' } });
};

/** Two days pass. */
const age = () => {
  for (const image of made()) Object.assign(image, { createdAt: new Date(image.createdAt.getTime() - 2 * 86_400_000) });
};

/** The week of an image that no run finished is over. */
function expire(id: string): void {
  const past = { 'ami-action:expires-at': new Date(l.lab.clock.now() - 1000).toISOString() };
  const snapshotIds =
    images(l.place)
      .get(id)
      ?.devices.map(({ snapshotId }) => snapshotId ?? '') ?? [];
  for (const resource of [id, ...snapshotIds]) setTags(l.place, resource, past);
}

/** Start and finish, as cloud-init and the unit do. */
async function save(instanceId: string) {
  expect(await l.on(instanceId)).toMatchObject(green);
  return l.on(instanceId, 'finish');
}

test('the first instance saves itself with its own role; the pointer names the image, and the last 3 are kept', async () => {
  l = await savingLab();
  const [one = '', two = ''] = l.members();
  const started = await l.on(one);
  expect([started.code, l.units(), made().length, l.pointer(LATEST)]).toEqual([0, 1, 1, undefined]);
  expect(instances(l.place).get(one)?.state).toBe('running');
  // Before the first write.
  expect(started.log.split('Creating ami-')[0]).toContain(`${one} keeps running; the image changes nothing until it is promoted.`);
  expect(l.lab.calls.all().findLast(({ operation }) => operation === 'CreateImage')?.input['NoReboot']).toBe(true);
  const finished = await l.on(one, 'finish');
  expect(finished).toMatchObject(green);
  const [first] = made();
  expect([made().length, l.pointer(LATEST)]).toEqual([1, first?.id]);
  expect(first?.name).toMatch(/^web-stage-\d{14}$/);
  expect(tagsOf(l.place, first?.id ?? '')).toMatchObject({
    ...{ App: 'web', Environment: 'stage', CreatedAt: '2026-11-30T08:00:00Z', ManagedBy: 'ami-action', Type: 'autoscaling' },
    ...{ 'ami-action:family': 'web', 'ami-action:from-instance': one, 'ami-action:verdict': expect.stringMatching(/^passed /) },
  });
  expect(testInstances()).toEqual([]);
  // A second call of the same set-up makes no second image.
  expect(await save(one)).toMatchObject(green);
  expect([made().length, l.pointer(LATEST)]).toEqual([1, first?.id]);
  expect(finished.log).toContain(`${LATEST}: moves from nothing at once, and no instance is replaced`);
  // Three more in the following days, one of a regular instance: the oldest goes, with its snapshot.
  loseRemoval(first?.id);
  for (const instance of [two, await l.regular(), two]) {
    age();
    expect(await save(instance)).toMatchObject(green);
  }
  expect(made().map(({ id }) => id)).not.toContain(first?.id);
  expect([made().length, l.pointer(LATEST)]).toEqual([3, made().at(-1)?.id]);
  expect([...snapshots(l.place).values()].filter(({ description }) => description.includes(first?.id ?? '?'))).toEqual([]);
  // One that another instance began and never finished, with its week over.
  age();
  expect(await l.on(one)).toMatchObject(green);
  const begun = made().at(-1)?.id ?? '';
  expire(begun);
  age();
  loseRemoval(begun);
  expect(await save(two)).toMatchObject(green);
  expect(made()).toHaveLength(3);
  // One that AWS cannot create, and one that does not boot.
  mishaps(l.place).imageFails.set('*', 'no key');
  age();
  expect((await save(one)).code).toBe(1);
  mishaps(l.place).imageFails.clear();
  Object.assign(l.paper.answers, { agentAlive: () => false });
  age();
  expect((await save(one)).code).not.toBe(0);
  expect(denied()).toEqual([]);
  expectNeeded([...asked().filter(({ allowed }) => allowed), VOLUME]);
}, 300_000);

/** Each part of the example denies a call when it is missing, or opens what is of others, and the page lists what the seed lacks. */
function expectNeeded(calls: readonly Asked[]): void {
  const all = readPolicy(policy());
  const lost = (change: readonly Statement[]) => calls.filter(call => evaluate(change, call) !== 'allowed').length;
  const idle = (['action', 'statement', 'resource', 'value of a condition'] as const).flatMap(part =>
    lesser(all, part).filter(one => lost(changed(one)(all)) === 0),
  );
  expect(idle.map(({ what }) => what)).toEqual([]);
  const opened = (policies: readonly Statement[]) => FOREIGN.filter(call => evaluate(policies, call) === 'allowed').length;
  const vain = lesser(all, 'condition').filter(one => opened(changed(one)(all)) === 0);
  expect([opened(all), vain.map(({ what }) => what)]).toEqual([0, []]);
  const lacking = [...new Set(calls.filter(call => evaluate(SEED, call) !== 'allowed').map(({ action }) => action))].sort();
  const page = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'coming-from', 'save-ami.md'), 'utf8');
  const [, listed = ''] = /## Permissions[\s\S]*?```json\n([\s\S]*?)```/.exec(page) ?? [];
  expect(lacking).toEqual(JSON.parse(listed));
}

/** After a killed validation the volume of its test instance may be listed longer than the instance. */
const VOLUME: Asked = {
  ...{ role: '', action: 'ec2:DeleteVolume', resource: 'arn:aws:ec2:eu-central-1:111122223333:volume/vol-1', allowed: true },
  context: contextOf({ 'aws:ResourceTag/ami-action:family': 'web', 'aws:ResourceTag/ami-action:purpose': 'validate' }),
};

const INSTANCE = 'ec2:eu-central-1:111122223333:instance/i-1';
const IMAGE = 'ec2:eu-central-1::image/ami-1';
const tested = (prefix: string, family: string, purpose: string) => ({
  [`${prefix}/ami-action:family`]: family,
  [`${prefix}/ami-action:purpose`]: purpose,
});

/** What is of another group, family or service, or no test instance. */
const FOREIGN = (
  [
    ['ec2:CreateImage', INSTANCE, { 'aws:ResourceTag/aws:autoscaling:groupName': 'web-prod' }],
    ['ec2:CreateImage', INSTANCE, { 'aws:ResourceTag/ami-action:saved-as': 'web-prod' }],
    ['ec2:CreateTags', IMAGE, {}],
    ['ec2:DeregisterImage', IMAGE, { 'aws:ResourceTag/ami-action:for-family': 'shop' }],
    ['ec2:DeregisterImage', IMAGE, { 'aws:ResourceTag/ami-action:family': 'shop' }],
    ['ec2:RunInstances', INSTANCE, { 'aws:RequestTag/ami-action:family': 'shop' }],
    ...(['ec2:TerminateInstances', 'ec2:DeleteVolume', 'ssm:SendCommand'] as const).flatMap(action => {
      const prefix = action === 'ssm:SendCommand' ? 'ssm:resourceTag' : 'aws:ResourceTag';
      const resource = action === 'ec2:DeleteVolume' ? INSTANCE.replace('instance/i-', 'volume/vol-') : INSTANCE;
      return [tested(prefix, 'shop', 'validate'), tested(prefix, 'web', 'build')].map(keys => [action, resource, keys] as const);
    }),
    ['iam:PassRole', TEST_ROLE.replace('arn:aws:', ''), { 'iam:PassedToService': 'lambda.amazonaws.com' }],
  ] as const
).map(([action, resource, keys]) => ({ action, resource: `arn:aws:${resource}`, context: contextOf(keys) }));

/** The statement that the seed gives the instance. */
const SEED = readPolicy({
  Statement: [
    {
      Effect: 'Allow',
      Action: ['ec2:CreateImage', 'ec2:CreateTags', 'ec2:DescribeImages', 'ec2:DeregisterImage', 'ssm:PutParameter'],
      Resource: '*',
    },
  ],
});

describe('permissions', () => {
  test("the seed's five alone: the run ends at the first call that they lack, before anything is made", async () => {
    l = await savingLab({}, { Statement: [{ Effect: 'Allow', Action: SEED.flatMap(({ actions }) => actions), Resource: '*' }] });
    const [one = ''] = l.members();
    const ran = await l.on(one);
    expect([ran.code, made(), l.units()]).toEqual([3, [], 0]);
    expect(ran.log).toContain('ec2:DescribeInstances');
  }, 120_000);
});

describe('failures', () => {
  test('an image that does not boot well is never named by the pointer', async () => {
    l = await savingLab();
    const [one = '', two = ''] = l.members();
    expect(await save(one)).toMatchObject(green);
    const good = l.pointer(LATEST);
    passChecks({ home: l.place }, 1);
    const bad = await save(two);
    expect([bad.code, l.pointer(LATEST), testInstances()]).toEqual([1, good, []]);
    expect(bad.log).toContain('no failed units');
    passChecks({ home: l.place });
    expect(await save(two)).toMatchObject(green);
    expect(l.pointer(LATEST)).toBe(made().at(-1)?.id);
  }, 300_000);

  test('an image that AWS cannot create is removed, and the pointer stays', async () => {
    l = await savingLab();
    const [one = ''] = l.members();
    mishaps(l.place).imageFails.set('*', 'no key');
    expect(await l.on(one)).toMatchObject(green);
    const failed = await l.on(one, 'finish');
    expect([failed.code, made().filter(({ state }) => state !== 'failed'), l.pointer(LATEST)]).toEqual([1, [], undefined]);
    expect(failed.log).toContain('failed: no key');
    // The one that the first step began expires; the second attempt's is gone.
    expect(made().map(({ id }) => tagsOf(l.place, id)['ami-action:expires-at'])).toEqual([expect.stringMatching(/Z$/)]);
  }, 120_000);

  test('stopped while the test instance runs: it goes, no verdict and no pointer, and the same script goes on with the same image', async () => {
    l = await savingLab();
    const [one = ''] = l.members();
    expect(await l.on(one)).toMatchObject(green);
    let stop = () => {};
    l.lab.faults.add({ operation: 'RunInstances', nth: 1, action: { run: () => stop(), at: 'after' } });
    const stopped = await l.on(one, 'finish', end => {
      stop = () => end('SIGTERM');
    });
    expect([stopped.signal, stopped.log, testInstances(), l.pointer(LATEST)]).toEqual([
      ...['SIGTERM', expect.stringMatching(/Cancelled/i), [], undefined],
    ]);
    const [image, ...others] = made();
    expect([others, tagsOf(l.place, image?.id ?? '')['ami-action:verdict']]).toEqual([[], undefined]);
    expect(await l.on(one, 'finish')).toMatchObject(green);
    expect([made().map(({ id }) => id), l.pointer(LATEST)]).toEqual([[image?.id], image?.id]);
  }, 120_000);

  test.each(['CreateImage', 'PutParameter'])(
    'a lost answer of %s makes one image and one pointer',
    async operation => {
      l = await savingLab();
      const [one = ''] = l.members();
      l.lab.faults.add({ operation, times: 1, action: { reset: 'after' } });
      expect(await save(one)).toMatchObject(green);
      expect([made().length, l.pointer(LATEST)]).toEqual([1, made()[0]?.id]);
    },
    120_000,
  );

  test(
    'killed at any call, the same script ends what it began',
    async () => {
      l = await savingLab();
      const [one = '', two = ''] = l.members();
      let deaths = 0;
      for (let nth = 1; ; nth += 1) {
        age();
        const instance = nth % 2 === 0 ? one : two;
        const before = made().map(({ id }) => id);
        const died = await dies(l.lab, nth, async onStart => {
          const ends = (end: () => void) => onStart({ kill: end });
          const start = await l.on(instance, undefined, ends);
          return start.signal === null ? l.on(instance, 'finish', ends) : start;
        });
        const tested = new Set(imagesUnderTest());
        expect({ nth, ...(await save(instance)) }).toMatchObject({ nth, ...green });
        const fresh = made().filter(({ id }) => !before.includes(id));
        expect({ nth, made: fresh.length, pointer: l.pointer(LATEST) }).toEqual({
          ...{ nth, made: 1, pointer: fresh[0]?.id },
        });
        // The test instance of a killed run ends itself.
        const ends = testInstances().map(({ id }) => tagsOf(l.place, id)['ami-action:expires-at'] ?? '');
        expect(ends.filter(at => !(Date.parse(at) > 0))).toEqual([]);
        // Until then its image is in use and stays; the others are the last 3.
        for (const id of imagesUnderTest()) tested.add(id);
        const idle = made().filter(({ id }) => !tested.has(id));
        expect([idle.length <= 3, parameters(l.place).has(`${LATEST}/candidate`)]).toEqual([true, false]);
        if (!died) break;
        deaths += 1;
      }
      expect(deaths).toBeGreaterThan(8);
      expect(denied()).toEqual([]);
    },
    KILL_TIMEOUT,
  );

  test('where no unit finishes an image, another instance removes it after a week, and not before', async () => {
    l = await savingLab();
    const [one = '', two = ''] = l.members();
    expect(await l.on(one)).toMatchObject(green);
    const [abandoned] = made();
    const id = abandoned?.id ?? '';
    const expires = Date.parse(tagsOf(l.place, id)['ami-action:expires-at'] ?? '');
    expect(Math.round((expires - l.lab.clock.now()) / 86_400_000)).toBe(7);
    expect(await save(two)).toMatchObject(green);
    expect(made().map(image => image.id)).toContain(id);
    expire(id);
    expect(await l.on(two, 'finish')).toMatchObject(green);
    expect(made().map(image => image.id)).not.toContain(id);
    expect(denied()).toEqual([]);
  }, 300_000);
});

test('"self" outside an instance is refused, with the reason', async () => {
  l = await savingLab();
  const env = { AWS_EC2_METADATA_SERVICE_ENDPOINT: 'http://127.0.0.1:9' };
  const ran = await runAction({ mode: 'build', lab: l.lab, with: { family: 'web', 'from-instance': 'self' }, env });
  expect([ran.outputs['outcome'], made()]).toEqual(['usage', []]);
  expect(ran.errors[0]).toContain('"from-instance" is self, and the instance metadata service does not answer: ');
}, 120_000);
