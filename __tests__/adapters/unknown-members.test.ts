import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import { afterEach, expect, test } from '@jest/globals';
import { autoScalingGroups } from '../../src/adapters/aws/groups.ts';
import { noticeUnknownMembers } from '../../src/adapters/aws/unknown-members.ts';

/** Minor m13: what AWS shows of a group and the SDK drops is noticed in the answer itself. */

let close = () => {};
afterEach(() => close());

const empty = (call: string, list: string) => `<${call}Response><${call}Result><${list}/></${call}Result></${call}Response>`;

async function groupsOf(...members: readonly string[]) {
  const groups = members.map(member => `<member>${member}</member>`).join('');
  const answers: Readonly<Record<string, string>> = {
    DescribeAutoScalingGroups: `<?xml version="1.0"?><DescribeAutoScalingGroupsResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><DescribeAutoScalingGroupsResult><AutoScalingGroups>${groups}</AutoScalingGroups></DescribeAutoScalingGroupsResult></DescribeAutoScalingGroupsResponse>`,
    DescribePolicies: empty('DescribePolicies', 'ScalingPolicies'),
    DescribeLifecycleHooks: empty('DescribeLifecycleHooks', 'LifecycleHooks'),
  };
  const server = createServer(async (request, response) => {
    const call = new URLSearchParams(Buffer.concat(await request.toArray()).toString()).get('Action') ?? '';
    response.writeHead(200, { 'content-type': 'text/xml' }).end(answers[call]);
  });
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done));
  close = () => server.close();
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = new AutoScalingClient({ endpoint, region: 'eu-central-1', credentials: { accessKeyId: 'A', secretAccessKey: 'B' } });
  noticeUnknownMembers(client);
  return autoScalingGroups(client, {} as never, {} as never);
}

const named = (name: string, more = '') =>
  `<AutoScalingGroupName>${name}</AutoScalingGroupName><MinSize>1</MinSize><Tags><member><Key>a</Key><Value>1</Value></member></Tags><SuspendedProcesses/>${more}`;
const template = '<LaunchTemplateSpecification><LaunchTemplateId>lt-1</LaunchTemplateId><Version>1</Version></LaunchTemplateSpecification>';
const mixed = (ofTemplate = '', ofPolicy = '') =>
  `<MixedInstancesPolicy><LaunchTemplate>${template}<Overrides><member><InstanceType>t3.micro</InstanceType></member><member><InstanceType>t3.small</InstanceType>${ofTemplate}</member></Overrides></LaunchTemplate>${ofPolicy}</MixedInstancesPolicy>`;

test('a policy of which the SDK knows all has no unknown member', async () => {
  const groups = await groupsOf(named('web', mixed('<WeightedCapacity>2</WeightedCapacity>')), named('api'));
  const [web, api] = await groups.find({});
  expect([web?.launch.kind, web?.launch]).toEqual(['mixed', expect.not.objectContaining({ unknown: expect.anything() })]);
  expect([api?.name, api?.tags]).toEqual(['api', { a: '1' }]);
  expect(await groups.copyLimits('web')).toMatchObject({ cannotCopy: [] });
});

test('members of a policy that are newer than the SDK are named, each of its own group', async () => {
  const newer = mixed('<ImagePin>x</ImagePin>', '<InstancesDistribution><Shape><Kind>new</Kind></Shape></InstancesDistribution>');
  const [api, web] = await (await groupsOf(named('api', mixed()), named('web', newer))).find({});
  expect(api?.launch).not.toHaveProperty('unknown');
  expect(web?.launch).toMatchObject({
    unknown: ['MixedInstancesPolicy.LaunchTemplate.Overrides.ImagePin', 'MixedInstancesPolicy.InstancesDistribution.Shape'],
  });
});

test('a group with a member that a copy would lose cannot be copied', async () => {
  const groups = await groupsOf(named('web', '<Comfort>high</Comfort>'));
  expect((await groups.copyLimits('web')).cannotCopy).toEqual(['AWS shows Comfort of it, which this version of ami-action does not know']);
});
