import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { removeWorkspaces } from '../harness.ts';
import { POINTER, type RollLab, rollLab } from './roll-lab.ts';

/** One environment in two regions: one image under two IDs, two pointers, and groups that bear one name. */

let l: RollLab;
let west: ReturnType<RollLab['inRegion']>;
afterEach(() => l.lab.close());
afterAll(removeWorkspaces);

const WEST = 'eu-west-1';
const quick = { bake: '1m', 'min-healthy': '0', 'warm-up': '0s', groups: 'web', regions: WEST };
const promote = (image: string, more: Parameters<RollLab['act']>[2] = {}) => l.act('promote', { ...quick, image }, more);

async function stage() {
  l = await rollLab({ timings: { boot: 1, statusChecks: 1, targetHealth: 1, shutdown: 1 } });
  west = l.inRegion(WEST);
  const ids: [string, string][] = [];
  for (const [i, name] of ['web-a', 'web-b', 'web-c'].entries()) {
    const commit = { 'ami-action:commit': `${i}`.repeat(40) };
    ids.push([l.image(name, commit), west.image(name, commit)]);
  }
  for (const [i, each] of [l, west].entries()) {
    const first = ids[0]?.[i] as string;
    await each.pointerTo(first);
    await each.group('web', { LaunchTemplateId: await each.template('web', { ImageId: first }), Version: '1' });
  }
  return ids as [[string, string], [string, string], [string, string]];
}

const runs = () => [l, west].flatMap(each => [...new Set(each.runs('web'))]);
const pointers = () => [l.pointer(), west.pointer()];
const named = ({ Name }: { Name?: string }) => Name === POINTER;
const candidates = () => [l.candidate(), west.candidate()];

describe('one environment in two regions', () => {
  test('promoted, again, and rolled back: every region runs the same image, and the pointers move last', async () => {
    const [a, b] = await stage();
    const ran = await promote(b[0]);
    expect([ran.errors, ran.outputs['outcome']]).toEqual([[], 'done']);
    expect(JSON.parse(ran.outputs['ami-ids'] ?? '')).toEqual({ 'eu-central-1': b[0], [WEST]: b[1] });
    expect([pointers(), candidates(), runs()]).toEqual([b, [false, false], b]);
    const order = l.lab.calls.all().filter(({ operation }) => ['StartInstanceRefresh', 'PutParameter'].includes(operation));
    expect(order.map(({ operation }) => operation).slice(-6)).toEqual([
      ...['PutParameter', 'PutParameter'],
      ...['StartInstanceRefresh', 'StartInstanceRefresh'],
      ...['PutParameter', 'PutParameter'],
    ]);
    expect(ran.summary).toContain(`### ✅ stage (${WEST}) now runs web `);

    const calls = l.lab.calls.all().length;
    expect((await promote(b[0])).outputs['outcome']).toBe('unchanged');
    const since = l.lab.calls.all().slice(calls);
    expect(since.filter(({ operation }) => !/^(Describe|Get|List|AssumeRole)/.test(operation))).toEqual([]);

    const back = await l.act('rollback', quick);
    expect([back.errors, back.outputs['ami-id'], back.outputs['replaced-ami-id']]).toEqual([[], a[0], b[0]]);
    expect([pointers(), candidates(), runs()]).toEqual([a, [false, false], a]);
    expect([l.tags(b[0])['ami-action:vetoed-in'], west.tags(b[1])['ami-action:vetoed-in']]).toEqual(['stage', 'stage']);
  });

  test('a plan lists the groups of each region once', async () => {
    const [, b] = await stage();
    const since = l.lab.calls.mark();
    const ran = await l.act('promote', { ...quick, image: b[0], 'dry-run': 'true' });
    const lists = l.lab.calls.since(since).filter(({ operation }) => operation === 'DescribeAutoScalingGroups');
    expect([ran.errors, lists.map(({ region }) => region).sort()]).toEqual([[], ['eu-central-1', WEST]]);
  });

  test('it dies in one of them: the other one, which was well, goes back with it', async () => {
    const [a, b] = await stage();
    west.fails.add('web');
    const ran = await promote(b[0]);
    expect([ran.exitCode, ran.outputs['outcome']]).toEqual([1, 'rejected']);
    expect(ran.errors.join('\n')).toMatch(new RegExp(`^${WEST}: web: `));
    expect([pointers(), candidates(), runs()]).toEqual([a, [false, false], a]);
    expect([l.versions('web'), west.versions('web')]).toEqual([[1], [1]]);
  });

  test('killed between the two pointers: the next run moves the second', async () => {
    const [a, b] = await stage();
    let child: { kill(signal: 'SIGKILL'): unknown } | undefined;
    l.lab.faults.add({
      operation: 'PutParameter',
      when: call => named(call.input as { Name?: string }),
      action: { run: () => void child?.kill('SIGKILL'), at: 'after' },
      nth: 1,
    });
    await promote(b[0], {
      onStart: started => {
        child = started;
      },
    });
    expect([pointers(), runs()]).toEqual([[b[0], a[1]], b]);
    const again = await promote(b[0]);
    expect([again.errors, again.outputs['outcome']]).toEqual([[], 'done']);
    expect([pointers(), candidates(), runs()]).toEqual([b, [false, false], b]);
    expect([l.versions('web'), west.versions('web')]).toEqual([
      [1, 2],
      [1, 2],
    ]);
  });

  test('the second pointer may not be moved: neither is, and the message says who must act', async () => {
    const [a, b] = await stage();
    const denied = l.lab.faults.add({
      operation: 'PutParameter',
      region: WEST,
      when: call => named(call.input as { Name?: string }),
      action: { error: 'AccessDeniedException' },
    });
    const ran = await promote(b[0]);
    expect([ran.exitCode, ran.outputs['outcome'], pointers(), candidates(), runs()]).toEqual([1, 'access', a, [true, true], b]);
    expect(ran.errors.join('\n')).toContain(`- eu-central-1: ${POINTER} still names ${a[0]}`);
    denied();
    expect((await promote(b[0])).outputs['outcome']).toBe('done');
    expect([pointers(), candidates()]).toEqual([b, [false, false]]);
  });
});
