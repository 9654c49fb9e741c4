import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Lab, startLab } from '../../lab/lab.ts';
import { removeWorkspaces } from '../../lab/runner.ts';
import { build, changed, leftovers, madeImages, tagsIn } from './build-lab.ts';

let lab: Lab;
beforeAll(async () => {
  // Longer than a second build needs to run into the name of the first.
  lab = await startLab({ timings: { image: 300 } });
});
afterAll(async () => {
  await lab.close();
  removeWorkspaces();
});

const untagged = () => changed(['  run_tags        = var.run_tags\n', '']);

test.each([
  ['tagged', undefined],
  ['untagged', untagged()],
])('two builds with one name: the second leaves the %s image of the first alone', async (kind, files) => {
  const name = `same-name-${kind}`;
  const wanted = { ...(files === undefined ? {} : { files }), with: { family: `same-${kind}`, name, rebuild: 'always' } };
  let second: ReturnType<typeof build> | undefined;
  const first = await build(lab, {
    ...wanted,
    onLine: line => {
      // Both have found the name free before either makes its image.
      if (second === undefined && /packer init/.test(line)) second = build(lab, wanted);
    },
  });
  const other = await second;
  const ended = [first, other];
  expect(ended.map(ran => ran?.exitCode).sort()).toEqual([0, 1]);
  const won = ended.find(ran => ran?.exitCode === 0);
  const lost = ended.find(ran => ran?.exitCode === 1);
  expect(lost?.outputs).toMatchObject({ outcome: 'usage' });
  expect(lost?.errors.join()).toContain('InvalidAMIName.Duplicate');
  expect(lost?.errors.join()).toContain('An image with this name exists already.');
  expect(lost?.errors.join()).toContain('Next: Put {timestamp} or {commit} into "name".');
  expect(
    madeImages(lab)
      .filter(image => image.name === name)
      .map(({ id, state }) => [id, state]),
  ).toEqual([[won?.outputs['ami-id'], 'available']]);
  expect(tagsIn(lab, won?.outputs['ami-id'] ?? '')['ami-action:family']).toBe(`same-${kind}`);
  expect(leftovers(lab)).toEqual([]);
});

test('what a template reads of the environment, and the instance type, change the fingerprint', async () => {
  const files = changed([
    'variable "app_version"',
    'variable "flavour" {\n  type    = string\n  default = env("FLAVOUR")\n}\n\nvariable "app_version"',
  ]);
  const print = async (FLAVOUR: string, more: Record<string, string> = {}) =>
    (await build(lab, { files, with: { family: 'env', 'dry-run': 'true', ...more }, env: { FLAVOUR } })).outputs['fingerprint'];
  const sweet = await print('sweet');
  expect(sweet).toMatch(/^[0-9a-f]{64}$/);
  expect(await print('sweet')).toBe(sweet);
  expect(await print('sour')).not.toBe(sweet);
  expect(await print('sweet', { 'instance-type': 't3.large' })).not.toBe(sweet);
});
