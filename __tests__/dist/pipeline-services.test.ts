import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { pointerValue } from '../../demo/fleet.ts';
import { tagsOf } from '../../lab/ec2/state.ts';
import { type ActLab, actLab } from './act-lab.ts';
import { BUILD, deniedIn, deployDelivery, deployEnvironment, group, imagesIn } from './organisation.ts';

/** Three services of one repository: from an empty lab to prod, back by rollback, and to a clean account by prune. Jobs have no keys. */

const SERVICES = ['orders', 'edge', 'billing'] as const;
type Service = (typeof SERVICES)[number];
const ENVIRONMENTS = ['stage', 'prod'] as const;
const HOME = { account: BUILD, region: 'eu-central-1' };
const role = (name: string) => `arn:aws:iam::${BUILD}:role/${name}`;

const SETTINGS = (service: Service, version: string) => `family: ${service}
version: ${version}
var: { app_version: ${version} }
template: services/${service}/packer
base-image: name:136693071363/debian-12-amd64-*
region: eu-central-1
role-to-assume: ${role('ami-shop-images')}
instance-profile: ami-shop-test
checks: [{ service: web }]
keep-newest: 1
minimum-age: 0s
min-in-use: 0
environments:
  stage: { groups: [${service}-stage], checks-timeout: 5m, bake: 6m, role-to-assume: '${role('ami-shop-stage-rollout')}' }
  prod: { groups: [${service}-prod], checks-timeout: 5m, bake: 6m, role-to-assume: '${role('ami-shop-prod-rollout')}' }
`;

const PROD = `on: workflow_dispatch
jobs:
  prod:
    strategy: { fail-fast: false, matrix: { service: [orders, edge, billing] } }
    uses: org/ami-action/.github/workflows/ami-pipeline.yml@v1
    permissions: { contents: read, deployments: write, id-token: write }
    with: { environment: prod, image: 'environment:stage', config: 'services/\${{ matrix.service }}/ami.yml' }
`;

let l: ActLab;
const path = (...parts: string[]) => join(l.repository.path, ...parts);

/** Each service at its version; `broken` does not start. */
function commit(message: string, versions: Readonly<Record<Service, string>>, broken?: Service): void {
  for (const service of SERVICES) {
    writeFileSync(path('services', service, 'ami.yml'), SETTINGS(service, versions[service]));
    const server = path('services', service, 'packer', 'app', 'server.py');
    const original = readFileSync(path('packer', 'app', 'server.py'), 'utf8');
    writeFileSync(server, service === broken ? `import turbo\n${original}` : `${original}\n# ${versions[service]}\n`);
  }
  l.repository.commit(message, '0', server => server);
}

beforeAll(async () => {
  l = await actLab({ speed: 60 });
  for (const service of SERVICES) cpSync(path('packer'), path('services', service, 'packer'), { recursive: true });
  writeFileSync(path('.github', 'workflows', 'prod.yml'), PROD);
  const Families = SERVICES.join();
  deployDelivery(l.lab, BUILD, 'ami-shop', { Families });
  for (const environment of ENVIRONMENTS) {
    const templates = await Promise.all(SERVICES.map(service => group(l.lab, HOME, `${service}-${environment}`)));
    const names = {
      Groups: SERVICES.map(service => `${service}-${environment}*`).join(),
      Pointers: SERVICES.map(one => `/ami/${one}`).join(),
    };
    const of = { Environment: environment, Families, LaunchTemplates: templates.join() };
    deployEnvironment(l.lab, BUILD, `ami-shop-${environment}`, { ...of, ...names });
  }
}, 180_000);
afterAll(() => l.close());

/** Version of each service in an environment. */
async function running(environment: string): Promise<Record<string, string>> {
  const all = SERVICES.map(async service => {
    const id = await pointerValue(l.cloud, `/ami/${service}/${environment}`);
    const tags = tagsOf(l.lab.place(), id);
    return [service, tags['ami-action:family'] === service ? (tags['ami-action:version'] ?? id) : id] as const;
  });
  return Object.fromEntries(await Promise.all(all));
}

const FIRST = { orders: '1.0.0', edge: '2.0.0', billing: '3.0.0' } as const;

test('a push brings each service to stage, and a person all of them to prod', async () => {
  commit('First', FIRST);
  for (const [event, file] of [
    ['push', 'ami-services.yml'],
    ['workflow_dispatch', 'prod.yml'],
  ] as const) {
    const ran = await l.act(event, file);
    expect([ran.exitCode, ran.failed, deniedIn(l.lab)]).toEqual([0, [], []]);
  }
  expect([await running('stage'), await running('prod')]).toEqual([FIRST, FIRST]);
}, 300_000);

test('a push that changes one service builds that one only', async () => {
  const mark = l.lab.calls.mark();
  commit('Billing only', { ...FIRST, billing: '3.1.0' });
  const ran = await l.act('push', 'ami-services.yml');
  expect([ran.exitCode, ran.failed, deniedIn(l.lab)]).toEqual([0, [], []]);
  expect(l.lab.calls.count('ec2:CreateImage', mark)).toBe(1);
  expect(await running('stage')).toEqual({ ...FIRST, billing: '3.1.0' });
}, 300_000);

test('a service that fails validation stops alone', async () => {
  commit('Edge is broken', { orders: '1.2.0', edge: '2.2.0', billing: '3.1.0' }, 'edge');
  const ran = await l.act('push', 'ami-services.yml');
  expect([ran.exitCode === 0, ran.failed.filter(name => !name.startsWith('Validate'))]).toEqual([false, []]);
  expect(ran.failed).not.toEqual([]);
  expect(await running('stage')).toEqual({ orders: '1.2.0', edge: '2.0.0', billing: '3.1.0' });
}, 300_000);

test('one service goes back in prod by its settings file, the others stay', async () => {
  const promoted = await l.act('workflow_dispatch', 'prod.yml');
  expect([promoted.exitCode, promoted.failed]).toEqual([0, []]);
  const back = await l.act('workflow_dispatch', 'ami-rollback.yml', { environment: 'prod', config: 'services/billing/ami.yml' });
  expect([back.exitCode, back.failed, deniedIn(l.lab)]).toEqual([0, [], []]);
  expect(await running('prod')).toEqual({ orders: '1.2.0', edge: '2.0.0', billing: '3.0.0' });
}, 300_000);

test('prune leaves of each service what runs, what ran before and the newest', async () => {
  const prune = readFileSync(path('.github', 'workflows', 'prod.yml'), 'utf8').replace(
    /with: \{.*config/,
    "with: { image: latest, prune: 'true', config",
  );
  writeFileSync(path('.github', 'workflows', 'clean.yml'), prune);
  const ran = await l.act('workflow_dispatch', 'clean.yml');
  expect([ran.exitCode, ran.failed, deniedIn(l.lab)]).toEqual([0, [], []]);
  const versions = imagesIn(l.lab, HOME)
    .map(({ version }) => version)
    .sort();
  // Of edge also the newest, which failed: keep-newest counts it.
  expect(versions).toEqual(['1.0.0', '1.2.0', '2.0.0', '2.2.0', '3.0.0', '3.1.0']);
}, 300_000);
