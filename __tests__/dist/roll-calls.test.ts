import { afterAll, expect, test } from '@jest/globals';
import { removeWorkspaces } from '../harness.ts';
import { rollLab } from './roll-lab.ts';

/** How many calls an undisturbed promotion makes besides those that it repeats while it watches. The first version made 21 and 41. */

afterAll(removeWorkspaces);

const WATCHING =
  /^(DescribeAutoScalingGroups|DescribeInstanceRefreshes|DescribeTargetHealth|GetConsoleOutput|DescribeScalingActivities|AssumeRole)/;

async function callsOf(count: number) {
  const l = await rollLab({ weather: 'good', timings: { boot: 1, statusChecks: 1, targetHealth: 1, shutdown: 1 } });
  try {
    const [before, after] = [l.image('web-a'), l.image('web-b')];
    await l.pointerTo(before);
    const names = Array.from({ length: count }, (_, i) => `web-${i}`);
    for (const name of names) await l.group(name, { LaunchTemplateId: await l.template(name, { ImageId: before }), Version: '1' });
    const mark = l.lab.calls.mark();
    const ran = await l.act('promote', { image: after, groups: names.join(', '), bake: '1m', 'warm-up': '0s' });
    expect(ran.exitCode).toBe(0);
    const calls = l.lab.calls.since(mark).filter(({ operation }) => !WATCHING.test(operation));
    const tally: Record<string, number> = {};
    for (const { operation } of calls) tally[operation] = (tally[operation] ?? 0) + 1;
    // New instances appear in one poll or in several, and a start that takes long is preceded by one more look at the candidate.
    const { DescribeInstances, GetParameter, ...others } = tally;
    return { others, all: calls.length };
  } finally {
    await l.lab.close();
  }
}

test('one group: 21 calls at most', async () => {
  const { others, all } = await callsOf(1);
  expect(others).toEqual({
    ...{ DescribeImages: 2, DescribeInstanceTypes: 1, DescribeLaunchTemplateVersions: 2, CreateLaunchTemplateVersion: 1 },
    ...{ GetParameters: 2, GetParameterHistory: 2, PutParameter: 2, DeleteParameter: 1, StartInstanceRefresh: 1 },
  });
  expect(all).toBeLessThanOrEqual(21);
});

test('six groups with a template each: 41 calls at most', async () => {
  const { others, all } = await callsOf(6);
  expect(others).toEqual({
    ...{ DescribeImages: 2, DescribeInstanceTypes: 1, DescribeLaunchTemplateVersions: 12, CreateLaunchTemplateVersion: 6 },
    ...{ GetParameters: 2, GetParameterHistory: 2, PutParameter: 2, DeleteParameter: 1, StartInstanceRefresh: 6 },
  });
  expect(all).toBeLessThanOrEqual(41);
});
