import type { Weights } from '../../ports/groups.ts';
import { listenerWeights } from './listener-weights.ts';
import { type RecordClients, recordWeights } from './record-weights.ts';

/** What divides traffic by weight: a listener or a rule by its ARN, or two records as `zone/name/type`. */
export function awsWeights(clients: RecordClients): Weights {
  const [listeners, records] = [listenerWeights(clients.balancing), recordWeights(clients)];
  const of = (at: string) => (at.startsWith('arn:') ? listeners : records);
  return {
    read: at => of(at).read(at),
    details: split => of(split.at).details(split),
    write: (at, weights) => of(at).write(at, weights),
    inSync: records.inSync,
  };
}
