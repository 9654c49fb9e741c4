import { afterAll, afterEach, expect, test } from '@jest/globals';
import type { FaultRule } from '../../lab/fault-rules.ts';
import { removeWorkspaces } from '../harness.ts';
import { familyOfFive, REAL } from './prune-lab.ts';
import { type RollLab, rollLab } from './roll-lab.ts';

/** Answers of proxies and half-broken servers in the middle of a run: nothing is rolled back for them, and nothing is removed. */

const HTML = '<html><head><title>Login</title></head><body>Please log in</body></html>';
const BAD: readonly (readonly [name: string, action: FaultRule['action']])[] = [
  ['a page with status 200', { respond: { status: 200, body: HTML } }],
  ['a redirect', { respond: { status: 301, body: HTML } }],
  ['cut XML', { respond: { status: 200, body: '<DescribeInstanceRefreshesResponse><Desc', type: 'text/xml' } }],
  ['an answer without the list', { respond: { status: 200, body: '<r><x/></r>', type: 'text/xml' } }],
];

let l: RollLab | undefined;
let others: { lab: { close(): Promise<unknown> } } | undefined;
afterEach(async () => {
  await Promise.all([l?.lab.close(), others?.lab.close()]);
  l = undefined;
  others = undefined;
});
afterAll(removeWorkspaces);

test.each(
  BAD.flatMap(([name, action]) =>
    ['DescribeInstanceRefreshes', 'DescribeAutoScalingGroups'].map(operation => [name, operation, action] as const),
  ),
)(
  '%s to %s does not take a healthy rollout back',
  async (_, operation, action) => {
    l = await rollLab();
    const [a, b] = [l.image('web-a'), l.image('web-b')];
    const template = await l.template('web', { ImageId: a });
    await l.group('web', { LaunchTemplateId: template, Version: '1' });
    await l.pointerTo(a);
    // While the refresh is in progress.
    const started = () => l?.refreshes('web').some(status => /InProgress|Baking/.test(status)) === true;
    l.lab.faults.add({ operation, when: started, nth: 2, times: 1, action });
    const ran = await l.act('promote', { image: b, groups: 'web' });
    expect(ran).toMatchObject({ exitCode: 0, errors: [], outputs: { outcome: 'done' } });
    expect([l.pointer(), new Set(l.runs('web')), l.refreshes('web')]).toEqual([b, new Set([b]), ['Successful']]);
  },
  120_000,
);

test.each(['DescribeParameters', 'GetParameters', 'GetParameterHistory', 'DescribeLaunchConfigurations', 'DescribeImageAttribute'])(
  'an empty answer to %s removes nothing',
  async operation => {
    const f = await familyOfFive();
    others = f;
    f.lab.faults.add({ operation, action: { respond: { status: 200, body: '' } } });
    const ran = await f.act('prune', REAL);
    expect([ran.exitCode, ran.outputs['outcome'], f.there().length]).toEqual([1, 'access', 5]);
    expect(ran.errors.join()).toContain("AWS's answer cannot be read");
  },
);
