import {
  CloudFormationClient,
  CreateChangeSetCommand,
  CreateStackCommand,
  DeleteStackCommand,
  DescribeChangeSetCommand,
  DescribeStacksCommand,
  ExecuteChangeSetCommand,
  GetTemplateSummaryCommand,
} from '@aws-sdk/client-cloudformation';
import {
  AddTagsCommand,
  CreateTargetGroupCommand,
  DeleteTargetGroupCommand,
  DescribeTagsCommand,
  ElasticLoadBalancingV2Client,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { providers, roles } from '../../lab/iam/roles.ts';
import { type Lab, startLab } from '../../lab/lab.ts';
import { refusal } from './clients.ts';

let lab: Lab;
let stacks: CloudFormationClient;
let balancing: ElasticLoadBalancingV2Client;
beforeAll(async () => {
  lab = await startLab({ machines: 'paper', speed: 60 });
  const settings = {
    endpoint: lab.url,
    region: 'eu-central-1',
    credentials: { accessKeyId: 'AKIALAB0111122223333', secretAccessKey: 'x' },
  };
  [stacks, balancing] = [new CloudFormationClient(settings), new ElasticLoadBalancingV2Client(settings)];
});
afterAll(() => lab.close());

const TEMPLATE = `
Parameters: { Name: { Type: String } }
Resources:
  Provider:
    Type: AWS::IAM::OIDCProvider
    DeletionPolicy: Retain
    Properties: { Url: https://example.com, ClientIdList: [me] }
  Role:
    Type: AWS::IAM::Role
    Properties: { RoleName: !Ref Name, AssumeRolePolicyDocument: { Statement: [] } }
Outputs: { Arn: { Value: !GetAtt Role.Arn } }
`;
const create = (StackName: string, change: object = {}) =>
  stacks.send(
    new CreateStackCommand({
      ...{ StackName, TemplateBody: TEMPLATE, Capabilities: ['CAPABILITY_NAMED_IAM'], Tags: [{ Key: 'a', Value: 'b' }] },
      Parameters: [{ ParameterKey: 'Name', ParameterValue: StackName }],
      ...change,
    }),
  );
const describeStack = (StackName: string) => stacks.send(new DescribeStacksCommand({ StackName }));
const status = async (name: string) => (await describeStack(name)).Stacks?.[0]?.StackStatus;

describe('a stack', () => {
  test('is created in time, with its outputs and tags, and deleted without what it retains', async () => {
    await create('one');
    expect(await status('one')).toBe('CREATE_IN_PROGRESS');
    await lab.clock.sleep(lab.core.timings.stack + 5);
    expect((await describeStack('one')).Stacks?.[0]).toMatchObject({
      ...{ StackName: 'one', StackStatus: 'CREATE_COMPLETE', Tags: [{ Key: 'a', Value: 'b' }] },
      Outputs: [{ OutputKey: 'Arn', OutputValue: 'arn:aws:iam::111122223333:role/one' }],
    });
    expect([...roles(lab.core).keys()]).toEqual(['arn:aws:iam::111122223333:role/one']);
    await stacks.send(new DeleteStackCommand({ StackName: 'one' }));
    expect(await status('one')).toBe('DELETE_IN_PROGRESS');
    await lab.clock.sleep(lab.core.timings.stack + 5);
    expect(await refusal(describeStack('one'))).toBe('ValidationError: Stack with id one does not exist');
    expect([roles(lab.core).size, providers(lab.core).size]).toEqual([0, 1]);
  });

  test.each([
    ['the same name', {}, 'AlreadyExistsException: Stack [two] already exists'],
    [
      'no capability',
      { StackName: 'x', Capabilities: [] },
      'InsufficientCapabilitiesException: Requires capabilities : [CAPABILITY_NAMED_IAM]',
    ],
    ['a missing parameter', { StackName: 'x', Parameters: [] }, 'ValidationError: Parameters: [Name] must have values'],
    ['a long template', { StackName: 'x', TemplateBody: '#'.repeat(51_201) }, /^ValidationError: .*less than or equal to 51200/],
    ['a bad name', { StackName: '1' }, /^ValidationError: .*'stackName' failed to satisfy/],
  ])('with %s is refused', async (_, change, message) => {
    await create('two').catch(() => undefined);
    expect(await refusal(create('two', change))).toMatch(message);
  });

  test('that does not exist is deleted without an error', async () => {
    expect((await stacks.send(new DeleteStackCommand({ StackName: 'never' }))).$metadata.httpStatusCode).toBe(200);
  });
});

describe('a change set', () => {
  const propose = (ChangeSetName: string, ChangeSetType: 'CREATE' | 'UPDATE', change: object = {}) =>
    stacks.send(
      new CreateChangeSetCommand({
        ...{ StackName: 'four', ChangeSetName, ChangeSetType, TemplateBody: TEMPLATE, Capabilities: ['CAPABILITY_NAMED_IAM'] },
        Parameters: [{ ParameterKey: 'Name', ParameterValue: 'four' }],
        ...change,
      }),
    );
  const described = async (ChangeSetName: string) => {
    await lab.clock.sleep(5);
    const { Status, StatusReason, Changes = [] } = await stacks.send(new DescribeChangeSetCommand({ StackName: 'four', ChangeSetName }));
    return [Status, StatusReason, ...Changes.map(({ ResourceChange: of }) => `${of?.Action} ${of?.LogicalResourceId}`)];
  };
  const execute = async (ChangeSetName: string) => {
    await stacks.send(new ExecuteChangeSetCommand({ StackName: 'four', ChangeSetName }));
    await lab.clock.sleep(lab.core.timings.stack + 5);
  };
  const named = () => [...roles(lab.core).keys()].filter(arn => /four|five/.test(arn));

  test('that creates makes a stack without resources until it is executed; one that updates changes its roles', async () => {
    expect(await refusal(propose('x', 'UPDATE'))).toBe('ValidationError: Stack with id four does not exist');
    await propose('one', 'CREATE');
    expect([await status('four'), named(), await described('one')]).toEqual([
      'REVIEW_IN_PROGRESS',
      [],
      ['CREATE_COMPLETE', undefined, 'Add Provider', 'Add Role'],
    ]);
    await propose('two', 'CREATE');
    await execute('one');
    expect([await status('four'), named()]).toEqual(['CREATE_COMPLETE', ['arn:aws:iam::111122223333:role/four']]);
    expect(await refusal(propose('x', 'CREATE'))).toBe(
      'ValidationError: Stack [four] already exists and cannot be created again with the changeSet [x].',
    );
    expect((await stacks.send(new GetTemplateSummaryCommand({ StackName: 'four' }))).Parameters).toEqual([
      { ParameterKey: 'Name', ParameterType: 'String' },
    ]);
    await propose('same', 'UPDATE');
    expect(await described('same')).toEqual(['FAILED', expect.stringMatching(/^The submitted information didn't contain changes/)]);
    const Parameters = [{ ParameterKey: 'Name', ParameterValue: 'five' }];
    expect(await refusal(propose('other', 'UPDATE', { Parameters, Capabilities: [] }))).toMatch(/^InsufficientCapabilitiesException/);
    await propose('other', 'UPDATE', { Parameters });
    expect(await described('other')).toEqual(['CREATE_COMPLETE', undefined, 'Modify Role']);
    await execute('other');
    expect([await status('four'), named()]).toEqual(['UPDATE_COMPLETE', ['arn:aws:iam::111122223333:role/five']]);
    await propose('less', 'UPDATE', { TemplateBody: TEMPLATE.replace(/ {2}Role:[\s\S]*$/, ''), Parameters });
    expect(await described('less')).toEqual(['CREATE_COMPLETE', undefined, 'Remove Role']);
  });
});

test('a target group has the tags of its creation and later ones, until it is gone', async () => {
  const { TargetGroups: [group] = [] } = await balancing.send(
    new CreateTargetGroupCommand({ Name: 'tagged', Protocol: 'HTTP', Port: 80, VpcId: 'vpc-1', Tags: [{ Key: 'a', Value: 'b' }] }),
  );
  const TargetGroupArn = group?.TargetGroupArn ?? '';
  await balancing.send(new AddTagsCommand({ ResourceArns: [TargetGroupArn], Tags: [{ Key: 'c', Value: 'd' }] }));
  const tags = (arns: readonly string[]) => balancing.send(new DescribeTagsCommand({ ResourceArns: [...arns] }));
  expect((await tags([TargetGroupArn])).TagDescriptions).toEqual([
    {
      ResourceArn: TargetGroupArn,
      Tags: [
        { Key: 'a', Value: 'b' },
        { Key: 'c', Value: 'd' },
      ],
    },
  ]);
  expect(await refusal(tags(Array(21).fill(TargetGroupArn)))).toMatch(/^ValidationError/);
  await balancing.send(new DeleteTargetGroupCommand({ TargetGroupArn }));
  expect(await refusal(tags([TargetGroupArn]))).toMatch(/^TargetGroupNotFound/);
});
