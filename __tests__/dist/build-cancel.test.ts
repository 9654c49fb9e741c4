import type { ChildProcess } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { setTags } from '../../lab/ec2/state.ts';
import { ADMINISTRATOR, type Ran } from '../../lab/runner.ts';
import {
  build,
  changed,
  DEBIAN,
  describeWithPacker as describe,
  labOfTests,
  leftovers,
  likeTheRunner,
  madeImages,
  postOf,
  struckAt,
  tagsIn,
  template,
} from './build-lab.ts';

const lab = await labOfTests();

const outright = (child: ChildProcess) => void child.kill('SIGKILL');

/** A build that is struck when its log says something. */
const struck = (when: RegExp, strike: (child: ChildProcess) => void, order: Parameters<typeof build>[1] = {}): Promise<Ran> =>
  build(lab, { ...order, with: { family: 'cancel', ...order.with }, ...struckAt(when, strike) });

/** Images that no family has. */
const strays = () =>
  madeImages(lab)
    .map(({ id }) => id)
    .filter(id => tagsIn(lab, id)['ami-action:family'] === undefined);

const pidsOf = (ran: Ran): number[] =>
  (JSON.parse(ran.state['journal'] ?? '[]') as { kind: string; pid: number }[])
    .filter(({ kind }) => kind === 'process')
    .map(({ pid }) => pid);

/** A zombie has ended. */
const alive = (pid: number): boolean => existsSync(`/proc/${pid}/stat`) && !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));

const until = async (holds: () => boolean) => {
  for (let tries = 0; !holds() && tries < 600; tries += 1) await new Promise(done => setTimeout(done, 50));
  expect(holds()).toBe(true);
};

const nothingIsLeft = () => {
  expect(leftovers(lab)).toEqual([]);
  expect(strays()).toEqual([]);
};

// From the first step of Packer to the last of the action. At the last of these the run may end before the cancel arrives.
const CERTAIN = 10;
const POINTS: readonly RegExp[] = [
  /::group::packer init/,
  /::group::packer build/,
  /Prevalidating AMI Name/,
  /Creating temporary keypair/,
  /Creating temporary security group/,
  /Instance ID: i-/,
  /Connected to SSH/,
  /Provisioning with shell script: .*harden/,
  /Stopping the source instance/,
  /Creating AMI/,
  /Waiting for AMI to become ready/,
  /Adding tags to AMI/,
  /Terminating the source AWS instance/,
  /::group::Tag the images/,
];

describe('scenario 1: a build that is cancelled', () => {
  test.each(POINTS)('at %s ends as cancelled, and leaves nothing after post', async point => {
    const ran = await struck(point, likeTheRunner);
    expect(POINTS.indexOf(point) < CERTAIN ? ['cancelled'] : ['cancelled', 'done']).toContain(ran.outputs['outcome']);
    const ended = await postOf(lab, ran);
    expect(ended.errors).toEqual([]);
    for (const pid of pidsOf(ran)) expect(alive(pid)).toBe(false);
    nothingIsLeft();
  });
});

describe('scenario 2: a build whose action is killed', () => {
  const slow = () => ({ ...template(), 'packer/scripts/install.sh': '#!/bin/sh\nsleep 2\n' });

  test.each([/Creating temporary security group/, /Connected to SSH/, /Waiting for AMI to become ready/])(
    'at %s leaves Packer alive, and post waits for it and sweeps',
    async point => {
      const ran = await struck(point, outright, { files: slow() });
      expect(ran.signal).toBe('SIGKILL');
      const [pid = 0] = pidsOf(ran);
      expect(alive(pid)).toBe(true);
      const ended = await postOf(lab, ran);
      expect(ended.exitCode).toBe(0);
      expect(alive(pid)).toBe(false);
      nothingIsLeft();
    },
  );

  test('scenario 3: and whose Packer ignores SIGTERM is killed in the end, and its resources are removed and reported', async () => {
    const disk =
      'launch_block_device_mappings {\n    device_name           = "/dev/xvdf"\n    volume_size           = 1\n    delete_on_termination = false\n  }';
    const files = { ...changed(['  communicator ', `  ${disk}\n  communicator `]), 'packer/scripts/install.sh': '#!/bin/sh\nsleep 600\n' };
    const ran = await struck(/Connected to SSH/, outright, { files });
    const [pid = 0] = pidsOf(ran);
    // A stopped process gets no SIGTERM.
    process.kill(pid, 'SIGSTOP');
    process.kill(-pid, 'SIGSTOP');
    const ended = await postOf(lab, ran, { AMI_ACTION_GRACE_SECONDS: '1' });
    expect(alive(pid)).toBe(false);
    expect(ended.log).toMatch(/Removed instance i-/);
    expect(ended.log).toMatch(/Removed volume vol-/);
    expect(ended.log).toMatch(/Removed key-pair key-/);
    expect(ended.log).toMatch(/Removed security-group sg-/);
    expect(ended.log).not.toContain('for a later run');
    nothingIsLeft();
  });
});

describe('scenario 4: a build whose runner dies, so that there is no post step', () => {
  test.each([
    [/Connected to SSH/, 'always', 'done'],
    [/Waiting for AMI to become ready/, 'changed', 'unchanged'],
  ])('at %s is swept by the next run ("rebuild: %s"), when it has expired and not before', async (point, rebuild, outcome) => {
    const next = { with: { family: `next-${rebuild}`, 'base-image': DEBIAN, rebuild } };
    const ran = await struck(point, outright);
    const [pid = 0] = pidsOf(ran);
    if (point.source.includes('SSH'))
      process.kill(-pid, 'SIGKILL'); // the runner is gone, and Packer with it
    else await until(() => !alive(pid));
    const left = [...leftovers(lab), ...strays()];
    expect(left.length).toBeGreaterThan(0);

    const early = await build(lab, next);
    expect(early.outputs['outcome']).toBe('done');
    expect([...leftovers(lab), ...strays()].sort()).toEqual([...left].sort());

    expire();
    const late = await build(lab, next);
    expect(late.outputs['outcome']).toBe(outcome);
    for (const id of left) expect(late.log).toContain(id);
    nothingIsLeft();
  });

  const expire = () => {
    for (const id of [...leftovers(lab), ...strays()]) setTags(lab.place(), id, { 'ami-action:expires-at': '2020-01-01T00:00:00.000Z' });
  };
});

test('leftovers in a region that only the template sets are removed by post', async () => {
  const files = changed(['  region          = var.region', '  region          = "eu-west-1"']);
  const ran = await struck(/Connected to SSH/, outright, { files });
  process.kill(-(pidsOf(ran)[0] ?? 0), 'SIGKILL');
  expect(leftovers(lab, 'eu-west-1')).not.toEqual([]);
  const ended = await postOf(lab, ran);
  expect(ended.log).toMatch(/Removed instance i-\w+ in eu-west-1/);
  expect(leftovers(lab, 'eu-west-1')).toEqual([]);
});

describe('scenario 11: a copy to another region that fails', () => {
  test.each<[string, Record<string, string>]>([
    ['by its tags', template()],
    ['by tags of a copy, where the template sets none', changed(['  run_tags        = var.run_tags\n', ''])],
  ])('leaves no copy behind in the regions where it went well, found %s', async (_, files) => {
    const action = { error: 'InternalError', message: 'no capacity to copy', status: 400 };
    const forget = lab.faults.add({ operation: 'CopyImage', region: 'eu-west-1', action });
    // The shipped role may not delete a snapshot that Packer has not tagged yet: shipped-role.test.ts.
    const ran = await build(lab, { files, with: { family: 'copies', regions: 'eu-north-1, eu-west-1' }, as: { role: ADMINISTRATOR } });
    forget();
    expect(ran.outputs['outcome']).toBe('rejected');
    expect(ran.errors.join()).toContain('no capacity to copy');
    for (const region of ['eu-central-1', 'eu-north-1', 'eu-west-1']) {
      expect(leftovers(lab, region)).toEqual([]);
      expect(madeImages(lab, region).filter(({ name }) => name.startsWith('copies'))).toEqual([]);
    }
  });

  test('when all go well, each region has its image, tagged', async () => {
    const ran = await build(lab, { with: { family: 'copied', regions: 'eu-north-1' } });
    expect(ran.errors).toEqual([]);
    const ids = JSON.parse(ran.outputs['ami-ids'] ?? '{}');
    expect(Object.keys(ids).sort()).toEqual(['eu-central-1', 'eu-north-1']);
    expect(tagsIn(lab, ids['eu-north-1'], 'eu-north-1')).toMatchObject({
      'ami-action:family': 'copied',
      'ami-action:commit': '1'.repeat(40),
    });
    expect(ran.outputs['ami-id']).toBe(ids['eu-central-1']);
  });
});

describe('a build that takes too long', () => {
  test('is stopped by its own deadline, and cleaned up', async () => {
    const files = { ...template(), 'packer/scripts/install.sh': '#!/bin/sh\nsleep 600\n' };
    const ran = await build(lab, { files, with: { family: 'late', timeout: '60s' }, env: { AMI_ACTION_CLOCK_SPEED: '60' } });
    expect(ran.outputs['outcome']).toBe('timeout');
    nothingIsLeft();
  });
});
