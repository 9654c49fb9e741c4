import { type DescribeInstancesCommandOutput, DescribeSubnetsCommand } from '@aws-sdk/client-ec2';
import { CreateNodegroupCommand, DescribeNodegroupCommand, EKSClient } from '@aws-sdk/client-eks';
import { GetParameterCommand } from '@aws-sdk/client-ssm';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { groups } from '../../lab/autoscaling/group.ts';
import { removeWorkspaces } from '../harness.ts';
import { dies, KILL_TIMEOUT } from './kill-points.ts';
import { POINTER, type RollLab, rollLab } from './roll-lab.ts';

/** Managed node groups of EKS: moved by UpdateNodegroupVersion, proven, and moved back. */

let l: RollLab;
afterEach(async () => {
  eks.destroy();
  await l.lab.close();
});
afterAll(removeWorkspaces);

const quick = { bake: '1m', 'min-healthy': '0', 'warm-up': '0s', groups: '', 'node-groups': 'main/blue' };
const promote = (image: string, wanted: Record<string, string> = {}, more: Parameters<RollLab['act']>[2] = {}) =>
  l.act('promote', { ...quick, image, ...wanted }, more);

let eks: EKSClient;

async function stage(names: readonly string[] = ['blue']) {
  l = await rollLab({ speed: 600, timings: { boot: 1, statusChecks: 1, targetHealth: 1, shutdown: 1 } });
  const credentials = { accessKeyId: l.lab.environment()['AWS_ACCESS_KEY_ID'] ?? '', secretAccessKey: 'x' };
  eks = new EKSClient({ endpoint: l.lab.url, region: l.place.region, credentials });
  const [a, b, c] = [l.image('web-a'), l.image('web-b'), l.image('web-c')];
  await l.pointerTo(a);
  for (const name of names) await nodeGroup(name, await l.template(name, { ImageId: a }));
  return { a, b, c };
}

async function nodeGroup(nodegroupName: string, id: string) {
  const { Subnets = [] } = await l.cloud.ec2.send(new DescribeSubnetsCommand({}));
  await eks.send(
    new CreateNodegroupCommand({
      ...{ clusterName: 'main', nodegroupName, nodeRole: 'arn:aws:iam::111122223333:role/nodes' },
      subnets: Subnets.slice(0, 2).flatMap(({ SubnetId }) => SubnetId ?? []),
      scalingConfig: { minSize: 1, maxSize: 6, desiredSize: 2 },
      launchTemplate: { id, version: '1' },
    }),
  );
  const group = groupOf(nodegroupName);
  for (let waited = 0; l.runs(group).length < 2 && waited < 600; waited += 2) await l.lab.clock.sleep(2);
}

const groupOf = (name: string) => [...groups(l.place).keys()].find(each => each.startsWith(`eks-${name}-`)) ?? '';
const state = async (name = 'blue') => {
  const { nodegroup } = await eks.send(new DescribeNodegroupCommand({ clusterName: 'main', nodegroupName: name }));
  return {
    ...{ version: nodegroup?.launchTemplate?.version, status: nodegroup?.status, versions: l.versions(name) },
    ...{ runs: [...new Set(l.runs(groupOf(name)))], pointer: l.pointer(), candidate: l.candidate() },
  };
};
const asItWas = (a: string) => ({ version: '1', status: 'ACTIVE', versions: [1], runs: [a], pointer: a, candidate: false });

test('promote moves the node group, proves its nodes, then the pointer; rollback leads back', async () => {
  const { a, b } = await stage();
  const plan = await promote(b, { 'dry-run': 'true' });
  expect([plan.errors, await state()]).toEqual([[], asItWas(a)]);
  expect(plan.log).toContain(
    'main/blue (blue:1): create a version of blue from version 1, replace 2 nodes, 1 at a time, at most 6 at once; EKS drains each node, about 10m; 2 of 2 nodes run another image',
  );
  expect(plan.log).toContain('main/blue has 2 nodes (1 to 6), ACTIVE; on failure, a second update leads back to blue:1');
  const ran = await promote(b);
  expect([ran.errors, await state()]).toEqual([[], { ...asItWas(a), version: '2', versions: [1, 2], runs: [b], pointer: b }]);
  expect(JSON.parse(ran.outputs['refreshes'] ?? '')).toMatchObject([
    { group: 'main/blue', status: 'Successful', from: 'blue:1', to: 'blue:2' },
  ]);
  expect((await promote(b)).outputs['outcome']).toBe('unchanged');
  const back = await l.act('rollback', quick);
  expect([back.errors, await state()]).toEqual([[], { ...asItWas(a), versions: [1, 2] }]);
  expect(l.tags(b)['ami-action:vetoed-in']).toBe('stage');
});

describe('failures', () => {
  test('a bad image: the version before, and the pointer stays', async () => {
    const { a, b } = await stage();
    l.lab.faults.add({
      operation: 'DescribeUpdate',
      nth: 2,
      action: {
        answer: () => ({
          update: { id: 'u', status: 'Failed', errors: [{ errorCode: 'NodeCreationFailure', errorMessage: 'no node joined' }] },
        }),
      },
    });
    const ran = await promote(b);
    expect([ran.exitCode, await state()]).toEqual([1, asItWas(a)]);
    expect(ran.errors.join('\n')).toMatch(
      /EKS update \S+ of main\/blue is Failed: NodeCreationFailure: no node joined[\s\S]*Reverted: every node group launches and runs what it did before/,
    );
  });

  test('EKS calls it successful, but a node runs another image: moved back', async () => {
    const { a, b } = await stage();
    // Until the second update, which leads back.
    l.lab.faults.add({
      operation: 'DescribeInstances',
      when: () => l.lab.calls.count('UpdateNodegroupVersion') === 1,
      action: {
        answer: output => ({
          Reservations: ((output as DescribeInstancesCommandOutput).Reservations ?? []).map(one => ({
            ...one,
            Instances: one.Instances?.map(instance => ({ ...instance, ImageId: a })),
          })),
        }),
      },
    });
    const ran = await promote(b);
    expect([ran.exitCode, await state()]).toEqual([1, asItWas(a)]);
    expect(ran.errors.join('\n')).toMatch(
      /EKS calls the update of main\/blue successful, but i-[0-9a-f]+, i-[0-9a-f]+ of 2 nodes run another image[\s\S]*Reverted: every node group/,
    );
  });

  test('EKS calls it successful, but the node group is not healthy: moved back', async () => {
    const { a, b } = await stage();
    l.lab.faults.add({
      operation: 'DescribeUpdate',
      nth: 1,
      action: { answer: output => ({ update: { ...(output as { update: object }).update, status: 'Successful' } }) },
    });
    l.lab.faults.add({
      operation: 'DescribeNodegroup',
      when: ({ at }) => at > 0 && l.lab.calls.count('UpdateNodegroupVersion') === 1,
      action: {
        answer: output => ({
          nodegroup: {
            ...(output as { nodegroup: object }).nodegroup,
            status: 'ACTIVE',
            health: { issues: [{ code: 'NodeCreationFailure', message: 'x' }] },
          },
        }),
      },
    });
    const ran = await promote(b);
    expect(ran.exitCode).toBe(1);
    expect(ran.errors.join('\n')).toContain('EKS calls the update of main/blue successful, but it is not healthy (NodeCreationFailure: x)');
    expect([l.runs(groupOf('blue')).every(image => image === a), l.pointer()]).toEqual([true, a]);
  });

  test('one node group fails: the one before it is moved back too', async () => {
    const { a, b } = await stage(['blue', 'gpu']);
    const failed = { update: { id: 'u', status: 'Failed', errors: [] } };
    l.lab.faults.add({
      operation: 'DescribeUpdate',
      when: () => l.lab.calls.count('UpdateNodegroupVersion') === 2,
      nth: 1,
      action: { answer: () => failed },
    });
    const ran = await promote(b, { 'node-groups': 'main/blue, main/gpu' });
    expect([ran.exitCode, await state('blue'), await state('gpu')]).toEqual([1, asItWas(a), asItWas(a)]);
  });

  test('one that an earlier run had moved stays when a later one fails, and is named; rollback leads back', async () => {
    const { a, b } = await stage(['blue', 'gpu']);
    const both = { 'node-groups': 'main/blue, main/gpu' };
    const alive = { kill: () => {} };
    const secondStart = { operation: 'UpdateNodegroupVersion', nth: 2 };
    l.lab.faults.add({ ...secondStart, action: { kill: () => alive.kill(), at: 'before' } });
    await promote(b, both, { onStart: child => Object.assign(alive, { kill: () => child.kill('SIGKILL') }) });
    const failed = { update: { id: 'u', status: 'Failed', errors: [] } };
    l.lab.faults.add({ operation: 'DescribeUpdate', nth: 1, action: { answer: () => failed } });
    const ran = await promote(b, both);
    expect(ran.errors.join()).toContain(`main/blue ran ${b} already when this run continued another one: mode "rollback" leads back`);
    expect([(await state('blue')).runs, (await state('gpu')).runs, l.pointer()]).toEqual([[b], [a], a]);
    const back = await l.act('rollback', { ...quick, ...both });
    expect([back.errors, (await state('blue')).runs, (await state('gpu')).runs, l.pointer(), l.candidate()]).toEqual([
      [],
      [a],
      [a],
      a,
      false,
    ]);
  });

  test('a group fails after the node group: both go back', async () => {
    const { a, b } = await stage();
    await l.group('web', { LaunchTemplateId: await l.template('web', { ImageId: a }), Version: '1' });
    l.fails.add('web');
    const ran = await promote(b, { groups: 'web' });
    expect([ran.exitCode, await state(), [...new Set(l.runs('web'))]]).toEqual([1, asItWas(a), [a]]);
  });

  test('cancelled: the update goes on, and the next run finishes it', async () => {
    const { a, b } = await stage();
    const cancel = { run: () => {} };
    l.lab.faults.add({ operation: 'UpdateNodegroupVersion', nth: 1, action: { run: () => cancel.run(), at: 'after' } });
    const onStart = (child: { kill(signal: 'SIGINT'): unknown }) => Object.assign(cancel, { run: () => void child.kill('SIGINT') });
    const inProgress = ({ update }: { readonly update?: object }) => ({ update: { ...update, status: 'InProgress' } });
    // However late the signal comes.
    const goOn = l.lab.faults.add({ operation: 'DescribeUpdate', action: { answer: inProgress } });
    const ran = await promote(b, {}, { onStart });
    goOn();
    expect([ran.exitCode, ran.outputs['outcome'], l.pointer(), l.candidate()]).toEqual([1, 'cancelled', a, true]);
    expect(ran.errors.join('\n')).toMatch(/update of main\/blue was requested without an answer|update \S+ of main\/blue is in progress/);
    // Still in progress when the next run plans, however slow that run is.
    const isWatched = (() => {
      const mark = l.lab.calls.mark();
      return () => l.lab.calls.since(mark).some(({ operation }) => operation === 'DescribeUpdate');
    })();
    const updating = ({ nodegroup }: { readonly nodegroup?: object }) => ({ nodegroup: { ...nodegroup, status: 'UPDATING' } });
    l.lab.faults.add({ operation: 'DescribeNodegroup', when: () => !isWatched(), action: { answer: updating } });
    l.lab.faults.add({ operation: 'DescribeUpdate', nth: 1, action: { answer: inProgress } });
    const again = await promote(b);
    expect([again.errors, await state()]).toEqual([[], { ...asItWas(a), version: '2', versions: [1, 2], runs: [b], pointer: b }]);
    expect([again.log, l.lab.calls.count('UpdateNodegroupVersion')]).toEqual([expect.stringContaining('was started by an earlier run'), 1]);
  });

  test.each(['UpdateNodegroupVersion', 'CreateLaunchTemplateVersion'])('the answer of %s is lost', async operation => {
    const { a, b } = await stage();
    l.lab.faults.add({ operation, nth: 1, action: { reset: 'after' } });
    const ran = await promote(b);
    expect([ran.errors, await state()]).toEqual([[], { ...asItWas(a), version: '2', versions: [1, 2], runs: [b], pointer: b }]);
  });

  test(
    'killed at every call, and run again: one image, at most one new version each',
    async () => {
      const { a } = await stage();
      let deaths = 0;
      for (let died = true, nth = 1; died; nth += 1) {
        const to = l.image(`web-${nth}`);
        died = await dies(l.lab, nth, onStart => promote(to, {}, { onStart }));
        expect([nth, (await promote(to)).errors]).toEqual([nth, []]);
        const { runs, pointer, candidate, versions } = await state();
        expect([nth, runs, pointer, candidate, versions.length]).toEqual([nth, [to], to, false, nth + 1]);
        deaths += died ? 1 : 0;
      }
      expect(deaths).toBeGreaterThanOrEqual(4);
      const back = await l.act('rollback', { ...quick, image: a });
      expect([back.errors, l.runs(groupOf('blue'))]).toEqual([[], [a, a]]);
    },
    KILL_TIMEOUT,
  );
});

describe('what is refused before the first write', () => {
  test.each([
    ['main/gone', /main\/gone does not exist: check "node-groups"/],
    ['main/bare', /main\/bare: bare:1 names no image, so EKS chooses it: set an image ID in the launch template/],
  ])('%s', async (name, says) => {
    const { b } = await stage();
    if (name === 'main/bare') {
      l.lab.faults.add({
        operation: 'DescribeLaunchTemplateVersions',
        action: {
          answer: output => ({
            LaunchTemplateVersions: ((output as { LaunchTemplateVersions?: object[] }).LaunchTemplateVersions ?? []).map(version => ({
              ...version,
              LaunchTemplateName: 'bare',
              LaunchTemplateData: { InstanceType: 't3.micro' },
            })),
          }),
        },
      });
      await nodeGroup('bare', await l.template('bare', { ImageId: l.pointer() }));
    }
    const ran = await promote(b, { 'node-groups': name });
    expect([ran.exitCode, l.candidate()]).toEqual([1, false]);
    expect(ran.errors.join('\n')).toMatch(says);
  });

  test('its Auto Scaling group, with the setting to use instead', async () => {
    const { b } = await stage();
    const ran = await promote(b, { groups: groupOf('blue'), 'node-groups': '' });
    expect(ran.errors.join('\n')).toContain(
      'it belongs to EKS node group blue, which reverts or breaks on changes: name it in "node-groups" as cluster/nodegroup instead',
    );
  });
});

test('Karpenter reads the pointer: a String whose value is one image ID and nothing else', async () => {
  const { b } = await stage([]);
  const ran = await promote(b, { strategy: 'none', 'node-groups': '', groups: '' });
  const { Parameter } = await l.cloud.ssm.send(new GetParameterCommand({ Name: POINTER }));
  expect([ran.errors, Parameter?.Type, Parameter?.Value]).toEqual([[], 'String', b]);
  expect(b).toMatch(/^ami-[0-9a-f]{17}$/);
});
