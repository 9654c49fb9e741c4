import { DescribeTargetHealthCommand } from '@aws-sdk/client-elastic-load-balancing-v2';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { guestOf, instances } from '../../lab/ec2/state.ts';
import { bakeImage } from './baked-image.ts';
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

/** Real machines: a load balancer checks a real service on a real port, and a service that dies fails the refresh. */

let on: Stage;

beforeAll(async () => {
  on = await stage({ speed: 60, machines: 'sandbox', timings: { refreshPatience: 240 } });
});

afterAll(() => on.close());

function machine(id: string) {
  const found = instances(on.lab.place()).get(id);
  if (found === undefined) throw new Error(`there is no ${id}`);
  return found;
}

/** The version that the instances themselves report. */
async function versions(group: string): Promise<readonly string[]> {
  const serving = ((await theGroup(on, group))?.Instances ?? []).filter(({ LifecycleState }) => LifecycleState === 'InService');
  const ids = serving.map(({ InstanceId = '' }) => InstanceId);
  const said = ids.map(async id => (await guestOf(machine(id))?.exec(['cat', '/opt/app/version']))?.stdout.trim() ?? 'nothing');
  return (await Promise.all(said)).sort();
}

test('a working service is rolled out; one that dies after the boot is rolled back, and the instances run the earlier image', async () => {
  const base = await anImage(on, 'base');
  const [one, two, dying] = await Promise.all([
    bakeImage(on, base, '1'),
    bakeImage(on, base, '2'),
    bakeImage(on, base, '3', '/usr/bin/timeout 1'),
  ]);
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
