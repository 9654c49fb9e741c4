import type { EC2Client } from '@aws-sdk/client-ec2';
import { expect, test } from '@jest/globals';
import { listInstances } from '../../src/adapters/aws/ec2.ts';
import { listVersions } from '../../src/adapters/aws/launch-templates.ts';

/** Major M13: an account may hide what AWS services launch. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/amazon-ec2-managed-instances.html */

test.each([
  ['instances', (ec2: EC2Client) => listInstances(ec2, [])],
  ['launch template versions', (ec2: EC2Client) => listVersions(ec2, { Versions: ['$Latest'] })],
])('%s that a service manages are read too', async (_, read) => {
  const asked: unknown[] = [];
  const send = async ({ input }: { readonly input: object }) => {
    asked.push(input);
    return { Reservations: [], LaunchTemplateVersions: [] };
  };
  await read({ send } as unknown as EC2Client);
  expect(asked).toEqual([expect.objectContaining({ IncludeManagedResources: true })]);
});
