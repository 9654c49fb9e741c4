import { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import { EC2Client } from '@aws-sdk/client-ec2';
import { SSMClient } from '@aws-sdk/client-ssm';
import { STSClient } from '@aws-sdk/client-sts';
import type { Lab } from '../../lab/lab.ts';
import { accessKeyOf } from '../../lab/sts-sessions.ts';

export interface Who {
  readonly account?: string;
  readonly region?: string;
  readonly session?: { accessKeyId: string; secretAccessKey: string; sessionToken: string };
  readonly maxAttempts?: number;
}

export const US = '111122223333';
export const THEM = '444455556666';

/** Official clients in an account and region. They make one attempt, so that a test sees the answer. */
export function clientsOf(lab: Lab, { account = US, region = 'eu-central-1', session, maxAttempts = 1 }: Who = {}) {
  const config = {
    endpoint: lab.url,
    region,
    maxAttempts,
    credentials: session ?? { accessKeyId: accessKeyOf(account), secretAccessKey: 'any' },
  };
  return {
    ec2: new EC2Client(config),
    ssm: new SSMClient(config),
    sts: new STSClient(config),
    asg: new AutoScalingClient(config),
  };
}

/** `Code: message` of a refusal. */
export async function refusal(answer: Promise<unknown>): Promise<string> {
  try {
    await answer;
  } catch (cause) {
    return cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
  }
  throw new Error('It was not refused.');
}
