import { afterAll, afterEach, expect, test } from '@jest/globals';
import { connect, pointerValue } from '../../demo/fleet.ts';
import { groups } from '../../lab/autoscaling/group.ts';
import { mishaps } from '../../lab/ec2/mishaps.ts';
import { instances } from '../../lab/ec2/state.ts';
import { removeWorkspaces, runAction } from '../harness.ts';
import { type Served, serve } from './github.ts';
import { dies, IS_FULL, KILL_TIMEOUT } from './kill-points.ts';
import { group } from './organisation.ts';
import { HOME, ROLE, type ShareLab, STAGE, shareLab } from './share-lab.ts';

/**
 * Image follows commit across accounts: `share` in the account of the images, and `promote` in the consumer's, which finds the newest commit with an
 * image by the tags that were copied. Each is killed at every call.
 */

let l: ShareLab;
let github: Served;
const commits: string[] = [];
afterEach(async () => {
  await Promise.all([l.lab.close(), github.close()]);
  commits.length = 0;
});
afterAll(removeWorkspaces);

const CONSUMER = { account: STAGE, region: HOME };

async function stage() {
  l = await shareLab();
  await group(l.lab, CONSUMER, 'web');
  github = await serve(() => ({
    body: commits.map((sha, i) => ({ sha, parents: commits.slice(i + 1, i + 2).map(parent => ({ sha: parent })) })),
  }));
}

/** A commit on main, and its image in the source account. */
function commit(n: number): string {
  const sha = n.toString(16).padStart(40, 'a');
  commits.unshift(sha);
  return l.image(`web-${n}`, { tags: { 'ami-action:commit': sha } });
}

type More = Partial<Parameters<typeof runAction>[0]>;
const share = (image: string, more: More = {}) => l.act('share', { image, accounts: STAGE, 'target-role': ROLE }, more);
const follow = (more: More = {}) =>
  runAction({
    ...{ mode: 'promote', lab: l.lab, env: { ...l.lab.environment(CONSUMER), GITHUB_API_URL: github.url } },
    with: {
      ...{ family: 'web', environment: 'stage', region: HOME, groups: 'web', 'adopt-groups': 'true' },
      'github-token': 'ghs_test',
      ...{ image: 'ref:main', fallback: 'last-known-good', bake: '1m', 'warm-up': '0s', 'min-healthy': '0' },
    },
    ...more,
  });
const pointer = () => pointerValue(connect(l.lab, CONSUMER), '/ami/web/stage');
const runs = () => {
  const place = l.lab.place(STAGE, HOME);
  const members = [...(groups(place).get('web')?.members.values() ?? [])].filter(({ state }) => state === 'InService');
  return members.map(({ id }) => instances(place).get(id)?.imageId);
};
/** The consumer asks for nothing in the account of the images. */
const intruded = () => l.lab.calls.all().filter(({ account, client }) => account !== STAGE && client.includes('mode/promote')).length;

test(
  'answers are lost, following is cancelled, and a bad image: what runs is what the pointer names, and each run says what is left',
  async () => {
    await stage();
    const place = l.lab.place(STAGE, HOME);
    const [first, second, bad] = [commit(0), commit(1), commit(2)];
    const newest = commits.splice(0);
    for (const sha of newest.slice(2)) commits.push(sha);
    expect([(await share(first)).errors, (await follow()).errors]).toEqual([[], []]);

    commits.unshift(newest[1] ?? '');
    for (const operation of ['ModifyImageAttribute', 'CreateTags', 'CreateLaunchTemplateVersion', 'StartInstanceRefresh'])
      l.lab.faults.add({ operation, nth: 1, action: { reset: 'after' } });
    expect((await share(second)).errors).toEqual([]);
    const alive = { kill: () => {} };
    const cancelled = await follow({
      onStart: child => void Object.assign(alive, { kill: () => child.kill('SIGINT') }),
      onLine: line => void (/refresh \S+ started/.test(line) && alive.kill()),
    });
    expect([cancelled.outputs['outcome'], await pointer()]).toEqual(['cancelled', first]);
    expect(cancelled.errors.join('\n')).toMatch(/refresh \S+ of web is in progress/);
    const plan = cancelled.log.slice(0, cancelled.log.indexOf(`Write ${second} to`));
    expect(plan).toMatch(
      /replace 1 instance, 1 at a time: 1 batch, about .*, at most \d instances? at once[\s\S]*; on failure, AWS rolls back/,
    );
    expect([(await follow()).errors, await pointer(), runs(), groups(place).get('web')?.refreshes.length]).toEqual([
      ...[[], second, [second], 2],
    ]);

    commits.unshift(newest[0] ?? '');
    expect((await share(bad)).errors).toEqual([]);
    mishaps(place).impaired.add(bad);
    const failed = await follow();
    expect([failed.outputs['outcome'], await pointer(), runs()]).toEqual(['rejected', second, [second]]);
    expect(failed.errors.join('\n')).toContain('Reverted: every group launches and runs what it did before');
    expect(intruded()).toBe(0);
  },
  KILL_TIMEOUT,
);

test(
  'sharing is killed: the consumer keeps the last known image until the new one has its tags, and never half of it',
  async () => {
    await stage();
    expect([(await share(commit(0))).errors, (await follow()).errors]).toEqual([[], []]);
    let deaths = 0;
    for (let died = true, nth = 1; died; nth += 1) {
      const before = await pointer();
      const image = commit(nth);
      died = await dies(l.lab, nth, onStart => share(image, { onStart }));
      const early = await follow();
      expect({ nth, errors: early.errors }).toEqual({ nth, errors: [] });
      const isShared = l.tags(image, STAGE)['ami-action:verdict'] !== undefined;
      const runsNow = isShared ? image : before;
      expect([nth, await pointer(), runs()]).toEqual([nth, runsNow, [runsNow]]);
      expect((await share(image)).errors).toEqual([]);
      expect((await follow()).errors).toEqual([]);
      expect([nth, await pointer(), runs()]).toEqual([nth, image, [image]]);
      deaths += died ? 1 : 0;
    }
    // The launch permission, and the tags.
    expect([deaths >= 2, intruded()]).toEqual([true, 0]);
  },
  KILL_TIMEOUT,
);

test(
  'following is killed, and a newer commit has an image by then: the next run takes that, once',
  async () => {
    await stage();
    let deaths = 0;
    for (let died = true, nth = 1; died; nth += IS_FULL ? 1 : 2) {
      expect((await share(commit(2 * nth))).errors).toEqual([]);
      died = await dies(l.lab, nth, onStart => follow({ onStart }));
      const newer = commit(2 * nth + 1);
      expect((await share(newer)).errors).toEqual([]);
      let next = await follow();
      // A refresh of the killed run is not ended by another commit: it ends first.
      for (; /refresh \S+ .* is (Pending|InProgress|Baking)/.test(next.errors[0] ?? ''); next = await follow()) await l.lab.clock.sleep(60);
      expect({ nth, errors: next.errors }).toEqual({ nth, errors: [] });
      expect([nth, await pointer(), runs()]).toEqual([nth, newer, [newer]]);
      deaths += died ? 1 : 0;
    }
    expect([deaths >= 3, intruded()]).toEqual([true, 0]);
  },
  KILL_TIMEOUT,
);
