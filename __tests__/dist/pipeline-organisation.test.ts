import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { connect, pointerValue } from '../../demo/fleet.ts';
import { images } from '../../lab/ec2/images.ts';
import { tagsOf } from '../../lab/ec2/state.ts';
import { type ActLab, actLab } from './act-lab.ts';
import { BUILD, bothArchitectures, deniedIn, deployDelivery, deployEnvironment, group, imagesIn, PROD } from './organisation.ts';

/** Two accounts, two regions, two architectures: from an empty lab to prod, back by rollback, and to a clean account by prune. Jobs have no keys. */

const REGIONS = ['eu-central-1', 'eu-west-1'] as const;
const ARCHITECTURES = ['x86_64', 'arm64'] as const;
const role = (account: string, name: string) => `arn:aws:iam::${account}:role/${name}`;

const SETTINGS = (version: string) => `family: edge
version: ${version}
var: { app_version: ${version} }
region: eu-central-1
regions: [eu-west-1]
role-to-assume: ${role(BUILD, 'ami-edge-images')}
instance-profile: ami-edge-test
checks: [{ service: web }, no-failed-units]
pointer: /ami/{family}/{environment}/{architecture}
copy: ['${BUILD}', '${PROD}']
target-role: arn:aws:iam::{account}:role/ami-edge-prod-share
keep-newest: 1
minimum-age: 0s
min-in-use: 0
environments:
  stage: { groups: ['edge-stage-{architecture}'], checks-timeout: 5m, bake: 6m, role-to-assume: '${role(BUILD, 'ami-edge-stage-rollout')}' }
  prod:
    groups: ['edge-prod-{architecture}']
    checks-timeout: 5m
    bake: 6m
    role-to-assume: ${role(PROD, 'ami-edge-prod-rollout')}
    from-role: ${role(BUILD, 'ami-edge-read')}
`;

const CALLER = (on: string, more: string) => `on: ${on}
jobs:
  deliver:
    uses: org/ami-action/.github/workflows/ami-pipeline.yml@v1
    permissions: { contents: read, deployments: write, id-token: write }
    with:
      architectures: '["x86_64","arm64"]'
${more.replace(/^/gm, '      ')}
`;

let l: ActLab;
beforeAll(async () => {
  l = await actLab({ speed: 60 });
  const stacks = await Promise.all(
    [
      { account: BUILD, environment: 'stage', more: {} },
      {
        account: PROD,
        environment: 'prod',
        more: { DeliveryRole: role(BUILD, 'ami-edge-images'), OtherRoles: role(BUILD, 'ami-edge-read') },
      },
    ].map(async ({ account, environment, more }) => {
      const templates = REGIONS.flatMap(region =>
        ARCHITECTURES.map(architecture => group(l.lab, { account, region }, `edge-${environment}-${architecture}`, architecture)),
      );
      return { account, environment, more, templates: (await Promise.all(templates)).join() };
    }),
  );
  const both = { ConsumerAccounts: PROD, OtherRoles: role(PROD, 'ami-edge-prod-share'), Readers: role(PROD, 'ami-edge-prod-rollout') };
  deployDelivery(l.lab, BUILD, 'ami-edge', { Families: 'edge', ...both });
  deployDelivery(l.lab, PROD, 'ami-edge', { Families: 'edge' });
  for (const { account, environment, more, templates } of stacks) {
    const of = {
      Environment: environment,
      Families: 'edge',
      Pointers: '/ami/edge',
      Groups: `edge-${environment}*`,
      LaunchTemplates: templates,
    };
    deployEnvironment(l.lab, account, `ami-edge-${environment}`, { ...of, ...more });
  }
  const files = bothArchitectures();
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(l.repository.path, path, '..'), { recursive: true });
    writeFileSync(join(l.repository.path, path), content);
  }
  workflow('push.yml', CALLER('push', "environment: stage\nshare: 'true'"));
  workflow('prod.yml', CALLER('workflow_dispatch', 'environment: prod\nimage: environment:stage'));
  const accounts = JSON.stringify([role(BUILD, 'ami-edge-images'), role(PROD, 'ami-edge-images')]);
  workflow('clean.yml', CALLER('workflow_dispatch', `image: latest\nprune: 'true'\nprune-roles: '${accounts}'`));
}, 180_000);
afterAll(() => l.close());

const workflow = (name: string, content: string) => writeFileSync(join(l.repository.path, '.github', 'workflows', name), content);

const commit = (version: string, change = (server: string) => server): string =>
  l.repository.commit(`Version ${version}`, version, change, SETTINGS(version));

/** Version that each pointer of an environment names. */
async function running(account: string, environment: string): Promise<Record<string, string>> {
  const all = REGIONS.flatMap(region =>
    ARCHITECTURES.map(async architecture => {
      const id = await pointerValue(connect(l.lab, { account, region }), `/ami/edge/${environment}/${architecture}`);
      const image = images(l.lab.place(account, region)).get(id);
      const version = image?.architecture === architecture ? tagsOf(l.lab.place(account, region), id)['ami-action:version'] : undefined;
      return [`${region} ${architecture}`, version ?? id] as const;
    }),
  );
  return Object.fromEntries(await Promise.all(all));
}

const everywhere = (version: string) =>
  Object.fromEntries(REGIONS.flatMap(region => ARCHITECTURES.map(one => [`${region} ${one}`, version])));

/** How many images of each version, in both accounts and regions. */
const counts = () => {
  const all = [BUILD, PROD].flatMap(account => REGIONS.flatMap(region => imagesIn(l.lab, { account, region })));
  return Object.fromEntries(
    [...new Set(all.map(({ version }) => version))].sort().map(one => [one, all.filter(({ version }) => version === one).length]),
  );
};

test('a push reaches stage in both regions, with copies made while it is validated', async () => {
  commit('1.0.0');
  const ran = await l.act('push', 'push.yml');
  expect([ran.exitCode, ran.failed, deniedIn(l.lab)]).toEqual([0, [], []]);
  const twice = ['Copy', 'Promote to stage', 'Share', 'Validate'].flatMap(name => [`${name}-1`, `${name}-2`]);
  expect([...ran.succeeded].sort()).toEqual(['Build', ...twice]);
  expect(await running(BUILD, 'stage')).toEqual(everywhere('1.0.0'));
  expect(await running(PROD, 'prod')).toEqual(everywhere('none'));
  expect(counts()).toEqual({ '1.0.0': 8 });
  const first = (operation: string) => l.lab.calls.all().find(call => call.operation === operation)?.at ?? 0;
  expect(first('CopyImage')).toBeLessThan(l.lab.calls.all().findLast(({ operation }) => operation === 'SendCommand')?.at ?? 0);
}, 300_000);

test('a person brings what stage runs to the other account, where it has other IDs', async () => {
  const ran = await l.act('workflow_dispatch', 'prod.yml');
  expect([ran.exitCode, ran.failed, deniedIn(l.lab)]).toEqual([0, [], []]);
  expect(await running(PROD, 'prod')).toEqual(everywhere('1.0.0'));
}, 300_000);

test('an image that fails validation reaches no environment, and its copies are removed', async () => {
  commit('1.1.0', server => `import turbo\n${server}`);
  const ran = await l.act('push', 'push.yml');
  expect([ran.failed.filter(name => !name.startsWith('Validate')), ran.exitCode === 0]).toEqual([[], false]);
  expect(ran.failed).not.toEqual([]);
  expect(await running(BUILD, 'stage')).toEqual(everywhere('1.0.0'));
  expect(counts()).toEqual({ '1.0.0': 8, '1.1.0': 2 });
  expect(deniedIn(l.lab)).toEqual([]);
}, 300_000);

test('the next version reaches prod, and a rollback takes prod back in both regions', async () => {
  commit('1.2.0');
  for (const [event, file] of [
    ['push', 'push.yml'],
    ['workflow_dispatch', 'prod.yml'],
  ] as const) {
    const ran = await l.act(event, file);
    expect([ran.exitCode, ran.failed, deniedIn(l.lab)]).toEqual([0, [], []]);
  }
  expect(await running(PROD, 'prod')).toEqual(everywhere('1.2.0'));
  const back = await l.act('workflow_dispatch', 'ami-rollback.yml', { environment: 'prod', architectures: '["x86_64","arm64"]' });
  expect([back.exitCode, back.failed, deniedIn(l.lab)]).toEqual([0, [], []]);
  expect(await running(PROD, 'prod')).toEqual(everywhere('1.0.0'));
  expect(await running(BUILD, 'stage')).toEqual(everywhere('1.2.0'));
  expect(l.github.deployments.map(({ environment, states }) => `${environment} ${states.at(-1)}`)).toEqual([
    ...Array(2).fill('stage success'),
    ...Array(2).fill('prod success'),
    ...Array(2).fill('stage success'),
    ...Array(4).fill('prod success'),
  ]);
}, 600_000);

test('red at the promotion to prod: what was rolled back there is refused in the other account, and stage keeps it', async () => {
  const ran = await l.act('workflow_dispatch', 'prod.yml');
  expect([ran.exitCode === 0, ran.succeeded, [...ran.failed].sort()]).toEqual([false, [], ['Promote to prod-1', 'Promote to prod-2']]);
  expect(ran.log).toMatch(/is vetoed there/);
  expect([await running(PROD, 'prod'), await running(BUILD, 'stage')]).toEqual([everywhere('1.0.0'), everywhere('1.2.0')]);
  const mark = l.lab.calls.mark();
  const vars = { AMI_ALLOWED_ACCOUNT_IDS: BUILD };
  const other = await l.act('workflow_dispatch', 'prod.yml', {}, { vars });
  expect([other.succeeded, [...other.failed].sort()]).toEqual([[], ['Promote to prod-1', 'Promote to prod-2']]);
  expect(other.log).toContain(`These credentials belong to account ${PROD}, and "allowed-account-ids" allows ${BUILD}.`);
  expect(Object.keys(l.lab.calls.byOperation(mark)).filter(call => !/:(Describe|Get|List|Assume)/.test(call))).toEqual([]);
}, 300_000);

test('prune cleans each account with its own role: what runs or ran before stays', async () => {
  const ran = await l.act('workflow_dispatch', 'clean.yml');
  expect([ran.exitCode, ran.failed, deniedIn(l.lab)]).toEqual([0, [], []]);
  expect(counts()).toEqual({ '1.0.0': 8, '1.2.0': 8 });
}, 300_000);
