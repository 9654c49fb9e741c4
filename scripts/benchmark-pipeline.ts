import { DescribeInstanceRefreshesCommand, StartInstanceRefreshCommand } from '@aws-sdk/client-auto-scaling';
import {
  CopyImageCommand,
  CreateImageCommand,
  CreateLaunchTemplateVersionCommand,
  DescribeImagesCommand,
  DescribeInstancesCommand,
  RunInstancesCommand,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2';
import { DEBIAN, template as exampleTemplate, packerHere } from '../__tests__/dist/build-lab.ts';
import { type RollLab, rollLab } from '../__tests__/dist/roll-lab.ts';
import { setTags } from '../lab/ec2/state.ts';
import { removeWorkspaces, runAction } from '../lab/runner.ts';
import { verdictValue } from '../src/model/verdict.ts';

/**
 * From a push to the fleet, for one change of code, in three regions of ten instances each: a serial script, the pipeline before copies were made during
 * validation, and the pipeline now. All on the lab's clock. Then a push that changes nothing in the image, over the time of a build.
 * `npm run benchmark:pipeline -- [instances per region]`
 *
 * Public figures in lab seconds:
 *   provisioning 240: a Linux stack image takes about four minutes, https://github.com/buildkite/elastic-ci-stack-for-aws/issues/755
 *   snapshot 540, with the fast disk of the template 60: https://github.com/supabase/postgres/pull/2457
 *   replacement of an instance behind a balancer 240: three to five minutes, https://github.com/awslabs/amazon-eks-ami/issues/66
 *   copy into a region 480: no figure is published; the size of an image decides.
 */

const size = Number(process.argv[2] ?? 10);
const SPEED = 30;
const REGIONS = ['eu-central-1', 'eu-west-1', 'us-east-1'] as const;
const [HOME, ...FURTHER] = REGIONS;
const PROVISION = 240;
const [SNAPSHOT, FAST_SNAPSHOT] = [540, 60];
const CHECKS = 120;
const WARM_UP = 180;
const TIMINGS = { boot: 60, statusChecks: 60, agent: 30, copy: 480, shutdown: 60, targetHealth: 10, refreshPatience: 7200 };
const BAKE = '5m';
const TO = { regions: FURTHER.join() };
// The same checkout in every job.
const PUSH = { 'base-image': DEBIAN, template: 'packer' };
const CHECKED = { checks: '[{ service: web }]' };
const ROLL = { environment: 'stage', groups: 'web', bake: BAKE, 'roll-timeout': '6h', ...TO };

type Fleet = Awaited<ReturnType<typeof fleet>>;
type Way = { readonly name: string; readonly snapshot: number; run(fleet: Fleet): Promise<unknown> };
/** Lab seconds of the last build, and real seconds of a push that changed nothing after it. */
const push = { build: 0, unchanged: 0 };

const WAYS: readonly Way[] = [
  { name: 'serial script', snapshot: SNAPSHOT, run: script },
  { name: 'pipeline before', snapshot: SNAPSHOT, run: before },
  { name: 'pipeline now', snapshot: FAST_SNAPSHOT, run: now },
];

try {
  const seconds: number[] = [];
  for (const way of WAYS) {
    seconds.push(await measured(way));
    const ratios = seconds.slice(0, -1).map((other, i) => `${((seconds.at(-1) ?? 0) / other).toFixed(2)} of ${WAYS[i]?.name}`);
    console.log([`${way.name.padEnd(16)} ${((seconds.at(-1) ?? 0) / 60).toFixed(0).padStart(4)} min`, ...ratios].join('  '));
  }
  const ratio = (seconds[2] ?? 0) / (seconds[1] ?? 1);
  console.log(`target: at most 0.60 of the pipeline before: ${ratio <= 0.6 ? 'met' : 'MISSED'}`);
  const share = push.unchanged / push.build;
  console.log(
    `unchanged push  ${push.unchanged.toFixed(1)} s for build, validate and promote: ${share.toFixed(4)} of a build (${push.build.toFixed(0)} s), target 0.02: ${share <= 0.02 ? 'met' : 'MISSED'}`,
  );
} finally {
  removeWorkspaces();
}

async function measured({ snapshot, run }: Way): Promise<number> {
  const made = await fleet(snapshot);
  try {
    const startedAt = made.lab.clock.now();
    const image = await run(made);
    const seconds = (made.lab.clock.now() - startedAt) / 1000;
    if (typeof image === 'string') push.unchanged = await unchangedPush(made, image);
    return seconds;
  } finally {
    await made.lab.close();
  }
}

/** Ten instances in each region, all on an image of before. */
async function fleet(snapshot: number) {
  const l = await rollLab({ speed: SPEED, timings: { ...TIMINGS, image: snapshot } });
  const regions = await Promise.all(
    REGIONS.map(async region => {
      const stage = region === HOME ? l : l.inRegion(region);
      const image = stage.image('web-a');
      const template = await stage.template('web', { ImageId: image });
      const capacity = { DesiredCapacity: size, MaxSize: size * 2, DefaultInstanceWarmup: WARM_UP };
      await stage.group('web', { LaunchTemplateId: template, Version: '1' }, capacity);
      await stage.pointerTo(image);
      return { region, stage, template, image };
    }),
  );
  const unplanned = { lab: l.lab };
  const { fingerprint = '' } = await step('build', unplanned, { ...PUSH, 'dry-run': 'true' });
  const { checks = '' } = await step('validate', unplanned, { ...CHECKED, image: regions[0]?.image ?? '', 'dry-run': 'true' });
  return { ...l, regions, fingerprint, checks };
}

/** Nothing is made and nothing waits, so the real seconds of the three processes are its time. */
async function unchangedPush(all: Fleet, image: string): Promise<number> {
  const startedAt = performance.now();
  const ended = [
    await step('build', all, PUSH),
    await step('validate', all, { ...CHECKED, image, revalidate: 'changed' }),
    await step('promote', all, { image, ...ROLL, pace: 'fast' }),
  ].map(({ outcome }) => outcome);
  if (ended.some(outcome => outcome !== 'unchanged')) throw new Error(`The push changed something: ${ended}`);
  return (performance.now() - startedAt) / 1000;
}

/** The instance that is provisioned and becomes the image. */
async function builder({ cloud, lab, regions: [home] }: Fleet): Promise<string> {
  const { Instances: [made] = [] } = await cloud.ec2.send(
    new RunInstancesCommand({ ImageId: home?.image ?? '', InstanceType: 't3.micro', MinCount: 1, MaxCount: 1 }),
  );
  const id = made?.InstanceId ?? '';
  await running(cloud, lab, id);
  await lab.clock.sleep(PROVISION);
  return id;
}

async function running({ ec2 }: RollLab['cloud'], lab: RollLab['lab'], id: string): Promise<void> {
  const state = async () =>
    (await ec2.send(new DescribeInstancesCommand({ InstanceIds: [id] }))).Reservations?.[0]?.Instances?.[0]?.State?.Name;
  while ((await state()) !== 'running') await lab.clock.sleep(15);
}

async function available({ ec2 }: RollLab['cloud'], lab: RollLab['lab'], id: string): Promise<void> {
  while ((await ec2.send(new DescribeImagesCommand({ ImageIds: [id] }))).Images?.[0]?.State !== 'available') await lab.clock.sleep(15);
}

/** Build, launch once, then region by region: copy, new version of the template, refresh with AWS's defaults. */
async function script(all: Fleet): Promise<void> {
  const { cloud, lab } = all;
  const instance = await builder(all);
  const { ImageId = '' } = await cloud.ec2.send(new CreateImageCommand({ InstanceId: instance, Name: 'web-b' }));
  await available(cloud, lab, ImageId);
  await cloud.ec2.send(new TerminateInstancesCommand({ InstanceIds: [instance] }));
  await launchedOnce(all, ImageId);
  for (const { region, stage, template } of all.regions) {
    const copied =
      region === HOME
        ? ImageId
        : ((await stage.cloud.ec2.send(new CopyImageCommand({ Name: 'web-b', SourceImageId: ImageId, SourceRegion: HOME }))).ImageId ?? '');
    await available(stage.cloud, lab, copied);
    await stage.cloud.ec2.send(
      new CreateLaunchTemplateVersionCommand({ LaunchTemplateId: template, SourceVersion: '1', LaunchTemplateData: { ImageId: copied } }),
    );
    await refreshed(stage.cloud, lab, template);
  }
}

async function refreshed({ autoScaling }: RollLab['cloud'], lab: RollLab['lab'], LaunchTemplateId: string): Promise<void> {
  const { InstanceRefreshId = '' } = await autoScaling.send(
    new StartInstanceRefreshCommand({
      AutoScalingGroupName: 'web',
      DesiredConfiguration: { LaunchTemplate: { LaunchTemplateId, Version: '2' } },
    }),
  );
  const order = { AutoScalingGroupName: 'web', InstanceRefreshIds: [InstanceRefreshId] };
  const status = async () => (await autoScaling.send(new DescribeInstanceRefreshesCommand(order))).InstanceRefreshes?.[0]?.Status;
  for (let now = await status(); now !== 'Successful'; now = await status()) {
    if (!['Pending', 'InProgress', 'Baking'].includes(now ?? '')) throw new Error(`The refresh is ${now}.`);
    await lab.clock.sleep(15);
  }
}

async function step(mode: string, { lab }: Pick<Fleet, 'lab'>, wanted: Readonly<Record<string, string>>) {
  const ran = await runAction({ mode, with: { family: 'web', ...wanted }, lab, files: exampleTemplate(), env: packerHere() });
  if (ran.exitCode !== 0) throw new Error(`${mode}: ${ran.errors.join('\n')}`);
  return ran.outputs;
}

async function built(all: Fleet): Promise<string> {
  const startedAt = all.lab.clock.now();
  const outputs = await step('build', all, { 'from-instance': await builder(all), rebuild: 'always' });
  push.build = (all.lab.clock.now() - startedAt) / 1000;
  const image = outputs['ami-id'] ?? '';
  // What an image of the template has.
  setTags(all.place, image, { 'ami-action:fingerprint': all.fingerprint });
  return image;
}

/** The instances of this lab run nothing: a test instance, the time of its checks, and the verdict. The same in both pipelines. */
async function validated(all: Fleet, image: string): Promise<void> {
  await launchedOnce(all, image);
  const at = new Date(all.lab.clock.now());
  setTags(all.place, image, { 'ami-action:verdict': verdictValue(image, { result: 'passed', checks: all.checks, at }) });
}

async function launchedOnce({ cloud, lab }: Fleet, ImageId: string): Promise<void> {
  const { Instances: [test] = [] } = await cloud.ec2.send(
    new RunInstancesCommand({ ImageId, InstanceType: 't3.micro', MinCount: 1, MaxCount: 1 }),
  );
  await running(cloud, lab, test?.InstanceId ?? '');
  await lab.clock.sleep(CHECKS);
  await cloud.ec2.send(new TerminateInstancesCommand({ InstanceIds: [test?.InstanceId ?? ''] }));
}

/** Each job after the other, and batches of one. */
async function before(all: Fleet): Promise<void> {
  const image = await built(all);
  await validated(all, image);
  await step('share', all, { image, ...TO });
  await step('promote', all, { image, ...ROLL });
}

/** Copies during validation, and one batch of new instances before the old ones go. */
async function now(all: Fleet): Promise<string> {
  const image = await built(all);
  await Promise.all([validated(all, image), step('share', all, { image, ...TO, prepare: 'true' })]);
  await step('share', all, { image, ...TO });
  await step('promote', all, { image, ...ROLL, pace: 'fast' });
  return image;
}
