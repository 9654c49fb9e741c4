import { DescribeInstanceHealthCommand, type ElasticLoadBalancingClient } from '@aws-sdk/client-elastic-load-balancing';
import type { Target } from '../../model/group.ts';
import { asExpected } from './errors.ts';

// Until it has passed the health check for the first time an instance is OutOfService too.
// https://docs.aws.amazon.com/elasticloadbalancing/2012-06-01/APIReference/API_InstanceState.html
const NEW = /registration is still in progress|has not passed|pending state|transient error/;

/** In the words of target groups. https://docs.aws.amazon.com/elasticloadbalancing/2012-06-01/APIReference/API_DescribeInstanceHealth.html */
export async function classicHealth(client: ElasticLoadBalancingClient, LoadBalancerName: string): Promise<Target[]> {
  const { InstanceStates = [] } = await client
    .send(new DescribeInstanceHealthCommand({ LoadBalancerName }))
    .catch(asExpected(`read what ${LoadBalancerName} thinks of its instances (elasticloadbalancing:DescribeInstanceHealth)`));
  return InstanceStates.map(({ InstanceId = '', State = 'Unknown', Description = '' }) => ({
    instanceId: InstanceId,
    state: State === 'InService' ? 'healthy' : State === 'Unknown' || NEW.test(Description) ? 'initial' : 'unhealthy',
    message: `${LoadBalancerName} says ${State}${Description === '' ? '' : `, ${Description.replace(/\.$/, '')}`}`,
  }));
}
