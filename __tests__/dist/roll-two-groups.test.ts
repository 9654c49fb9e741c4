import { afterAll, afterEach, expect, test } from '@jest/globals';
import { groups } from '../../lab/autoscaling/group.ts';
import { removeWorkspaces } from '../harness.ts';
import { type RollLab, rollLab } from './roll-lab.ts';

/** Two permanent groups behind one load balancer, as Terraform or a stack declares them. */

let l: RollLab;
afterEach(() => l.lab.close());
afterAll(removeWorkspaces);

const settings = { bake: '1m', 'warm-up': '0s', groups: 'web-blue,web-green', strategy: 'two-groups', 'roll-timeout': '20m' };

/** What runs, the sizes, whether it is behind the load balancer, and our tags. */
const state = () =>
  Object.fromEntries(
    ['web-blue', 'web-green'].map(name => {
      const { min, max, desired, sources, tags } = groups(l.place).get(name) ?? {};
      return [name, [[...new Set(l.runs(name))].join(), `${min}/${max}/${desired}`, sources?.length, tags?.length]];
    }),
  );

test('they change places with the image, a sick one is emptied again, and a rollback changes back', async () => {
  l = await rollLab({ speed: 240, timings: { boot: 1, statusChecks: 1, targetHealth: 1, shutdown: 1 } });
  const [a, b, c] = [l.image('web-a'), l.image('web-b'), l.image('web-c')];
  await l.pointerTo(a);
  await l.group('web-blue', { LaunchTemplateId: await l.template('web-blue', { ImageId: a }), Version: '1' });
  const TargetGroupARNs = groups(l.place)
    .get('web-blue')
    ?.sources.map(({ id }) => id);
  const green = { LaunchTemplateId: await l.template('web-green', { ImageId: a, UserData: 'Z3JlZW4=' }), Version: '1' };
  await l.group('web-green', green, { DesiredCapacity: 0, TargetGroupARNs });

  const planned = await l.act('promote', { ...settings, image: b, 'dry-run': 'true' });
  expect(planned.log).toContain('size web-green to 2 instances (4 at once, about 2m 30s), which takes over once they are healthy');
  expect(planned.log).toContain('on failure, web-green is emptied again');
  expect((await l.act('promote', { ...settings, image: b })).errors).toEqual([]);
  expect([state(), l.pointer(), l.candidate()]).toEqual([{ 'web-blue': ['', '0/0/0', 1, 0], 'web-green': [b, '0/8/2', 1, 0] }, b, false]);

  l.sick.add(c);
  const failed = await l.act('promote', { ...settings, image: c });
  expect([failed.outputs['outcome'], state(), l.pointer(), l.candidate()]).toEqual([
    'rejected',
    { 'web-blue': ['', '0/0/0', 1, 0], 'web-green': [b, '0/8/2', 1, 0] },
    b,
    false,
  ]);
  expect([l.launches('web-blue')?.LaunchTemplate?.Version, l.versions('web-blue')]).toEqual(['1', [1]]);

  expect((await l.act('rollback', settings)).errors).toEqual([]);
  expect([state(), l.pointer()]).toEqual([{ 'web-blue': [a, '0/8/2', 1, 0], 'web-green': ['', '0/0/0', 1, 0] }, a]);
  const calls = l.lab.calls.all().map(({ operation }) => operation);
  expect(calls.filter(operation => /^(Create|Delete)AutoScalingGroup$/.test(operation))).toEqual([
    'CreateAutoScalingGroup',
    'CreateAutoScalingGroup',
  ]);
});
