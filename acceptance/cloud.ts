import { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import { CloudFormationClient } from '@aws-sdk/client-cloudformation';
import { EC2Client, type Filter, type Tag } from '@aws-sdk/client-ec2';
import { ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';
import { SSMClient } from '@aws-sdk/client-ssm';
import { STSClient } from '@aws-sdk/client-sts';
import type { Session } from './token.ts';

/** The clients of the suite in one region. The endpoint comes from the environment, as in every AWS tool; so do credentials, unless given. */
export interface Cloud {
  readonly region: string;
  readonly ec2: EC2Client;
  readonly autoScaling: AutoScalingClient;
  readonly balancing: ElasticLoadBalancingV2Client;
  readonly ssm: SSMClient;
  readonly stacks: CloudFormationClient;
  readonly sts: STSClient;
}

export function connect(region: string, credentials?: () => Promise<Session>): Cloud {
  const settings = { region, maxAttempts: 8, ...(credentials === undefined ? {} : { credentials }) };
  return {
    region,
    ec2: new EC2Client(settings),
    autoScaling: new AutoScalingClient(settings),
    balancing: new ElasticLoadBalancingV2Client(settings),
    ssm: new SSMClient(settings),
    stacks: new CloudFormationClient(settings),
    sts: new STSClient(settings),
  };
}

/**
 * The tag of everything that the suite and the action create in a run. No repository on GitHub has this name: an owner has no dot.
 * https://docs.github.com/en/enterprise-cloud@latest/admin/managing-iam/iam-configuration-reference/username-considerations-for-external-authentication
 */
export const OWN_REPOSITORY = 'acceptance.suite/ami-action';
const OWN_KEY = 'ami-action:repository';

export const OWN_TAG = { Key: OWN_KEY, Value: OWN_REPOSITORY } satisfies Tag;
export const OWN_FILTER: Filter = { Name: `tag:${OWN_KEY}`, Values: [OWN_REPOSITORY] };

/** A server may ignore a filter, so the tags of the answer decide. */
export const isOwn = (tags: readonly { Key?: string | undefined; Value?: string | undefined }[] = []): boolean =>
  tags.some(({ Key, Value }) => Key === OWN_KEY && Value === OWN_REPOSITORY);

/** Parameters have no tag when the action creates them. Everything below this path is the suite's. */
export const OWN_PATH = '/ami-action-acceptance';

/** Family of the images, name of groups, templates, load balancer, and beginning of stack names. */
export const NAME = 'ami-acceptance';

export const STACKS = { delivery: NAME, environment: `${NAME}-environment`, probe: `${NAME}-probe` } as const;
export const ENVIRONMENT = 'acceptance';
