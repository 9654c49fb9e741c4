import type { ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';
import type { Weights } from '../../ports/groups.ts';
import { listenerWeights } from './listener-weights.ts';

/** What divides traffic by weight: listeners and their rules. */
export const awsWeights = (balancing: ElasticLoadBalancingV2Client): Weights => listenerWeights(balancing);
