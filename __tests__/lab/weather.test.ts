import { CreateSecurityGroupCommand, CreateTagsCommand, DescribeImagesCommand, EC2Client } from '@aws-sdk/client-ec2';
import { afterEach, expect, test } from '@jest/globals';
import { labClock } from '../../lab/clock.ts';
import { type Lab, startLab } from '../../lab/lab.ts';
import { accessKeyOf } from '../../lab/sts-sessions.ts';
import { TIMINGS } from '../../lab/timings.ts';
import { slowed, weatherOf } from '../../lab/weather.ts';
import { US } from './clients.ts';

const labs: Lab[] = [];
afterEach(async () => {
  await Promise.all(labs.splice(0).map(lab => lab.close()));
});

/** A client that says what the clients of the action say. */
function clientIn(lab: Lab, userAgent: string, maxAttempts = 8): EC2Client {
  labs.push(lab);
  const credentials = { accessKeyId: accessKeyOf(US), secretAccessKey: 'x' };
  return new EC2Client({
    endpoint: lab.url,
    region: 'eu-central-1',
    credentials,
    maxAttempts,
    customUserAgent: [
      [userAgent, '1'],
      ['mode', 'list'],
    ],
  });
}

const start = (weather?: number) => startLab({ machines: 'paper', speed: 6000, ...(weather === undefined ? {} : { weather }) });

async function describeOften(ec2: EC2Client, times = 100): Promise<string[]> {
  const answers: string[] = [];
  for (let n = 0; n < times; n += 1)
    answers.push(
      await ec2.send(new DescribeImagesCommand({ Owners: ['amazon'] })).then(
        () => 'ok',
        (cause: Error) => cause.name,
      ),
    );
  return answers;
}

test('strikes calls of the action, by a seed, and an SDK gets through', async () => {
  const [one, same, other] = [await start(7), await start(7), await start(8)];
  const [first, again, differently] = [clientIn(one, 'ami-action', 1), clientIn(same, 'ami-action', 1), clientIn(other, 'ami-action', 1)];
  const answers = await describeOften(first);
  expect(new Set(answers)).toEqual(new Set(['ok', 'RequestLimitExceeded', 'InternalError', 'Error']));
  expect(await describeOften(again)).toEqual(answers);
  expect(await describeOften(differently)).not.toEqual(answers);
  expect(one.weather?.struck).toEqual(same.weather?.struck);
  // What the SDK repeats is not in the log.
  expect(one.calls.count('DescribeImages')).toBeLessThan(100);
  expect(new Set(await describeOften(clientIn(await start(7), 'ami-action')))).toEqual(new Set(['ok']));
});

test('leaves other clients alone, and is off by default', async () => {
  const stormy = await start(7);
  expect(new Set(await describeOften(clientIn(stormy, 'other', 1)))).toEqual(new Set(['ok']));
  const calm = await start();
  labs.push(calm);
  expect(calm.weather).toBeUndefined();
});

test('leaves alone what a fault of the test names', async () => {
  const lab = await start(7);
  lab.faults.add({ operation: 'Describe*', action: { delaySeconds: 0 } });
  expect(new Set(await describeOften(clientIn(lab, 'ami-action', 1)))).toEqual(new Set(['ok']));
});

test('a write whose answer was lost is in the log once: the one that was answered', async () => {
  const lab = await start(7);
  const heard: string[] = [];
  lab.calls.onCall(({ operation, outcome }) => void heard.push(`${operation} ${outcome}`));
  const ec2 = clientIn(lab, 'ami-action');
  const Resources = [(await ec2.send(new CreateSecurityGroupCommand({ GroupName: 'web', Description: 'web' }))).GroupId ?? ''];
  for (let n = 0; n < 100; n += 1) await ec2.send(new CreateTagsCommand({ Resources, Tags: [{ Key: 'n', Value: String(n) }] }));
  expect(lab.weather?.struck.lost).toBeGreaterThan(0);
  expect([lab.calls.count('CreateTags'), lab.calls.all().length]).toEqual([100, 101]);
  expect(heard.filter(text => text === 'CreateTags ok')).toHaveLength(100);
  expect(heard.filter(text => text === 'CreateTags lost')).toHaveLength(lab.weather?.struck.lost ?? 0);
});

test('hides a new ID once, and loses answers of what is done', async () => {
  const weather = weatherOf(3, labClock(1e6));
  const call = (operation: string, input: object = {}) => ({
    service: 'ec2',
    operation,
    client: 'ami-action/1 mode/build',
    input: input as Record<string, unknown>,
  });
  const ImageId = `ami-${'0'.repeat(17)}`;
  const lost: unknown[] = [];
  for (let n = 0; n < 200; n += 1) {
    try {
      weather.after(call('DeregisterImage'), {});
    } catch (cause) {
      lost.push(cause);
    }
  }
  expect(lost.length).toBe(weather.struck.lost);
  expect(lost.length).toBeGreaterThan(1);
  weather.after(call('CopyImage'), { ImageId });
  const ask = async () => weather.before(call('DescribeImages', { ImageIds: [ImageId] }), 'ec2');
  const answers: string[] = [];
  for (let n = 0; n < 12; n += 1)
    answers.push(
      await ask().then(
        () => 'ok',
        (cause: { code?: string }) => cause.code ?? 'reset',
      ),
    );
  expect(answers.filter(answer => answer === 'InvalidAMIID.NotFound')).toHaveLength(1);
  expect(answers.at(-1)).toBe('ok');
});

test('omits optional members that are empty, but no list of the answer itself', () => {
  const weather = weatherOf(1, labClock(1e6));
  const call = { service: 'ec2', operation: 'DescribeImages', client: 'ami-action/1 mode/list', input: {} };
  const Images = [{ ImageId: 'ami-1', Tags: [], Description: '', BlockDeviceMappings: [{ Ebs: { SnapshotId: 'snap-1' } }], Public: false }];
  expect(weather.after({ ...call, operation: 'X' }, { Images, Other: [] })).toEqual({
    Images: [{ ImageId: 'ami-1', BlockDeviceMappings: [{ Ebs: { SnapshotId: 'snap-1' } }], Public: false }],
    Other: [],
  });
});

test('slows transitions, up to twice', () => {
  const slow = slowed(TIMINGS, 5);
  expect(slow.image).toBeGreaterThan(TIMINGS.image);
  expect(slow.image).toBeLessThanOrEqual(TIMINGS.image * 2);
  expect(slow.refreshPatience).toBe(TIMINGS.refreshPatience);
  expect(slowed(TIMINGS, 5)).toEqual(slow);
});

test('comes from the environment too', async () => {
  process.env['AMI_ACTION_LAB_WEATHER'] = '9';
  try {
    const lab = await start();
    labs.push(lab);
    expect(lab.weather).toBeDefined();
  } finally {
    delete process.env['AMI_ACTION_LAB_WEATHER'];
  }
});
