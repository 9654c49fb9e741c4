import type {
  _InstanceType,
  DescribeInstanceTypeOfferingsCommandInput,
  DescribeInstanceTypeOfferingsCommandOutput,
  DescribeInstanceTypesCommandInput,
  DescribeInstanceTypesCommandOutput,
  InstanceTypeInfo,
} from '@aws-sdk/client-ec2';
import { AwsError, type Operation } from '../operation.ts';
import type { Place } from '../place.ts';
import { select } from './filters.ts';
import { zonesOf } from './network.ts';
import { checkPageSize, pageOf, refuseIdsWithPages } from './paging.ts';

export interface LabType {
  readonly name: _InstanceType;
  readonly architecture: 'x86_64' | 'arm64';
  readonly cpus: number;
  readonly memoryMiB: number;
  readonly hypervisor: 'nitro' | 'xen';
}

const SIZES = {
  nano: [2, 512],
  micro: [2, 1024],
  small: [2, 2048],
  medium: [2, 4096],
  large: [2, 8192],
  xlarge: [4, 16384],
  '2xlarge': [8, 32768],
} as const;

type Size = keyof typeof SIZES;

const BURSTABLE: readonly Size[] = ['nano', 'micro', 'small', 'medium', 'large', 'xlarge', '2xlarge'];
const FIXED: readonly Size[] = ['large', 'xlarge', '2xlarge'];

const family = (name: string, architecture: LabType['architecture'], sizes: readonly Size[], hypervisor: LabType['hypervisor'] = 'nitro') =>
  sizes.map((size): LabType => {
    const [cpus, memoryMiB] = SIZES[size];
    return { name: `${name}.${size}` as _InstanceType, architecture, cpus, memoryMiB, hypervisor };
  });

/** The instance types that builds and tests usually use. */
const TYPES: readonly LabType[] = [
  ...family('t2', 'x86_64', BURSTABLE, 'xen'),
  ...family('t3', 'x86_64', BURSTABLE),
  ...family('t3a', 'x86_64', BURSTABLE),
  ...family('t4g', 'arm64', BURSTABLE),
  ...['m5', 'm6i', 'm7i', 'c5', 'c6i', 'r5', 'r6i'].flatMap(name => family(name, 'x86_64', FIXED)),
  ...['m6g', 'm7g', 'c6g', 'c7g', 'r6g'].flatMap(name => family(name, 'arm64', FIXED)),
  { name: 'm1.small', architecture: 'x86_64', cpus: 1, memoryMiB: 1740, hypervisor: 'xen' },
];

export function instanceType(name: string): LabType {
  const found = TYPES.find(type => type.name === name);
  if (found === undefined) throw new AwsError('InvalidParameterValue', `Invalid value '${name}' for InstanceType.`);
  return found;
}

const describe = ({ name, architecture, cpus, memoryMiB, hypervisor }: LabType): InstanceTypeInfo => ({
  InstanceType: name,
  CurrentGeneration: hypervisor === 'nitro',
  FreeTierEligible: name === 't3.micro',
  SupportedUsageClasses: ['on-demand', 'spot'],
  SupportedRootDeviceTypes: ['ebs'],
  SupportedVirtualizationTypes: ['hvm'],
  BareMetal: false,
  Hypervisor: hypervisor,
  ProcessorInfo: { SupportedArchitectures: [architecture], SustainedClockSpeedInGhz: 2.5 },
  VCpuInfo: { DefaultVCpus: cpus, DefaultCores: Math.max(1, cpus / 2), DefaultThreadsPerCore: architecture === 'arm64' ? 1 : 2 },
  MemoryInfo: { SizeInMiB: memoryMiB },
  InstanceStorageSupported: false,
  EbsInfo: { EbsOptimizedSupport: 'default', EncryptionSupport: 'supported' },
  NetworkInfo: { EnaSupport: hypervisor === 'nitro' ? 'required' : 'unsupported' },
  BurstablePerformanceSupported: name.startsWith('t'),
  SupportedBootModes: architecture === 'arm64' ? ['uefi'] : ['legacy-bios', 'uefi'],
});

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstanceTypes.html */
export const describeInstanceTypes: Operation<DescribeInstanceTypesCommandInput, DescribeInstanceTypesCommandOutput> = (
  input,
  { place },
) => {
  checkPageSize(input, 5, 100);
  refuseIdsWithPages(input.InstanceTypes, input, 'instanceTypesSet');
  const unknown = (input.InstanceTypes ?? []).filter(name => !TYPES.some(type => type.name === name));
  if (unknown.length > 0) {
    throw new AwsError('InvalidInstanceType', `The following supplied instance types do not exist: [${unknown.join(', ')}]`);
  }
  const named = input.InstanceTypes === undefined ? TYPES : TYPES.filter(({ name }) => input.InstanceTypes?.includes(name));
  const found = select(named, input.Filters, FIELDS, () => ({}));
  const { page, NextToken } = pageOf(place, found, ({ name }) => name, input);
  return { InstanceTypes: page.map(describe), NextToken };
};

const FIELDS = {
  'instance-type': (type: LabType) => type.name,
  'processor-info.supported-architecture': (type: LabType) => type.architecture,
  'current-generation': (type: LabType) => type.hypervisor === 'nitro',
  'free-tier-eligible': (type: LabType) => type.name === 't3.micro',
  'supported-usage-class': () => ['on-demand', 'spot'],
  'vcpu-info.default-vcpus': (type: LabType) => type.cpus,
  'memory-info.size-in-mib': (type: LabType) => type.memoryMiB,
};

interface Requirements {
  readonly VCpuCount?: { readonly Min?: number | undefined; readonly Max?: number | undefined } | undefined;
  readonly MemoryMiB?: { readonly Min?: number | undefined; readonly Max?: number | undefined } | undefined;
}

/** The first type that meets the requirements. https://docs.aws.amazon.com/autoscaling/ec2/userguide/create-mixed-instances-group-attribute-based-instance-type-selection.html */
export function typeMeeting({ VCpuCount, MemoryMiB }: Requirements, architecture: LabType['architecture']): _InstanceType {
  const fits = (value: number, { Min = 0, Max = Number.POSITIVE_INFINITY }: NonNullable<Requirements['VCpuCount']> = {}) =>
    value >= Min && value <= Max;
  const found = TYPES.find(type => type.architecture === architecture && fits(type.cpus, VCpuCount) && fits(type.memoryMiB, MemoryMiB));
  if (found === undefined) throw new AwsError('InvalidParameterValue', 'No instance type satisfies the instance requirements.');
  return found.name;
}

/**
 * Every type is offered in every zone. Missing capacity is a separate condition.
 * https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstanceTypeOfferings.html
 */
export const describeInstanceTypeOfferings: Operation<
  DescribeInstanceTypeOfferingsCommandInput,
  DescribeInstanceTypeOfferingsCommandOutput
> = (input, { place }) => {
  checkPageSize(input, 5, 1000);
  const LocationType = input.LocationType ?? 'region';
  const offerings = TYPES.flatMap(({ name }) =>
    locations(place, LocationType).map(Location => ({ InstanceType: name, LocationType, Location })),
  );
  const fields = { 'instance-type': (offer: Offer) => offer.InstanceType, location: (offer: Offer) => offer.Location };
  const found = select(offerings, input.Filters, fields, () => ({}));
  const { page, NextToken } = pageOf(place, found, offer => `${offer.InstanceType} ${offer.Location}`, input);
  return { InstanceTypeOfferings: [...page], NextToken };
};

interface Offer {
  readonly InstanceType: _InstanceType;
  readonly Location: string;
}

const locations = ({ region }: Place, kind: string): readonly string[] => {
  if (kind === 'region') return [region];
  return kind === 'availability-zone-id' ? zonesOf(region).map((_, index) => `${region}-az${index + 1}`) : zonesOf(region);
};
