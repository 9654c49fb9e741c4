import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DescribeLaunchTemplatesCommand } from '@aws-sdk/client-ec2';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { askGroup, baseImage, inService, makeGroup, pointerValue } from '../../demo/fleet.ts';
import { type ActLab, actLab } from './act-lab.ts';
import { BUILD, deniedIn, deployDelivery, deployEnvironment } from './organisation.ts';

/** Stage and prod in one account, with the roles of examples/. Jobs have no keys. */

const role = (name: string) => `arn:aws:iam::${BUILD}:role/${name}`;
const SETTINGS = (version: string) => `family: web
version: ${version}
var: { app_version: ${version} }
region: eu-central-1
# Without a role of its own, a mode only reads.
role-to-assume: ${role('ami-web-read')}
by-mode:
  build: { role-to-assume: '${role('ami-web-images')}' }
  validate: { role-to-assume: '${role('ami-web-images')}' }
  prune: { role-to-assume: '${role('ami-web-images')}' }
instance-profile: ami-web-test
checks:
  - service: web
  - http: { port: 8080, path: / }
  - no-failed-units
  - path: /opt/web/version
keep-newest: 1
minimum-age: 0s
warm-up: 60s
environments:
  stage: { groups: [web-stage], checks-timeout: 5m, bake: 6m, role-to-assume: '${role('ami-web-stage-rollout')}' }
  prod: { groups: [web-prod], checks-timeout: 5m, bake: 6m, role-to-assume: '${role('ami-web-prod-rollout')}' }
`;

let l: ActLab;
const commit = (version: string, change = (server: string) => server): string =>
  l.repository.commit(`Version ${version}`, version, change, SETTINGS(version));

beforeAll(async () => {
  l = await actLab();
  const imageId = await baseImage(l.cloud);
  for (const name of ['web-stage', 'web-prod']) await makeGroup(l.cloud, { name, imageId, size: 1 });
  while ((await inService(l.cloud, 'web-prod')).length === 0 || (await inService(l.cloud, 'web-stage')).length === 0)
    await l.lab.clock.sleep(5);
  deployDelivery(l.lab, BUILD, 'ami-web', { Families: 'web' });
  const { LaunchTemplates = [] } = await l.cloud.ec2.send(new DescribeLaunchTemplatesCommand({}));
  for (const environment of ['stage', 'prod']) {
    const template = LaunchTemplates.find(({ LaunchTemplateName }) => LaunchTemplateName === `web-${environment}`);
    deployEnvironment(l.lab, BUILD, `ami-web-${environment}`, {
      ...{ Environment: environment, Families: 'web', Pointers: '/ami/web', Groups: `web-${environment}*` },
      LaunchTemplates: template?.LaunchTemplateId ?? '',
    });
  }
});

afterAll(() => l.close());

test('a push to main goes through every job to stage', async () => {
  commit('1.0.0');
  const ran = await l.act('push', 'ami-stage.yml');
  expect(ran).toMatchObject({ exitCode: 0, failed: [], succeeded: ['Build', 'Validate', 'Promote to stage', 'Prune'] });
  expect(await askGroup(l.cloud, l.lab, 'web-stage')).toMatch(/web is active, version 1\.0\.0$/);
  expect(await pointerValue(l.cloud, '/ami/web/stage')).toMatch(/^ami-/);
  expect(deniedIn(l.lab)).toEqual([]);
});

// https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html#gp3-ebs-volume-type
test('the build has a fast disk, and the image the usual one', () => {
  const disks = (operation: string) =>
    l.lab.calls.all().flatMap(({ operation: of, input }) => {
      const { BlockDeviceMappings: [device] = [] } = input as { BlockDeviceMappings?: { Ebs?: object }[] };
      return of === operation && device !== undefined ? [device.Ebs] : [];
    });
  // The second instance is that of validate.
  expect(disks('RunInstances')[0]).toMatchObject({ VolumeType: 'gp3', Iops: 4000, Throughput: 1000 });
  expect(disks('CreateImage')).toEqual([expect.objectContaining({ VolumeType: 'gp3', Iops: 3000, Throughput: 125 })]);
});

test('a rollback is red where nothing was promoted yet', async () => {
  const ran = await l.act('workflow_dispatch', 'ami-rollback.yml', { environment: 'prod' });
  expect([ran.failed, ran.succeeded, await pointerValue(l.cloud, '/ami/web/prod')]).toEqual([['Roll back'], [], 'none']);
  expect(ran.log).toContain('No image to roll back to: prod has no pointer, so no image was promoted to it.');
});

test('a person promotes to prod what stage runs, and nothing is built', async () => {
  const mark = l.lab.calls.mark();
  const ran = await l.act('workflow_dispatch', 'ami-prod.yml', { image: 'environment:stage' });
  expect(ran).toMatchObject({ exitCode: 0, failed: [], succeeded: ['Promote to prod'] });
  expect(l.lab.calls.count('ec2:CreateImage', mark)).toBe(0);
  expect(await pointerValue(l.cloud, '/ami/web/prod')).toBe(await pointerValue(l.cloud, '/ami/web/stage'));
  expect(await askGroup(l.cloud, l.lab, 'web-prod')).toMatch(/web is active, version 1\.0\.0$/);
  expect(deniedIn(l.lab)).toEqual([]);
});

test('a rehearsal plans the promotion and the pruning, and changes nothing', async () => {
  const workflows = join(l.repository.path, '.github', 'workflows');
  const prod = readFileSync(join(workflows, 'ami-prod.yml'), 'utf8');
  writeFileSync(join(workflows, 'rehearsal.yml'), `${prod}      prune: 'true'\n`);
  const mark = l.lab.calls.mark();
  const ran = await l.act('workflow_dispatch', 'rehearsal.yml', { image: 'environment:stage', 'dry-run': 'true' });
  expect(ran).toMatchObject({ exitCode: 0, failed: [], succeeded: ['Promote to prod', 'Prune'] });
  expect(ran.log.match(/outcome=\w+/g)).toEqual(['outcome=planned', 'outcome=planned']);
  expect(Object.keys(l.lab.calls.byOperation(mark)).filter(call => !/:(Describe|Get|List|Assume)/.test(call))).toEqual([]);
});

// https://docs.github.com/en/actions/reference/security/oidc
test('a branch gets no role, whatever its workflow says', async () => {
  const before = await pointerValue(l.cloud, '/ami/web/prod');
  const ran = await l.act('workflow_dispatch', 'ami-prod.yml', { image: 'latest' }, { ref: 'refs/heads/other' });
  expect([ran.failed, await pointerValue(l.cloud, '/ami/web/prod')]).toEqual([['Promote to prod'], before]);
  expect(ran.log).toContain(`Not allowed to assume ${role('ami-web-prod-rollout')}`);
});

test('a variable of the environment holds against the workflow', async () => {
  const vars = { AMI_ALLOWED_REFS: 'release/*', AMI_ALLOWED_ACCOUNT_IDS: BUILD };
  const ran = await l.act('workflow_dispatch', 'ami-prod.yml', { image: 'latest' }, { vars });
  expect(ran.failed).toEqual(['Promote to prod']);
  expect(ran.log).toContain('"allowed-refs"');
  const other = await l.act(
    'workflow_dispatch',
    'ami-prod.yml',
    { image: 'latest' },
    { vars: { AMI_ALLOWED_ACCOUNT_IDS: '999999999999' } },
  );
  expect([other.failed, other.log.includes('"allowed-account-ids" allows 999999999999')]).toEqual([['Promote to prod'], true]);
});

test('a broken image ends red at Validate, with the cause, and is not promoted', async () => {
  const before = await pointerValue(l.cloud, '/ami/web/stage');
  commit('1.1.0', server => `import turbo\n${server}`);
  const ran = await l.act('push', 'ami-stage.yml');
  expect(ran).toMatchObject({ failed: ['Validate'], succeeded: ['Build'] });
  expect(ran.exitCode).not.toBe(0);
  expect(ran.log).toMatch(/failed validation: \d of 4 checks failed/);
  expect(ran.log).toContain('GET / on port 8080: no answer');
  expect(await pointerValue(l.cloud, '/ami/web/stage')).toBe(before);
  expect(await askGroup(l.cloud, l.lab, 'web-stage')).toMatch(/web is active, version 1\.0\.0$/);
});
