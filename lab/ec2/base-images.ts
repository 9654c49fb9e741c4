import { stableId } from '../ids.ts';
import type { Core, Place } from '../place.ts';
import type { LabImage, LabSnapshot } from './state.ts';

/** Public images that every lab has. All contain the same small Linux, arm64 too: the lab has one processor. */

export const AMAZON = '137112412989';
export const DEBIAN = '136693071363';

interface Base {
  readonly owner: string;
  readonly name: string;
  readonly description: string;
  readonly architecture: 'x86_64' | 'arm64';
  readonly created: string;
}

const al2023 = (release: string, architecture: 'x86_64' | 'arm64', created: string): Base => ({
  owner: AMAZON,
  name: `al2023-ami-${release}-kernel-6.1-${architecture}`,
  description: `Amazon Linux 2023 AMI ${release} ${architecture} HVM kernel-6.1`,
  ...{ architecture, created },
});

const debian = (build: string, architecture: 'x86_64' | 'arm64', created: string): Base => ({
  owner: DEBIAN,
  name: `debian-12-${architecture === 'arm64' ? 'arm64' : 'amd64'}-${build}`,
  description: `Debian 12 (${build})`,
  ...{ architecture, created },
});

const BASES: readonly Base[] = [
  al2023('2023.8.20250818.0', 'x86_64', '2025-08-18T21:04:11.000Z'),
  al2023('2023.9.20251105.0', 'x86_64', '2025-11-05T20:31:40.000Z'),
  al2023('2023.9.20251105.0', 'arm64', '2025-11-05T20:31:52.000Z'),
  debian('20251006-2257', 'x86_64', '2025-10-06T23:10:05.000Z'),
  debian('20251006-2257', 'arm64', '2025-10-06T23:10:19.000Z'),
];

/** The ID is the same in every lab, so that docs and templates can use it. */
const idOf = (place: Place, base: Base) => stableId('ami', place.region, base.name);
const snapshotOf = (place: Place, base: Base) => stableId('snap', place.region, base.name);

const owned = (place: Place) => BASES.filter(({ owner }) => owner === place.account);

export const baseImages = (place: Place): readonly LabImage[] =>
  owned(place).map(base => ({
    id: idOf(place, base),
    place,
    name: base.name,
    description: base.description,
    architecture: base.architecture,
    createdAt: new Date(base.created),
    state: 'available',
    stateReason: undefined,
    rootDevice: '/dev/xvda',
    devices: [
      {
        device: '/dev/xvda',
        snapshotId: snapshotOf(place, base),
        sizeGiB: 8,
        volumeType: 'gp3',
        deleteOnTermination: true,
        encrypted: false,
      },
    ],
    source: { imageId: '', region: '', instanceId: '' },
    imdsV2: true,
    deprecateAt: undefined,
    protection: { enabled: false, cooldown: false, until: undefined },
    launchers: new Set(['all']),
    lastLaunchedAt: undefined,
  }));

export const baseSnapshots = (place: Place): readonly LabSnapshot[] =>
  owned(place).map(base => ({
    id: snapshotOf(place, base),
    place,
    volumeId: 'vol-ffffffff',
    description: base.description,
    sizeGiB: 8,
    startedAt: new Date(base.created),
    state: 'completed',
    stateMessage: '',
    encrypted: false,
    kmsKeyId: undefined,
    readers: new Set(['all']),
    disk: () => place.core.hypervisor.baseDisk(),
  }));

/** The value of `/aws/service/ami-amazon-linux-latest/...`: Amazon's newest base image for an architecture. */
export function newestAmazonLinux(core: Core, region: string, architecture: 'x86_64' | 'arm64'): string | undefined {
  const newest = BASES.filter(base => base.owner === AMAZON && base.architecture === architecture).sort((a, b) =>
    a.created < b.created ? 1 : -1,
  )[0];
  return newest && idOf(core.place(AMAZON, region), newest);
}
