import { StartInstanceRefreshCommand } from '@aws-sdk/client-auto-scaling';
import { ContinueUpdateRollbackCommand } from '@aws-sdk/client-cloudformation';
import { DeleteParameterCommand } from '@aws-sdk/client-ssm';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { mishaps } from '../../lab/ec2/mishaps.ts';
import { removeWorkspaces } from '../harness.ts';
import { dies } from './kill-points.ts';
import { POINTER } from './roll-lab.ts';
import { POLICIES, READS, type StackLab, stackLab } from './stack-lab.ts';

/** Groups of a CloudFormation stack: what fails, is cancelled, gets lost or is refused. */

let l: StackLab;
afterEach(() => l.lab.close());
afterAll(removeWorkspaces);

const promote = (wanted: Record<string, string> = {}, more: Parameters<StackLab['act']>[2] = {}) =>
  l.act('promote', { image: l.b, ...wanted }, more);
const said = ({ errors }: { readonly errors: readonly string[] }) => errors.join('\n');
const real = { sandbox: true, speed: 60 };
const checks = { checks: '- name: web is there\n  command: test -e /opt/never', 'checks-timeout': '1m', bake: '2m' };
/** Updates of some minutes. */
const SLOW = POLICIES.refresh.replace('Warmup: 0', 'Warmup: 900');
const SLOW_ROLLING = 'UpdatePolicy: { AutoScalingRollingUpdate: { MaxBatchSize: 1, MinInstancesInService: 1, PauseTime: PT10M } }';

/** Sends a signal when the log shows the text. */
const signalAt = (text: string, signal: 'SIGINT' | 'SIGKILL') => {
  const alive = { kill: () => {} };
  return {
    onStart: (child: { kill(signal: NodeJS.Signals): unknown }) => void Object.assign(alive, { kill: () => child.kill(signal) }),
    onLine: (line: string) => {
      if (line.includes(text)) alive.kill();
    },
  };
};

describe('a bad image', () => {
  test.each(['rolling', 'replacing'] as const)('whose instances do not signal: the first failed event, and back (%s)', async policy => {
    l = await stackLab({ policy: POLICIES[policy] });
    l.sick.add(l.b);
    const failed = await promote();
    expect([failed.exitCode, failed.outputs['outcome']]).toEqual([1, 'rejected']);
    expect(said(failed)).toMatch(
      /^Stack web: Group \(AWS::AutoScaling::AutoScalingGroup\) UPDATE_FAILED: Received 0 SUCCESS signal\(s\) out of \d\. +Unable to satisfy[\s\S]*- Reverted: every group launches and runs what it did before/,
    );
    expect(await l.state()).toEqual(l.ran(l.a, l.a, 'UPDATE_ROLLBACK_COMPLETE'));
    expect([l.groupNames().length, l.changeSets()]).toEqual([1, []]);
    // The same stack takes the next image.
    expect((await promote({ image: l.c })).errors).toEqual([]);
    expect(await l.state()).toEqual(l.ran(l.c));
  });

  test('whose checks fail during an instance refresh of CloudFormation: the update is cancelled, not the refresh', async () => {
    l = await stackLab({ policy: SLOW }, real);
    const failed = await promote(checks);
    expect(said(failed)).toMatch(/^Stack web: web-Group-\w+: checks on i-[0-9a-f]+: 1 of 1 check failed; web is there /);
    expect(await l.state()).toEqual(l.ran(l.a, l.a, 'UPDATE_ROLLBACK_COMPLETE'));
    expect([l.lab.calls.count('CancelUpdateStack'), l.lab.calls.count('RollbackInstanceRefresh')]).toEqual([1, 0]);
  });

  test('whose launches fail, as the activities of the group say: the update is cancelled', async () => {
    l = await stackLab({ policy: POLICIES.refresh }, { timings: { refreshPatience: 36_000 } });
    const message = 'Client.InvalidKMSKey.InvalidState: The KMS key provided is in an incorrect state';
    mishaps(l.place).launchFails.set(l.b, { code: 'Client.InvalidKMSKey.InvalidState', message });
    const failed = await promote();
    expect(said(failed)).toMatch(/^Stack web: web-Group-\w+: \d+ launches in a row failed: .*InvalidKMSKey/);
    expect(await l.state()).toEqual(l.ran(l.a, l.a, 'UPDATE_ROLLBACK_COMPLETE'));
  });

  test('whose instances die after an update without signals: a second update sets the parameter back', async () => {
    const policy = 'UpdatePolicy: { AutoScalingRollingUpdate: { MaxBatchSize: 2 } }';
    l = await stackLab({ policy }, { timings: { shutdown: 30 } });
    mishaps(l.place).impaired.add(l.b);
    const failed = await promote({ bake: '10m' });
    expect(failed.warnings.join('\n')).toMatch(
      /Group: its template has no WaitOnResourceSignals, so CloudFormation goes on when an instance runs/,
    );
    expect(said(failed)).toMatch(/^Instances of stack web: web-Group-\w+: during the bake time, \d+ new instances became unhealthy/);
    expect(await l.state()).toEqual(l.ran(l.a, l.a));
  });

  test('whose checks fail after the update: a second update sets the parameter back', async () => {
    l = await stackLab({}, real);
    const failed = await promote({ ...checks, 'warm-up': '1h' });
    expect(said(failed)).toMatch(/^Instances of stack web: web-Group-\w+: checks on i-[0-9a-f]+: 1 of 1 check failed; web is there /);
    expect(said(failed)).toContain('- Reverted: every group launches and runs what it did before');
    expect(await l.state()).toEqual(l.ran(l.a, l.a));
    expect(l.lab.calls.count('ExecuteChangeSet')).toBe(2);
  });

  test('and a rollback of CloudFormation that fails: what remains, who acts, and the next command', async () => {
    l = await stackLab();
    l.sick.add(l.b);
    l.stack().rollbackFails.add('Group');
    const failed = await promote();
    expect(said(failed)).toMatch(
      new RegExp(
        `- stack web is UPDATE_ROLLBACK_FAILED \\(The following resource\\(s\\) failed to update: \\[Group\\]\\.\\) and may run ${l.b}: fix its cause, then run: aws cloudformation continue-update-rollback --stack-name web\\n- /ami/web/stage/candidate is kept`,
      ),
    );
    expect([l.pointer(), l.candidate()]).toEqual([l.a, true]);
    expect(said(await promote({ image: l.c }))).toMatch(
      /stack web is UPDATE_ROLLBACK_FAILED \(.*\) and cannot be updated: fix its cause, then run: aws/,
    );
    l.stack().rollbackFails.clear();
    await l.client.send(new ContinueUpdateRollbackCommand({ StackName: 'web' }));
    await l.until(/^UPDATE_ROLLBACK_COMPLETE$/);
    expect((await promote({ image: l.c })).errors).toEqual([]);
    expect(await l.state()).toEqual(l.ran(l.c));
  });
});

describe('cancelled, lost, and run again', () => {
  test.each([
    ['rolling update', SLOW_ROLLING, 1],
    ['replacing update', POLICIES.replacing, 240],
    ['instance refresh', SLOW, 1],
  ])(
    '%s, answers are lost, and then cancelled: it goes on, and the next run watches it instead of a second one',
    async (_, policy, boot) => {
      l = await stackLab({ policy }, { timings: { boot } });
      for (const operation of ['CreateChangeSet', 'ExecuteChangeSet']) l.lab.faults.add({ operation, nth: 1, action: { reset: 'after' } });
      const cancelled = await promote({}, signalAt('Group (AWS::AutoScaling::AutoScalingGroup) UPDATE_IN_PROGRESS', 'SIGINT'));
      expect([cancelled.outputs['outcome'], said(cancelled)]).toEqual([
        ...['cancelled', expect.stringContaining(`- an update of stack web to ${l.b} may be in progress`)],
      ]);
      expect(l.candidate()).toBe(true);
      const again = await promote();
      expect([again.errors, await l.state()]).toEqual([[], l.ran(l.b)]);
      expect(l.events().filter(event => event === 'Group UPDATE_IN_PROGRESS')).toHaveLength(1);
    },
  );

  test('cancelled with "on-cancel: rollback": CloudFormation leads back', async () => {
    l = await stackLab({ policy: SLOW });
    const at = signalAt('Group (AWS::AutoScaling::AutoScalingGroup) UPDATE_IN_PROGRESS', 'SIGINT');
    const cancelled = await promote({ 'on-cancel': 'rollback' }, at);
    expect([cancelled.outputs['outcome'], said(cancelled)]).toEqual([
      'cancelled',
      expect.stringContaining('- CloudFormation rolls stack web back'),
    ]);
    expect(await l.until(/^UPDATE_ROLLBACK_COMPLETE$/, 6000)).toBe('UPDATE_ROLLBACK_COMPLETE');
    expect([new Set(l.fleet()), l.pointer()]).toEqual([new Set([l.a]), l.a]);
  });

  test('rolled back while the update runs: it is cancelled, proven and recorded', async () => {
    l = await stackLab({ policy: SLOW });
    await promote({ wait: 'false' });
    const back = await l.act('rollback', {});
    expect([back.errors, l.lab.calls.count('CancelUpdateStack')]).toEqual([[], 1]);
    expect(await l.state()).toEqual(l.ran(l.a, l.a, 'UPDATE_ROLLBACK_COMPLETE'));
  });

  test.each(['CreateChangeSet', 'ExecuteChangeSet', 'DeleteChangeSet'])('the answer of %s is lost: one update', async operation => {
    l = await stackLab();
    l.lab.faults.add({ operation, nth: 1, action: { reset: 'after' } });
    expect((await promote()).errors).toEqual([]);
    expect(await l.state()).toEqual(l.ran(l.b));
    expect(l.events().filter(event => event === 'Group UPDATE_IN_PROGRESS')).toHaveLength(1);
  });

  test('no answer of ExecuteChangeSet, also when it is sent again: the events show that it began', async () => {
    l = await stackLab();
    l.lab.faults.add({ operation: 'ExecuteChangeSet', action: { reset: 'after' } });
    expect([(await promote()).errors, await l.state()]).toEqual([[], l.ran(l.b)]);
  });

  test('a change set that a killed run left is made again: the stack may have changed since', async () => {
    l = await stackLab();
    const before = ({ operation }: { operation: string }) => operation === 'CreateChangeSet';
    expect(await dies(l.lab, 2, onStart => promote({}, { onStart }), before)).toBe(true);
    const left = l.stack().changeSets.get(`ami-action-${l.b}`);
    if (left === undefined) throw new Error('no change set');
    const Size = '3';
    const { parameters, values } = left.inputs;
    Object.assign(left, { inputs: { ...left.inputs, parameters: { ...parameters, Size }, values: { ...values, Size } } });
    expect([(await promote()).errors, l.parameter('Size'), await l.state()]).toEqual([[], '2', l.ran(l.b)]);
  });

  test('the network is gone during the update: unknown, and the next run finishes it', async () => {
    l = await stackLab();
    let gone = false;
    const restore = l.lab.faults.add({ when: () => gone, action: { reset: 'before' } });
    const onLine = (line: string) => {
      if (line.includes('UPDATE_IN_PROGRESS')) gone = true;
    };
    const lost = await promote({}, { onLine });
    restore();
    expect([lost.outputs['outcome'], l.pointer(), l.candidate()]).toEqual(['unknown', l.a, true]);
    expect((await promote()).errors).toEqual([]);
    expect(await l.state()).toEqual(l.ran(l.b));
  });
});

describe('refused before the update', () => {
  test.each([
    [
      'no update policy',
      { policy: POLICIES.none },
      {},
      /Group of stack web has no update policy, so CloudFormation would replace no instance: add AutoScalingRollingUpdate, /,
    ],
    [
      'a parameter that reads another one',
      { ...READS, key: '/ami/web/other' },
      {},
      /parameter ImageId of stack web reads \/ami\/web\/other from Parameter Store, not the pointer \/ami\/web\/stage: give it the value \/ami\/web\/stage, or the type AWS::EC2::Image::Id, and update the stack once\. If \/ami\/web\/other is to be the pointer, set "pointer"/,
    ],
    [
      'a template that reads Parameter Store itself: a new value there is no change of the stack',
      { launch: 'dynamic' as const },
      {},
      /in stage: Template of stack web has "ImageId: \{\{resolve:ssm:\/ami\/web\/stage\}\}", and CloudFormation finds no change when only the value in Parameter Store changes: write "ImageId: !Ref ImageId" there, and update the stack once with the image that it has/,
    ],
    [
      'the same, where the parameter is still to be added',
      { launch: 'dynamic' as const },
      { 'stack-parameter': 'Image' },
      /stack web has no parameter "Image", did you mean "ImageId"\?[\s\S]*Template of stack web has "ImageId: \{\{resolve:ssm:.*: write "ImageId: !Ref Image" there, add "Image: \{ Type/,
    ],
    [
      'a launch template that reads Parameter Store at each launch',
      { launch: 'alias' as const },
      {},
      /in stage: Template of stack web has "ImageId: resolve:ssm:\/ami\/web\/stage", which EC2 reads at each launch, so no update of the stack replaces an instance: name its groups in "groups" and set "parameter-templates: follow" instead of "stack", or write "ImageId: !Ref ImageId" there/,
    ],
    [
      'a parameter that changes no group',
      {},
      { 'stack-parameter': 'Spare' },
      /parameter Spare changes no Auto Scaling group: its launch template version must follow the template/,
    ],
    ['a stack that does not exist', {}, { stack: 'wep' }, /"stack": CloudFormation stack "wep" does not exist in this account and region/],
    [
      'a parameter that does not exist',
      {},
      { 'stack-parameter': 'ImageID' },
      /"stack-parameter": stack web has no parameter "ImageID", did you mean "ImageId"\?/,
    ],
    ['groups as well', {}, { groups: 'web' }, /"stack" takes all groups of the stack: remove "groups" and "group-tags"/],
    ['settings of a refresh', {}, { 'min-healthy': '50' }, /"min-healthy" and "stack" exclude each other/],
  ])('%s', async (_, options, wanted, says) => {
    l = await stackLab(options);
    const refused = await promote(wanted);
    expect([refused.exitCode, said(refused)]).toEqual([1, expect.stringMatching(says)]);
    expect([await l.status(), new Set(l.fleet()), l.pointer(), l.candidate(), l.changeSets()]).toEqual([
      ...['CREATE_COMPLETE', new Set([l.a]), l.a, false, []],
    ]);
  });

  test('a group of a stack that is named itself', async () => {
    l = await stackLab();
    const refused = await l.plain('promote', { image: l.b, groups: l.groupNames()[0] ?? '' });
    expect(said(refused)).toMatch(
      /it belongs to CloudFormation stack web, whose next update would put its own image back: set "stack: web" and "stack-parameter"/,
    );
  });

  test('an instance refresh of a group: the stack update would fail, and its rollback too', async () => {
    l = await stackLab({ policy: POLICIES.refresh });
    const [AutoScalingGroupName = ''] = l.groupNames();
    await l.cloud.autoScaling.send(new StartInstanceRefreshCommand({ AutoScalingGroupName, Preferences: { InstanceWarmup: 3600 } }));
    expect(said(await promote())).toMatch(
      /refresh \S+ of web-Group-\w+ is (Pending|InProgress), and the stack update would fail: wait for its end/,
    );
    expect([await l.status(), l.changeSets()]).toEqual(['CREATE_COMPLETE', []]);
  });

  test('an update of another owner: refused, waited for, and never ended', async () => {
    l = await stackLab({ policy: SLOW });
    await l.updateTo(l.c);
    const supersede = await promote({ 'foreign-refresh': 'supersede', 'adopt-groups': 'true' });
    expect(said(supersede)).toMatch(
      /stack web is UPDATE_IN_PROGRESS \(not started by ami-action\): wait for its end, or set "foreign-refresh: wait"/,
    );
    expect((await promote({ 'foreign-refresh': 'wait' })).errors).toEqual([]);
    expect([await l.state(), l.lab.calls.count('CancelUpdateStack')]).toEqual([l.ran(l.b), 0]);
  });

  test('a stack that another process changed since the plan', async () => {
    l = await stackLab();
    const ResourceChange = { Action: 'Add', LogicalResourceId: 'Queue', ResourceType: 'AWS::SQS::Queue' };
    const answer = (output: { readonly Changes?: readonly object[] }) => ({
      ...output,
      Changes: [...(output.Changes ?? []), { Type: 'Resource', ResourceChange }],
    });
    l.lab.faults.add({ operation: 'DescribeChangeSet', when: () => l.candidate(), action: { answer } });
    expect(said(await promote())).toMatch(
      /^Stack web changed since the plan: its update would now change Template \(.*\), Group \(.*\), Queue \(AWS::SQS::Queue\): Add\./,
    );
    expect([await l.state(), l.changeSets()]).toEqual([l.ran(l.a, l.a, 'CREATE_COMPLETE'), []]);
  });

  test('a stack policy: said in the words of AWS', async () => {
    l = await stackLab();
    l.stack().policyDenies.add('Group');
    expect(said(await promote())).toMatch(
      /^Stack web: Group \(AWS::AutoScaling::AutoScalingGroup\) UPDATE_FAILED: Action denied by stack policy/,
    );
    expect(await l.state()).toEqual(l.ran(l.a, l.a, 'UPDATE_ROLLBACK_COMPLETE'));
  });
});

describe('a stack that reads the pointer: it goes back first', () => {
  const goneBack = (promoted = ['CreateChangeSet', 'ExecuteChangeSet']) => [`pointer ${l.b}`, ...promoted, `pointer ${l.a}`];
  /** After the first value of the pointer, and the change set of the plan. */
  const steps = () => l.steps().slice(3);

  test('instances that do not signal: CloudFormation rolls the stack back', async () => {
    l = await stackLab(READS);
    l.sick.add(l.b);
    const failed = await promote();
    expect([failed.outputs['outcome'], said(failed)]).toEqual([
      ...['rejected', expect.stringMatching(/^Stack web: Group .* UPDATE_FAILED: Received 0 SUCCESS[\s\S]*- Reverted: every group/)],
    ]);
    expect([await l.state(), steps()]).toEqual([l.ran(l.a, l.a, 'UPDATE_ROLLBACK_COMPLETE'), goneBack()]);
    expect((await promote({ image: l.c })).errors).toEqual([]);
    expect(await l.state()).toEqual(l.ran(l.c));
  });

  test('a pointer that named nothing else goes back to what the stack had, and is not removed', async () => {
    l = await stackLab(READS);
    await l.cloud.ssm.send(new DeleteParameterCommand({ Name: POINTER }));
    await l.lab.clock.sleep(40);
    await l.pointerTo(l.b);
    l.sick.add(l.b);
    expect(said(await promote())).toContain('- Reverted: every group');
    expect(await l.state()).toEqual(l.ran(l.a, l.a, 'UPDATE_ROLLBACK_COMPLETE'));
  });

  test('checks fail after the update: a second update reads the old image', async () => {
    l = await stackLab(READS, real);
    const failed = await promote({ ...checks, 'warm-up': '1h' });
    expect(said(failed)).toMatch(/^Instances of stack web: web-Group-\w+: checks on i-[0-9a-f]+: 1 of 1 check failed; web is there /);
    expect([await l.state(), l.key(), steps()]).toEqual([
      ...[l.ran(l.a), '/ami/web/stage', [...goneBack(), 'CreateChangeSet', 'ExecuteChangeSet']],
    ]);
  });

  test('cancelled: the update goes on, and the next run finishes it', async () => {
    l = await stackLab({ ...READS, policy: SLOW });
    const cancelled = await promote({}, signalAt('Group (AWS::AutoScaling::AutoScalingGroup) UPDATE_IN_PROGRESS', 'SIGINT'));
    expect([cancelled.outputs['outcome'], said(cancelled), l.pointer(), l.candidate()]).toEqual([
      ...['cancelled', expect.stringContaining(`- /ami/web/stage names ${l.b}, which the instances have not proven`), l.b, true],
    ]);
    const again = await promote();
    expect([again.errors, l.lab.calls.count('ExecuteChangeSet'), await l.state()]).toEqual([[], 1, l.ran(l.b)]);
  });

  test('cancelled with "on-cancel: rollback": the pointer, then the stack', async () => {
    l = await stackLab({ ...READS, policy: SLOW });
    const at = signalAt('Group (AWS::AutoScaling::AutoScalingGroup) UPDATE_IN_PROGRESS', 'SIGINT');
    const cancelled = await promote({ 'on-cancel': 'rollback' }, at);
    expect([cancelled.outputs['outcome'], said(cancelled), l.pointer()]).toEqual([
      ...[
        'cancelled',
        expect.stringContaining('- /ami/web/stage was moved back, and was not read again\n- CloudFormation rolls stack web back'),
        l.a,
      ],
    ]);
    expect(said(cancelled)).not.toContain('could not be');
    expect(said(cancelled)).toContain('Next: Nothing: the stack keeps or gets back the old image.');
    expect(await l.until(/^UPDATE_ROLLBACK_COMPLETE$/, 6000)).toBe('UPDATE_ROLLBACK_COMPLETE');
    expect([new Set(l.fleet()), steps()]).toEqual([new Set([l.a]), [...goneBack(), 'CancelUpdateStack']]);
  });

  test('rolled back while the update runs: the pointer goes back before the update is cancelled', async () => {
    l = await stackLab({ ...READS, policy: SLOW });
    await promote({ wait: 'false' });
    const back = await l.act('rollback', {});
    expect([back.errors, await l.state()]).toEqual([[], l.ran(l.a, l.a, 'UPDATE_ROLLBACK_COMPLETE')]);
    expect(steps()).toEqual([...goneBack(), 'CancelUpdateStack']);
  });

  test('rolled back while the update runs, which CloudFormation cannot end: the pointer stays where the rollback moved it', async () => {
    l = await stackLab({ ...READS, policy: SLOW });
    await promote({ wait: 'false' });
    l.stack().rollbackFails.add('Group');
    const back = await l.act('rollback', {});
    expect(said(back)).toContain('stack web is UPDATE_ROLLBACK_FAILED');
    expect(said(back)).toContain(`- /ami/web/stage names ${l.a}, and stack web has not returned to it yet`);
    expect(said(back)).not.toContain('Reverted');
    expect([l.pointer(), l.candidate(), steps()]).toEqual([l.a, true, [...goneBack(), 'CancelUpdateStack']]);
    l.stack().rollbackFails.clear();
    await l.client.send(new ContinueUpdateRollbackCommand({ StackName: 'web' }));
    await l.until(/^UPDATE_ROLLBACK_COMPLETE$/);
    expect([(await l.act('rollback', {})).errors, await l.state()]).toEqual([[], l.ran(l.a, l.a, 'UPDATE_ROLLBACK_COMPLETE')]);
  });

  test('cancelled while the pointer is written: it may name the image, and the next run goes on', async () => {
    l = await stackLab(READS);
    const alive = { kill: () => {} };
    const onStart = (child: { kill(signal: NodeJS.Signals): unknown }) => void Object.assign(alive, { kill: () => child.kill('SIGINT') });
    const isMove = ({ input }: { input: Readonly<Record<string, unknown>> }) => input['Name'] === POINTER && input['Value'] === l.b;
    l.lab.faults.add({ operation: 'PutParameter', when: isMove, action: { kill: () => alive.kill(), at: 'after' } });
    const cancelled = await promote({}, { onStart });
    expect([cancelled.outputs['outcome'], said(cancelled)]).toEqual([
      ...['cancelled', expect.stringContaining(`- /ami/web/stage may name ${l.b}, which the instances have not proven`)],
    ]);
    expect(said(cancelled)).not.toContain('Reverted');
    expect([l.candidate(), l.lab.calls.count('ExecuteChangeSet')]).toEqual([true, 0]);
    expect([(await promote()).errors, await l.state()]).toEqual([[], l.ran(l.b)]);
  });

  test('CloudFormation reads the old value once more: its change set is made again', async () => {
    l = await stackLab(READS);
    const Parameters = [{ ParameterKey: 'ImageId', ParameterValue: '/ami/web/stage', ResolvedValue: l.a }];
    const isFirst = () => l.pointer() === l.b && l.lab.calls.count('CreateChangeSet') === 2;
    l.lab.faults.add({ operation: 'DescribeChangeSet', when: isFirst, action: { answer: output => ({ ...output, Parameters }) } });
    expect([(await promote()).errors, await l.state()]).toEqual([[], l.ran(l.b)]);
    expect(steps()).toEqual([...goneBack(['CreateChangeSet', 'DeleteChangeSet', 'CreateChangeSet', 'ExecuteChangeSet']).slice(0, -1)]);
  });

  test('an update that the plan could not show would replace a resource: it is not executed', async () => {
    l = await stackLab(READS);
    Object.assign(l.stack(), { template: `${l.stack().template}# ${'x'.repeat(51_200)}` });
    const more = {
      Type: 'Resource',
      ResourceChange: { Action: 'Modify', LogicalResourceId: 'Db', ResourceType: 'AWS::RDS::DBInstance', Replacement: 'Conditional' },
    };
    const answer = (output: object) => ({ ...output, Changes: [...((output as { Changes?: object[] }).Changes ?? []), more] });
    l.lab.faults.add({ operation: 'DescribeChangeSet', when: () => l.pointer() === l.b, action: { answer } });
    const failed = await promote();
    expect(said(failed)).toContain(
      'The update of stack web, which the plan could not show, would also remove or replace Db (AWS::RDS::DBInstance), which may be replaced. Update the stack yourself once.',
    );
    expect([await l.state(), l.changeSets()]).toEqual([l.ran(l.a, l.a, 'CREATE_COMPLETE'), []]);
  });

  test.each([
    ['good', false],
    ['bad', true],
  ])('another process moves the pointer during the update, and the image is %s: it is not written over', async (_, isBad) => {
    l = await stackLab(READS);
    if (isBad) l.sick.add(l.b);
    let moved: Promise<unknown> | undefined;
    const onLine = (line: string) => {
      if (line.includes('Group (AWS::AutoScaling::AutoScalingGroup) UPDATE_IN_PROGRESS')) moved ??= l.pointerTo(l.c);
    };
    const failed = await promote({}, { onLine });
    await moved;
    const { runs, pointer } = await l.state();
    expect([failed.outputs['outcome'], runs, pointer]).toEqual(['rejected', [isBad ? l.a : l.b], l.c]);
    expect(said(failed)).toMatch(
      isBad
        ? /^Stack web: Group .* UPDATE_FAILED/
        : /^Parameter \/ami\/web\/stage changed during the promotion: it names ami-\w+ \(version \d\)/,
    );
    expect([(await promote({ image: l.c })).errors, await l.state()]).toEqual([[], l.ran(l.c)]);
  });

  test.each(['PutParameter', 'CreateChangeSet', 'ExecuteChangeSet'])('the answer of %s is lost: one update', async operation => {
    l = await stackLab(READS);
    l.lab.faults.add({ operation, nth: 2, action: { reset: 'after' } });
    l.lab.faults.add({ operation: 'ExecuteChangeSet', nth: 1, action: { reset: 'after' } });
    expect([(await promote()).errors, await l.state()]).toEqual([[], l.ran(l.b)]);
    expect(l.events().filter(event => event === 'Group UPDATE_IN_PROGRESS')).toHaveLength(1);
  });

  test('a change set that would read another image is not executed', async () => {
    l = await stackLab(READS);
    const answer = (output: object) => ({
      ...output,
      Parameters: [{ ParameterKey: 'ImageId', ParameterValue: '/ami/web/stage', ResolvedValue: l.c }],
    });
    l.lab.faults.add({ operation: 'DescribeChangeSet', when: () => l.pointer() === l.b, action: { answer } });
    const failed = await promote();
    expect(said(failed)).toContain(
      `Change set of stack web would set ImageId to ${l.c}, not to ${l.b}: another process changed /ami/web/stage.`,
    );
    expect([await l.state(), l.changeSets()]).toEqual([l.ran(l.a, l.a, 'CREATE_COMPLETE'), []]);
  });

  test('a template too large to show its change set before: checked after the pointer has moved', async () => {
    l = await stackLab(READS);
    Object.assign(l.stack(), { template: `${l.stack().template}# ${'x'.repeat(51_200)}` });
    const promoted = await promote();
    expect(promoted.warnings.join('\n')).toContain('the template is larger than the 51,200 bytes that a change set takes as text');
    expect([promoted.errors, await l.state()]).toEqual([[], l.ran(l.b)]);
  });
});

describe.each([
  ['holds the image', {}],
  ['reads the pointer', READS],
])('in two regions, where the parameter %s', (_, options) => {
  const WEST = 'eu-west-1';
  const stage = async () => {
    l = await stackLab(options);
    const west = l.inRegion(WEST);
    const [a, b] = [west.image('web-a'), west.image('web-b')];
    for (const [home, there, letter] of [
      [l.a, a, 'a'],
      [l.b, b, 'b'],
    ] as const) {
      l.retag(home, { 'ami-action:commit': letter.repeat(40) });
      west.retag(there, { 'ami-action:commit': letter.repeat(40) });
    }
    await west.pointerTo(a);
    return { west, a, b, fleet: await l.stackIn(west, a) };
  };
  const runs = ({ west, fleet }: Awaited<ReturnType<typeof stage>>) => [
    ...[[...new Set(l.fleet())], l.pointer(), [...new Set(fleet.fleet())], west.pointer(), l.candidate(), west.candidate()],
  ];

  test('both stacks are updated, then both pointers move', async () => {
    const there = await stage();
    expect((await promote({ regions: WEST })).errors).toEqual([]);
    expect(runs(there)).toEqual([[l.b], l.b, [there.b], there.b, false, false]);
  });

  test('one fails: the other, which is complete, is led back by a second update', async () => {
    const there = await stage();
    there.west.sick.add(there.b);
    const failed = await promote({ regions: WEST });
    expect(said(failed)).toMatch(/^eu-west-1: Stack web: Group \(AWS::AutoScaling::AutoScalingGroup\) UPDATE_FAILED: Received 0 SUCCESS/);
    expect(runs(there)).toEqual([[l.a], l.a, [there.a], there.a, false, false]);
    expect([l.parameter(), there.fleet.parameter()]).toEqual([l.a, there.a]);
  });
});
