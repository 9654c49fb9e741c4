import type {
  DescribeInstanceInformationCommandInput,
  DescribeInstanceInformationCommandOutput,
  InstanceInformation,
} from '@aws-sdk/client-ssm';
import type { Operation } from '../operation.ts';
import type { Place } from '../place.ts';
import { type Agent, managedNodes, observe, pingOf } from './agents.ts';
import { fitsFilter } from './node-filters.ts';
import { page } from './pages.ts';
import { check, invalid, within } from './validation.ts';

/** https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DescribeInstanceInformation.html */
export const describeInstanceInformation: Operation<
  DescribeInstanceInformationCommandInput,
  DescribeInstanceInformationCommandOutput
> = async (input, { place }) => {
  check(within('maxResults', input.MaxResults, 5, 50));
  const { Filters = [], InstanceInformationFilterList: old = [] } = input;
  if (Filters.length > 0 && old.length > 0) throw invalid("You can't use Filters and InstanceInformationFilterList together.");
  const filters = [
    ...Filters.map(({ Key = '', Values = [] }) => [Key, Values] as const),
    ...old.map(({ key = '', valueSet = [] }) => [key, valueSet] as const),
  ];
  await observe(place, filters.find(([key]) => key === 'InstanceIds')?.[1]);
  const nodes = managedNodes(place)
    .map(agent => described(place, agent))
    .filter(node => filters.every(([key, values]) => fitsFilter(place, node, key, values)))
    .sort((a, b) => ((a.InstanceId ?? '') < (b.InstanceId ?? '') ? -1 : 1));
  const { items, NextToken } = page(nodes, ({ InstanceId }) => InstanceId ?? '', input, 10);
  return { InstanceInformationList: [...items], NextToken };
};

const described = (place: Place, agent: Agent): InstanceInformation => ({
  InstanceId: agent.instance.id,
  PingStatus: pingOf(place, agent),
  LastPingDateTime: new Date(agent.seenAt),
  AgentVersion: '3.3.2299.0',
  IsLatestVersion: true,
  PlatformType: 'Linux',
  PlatformName: 'Debian GNU/Linux',
  PlatformVersion: '12',
  RegistrationDate: agent.registeredAt,
  ResourceType: 'EC2Instance',
  IPAddress: agent.instance.address,
  ComputerName: `${agent.instance.id}.${place.region}.compute.internal`,
  SourceId: agent.instance.id,
  SourceType: 'AWS::EC2::Instance',
});
