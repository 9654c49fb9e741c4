import { PutParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { setTags } from '../../lab/ec2/state.ts';
import { removeWorkspaces } from '../harness.ts';
import { type RollLab, rollLab } from './roll-lab.ts';
import { HOME, PROD, ROLE, STAGE, shareLab } from './share-lab.ts';

/** What may reach an environment, and settings that do not go together. */

let l: RollLab;
afterAll(removeWorkspaces);

const none = { strategy: 'none' };

async function stage() {
  l = await rollLab({ speed: 600 });
  const [a, b] = [l.image('web-a'), l.image('web-b', { 'ami-action:ref': 'refs/tags/main' })];
  await l.pointerTo(a);
  return { a, b };
}

describe('guards', () => {
  afterEach(() => l.lab.close());
  const toProd = (image: string, wanted: Record<string, string>) => l.act('promote', { ...none, image, environment: 'prod', ...wanted });

  test('a tag that is called like the branch is not the branch', async () => {
    const { b } = await stage();
    const ran = await toProd(b, { 'allowed-refs': 'main, release/*' });
    expect([ran.outputs['outcome'], l.pointer('/ami/web/prod')]).toEqual(['rejected', undefined]);
    expect(ran.errors.join('\n')).toContain(`${b} was built from refs/tags/main, and "allowed-refs" allows main, release/*`);
    expect((await toProd(b, { 'allowed-refs': 'refs/tags/*' })).exitCode).toBe(0);
  });

  test('an image that stage has rolled back does not reach prod, however long it ran there', async () => {
    const { b } = await stage();
    const soak = { 'soak-environment': 'stage', 'soak-time': '1s' };
    await l.act('promote', { ...none, image: b });
    expect((await toProd(b, { ...soak, 'dry-run': 'true' })).outputs['outcome']).toBe('planned');
    expect((await l.act('rollback', none)).exitCode).toBe(0);
    const ran = await toProd(b, soak);
    expect([ran.outputs['outcome'], l.pointer('/ami/web/prod')]).toEqual(['rejected', undefined]);
    expect(ran.errors.join('\n')).toContain(`${b} was rolled back in stage and is vetoed there`);
  });

  test('a rollback to a vetoed image says what a rollback can do about it', async () => {
    const { b } = await stage();
    await l.act('promote', { ...none, image: b });
    await l.act('rollback', none);
    const ran = await l.act('rollback', { ...none, image: b });
    expect(ran.errors.join('\n').replace(/ \(at 20.*\/runs\/\d+\)/, '')).toContain(
      `${b} was rolled back in stage and is vetoed there: set "image" to another one, or promote it with "lift-veto: true" if it was not the cause`,
    );
  });

  test('after a rollback to an image that never ran there, the next one does not lead to what was rolled back', async () => {
    const { a, b } = await stage();
    const c = l.image('web-c');
    await l.act('promote', { ...none, image: b });
    expect((await l.act('rollback', { ...none, image: c })).outputs).toMatchObject({ 'ami-id': c, 'replaced-ami-id': b });
    expect((await l.act('rollback', none)).outputs).toMatchObject({ outcome: 'done', 'ami-id': a, 'replaced-ami-id': c });
  });
});

describe('stage in another account', () => {
  let s: Awaited<ReturnType<typeof shareLab>>;
  // Also after a failure: what listens keeps the whole run from ending.
  afterEach(() => s.lab.close());

  test('where the image has another ID: its time there counts, and its veto', async () => {
    s = await shareLab();
    const reader = ROLE.replace('{account}', STAGE);
    const id = s.image('web-1');
    await s.act('share', { image: id, accounts: STAGE, copy: PROD, 'target-role': ROLE });
    const soak = { 'soak-environment': 'stage', 'soak-time': '1s', 'from-role': reader };
    const promote = () =>
      s.act('promote', { image: 'latest', environment: 'prod', ...none, ...soak }, { as: { account: PROD, region: HOME } });
    expect((await promote()).errors.join('\n')).toMatch(/has never run in stage/);
    const { AWS_ACCESS_KEY_ID = '' } = s.lab.environment({ account: STAGE });
    const ssm = new SSMClient({ endpoint: s.lab.url, region: HOME, credentials: { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: 'x' } });
    await ssm.send(new PutParameterCommand({ Name: '/ami/web/stage', Value: id, Type: 'String' }));
    await s.lab.clock.sleep(2);
    setTags(s.lab.place(STAGE), id, { 'ami-action:vetoed-in': 'stage' });
    const [copy] = s.owned(PROD);
    expect((await promote()).errors.join('\n')).toContain(`${copy?.id} was rolled back in stage and is vetoed there`);
    setTags(s.lab.place(STAGE), id, { 'ami-action:vetoed-in': '' });
    expect((await promote()).outputs).toMatchObject({ outcome: 'done', 'ami-id': copy?.id });
  });
});

describe('settings', () => {
  afterEach(() => l.lab.close());

  test('"strategy: none" with groups is refused before AWS is asked', async () => {
    const { b } = await stage();
    const mark = l.lab.calls.mark();
    for (const named of [{ groups: 'web' }, { 'group-tags': '{ app: web }' }]) {
      const ran = await l.act('promote', { ...none, image: b, ...named });
      expect([ran.outputs['outcome'], l.lab.calls.count(undefined, mark)]).toEqual(['usage', 0]);
      expect(ran.errors.join('\n')).toContain('"strategy: none" moves the pointer only, but "groups" or "group-tags" name groups');
    }
    const files = { '.github/ami.yml': 'groups: [web]\n' };
    expect((await l.act('promote', { ...none, image: b, groups: '[]' }, { files })).exitCode).toBe(0);
  });

  test('the environment at the top of the file chooses its section', async () => {
    const { b } = await stage();
    const files = {
      '.github/ami.yml':
        'environment: prod\nenvironments:\n  stage: { pointer: "/stage/{family}" }\n  prod: { pointer: "/prod/{family}" }\n',
    };
    const ran = await l.act('promote', { ...none, image: b, environment: '', 'dry-run': 'true' }, { files });
    expect([ran.exitCode, ran.outputs['pointer']]).toEqual([0, '/prod/web']);
    const stageRan = await l.act('promote', { ...none, image: b, 'dry-run': 'true' }, { files });
    expect(stageRan.outputs['pointer']).toBe('/stage/web');
    const mistaken = { '.github/ami.yml': 'environment: prd\nenvironments:\n  prod: {}\n' };
    const refused = await l.act('promote', { ...none, image: b, environment: '' }, { files: mistaken });
    expect(refused.errors.join('\n')).toContain('"environment" is not one of prod (.github/ami.yml), did you mean "prod"?');
    // A mode that knows no environment reads no section.
    const listed = await l.act('list' as 'promote', { environment: '', bake: '', 'roll-timeout': '' }, { files: mistaken });
    expect(listed.exitCode).toBe(0);
  });

  test.each(['environment:stage', 'previous'])('%s with a pointer for each architecture needs to know which', async image => {
    await stage();
    const ran = await l.act('promote', { ...none, image, pointer: '/ami/{family}/{environment}/{architecture}' });
    expect(ran.outputs['outcome']).toBe('usage');
    expect(ran.errors.join('\n')).toContain('"architecture" is required: "pointer" contains {architecture}');
  });
});
