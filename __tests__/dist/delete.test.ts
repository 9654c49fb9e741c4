import { RunInstancesCommand } from '@aws-sdk/client-ec2';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { snapshots } from '../../lab/ec2/images.ts';
import { mishaps } from '../../lab/ec2/mishaps.ts';
import { removeWorkspaces } from '../harness.ts';
import { type PruneLab, pruneLab } from './prune-lab.ts';

let l: PruneLab;
afterEach(() => l.lab.close());
afterAll(removeWorkspaces);

async function stage() {
  l = await pruneLab();
  l.image('old', { daysOld: 20, tags: { 'ami-action:version': '1.0' } });
  l.image('new', { daysOld: 1, tags: { 'ami-action:version': '2.0' } });
  await l.parameter('/ami/web/prod', l.id('new'));
  await l.group('web', l.id('new'));
}

describe('an image that nothing uses', () => {
  test.each(['ID', 'selector'])('goes with its snapshots, named by its %s', async how => {
    await stage();
    const ran = await l.act('delete', { image: how === 'ID' ? l.id('old') : 'version:1.0' });
    expect(ran).toMatchObject({
      exitCode: 0,
      outputs: { outcome: 'done', 'ami-id': l.id('old'), removed: 'true', reason: 'nothing uses it' },
    });
    expect([l.there(), l.orphans()]).toEqual([['new'], []]);
    expect(ran.summary.startsWith(`### ✅ Deleted \`${l.id('old')}\`\n`)).toBe(true);
  });

  test('keeps its snapshots with keep-snapshots, and tags them so that prune keeps them, too', async () => {
    await stage();
    const ran = await l.act('delete', { image: l.id('old'), 'keep-snapshots': 'true' });
    expect([ran.exitCode, l.there(), l.orphans().length]).toEqual([0, ['new'], 1]);
    const pruned = await l.act('prune', { 'keep-newest': '1', 'minimum-age': '0s', 'dry-run': 'false' });
    expect([pruned.exitCode, l.orphans().length]).toEqual([0, 1]);
  });

  test('stays in a dry run', async () => {
    await stage();
    const ran = await l.act('delete', { image: l.id('old'), 'dry-run': 'true' });
    expect(ran).toMatchObject({ exitCode: 0, outputs: { outcome: 'planned', removed: 'false' } });
    expect(l.there()).toEqual(['old', 'new']);
  });

  test('scenario 77: is deleted once, and the second time there is nothing to do', async () => {
    await stage();
    const wanted = { image: l.id('old') };
    await l.act('delete', wanted);
    const again = await l.act('delete', wanted);
    expect(again).toMatchObject({ exitCode: 0, outputs: { outcome: 'unchanged', removed: 'false' } });
    expect(again.warnings[0]).toBe(`${l.id('old')} does not exist in eu-central-1: nothing to do`);
  });

  test('by its version it is deleted once; a second run cannot tell it from a misspelt version, and the message says so', async () => {
    await stage();
    const wanted = { image: 'version:1.0' };
    await l.act('delete', wanted);
    const again = await l.act('delete', wanted);
    expect([again.exitCode, again.outputs['outcome'], l.there()]).toEqual([1, 'rejected', ['new']]);
    expect(l.named(again.errors[0] ?? '')).toMatch(
      /^No image: version:1\.0 matches no image of family "web"\. It has 1, newest first: new .*\nNext: Mode "list" shows what family "web" has in eu-central-1\. If an earlier run already removed it, nothing is left to do\. To make repeated runs succeed, set "image: ami-\.\.\." instead of a version\.$/,
    );
    l.image('twin', { daysOld: 1, tags: { 'ami-action:version': '2.0' } });
    const unclear = await l.act('delete', { image: 'version:2.0' });
    expect(unclear.errors[0]).toMatch(
      /version:2\.0 matches 2 images[^\n]*\nNext: Mode "list" shows what family "web" has in eu-central-1\.$/,
    );
  });

  test('is reported when its snapshot does not go', async () => {
    await stage();
    const [snapshotId = ''] = [...snapshots(l.home).keys()].filter(one => one.endsWith(l.id('old').slice('ami-'.length)));
    mishaps(l.home).snapshotDeletion.set(snapshotId, 'internal-error');
    const ran = await l.act('delete', { image: l.id('old') });
    expect([ran.exitCode, ran.outputs['outcome'], ran.outputs['removed'], l.orphans()]).toEqual([1, 'rejected', 'true', [snapshotId]]);
    expect(ran.errors[0]).toContain(`- snapshot ${snapshotId} of ${l.id('old')} (internal-error)`);
  });
});

describe('refused without changes', () => {
  test.each<[string, () => unknown, RegExp]>([
    ['in use', () => l.parameter('/ami/web/stage', l.id('old')), /old\) is kept: used by parameter \/ami\/web\/stage\./],
    [
      'to be kept for a rollback',
      () => l.parameter('/ami/web/prod', l.id('old'), l.id('new')),
      /old\) is kept: used by parameter \/ami\/web\/prod, to roll back to\./,
    ],
    ['running', () => launch(), /old\) is kept: used by instance i-\w+/],
    [
      'protected',
      () => Object.assign(l.labImage('old'), { protection: { enabled: true, cooldown: false, until: undefined } }),
      /old\) is kept: protected from deregistration\./,
    ],
    ['public', () => l.labImage('old').launchers.add('all'), /old\) is kept: public: any account can launch it\./],
    [
      'shared',
      () => l.labImage('old').launchers.add('999999999999'),
      /old\) is kept: may be used by account 999999999999 \(shared; not readable\)/,
    ],
  ])('an image that is %s', async (_, make, says) => {
    await stage();
    await make();
    const ran = await l.act('delete', { image: l.id('old') });
    expect([ran.exitCode, ran.outputs['outcome'], ran.outputs['removed'], l.there()]).toEqual([1, 'rejected', 'false', ['old', 'new']]);
    expect(l.named(ran.errors[0] ?? '')).toMatch(says);
  });

  test.each([
    ['latest', {}],
    ['ref:main', {}],
    // It has no image of its own: a push that changed nothing took this one.
    ['commit:2222222', {}],
    ['environment:stage', {}],
  ])('selector %s, which would select another image after the removal', async selector => {
    await stage();
    const tags = { 'ami-action:ref': 'refs/heads/main', 'ami-action:commit': '1111111111', 'ami-action:same-commits': '2222222222' };
    l.image('newest', { daysOld: 0, tags });
    await l.parameter('/ami/web/stage', l.id('newest'));
    const ran = await l.act('delete', { image: selector });
    expect([ran.exitCode, ran.outputs['outcome'], l.there()]).toEqual([1, 'usage', ['old', 'new', 'newest']]);
    expect(l.named(ran.errors[0] ?? '')).toBe(
      `"image: ${selector}" would select another image after this one is removed\nNo changes were made.\nNext: To delete newest, set "image: newest".`,
    );
    const shown = await l.act('delete', { image: selector, 'dry-run': 'true' });
    expect(l.named(shown.outputs['ami-id'] ?? '')).toBe('newest');
  });

  test('one that was shared after the plan was made', async () => {
    await stage();
    const share = () => void l.labImage('old').launchers.add('999999999999');
    l.lab.faults.add({ operation: 'DescribeImageAttribute', nth: 1, action: { run: share, at: 'after' } });
    const ran = await l.act('delete', { image: l.id('old') });
    expect([ran.exitCode, ran.outputs['outcome'], ran.outputs['removed'], l.there()]).toEqual([1, 'rejected', 'false', ['old', 'new']]);
    expect(l.named(ran.errors[0] ?? '')).toContain(
      'old) is kept: after the plan was made: may be used by account 999999999999 (shared; not readable)',
    );
  });

  test('an image of another family, and one whose users cannot be read', async () => {
    await stage();
    l.image('api', { daysOld: 5, tags: { 'ami-action:family': 'api' } });
    const untrusted = await l.act('delete', { image: l.id('api') });
    expect(l.named(untrusted.errors[0] ?? '')).toContain(
      'Image api is kept: not in family "web" (tag ami-action:family).\nNo changes were made.',
    );
    l.lab.faults.add({ operation: 'DescribeLaunchConfigurations', action: { error: 'AccessDenied', status: 403 } });
    const blind = await l.act('delete', { image: l.id('old') });
    expect([blind.exitCode, blind.outputs['outcome']]).toEqual([1, 'access']);
    expect(blind.warnings).toContain('No changes were made: an image counts as in use if a source cannot be read.');
    expect(l.there()).toEqual(['old', 'api', 'new']);
  });
});

const launch = () =>
  l.cloud.ec2.send(new RunInstancesCommand({ ImageId: l.id('old'), InstanceType: 't3.micro', MinCount: 1, MaxCount: 1 }));
