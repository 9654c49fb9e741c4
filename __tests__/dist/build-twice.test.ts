import { expect, test } from '@jest/globals';
import type { CallRecord } from '../../lab/calls.ts';
import type { Ran } from '../../lab/runner.ts';
import { build, changed, DEBIAN, describeWithPacker as describe, idle, labOfTests, leftovers, madeImages, tagsIn } from './build-lab.ts';

const lab = await labOfTests();
// An image takes longer there than a second build needs to run into its name.
const slowLab = await labOfTests({ timings: { image: 300 } });

/** A push and its re-run: the second starts when the first has looked whether there is anything to build. */
async function both(family: string): Promise<readonly Ran[]> {
  const wanted = { files: idle(), with: { family, 'base-image': DEBIAN } };
  let second: Promise<Ran> | undefined;
  const first = await build(lab, {
    ...wanted,
    onLine: line => {
      if (second === undefined && /packer init/.test(line)) second = build(lab, { ...wanted, env: { GITHUB_SHA: '2'.repeat(40) } });
    },
  });
  return [first, (await second) as Ran];
}

const available = (family: string) => madeImages(lab).filter(({ name, state }) => name.startsWith(family) && state === 'available');

describe('two builds of the same at once', () => {
  test('end with the image of the first; the other is removed, and no run fails', async () => {
    const lift = lab.faults.add({ operation: 'CreateImage', nth: 2, action: { delaySeconds: 300 } });
    const ran = await both('twins');
    lift();
    // In bad weather the second run may be the first that makes its image.
    const isInOrder = ran[0]?.outputs['built'] === 'true';
    const [first, second] = isInOrder ? ran : [...ran].reverse();
    expect([first?.errors, second?.errors]).toEqual([[], []]);
    expect(first?.outputs).toMatchObject({ built: 'true', outcome: 'done' });
    expect(second?.outputs).toMatchObject({ built: 'false', outcome: 'unchanged', 'ami-id': first?.outputs['ami-id'] });
    expect(second?.outputs['reason']).toMatch(
      /^another run built the same at the same time, and all runs take ami-\w+: ami-\w+ is removed$/,
    );
    expect(available('twins').map(({ id }) => id)).toEqual([first?.outputs['ami-id']]);
    expect(tagsIn(lab, first?.outputs['ami-id'] ?? '')['ami-action:same-commits']).toBe((isInOrder ? '2' : '1').repeat(12));
    expect(leftovers(lab)).toEqual([]);
  });

  test('and tagged in the same moment end with the newer one, which every later run takes too', async () => {
    let arrived = 0;
    const isAdoption = ({ client, input }: CallRecord) =>
      client.includes('ami-action') && JSON.stringify(input).includes('ami-action:family');
    const meet = async () => {
      arrived += 1;
      while (arrived < 2) await new Promise(done => setTimeout(done, 20));
    };
    const lift = lab.faults.add({ operation: 'CreateTags', when: isAdoption, times: 2, action: { run: meet, at: 'before' } });
    const ended = await both('rivals');
    lift();
    expect(ended.map(({ errors }) => errors)).toEqual([[], []]);
    expect(ended.map(({ outputs }) => outputs['outcome']).sort()).toEqual(['done', 'unchanged']);
    const [newest] = [...available('rivals')].sort((a, b) => b.createdAt.getTime() - a.createdAt.getTime());
    expect(ended.map(({ outputs }) => outputs['ami-id'])).toEqual([newest?.id, newest?.id]);
    expect(available('rivals')).toHaveLength(2);
    const next = await build(lab, { files: idle(), with: { family: 'rivals', 'base-image': DEBIAN } });
    expect(next.outputs).toMatchObject({ built: 'false', 'ami-id': newest?.id });
    expect(leftovers(lab)).toEqual([]);
  });
});

const untagged = () => changed(['  run_tags        = var.run_tags\n', '']);

describe('two builds with one name', () => {
  test.each([
    ['tagged', undefined],
    ['untagged', untagged()],
  ])('the second leaves the %s image of the first alone', async (kind, files) => {
    const name = `same-name-${kind}`;
    const wanted = { ...(files === undefined ? {} : { files }), with: { family: `same-${kind}`, name, rebuild: 'always' } };
    let second: ReturnType<typeof build> | undefined;
    const first = await build(slowLab, {
      ...wanted,
      onLine: line => {
        // Both have found the name free before either makes its image.
        if (second === undefined && /packer init/.test(line)) second = build(slowLab, wanted);
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
    expect(lost?.errors.join()).toContain('Next: Add {timestamp} or {commit} to "name".');
    expect(
      madeImages(slowLab)
        .filter(image => image.name === name)
        .map(({ id, state }) => [id, state]),
    ).toEqual([[won?.outputs['ami-id'], 'available']]);
    expect(tagsIn(slowLab, won?.outputs['ami-id'] ?? '')['ami-action:family']).toBe(`same-${kind}`);
    expect(leftovers(slowLab)).toEqual([]);
  });
});
