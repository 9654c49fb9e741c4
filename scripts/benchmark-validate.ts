import {
  CreateTagsCommand,
  DescribeInstancesCommand,
  EC2Client,
  RunInstancesCommand,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2';
import { DescribeInstanceInformationCommand, GetCommandInvocationCommand, SendCommandCommand, SSMClient } from '@aws-sdk/client-ssm';
import { images, neighbours } from '../lab/ec2/images.ts';
import { type Lab, startLab } from '../lab/lab.ts';
import { removeWorkspaces, runAction } from '../lab/runner.ts';

/**
 * Cost of validation in calls and seconds: all checks in one command, compared with a script that sends one command per check, on the same lab and image. `npm run benchmark:validate -- [how many checks]`
 */

const count = Number(process.argv[2] ?? 50);
const SPEED = 20;
const POLL_SECONDS = 2;

interface Cost {
  readonly way: string;
  readonly calls: number;
  readonly commands: number;
  readonly seconds: number;
}

const lab = await startLab({ speed: SPEED, hostManagement: true });
try {
  const image = aBaseImage(lab);
  const costs = [await measured('one command per check', () => oneByOne(image)), await measured('ami-action', () => together(image))];
  for (const { way, calls, commands, seconds } of costs) {
    console.log(
      `${way.padEnd(22)} ${String(count).padStart(4)} checks ${String(commands).padStart(4)} commands ${String(calls).padStart(5)} calls ${seconds.toFixed(0).padStart(5)} s`,
    );
  }
} finally {
  await lab.close();
  removeWorkspaces();
}

async function measured(way: string, work: () => Promise<void>): Promise<Cost> {
  const [mark, startedAt] = [lab.calls.mark(), lab.clock.now()];
  await work();
  const seconds = (lab.clock.now() - startedAt) / 1000;
  return { way, seconds, calls: lab.calls.since(mark).length, commands: lab.calls.count('SendCommand', mark) };
}

async function together(image: string): Promise<void> {
  const checks = Array.from({ length: count }, (_, i) => `- {name: c${i}, command: test -d /etc}`).join('\n');
  const ran = await runAction({ mode: 'validate', with: { family: 'web', image, checks, require: 'imds-v2' }, lab });
  if (ran.outputs['verdict'] !== 'passed') throw new Error(ran.log);
}

/** Launch, wait for running, wait for the agent, then a command for each check and a look every two seconds. */
async function oneByOne(image: string): Promise<void> {
  const access = {
    endpoint: lab.url,
    region: lab.place().region,
    credentials: { accessKeyId: lab.environment()['AWS_ACCESS_KEY_ID'] ?? '', secretAccessKey: 'x' },
  };
  const [ec2, ssm] = [new EC2Client(access), new SSMClient(access)];
  const { Instances: [instance] = [] } = await ec2.send(
    new RunInstancesCommand({ ImageId: image, InstanceType: 't3.micro', MinCount: 1, MaxCount: 1 }),
  );
  const InstanceIds = [instance?.InstanceId ?? ''];
  await until(
    async () =>
      (await ec2.send(new DescribeInstancesCommand({ InstanceIds }))).Reservations?.[0]?.Instances?.[0]?.State?.Name === 'running',
  );
  const Filters = [{ Key: 'InstanceIds', Values: InstanceIds }];
  await until(
    async () => (await ssm.send(new DescribeInstanceInformationCommand({ Filters }))).InstanceInformationList?.[0]?.PingStatus === 'Online',
  );
  for (let check = 0; check < count; check += 1) {
    const { Command } = await ssm.send(
      new SendCommandCommand({ InstanceIds, DocumentName: 'AWS-RunShellScript', Parameters: { commands: ['test -d /etc'] } }),
    );
    const order = { CommandId: Command?.CommandId ?? '', InstanceId: InstanceIds[0] ?? '' };
    await until(async () => (await ssm.send(new GetCommandInvocationCommand(order)).catch(() => undefined))?.Status === 'Success');
  }
  await ec2.send(new TerminateInstancesCommand({ InstanceIds }));
  await ec2.send(new CreateTagsCommand({ Resources: [image], Tags: [{ Key: 'Validated', Value: 'true' }] }));
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  do await lab.clock.sleep(POLL_SECONDS);
  while (!(await isSo()));
}

function aBaseImage({ place }: Lab): string {
  const all = neighbours(place()).flatMap(owner => [...images(owner).values()]);
  const found = all.find(({ architecture, launchers }) => architecture === 'x86_64' && launchers.has('all'));
  if (found === undefined) throw new Error('no base image');
  return found.id;
}
