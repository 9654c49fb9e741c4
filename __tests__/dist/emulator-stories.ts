import { AutoScalingClient, CreateAutoScalingGroupCommand, DescribeAutoScalingGroupsCommand } from '@aws-sdk/client-auto-scaling';
import {
  CreateImageCommand,
  CreateLaunchTemplateCommand,
  CreateTagsCommand,
  DescribeImageAttributeCommand,
  DescribeImagesCommand,
  DescribeInstancesCommand,
  DescribeSubnetsCommand,
  EC2Client,
  RegisterImageCommand,
  RunInstancesCommand,
  waitUntilImageAvailable,
  waitUntilInstanceRunning,
} from '@aws-sdk/client-ec2';
import { GetParameterCommand, PutParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import { verdictValue } from '../../src/model/verdict.ts';
import { type Ran, runAction } from '../harness.ts';
import { packerHere } from './build-lab.ts';
import type { Emulator } from './emulators.ts';

/** One story for each mode, told by the AWS SDK alone, so that it is the same on the lab and on every emulator. */

export interface Story {
  readonly title: string;
  /** The runs. The last one decides: a run that ends otherwise is where the emulator stops. */
  tell(world: World): Promise<void>;
}

/** A run that did not end as it should: its first error, without IDs. */
export class Stopped extends Error {}

export type World = ReturnType<typeof worldOf>;

const BASE = '/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64';

const IDS = /\b(ami|i|lt|sg|snap|vol|subnet|req)-[0-9a-f]{6,17}\b/g;
/** The first line, and the second one where the first only counts. */
export function masked(text: string): string {
  const [first = '', second = ''] = text.split('\n');
  return `${first}${first.endsWith(' failed:') ? ` ${second}` : ''}`
    .replace(IDS, '<$1>')
    .replace(/story-\d+/g, '<group>')
    .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '<id>');
}

export function worldOf(emulator: Emulator, family: string) {
  const { AWS_ENDPOINT_URL: endpoint = '', AWS_REGION: region = '', AWS_ACCESS_KEY_ID: accessKeyId = '' } = emulator.environment;
  const settings = { endpoint, region, credentials: { accessKeyId, secretAccessKey: 'x' }, maxAttempts: 1 };
  const [ec2, autoScaling, ssm] = [new EC2Client(settings), new AutoScalingClient(settings), new SSMClient(settings)];
  const pointer = `/ami/${family}/stage`;
  let made = 0;
  let builder: string | undefined;
  const world = {
    ...{ family, pointer, ec2, ssm, account: emulator.account },
    async run(mode: string, wanted: Record<string, string>, outcome: string, files: Record<string, string> = {}): Promise<Ran> {
      const ran = await runAction({
        mode,
        with: mode === 'doctor' ? wanted : { family, ...wanted },
        files,
        env: { ...packerHere(), ...emulator.environment, GITHUB_SHA: 'a'.repeat(40) },
      });
      if (ran.outputs['outcome'] !== outcome) throw new Stopped(masked(ran.errors[0] ?? `outcome ${ran.outputs['outcome']}`));
      return ran;
    },
    base: async (): Promise<string> => (await ssm.send(new GetParameterCommand({ Name: BASE }))).Parameter?.Value ?? '',
    /** Without tags. Of an instance, or registered where the emulator has no CreateImage. */
    async untagged(): Promise<string> {
      made += 1;
      const Name = `${family}-${made}`;
      const create = async () => {
        builder ??= await world.instance(await world.base());
        return ec2.send(new CreateImageCommand({ InstanceId: builder, Name, NoReboot: true }));
      };
      const register = () =>
        ec2.send(
          new RegisterImageCommand({
            ...{ Name, Architecture: 'x86_64', VirtualizationType: 'hvm', RootDeviceName: '/dev/xvda' },
            BlockDeviceMappings: [{ DeviceName: '/dev/xvda', Ebs: { VolumeSize: 8 } }],
          }),
        );
      const { ImageId = '' } = await create().catch(register);
      await waitUntilImageAvailable({ client: ec2, maxWaitTime: 60, minDelay: 1, maxDelay: 1 }, { ImageIds: [ImageId] });
      return ImageId;
    },
    /** Of the family, and passed: the newest. */
    async image(): Promise<string> {
      const ImageId = await world.untagged();
      const verdict = verdictValue(ImageId, { result: 'passed', checks: '0'.repeat(32), at: new Date() });
      const createdAt = new Date(Date.now() + made * 1000).toISOString();
      await world.tag(ImageId, { family, verdict, 'created-at': createdAt, commit: String(made).repeat(40).slice(0, 40) });
      return ImageId;
    },
    tag: (id: string, tags: Record<string, string>) =>
      ec2.send(
        new CreateTagsCommand({
          Resources: [id],
          Tags: Object.entries(tags).map(([key, Value]) => ({ Key: `ami-action:${key}`, Value })),
        }),
      ),
    async instance(ImageId: string): Promise<string> {
      const { Instances: [one] = [] } = await ec2.send(
        new RunInstancesCommand({ ImageId, InstanceType: 't3.micro', MinCount: 1, MaxCount: 1 }),
      );
      const InstanceId = one?.InstanceId ?? '';
      await waitUntilInstanceRunning({ client: ec2, maxWaitTime: 60, minDelay: 1, maxDelay: 1 }, { InstanceIds: [InstanceId] });
      return InstanceId;
    },
    /** A group of two that launches the image. */
    async group(ImageId: string): Promise<void> {
      const { Subnets = [] } = await ec2.send(new DescribeSubnetsCommand({}));
      const { LaunchTemplate } = await ec2.send(
        new CreateLaunchTemplateCommand({ LaunchTemplateName: family, LaunchTemplateData: { ImageId, InstanceType: 't3.micro' } }),
      );
      await autoScaling.send(
        new CreateAutoScalingGroupCommand({
          ...{ AutoScalingGroupName: family, MinSize: 0, MaxSize: 4, DesiredCapacity: 2 },
          LaunchTemplate: { LaunchTemplateId: LaunchTemplate?.LaunchTemplateId ?? '', Version: '1' },
          VPCZoneIdentifier: Subnets[0]?.SubnetId ?? '',
        }),
      );
      for (let looks = 0; looks < 100 && (await world.members()).length < 2; looks += 1) await new Promise(wake => setTimeout(wake, 100));
    },
    async members(): Promise<readonly string[]> {
      const { AutoScalingGroups: groups = [] } = await autoScaling.send(
        new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [family, `${family}-green`] }),
      );
      return groups.flatMap(({ Instances = [] }) =>
        Instances.flatMap(({ InstanceId, LifecycleState }) =>
          InstanceId !== undefined && LifecycleState === 'InService' ? [InstanceId] : [],
        ),
      );
    },
    async served(): Promise<readonly string[]> {
      const InstanceIds = [...(await world.members())];
      const { Reservations = [] } = await ec2.send(new DescribeInstancesCommand({ InstanceIds }));
      return Reservations.flatMap(({ Instances = [] }) => Instances.map(({ ImageId = '' }) => ImageId));
    },
    async launchers(ImageId: string): Promise<readonly string[]> {
      const asked = { ImageId, Attribute: 'launchPermission' } as const;
      const { LaunchPermissions = [] } = await ec2.send(new DescribeImageAttributeCommand(asked));
      return LaunchPermissions.flatMap(({ UserId = [] }) => UserId);
    },
    async images(): Promise<readonly string[]> {
      const Filters = [{ Name: 'tag:ami-action:family', Values: [family] }];
      const { Images = [] } = await ec2.send(new DescribeImagesCommand({ Owners: ['self'], Filters }));
      return Images.map(({ ImageId = '' }) => ImageId).sort();
    },
    pointTo: (Value: string) => ssm.send(new PutParameterCommand({ Name: pointer, Value, Type: 'String', Overwrite: true })),
    pointed: async (): Promise<string> =>
      ssm.send(new GetParameterCommand({ Name: pointer })).then(
        ({ Parameter }) => Parameter?.Value ?? '',
        () => 'none',
      ),
  };
  return world;
}

function equal(what: string, actual: unknown, wanted: unknown): void {
  const [got, must] = [JSON.stringify(actual), JSON.stringify(wanted)];
  if (got !== must) throw new Stopped(masked(`The run ended as it should, but ${what} is ${got}, must be ${must}.`));
}

const TEMPLATE = (source: string) => ({
  'packer/image.pkr.hcl': `
    variable "ami_name" { type = string }
    variable "ami_tags" { type = map(string) }
    variable "run_tags" { type = map(string) }
    source "amazon-ebs" "web" {
      ami_name        = var.ami_name
      source_ami      = "${source}"
      instance_type   = "t3.micro"
      communicator    = "none"
      skip_metadata_api_check = true
      tags            = var.ami_tags
      snapshot_tags   = var.ami_tags
      run_tags        = var.run_tags
      run_volume_tags = var.run_tags
    }
    build { sources = ["source.amazon-ebs.web"] }`,
});

const stage = { environment: 'stage', bake: '1m', 'roll-timeout': '30m' };
const PRUNE = { 'keep-newest': '1', 'keep-passed': '1', 'minimum-age': '0s', 'min-in-use': '0', 'rollback-depth': '0' };

/** Two images, the first one in a group and named by the pointer. */
async function served(world: World): Promise<readonly [string, string]> {
  const images = [await world.image(), await world.image()] as const;
  await world.group(images[0]);
  await world.pointTo(images[0]);
  return images;
}

async function promoteAndBack(world: World, settings: Record<string, string>): Promise<void> {
  const [first, second] = await served(world);
  const wanted = { ...stage, ...settings, groups: world.family };
  await world.run('promote', { ...wanted, image: second }, 'done');
  equal('the pointer', await world.pointed(), second);
  equal('the group', await world.served(), [second, second]);
  await world.run('rollback', wanted, 'done');
  equal('the pointer', await world.pointed(), first);
}

export const STORIES: readonly Story[] = [
  {
    title: 'build, with Packer',
    async tell(world) {
      // moto answers CreateImage with status 500, and Packer's client repeats it for minutes of real time.
      await world.run('build', { timeout: '12h' }, 'done', TEMPLATE(await world.base()));
    },
  },
  {
    title: 'build, from an instance',
    async tell(world) {
      const instance = await world.instance(await world.base());
      const wanted = { 'from-instance': instance };
      await world.run('build', wanted, 'done');
      await world.run('build', wanted, 'unchanged');
    },
  },
  {
    title: 'validate',
    async tell(world) {
      const ran = await world.run('validate', { image: await world.image(), checks: '- command: "true"', revalidate: 'always' }, 'done');
      equal('the verdict', ran.outputs['verdict'], 'passed');
    },
  },
  {
    title: 'doctor',
    async tell(world) {
      await served(world);
      // It reads what the other modes would be told.
      const file = `family: ${world.family}\nenvironments:\n  stage: { groups: [${world.family}] }\n`;
      const { outputs } = await world.run('doctor', { environment: 'stage' }, 'unchanged', { '.github/ami.yml': file });
      equal('the number of problems', outputs['problems'], '0');
    },
  },
  {
    title: 'adopt',
    async tell(world) {
      const image = await world.untagged();
      await world.run('adopt', { images: image, 'dry-run': 'false' }, 'done');
      equal('the family', await world.images(), [image]);
    },
  },
  {
    title: 'list',
    async tell(world) {
      await world.image();
      const { outputs } = await world.run('list', {}, 'unchanged');
      equal('the number of images', outputs['count'], '1');
    },
  },
  {
    title: 'resolve',
    async tell(world) {
      const [first, second] = [await world.image(), await world.image()];
      await world.pointTo(first);
      for (const [image, found] of [
        ['latest', second],
        [`commit:${'1'.repeat(40)}`, first],
        ['environment:stage', first],
      ] as const)
        equal(image, (await world.run('resolve', { image }, 'done')).outputs['ami-id'], found);
    },
  },
  {
    title: 'share, with an account',
    async tell(world) {
      const image = await world.image();
      const wanted = { image, accounts: '444455556666' };
      await world.run('share', wanted, 'done');
      equal('the launch permission', await world.launchers(image), ['444455556666']);
      await world.run('share', wanted, 'unchanged');
    },
  },
  {
    title: 'share, to a region',
    async tell(world) {
      await world.run('share', { image: await world.image(), regions: 'eu-west-1' }, 'done');
    },
  },
  {
    title: 'promote and rollback, pointer only',
    async tell(world) {
      const [first, second] = [await world.image(), await world.image()];
      const wanted = { ...stage, strategy: 'none' };
      await world.run('promote', { ...wanted, image: first }, 'done');
      await world.run('promote', { ...wanted, image: second }, 'done');
      await world.run('rollback', wanted, 'done');
      equal('the pointer', await world.pointed(), first);
    },
  },
  { title: 'promote and rollback, rolling', tell: world => promoteAndBack(world, {}) },
  { title: 'promote and rollback, blue-green', tell: world => promoteAndBack(world, { strategy: 'blue-green' }) },
  {
    title: 'prune, dry run',
    async tell(world) {
      await served(world);
      await world.run('prune', PRUNE, 'planned');
    },
  },
  {
    title: 'prune',
    async tell(world) {
      const [first, second] = await served(world);
      const third = await world.image();
      await world.run('prune', { ...PRUNE, 'dry-run': 'false' }, 'done');
      equal('what remains', await world.images(), [first, third].sort());
      equal('what is gone', second === third, false);
    },
  },
  {
    title: 'delete',
    async tell(world) {
      const [first, second] = await served(world);
      await world.run('delete', { image: second, 'dry-run': 'false' }, 'done');
      equal('what remains', await world.images(), [first]);
    },
  },
];
