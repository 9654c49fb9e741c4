import { expect, test } from '@jest/globals';
import { awsImageUsers } from '../../src/adapters/aws/image-users/all.ts';
import { UnreachableError } from '../../src/kit/errors.ts';
import { pointerNames } from '../../src/model/image-users.ts';
import { type PaperAccount, paperClients } from '../paper-account.ts';

/** An answer without its list, or without a member that names an image, is not "none": what it hides may be in use. */

const IMAGE = 'ami-0000000000000000a';
const account: PaperAccount = {
  instances: [{ id: 'i-1', state: 'running', image: IMAGE }],
  templates: [
    {
      id: 'lt-1',
      name: 'web',
      defaultVersion: 1,
      versions: [1, 2, 3].map(number => ({ number, image: IMAGE })),
    },
  ],
  groups: [
    {
      name: 'web',
      uses: { template: 'lt-1', byName: false, version: '2' },
      mixed: undefined,
      refresh: { status: 'InProgress', uses: { template: 'lt-1', byName: false, version: '3' }, mixed: undefined },
    },
  ],
  configurations: [{ name: 'old', image: IMAGE }],
  parameters: [
    { name: '/ami/web/prod', type: 'String', versions: [{ value: IMAGE, description: '', labels: [] }] },
    { name: 'note', type: 'String', versions: [{ value: IMAGE, description: '', labels: [] }] },
  ],
};

type Send = (command: { constructor: { name: string } }) => Promise<unknown>;

/** Reads the users of an account of which one operation answers something else. */
function read(operation: string, spoil: (answer: object) => object) {
  const clients = paperClients(account, 10);
  for (const client of Object.values(clients) as unknown as { send: Send }[]) {
    const { send } = client;
    client.send = async command => {
      const answer = await send(command);
      return command.constructor.name === `${operation}Command` ? spoil(answer as object) : answer;
    };
  }
  return awsImageUsers(clients).read({ pointers: pointerNames(['/ami/{family}/{environment}'], 'web'), ignoredParameters: [] });
}

const without = (value: unknown, member: string): unknown => {
  if (Array.isArray(value)) return value.map(item => without(item, member));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).flatMap(([key, inner]) => (key === member ? [] : [[key, without(inner, member)]])));
};

test('the account is read when nothing is missing', async () => {
  const facts = await read('None', answer => answer);
  expect([facts.instances.length, facts.launchers.length, facts.versions.length, facts.parameters.length]).toEqual([1, 3, 3, 2]);
});

test.each([
  'DescribeInstances',
  'DescribeFleets',
  'DescribeSpotFleetRequests',
  'DescribeSpotInstanceRequests',
  'DescribeLaunchTemplateVersions',
  'DescribeAutoScalingGroups',
  'DescribeLaunchConfigurations',
  'DescribeInstanceRefreshes',
  'DescribeParameters',
  'GetParameters',
  'GetParameterHistory',
])('an empty answer to %s stops the read', async operation => {
  await expect(read(operation, () => ({}))).rejects.toThrow(UnreachableError);
  await expect(read(operation, () => ({}))).rejects.toThrow(/^AWS's answer cannot be read \(.*\): .* missing/);
});

test.each([
  ['DescribeInstances', 'ImageId'],
  ['DescribeLaunchTemplateVersions', 'LaunchTemplateId'],
  ['DescribeLaunchTemplateVersions', 'VersionNumber'],
  ['DescribeLaunchTemplateVersions', 'DefaultVersion'],
  ['DescribeLaunchTemplateVersions', 'LaunchTemplateData'],
  ['DescribeAutoScalingGroups', 'AutoScalingGroupName'],
  ['DescribeLaunchConfigurations', 'ImageId'],
  ['DescribeParameters', 'Name'],
  ['GetParameters', 'Name'],
  ['GetParameters', 'Value'],
  ['GetParameterHistory', 'Version'],
  ['GetParameterHistory', 'Value'],
])('an answer to %s without %s stops the read', async (operation, member) => {
  await expect(read(operation, answer => without(answer, member) as object)).rejects.toThrow(UnreachableError);
});

test('a parameter that GetParameters neither returns nor calls invalid stops the read', async () => {
  const first = (answer: object) => ({ Parameters: (answer as { Parameters: object[] }).Parameters.slice(0, 1) });
  await expect(read('GetParameters', first)).rejects.toThrow('the value of parameter note is missing');
});
