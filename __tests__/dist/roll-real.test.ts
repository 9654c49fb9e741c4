import { afterAll, afterEach, expect, test } from '@jest/globals';
import { removeWorkspaces } from '../harness.ts';
import { POINTER, type RollLab, rollLab } from './roll-lab.ts';
import { bake, served } from './roll-machines.ts';

/** The whole of a roll on real machines: what counts is what they say themselves. */

let l: RollLab;
afterEach(() => l.lab.close());
afterAll(removeWorkspaces);

const GROUPS = ['plain', 'mixed', 'balanced', 'reads'];
// Longer than the service of the bad image lives.
const wanted = {
  ...{ groups: GROUPS.join(', '), 'parameter-templates': 'follow', 'min-healthy': '0' },
  ...{ 'warm-up': '90s', bake: '5m', 'roll-timeout': '40m' },
};
const launched = () => GROUPS.map(name => l.launches(name)?.LaunchTemplate?.Version ?? 'policy');

async function stage() {
  l = await rollLab({ sandbox: true, speed: 60, timings: { statusChecks: 1, shutdown: 1, refreshPatience: 240 } });
  const base = l.image('base');
  const [one, two, dying] = await Promise.all([
    bake(l, base, '1'),
    bake(l, base, '2'),
    // It dies after the boot.
    bake(l, base, '3', '/usr/bin/timeout 1'),
  ]);
  await l.pointerTo(one);
  const single = { DesiredCapacity: 1 };
  const launch = async (name: string, ImageId: string) => ({ LaunchTemplateId: await l.template(name, { ImageId }), Version: '1' });
  const MixedInstancesPolicy = {
    LaunchTemplate: { LaunchTemplateSpecification: await launch('mixed', one), Overrides: [{ InstanceType: 't3.small' }] },
  };
  await l.group('plain', await launch('plain', one), { ...single, TargetGroupARNs: [], HealthCheckType: 'EC2' });
  await l.group('mixed', {}, { ...single, MixedInstancesPolicy });
  await l.group('balanced', await launch('balanced', one), single);
  await l.group('reads', await launch('reads', `resolve:ssm:${POINTER}`), single);
  return { one, two, dying };
}

test('four kinds of groups: a good image reaches every machine, one that dies after the boot is rolled back everywhere, and rollback goes back', async () => {
  const { one, two, dying } = await stage();
  expect(await served(l)).toEqual(['1', '1', '1', '1']);

  const good = await l.act('promote', { ...wanted, image: two });
  expect([good.errors, good.outputs['outcome']]).toEqual([[], 'done']);
  expect([await served(l), l.pointer(), l.candidate(), launched()]).toEqual([['2', '2', '2', '2'], two, false, ['2', 'policy', '2', '1']]);

  const bad = await l.act('promote', { ...wanted, image: dying });
  expect([bad.exitCode, bad.outputs['outcome']]).toEqual([1, 'rejected']);
  expect(bad.errors.join('\n')).toMatch(/(balanced|mixed): [\s\S]*Reverted: every group launches and runs what it did before/);
  expect([await served(l), l.pointer(), l.candidate(), launched()]).toEqual([['2', '2', '2', '2'], two, false, ['2', 'policy', '2', '1']]);

  const back = await l.act('rollback', wanted);
  expect([back.errors, back.outputs['ami-id']]).toEqual([[], one]);
  expect([await served(l), l.pointer(), l.candidate()]).toEqual([['1', '1', '1', '1'], one, false]);
  // The next push does not bring it back.
  expect((await l.act('promote', { ...wanted, image: two })).errors.join()).toContain(
    `${two} was rolled back in stage and is vetoed there`,
  );
  expect(await served(l)).toEqual(['1', '1', '1', '1']);
}, 300_000);
