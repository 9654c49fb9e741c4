import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { askGroup, baseImage, inService, makeGroup, pointerValue } from '../../demo/fleet.ts';
import { type ActLab, actLab } from './act-lab.ts';

let l: ActLab;

beforeAll(async () => {
  l = await actLab();
  const imageId = await baseImage(l.cloud);
  for (const name of ['web-stage', 'web-prod']) await makeGroup(l.cloud, { name, imageId, size: 1 });
  while ((await inService(l.cloud, 'web-prod')).length === 0 || (await inService(l.cloud, 'web-stage')).length === 0)
    await l.lab.clock.sleep(5);
});

afterAll(() => l.close());

test('a push to main goes through every job to stage', async () => {
  l.repository.commit('Serve a page', '1.0.0', server => server);
  const ran = await l.act('push', 'ami-stage.yml');
  expect(ran).toMatchObject({ exitCode: 0, failed: [], succeeded: ['Build', 'Validate', 'Promote to stage', 'Prune'] });
  expect(await askGroup(l.cloud, l.lab, 'web-stage')).toMatch(/web is active, version 1\.0\.0$/);
  expect(await pointerValue(l.cloud, '/ami/web/stage')).toMatch(/^ami-/);
});

test('a person promotes to prod what stage runs, and nothing is built', async () => {
  const mark = l.lab.calls.mark();
  const ran = await l.act('workflow_dispatch', 'ami-prod.yml', { image: 'environment:stage' });
  expect(ran).toMatchObject({ exitCode: 0, failed: [], succeeded: ['Promote to prod'] });
  expect(l.lab.calls.count('ec2:CreateImage', mark)).toBe(0);
  expect(await pointerValue(l.cloud, '/ami/web/prod')).toBe(await pointerValue(l.cloud, '/ami/web/stage'));
  expect(await askGroup(l.cloud, l.lab, 'web-prod')).toMatch(/web is active, version 1\.0\.0$/);
});

test('a rehearsal plans the promotion and the pruning, and changes nothing', async () => {
  const workflows = join(l.repository.path, '.github', 'workflows');
  const prod = readFileSync(join(workflows, 'ami-prod.yml'), 'utf8');
  writeFileSync(join(workflows, 'rehearsal.yml'), `${prod}      prune: 'true'\n`);
  const mark = l.lab.calls.mark();
  const ran = await l.act('workflow_dispatch', 'rehearsal.yml', { image: 'environment:stage', 'dry-run': 'true' });
  expect(ran).toMatchObject({ exitCode: 0, failed: [], succeeded: ['Promote to prod', 'Prune'] });
  expect(ran.log.match(/outcome=\w+/g)).toEqual(['outcome=planned', 'outcome=planned']);
  expect(Object.keys(l.lab.calls.byOperation(mark)).filter(call => !/:(Describe|Get|List)/.test(call))).toEqual([]);
});

test('a broken image ends red at Validate, with the cause, and is not promoted', async () => {
  const before = await pointerValue(l.cloud, '/ami/web/stage');
  l.repository.commit('It does not start', '1.1.0', server => `import turbo\n${server}`);
  const ran = await l.act('push', 'ami-stage.yml');
  expect(ran).toMatchObject({ failed: ['Validate'], succeeded: ['Build'] });
  expect(ran.exitCode).not.toBe(0);
  expect(ran.log).toMatch(/failed validation: \d of 4 checks failed/);
  expect(ran.log).toContain('GET / on port 8080: no answer');
  expect(await pointerValue(l.cloud, '/ami/web/stage')).toBe(before);
  expect(await askGroup(l.cloud, l.lab, 'web-stage')).toMatch(/web is active, version 1\.0\.0$/);
});
