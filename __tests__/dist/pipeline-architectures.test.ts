import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { pointerValue } from '../../demo/fleet.ts';
import { images } from '../../lab/ec2/images.ts';
import { type ActLab, actLab } from './act-lab.ts';
import { BUILD, bothArchitectures, deniedIn, deployDelivery, deployEnvironment, group } from './organisation.ts';

/** One build for two processors: each image is validated on its own and reaches its own groups and its own pointer. Jobs have no keys. */

const role = (name: string) => `arn:aws:iam::${BUILD}:role/${name}`;
const SETTINGS = `family: edge
version: 1.0.0
var: { app_version: 1.0.0 }
region: eu-central-1
role-to-assume: ${role('ami-edge-images')}
instance-profile: ami-edge-test
checks: [no-failed-units]
pointer: /ami/{family}/{environment}/{architecture}
environments:
  stage: { groups: ['edge-{architecture}'], bake: 6m, role-to-assume: '${role('ami-edge-stage-rollout')}' }
`;

const CALLER = `on: push
jobs:
  stage:
    uses: org/ami-action/.github/workflows/ami-pipeline.yml@v1
    permissions: { contents: read, deployments: write, id-token: write }
    with:
      environment: stage
      architectures: '["x86_64","arm64"]'
`;

let l: ActLab;
beforeAll(async () => {
  l = await actLab();
});
afterAll(() => l.close());

test('a push brings each architecture to its own groups and pointer', async () => {
  const templates: string[] = [];
  for (const architecture of ['x86_64', 'arm64'] as const)
    templates.push(await group(l.lab, { account: BUILD, region: 'eu-central-1' }, `edge-${architecture}`, architecture));
  deployDelivery(l.lab, BUILD, 'ami-edge', { Families: 'edge' });
  deployEnvironment(l.lab, BUILD, 'ami-edge-stage', {
    ...{ Environment: 'stage', Families: 'edge', Pointers: '/ami/edge', Groups: 'edge-*', LaunchTemplates: templates.join() },
  });
  const { path } = l.repository;
  for (const [file, content] of Object.entries(bothArchitectures())) {
    mkdirSync(join(path, file, '..'), { recursive: true });
    writeFileSync(join(path, file), content);
  }
  writeFileSync(join(path, '.github', 'workflows', 'edge.yml'), CALLER);
  l.repository.commit('Two processors', '1.0.0', server => server);
  writeFileSync(join(path, '.github', 'ami.yml'), SETTINGS);
  const ran = await l.act('push', 'edge.yml');
  expect([ran.exitCode, ran.failed, deniedIn(l.lab)]).toEqual([0, [], []]);
  for (const architecture of ['x86_64', 'arm64'] as const) {
    const id = await pointerValue(l.cloud, `/ami/edge/stage/${architecture}`);
    expect(images(l.lab.place()).get(id)?.architecture).toBe(architecture);
  }
});

test('two images without the input "architectures" stop at Validate, and the message names the input', async () => {
  writeFileSync(join(l.repository.path, '.github', 'workflows', 'edge.yml'), CALLER.replace(/ +architectures:.*\n/, ''));
  expect(readFileSync(join(l.repository.path, '.github', 'workflows', 'edge.yml'), 'utf8')).not.toContain('architectures');
  const ran = await l.act('push', 'edge.yml');
  expect(ran.failed).toEqual(['Validate']);
  expect(ran.log).toContain(
    '"image" must be one image, and the build made several: set the input "architectures" of ami-pipeline.yml, got "several-images"',
  );
});
