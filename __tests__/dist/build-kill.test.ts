import type { ChildProcess } from 'node:child_process';
import { expect, test } from '@jest/globals';
import type { CallRecord } from '../../lab/calls.ts';
import type { FaultRule } from '../../lab/fault-rules.ts';
import type { Ran } from '../../lab/runner.ts';
import { concurrently } from '../../src/kit/concurrently.ts';
import { build, DEBIAN, describeWithPacker as describe, idle, killRunner, labOfTests, leftovers, madeImages, tagsIn } from './build-lab.ts';

/** Killed at a call, without a post step: the next run of the same inputs must complete it. Each time in its own account. */

const lab = await labOfTests({ timings: { boot: 1, statusChecks: 1, shutdown: 1, image: 1 } });

const AT_ONCE = 3;
let accounts = 200000000000;
const newAccount = () => {
  accounts += 1;
  return String(accounts);
};

const run = (account: string, more: Parameters<typeof build>[1] = {}) =>
  build(lab, { files: idle(), as: { account }, with: { family: 'web', 'base-image': DEBIAN }, ...more });

/** Three hours later, when leftovers have expired. */
const later = (account: string, commit = '1') =>
  run(account, { env: { AMI_ACTION_CLOCK_SINCE: String(lab.clock.since - 180_000), GITHUB_SHA: commit.repeat(40) } });

const callsOf = (account: string) => lab.calls.all().filter(call => call.account === account);
const isOurs = ({ client }: CallRecord) => client.includes('ami-action');
const isPackers = (call: CallRecord) => !isOurs(call);
const isWrite = ({ operation }: CallRecord) => !/^(Describe|Get)/.test(operation);

const onlyUs = (child: ChildProcess) => void child.kill('SIGKILL');
/** A run that is killed when a call is done, before it gets the answer. */
async function struck(account: string, rule: Omit<FaultRule, 'action'>, strike: (child: ChildProcess) => void): Promise<Ran> {
  let child: ChildProcess | undefined;
  const lift = lab.faults.add({ account, nth: 1, ...rule, action: { kill: () => child && strike(child), at: 'after' } });
  const ran = await run(account, {
    onStart: started => {
      child = started;
    },
  });
  lift();
  expect([rule, ran.signal]).toEqual([rule, 'SIGKILL']);
  return ran;
}

const packerIsDone = async (account: string) => {
  while (!callsOf(account).some(({ operation }) => operation === 'DeleteKeyPair')) await new Promise(done => setTimeout(done, 100));
};

/** One image, of the family, with nothing temporary on it or its snapshots; and nothing else. */
function isWhole(account: string, { errors, outputs }: Ran): void {
  expect(errors).toEqual([]);
  const made = madeImages(lab, undefined, account);
  expect(made.map(({ id }) => id)).toEqual([outputs['ami-id']]);
  for (const id of made.flatMap(image => [image.id, image.devices[0]?.snapshotId ?? ''])) {
    const tags = tagsIn(lab, id, undefined, account);
    expect(tags).toMatchObject({
      'ami-action:family': 'web',
      'ami-action:fingerprint': outputs['fingerprint'],
      'ami-action:source': 'amazon-ebs.web',
      'ami-action:siblings': '1',
    });
    expect(Object.keys(tags).filter(key => /purpose|expires-at|:build|for-family/.test(key))).toEqual([]);
  }
  expect(leftovers(lab, undefined, account)).toEqual([]);
}

describe('build killed without a post step', () => {
  let before = 0;

  test('a whole run first: which calls there are', async () => {
    const account = newAccount();
    isWhole(account, await run(account));
    const calls = callsOf(account);
    before = calls.findIndex(isPackers);
    expect(before).toBeGreaterThanOrEqual(4);
    expect(calls.filter(call => isOurs(call) && isWrite(call)).map(({ operation }) => operation)).toEqual(['CreateTags', 'DeleteTags']);
  });

  test('at any of our calls before Packer it has touched nothing', async () => {
    const account = newAccount();
    for (let nth = 1; nth <= before; nth += 1) await struck(account, { nth, when: isOurs }, onlyUs);
    expect(callsOf(account).filter(isWrite)).toEqual([]);
  });

  test('with Packer at a call that changes something, as when the machine dies: one later run sweeps and builds', async () => {
    const changes = ['CreateKeyPair', 'RunInstances', 'CreateImage', 'CreateTags'];
    await concurrently(changes, AT_ONCE, async operation => {
      const account = newAccount();
      await struck(account, { operation, when: isPackers }, killRunner);
      expect([operation, leftovers(lab, undefined, account).length]).not.toEqual([operation, 0]);
      const next = await later(account);
      expect([operation, next.outputs['built'], next.outputs['outcome']]).toEqual([operation, 'true', 'done']);
      isWhole(account, next);
    });
  });

  test('while Packer goes on: what it finishes is adopted by the next run, however late, and not swept', async () => {
    const account = newAccount();
    await struck(account, { operation: 'RunInstances' }, onlyUs);
    await packerIsDone(account);
    const next = await later(account, '2');
    expect(next.outputs).toMatchObject({ built: 'false', outcome: 'unchanged' });
    expect(next.outputs['reason']).toContain('has the same fingerprint, and was finished by a run that was interrupted');
    isWhole(account, next);
    expect(callsOf(account).filter(({ operation }) => operation === 'RunInstances')).toHaveLength(1);
    // The commit that it was built from stays; the one that reused it finds it too.
    expect(tagsIn(lab, next.outputs['ami-id'] ?? '', undefined, account)).toMatchObject({
      'ami-action:commit': '1'.repeat(40),
      'ami-action:same-commits': '2'.repeat(12),
    });
  });

  // Between two calls that change something, all moments are one.
  test('after Packer, before and behind each of our calls that changes something: the next run adopts, and builds nothing', async () => {
    const moments: Record<string, Omit<FaultRule, 'action'>> = {
      'the first call': { nth: before + 1, when: isOurs },
      CreateTags: { operation: 'CreateTags', when: isOurs },
      DeleteTags: { operation: 'DeleteTags', when: isOurs },
    };
    await concurrently(Object.entries(moments), AT_ONCE, async ([moment, rule]) => {
      const account = newAccount();
      await struck(account, rule, onlyUs);
      const next = await run(account);
      expect([moment, next.outputs['built'], next.outputs['outcome']]).toEqual([moment, 'false', 'unchanged']);
      isWhole(account, next);
    });
  });
});
