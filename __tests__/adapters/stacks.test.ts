import type { CloudFormationClient } from '@aws-sdk/client-cloudformation';
import { expect, test } from '@jest/globals';
import { cloudFormationStacks } from '../../src/adapters/aws/stacks.ts';

/** Answers of CloudFormation in pages. */

const paged = (pages: Readonly<Record<string, object>>) =>
  cloudFormationStacks(() =>
    Promise.resolve({
      send: ({ input }: { readonly input: { readonly NextToken?: string } }) => Promise.resolve(pages[input.NextToken ?? 'first']),
    } as unknown as CloudFormationClient),
  );

const change = (LogicalResourceId: string) => ({ Type: 'Resource', ResourceChange: { LogicalResourceId } });
const Parameters = [{ ParameterKey: 'ImageId', ParameterValue: '/ami/web/stage', ResolvedValue: 'ami-1' }];
const status = { Status: 'CREATE_COMPLETE' };

test.each([
  ['the first page only', { Parameters }, {}],
  ['the first page, and an empty list later', { Parameters }, { Parameters: [] }],
  ['every page', { Parameters }, { Parameters }],
  ['a later page', {}, { Parameters }],
])('a change set of two pages has all changes, and the parameters of %s', async (_, first, second) => {
  const stacks = paged({
    first: { ...status, ...first, Changes: [change('Template')], NextToken: 'second' },
    second: { ...status, ...second, Changes: [change('Group')] },
  });
  const { state, changes, parameters } = await stacks.changeSet('web', 'one');
  expect([state, changes.map(({ resource }) => resource), parameters]).toEqual([
    ...['ready', ['Template', 'Group'], [{ name: 'ImageId', value: 'ami-1', key: '/ami/web/stage' }]],
  ]);
});

test('an operation ends with the event that began it, on whichever page', async () => {
  const event = (EventId: string, ResourceStatus: string, PhysicalResourceId = 'group') => ({
    ...{ EventId, ResourceStatus, PhysicalResourceId, StackId: 'web', ClientRequestToken: EventId.startsWith('old') ? 'old' : 'new' },
  });
  const stacks = paged({
    first: { StackEvents: [event('3', 'UPDATE_COMPLETE', 'web'), event('2', 'UPDATE_COMPLETE')], NextToken: 'second' },
    second: { StackEvents: [event('1', 'UPDATE_IN_PROGRESS', 'web'), event('old 1', 'CREATE_COMPLETE', 'web')], NextToken: 'third' },
  });
  const { token, events } = await stacks.operation('web');
  expect([token, events.map(({ id }) => id)]).toEqual(['new', ['1', '2', '3']]);
});
