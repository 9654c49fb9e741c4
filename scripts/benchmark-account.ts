// A large account, written directly into the state of a lab.
import { AutoScalingClient, CreateAutoScalingGroupCommand } from '@aws-sdk/client-auto-scaling';
import { images, neighbours, snapshots } from '../lab/ec2/images.ts';
import { templates } from '../lab/ec2/launch-template-state.ts';
import { network } from '../lab/ec2/network.ts';
import { instances, type LabInstance, setTags } from '../lab/ec2/state.ts';
import type { Lab } from '../lab/lab.ts';
import type { Place } from '../lab/place.ts';
import { parameters } from '../lab/ssm/parameter-state.ts';

export const FAMILY = 'web';
export const SIZE = { images: 10_000, templates: 500, versions: 100, groups: 300, instances: 2000 } as const;

const DAY_MS = 86_400_000;
const idOf = (kind: string, n: number, part = 0) => `${kind}-${(n * 16 + part + 16).toString(16).padStart(17, '0')}`;

/** The same in every run: a small linear generator. */
function dice(seed_: number): (sides: number) => number {
  let state = seed_;
  return sides => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state % sides;
  };
}

export async function seed(lab: Lab): Promise<void> {
  const place = lab.place();
  const roll = dice(7);
  for (let n = 0; n < SIZE.images; n++) putImage(place, n, new Date(lab.clock.now() - (SIZE.images - n) * DAY_MS * 0.05 - 2 * DAY_MS));
  for (let n = 0; n < SIZE.templates; n++) putTemplate(place, n, () => idOf('ami', roll(SIZE.images)));
  for (let n = 0; n < SIZE.instances; n++) putInstance(place, n, idOf('ami', roll(SIZE.images)));
  await putGroups(lab, roll);
  putPointer(
    place,
    '/ami/web/prod',
    [1, 2, 3, 4].map(n => idOf('ami', SIZE.images - n * 100)),
  );
}

export const POINTED = (lab: Lab): string[] =>
  [...parameters(lab.place()).values()].flatMap(({ versions }) => versions.map(({ value }) => value));

function putImage(place: Place, n: number, createdAt: Date): void {
  const base = neighbours(place).flatMap(owner => [...images(owner).values()])[0];
  if (base === undefined) throw new Error('no base image');
  const id = idOf('ami', n);
  const volume = { sizeGiB: 8, volumeType: 'gp3', deleteOnTermination: true, encrypted: false } as const;
  const devices = [0, 1].map(part => ({ device: `/dev/xvd${part === 0 ? 'a' : 'b'}`, snapshotId: idOf('snap', n, part), ...volume }));
  const plain = { launchers: new Set<string>(), protection: { enabled: false, cooldown: false, until: undefined } };
  images(place).set(id, { ...base, ...plain, ...{ id, place, name: `web-${n}`, createdAt, devices } });
  for (const { snapshotId } of devices) {
    const shown = {
      id: snapshotId,
      place,
      volumeId: 'vol-1',
      description: '',
      sizeGiB: 8,
      startedAt: createdAt,
      state: 'completed' as const,
    };
    snapshots(place).set(snapshotId, {
      ...shown,
      ...{ stateMessage: '', encrypted: false, kmsKeyId: undefined, readers: new Set(), disk: undefined },
    });
    setTags(place, snapshotId, { 'ami-action:family': FAMILY });
  }
  setTags(place, id, { 'ami-action:family': FAMILY, 'ami-action:commit': n.toString(16).padStart(40, '0') });
}

function putTemplate(place: Place, n: number, anImage: () => string): void {
  const id = idOf('lt', n);
  const made = { createdAt: place.core.clock.date(), createdBy: 'arn:aws:iam::111122223333:root' };
  const versions = new Map(
    Array.from({ length: SIZE.versions }, (_, v) => [
      v + 1,
      { number: v + 1, description: undefined, ...made, data: { ImageId: anImage(), InstanceType: 't3.micro' as const } },
    ]),
  );
  templates(place).set(id, { id, name: `web-${n}`, ...made, defaultVersion: 1, lastNumber: SIZE.versions, versions });
}

function putInstance(place: Place, n: number, imageId: string): void {
  const [subnet] = network(place).subnets.values();
  const at = place.core.clock.date();
  const instance: LabInstance = {
    ...{ id: idOf('i', n), place, reservationId: idOf('r', n), launchIndex: 0, imageId, type: 't3.micro', architecture: 'x86_64' },
    ...{
      state: n % 4 === 0 ? 'stopped' : 'running',
      stateReason: undefined,
      transition: '',
      launchedAt: at,
      changedAt: at,
      impaired: false,
    },
    ...{ subnetId: subnet?.id ?? '', vpcId: '', zone: `${place.region}a`, address: '127.10.0.1', keyName: undefined, groupIds: [] },
    ...{
      profileArn: undefined,
      userData: undefined,
      shutdownBehavior: 'stop',
      terminationProtected: false,
      stopProtected: false,
      metadata: {},
    },
    ...{ rootDevice: '/dev/xvda', volumeIds: [], clientToken: undefined, disk: undefined, guest: undefined, oldConsole: '' },
  };
  instances(place).set(instance.id, instance);
}

/** Each pins some version, most of them neither default nor newest. */
async function putGroups(lab: Lab, roll: (sides: number) => number): Promise<void> {
  const { AWS_ACCESS_KEY_ID: accessKeyId = '', AWS_REGION: region = '' } = lab.environment();
  const autoScaling = new AutoScalingClient({ endpoint: lab.url, region, credentials: { accessKeyId, secretAccessKey: 'x' } });
  const [subnet] = network(lab.place()).subnets.values();
  for (let n = 0; n < SIZE.groups; n++) {
    const LaunchTemplate = { LaunchTemplateId: idOf('lt', roll(SIZE.templates)), Version: String(2 + roll(SIZE.versions - 2)) };
    const size = { MinSize: 0, MaxSize: 0, DesiredCapacity: 0, VPCZoneIdentifier: subnet?.id };
    await autoScaling.send(new CreateAutoScalingGroupCommand({ AutoScalingGroupName: `web-${n}`, LaunchTemplate, ...size }));
  }
}

function putPointer(place: Place, name: string, values: readonly string[]): void {
  const said = { type: 'String' as const, dataType: 'aws:ec2:image', description: undefined, tier: 'Standard' as const, keyId: undefined };
  const versions = values.map((value, n) => ({
    ...said,
    ...{ version: n + 1, value, allowedPattern: undefined, writtenAt: place.core.clock.date(), writtenBy: '', labels: new Set<string>() },
  }));
  parameters(place).set(name, { name, arn: `arn:aws:ssm:${place.region}:${place.account}:parameter${name}`, versions, tags: new Map() });
}
