import { DescribeImagesCommand, EC2Client, RunInstancesCommand, TerminateInstancesCommand } from '@aws-sdk/client-ec2';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mishaps } from '../../lab/ec2/mishaps.ts';
import { instances, setTags } from '../../lab/ec2/state.ts';
import { type Order, runAction } from '../../lab/runner.ts';
import { labOfTests, madeImages, tagsIn } from './build-lab.ts';

const lab = await labOfTests();

describe('build from a running instance', () => {
  let ec2: EC2Client;
  let instance = '';
  beforeAll(async () => {
    const { AWS_REGION: region = '', AWS_ENDPOINT_URL: endpoint = '', AWS_ACCESS_KEY_ID: accessKeyId = '' } = lab.environment();
    ec2 = new EC2Client({ region, endpoint, credentials: { accessKeyId, secretAccessKey: 'x' } });
    const { Images = [] } = await ec2.send(
      new DescribeImagesCommand({ Owners: ['136693071363'], Filters: [{ Name: 'architecture', Values: ['x86_64'] }] }),
    );
    const { Instances = [] } = await ec2.send(
      new RunInstancesCommand({ ImageId: Images[0]?.ImageId, InstanceType: 't3.micro', MinCount: 1, MaxCount: 1 }),
    );
    instance = Instances[0]?.InstanceId ?? '';
    setTags(lab.place(), instance, { 'ami-action:repository': 'acme/web' });
    await lab.clock.sleep(60);
  });
  afterAll(async () => {
    await ec2.send(new TerminateInstancesCommand({ InstanceIds: [instance] }));
    ec2.destroy();
  });

  const save = (wanted: Record<string, string> = {}, commit = 'a', more: Partial<Order> = {}) =>
    runAction({
      ...{ mode: 'build', lab, ...more },
      with: { family: 'saved', 'from-instance': instance, ...wanted },
      env: { PATH: '/usr/bin:/bin', GITHUB_SHA: commit.repeat(40) },
    });
  const named = (name: string) => madeImages(lab).filter(image => image.name === name);
  const state = () => instances(lab.place()).get(instance)?.state;

  test('makes its image without a restart and without Packer, tagged as ours', async () => {
    const ran = await save();
    expect(ran.errors).toEqual([]);
    expect(ran.outputs).toMatchObject({ built: 'true', outcome: 'done' });
    const tags = tagsIn(lab, ran.outputs['ami-id'] ?? '');
    expect(tags).toMatchObject({
      'ami-action:family': 'saved',
      'ami-action:from-instance': instance,
      'ami-action:base-ami': expect.stringMatching(/^ami-/),
    });
    expect(lab.calls.all().findLast(({ operation }) => operation === 'CreateImage')?.input['NoReboot']).toBe(true);
    expect(state()).toBe('running');
  });

  test('done twice for one commit makes one image', async () => {
    const made = lab.calls.count('CreateImage');
    const one = await save({}, 'b');
    const createdAt = () => tagsIn(lab, one.outputs['ami-id'] ?? '')['ami-action:created-at'];
    const before = createdAt();
    const two = await save({}, 'b');
    expect([before, createdAt()]).toEqual([expect.stringMatching(/Z$/), before]);
    expect(two.outputs).toMatchObject({ built: 'false', outcome: 'unchanged', 'ami-id': one.outputs['ami-id'] });
    expect(lab.calls.count('CreateImage')).toBe(made + 1);
  });

  test('is created again for a commit whose image failed or was rolled back', async () => {
    const one = await save({}, '9');
    setTags(lab.place(), one.outputs['ami-id'] ?? '', { 'ami-action:vetoed-in': 'prod' });
    const two = await save({}, '9');
    expect(two.outputs).toMatchObject({ built: 'true', outcome: 'done' });
    expect(two.outputs['ami-id']).not.toBe(one.outputs['ami-id']);
  });

  test('is created again when the existing one is older than "rebuild" allows', async () => {
    const one = await save({}, '4');
    const young = await save({ rebuild: 'max-age:7d' }, '4');
    expect(young.outputs).toMatchObject({ built: 'false', 'ami-id': one.outputs['ami-id'] });
    const old = await save({ rebuild: 'max-age:1s' }, '4');
    expect(old.outputs).toMatchObject({ built: 'true', reason: `"from-instance" is ${instance}` });
  });

  test.each([
    ['one of its own', {}],
    ['one that stays the same', { name: '{family}-{commit}' }],
  ])('need not be waited for: a later run adopts the image, whose name is %s', async (_, wanted) => {
    const commit = 'name' in wanted ? 'c' : '5';
    const first = await save({ ...wanted, wait: 'false' }, commit);
    expect(first.outputs).toMatchObject({ built: 'true', outcome: 'done' });
    const id = first.outputs['ami-id'] ?? '';
    expect(tagsIn(lab, id)['ami-action:family']).toBeUndefined();
    const second = await save(wanted, commit);
    expect(second.errors).toEqual([]);
    expect(second.outputs).toMatchObject({ built: 'false', 'ami-id': id });
    expect(tagsIn(lab, id)['ami-action:family']).toBe('saved');
  });

  describe('that takes longer', () => {
    const slow = 300;
    let usual: number;
    const takes = (seconds: number) => Object.assign(lab.core.timings, { image: seconds });
    beforeAll(() => {
      usual = lab.core.timings.image;
    });

    test('than "timeout" is left, named, and adopted by a later run', async () => {
      takes(slow);
      const ran = await save({ name: 'slow-one', timeout: '60s' }, '1');
      takes(usual);
      expect(ran.outputs['outcome']).toBe('timeout');
      const [made] = named('slow-one');
      expect(ran.errors.join()).toContain(
        `Left behind:\n- ${made?.id} in eu-central-1, not in the family yet: a later run of this commit adopts it`,
      );
      const later = await save({ name: 'slow-one' }, '1');
      expect(later.outputs).toMatchObject({ outcome: 'unchanged', 'ami-id': made?.id });
      expect(tagsIn(lab, made?.id ?? '')['ami-action:family']).toBe('saved');
    });

    test('than a cancelled run waits is named too', async () => {
      takes(slow);
      let cancel = () => {};
      const ran = await save({ name: 'called-off' }, '2', {
        onStart: child => {
          cancel = () => void child.kill('SIGINT');
        },
        onLine: line => {
          if (/in eu-central-1: pending/.test(line)) cancel();
        },
      });
      takes(usual);
      expect(ran.outputs['outcome']).toBe('cancelled');
      expect(ran.errors.join()).toContain(`${named('called-off')[0]?.id} in eu-central-1, not in the family yet`);
    });
  });

  test('that fails is removed: the next run gets its name', async () => {
    mishaps(lab.place()).imageFails.set('unlucky', 'no key');
    const ran = await save({ name: 'unlucky' }, '3');
    mishaps(lab.place()).imageFails.clear();
    expect(ran.outputs['outcome']).toBe('rejected');
    expect(ran.errors.join()).toContain('failed: no key');
    expect(named('unlucky')).toEqual([]);
    const next = await save({ name: 'unlucky' }, '3');
    expect(next.outputs).toMatchObject({ built: 'true', outcome: 'done', 'image-name': 'unlucky' });
  });

  test('that EC2 does not show at once is waited for', async () => {
    const heal = lab.faults.add({ operation: 'DescribeImages', action: { hideNewIds: 2 } });
    const ran = await save({ name: 'not-yet', rebuild: 'always' }, '6');
    heal();
    expect(ran.errors).toEqual([]);
    expect(ran.outputs).toMatchObject({ built: 'true', outcome: 'done', 'ami-id': named('not-yet')[0]?.id });
  });

  test('whose answer got lost is made once', async () => {
    const heal = lab.faults.add({ operation: 'CreateImage', times: 1, action: { reset: 'after' } });
    const ran = await save({ name: 'lost-answer' }, 'd');
    heal();
    expect(ran.errors).toEqual([]);
    expect(
      madeImages(lab)
        .filter(({ name }) => name === 'lost-answer')
        .map(({ id }) => id),
    ).toEqual([ran.outputs['ami-id']]);
  });

  test('in a dry run is only reported, as a real run would find it', async () => {
    const mark = lab.calls.mark();
    const dry = { name: 'would-be', 'dry-run': 'true' };
    const ran = await save(dry, 'f');
    expect(ran.outputs).toMatchObject({ outcome: 'planned', built: 'false', 'image-name': 'would-be' });
    expect(ran.summary).toContain(`Would save ${instance} as would-be`);
    const gone = await save({ ...dry, 'from-instance': 'i-0123456789abcdef0' }, 'f');
    expect(gone.errors.join()).toContain('does not exist in ');
    const again = await save(dry, 'b');
    expect(again.outputs['reason']).toMatch(/^ami-\w+ is of this instance and this commit$/);
    expect(again.summary).toContain('Nothing to save');
    expect(lab.calls.since(mark).filter(({ operation }) => !/^(Describe|Get)/.test(operation))).toEqual([]);
  });

  test('by two runs with one name is one image; the other run reports which image has the name, and the fix', async () => {
    let arrived = 0;
    const meet = async () => {
      arrived += 1;
      while (arrived < 2) await new Promise(done => setTimeout(done, 20));
    };
    // Both have found the name free.
    const lift = lab.faults.add({ operation: 'CreateImage', times: 2, action: { run: meet, at: 'before' } });
    const ended = await Promise.all([save({ name: 'one-name' }, '7'), save({ name: 'one-name' }, '8')]);
    lift();
    const made = madeImages(lab).filter(({ name }) => name === 'one-name');
    expect(made).toHaveLength(1);
    expect(ended.map(({ outputs }) => outputs['outcome']).sort()).toEqual(['done', 'usage']);
    expect(ended.find(({ outputs }) => outputs['outcome'] === 'done')?.outputs['ami-id']).toBe(made[0]?.id);
    const lost = ended.find(({ outputs }) => outputs['outcome'] === 'usage');
    expect(lost?.errors).toEqual([`"name" becomes "one-name", and ${made[0]?.id} already has this name\nNext: Add {timestamp} to "name".`]);
  });

  test('of an instance that does not exist, or no longer, is refused', async () => {
    const gone = await save({ 'from-instance': 'i-0123456789abcdef0' }, 'e');
    expect(gone.errors.join()).toContain('does not exist in ');
    const elsewhere = await save({}, 'e', { as: { region: 'eu-west-1' } });
    expect(elsewhere.errors.join()).toContain('does not exist in ');
    const stranger = await save({}, 'e', { as: { account: '999988887777' } });
    expect(stranger.errors.join()).toContain('does not exist in ');
    const ended = instances(lab.place()).get(instance);
    if (ended === undefined) throw new Error('there is no instance');
    const before = ended.state;
    ended.state = 'terminated';
    const dead = await save({}, 'e');
    ended.state = before;
    expect(dead.errors.join()).toContain(`${instance} is terminated, must be running or stopped`);
  });

  test('with settings of a template is refused, all of them at once', async () => {
    const before = lab.calls.count();
    const ran = await save({
      ...{ var: 'a: b', 'base-image': 'family:x', 'secret-var': 'c: d', content: 'app/**', only: 'a', 'instance-type': 't3.small' },
      regions: 'eu-west-1',
    });
    expect(ran.outputs['outcome']).toBe('usage');
    expect(ran.errors.join()).toContain('remove "base-image", "var", "secret-var", "content", "only", "instance-type", "regions"');
    expect(lab.calls.count()).toBe(before);
  });
});
