import { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import type { CloudFormationClient } from '@aws-sdk/client-cloudformation';
import type { CloudTrailClient } from '@aws-sdk/client-cloudtrail';
import { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import { EC2Client } from '@aws-sdk/client-ec2';
import type { EKSClient } from '@aws-sdk/client-eks';
import { ElasticLoadBalancingClient } from '@aws-sdk/client-elastic-load-balancing';
import { ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';
import type { IAMClient } from '@aws-sdk/client-iam';
import { KMSClient } from '@aws-sdk/client-kms';
import type { Route53Client } from '@aws-sdk/client-route-53';
import { SSMClient } from '@aws-sdk/client-ssm';
import { STSClient } from '@aws-sdk/client-sts';
import type { Where } from '../../ports/deps.ts';
import { retryContention, retryTags } from './contention.ts';
import { credentials, type Provider } from './credentials.ts';
import { accountOf, type Caller, withPlace } from './place.ts';
import { followServerTime } from './server-time.ts';
import { type Access, clientSettings } from './session.ts';
import { traceCalls } from './trace.ts';
import { noticeUnknownMembers } from './unknown-members.ts';

export interface Clients {
  readonly ec2: EC2Client;
  readonly ssm: SSMClient;
  readonly sts: STSClient;
  readonly autoScaling: AutoScalingClient;
  readonly kms: KMSClient;
  readonly cloudWatch: CloudWatchClient;
  readonly balancing: ElasticLoadBalancingV2Client;
  /** Classic load balancers have their own API. */
  readonly classic: ElasticLoadBalancingClient;
  /** Loaded late: one mode uses it. */
  readonly iam: () => Promise<IAMClient>;
  /** Loaded late: only rollouts of stacks use it. */
  readonly cloudFormation: () => Promise<CloudFormationClient>;
  /** Loaded late: it is asked about instances that nothing else identifies. */
  readonly cloudTrail: () => Promise<CloudTrailClient>;
  /** Loaded late: few environments have node groups. */
  readonly eks: () => Promise<EKSClient>;
  /** Loaded late: one setting uses it. */
  readonly route53: () => Promise<Route53Client>;
  /** Undefined: the SDK's own chain. */
  readonly provider: Provider | undefined;
  readonly caller: Caller;
}

export function awsClients({ region, role }: Where, access: Access): Clients {
  const own = credentials({ region, role }, access);
  const settings = { ...clientSettings(region, access), retryMode: 'standard', ...own };
  const caller: Caller = { account: accountOf(role ?? access.roleToAssume) };
  const clients = {
    ec2: withPlace(new EC2Client(settings), region, caller),
    ssm: withPlace(new SSMClient(settings), region, caller),
    sts: withPlace(new STSClient(settings), region, caller),
    autoScaling: withPlace(new AutoScalingClient(settings), region, caller),
    kms: withPlace(new KMSClient(settings), region, caller),
    cloudWatch: withPlace(new CloudWatchClient(settings), region, caller),
    balancing: withPlace(new ElasticLoadBalancingV2Client(settings), region, caller),
    classic: withPlace(new ElasticLoadBalancingClient(settings), region, caller),
  };
  retryContention(clients.autoScaling);
  retryTags(clients.ec2);
  noticeUnknownMembers(clients.autoScaling);
  const watched = <C>(client: C): C => {
    followServerTime(client as EC2Client, access);
    traceCalls(client as EC2Client, region, access);
    return client;
  };
  for (const client of Object.values(clients)) watched(client);
  const late =
    <C extends Parameters<typeof withPlace>[0]>(load: () => Promise<new (config: typeof settings) => C>) =>
    async () => {
      const Client = await load();
      return watched(withPlace(new Client(settings), region, caller));
    };
  const iam = late(async () => (await import('@aws-sdk/client-iam')).IAMClient);
  const cloudFormation = late(async () => (await import('@aws-sdk/client-cloudformation')).CloudFormationClient);
  const cloudTrail = late(async () => (await import('@aws-sdk/client-cloudtrail')).CloudTrailClient);
  const eks = late(async () => (await import('@aws-sdk/client-eks')).EKSClient);
  const newRoute53 = late(async () => (await import('@aws-sdk/client-route-53')).Route53Client);
  let records: Promise<Route53Client> | undefined;
  const route53 = () => {
    records ??= newRoute53();
    return records;
  };
  return { ...clients, iam, cloudFormation, cloudTrail, eks, route53, provider: own.credentials, caller };
}
