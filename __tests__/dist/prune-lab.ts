import { AutoScalingClient, CreateAutoScalingGroupCommand } from '@aws-sdk/client-auto-scaling';
import { CreateLaunchTemplateCommand, DescribeSubnetsCommand, EC2Client } from '@aws-sdk/client-ec2';
import { PutParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import { images, neighbours, snapshots } from '../../lab/ec2/images.ts';
import { mishaps } from '../../lab/ec2/mishaps.ts';
import { type LabImage, setTags, tagsOf } from '../../lab/ec2/state.ts';
import { newId } from '../../lab/ids.ts';
import { startLab } from '../../lab/lab.ts';
import { paperHypervisor } from '../../lab/machines/paper.ts';
import type { Place } from '../../lab/place.ts';
import { verdictValue } from '../../src/model/verdict.ts';
import { type Order, type Ran, runAction } from '../harness.ts';

/** A lab whose account holds images of every age, which their names say, on paper machines. Pages hold two items, so that a reader of one page misses most. */

const DAY_MS = 86_400_000;

export interface Kept {
  readonly daysOld: number;
  readonly tags?: Readonly<Record<string, string>>;
  readonly passed?: boolean;
  /** Without the tags of the action, as before it was used. */
  readonly untagged?: boolean;
  readonly change?: Partial<LabImage>;
  /** Names of images whose snapshot it has, instead of one of its own. */
  readonly snapshotOf?: string;
  readonly region?: string;
  readonly account?: string;
}

export async function pruneLab({ pageSize = 2 as number | undefined, speed = 600 } = {}) {
  const lab = await startLab({ machines: paperHypervisor(), speed });
  const home = lab.place();
  mishaps(home).pageSize = pageSize;
  const cloudOf = (account: string) => {
    const credentials = { accessKeyId: lab.environment({ account })['AWS_ACCESS_KEY_ID'] ?? '', secretAccessKey: 'x' };
    const settings = { endpoint: lab.url, region: home.region, credentials };
    return { ec2: new EC2Client(settings), autoScaling: new AutoScalingClient(settings), ssm: new SSMClient(settings) };
  };
  const cloud = cloudOf(home.account);
  const ids = new Map<string, string>();
  const id = (name: string): string => ids.get(name) ?? `ami-of-${name}-does-not-exist`;
  const nameOf = (of: string): string => [...ids].find(([, known]) => known === of)?.[0] ?? of;
  const registered = (place: Place) => [...images(place).values()].filter(({ state }) => state !== 'deregistered');
  return {
    lab,
    home,
    cloud,
    cloudOf,
    id,
    /** A text with names instead of IDs. */
    named: (text: string): string => text.replace(/ami-[0-9a-f]{17}/g, nameOf),
    image(name: string, { daysOld, tags = {}, passed = false, untagged = false, change = {}, snapshotOf, region, account }: Kept): string {
      const place = lab.place(account ?? home.account, region ?? home.region);
      const made = newId('ami');
      ids.set(name, made);
      const snapshotId = snapshotOf === undefined ? `snap-${made.slice('ami-'.length)}` : `snap-${id(snapshotOf).slice('ami-'.length)}`;
      const createdAt = new Date(lab.clock.now() - daysOld * DAY_MS);
      images(place).set(made, { ...basedOn(place), ...{ id: made, place, name, createdAt, devices: [device(snapshotId)] }, ...change });
      const snapshot = {
        id: snapshotId,
        place,
        volumeId: 'vol-1',
        description: `Created by CreateImage for ${made}`,
        sizeGiB: 8,
        startedAt: createdAt,
      };
      snapshots(place).set(snapshotId, {
        ...snapshot,
        ...{ state: 'completed', stateMessage: '', encrypted: false, kmsKeyId: undefined },
        readers: new Set(),
        disk: () => lab.core.hypervisor.baseDisk(),
      });
      const verdict = passed
        ? { 'ami-action:verdict': verdictValue(made, { result: 'passed', checks: 'a'.repeat(32), at: new Date() }) }
        : {};
      const identity = { 'ami-action:family': 'web', 'ami-action:commit': made.slice(-16), ...verdict, ...tags };
      for (const thing of [made, snapshotId]) setTags(place, thing, untagged ? tags : identity);
      return made;
    },
    /** Names of the images that are there, oldest first. */
    there: (place: Place = home): string[] =>
      registered(place)
        .sort((a, b) => a.createdAt.getTime() - b.createdAt.getTime())
        .map(({ name }) => name),
    /** Snapshots that no image has. */
    orphans: (place: Place = home): string[] => {
      const held = registered(place).flatMap(({ devices }) => devices.map(({ snapshotId }) => snapshotId));
      return [...snapshots(place).keys()].filter(one => !held.includes(one));
    },
    labImage: (name: string): LabImage => images(home).get(id(name)) as LabImage,
    tags: (name: string) => tagsOf(home, id(name)),
    async parameter(name: string, ...values: readonly string[]): Promise<void> {
      for (const Value of values) {
        await cloud.ssm.send(new PutParameterCommand({ Name: name, Value, Type: 'String', Overwrite: true }));
      }
    },
    /** Launches nothing yet, from version 1 of a template of its name. */
    async group(name: string, imageId: string): Promise<void> {
      const { Subnets = [] } = await cloud.ec2.send(new DescribeSubnetsCommand({}));
      const LaunchTemplateData = { ImageId: imageId, InstanceType: 't3.micro' as const };
      await cloud.ec2.send(new CreateLaunchTemplateCommand({ LaunchTemplateName: name, LaunchTemplateData }));
      await cloud.autoScaling.send(
        new CreateAutoScalingGroupCommand({
          ...{ AutoScalingGroupName: name, MinSize: 0, MaxSize: 1, VPCZoneIdentifier: Subnets[0]?.SubnetId },
          LaunchTemplate: { LaunchTemplateName: name, Version: '1' },
        }),
      );
    },
    act: (
      mode: 'prune' | 'delete' | 'list' | 'adopt' | 'resolve' | 'rollback',
      wanted: Readonly<Record<string, string>> = {},
      more: Partial<Order> = {},
    ): Promise<Ran> => runAction({ mode, with: { family: 'web', ...wanted }, lab, ...more }),
  };
}

export type PruneLab = Awaited<ReturnType<typeof pruneLab>>;

function basedOn(place: Place): LabImage {
  const base = neighbours(place)
    .flatMap(owner => [...images(owner).values()])
    .find(({ architecture, launchers }) => architecture === 'x86_64' && launchers.has('all'));
  if (base === undefined) throw new Error('no base image');
  return { ...base, launchers: new Set(), protection: { enabled: false, cooldown: false, until: undefined } };
}

const device = (snapshotId: string): LabImage['devices'][number] => ({
  device: '/dev/xvda',
  snapshotId,
  sizeGiB: 8,
  volumeType: 'gp3',
  deleteOnTermination: true,
  encrypted: false,
});

export const POLICY = { 'keep-newest': '2', 'keep-passed': '0' };
export const REAL = { ...POLICY, 'dry-run': 'false' };

/** Five images, 10 to 50 days old; prod runs the oldest but one. By `POLICY` d30 and d50 go. */
export async function familyOfFive({ speed = 600 } = {}): Promise<PruneLab> {
  const l = await pruneLab({ speed });
  for (const daysOld of [10, 20, 30, 40, 50]) l.image(`d${daysOld}`, { daysOld });
  await l.parameter('/ami/web/prod', l.id('d40'));
  return l;
}

/** Runs something when the plan for the family of five is made, before any call of the second look. Its last answers come in any order. */
export function afterThePlan({ lab }: PruneLab, run: () => unknown): void {
  const answered = (name: string) => lab.calls.all().filter(({ operation, outcome }) => operation === name && outcome === 'ok').length;
  const isMade = () => answered('DescribeImageAttribute') >= 2 && answered('DescribeImageReferences') >= 1;
  let done: Promise<unknown> | undefined;
  const once = async () => {
    done ??= Promise.resolve(run());
    await done;
  };
  lab.faults.add({ when: ({ client }) => client.includes('ami-action/') && isMade(), action: { run: once, at: 'before' } });
}

/** The plan of a run: name -> action and reason, with names instead of IDs. */
export const planOf = (l: PruneLab, ran: Ran): Record<string, string> =>
  Object.fromEntries(
    (JSON.parse(ran.outputs['plan'] ?? '[]') as { id: string; action: string; reason: string }[]).map(({ id, action, reason }) => [
      l.named(id),
      l.named(`${action}: ${reason}`),
    ]),
  );
