import type { ChildProcess } from 'node:child_process';
import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { verdictOf } from '../../src/model/verdict.ts';
import { removeWorkspaces } from '../harness.ts';
import { BUILD, HOME, PROD, ROLE, type ShareLab, STAGE, shareLab } from './share-lab.ts';

const SCHEME = { prefix: 'ami-action:', commitKey: 'ami-action:commit' };

let l: ShareLab;
beforeEach(async () => {
  l = await shareLab();
});
afterEach(() => l.lab.close());
afterAll(removeWorkspaces);

const passes = (id: string, account: string, region = HOME) =>
  verdictOf({ id, tags: l.tags(id, account, region) }, SCHEME).result === 'passed';

/** Killed after its nth write; true where it got so far. */
async function killedAt(n: number, image: string, wanted: Readonly<Record<string, string>>): Promise<boolean> {
  let pid = 0;
  const stop = l.lab.faults.add({
    when: ({ operation }) => /^(CopyImage|CreateTags|Modify)/.test(operation),
    nth: n,
    action: { run: () => void process.kill(pid, 'SIGKILL'), at: 'after' },
  });
  const onStart = (child: ChildProcess) => {
    pid = child.pid ?? 0;
  };
  const ran = await l.act('share', { image, ...wanted }, { onStart });
  stop();
  return ran.signal === 'SIGKILL';
}

describe('killed', () => {
  test('after any write: the next run does what is missing, and nothing twice', async () => {
    const wanted = { accounts: STAGE, copy: PROD, regions: 'eu-west-1', 'target-role': ROLE };
    let n = 0;
    for (let killed = true; killed; ) {
      n += 1;
      const image = l.image(`web-${n}`);
      killed = await killedAt(n, image, wanted);
      const next = await l.act('share', { image, ...wanted });
      expect([next.errors, next.outputs['outcome']]).toEqual([[], expect.stringMatching(killed ? /^(done|unchanged)$/ : /^unchanged$/)]);
      const copies = ([account, region]: readonly [string, string]) =>
        l.owned(account, region).flatMap(({ id, name }) => (name === `web-${n}` ? [passes(id, account, region)] : []));
      const places = [
        [BUILD, 'eu-west-1'],
        [PROD, HOME],
        [PROD, 'eu-west-1'],
      ] as const;
      expect(places.map(copies)).toEqual([[true], [true], [true]]);
      expect([[...l.labImage(image).launchers].sort(), passes(image, STAGE)]).toEqual([[STAGE, PROD], true]);
    }
    expect(n).toBeGreaterThan(9);
  }, 180_000);

  test('right after CopyImage: the next run finds the copy and goes on from there', async () => {
    const image = l.image('web-1');
    const wanted = { copy: PROD, 'target-role': ROLE };
    // After both permissions.
    expect([await killedAt(3, image, wanted), l.owned(PROD).length]).toEqual([true, 1]);
    const mark = l.lab.calls.mark();
    expect((await l.act('share', { image, ...wanted })).outputs['outcome']).toBe('done');
    // Its tag of a copy that is not a member of the family yet goes.
    expect(l.writes(mark)).toEqual([`CreateTags ${PROD} ${HOME}`, `DeleteTags ${PROD} ${HOME}`]);
    expect(l.owned(PROD)).toHaveLength(1);
  });
});
