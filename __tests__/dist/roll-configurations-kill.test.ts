import {
  CreateLaunchConfigurationCommand,
  DescribeLaunchConfigurationsCommand,
  UpdateAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { groups } from '../../lab/autoscaling/group.ts';
import { removeWorkspaces } from '../harness.ts';
import { type RollLab, rollLab } from './roll-lab.ts';

/** A group on a launch configuration: killed after every call that changes anything, and run again or rolled back. */

let l: RollLab;
afterEach(() => l.lab.close());
afterAll(removeWorkspaces);

const LOOKS = /^(Describe|Get|List|AssumeRole)/;

async function stage() {
  const refreshPatience = 3600;
  l = await rollLab({ speed: 600, timings: { boot: 1, statusChecks: 1, targetHealth: 1, shutdown: 1, refreshPatience } });
  const a = l.image('web-a');
  await l.pointerTo(a);
  await l.cloud.autoScaling.send(
    new CreateLaunchConfigurationCommand({ LaunchConfigurationName: 'web-lc', ImageId: a, InstanceType: 't3.micro' }),
  );
  await l.group('web', {}, { LaunchTemplate: undefined, LaunchConfigurationName: 'web-lc', DesiredCapacity: 1 });
  return a;
}

async function act(mode: 'promote' | 'rollback', how: string, image?: string, nth?: number) {
  const alive = { kill: () => {} };
  const fault = { when: ({ operation }: { operation: string }) => !LOOKS.test(operation), nth: nth ?? 0 };
  const disarm = nth === undefined ? () => {} : l.lab.faults.add({ ...fault, action: { kill: () => alive.kill(), at: 'after' } });
  const wanted = { bake: '1m', 'warm-up': '0s', 'min-healthy': '0', groups: 'web', 'launch-configurations': how };
  const onStart = (child: { kill(signal: 'SIGKILL'): unknown }) => Object.assign(alive, { kill: () => child.kill('SIGKILL') });
  const ran = await l.act(mode, { ...wanted, ...(image === undefined ? {} : { image }) }, { onStart });
  disarm();
  return ran;
}

const names = async () => {
  const { LaunchConfigurations = [] } = await l.cloud.autoScaling.send(new DescribeLaunchConfigurationsCommand({}));
  return LaunchConfigurations.map(({ LaunchConfigurationName = '' }) => LaunchConfigurationName);
};
const seen = () => [[...new Set(l.runs('web'))].join(), l.pointer(), l.candidate()];
const unfinished = () => (groups(l.place).get('web')?.tags ?? []).filter(({ Key = '' }) => Key.includes('before'));

describe.each(['convert', 'keep'])('%s, killed after every change', how => {
  test('and run again: the image, one template or one copy, and no record of an unfinished rollout', async () => {
    await stage();
    let deaths = 0;
    for (let died = true, nth = 1; died; nth += 1) {
      const to = l.image(`web-${nth}`);
      died = (await act('promote', how, to, nth)).signal !== null;
      const again = await act('promote', how, to);
      expect({ nth, errors: again.errors }).toEqual({ nth, errors: [] });
      expect([nth, ...seen(), unfinished()]).toEqual([nth, to, to, false, []]);
      if (how === 'keep') expect([nth, (await names()).length]).toEqual([nth, 2]);
      else {
        const from = nth === 1 ? 'web-lc' : `lc-${nth - 1}`;
        const { LaunchTemplateName, Version } = l.launches('web')?.LaunchTemplate ?? {};
        expect([nth, LaunchTemplateName, Version, l.versions(from)]).toEqual([nth, from, '2', [1, 2]]);
        // On the launch configuration again, for the next conversion.
        await l.pointerTo(to);
        const LaunchConfigurationName = `lc-${nth}`;
        await l.cloud.autoScaling.send(
          new CreateLaunchConfigurationCommand({ LaunchConfigurationName, ImageId: to, InstanceType: 't3.micro' }),
        );
        await l.cloud.autoScaling.send(new UpdateAutoScalingGroupCommand({ AutoScalingGroupName: 'web', LaunchConfigurationName }));
      }
      deaths += died ? 1 : 0;
    }
    expect(deaths).toBeGreaterThanOrEqual(6);
  }, 600_000);

  test('and rolled back: what it launched and ran before', async () => {
    const a = await stage();
    let deaths = 0;
    for (let died = true, nth = 1; died; nth += 1) {
      died = (await act('promote', how, l.image(`web-${nth}`), nth)).signal !== null;
      const back = await act('rollback', how);
      expect({ nth, errors: back.errors }).toEqual({ nth, errors: [] });
      expect([nth, ...seen(), unfinished()]).toEqual([nth, a, a, false, []]);
      if (died && how === 'keep')
        expect([nth, l.launches('web'), await names()]).toEqual([nth, { LaunchConfigurationName: 'web-lc' }, ['web-lc']]);
      if (l.launches('web')?.LaunchConfigurationName === 'web-lc') expect([nth, l.versions('web-lc')]).toEqual([nth, []]);
      deaths += died ? 1 : 0;
    }
    expect(deaths).toBeGreaterThanOrEqual(5);
  }, 600_000);
});
