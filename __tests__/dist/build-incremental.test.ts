import { expect, test } from '@jest/globals';
import type { Ran } from '../../lab/runner.ts';
import { build, changed, DEBIAN, describeWithPacker as describe, idly, labOfTests, tagsIn } from './build-lab.ts';

/** Opt-in: a push of code alone is built on the newest image of the family, until a full build is due. */

const lab = await labOfTests({ timings: { boot: 1, statusChecks: 1, shutdown: 1, image: 1 } });

const template = idly(changed(['variable "app_version"', 'variable "incremental" {\n  type = bool\n}\n\nvariable "app_version"']));
const run = (files: Record<string, string>, more: Record<string, string> = {}, env: Record<string, string> = {}) =>
  build(lab, {
    ...{ files: { ...template, 'src/app.txt': 'one', ...files }, env },
    with: { family: 'web', 'base-image': DEBIAN, 'app-paths': 'src/**', 'full-every': '2h', ...more },
  });
const idOf = (ran: Ran) => ran.outputs['ami-id'] ?? '';
const launchedFrom = () => lab.calls.all().findLast(({ operation }) => operation === 'RunInstances')?.input['ImageId'];
/** Three hours later. */
const later = { AMI_ACTION_CLOCK_SINCE: String(lab.clock.since - 180_000) };

describe('with "app-paths"', () => {
  let [full, first, second]: Partial<Ran>[] = [];

  test('the first build is a full one', async () => {
    full = await run({});
    expect((full as Ran).errors).toEqual([]);
    expect((full as Ran).outputs['reason']).toBe('it is the first image of its family; full build, because the family has no usable image');
    expect(tagsIn(lab, idOf(full as Ran))).toMatchObject({ 'ami-action:increment': '0' });
    expect((full as Ran).log).toContain('Variables that ami-action sets: ');
  });

  test('pushes of code alone are built on the image before, and the summary says how far from a full build', async () => {
    const base = tagsIn(lab, idOf(full as Ran))['ami-action:base-ami'];
    expect(launchedFrom()).toBe(base);
    first = await run({ 'src/app.txt': 'two' });
    expect((first as Ran).errors).toEqual([]);
    expect(launchedFrom()).toBe(idOf(full as Ran));
    second = await run({ 'src/app.txt': 'three' });
    expect(launchedFrom()).toBe(idOf(first as Ran));
    expect((second as Ran).summary).toContain(`incremental build on ${idOf(first as Ran)}, 2 increments after the full build of `);
    expect(tagsIn(lab, idOf(second as Ran))).toMatchObject({
      'ami-action:base-ami': base,
      'ami-action:built-on': idOf(first as Ran),
      'ami-action:increment': '2',
      'ami-action:full-at': tagsIn(lab, idOf(full as Ran))['ami-action:created-at'],
    });
  });

  test('an unchanged push builds nothing, and says it too', async () => {
    const again = await run({ 'src/app.txt': 'three' });
    expect(again.outputs).toMatchObject({ built: 'false', 'ami-id': idOf(second as Ran) });
    expect(again.outputs['reason']).toContain('has the same fingerprint: 2 increments after the full build of ');
  });

  test.each<[string, Record<string, string>, Record<string, string>, string]>([
    ['another file has changed', { 'src/app.txt': 'four', 'other.txt': 'x' }, {}, 'more than "app-paths" has changed since '],
    [
      'the base image moves',
      { 'src/app.txt': 'four' },
      { 'base-image': 'name:137112412989/al2023-ami-2023.9*-x86_64' },
      'or the base image has',
    ],
    [
      'a setting changes',
      { 'src/app.txt': 'four' },
      { var: 'ssh_port: 2322\napp_version: "9"' },
      'more than "app-paths" has changed since ',
    ],
  ])('it is a full build when %s', async (_, files, more, because) => {
    const plan = await run(files, { ...more, 'dry-run': 'true' });
    expect(plan.errors).toEqual([]);
    expect(plan.outputs['reason']).toContain('; full build, because ');
    expect(plan.outputs['reason']).toContain(because);
  });

  test('a full build is due after "full-every": for new code, and for an unchanged push too', async () => {
    const code = await run({ 'src/app.txt': 'five' }, { 'dry-run': 'true' }, later);
    expect(code.outputs['reason']).toContain('is older than "full-every"');
    const same = await run({ 'src/app.txt': 'three' }, { 'dry-run': 'true' }, later);
    expect(same.outputs['reason']).toMatch(/full build, because the last one, of .* is older than "full-every"/);
  });

  test('"base-image" is needed', async () => {
    const ran = await run({}, { 'base-image': '', rebuild: 'always' });
    expect(ran.errors.join()).toContain('"app-paths" needs "base-image": a full build begins with it');
  });
});
