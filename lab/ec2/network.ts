import { stableId } from '../ids.ts';
import { AwsError } from '../operation.ts';
import { type Place, slice } from '../place.ts';
import type { LabGroup } from './state.ts';

/** The default VPC that every account has in every region. https://docs.aws.amazon.com/vpc/latest/userguide/default-vpc-components.html */
export interface LabSubnet {
  readonly id: string;
  readonly vpcId: string;
  readonly zone: string;
  readonly cidr: string;
}

interface Network {
  readonly vpcId: string;
  readonly subnets: readonly LabSubnet[];
  readonly groups: Map<string, LabGroup>;
}

const LETTERS = ['a', 'b', 'c'] as const;

export const zonesOf = (region: string): readonly string[] => LETTERS.map(letter => `${region}${letter}`);

export const network = slice((place): Network => {
  const vpcId = stableId('vpc', place.account, place.region);
  const id = stableId('sg', place.account, place.region);
  const group: LabGroup = { id, name: 'default', description: 'default VPC security group', vpcId, ingress: [] };
  const subnets = zonesOf(place.region).map((zone, index) => ({
    id: stableId('subnet', place.account, zone),
    ...{ vpcId, zone, cidr: `172.31.${index * 16}.0/20` },
  }));
  return { vpcId, subnets, groups: new Map([[id, group]]) };
});

export function subnetFor(place: Place, wanted: { subnetId?: string | undefined; zone?: string | undefined }): LabSubnet {
  const { subnets } = network(place);
  const { subnetId, zone } = wanted;
  const found = subnets.find(subnet => (subnetId ?? subnet.id) === subnet.id && (zone ?? subnet.zone) === subnet.zone);
  if (found !== undefined) return found;
  if (subnetId !== undefined) throw new AwsError('InvalidSubnetID.NotFound', `The subnet ID '${subnetId}' does not exist`);
  throw new AwsError('InvalidParameterValue', `Invalid availability zone: [${zone}]`);
}

export function groupsFor(place: Place, ids: readonly string[], names: readonly string[]): readonly LabGroup[] {
  const all = [...network(place).groups.values()];
  const byId = ids.map(id => all.find(group => group.id === id) ?? missing('security group', id));
  const byName = names.map(name => all.find(group => group.name === name) ?? missing('security group', name));
  const found = [...byId, ...byName];
  return found.length > 0 ? found : all.filter(({ name }) => name === 'default');
}

function missing(what: string, id: string): never {
  throw new AwsError('InvalidGroup.NotFound', `The ${what} '${id}' does not exist`);
}
