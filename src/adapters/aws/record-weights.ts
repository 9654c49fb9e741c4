import { isDeepStrictEqual } from 'node:util';
import {
  type ElasticLoadBalancingClient,
  DescribeLoadBalancersCommand as ListClassic,
  type LoadBalancerDescription,
} from '@aws-sdk/client-elastic-load-balancing';
import {
  DescribeLoadBalancersCommand,
  DescribeTargetGroupsCommand,
  type ElasticLoadBalancingV2Client,
  type LoadBalancer,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import type { Change, ResourceRecordSet, Route53Client } from '@aws-sdk/client-route-53';
import { RejectedError } from '../../kit/errors.ts';
import type { Side } from '../../model/split.ts';
import type { Weights } from '../../ports/groups.ts';
import { asExpected, isCode, undefinedOn } from './errors.ts';
import { delaysOf } from './listener-weights.ts';
import { allPages, listed } from './pages.ts';

/** Weighted Route 53 records, each of which leads to a load balancer of its own. https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/routing-policy-weighted.html */

export interface RecordClients {
  readonly route53: () => Promise<Route53Client>;
  readonly balancing: ElasticLoadBalancingV2Client;
  readonly classic: ElasticLoadBalancingClient;
}

export function recordWeights(clients: RecordClients): Weights {
  /** What serves behind a DNS name does not change during a run. */
  const known = new Map<string, Promise<Receivers>>();
  const receiversOf = (name: string) => {
    const found = known.get(name) ?? behind(name, clients);
    known.set(name, found);
    return found;
  };
  return {
    async read(at) {
      const records = await recordsAt(at, clients);
      if (records === undefined || records.length === 0) return undefined;
      const sides = records.map(async record => ({
        ...{ id: record.SetIdentifier ?? record.Name ?? '', weight: record.Weight ?? 0 },
        ...(await receiversOf(nameIn(record))),
      }));
      return { at, sides: await Promise.all(sides), settleSeconds: Math.max(...records.map(ttlOf)), stickySeconds: undefined };
    },
    details: async ({ sides }) => ({
      alsoUsedBy: [],
      ...(await delaysOf(
        clients.balancing,
        sides.flatMap(({ targetGroups }) => targetGroups),
      )),
    }),
    async write(at, weights) {
      const records = (await recordsAt(at, clients)) ?? [];
      const changed = records.filter(
        ({ SetIdentifier = '', Weight }) => weights.has(SetIdentifier) && weights.get(SetIdentifier) !== Weight,
      );
      if (records.length !== 2) throw new RejectedError(`${at} no longer has two records.`);
      return changed.length === 0 ? undefined : replace(at, changed, weights, clients);
    },
    async inSync(change) {
      const { GetChangeCommand } = await import('@aws-sdk/client-route-53');
      const found = await (await clients.route53())
        .send(new GetChangeCommand({ Id: change }))
        .catch(asExpected('read whether a change is in sync (route53:GetChange)'));
      return found.ChangeInfo?.Status === 'INSYNC';
    },
  };
}

/** Aliases have no TTL of their own; load balancers answer with 60 seconds. https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/resource-record-sets-choosing-alias-non-alias.html */
const ALIAS_TTL_SECONDS = 60;
const ttlOf = ({ TTL }: ResourceRecordSet): number => TTL ?? ALIAS_TTL_SECONDS;

/** Route 53 shows `*` as its octal code. */
const absolute = (name: string): string => `${name.toLowerCase().replace('\\052', '*').replace(/\.$/, '')}.`;

/** The DNS name that a record leads to, as load balancers show theirs. */
const nameIn = ({ AliasTarget, ResourceRecords = [] }: ResourceRecordSet): string =>
  (AliasTarget?.DNSName ?? ResourceRecords[0]?.Value ?? '')
    .toLowerCase()
    .replace(/\.$/, '')
    .replace(/^dualstack\./, '');

async function recordsAt(at: string, { route53 }: RecordClients): Promise<readonly ResourceRecordSet[] | undefined> {
  const [HostedZoneId = '', name = '', type = ''] = at.split('/');
  const { ListResourceRecordSetsCommand } = await import('@aws-sdk/client-route-53');
  const found = await (await route53())
    .send(new ListResourceRecordSetsCommand({ HostedZoneId, StartRecordName: name, StartRecordType: type as 'A', MaxItems: 10 }))
    .catch(undefinedOn('NoSuchHostedZone'))
    .catch(asExpected('read records (route53:ListResourceRecordSets)'));
  // A record without a weight is no part of a weighted pair, and Route 53 allows none next to one.
  return found && listed(found.ResourceRecordSets).filter(record => absolute(record.Name ?? '') === absolute(name) && record.Type === type);
}

/**
 * Route 53 deletes a record only where all its values are given as they are, and makes all changes of a batch or none: so this succeeds only where
 * nothing changed since the records were read. https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html
 */
async function replace(
  at: string,
  records: readonly ResourceRecordSet[],
  weights: ReadonlyMap<string, number>,
  clients: RecordClients,
): Promise<string | undefined> {
  const wanted = records.map(record => ({ ...record, Weight: weights.get(record.SetIdentifier ?? '') }));
  const created = wanted.map(ResourceRecordSet => ({ Action: 'CREATE' as const, ResourceRecordSet }));
  const deleted = records.map(ResourceRecordSet => ({ Action: 'DELETE' as const, ResourceRecordSet }));
  try {
    return await change(at, [...deleted, ...created], clients);
  } catch (cause) {
    if (!isCode(cause, 'InvalidChangeBatch')) throw cause;
    // The answer to the same call may have been lost, and the SDK sent it again: then all is as wanted, and is written once more for its ID.
    const now = (await recordsAt(at, clients)) ?? [];
    const isOurs = wanted.every(record => now.some(other => isDeepStrictEqual(other, record)));
    if (isOurs)
      return change(
        at,
        wanted.map(ResourceRecordSet => ({ Action: 'UPSERT' as const, ResourceRecordSet })),
        clients,
      );
    throw new RejectedError(`Another process changed ${at} at the same time, so its weights were not changed.`, { cause });
  }
}

async function change(at: string, Changes: Change[], { route53 }: RecordClients): Promise<string | undefined> {
  const { ChangeResourceRecordSetsCommand } = await import('@aws-sdk/client-route-53');
  const { ChangeInfo } = await (await route53())
    .send(new ChangeResourceRecordSetsCommand({ HostedZoneId: at.split('/')[0], ChangeBatch: { Comment: 'ami-action', Changes } }))
    .catch(asExpected('change the weights of records (route53:ChangeResourceRecordSets)'));
  return ChangeInfo?.Id;
}

type Receivers = Pick<Side, 'targetGroups' | 'balancers'>;

/** The target groups of a load balancer, or a classic one by name; nothing where the name is of neither. */
async function behind(name: string, { balancing, classic }: RecordClients): Promise<Receivers> {
  const isNamed = ({ DNSName = '' }: { DNSName?: string | undefined }) => DNSName.toLowerCase() === name;
  const own = (
    await allPages<LoadBalancer>(async Marker => {
      const found = await balancing
        .send(new DescribeLoadBalancersCommand({ Marker }))
        .catch(asExpected('find load balancers (elasticloadbalancing:DescribeLoadBalancers)'));
      return { items: found.LoadBalancers, next: found.NextMarker };
    })
  ).find(isNamed);
  if (own !== undefined) {
    const found = await balancing
      .send(new DescribeTargetGroupsCommand({ LoadBalancerArn: own.LoadBalancerArn }))
      .catch(asExpected('find target groups (elasticloadbalancing:DescribeTargetGroups)'));
    return { targetGroups: listed(found.TargetGroups).flatMap(({ TargetGroupArn }) => TargetGroupArn ?? []), balancers: [] };
  }
  const classics = await allPages<LoadBalancerDescription>(async Marker => {
    const found = await classic
      .send(new ListClassic({ Marker }))
      .catch(asExpected('find classic load balancers (elasticloadbalancing:DescribeLoadBalancers)'));
    return { items: found.LoadBalancerDescriptions, next: found.NextMarker };
  });
  return { targetGroups: [], balancers: classics.filter(isNamed).flatMap(({ LoadBalancerName }) => LoadBalancerName ?? []) };
}
