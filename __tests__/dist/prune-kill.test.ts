import type { ChildProcess } from 'node:child_process';
import {
  CreateLaunchTemplateCommand,
  CreateLaunchTemplateVersionCommand,
  DeleteTagsCommand,
  RunInstancesCommand,
} from '@aws-sdk/client-ec2';
import { PutParameterCommand } from '@aws-sdk/client-ssm';
import { afterAll, expect, test } from '@jest/globals';
import { images, snapshots } from '../../lab/ec2/images.ts';
import { templates } from '../../lab/ec2/launch-template-state.ts';
import { retentionRules } from '../../lab/ec2/recycle-bin.ts';
import { instances, setTags, tagsOf } from '../../lab/ec2/state.ts';
import { removeWorkspaces } from '../harness.ts';
import { type PruneLab, pruneLab } from './prune-lab.ts';

/**
 * A runner may die when any call is done and before its answer is there. The next run makes it whole: nothing is left over, and nothing more is gone.
 * Between two changes it only looks, so a death there leaves what the death after the earlier change leaves; one road is walked call by call all the same.
 */

afterAll(removeWorkspaces);

const DAY_MS = 86_400_000;
const CONSUMER = '222222222222';
const isLook = ({ operation }: { operation: string }) => /^(Describe|Get|List|AssumeRole)/.test(operation);
const snapshotOf = (l: PruneLab, name: string) => `snap-${l.id(name).slice('ami-'.length)}`;

interface Road {
  readonly mode: 'prune' | 'delete';
  wanted(l: PruneLab): Readonly<Record<string, string>>;
  stage(): Promise<PruneLab>;
  state(l: PruneLab): unknown;
  /** What a killed run may have left undone. */
  readonly doomed: readonly string[];
  readonly whole: unknown;
}

/** A newest, one to mark, one to unmark since prod uses it, two whose grace is over, and one that a stranger owns. */
const marks: Road = {
  mode: 'prune',
  wanted: () => ({ 'keep-newest': '1', 'keep-passed': '0', grace: '7d', disable: 'true', 'dry-run': 'false' }),
  doomed: ['d40', 'd50'],
  async stage() {
    const l = await pruneLab({ pageSize: undefined });
    for (const daysOld of [10, 20, 30, 40, 50]) l.image(`d${daysOld}`, { daysOld });
    l.image('api', { daysOld: 90, tags: { 'ami-action:family': 'api' } });
    const marked = { 'ami-action:marked-at': `${new Date(l.lab.clock.now() - 8 * DAY_MS).toISOString()} disabled` };
    for (const name of ['d30', 'd40', 'd50']) {
      setTags(l.home, l.id(name), marked);
      Object.assign(l.labImage(name), { state: 'disabled', deprecateAt: new Date(l.lab.clock.now() - 8 * DAY_MS) });
    }
    await l.parameter('/ami/web/prod', l.id('d30'));
    return l;
  },
  state: l => ({
    there: l.there(),
    orphans: l.orphans(),
    marked: l.there().flatMap(name => l.tags(name)['ami-action:marked-at']?.replace(/^.*Z/, name) ?? []),
    deprecated: l.there().filter(name => l.labImage(name).deprecateAt !== undefined),
    disabled: l.there().filter(name => l.labImage(name).state === 'disabled'),
  }),
  whole: { there: ['api', 'd30', 'd20', 'd10'], orphans: [], marked: ['d20 disabled'], deprecated: ['d20'], disabled: ['d20'] },
};

const versionsThere = (l: PruneLab) => [...templates(l.home).values()].flatMap(({ versions }) => [...versions.keys()]);
const abroad = (l: PruneLab) => l.lab.place(undefined, 'us-east-1');

/** Two builds in two regions, named by old launch template versions: one goes, one stays since it runs in one of them. */
const copies: Road = {
  mode: 'prune',
  wanted: () => ({ 'keep-newest': '1', 'keep-passed': '0', 'template-versions': 'true', regions: 'us-east-1', 'dry-run': 'false' }),
  doomed: ['eu30', 'us30'],
  async stage() {
    const l = await pruneLab({ pageSize: undefined });
    for (const daysOld of [10, 20, 30]) {
      const tags = { 'ami-action:commit': `c${daysOld}`, 'ami-action:fingerprint': `f${daysOld}` };
      l.image(`eu${daysOld}`, { daysOld, tags });
      l.image(`us${daysOld}`, { daysOld: daysOld - 0.5, tags, region: 'us-east-1' });
    }
    await l.parameter('/ami/web/prod', l.id('eu20'));
    const data = (name: string) => ({ LaunchTemplateData: { ImageId: l.id(name), InstanceType: 't3.micro' as const } });
    const LaunchTemplateName = 'web';
    await l.cloud.ec2.send(new CreateLaunchTemplateCommand({ LaunchTemplateName, ...data('eu20') }));
    for (const name of ['eu30', 'eu20', 'eu30', 'eu20'])
      await l.cloud.ec2.send(new CreateLaunchTemplateVersionCommand({ LaunchTemplateName, ...data(name) }));
    return l;
  },
  state: l => ({ there: [l.there(), l.there(abroad(l))], orphans: [l.orphans(), l.orphans(abroad(l))], versions: versionsThere(l) }),
  whole: {
    there: [
      ['eu20', 'eu10'],
      ['us20', 'us10'],
    ],
    orphans: [[], []],
    versions: [1, 3, 5],
  },
};

const running = (l: PruneLab) =>
  [...instances(l.home).values()].filter(({ state }) => !['terminated', 'shutting-down'].includes(state)).map(({ imageId }) => imageId);

/** Images that another account may launch and does or does not; a snapshot that lost its image; an image and a machine of dead runs; and a Recycle Bin. */
const shares: Road = {
  mode: 'prune',
  wanted: () => ({ 'keep-newest': '1', 'keep-passed': '0', 'target-role': 'arn:aws:iam::{account}:role/ami-consumer', 'dry-run': 'false' }),
  doomed: ['d30', 'd50', 'half'],
  async stage() {
    const l = await pruneLab({ pageSize: undefined, speed: 100 });
    for (const daysOld of [10, 20, 30, 40, 50, 60]) l.image(`d${daysOld}`, { daysOld });
    images(l.home).delete(l.id('d60'));
    await l.parameter('/ami/web/prod', l.id('d20'));
    for (const name of ['d30', 'd40', 'd50']) l.labImage(name).launchers.add(CONSUMER);
    const theirs = l.cloudOf(CONSUMER);
    await theirs.ssm.send(new PutParameterCommand({ Name: '/ami/web/prod', Value: l.id('d40'), Type: 'String' }));
    retentionRules(l.home).imageDays = 7;
    const dead = { 'ami-action:repository': 'acme/web', 'ami-action:expires-at': '2020-01-01T00:00:00.000Z' };
    l.image('half', { daysOld: 3 });
    const half = [l.id('half'), snapshotOf(l, 'half')];
    await l.cloud.ec2.send(new DeleteTagsCommand({ Resources: half, Tags: [{ Key: 'ami-action:family' }] }));
    for (const id of half) setTags(l.home, id, { ...dead, 'ami-action:purpose': 'build' });
    const launch = new RunInstancesCommand({
      ImageId: l.id('d20'),
      InstanceType: 't3.micro',
      MinCount: 1,
      MaxCount: 1,
      ClientToken: 'ami-action-1',
    });
    const { Instances = [] } = await l.cloud.ec2.send(launch);
    setTags(l.home, Instances[0]?.InstanceId ?? '', { ...dead, 'ami-action:purpose': 'validate', 'ami-action:family': 'web' });
    return l;
  },
  state: l => ({ there: l.there(), orphans: l.orphans(), running: running(l), shared: [...l.labImage('d40').launchers] }),
  whole: { there: ['d40', 'd20', 'd10'], orphans: [], running: [], shared: [CONSUMER] },
};

/** One image of three by its ID; a snapshot that it has in common with another stays. */
const deleted: Road = {
  mode: 'delete',
  wanted: l => ({ image: l.id('d30') }),
  doomed: ['d30'],
  async stage() {
    const l = await pruneLab({ pageSize: undefined });
    for (const daysOld of [10, 20, 30]) l.image(`d${daysOld}`, { daysOld });
    const common = l.labImage('d20').devices.map(one => ({ ...one, device: '/dev/sdb' }));
    Object.assign(l.labImage('d30'), { devices: [...l.labImage('d30').devices, ...common] });
    await l.parameter('/ami/web/prod', l.id('d10'));
    return l;
  },
  state: l => ({
    there: l.there(),
    common: snapshots(l.home).has(snapshotOf(l, 'd20')),
    orphans: l.orphans().map(id => [id === snapshotOf(l, 'd30'), 'ami-action:keep' in tagsOf(l.home, id)]),
  }),
  whole: { there: ['d20', 'd10'], common: true, orphans: [] },
};
const deletedAlone: Road = {
  ...deleted,
  wanted: l => ({ ...deleted.wanted(l), 'keep-snapshots': 'true' }),
  whole: { there: ['d20', 'd10'], common: true, orphans: [[true, true]] },
};

/** A laboratory that stays open keeps the tests from ending. */
async function onStage(stage: Road['stage'], work: (l: PruneLab) => Promise<void>): Promise<void> {
  const l = await stage();
  try {
    await work(l);
  } finally {
    await l.lab.close();
  }
}

test.each([
  ['call', 'marking, unmarking and removing', marks],
  ['change', 'copies in two regions and launch template versions', copies],
  ['change', 'shared images, stray snapshots, leftovers and the Recycle Bin', shares],
  ['change', 'one image that is deleted by its ID', deleted],
  ['change', 'one image that is deleted without its snapshots', deletedAlone],
])(
  'killed at any %s: %s',
  async (at, _, { mode, wanted, stage, state, doomed, whole }) => {
    const counts = (call: { operation: string }) => at === 'call' || !isLook(call);
    await onStage(stage, async l => {
      expect((await l.act(mode, wanted(l))).exitCode).toBe(0);
      expect(state(l)).toEqual(whole);
      expect((await l.act(mode, wanted(l))).outputs['outcome']).toBe('unchanged');
    });

    const stays = (l: PruneLab) => [...l.there(), ...l.there(abroad(l))].filter(name => !doomed.includes(name));
    let died = true;
    for (let nth = 1; died; nth++) {
      await onStage(stage, async l => {
        const safe = stays(l);
        let child: ChildProcess | undefined;
        const lift = l.lab.faults.add({ when: counts, nth, action: { kill: () => void child?.kill('SIGKILL'), at: 'after' } });
        const onStart = (started: ChildProcess) => {
          child = started;
        };
        const killed = await l.act(mode, wanted(l), { onStart });
        lift();
        died = killed.signal === 'SIGKILL';
        expect([nth, stays(l)]).toEqual([nth, safe]);
        const next = await l.act(mode, wanted(l));
        expect([nth, next.errors, state(l)]).toEqual([nth, [], whole]);
        expect([nth, died || nth > 1]).toEqual([nth, true]);
      });
    }
  },
  900_000,
);
