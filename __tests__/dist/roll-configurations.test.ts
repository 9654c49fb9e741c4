import { CreateLaunchConfigurationCommand, DescribeLaunchConfigurationsCommand } from '@aws-sdk/client-auto-scaling';
import { CreateKeyPairCommand, DescribeLaunchTemplateVersionsCommand, DescribeSecurityGroupsCommand } from '@aws-sdk/client-ec2';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { groups } from '../../lab/autoscaling/group.ts';
import { removeWorkspaces } from '../harness.ts';
import { POINTER, type RollLab, rollLab } from './roll-lab.ts';

/** Groups on launch configurations: refused with the plan, converted, or kept. */

let l: RollLab;
afterEach(() => l.lab.close());
afterAll(removeWorkspaces);

const FAST = { boot: 1, statusChecks: 1, targetHealth: 1, shutdown: 1 };
const quick = { bake: '1m', 'min-healthy': '0', 'warm-up': '0s', groups: 'web' };
type How = 'convert' | 'keep';
const act = (mode: 'promote' | 'rollback', how: How | 'refuse', wanted: Record<string, string> = {}) =>
  l.act(mode, { ...quick, 'launch-configurations': how, ...wanted });

async function stage(names: readonly string[] = ['web']) {
  l = await rollLab({ timings: FAST });
  const [a, b, c] = [l.image('web-a'), l.image('web-b'), l.image('web-c')];
  await l.pointerTo(a);
  await l.cloud.ec2.send(new CreateKeyPairCommand({ KeyName: 'ops' }));
  const { SecurityGroups = [] } = await l.cloud.ec2.send(new DescribeSecurityGroupsCommand({}));
  const sg = SecurityGroups[0]?.GroupId ?? '';
  for (const name of names) {
    await l.cloud.autoScaling.send(
      new CreateLaunchConfigurationCommand({
        ...{ LaunchConfigurationName: `${name}-lc`, ImageId: a, InstanceType: 't3.micro', KeyName: 'ops', SecurityGroups: [sg] },
        ...{ UserData: 'aGVsbG8=', IamInstanceProfile: 'web', EbsOptimized: true, InstanceMonitoring: { Enabled: false } },
        ...{ MetadataOptions: { HttpTokens: 'required', HttpPutResponseHopLimit: 2 }, SpotPrice: '0.03' },
        BlockDeviceMappings: [{ DeviceName: '/dev/sdb', Ebs: { VolumeSize: 10, VolumeType: 'gp3' } }],
      }),
    );
    await l.group(name, {}, { LaunchTemplate: undefined, LaunchConfigurationName: `${name}-lc` });
  }
  return { a, b, c, sg };
}

const configurations = async () => {
  const { LaunchConfigurations = [] } = await l.cloud.autoScaling.send(new DescribeLaunchConfigurationsCommand({}));
  return LaunchConfigurations.map(({ LaunchConfigurationName = '' }) => LaunchConfigurationName).sort();
};
const tags = (group = 'web') => (groups(l.place).get(group)?.tags ?? []).map(({ Key }) => Key);
const launches = (group = 'web') => {
  const { LaunchConfigurationName, LaunchTemplate } = l.launches(group) ?? {};
  return LaunchConfigurationName ?? `${LaunchTemplate?.LaunchTemplateName}:${LaunchTemplate?.Version}`;
};
const copyOf = (image: string) => expect.stringMatching(new RegExp(`^web-lc-ami-action-[0-9a-f]{8}-${image}$`));

/** All that a rollout could leave. */
const state = async (group = 'web') => ({
  launches: launches(group),
  runs: [...new Set(l.runs(group))],
  versions: l.versions(`${group}-lc`),
  configurations: (await configurations()).filter(name => name.startsWith(group)),
  tags: tags(group),
  pointer: l.pointer(),
  candidate: l.candidate(),
});
const asItWas = (a: string, group = 'web') => ({
  ...{ launches: `${group}-lc`, runs: [a], versions: [], configurations: [`${group}-lc`], tags: [], pointer: a, candidate: false },
});

test('is refused by default, and the refusal shows the conversion', async () => {
  const { a, b, sg } = await stage();
  const ran = await act('promote', 'refuse', { image: b });
  expect([ran.exitCode, await state()]).toEqual([1, asItWas(a)]);
  expect(ran.errors.join('\n')).toContain(
    `web: it launches from launch configuration "web-lc", whose image cannot change. Create a launch template from it with "launch-configurations: convert" (web-lc with InstanceType=t3.micro, `,
  );
  for (const field of [
    'KeyName=ops',
    `SecurityGroupIds.0=${sg}`,
    'UserData (8 characters)',
    'InstanceMarketOptions.SpotOptions.MaxPrice=0.03',
  ])
    expect(ran.errors.join('\n')).toContain(field);
});

describe('convert', () => {
  test('an equal template, then the image; the way back is its version 1', async () => {
    const { a, b, sg } = await stage();
    const plan = await act('promote', 'convert', { image: b, 'dry-run': 'true' });
    expect([plan.exitCode, await state()]).toEqual([0, asItWas(a)]);
    expect(plan.log).toMatch(
      /web \(launch configuration web-lc\): create launch template web-lc from launch configuration web-lc, replace 2 instances, 2 at a time: 1 batch, about .*, at most 2 instances at once/,
    );
    expect(plan.log).toContain('on failure, AWS rolls back');
    const ran = await act('promote', 'convert', { image: b });
    expect(ran.errors).toEqual([]);
    expect(await state()).toEqual({ ...asItWas(a), launches: 'web-lc:2', runs: [b], versions: [1, 2], pointer: b });
    const { LaunchTemplateVersions = [] } = await l.cloud.ec2.send(
      new DescribeLaunchTemplateVersionsCommand({ LaunchTemplateName: 'web-lc' }),
    );
    const same = {
      ...{ InstanceType: 't3.micro', KeyName: 'ops', SecurityGroupIds: [sg], UserData: 'aGVsbG8=', IamInstanceProfile: { Name: 'web' } },
      ...{ EbsOptimized: true, Monitoring: { Enabled: false }, MetadataOptions: { HttpTokens: 'required', HttpPutResponseHopLimit: 2 } },
      InstanceMarketOptions: { MarketType: 'spot', SpotOptions: { MaxPrice: '0.03', SpotInstanceType: 'one-time' } },
      BlockDeviceMappings: [{ DeviceName: '/dev/sdb', Ebs: { DeleteOnTermination: true, VolumeSize: 10, VolumeType: 'gp3' } }],
    };
    expect(LaunchTemplateVersions.map(({ LaunchTemplateData }) => LaunchTemplateData)).toEqual(
      expect.arrayContaining([
        { ...same, ImageId: a },
        { ...same, ImageId: b },
      ]),
    );
    const back = await act('rollback', 'convert');
    expect(back.errors).toEqual([]);
    expect(await state()).toMatchObject({ launches: 'web-lc:1', runs: [a], pointer: a, candidate: false });
  });

  test('a bad image: AWS leads back to the launch configuration, and the template is gone', async () => {
    const { a, b } = await stage();
    l.fails.add('web');
    const ran = await act('promote', 'convert', { image: b });
    expect([ran.exitCode, await state()]).toEqual([1, asItWas(a)]);
    expect(ran.errors.join('\n')).toContain('Reverted: every group launches and runs what it did before');
  });

  test('AWS returns another template: nothing is rolled out', async () => {
    const { a, b } = await stage();
    l.lab.faults.add({
      operation: 'DescribeLaunchTemplateVersions',
      action: {
        answer: output => ({
          ...output,
          LaunchTemplateVersions: ((output as { LaunchTemplateVersions?: object[] }).LaunchTemplateVersions ?? []).map(version => ({
            ...version,
            LaunchTemplateData: { ...(version as { LaunchTemplateData: object }).LaunchTemplateData, KeyName: 'other' },
          })),
        }),
      },
    });
    const ran = await act('promote', 'convert', { image: b });
    expect(ran.errors.join('\n')).toContain('Launch template web-lc differs from launch configuration web-lc in KeyName.');
    expect([await state(), l.refreshes('web')]).toEqual([asItWas(a), []]);
  });

  test('AWS creates the template with a warning: nothing is rolled out, and the template is gone', async () => {
    const { a, b } = await stage();
    const Warning = { Errors: [{ Code: 'InvalidKeyPair.NotFound', Message: 'no key' }] };
    l.lab.faults.add({ operation: 'CreateLaunchTemplate', action: { answer: output => ({ ...output, Warning }) } });
    const ran = await act('promote', 'convert', { image: b });
    expect(ran.errors.join('\n')).toContain(
      'AWS created launch template web-lc from launch configuration web-lc with warnings: InvalidKeyPair.NotFound: no key',
    );
    expect([await state(), l.refreshes('web')]).toEqual([asItWas(a), []]);
  });

  test('a template of that name that a person made is not touched', async () => {
    const { a, b } = await stage();
    await l.template('web-lc', { ImageId: a });
    const ran = await act('promote', 'convert', { image: b });
    expect([ran.exitCode, await state()]).toEqual([1, { ...asItWas(a), versions: [1] }]);
    expect(ran.errors.join('\n')).toContain(
      'web: launch template web-lc exists, and was not made by ami-action (tag ami-action:launch-configuration): set the group to a numbered version of it, or rename it',
    );
  });
});

describe('keep', () => {
  test('a copy with the image; the next promotion removes the copy before it, and a rollback finds the original', async () => {
    const { a, b, c } = await stage();
    const plan = await act('promote', 'keep', { image: b, 'dry-run': 'true' });
    expect([plan.exitCode, await state()]).toEqual([0, asItWas(a)]);
    expect(plan.log).toMatch(
      new RegExp(
        `web \\(launch configuration web-lc\\): create launch configuration web-lc-ami-action-[0-9a-f]{8}-${b}, replace 2 instances, 2 at a time: 1 batch, about .*, at most 2 instances at once`,
      ),
    );
    expect(plan.log).toContain('on failure, the old launch configuration is set, then a second refresh');
    for (const image of [b, c]) {
      const ran = await act('promote', 'keep', { image });
      expect(ran.errors).toEqual([]);
      expect(await state()).toEqual({
        ...{ ...asItWas(a), launches: copyOf(image), runs: [image], pointer: image },
        configurations: ['web-lc', copyOf(image)],
        tags: [`ami-action:made-launch-configuration:${image}`],
      });
    }
    for (const image of [b, a]) {
      const ran = await act('rollback', 'keep');
      expect(ran.errors).toEqual([]);
      expect([launches(), [...new Set(l.runs('web'))], l.pointer()]).toEqual([image === a ? 'web-lc' : copyOf(image), [image], image]);
    }
    expect(await state()).toEqual(asItWas(a));
  });

  test('a bad image: the old launch configuration, the old image, and the copy is gone', async () => {
    const { a, b } = await stage();
    l.fails.add('web');
    const ran = await act('promote', 'keep', { image: b });
    expect([ran.exitCode, await state()]).toEqual([1, asItWas(a)]);
    expect(ran.errors.join('\n')).toContain('Reverted: every group launches and runs what it did before');
  });

  test('AWS refuses the refresh: the group is set to the old launch configuration again', async () => {
    const { a, b } = await stage();
    l.lab.faults.add({ operation: 'StartInstanceRefresh', nth: 1, action: { error: 'AccessDenied', status: 403 } });
    const ran = await act('promote', 'keep', { image: b });
    expect([ran.exitCode, ran.outputs['outcome'], await state()]).toEqual([1, 'access', asItWas(a)]);
  });

  test('not waited for, and rolled back: ends as it was', async () => {
    const { a, b } = await stage();
    expect((await act('promote', 'keep', { image: b, wait: 'false', bake: '30m' })).outputs['outcome']).toBe('unknown');
    expect(launches()).toEqual(copyOf(b));
    const back = await act('rollback', 'keep');
    expect(back.errors).toEqual([]);
    expect(await state()).toEqual(asItWas(a));
  });

  test('not waited for, and promoted again: the refresh is watched to its end', async () => {
    const { a, b } = await stage();
    await act('promote', 'keep', { image: b, wait: 'false' });
    const ran = await act('promote', 'keep', { image: b });
    expect([ran.errors, l.refreshes('web')]).toEqual([[], ['Successful']]);
    expect(await state()).toMatchObject({
      launches: copyOf(b),
      runs: [b],
      pointer: b,
      candidate: false,
      configurations: [`web-lc`, copyOf(b)],
    });
    expect(a).not.toBe(b);
  });

  test('a launch configuration that another group uses stays', async () => {
    const { b, c } = await stage();
    await act('promote', 'keep', { image: b });
    await l.group('other', {}, { LaunchTemplate: undefined, LaunchConfigurationName: launches() });
    const copy = launches();
    const ran = await act('promote', 'keep', { image: c });
    expect([ran.errors, await configurations()]).toEqual([[], expect.arrayContaining([copy, copyOf(c)])]);
    // Still known as ours, so that a later promotion removes it.
    expect((await state()).tags.sort()).toEqual([b, c].map(image => `ami-action:made-launch-configuration:${image}`).sort());
  });

  test('AWS returns another copy: nothing is rolled out, and the copy is gone', async () => {
    const { a, b } = await stage();
    const other = (one: { readonly LaunchConfigurationName?: string }) =>
      one.LaunchConfigurationName === 'web-lc' ? one : { ...one, KeyName: 'other' };
    const answer = (output: { readonly LaunchConfigurations?: readonly object[] }) => ({
      ...output,
      LaunchConfigurations: (output.LaunchConfigurations ?? []).map(other),
    });
    const restore = l.lab.faults.add({ operation: 'DescribeLaunchConfigurations', action: { answer } });
    const ran = await act('promote', 'keep', { image: b });
    restore();
    expect(ran.errors.join('\n')).toMatch(/^Launch configuration web-lc-ami-action-\S+ differs from web-lc in more than the image\./);
    expect([await state(), l.refreshes('web')]).toEqual([asItWas(a), []]);
  });

  test('the name of the copy is taken: refused', async () => {
    const { a, b } = await stage();
    const plan = await act('promote', 'keep', { image: b, 'dry-run': 'true' });
    const name = /create launch configuration (\S+),/.exec(plan.log)?.[1] ?? '';
    await l.cloud.autoScaling.send(
      new CreateLaunchConfigurationCommand({ LaunchConfigurationName: name, ImageId: b, InstanceType: 't3.micro' }),
    );
    const ran = await act('promote', 'keep', { image: b });
    expect(ran.errors.join('\n')).toContain(
      `web: launch configuration ${name} exists, and is not the copy that ami-action makes: delete it`,
    );
    expect(await state()).toEqual({ ...asItWas(a), configurations: ['web-lc', name] });
  });
});

describe.each<How>(['convert', 'keep'])('%s', how => {
  test('one group fails after the other has succeeded: both go back to their launch configurations', async () => {
    const { a, b } = await stage(['web', 'api']);
    l.fails.add('api');
    const ran = await act('promote', how, { image: b, groups: 'web, api', order: 'one-by-one' });
    expect([ran.exitCode, await state('web'), await state('api')]).toEqual([1, asItWas(a), asItWas(a, 'api')]);
    expect(ran.errors.join('\n')).toContain('Reverted: every group launches and runs what it did before');
  });

  test.each(['CreateLaunchTemplate', 'CreateLaunchConfiguration', 'UpdateAutoScalingGroup', 'StartInstanceRefresh', 'CreateOrUpdateTags'])(
    'the answer of %s is lost',
    async operation => {
      const { b } = await stage();
      l.lab.faults.add({ operation, nth: 1, action: { reset: 'after' } });
      const ran = await act('promote', how, { image: b });
      expect(ran.errors).toEqual([]);
      expect(await state()).toMatchObject({ runs: [b], pointer: b, candidate: false });
      expect((await configurations()).length + l.versions('web-lc').length).toBe(how === 'keep' ? 2 : 3);
    },
  );

  test('cancelled: the refresh goes on, and the next run finishes it', async () => {
    const { a, b } = await stage();
    const cancel = { run: () => {} };
    l.lab.faults.add({ operation: 'StartInstanceRefresh', nth: 1, action: { run: () => cancel.run(), at: 'after' } });
    const ran = await l.act(
      'promote',
      { ...quick, bake: '20m', 'launch-configurations': how, image: b },
      { onStart: child => Object.assign(cancel, { run: () => void setTimeout(() => child.kill('SIGINT'), 300) }) },
    );
    expect([ran.exitCode, ran.outputs['outcome'], l.pointer(), l.candidate()]).toEqual([1, 'cancelled', a, true]);
    expect(ran.errors.join('\n')).toMatch(/refresh \S+ of web is in progress/);
    const again = await act('promote', how, { image: b });
    expect([again.errors, l.refreshes('web')]).toEqual([[], ['Successful']]);
    expect(await state()).toMatchObject({ runs: [b], pointer: b, candidate: false });
  });
});

test('a group that runs the image already needs no conversion', async () => {
  const { a } = await stage();
  const ran = await act('promote', 'refuse', { image: a });
  expect([ran.errors, ran.outputs['outcome'], await state()]).toEqual([[], 'unchanged', asItWas(a)]);
  expect(l.pointer(POINTER)).toBe(a);
});
