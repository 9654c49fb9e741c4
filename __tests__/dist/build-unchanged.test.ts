import { expect, test } from '@jest/globals';
import { setTags } from '../../lab/ec2/state.ts';
import { type Ran, runAction } from '../../lab/runner.ts';
import {
  build,
  DEBIAN,
  describeWithPacker as describe,
  labOfTests,
  launched,
  leftovers,
  madeImages,
  tagsIn,
  template,
} from './build-lab.ts';

const lab = await labOfTests();

const sha = (digit: string) => ({ GITHUB_SHA: digit.repeat(40) });
const pushed = (
  commit: string,
  more: { with?: Record<string, string>; files?: Record<string, string>; env?: Record<string, string> } = {},
) =>
  build(lab, {
    files: more.files ?? template(),
    with: { family: 'web', 'base-image': DEBIAN, ...more.with },
    env: { ...sha(commit), ...more.env },
  });

/** What one run asked of AWS, ours and Packer's. */
const counted = async (work: () => Promise<Ran>) => {
  const mark = lab.calls.mark();
  const ran = await work();
  return { ran, calls: lab.calls.since(mark).map(({ operation }) => operation) };
};

describe('a push', () => {
  let first: Ran;

  test('of something new is built, on the base that was resolved', async () => {
    first = await pushed('a');
    expect(first.errors).toEqual([]);
    expect(first.outputs).toMatchObject({ built: 'true', outcome: 'done', reason: 'it is the first image of its family' });
    const tags = tagsIn(lab, first.outputs['ami-id'] ?? '');
    expect(tags['ami-action:base-ami']).toMatch(/^ami-/);
    expect(tags['ami-action:fingerprint']).toBe(first.outputs['fingerprint']);
  });

  test('that changes nothing builds nothing: at most six calls, no Packer, the image of before', async () => {
    const { ran, calls } = await counted(() => pushed('b', { env: { PATH: '/usr/bin:/bin' } }));
    expect(ran.errors).toEqual([]);
    expect(ran.outputs).toMatchObject({
      built: 'false',
      outcome: 'unchanged',
      'ami-id': first.outputs['ami-id'],
      'image-name': first.outputs['image-name'],
    });
    expect(JSON.parse(ran.outputs['images'] ?? '')).toEqual(JSON.parse(first.outputs['images'] ?? ''));
    expect(calls.length).toBeLessThanOrEqual(6);
    expect(ran.log).not.toContain('Packer 1.');
    expect(ran.summary).toContain('same fingerprint');
    // So that prune sees that it is wanted again.
    expect(tagsIn(lab, first.outputs['ami-id'] ?? '')['ami-action:reused-at']).toMatch(/^20\d\d-/);
  });

  test('that changed nothing has the image by its own commit', async () => {
    const found = await runAction({ mode: 'resolve', lab, with: { family: 'web', image: `commit:${'b'.repeat(40)}` } });
    expect(found.outputs['ami-id']).toBe(first.outputs['ami-id']);
  });

  test('done twice asks for nothing new', async () => {
    const { ran, calls } = await counted(() => pushed('b'));
    expect(ran.outputs['built']).toBe('false');
    expect(calls).not.toContain('CreateTags');
  });

  const changed = (path: string) => ({ ...template(), [path]: `${template()[path]}\n# changed\n` });

  test.each<[string, Parameters<typeof pushed>[1], string]>([
    ['an application file', { files: changed('packer/app/server.py') }, 'files'],
    ['a script of the template', { files: changed('packer/scripts/harden.sh') }, 'files'],
    ['a variable', { with: { var: 'ssh_port: 2322\napp_version: 2.0.0' } }, 'variables'],
    [
      'the base image',
      { with: { 'base-image': 'ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64' } },
      'base image',
    ],
    ['the version of Packer that is asked for', { with: { 'packer-version': '>=1.16.0' } }, 'packer-version'],
  ])('that changes %s is built, and says so', async (_, change, reason) => {
    const ran = await pushed('c', change);
    expect(ran.errors).toEqual([]);
    expect(ran.outputs).toMatchObject({ built: 'true', outcome: 'done' });
    expect(ran.outputs['reason']).toMatch(/^changed since ami-/);
    expect(ran.outputs['reason']).toContain(reason);
    expect(ran.outputs['ami-id']).not.toBe(first.outputs['ami-id']);
  });

  test('is built all the same with "rebuild: always"', async () => {
    const ran = await pushed('d', { with: { rebuild: 'always' } });
    expect(ran.outputs).toMatchObject({ built: 'true', reason: '"rebuild" is always' });
  });

  test('outside "content" changes nothing', async () => {
    const narrow = { content: 'packer/**' };
    const one = await pushed('a', { with: { family: 'narrow', ...narrow }, files: { ...template(), 'docs/a.md': '1' } });
    expect(one.outputs['built']).toBe('true');
    const two = await pushed('b', { with: { family: 'narrow', ...narrow }, files: { ...template(), 'docs/a.md': '2' } });
    expect(two.outputs).toMatchObject({ built: 'false', 'ami-id': one.outputs['ami-id'] });
  });

  test('with a glob in "content" that matches nothing is refused: what it meant would never again count as changed', async () => {
    const ran = await pushed('a', { with: { content: 'packer/**\nsrc/**\n!docs/**', 'dry-run': 'true' } });
    expect(ran.outputs['outcome']).toBe('usage');
    expect(ran.errors.join()).toMatch(/^"content" matches no file: src\/\*\*\n/);
  });

  test('of an image that failed or was rolled back is built again', async () => {
    const one = await pushed('a', { with: { family: 'vetoed' } });
    setTags(lab.place(), one.outputs['ami-id'] ?? '', { 'ami-action:vetoed-in': 'prod' });
    const two = await pushed('b', { with: { family: 'vetoed' } });
    expect(two.outputs).toMatchObject({ built: 'true', reason: expect.stringContaining('was rolled back in prod') });
  });

  test('in a dry run reports the plan and changes nothing', async () => {
    const hit = await counted(() => pushed('e', { with: { 'dry-run': 'true' } }));
    expect(hit.ran.outputs).toMatchObject({ outcome: 'planned', built: 'false', reason: expect.stringContaining('same fingerprint') });
    const miss = await counted(() => pushed('e', { with: { 'dry-run': 'true', var: 'ssh_port: 2322\napp_version: new' } }));
    expect(miss.ran.outputs).toMatchObject({ outcome: 'planned', built: 'false', reason: expect.stringContaining('variables') });
    for (const { calls } of [hit, miss]) expect(calls.filter(name => !/^(Describe|Get)/.test(name))).toEqual([]);
  });

  test('leaves nothing but images behind', () => {
    expect(leftovers(lab)).toEqual([]);
    expect(madeImages(lab).length).toBeGreaterThan(8);
  });
});

describe('without a base image that the action knows', () => {
  test('"rebuild: changed" is refused: a security update would go unnoticed', async () => {
    const ran = await build(lab, { with: { family: 'nobase', rebuild: 'changed' } });
    expect(ran.outputs['outcome']).toBe('usage');
    expect(ran.errors.join()).toContain('needs "base-image"');
  });

  test('"rebuild: max-age" builds again only when it is old', async () => {
    const one = await build(lab, { with: { family: 'aged', rebuild: 'max-age:7d' } });
    const two = await build(lab, { with: { family: 'aged', rebuild: 'max-age:7d' } });
    expect(two.outputs).toMatchObject({ built: 'false', 'ami-id': one.outputs['ami-id'] });
    const three = await build(lab, { with: { family: 'aged', rebuild: 'max-age:1s' } });
    expect(three.outputs).toMatchObject({ built: 'true', reason: expect.stringContaining('older') });
  });
});

describe('the base image', () => {
  test('is the first of the list that there is', async () => {
    const ran = await build(lab, {
      with: { family: 'chain', 'base-image': `family:none-yet\nssm:/none/yet\n${DEBIAN}`, 'dry-run': 'true' },
    });
    expect(ran.log).toContain(`(${DEBIAN}; not found: family:none-yet, ssm:/none/yet)`);
  });

  test('of a family of ours is the newest that neither failed nor was rolled back', async () => {
    const base = await build(lab, { with: { family: 'base', 'base-image': DEBIAN } });
    const ran = await build(lab, { with: { family: 'child', 'base-image': 'family:base' } });
    expect(ran.errors).toEqual([]);
    expect(tagsIn(lab, ran.outputs['ami-id'] ?? '')['ami-action:base-ami']).toBe(base.outputs['ami-id']);
    setTags(lab.place(), base.outputs['ami-id'] ?? '', { 'ami-action:vetoed-in': 'prod' });
    const next = await build(lab, { with: { family: 'child', 'base-image': `family:base\n${DEBIAN}`, 'dry-run': 'true' } });
    expect(next.log).toContain(`(${DEBIAN}; not found: family:base)`);
  });

  test('may be the last of the family itself: then every run builds, and reports why', async () => {
    const order = { with: { family: 'itself', 'base-image': `family:itself\n${DEBIAN}` } };
    const one = await build(lab, order);
    const two = await build(lab, { with: { ...order.with, 'dry-run': 'true' } });
    expect(two.outputs['reason']).toBe(
      `changed since ${one.outputs['ami-id']}: base image ("base-image" selects the family itself, so every build is the base of the next, and every run builds)`,
    );
  });

  test('that is nowhere is said, and the way out', async () => {
    const ran = await build(lab, { with: { family: 'lost', 'base-image': 'family:none-yet' } });
    expect(ran.outputs['outcome']).toBe('usage');
    expect(ran.errors.join()).toContain('"base-image": no image in eu-central-1 for family:none-yet');
  });

  test('that the template could not take is refused before a launch', async () => {
    const files = Object.fromEntries(
      Object.entries(template()).map(([path, content]) => [
        path,
        content
          .replaceAll('source_ami', 'from_ami')
          .replaceAll('from_ami       =', 'source_ami      =')
          .replaceAll('"from_ami_filter"', '"source_ami_filter"')
          .replaceAll('from_ami_filter.value', 'source_ami_filter.value'),
      ]),
    );
    const before = launched(lab);
    const ran = await build(lab, { files, with: { family: 'deaf', 'base-image': DEBIAN } });
    expect(ran.outputs['outcome']).toBe('usage');
    expect(ran.errors.join()).toContain('"base-image" is set, but the template does not declare the variable "source_ami"');
    expect(launched(lab)).toBe(before);
  });
});
