import type { ChildProcess } from 'node:child_process';
import { expect, test } from '@jest/globals';
import type { CallRecord } from '../../lab/calls.ts';
import type { FaultAction } from '../../lab/fault-rules.ts';
import type { Ran } from '../../lab/runner.ts';
import {
  build,
  DEBIAN,
  describeWithPacker as describe,
  idle,
  idly,
  labOfTests,
  launched,
  leftovers,
  madeImages,
  postOf,
  tagsIn,
  temporaryTags,
  twoSources,
} from './build-lab.ts';

/** Packer has succeeded, but its images cannot be tagged: they are kept for a run that can. */

const lab = await labOfTests({ timings: { boot: 1, statusChecks: 1, shutdown: 1, image: 1 } });

const isOurs = ({ client }: CallRecord) => client.includes('ami-action');
const DENIED: FaultAction = { error: 'UnauthorizedOperation', message: 'You are not authorized to perform this operation.', status: 403 };

/** A build and its post step, while our own calls of that kind fail. */
async function failing(operation: string, action: FaultAction, order: Parameters<typeof build>[1]): Promise<{ ran: Ran; post: Ran }> {
  const heal = lab.faults.add({ operation, when: isOurs, action });
  const ran = await build(lab, order);
  heal();
  const post = await postOf(lab, ran);
  return { ran, post };
}

const imagesOf = (family: string) => madeImages(lab).filter(({ name }) => name.startsWith(`${family}-`));
describe('an image that cannot be tagged', () => {
  test.each<[string, string, FaultAction, string, string]>([
    ['it may not be', 'denied', DENIED, 'access', 'Not allowed to '],
    ['AWS fails', 'failed', { refuse: 'internal' }, 'timeout', 'AWS failed to '],
    ['the network is gone', 'offline', { reset: 'before' }, 'access', 'Cannot reach AWS'],
  ])('because %s is left by post, and adopted by the next run', async (_, family, action, outcome, says) => {
    const order = { files: idle(), with: { family, 'base-image': DEBIAN }, env: { AMI_ACTION_CLOCK_SPEED: '60' } };
    const { ran, post } = await failing('CreateTags', action, order);
    expect(ran.outputs).toMatchObject({ outcome, built: 'false' });
    const [made] = imagesOf(family);
    const id = made?.id ?? 'none';
    expect(JSON.parse(ran.outputs['partial'] ?? '[]')).toEqual([{ source: 'amazon-ebs.web', region: 'eu-central-1', id }]);
    expect(ran.errors.join()).toContain(says);
    const fate = 'is finished, but not in the family yet: the next run with the same inputs adopts it, and builds nothing';
    expect(ran.errors.join()).toContain(`Left behind:\n- ${id} in eu-central-1 (amazon-ebs.web) ${fate}`);

    expect(post.errors).toEqual([]);
    expect(post.log).toContain(`${id} is complete and is kept for a later run.`);
    expect(imagesOf(family).map(image => image.id)).toEqual([id]);
    expect(leftovers(lab)).toEqual([]);

    const before = launched(lab);
    const next = await build(lab, order);
    expect(next.outputs).toMatchObject({ built: 'false', outcome: 'unchanged', 'ami-id': id });
    expect(launched(lab)).toBe(before);
    expect(tagsIn(lab, id)).toMatchObject({ 'ami-action:family': family });
    expect(temporaryTags(lab, id)).toEqual([]);
  });

  test('of several sources is named with the others, and stays until it expires', async () => {
    const files = idly(twoSources());
    const { ran, post } = await failing('CreateTags', DENIED, { files, with: { family: 'both', 'base-image': DEBIAN } });
    const ids = imagesOf('both').map(({ id }) => id);
    expect(ids).toHaveLength(2);
    for (const id of ids) {
      expect(ran.errors.join()).toContain(`${id} in eu-central-1`);
      expect(tagsIn(lab, id)['ami-action:expires-at']).toMatch(/^20\d\d-/);
    }
    expect(ran.errors.join()).toContain('the next run builds another, and this one is removed when it has expired');
    expect(post.log).toContain('are complete and are kept for a later run');
    expect(imagesOf('both').map(({ id }) => id)).toEqual(ids);
  });

  test('because the run is cancelled is removed with all the rest', async () => {
    const action: FaultAction = { error: 'InvalidAMIID.NotFound', status: 400 };
    let child: ChildProcess | undefined;
    const heal = lab.faults.add({ operation: 'DescribeImages', when: call => isOurs(call) && 'ImageIds' in call.input, action });
    const ran = await build(lab, {
      files: idle(),
      with: { family: 'called-off', 'base-image': DEBIAN },
      onStart: started => {
        child = started;
      },
      onLine: line => {
        if (/not visible in EC2 yet/.test(line)) child?.kill('SIGINT');
      },
    });
    heal();
    expect(ran.outputs['outcome']).toBe('cancelled');
    expect(imagesOf('called-off')).toHaveLength(1);
    const post = await postOf(lab, ran);
    expect(post.errors).toEqual([]);
    expect(imagesOf('called-off')).toEqual([]);
    expect(leftovers(lab)).toEqual([]);
  });

  test('after it got the family is kept by post, and the next run removes its temporary tags', async () => {
    const order = { files: idle(), with: { family: 'marked', 'base-image': DEBIAN } };
    const { ran, post } = await failing('DeleteTags', DENIED, order);
    expect(ran.outputs['outcome']).toBe('access');
    expect(post.errors).toEqual([]);
    const [id] = imagesOf('marked').map(image => image.id);
    const next = await build(lab, order);
    expect(next.outputs).toMatchObject({ built: 'false', 'ami-id': id });
    expect(temporaryTags(lab, id ?? '')).toEqual([]);
  });
});
