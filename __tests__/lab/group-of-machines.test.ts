import { CreateImageCommand, DescribeImagesCommand, RunInstancesCommand, TerminateInstancesCommand } from '@aws-sdk/client-ec2';
import { DescribeTargetHealthCommand } from '@aws-sdk/client-elastic-load-balancing-v2';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { guestOf, instances } from '../../lab/ec2/state.ts';
import {
  activities,
  aGroup,
  anImage,
  aTargetGroup,
  aTemplate,
  aVersion,
  ended,
  type Stage,
  stage,
  start,
  theGroup,
  until,
} from './group-stage.ts';

/** Real machines: a balancer asks a real service on a real port, and a service that dies takes the refresh with it. */

let on: Stage;

beforeAll(async () => {
  on = await stage({ speed: 60, machines: 'sandbox', timings: { refreshPatience: 240 } });
});

afterAll(() => on.close());

/** Serves /health on 8080; `command` is what runs the server. */
const installing = (version: string, command: string) => `#!/bin/sh
mkdir -p /opt/app
echo ok >/opt/app/health
echo ${version} >/opt/app/version
cat >/etc/systemd/system/web.service <<'UNIT'
[Unit]
Description=web
[Service]
ExecStart=${command} /usr/bin/python3 -m http.server 8080 --directory /opt/app
[Install]
WantedBy=multi-user.target
UNIT
systemctl enable web
`;

/** As a build does it: a machine is set up, and its disk becomes the image. */
async function bake(base: string, version: string, command = ''): Promise<string> {
  const UserData = Buffer.from(installing(version, command)).toString('base64');
  const { Instances } = await on.ec2.send(
    new RunInstancesCommand({ ImageId: base, InstanceType: 't3.micro', MinCount: 1, MaxCount: 1, UserData }),
  );
  const InstanceId = Instances?.[0]?.InstanceId ?? '';
  const enabled = ['sh', '-c', 'test -e /opt/app/version && systemctl is-enabled web'];
  await until(
    async () => guestOf(machine(InstanceId))?.exec(enabled),
    ran => ran?.exitCode === 0,
  );
  const { ImageId = '' } = await on.ec2.send(new CreateImageCommand({ InstanceId, Name: `web-${version}` }));
  await until(
    () => on.ec2.send(new DescribeImagesCommand({ ImageIds: [ImageId] })),
    ({ Images }) => Images?.[0]?.State === 'available',
  );
  await on.ec2.send(new TerminateInstancesCommand({ InstanceIds: [InstanceId] }));
  return ImageId;
}

function machine(id: string) {
  const found = instances(on.lab.place()).get(id);
  if (found === undefined) throw new Error(`there is no ${id}`);
  return found;
}

/** What the machines themselves say that they run. */
async function versions(group: string): Promise<readonly string[]> {
  const serving = ((await theGroup(on, group))?.Instances ?? []).filter(({ LifecycleState }) => LifecycleState === 'InService');
  const ids = serving.map(({ InstanceId = '' }) => InstanceId);
  const said = ids.map(async id => (await guestOf(machine(id))?.exec(['cat', '/opt/app/version']))?.stdout.trim() ?? 'nothing');
  return (await Promise.all(said)).sort();
}

test('a service that answers is rolled out; one that dies after the boot is rolled back, and the machines run what they ran', async () => {
  const base = await anImage(on, 'base');
  const [one, two, dying] = await Promise.all([bake(base, '1'), bake(base, '2'), bake(base, '3', '/usr/bin/timeout 1')]);
  const LaunchTemplateId = await aTemplate(on, 'web', { ImageId: one });
  const TargetGroupArn = await aTargetGroup(on, 'web');
  await aGroup(on, 'web', {
    ...{ LaunchTemplate: { LaunchTemplateId, Version: '1' }, DesiredCapacity: 2 },
    ...{ TargetGroupARNs: [TargetGroupArn], HealthCheckType: 'ELB', HealthCheckGracePeriod: 20 },
  });
  await until(
    () => on.elb.send(new DescribeTargetHealthCommand({ TargetGroupArn })),
    ({ TargetHealthDescriptions: targets = [] }) =>
      targets.length === 2 && targets.every(({ TargetHealth }) => TargetHealth?.State === 'healthy'),
  );
  expect(await versions('web')).toEqual(['1', '1']);

  const roll = async (ImageId: string) => {
    const Version = String(await aVersion(on, LaunchTemplateId, '1', { ImageId }));
    const Preferences = { MinHealthyPercentage: 100, MaxHealthyPercentage: 150, InstanceWarmup: 90, AutoRollback: true };
    await start(on, 'web', { DesiredConfiguration: { LaunchTemplate: { LaunchTemplateId, Version } }, Preferences });
    return ended(on, 'web');
  };

  expect((await roll(two)).Status).toBe('Successful');
  expect(await versions('web')).toEqual(['2', '2']);

  expect((await roll(dying)).Status).toBe('RollbackSuccessful');
  expect(await versions('web')).toEqual(['2', '2']);
  expect((await theGroup(on, 'web'))?.LaunchTemplate?.Version).toBe('2');
  const causes = (await activities(on, 'web')).map(({ Cause }) => Cause);
  expect(causes).toContainEqual(expect.stringContaining('an ELB system health check failure'));
});
