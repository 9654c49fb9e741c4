import { afterAll, afterEach, expect, test } from '@jest/globals';
import { images } from '../../lab/ec2/images.ts';
import { dropTags } from '../../lab/ec2/state.ts';
import { removeWorkspaces } from '../harness.ts';
import { POINTER, type RollLab, rollLab } from './roll-lab.ts';

let l: RollLab;
afterEach(() => l.lab.close());
afterAll(removeWorkspaces);

const quick = { bake: '1m', 'min-healthy': '0', 'warm-up': '0s', groups: 'web' };
const back = (wanted: Record<string, string> = {}, more: Parameters<RollLab['act']>[2] = {}) =>
  l.act('rollback', { ...quick, ...wanted }, more);
const promote = (image: string, wanted: Record<string, string> = {}) => l.act('promote', { ...quick, image, ...wanted });
const vetoed = (image: string) => l.tags(image)['ami-action:vetoed-in'];
const stateNow = () => ({ runs: [...new Set(l.runs('web'))], pointer: l.pointer(), candidate: l.candidate() });

/** A group that ran a, then b, then c. */
async function afterThree(wanted: Record<string, string> = {}) {
  l = await rollLab({ speed: 400, timings: { boot: 1, statusChecks: 1, targetHealth: 1, shutdown: 1 } });
  const [a, b, c] = [l.image('web-a'), l.image('web-b'), l.image('web-c')];
  const template = await l.template('web', { ImageId: a });
  await l.group('web', { LaunchTemplateId: template, Version: '1' });
  await l.pointerTo(a);
  for (const image of [b, c]) expect((await promote(image, wanted)).exitCode).toBe(0);
  return { a, b, c };
}

test('after success, twice: c, then b, then a; the third time is refused with the alternatives', async () => {
  const { a, b, c } = await afterThree();
  const first = await back();
  expect(first).toMatchObject({ exitCode: 0, outputs: { outcome: 'done', 'ami-id': b, 'replaced-ami-id': c } });
  expect(stateNow()).toEqual({ runs: [b], pointer: b, candidate: false });
  expect((await back()).outputs['ami-id']).toBe(a);
  expect(stateNow()).toEqual({ runs: [a], pointer: a, candidate: false });
  expect([vetoed(a), vetoed(b), vetoed(c)]).toEqual([undefined, 'stage', 'stage']);
  // The versions of then are used again: no rollback made one.
  expect(l.versions('web')).toEqual([1, 2, 3]);
  const third = await back();
  expect([third.exitCode, third.outputs['outcome']]).toEqual([1, 'rejected']);
  expect(third.errors.join('\n')).toContain(`No image to roll back to: stage runs ${a}, and its pointer shows no image before it.`);
  expect(third.errors.join('\n')).toContain(`${POINTER} also named ${b}, ${c}`);
});

test('blocker B3: after the first promotion it goes back to what the group launched, without tags and verdict', async () => {
  l = await rollLab({ speed: 400, timings: { boot: 1, statusChecks: 1, targetHealth: 1, shutdown: 1 } });
  const [a, b] = [l.image('web-a'), l.image('web-b')];
  dropTags(l.place, a, 'all');
  await l.group('web', { LaunchTemplateId: await l.template('web', { ImageId: a }), Version: '1' });
  const promoted = await promote(b);
  expect([promoted.exitCode, promoted.outputs['previous-ami-id']]).toEqual([0, a]);
  expect(promoted.summary).toMatch(new RegExp(`^### ✅ stage now runs web ccccccc \\(was ${a}\\)`));
  const ran = await back({ emergency: 'true', bake: '2m' });
  expect([ran.exitCode, ran.outputs['ami-id'], stateNow(), vetoed(b)]).toEqual([
    0,
    a,
    { runs: [a], pointer: a, candidate: false },
    'stage',
  ]);
});

test('the next push does not bring back what was rolled back', async () => {
  const { b, c } = await afterThree();
  await back();
  const pushed = await l.act('promote', { ...quick, image: 'latest' });
  expect(pushed.errors.join('\n').replace(/at 20\S+ \S+ UTC/, 'at TIME')).toBe(
    `Refused to promote ${c} in stage: ${c} was rolled back in stage and is vetoed there (at TIME, by octocat, https://github.com/acme/web/actions/runs/1001): fix it and build a new image, or set "lift-veto: true" if it was not the cause\nNo changes were made.`,
  );
  expect(stateNow()).toEqual({ runs: [b], pointer: b, candidate: false });
  expect((await promote(c, { 'lift-veto': 'true' })).exitCode).toBe(0);
  expect([stateNow().pointer, vetoed(c)]).toEqual([c, undefined]);
});

test('the previous image fails: the group goes back to the current one, which is not vetoed', async () => {
  const { b, c } = await afterThree();
  l.sick.add(b);
  const ran = await back();
  expect([ran.exitCode, ran.outputs['outcome']]).toEqual([1, 'rejected']);
  expect(ran.errors.join('\n')).toMatch(/AWS rolled the refresh back/);
  expect([stateNow(), vetoed(c)]).toEqual([{ runs: [c], pointer: c, candidate: false }, undefined]);
});

test('the previous image no longer exists: no changes, and the others are named', async () => {
  const { a, b, c } = await afterThree();
  Object.assign(images(l.place).get(b) ?? {}, { state: 'deregistered' });
  const ran = await back();
  expect(ran.errors.join('\n')).toMatch(
    new RegExp(`Image ${b}, which stage ran before, no longer exists in eu-central-1[\\s\\S]*also named ${b}, ${a}`),
  );
  expect([stateNow(), vetoed(c)]).toEqual([{ runs: [c], pointer: c, candidate: false }, undefined]);
  expect((await back({ image: a })).exitCode).toBe(0);
  expect([stateNow().runs, vetoed(c)]).toEqual([[a], 'stage']);
});

test('a dry run shows where it leads and changes nothing', async () => {
  const { b, c } = await afterThree();
  const ran = await back({ 'dry-run': 'true' });
  expect(ran).toMatchObject({ exitCode: 0, outputs: { outcome: 'planned', 'ami-id': b } });
  expect([stateNow(), vetoed(c)]).toEqual([{ runs: [c], pointer: c, candidate: false }, undefined]);
});

test('killed during the rollout, the next run finishes it', async () => {
  const { b, c } = await afterThree();
  const ran = await back(
    {},
    {
      onLine: line => void line,
      onStart: child =>
        void l.lab.faults.add({
          operation: 'StartInstanceRefresh',
          nth: 1,
          action: { run: () => void child.kill('SIGKILL'), at: 'after' },
        }),
    },
  );
  expect([ran.signal, l.candidate(), vetoed(c)]).toEqual(['SIGKILL', true, 'stage']);
  expect((await back()).exitCode).toBe(0);
  expect([stateNow(), l.refreshes('web')]).toEqual([
    { runs: [b], pointer: b, candidate: false },
    ['Successful', 'Successful', 'Successful'],
  ]);
});

/** A call that only reads leaves the account as the write before it did; promote's own loop kills at those too. */
const isWrite = ({ operation }: { operation: string }) => !/^(Describe|Get|List)/.test(operation);

test('killed at any write and run again it goes back once, and not twice', async () => {
  const { b, c } = await afterThree();
  let writes = Number.POSITIVE_INFINITY;
  for (let write = 1; write <= writes; write += 1) {
    const alive = { kill: () => {} };
    const disarm = l.lab.faults.add({ when: isWrite, nth: write, action: { run: () => alive.kill(), at: 'after' } });
    const mark = l.lab.calls.mark();
    const ran = await back({}, { onStart: child => Object.assign(alive, { kill: () => child.kill('SIGKILL') }) });
    disarm();
    if (ran.signal === null) writes = Math.min(writes, l.lab.calls.since(mark).filter(isWrite).length);
    // The very last write is the end: after it there is nothing to finish, and once more would be the second time.
    const again = ran.signal === null || (l.pointer() === b && !l.candidate()) ? ran : await back();
    expect({ write, ended: again.exitCode ?? 0, ...stateNow(), vetoed: [vetoed(b), vetoed(c)] }).toEqual({
      ...{ write, ended: 0, runs: [b], pointer: b, candidate: false, vetoed: [undefined, 'stage'] },
    });
    await promote(c, { 'lift-veto': 'true' });
  }
  expect(writes).toBe(5);
  expect(l.versions('web')).toEqual([1, 2, 3]);
}, 300_000);
