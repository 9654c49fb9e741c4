import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CreateAutoScalingGroupCommand } from '@aws-sdk/client-auto-scaling';
import { CreateLaunchTemplateCommand, DescribeImagesCommand, DescribeSubnetsCommand } from '@aws-sdk/client-ec2';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { inService, pointerValue } from '../../demo/fleet.ts';
import { images } from '../../lab/ec2/images.ts';
import { type ActLab, actLab } from './act-lab.ts';
import { twoSources } from './build-lab.ts';

/** One build for two processors: each image is validated on its own and reaches its own groups and its own pointer. */

const SETTINGS = `family: edge
version: 1.0.0
var: { app_version: 1.0.0 }
checks: [no-failed-units]
pointer: /ami/{family}/{environment}/{architecture}
environments:
  stage: { groups: ['edge-{architecture}'], bake: 6m }
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

async function group(architecture: 'x86_64' | 'arm64'): Promise<void> {
  const { ec2, autoScaling } = l.cloud;
  const { Images = [] } = await ec2.send(
    new DescribeImagesCommand({ Owners: ['amazon'], Filters: [{ Name: 'architecture', Values: [architecture] }] }),
  );
  const { Subnets = [] } = await ec2.send(new DescribeSubnetsCommand({}));
  const name = `edge-${architecture}`;
  const InstanceType = architecture === 'arm64' ? ('t4g.micro' as const) : ('t3.micro' as const);
  const data = { ImageId: Images[0]?.ImageId ?? '', InstanceType };
  const { LaunchTemplate } = await ec2.send(new CreateLaunchTemplateCommand({ LaunchTemplateName: name, LaunchTemplateData: data }));
  await autoScaling.send(
    new CreateAutoScalingGroupCommand({
      AutoScalingGroupName: name,
      MinSize: 1,
      MaxSize: 2,
      DesiredCapacity: 1,
      LaunchTemplate: { LaunchTemplateId: LaunchTemplate?.LaunchTemplateId ?? '', Version: '1' },
      VPCZoneIdentifier: Subnets.map(({ SubnetId }) => SubnetId).join(','),
    }),
  );
  while ((await inService(l.cloud, name)).length === 0) await l.lab.clock.sleep(5);
}

test('a push brings each architecture to its own groups and pointer', async () => {
  await group('x86_64');
  await group('arm64');
  const { path } = l.repository;
  for (const [file, content] of Object.entries(armToo())) {
    mkdirSync(join(path, file, '..'), { recursive: true });
    writeFileSync(join(path, file), content);
  }
  writeFileSync(join(path, '.github', 'workflows', 'edge.yml'), CALLER);
  l.repository.commit('Two processors', '1.0.0', server => server);
  writeFileSync(join(path, '.github', 'ami.yml'), SETTINGS);
  const ran = await l.act('push', 'edge.yml');
  expect([ran.exitCode, ran.failed]).toEqual([0, []]);
  for (const architecture of ['x86_64', 'arm64'] as const) {
    const id = await pointerValue(l.cloud, `/ami/edge/stage/${architecture}`);
    expect(images(l.lab.place()).get(id)?.architecture).toBe(architecture);
  }
});

/** The example template with a second source for arm64. */
function armToo(): Record<string, string> {
  const files = twoSources();
  files['packer/second.pkr.hcl'] = (files['packer/second.pkr.hcl'] ?? '')
    .replaceAll('amd64', 'arm64')
    .replace('"x86_64"', '"arm64"')
    .replace('= var.instance_type', '= "t4g.small"');
  return files;
}

test('two images without the input "architectures" stop at Validate, and the message names the input', async () => {
  writeFileSync(join(l.repository.path, '.github', 'workflows', 'edge.yml'), CALLER.replace(/ +architectures:.*\n/, ''));
  expect(readFileSync(join(l.repository.path, '.github', 'workflows', 'edge.yml'), 'utf8')).not.toContain('architectures');
  const ran = await l.act('push', 'edge.yml');
  expect(ran.failed).toEqual(['Validate']);
  expect(ran.log).toContain('several-images-were-built-set-the-input-architectures');
});
