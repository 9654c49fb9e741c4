import { UpdateAutoScalingGroupCommand } from '@aws-sdk/client-auto-scaling';
import {
  CreateLaunchTemplateCommand,
  CreateLaunchTemplateVersionCommand,
  CreateSecurityGroupCommand,
  DeleteTagsCommand,
  ImportKeyPairCommand,
  RestoreImageFromRecycleBinCommand,
  RestoreSnapshotFromRecycleBinCommand,
  RunInstancesCommand,
  type RunInstancesCommandInput,
} from '@aws-sdk/client-ec2';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { images, snapshots } from '../../lab/ec2/images.ts';
import { templates } from '../../lab/ec2/launch-template-state.ts';
import { network } from '../../lab/ec2/network.ts';
import { retentionRules } from '../../lab/ec2/recycle-bin.ts';
import { instances, keyPairs, setTags, volumes } from '../../lab/ec2/state.ts';
import { removeWorkspaces } from '../harness.ts';
import { afterThePlan, familyOfFive, POLICY, type PruneLab, planOf, REAL } from './prune-lab.ts';

/** What prune removes other than images: launch template versions, orphaned snapshots, leftovers; and what the Recycle Bin retains. */

let l: PruneLab;
afterEach(() => l.lab.close());
afterAll(removeWorkspaces);

const DRY = POLICY;

const stage = async (speed?: number): Promise<void> => {
  l = await familyOfFive(speed === undefined ? {} : { speed });
};

const snapshotOf = (name: string) => `snap-${l.id(name).slice('ami-'.length)}`;

describe('launch template versions that name a removed image', () => {
  const VERSIONS = { ...REAL, 'template-versions': 'true' };
  const versions = () => [...templates(l.home).values()].map(template => [...template.versions.keys()]);

  async function stageVersions() {
    await stage();
    const data = (name: string) => ({ LaunchTemplateData: { ImageId: l.id(name), InstanceType: 't3.micro' as const } });
    await l.cloud.ec2.send(new CreateLaunchTemplateCommand({ LaunchTemplateName: 'web', ...data('d10') }));
    for (const name of ['d50', 'd40', 'd30', 'd10']) {
      await l.cloud.ec2.send(new CreateLaunchTemplateVersionCommand({ LaunchTemplateName: 'web', ...data(name) }));
    }
  }

  test('are removed with template-versions, and no other; the plan lists them', async () => {
    await stageVersions();
    const planned = await l.act('prune', { ...VERSIONS, 'dry-run': 'true' });
    expect([planned.outputs['template-versions'], versions()]).toEqual(['2', [[1, 2, 3, 4, 5]]]);
    expect(l.named(planned.summary)).toContain('version 2 of launch template web | names d50, and nothing launches from it |');
    const listed = JSON.parse(l.named(planned.outputs['besides'] ?? '')) as { what: string }[];
    expect(listed.find(({ what }) => what.startsWith('version 2'))).toEqual({
      what: 'version 2 of launch template web',
      region: 'eu-central-1',
      reason: 'names d50, and nothing launches from it',
    });
    const unasked = await l.act('prune', DRY);
    expect([unasked.outputs['template-versions'], unasked.outputs['plan-hash'] === planned.outputs['plan-hash']]).toEqual(['0', false]);
    const ran = await l.act('prune', { ...VERSIONS, 'plan-hash': planned.outputs['plan-hash'] ?? '' });
    expect([ran.exitCode, ran.outputs['template-versions'], l.there(), versions()]).toEqual([0, '2', ['d40', 'd20', 'd10'], [[1, 3, 5]]]);
  });

  test('keep their image when they cannot be removed, so that the next run can find them', async () => {
    await stageVersions();
    const denied = { error: 'UnauthorizedOperation', message: 'You may not.', status: 403 };
    const lift = l.lab.faults.add({ operation: 'DeleteLaunchTemplateVersions', action: denied });
    const ran = await l.act('prune', VERSIONS);
    lift();
    expect([ran.exitCode, ran.outputs['outcome'], l.there(), versions()]).toEqual([
      ...[1, 'access', ['d50', 'd40', 'd30', 'd20', 'd10'], [[1, 2, 3, 4, 5]]],
    ]);
    expect(l.named(ran.errors[0] ?? '')).toContain(
      '- image d50: Not allowed to remove version 2 of launch template web (ec2:DeleteLaunchTemplateVersions)',
    );
    await l.act('prune', VERSIONS);
    expect([l.there(), versions()]).toEqual([['d40', 'd20', 'd10'], [[1, 3, 5]]]);
  });

  test('a version that a promotion creates and uses after the plan was made is kept, like its image', async () => {
    await stage();
    const { ec2, autoScaling } = l.cloud;
    await l.group('web', l.id('d40'));
    const LaunchTemplateName = 'web';
    const next = (ImageId: string) =>
      ec2.send(new CreateLaunchTemplateVersionCommand({ LaunchTemplateName, LaunchTemplateData: { ImageId, InstanceType: 't3.micro' } }));
    for (const name of ['d30', 'd50', 'd40']) await next(l.id(name));
    const launchFrom = (Version: string) =>
      new UpdateAutoScalingGroupCommand({ AutoScalingGroupName: 'web', LaunchTemplate: { LaunchTemplateName, Version } });
    afterThePlan(l, async () => {
      await next(l.id('d50'));
      await autoScaling.send(launchFrom('5'));
    });
    const ran = await l.act('prune', { ...REAL, 'template-versions': 'true' });
    expect([ran.exitCode, ran.outputs['removed'], l.there()]).toEqual([0, '1', ['d50', 'd40', 'd20', 'd10']]);
    // Version 2 named d30; version 3 names d50, which is kept.
    expect(versions()).toEqual([[1, 3, 4, 5]]);
  });
});

describe('snapshots of the family that no image has', () => {
  test('are removed, unless they are young, tagged keep, or of an existing image', async () => {
    await stage();
    for (const name of ['lost', 'wanted', 'fresh']) l.image(name, { daysOld: name === 'fresh' ? 0.5 : 90 });
    for (const name of ['lost', 'wanted', 'fresh']) images(l.home).delete(l.id(name));
    setTags(l.home, snapshotOf('wanted'), { 'ami-action:keep': 'true' });
    const planned = await l.act('prune', { ...DRY, 'minimum-age': '0s' });
    expect([planned.outputs['orphan-snapshots'], l.orphans().length]).toEqual(['1', 3]);
    const ran = await l.act('prune', { ...REAL, 'minimum-age': '0s' });
    expect([ran.exitCode, ran.outputs['orphan-snapshots'], ran.outputs['freed-gib']]).toEqual([0, '1', '24']);
    expect(l.orphans()).toEqual([snapshotOf('wanted'), snapshotOf('fresh')]);
  });

  test('are kept while the Recycle Bin holds their image, which could not be restored without them', async () => {
    await stage();
    l.image('binned', { daysOld: 90 });
    retentionRules(l.home).imageDays = 7;
    await l.act('delete', { image: l.id('binned'), 'keep-snapshots': 'true' });
    await l.cloud.ec2.send(new DeleteTagsCommand({ Resources: [snapshotOf('binned')], Tags: [{ Key: 'ami-action:keep' }] }));
    const ran = await l.act('prune', { ...REAL, 'keep-newest': '5' });
    expect([ran.exitCode, ran.outputs['orphan-snapshots'], l.orphans()]).toEqual([0, '0', [snapshotOf('binned')]]);
    await l.cloud.ec2.send(new RestoreImageFromRecycleBinCommand({ ImageId: l.id('binned') }));
    expect(l.there()).toContain('binned');
  });
});

describe('the Recycle Bin', () => {
  test('is reported, with what it still costs and how to restore from it', async () => {
    await stage();
    l.image('lost', { daysOld: 90 });
    images(l.home).delete(l.id('lost'));
    Object.assign(retentionRules(l.home), { imageDays: 14, snapshotDays: 14 });
    const ran = await l.act('prune', REAL);
    expect(ran).toMatchObject({ exitCode: 0, outputs: { outcome: 'done', removed: '2', 'freed-gib': '0', 'freed-per-month': '0' } });
    const held = JSON.parse(ran.outputs['recycle-bin'] ?? '[]') as { id: string; until: string }[];
    expect(held.map(({ id }) => id).sort()).toEqual(
      ['d30', 'd50']
        .flatMap(name => [l.id(name), snapshotOf(name)])
        .concat(snapshotOf('lost'))
        .sort(),
    );
    const until = new Date(l.lab.clock.now() + 14 * 86_400_000).getTime();
    expect(Math.abs(Date.parse(held[0]?.until ?? '') - until)).toBeLessThan(86_400_000);
    expect(ran.summary).toMatch(
      /♻️ The Recycle Bin holds 2 images and 3 snapshots of them until 20\d\d-\d\d-\d\d\. Snapshots in it are charged as before\. To restore one: `aws ec2 restore-snapshot-from-recycle-bin --snapshot-id snap-\w+`, then `aws ec2 restore-image-from-recycle-bin --image-id ami-\w+`\./,
    );
    // These commands restore it.
    const ImageId = l.id('d30');
    await expect(l.cloud.ec2.send(new RestoreImageFromRecycleBinCommand({ ImageId }))).rejects.toMatchObject({
      name: 'InvalidSnapshot.NotFound',
    });
    await l.cloud.ec2.send(new RestoreSnapshotFromRecycleBinCommand({ SnapshotId: snapshotOf('d30') }));
    await l.cloud.ec2.send(new RestoreImageFromRecycleBinCommand({ ImageId }));
    expect(l.there()).toEqual(['d40', 'd30', 'd20', 'd10']);
    const again = await l.act('prune', { ...REAL, 'keep-newest': '3' });
    expect([again.exitCode, again.outputs['outcome'], again.outputs['recycle-bin']]).toEqual([0, 'unchanged', '[]']);
  });

  // https://docs.aws.amazon.com/ebs/latest/userguide/recycle-bin-working-with-amis.html
  test('that holds images without their snapshots can restore none, and the summary says so', async () => {
    await stage();
    retentionRules(l.home).imageDays = 3;
    const ran = await l.act('delete', { image: l.id('d50') });
    expect([ran.exitCode, ran.outputs['removed']]).toEqual([0, 'true']);
    expect(ran.summary).toMatch(
      /♻️ The Recycle Bin holds 1 image and 0 snapshots of them until 20\d\d-\d\d-\d\d\. They cannot be restored, because no retention rule kept their snapshots\./,
    );
    await expect(l.cloud.ec2.send(new RestoreImageFromRecycleBinCommand({ ImageId: l.id('d50') }))).rejects.toMatchObject({
      name: 'InvalidSnapshot.NotFound',
    });
  });

  test('that cannot be read stops the run: it may hold the image of a snapshot', async () => {
    await stage();
    l.lab.faults.add({
      operation: 'ListImagesInRecycleBin',
      action: { error: 'UnauthorizedOperation', message: 'You may not.', status: 403 },
    });
    const ran = await l.act('prune', REAL);
    expect([ran.exitCode, ran.outputs['outcome'], l.there().length]).toEqual([1, 'access', 5]);
    expect(ran.errors[0]).toContain('Not allowed to list the images in the Recycle Bin (ec2:ListImagesInRecycleBin)');
    expect((await l.act('prune', { ...REAL, 'orphan-snapshots': 'false' })).outputs['removed']).toBe('2');
  });

  test('is reported by delete, too', async () => {
    await stage();
    retentionRules(l.home).snapshotDays = 3;
    const ran = await l.act('delete', { image: l.id('d50') });
    expect([ran.exitCode, ran.outputs['removed']]).toEqual([0, 'true']);
    expect(ran.summary).toContain(`♻️ The Recycle Bin holds 0 images and 1 snapshot of them until`);
    expect(ran.summary).toContain(`restore-snapshot-from-recycle-bin --snapshot-id ${snapshotOf('d50')}`);
  });
});

describe('a leftover of an interrupted build or validation', () => {
  // A sweep gives up after three minutes, which must be enough for a busy machine.
  const SLOWLY = 30;
  const PAST = '2020-01-01T00:00:00.000Z';
  const build = (change = {}) => ({
    ...{ 'ami-action:purpose': 'build', 'ami-action:repository': 'acme/web', 'ami-action:run': '99', 'ami-action:expires-at': PAST },
    ...change,
  });
  const validation = (change = {}) => ({ ...build({ 'ami-action:purpose': 'validate', 'ami-action:family': 'web' }), ...change });
  const FUTURE = () => new Date(l.lab.clock.now() + 86_400_000).toISOString();

  const machine = async (imageId: string, tags: Record<string, string>, launch: Partial<RunInstancesCommandInput> = {}) => {
    const { Instances = [] } = await l.cloud.ec2.send(
      new RunInstancesCommand({ ImageId: imageId, InstanceType: 't3.micro', MinCount: 1, MaxCount: 1, ...launch }),
    );
    const id = Instances[0]?.InstanceId ?? '';
    setTags(l.home, id, tags);
    // What runs without the action or Packer has its tags from a person who may write tags.
    if (Object.keys(launch).length === 0) return id;
    for (const volume of volumes(l.home).values()) if (volume.attached?.instanceId === id) setTags(l.home, volume.id, tags);
    return id;
  };
  const loose = (name: string, tags: Record<string, string>, daysOld = 1) => {
    l.image(name, { daysOld, tags: { 'ami-action:family': 'none' } });
    for (const id of [l.id(name), snapshotOf(name)]) {
      setTags(l.home, id, tags);
    }
    return l.cloud.ec2.send(new DeleteTagsCommand({ Resources: [l.id(name), snapshotOf(name)], Tags: [{ Key: 'ami-action:family' }] }));
  };
  const running = () =>
    [...instances(l.home).values()].filter(({ state }) => !['terminated', 'shutting-down'].includes(state)).map(({ id }) => id);

  /** One of each kind of leftover, a test instance, and resources that look like leftovers but are in use. */
  async function stageLeftovers() {
    await stage(SLOWLY);
    const { ec2 } = l.cloud;
    await loose('half', build());
    await loose('launched', build());
    await loose('young', build({ 'ami-action:expires-at': FUTURE() }));
    await loose('theirs', build({ 'ami-action:repository': 'acme/api' }));
    await loose('wanted', build({ 'ami-action:keep': 'for a look' }));
    const { GroupId = '' } = await ec2.send(new CreateSecurityGroupCommand({ GroupName: 'packer_1', Description: 'packer' }));
    const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHZ4Jx0Jd2l0aCBhIGtleSB0aGF0IGlzIG5vbmUgYXQgYWxs';
    const { KeyPairId = '' } = await ec2.send(new ImportKeyPairCommand({ KeyName: 'packer_1', PublicKeyMaterial: Buffer.from(key) }));
    for (const id of [GroupId, KeyPairId]) setTags(l.home, id, build());
    const byPacker = { SecurityGroupIds: [GroupId] };
    const byValidate = (n: number) => ({ ClientToken: `ami-action-${n}` });
    const dead = [await machine(l.id('d40'), build(), byPacker), await machine(l.id('d40'), validation(), byValidate(1))];
    const alive = [
      await machine(l.id('launched'), {}),
      await machine(l.id('d40'), validation({ 'ami-action:expires-at': FUTURE() }), byValidate(2)),
      await machine(l.id('d40'), validation({ 'ami-action:family': 'api' }), byValidate(3)),
      await machine(l.id('d40'), build({ 'ami-action:expires-at': 'some day' }), { KeyName: 'packer_1' }),
      await machine(l.id('d40'), build()),
      await machine(l.id('d40'), validation()),
    ];
    // Volumes come with the boot, and belong to the plan.
    const booting = () => [...instances(l.home).values()].some(({ state }) => state === 'pending');
    for (let waited = 0; booting() && waited < 3600; waited += 30) await l.lab.clock.sleep(30);
    return { dead, alive, GroupId, KeyPairId };
  }
  const things = () => ({
    images: l
      .there()
      .filter(name => !/^d\d\d$/.test(name))
      .sort(),
    groups: [...network(l.home).groups.values()].filter(({ name }) => name === 'packer_1').length,
    keys: [...keyPairs(l.home).keys()],
  });

  test('is in the plan with its reason and is removed, and nothing that may be in use', async () => {
    const { dead, alive, GroupId, KeyPairId } = await stageLeftovers();
    const planned = await l.act('prune', { ...DRY, 'keep-newest': '5' });
    const lines = l
      .named(planned.log)
      .split('\n')
      .filter(line => line.startsWith('remove '));
    const reason = `in eu-central-1: leftover of the build of run 99, which needed it until ${PAST}`;
    expect(lines.filter(line => !line.includes('volume '))).toEqual(
      expect.arrayContaining([
        `remove image half ${reason}`,
        `remove security-group ${GroupId} ${reason}`,
        `remove key-pair ${KeyPairId} ${reason}`,
        `remove instance ${dead[0]} ${reason}`,
        `remove instance ${dead[1]} in eu-central-1: leftover of the validation of run 99, which needed it until ${PAST}`,
      ]),
    );
    expect([running().sort(), planned.outputs['removed']]).toEqual([[...dead, ...alive].sort(), '0']);
    const ran = await l.act('prune', { ...REAL, 'keep-newest': '5', 'plan-hash': planned.outputs['plan-hash'] ?? '' });
    expect(ran.errors).toEqual([]);
    expect([ran.exitCode, ran.outputs['outcome'], ran.outputs['leftovers']]).toEqual([0, 'done', planned.outputs['leftovers']]);
    expect([running().sort(), things()]).toEqual([
      alive.sort(),
      { images: ['launched', 'theirs', 'wanted', 'young'], groups: 0, keys: [] },
    ]);
    expect([...snapshots(l.home).keys()].filter(id => id === snapshotOf('half'))).toEqual([]);
    const again = await l.act('prune', { ...REAL, 'keep-newest': '5' });
    expect([again.exitCode, again.outputs['outcome'], again.outputs['leftovers']]).toEqual([0, 'unchanged', '0']);
  });

  test('is kept with leftovers: false', async () => {
    const { dead, alive } = await stageLeftovers();
    const mark = l.lab.calls.mark();
    const ran = await l.act('prune', { ...REAL, leftovers: 'false' });
    expect([ran.exitCode, ran.outputs['leftovers'], running().sort()]).toEqual([0, '0', [...dead, ...alive].sort()]);
    expect(l.lab.calls.since(mark).some(({ operation }) => operation === 'DescribeTags')).toBe(false);
  });

  test('that is launched after the plan was made is kept', async () => {
    await stage(SLOWLY);
    await loose('half', build());
    const launch = () => machine(l.id('half'), {});
    l.lab.faults.add({ operation: 'DeregisterImage', nth: 1, action: { run: async () => void (await launch()), at: 'after' } });
    const ran = await l.act('prune', REAL);
    expect([ran.exitCode, ran.outputs['removed'], ran.outputs['leftovers'], l.there().includes('half')]).toEqual([0, '2', '0', true]);
  });

  test('that cannot be removed is reported, and the rest is removed', async () => {
    await stage(SLOWLY);
    const id = await machine(l.id('d40'), validation(), { ClientToken: 'ami-action-1' });
    l.lab.faults.add({ operation: 'TerminateInstances', action: { error: 'UnauthorizedOperation', message: 'You may not.', status: 403 } });
    const ran = await l.act('prune', REAL);
    expect([ran.exitCode, ran.outputs['outcome'], ran.outputs['removed'], l.there()]).toEqual([1, 'access', '2', ['d40', 'd20', 'd10']]);
    expect(ran.errors[0]).toContain(`2 of 2 images were removed; 1 action is incomplete.`);
    expect(ran.errors[0]).toContain(`- leftovers of interrupted runs in eu-central-1: Not allowed to remove instance ${id}`);
  });

  test('is not waited for when the Recycle Bin retains it; it counts, although the answer of its removal is lost', async () => {
    await stage(SLOWLY);
    await loose('half', build());
    const isIts = ({ input }: { input: Readonly<Record<string, unknown>> }) => input['ImageId'] === l.id('half');
    l.lab.faults.add({ operation: 'DeregisterImage', when: isIts, nth: 1, action: { reset: 'after' } });
    Object.assign(retentionRules(l.home), { imageDays: 7, snapshotDays: 7 });
    const ran = await l.act('prune', REAL);
    expect([ran.exitCode, ran.outputs['leftovers'] !== '0', l.there().includes('half')]).toEqual([0, true, false]);
    const again = await l.act('prune', REAL);
    expect([again.exitCode, again.outputs['leftovers'], planOf(l, again)['half']]).toEqual([0, '0', undefined]);
  });
});
