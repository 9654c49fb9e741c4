import type { _InstanceType, ImageState, InstanceMetadataOptionsResponse, InstanceStateName, VolumeType } from '@aws-sdk/client-ec2';
import type { Disk, Guest } from '../machines/hypervisor.ts';
import { type Place, slice } from '../place.ts';
import { mishaps } from './mishaps.ts';

/** EC2 state of one account in one region. Other folders may read it, and change it through the functions of this folder. */

export interface LabImage {
  readonly id: string;
  /** Account and region of the image; `place.account` owns it. */
  readonly place: Place;
  readonly name: string;
  description: string;
  readonly architecture: 'x86_64' | 'arm64';
  /** Described only: no machine of the lab runs Windows. */
  platform?: 'windows';
  readonly createdAt: Date;
  state: ImageState;
  stateReason: { code: string; message: string } | undefined;
  readonly rootDevice: string;
  readonly devices: readonly ImageDevice[];
  readonly source: { readonly imageId: string; readonly region: string; readonly instanceId: string };
  imdsV2: boolean;
  deprecateAt: Date | undefined;
  /** `until` is set when a protection with cooldown is disabled. */
  protection: { enabled: boolean; cooldown: boolean; until: Date | undefined };
  /** Launch permissions: account IDs, `all`, ARNs of organizations and their units. */
  readonly launchers: Set<string>;
  lastLaunchedAt: Date | undefined;
}

export interface ImageDevice {
  readonly device: string;
  readonly snapshotId: string | undefined;
  readonly sizeGiB: number;
  readonly volumeType: VolumeType;
  readonly deleteOnTermination: boolean;
  readonly encrypted: boolean;
}

export interface LabSnapshot {
  readonly id: string;
  readonly place: Place;
  readonly volumeId: string;
  readonly description: string;
  readonly sizeGiB: number;
  readonly startedAt: Date;
  state: 'pending' | 'completed' | 'error';
  stateMessage: string;
  readonly encrypted: boolean;
  readonly kmsKeyId: string | undefined;
  /** Create-volume permissions: account IDs or `all`. */
  readonly readers: Set<string>;
  /** Content of a root volume. Data volumes of the lab are empty. */
  readonly disk: (() => Promise<Disk>) | undefined;
}

export interface LabVolume {
  readonly id: string;
  readonly place: Place;
  readonly sizeGiB: number;
  readonly type: VolumeType;
  readonly zone: string;
  readonly snapshotId: string | undefined;
  readonly createdAt: Date;
  readonly encrypted: boolean;
  readonly kmsKeyId: string | undefined;
  attached: { instanceId: string; device: string; deleteOnTermination: boolean } | undefined;
}

export interface LabInstance {
  readonly id: string;
  readonly place: Place;
  readonly reservationId: string;
  readonly launchIndex: number;
  readonly imageId: string;
  type: _InstanceType;
  readonly architecture: 'x86_64' | 'arm64';
  state: InstanceStateName;
  stateReason: { code: string; message: string } | undefined;
  /** As DescribeInstances returns it: `User initiated (2026-...)`. */
  transition: string;
  readonly launchedAt: Date;
  /** When it entered its current state. */
  changedAt: Date;
  /** Set by tests: what DescribeInstanceStatus returns instead of `ok`. */
  impaired: boolean;
  readonly subnetId: string;
  readonly vpcId: string;
  readonly zone: string;
  /** 127.10.x.y: private and public IP, and DNS name, so that templates need no ssh_host. */
  readonly address: string;
  readonly keyName: string | undefined;
  groupIds: readonly string[];
  readonly profileArn: string | undefined;
  userData: string | undefined;
  shutdownBehavior: 'stop' | 'terminate';
  terminationProtected: boolean;
  stopProtected: boolean;
  metadata: InstanceMetadataOptionsResponse;
  readonly rootDevice: string;
  readonly volumeIds: readonly string[];
  readonly clientToken: string | undefined;
  /** Of a Spot Instance. */
  spotRequestId?: string;
  /** Root volume. Undefined before the boot has cloned it and after termination. */
  disk: Disk | undefined;
  guest: Guest | undefined;
  /** Console output of earlier boots. */
  oldConsole: string;
}

export interface LabGroup {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly vpcId: string;
  readonly ingress: Rule[];
}

export interface Rule {
  readonly id: string;
  readonly protocol: string;
  readonly fromPort: number;
  readonly toPort: number;
  readonly source: string;
  readonly description: string | undefined;
}

export interface LabKeyPair {
  readonly id: string;
  readonly name: string;
  readonly type: 'rsa' | 'ed25519';
  readonly fingerprint: string;
  /** OpenSSH format. */
  readonly publicKey: string;
  readonly createdAt: Date;
}

export const volumes = slice(() => new Map<string, LabVolume>());
export const instances = slice(() => new Map<string, LabInstance>());
/** By name. */
export const keyPairs = slice(() => new Map<string, LabKeyPair>());

/** Tags that this account has set, on its own or shared resources. Other accounts do not see them. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html */
const tagged = slice(() => new Map<string, Record<string, string>>());

export const tagsOf = (place: Place, id: string): Readonly<Record<string, string>> => tagged(place).get(id) ?? {};

export function setTags(place: Place, id: string, tags: Readonly<Record<string, string>>): void {
  tagged(place).set(id, { ...tagsOf(place, id), ...tags });
}

export function dropTags(place: Place, id: string, keys: readonly string[] | 'all'): void {
  if (keys === 'all') {
    lingering(place).set(id, { tags: tagsOf(place, id), since: place.core.clock.now() });
    return void tagged(place).delete(id);
  }
  tagged(place).set(id, Object.fromEntries(Object.entries(tagsOf(place, id)).filter(([key]) => !keys.includes(key))));
}

/** Tags of deleted resources. */
const lingering = slice(() => new Map<string, { readonly tags: Readonly<Record<string, string>>; readonly since: number }>());

/** All tags as DescribeTags returns them: those of a deleted resource may linger. */
export function everyTag(place: Place): readonly (readonly [id: string, Readonly<Record<string, string>>])[] {
  const from = place.core.clock.now() - mishaps(place).tagsLingerSeconds * 1000;
  const late = [...lingering(place)].filter(([id, { since }]) => since > from && !tagged(place).has(id));
  return [...tagged(place), ...late.map(([id, { tags }]) => [id, tags] as const)];
}

/** The machine behind an instance, while it runs. */
export const guestOf = (instance: LabInstance): Guest | undefined => (instance.state === 'running' ? instance.guest : undefined);
