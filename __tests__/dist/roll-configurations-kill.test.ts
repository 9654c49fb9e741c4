import {
  CreateLaunchConfigurationCommand,
  DescribeLaunchConfigurationsCommand,
  UpdateAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { groups } from '../../lab/autoscaling/group.ts';
import { removeWorkspaces } from '../harness.ts';
import { dies, KILL_TIMEOUT } from './kill-points.ts';
import { type RollLab, rollLab } from './roll-lab.ts';

/** A group on a launch configuration: killed at every call, and run again or rolled back. */

let l: RollLab;
afterEach(() => l.lab.close());
afterAll(removeWorkspaces);

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

const act = (mode: 'promote' | 'rollback', how: string, image?: string, more: Parameters<RollLab['act']>[2] = {}) => {
  const wanted = { bake: '1m', 'warm-up': '0s', 'min-healthy': '0', groups: 'web', 'launch-configurations': how };
  return l.act(mode, { ...wanted, ...(image === undefined ? {} : { image }) }, more);
};
const diesAt = (how: string, image: string, nth: number) => dies(l.lab, nth, onStart => act('promote', how, image, { onStart }));

const names = async () => {
  const { LaunchConfigurations = [] } = await l.cloud.autoScaling.send(new DescribeLaunchConfigurationsCommand({}));
  return LaunchConfigurations.map(({ LaunchConfigurationName = '' }) => LaunchConfigurationName);
};
const seen = () => [[...new Set(l.runs('web'))].join(), l.pointer(), l.candidate()];
const unfinished = () => (groups(l.place).get('web')?.tags ?? []).filter(({ Key = '' }) => Key.includes('before'));

describe.each(['convert', 'keep'])('%s, killed at every call', how => {
  test(
    'and run again: the image, one template or one copy, and no record of an unfinished rollout',
    async () => {
      await stage();
      let deaths = 0;
      for (let died = true, nth = 1; died; nth += 1) {
        const to = l.image(`web-${nth}`);
        died = await diesAt(how, to, nth);
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
    },
    KILL_TIMEOUT,
  );

  test(
    'and rolled back: what it launched and ran before',
    async () => {
      const a = await stage();
      let deaths = 0;
      for (let died = true, nth = 1; died; nth += 1) {
        died = await diesAt(how, l.image(`web-${nth}`), nth);
        const back = await act('rollback', how);
        // Before the candidate was written the environment never left its image.
        const isNothing = back.errors[0]?.startsWith('No image to roll back to') === true;
        expect({ nth, errors: isNothing ? [] : back.errors }).toEqual({ nth, errors: [] });
        expect([nth, ...seen(), unfinished()]).toEqual([nth, a, a, false, []]);
        if (died && how === 'keep')
          expect([nth, l.launches('web'), await names()]).toEqual([nth, { LaunchConfigurationName: 'web-lc' }, ['web-lc']]);
        if (l.launches('web')?.LaunchConfigurationName === 'web-lc') expect([nth, l.versions('web-lc')]).toEqual([nth, []]);
        deaths += died ? 1 : 0;
      }
      expect(deaths).toBeGreaterThanOrEqual(5);
    },
    KILL_TIMEOUT,
  );
});
