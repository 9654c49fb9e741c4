import {
  CreateListenerCommand,
  CreateLoadBalancerCommand,
  CreateRuleCommand,
  CreateTargetGroupCommand,
  DescribeRulesCommand,
  ElasticLoadBalancingV2Client,
  ModifyListenerCommand,
  ModifyRuleCommand,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import {
  ChangeResourceRecordSetsCommand,
  GetChangeCommand,
  ListResourceRecordSetsCommand,
  type ResourceRecordSet,
  Route53Client,
} from '@aws-sdk/client-route-53';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Lab, startLab } from '../../lab/lab.ts';
import { zones } from '../../lab/route53/records.ts';

/** What divides traffic by weight, and what AWS refuses there. */

let lab: Lab;
let balancing: ElasticLoadBalancingV2Client;
let route53: Route53Client;
beforeAll(async () => {
  lab = await startLab({ machines: 'paper', speed: 600 });
  const credentials = { accessKeyId: lab.environment()['AWS_ACCESS_KEY_ID'] ?? '', secretAccessKey: 'x' };
  const settings = { endpoint: lab.url, region: 'eu-central-1', credentials };
  balancing = new ElasticLoadBalancingV2Client(settings);
  route53 = new Route53Client(settings);
});
afterAll(() => lab.close());

const target = async (Name: string) =>
  (await balancing.send(new CreateTargetGroupCommand({ Name, Protocol: 'HTTP', Port: 80 }))).TargetGroups?.[0]?.TargetGroupArn ?? '';
const balancer = async (Name: string, Type: 'application' | 'network' = 'application') =>
  (await balancing.send(new CreateLoadBalancerCommand({ Name, Type, Subnets: [] }))).LoadBalancers?.[0]?.LoadBalancerArn ?? '';
const forward = (...weighted: readonly (readonly [arn: string, weight: number])[]) => ({
  Type: 'forward' as const,
  ForwardConfig: { TargetGroups: weighted.map(([TargetGroupArn, Weight]) => ({ TargetGroupArn, Weight })) },
});
const listener = async (LoadBalancerArn: string, action: ReturnType<typeof forward>) =>
  (await balancing.send(new CreateListenerCommand({ LoadBalancerArn, Protocol: 'HTTP', Port: 80, DefaultActions: [action] })))
    .Listeners?.[0]?.ListenerArn ?? '';
const nameOf = (work: Promise<unknown>) => work.then(() => 'done').catch((cause: Error) => cause.name.replace(/Exception$/, ''));

test('a rule: weights from 0 to 999, target groups of one load balancer, and the default rule last', async () => {
  const [a, b, other] = [await target('a'), await target('b'), await target('other')];
  const ListenerArn = await listener(await balancer('one'), forward([a, 1], [b, 0]));
  await listener(await balancer('two'), forward([other, 1]));
  const rule = { ListenerArn, Priority: 1, Conditions: [{ Field: 'path-pattern', Values: ['/*'] }] };
  const made = await balancing.send(new CreateRuleCommand({ ...rule, Actions: [forward([a, 1], [b, 0])] }));
  const RuleArn = made.Rules?.[0]?.RuleArn ?? '';
  const set = (...weighted: readonly (readonly [arn: string, weight: number])[]) =>
    balancing.send(new ModifyRuleCommand({ RuleArn, Actions: [forward(...weighted)] }));
  await set([a, 0], [b, 999]);
  expect(await nameOf(set([a, 0], [b, 1000]))).toBe('ValidationError');
  expect(await nameOf(set([a, 0], [other, 1]))).toBe('TargetGroupAssociationLimit');
  expect(await nameOf(set([a, 0], [`${b}0`, 1]))).toBe('TargetGroupNotFound');
  expect(await nameOf(balancing.send(new ModifyRuleCommand({ RuleArn: `${RuleArn}0`, Actions: [forward([a, 1])] })))).toBe('RuleNotFound');
  expect(await nameOf(balancing.send(new CreateRuleCommand({ ...rule, Actions: [forward([a, 1])] })))).toBe('PriorityInUse');
  const { Rules = [] } = await balancing.send(new DescribeRulesCommand({ ListenerArn }));
  expect(
    Rules.map(({ IsDefault, Actions }) => [IsDefault, Actions?.[0]?.ForwardConfig?.TargetGroups?.map(({ Weight }) => Weight)]),
  ).toEqual([
    [false, [0, 999]],
    [true, [1, 0]],
  ]);
});

test('a Network Load Balancer has weights in its default action, and no rules', async () => {
  const [a, b] = [await target('na'), await target('nb')];
  const ListenerArn = await listener(await balancer('net', 'network'), forward([a, 1], [b, 0]));
  const { Listeners } = await balancing.send(new ModifyListenerCommand({ ListenerArn, DefaultActions: [forward([a, 90], [b, 10])] }));
  expect(Listeners?.[0]).toMatchObject({
    Port: 80,
    DefaultActions: [{ ForwardConfig: { TargetGroups: [{ Weight: 90 }, { Weight: 10 }] } }],
  });
  const rule = { ListenerArn, Priority: 1, Conditions: [], Actions: [forward([a, 1])] };
  expect(await nameOf(balancing.send(new CreateRuleCommand(rule)))).toBe('OperationNotPermitted');
});

test('records: a batch is made as a whole, a record is deleted only as it is, and a change is PENDING first', async () => {
  const record = (SetIdentifier: string, Weight: number): ResourceRecordSet => ({
    ...{ Name: 'www.example.com.', Type: 'CNAME', SetIdentifier, Weight, TTL: 60, ResourceRecords: [{ Value: SetIdentifier }] },
  });
  zones(lab.place()).set('Z1', [record('a', 1), record('b', 0), { ...record('z', 1), Name: 'zzz.example.com.' }]);
  const where = { HostedZoneId: 'Z1', StartRecordName: 'www.example.com', StartRecordType: 'CNAME' as const };
  const weights = async () =>
    (await route53.send(new ListResourceRecordSetsCommand({ ...where, MaxItems: 2 }))).ResourceRecordSets?.map(({ Weight }) => Weight);
  const move = (from: number, to: number) =>
    route53.send(
      new ChangeResourceRecordSetsCommand({
        HostedZoneId: 'Z1',
        ChangeBatch: {
          Changes: [
            { Action: 'UPSERT', ResourceRecordSet: record('b', 100) },
            { Action: 'DELETE', ResourceRecordSet: record('a', from) },
            { Action: 'CREATE', ResourceRecordSet: record('a', to) },
          ],
        },
      }),
    );
  expect([await nameOf(move(7, 0)), await weights()]).toEqual(['InvalidChangeBatch', [1, 0]]);
  const { ChangeInfo } = await move(1, 0);
  expect([ChangeInfo?.Status, await weights()]).toEqual(['PENDING', [0, 100]]);
  await lab.clock.sleep(40);
  expect((await route53.send(new GetChangeCommand({ Id: ChangeInfo?.Id }))).ChangeInfo?.Status).toBe('INSYNC');
  expect(await nameOf(route53.send(new ListResourceRecordSetsCommand({ HostedZoneId: 'Z2' })))).toBe('NoSuchHostedZone');
});
