import { CreateImageCommand, EC2Client, RunInstancesCommand, TerminateInstancesCommand } from '@aws-sdk/client-ec2';
import { SSMClient } from '@aws-sdk/client-ssm';
import { images, neighbours } from '../../lab/ec2/images.ts';
import { mishaps } from '../../lab/ec2/mishaps.ts';
import { instances, type LabInstance, setTags, tagsOf } from '../../lab/ec2/state.ts';
import { startLab } from '../../lab/lab.ts';
import type { Timings } from '../../lab/timings.ts';
import { type Order, type Ran, runAction } from '../harness.ts';

/** A lab with images of the family "web" that were made of real machines, and mode validate on them. */

export async function validateLab({ speed = 60, timings = {} }: { speed?: number; timings?: Partial<Timings> } = {}) {
  // Its instances have no profile unless a test sets one.
  const lab = await startLab({ speed, timings, hostManagement: true });
  const home = lab.place();
  const credentials = { accessKeyId: lab.environment()['AWS_ACCESS_KEY_ID'] ?? '', secretAccessKey: 'x' };
  const ec2 = new EC2Client({ endpoint: lab.url, region: home.region, credentials });
  const ssm = new SSMClient({ endpoint: lab.url, region: home.region, credentials });
  const all = () => [...instances(home).values()];
  const imageOf = (id: string) => images(home).get(id);
  return {
    lab,
    home,
    ec2,
    ssm,
    mishaps: mishaps(home),
    all,
    /** Machines that cost money. */
    alive: (): readonly LabInstance[] => all().filter(({ state }) => state !== 'terminated' && state !== 'shutting-down'),
    imageOf,
    tagsOf: (id: string) => tagsOf(home, id),
    snapshotOf: (id: string) => imageOf(id)?.devices[0]?.snapshotId ?? '',
    base: (architecture: 'x86_64' | 'arm64') => baseImage(home, architecture),
    /** An image of a machine on which this was run, as root. */
    async bake(name: string, change = 'true', tags: Readonly<Record<string, string>> = OURS): Promise<string> {
      const ImageId = baseImage(home, 'x86_64');
      const { Instances: [launched] = [] } = await ec2.send(
        new RunInstancesCommand({ ImageId, InstanceType: 't3.micro', MinCount: 1, MaxCount: 1 }),
      );
      const id = launched?.InstanceId ?? '';
      await until(() => instances(home).get(id)?.guest !== undefined && instances(home).get(id)?.state === 'running');
      const done = await instances(home)
        .get(id)
        ?.guest?.exec(['sh', '-ec', `${change}\n${CLEAN}`]);
      if (done?.exitCode !== 0) throw new Error(`${name} could not be made: ${done?.stderr}`);
      const { ImageId: made = '' } = await ec2.send(new CreateImageCommand({ InstanceId: id, Name: name, NoReboot: true }));
      await until(() => imageOf(made)?.state !== 'pending');
      for (const one of [made, ...(imageOf(made)?.devices ?? []).flatMap(({ snapshotId }) => snapshotId ?? [])]) setTags(home, one, tags);
      await ec2.send(new TerminateInstancesCommand({ InstanceIds: [id] }));
      return made;
    },
    validate: (image: string, wanted: Readonly<Record<string, string>> = {}, more: Partial<Order> = {}): Promise<Ran> =>
      runAction({ mode: 'validate', with: { family: 'web', image, checks: '- command: "true"', ...wanted }, lab, ...more }),
  };
}

export type ValidateLab = Awaited<ReturnType<typeof validateLab>>;

const OURS = { 'ami-action:family': 'web', 'ami-action:repository': 'acme/web' };

/** What the last script of a template does. */
const CLEAN = 'rm -f /etc/ssh/ssh_host_*; cloud-init clean --logs; : > /etc/machine-id';

function baseImage(home: Parameters<typeof neighbours>[0], architecture: 'x86_64' | 'arm64'): string {
  const found = neighbours(home)
    .flatMap(owner => [...images(owner).values()])
    .find(image => image.architecture === architecture && image.launchers.has('all'));
  if (found === undefined) throw new Error(`no ${architecture} base image`);
  return found.id;
}

export async function until(isSo: () => boolean, seconds = 30): Promise<void> {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; ) {
    if (isSo()) return;
    await new Promise(done => setTimeout(done, 20));
  }
  throw new Error('it did not come to that in time');
}

/** The run's report: every machine with its checks. */
export const reportOf = (ran: Ran) =>
  JSON.parse(ran.outputs['report'] ?? '{}') as {
    verdict: string;
    instances: {
      instanceType: string;
      result: string;
      reason: string;
      timeline: { name: string; seconds: number }[];
      checks: { name: string; ending: string; reason: string }[];
    }[];
  };
