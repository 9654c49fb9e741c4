import {
  CreateListenerCommand,
  CreateLoadBalancerCommand,
  CreateRuleCommand,
  CreateTargetGroupCommand,
  ModifyTargetGroupAttributesCommand,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { groups } from '../../lab/autoscaling/group.ts';
import { images } from '../../lab/ec2/images.ts';
import { addClassicBalancer, classicName } from '../../lab/elb/classic.ts';
import { listeners } from '../../lab/elb/target-state.ts';
import { zones } from '../../lab/route53/records.ts';
import { type RollLab, type RollLabOptions, rollLab } from './roll-lab.ts';
import { hundredRequests, imagesBehind, recordsAt, sourcesBehind } from './shift-requests.ts';

/** One load balancer with two target groups, of which `blue` gets all traffic, and visitors who come all the time. */

/** `records`: two Application Load Balancers behind weighted records; `classic`: two classic ones. */
export type Kind = 'rule' | 'listener' | 'network' | 'records' | 'classic';
export type Pairing = 'temporary' | 'permanent';

/** Real processes, for checks: a server that starts with the instance. */
const SERVES = Buffer.from('#!/bin/sh\ncd /srv && nohup python3 -m http.server 8080 >/dev/null 2>&1 &\n').toString('base64');

export async function shiftLab(kind: Kind, pairing: Pairing, { speed = 240, sandbox = false }: RollLabOptions = {}) {
  const l = await rollLab({ speed, sandbox, timings: { boot: 1, statusChecks: 1, targetHealth: 1, shutdown: 1 } });
  const made = { a: l.image('web-a'), b: l.image('web-b'), c: l.image('web-c') };
  await l.pointerTo(made.a);
  const { at, blue, green } = await (kind === 'records' || kind === 'classic' ? twoBalancers(l, kind) : oneBalancer(l, kind));
  const launch = async (name: string, UserData: string) => ({
    LaunchTemplateId: await l.template(name, { ImageId: made.a, UserData: sandbox ? SERVES : UserData }),
    Version: '1',
  });
  const names = pairing === 'temporary' ? ['web'] : ['web-blue', 'web-green'];
  const [first = '', second] = names;
  await l.group(first, await launch(first, 'Ymx1ZQ=='), behind(kind, blue));
  if (second !== undefined) await l.group(second, await launch(second, 'Z3JlZW4='), { DesiredCapacity: 0, ...behind(kind, green) });
  // In service is not yet healthy.
  for (let waited = 0; hundredRequests(l.place, at)[made.a] !== 100 && waited < 600; waited += 1) await l.lab.clock.sleep(1);
  return { ...stageOf(l, at, sidesOf(kind, blue, green)), ...made, names, settings: settingsOf(names, at) };
}

const behind = (kind: Kind, id: string) =>
  kind === 'classic' ? { TargetGroupARNs: [], LoadBalancerNames: [id] } : { TargetGroupARNs: [id] };
/** As messages name them. */
const sidesOf = (kind: Kind, blue: string, green: string) => (kind === 'records' ? { blue: 'blue', green: 'green' } : { blue, green });

const settingsOf = (names: readonly string[], at: string) => ({
  ...{ bake: '1m', 'warm-up': '0s', 'roll-timeout': '30m', 'checkpoint-delay': '30s' },
  ...{ groups: names.join(','), strategy: names.length === 2 ? 'two-groups' : 'blue-green', 'shift-at': at },
});

function stageOf(l: RollLab, at: string, targets: { readonly blue: string; readonly green: string }) {
  const shares: string[] = [];
  const lastShare = new Map<string, number>();
  const look = () => {
    noteStaleClients(l, at, lastShare, shares);
    const counted = Object.entries(hundredRequests(l.place, at)).map(([id, requests]) => `${nameOf(l, id)} ${Math.round(requests)}`);
    const share = counted.sort().join(', ');
    if (share !== '' && share !== shares.at(-1)) shares.push(share);
    l.lab.clock.after(1, look);
  };
  return {
    l,
    at,
    targets,
    /** Starts the visitors: each change of who answers how many of a hundred requests is noted. */
    visit: () => {
      shares.length = 0;
      look();
      return shares;
    },
    weights: (): string => weightsOf(l, at),
    /** Images in service by group, weights, pointer, candidate, and whether a tag of a pair is left. */
    state: () => ({
      runs: Object.fromEntries([...groups(l.place).keys()].map(name => [name, [...new Set(l.runs(name))].join()])),
      weights: weightsOf(l, at),
      pointer: l.pointer(),
      candidate: l.candidate(),
      tags: [...groups(l.place).values()]
        .flatMap(({ tags }) => tags.map(({ Key = '' }) => Key))
        .filter(key => key !== 'ami-action:made-by'),
    }),
  };
}

const nameOf = (l: RollLab, id: string): string => images(l.place).get(id)?.name.replace('web-', '') ?? id;

function weightsOf(l: RollLab, at: string): string {
  if (!at.startsWith('arn:'))
    return recordsAt(l.place, at)
      .toSorted((a, b) => ((a.SetIdentifier ?? '') < (b.SetIdentifier ?? '') ? -1 : 1))
      .map(({ Weight }) => Weight)
      .join('/');
  const all = [...listeners(l.place).values()];
  const actions = all.find(({ arn }) => arn === at)?.actions ?? all.find(({ rules }) => rules.has(at))?.rules.get(at)?.actions ?? [];
  return actions.flatMap(({ ForwardConfig }) => (ForwardConfig?.TargetGroups ?? []).map(({ Weight }) => Weight)).join('/');
}

/** A client that followed a record within its TTL still uses what it led to. */
function noteStaleClients(l: RollLab, at: string, lastShare: Map<string, number>, shares: string[]): void {
  for (const record of at.startsWith('arn:') ? [] : recordsAt(l.place, at)) {
    const { SetIdentifier = '', Weight = 0 } = record;
    if (Weight > 0) lastShare.set(SetIdentifier, l.lab.clock.now());
    const isFollowed = l.lab.clock.now() - (lastShare.get(SetIdentifier) ?? 0) < TTL * 1000;
    if (isFollowed && sourcesBehind(l.place, record).every(id => imagesBehind(l.place, id).length === 0))
      shares.push(`none at ${SetIdentifier}`);
  }
}

const TTL = 60;

async function oneBalancer(l: RollLab, kind: Kind) {
  const [blue, green] = [await target(l, kind, 'blue'), await target(l, kind, 'green')];
  return { at: await splitAt(l, kind, blue, green), blue, green };
}

/** Two load balancers, each behind a record of its own. */
async function twoBalancers(l: RollLab, kind: Kind) {
  const zone = 'Z0123456789ABC';
  const names = ['blue', 'green'] as const;
  const made = names.map(async name => {
    if (kind === 'records') return balancerOf(l, name);
    addClassicBalancer(l.place, name, { target: 'HTTP:8080/', healthyThreshold: 2, drainSeconds: 5 });
    return { id: name, dns: classicName(l.place, name) };
  });
  const [blue, green] = await Promise.all(made);
  const records = [blue, green].map((balancer, i) => ({
    ...{ Name: 'www.example.com.', SetIdentifier: names[i], Weight: i === 0 ? 1 : 0 },
    ...(kind === 'records'
      ? {
          Type: 'A' as const,
          AliasTarget: { HostedZoneId: 'Z215JYRZR1TBD5', DNSName: `dualstack.${balancer?.dns}.`, EvaluateTargetHealth: false },
        }
      : { Type: 'CNAME' as const, TTL, ResourceRecords: [{ Value: balancer?.dns }] }),
  }));
  const other = { Name: 'other.example.com.', Type: 'A' as const, TTL, ResourceRecords: [{ Value: '192.0.2.1' }] };
  zones(l.place).set(zone, [...records, other]);
  return { at: `${zone}/www.example.com/${kind === 'records' ? 'A' : 'CNAME'}`, blue: blue?.id ?? '', green: green?.id ?? '' };
}

async function balancerOf(l: RollLab, name: string) {
  const id = await target(l, 'rule', name);
  const { LoadBalancers = [] } = await l.cloud.balancing.send(new CreateLoadBalancerCommand({ Name: name, Subnets: [] }));
  const [{ LoadBalancerArn = '', DNSName = '' } = {}] = LoadBalancers;
  const DefaultActions = [{ Type: 'forward' as const, TargetGroupArn: id }];
  await l.cloud.balancing.send(new CreateListenerCommand({ LoadBalancerArn, Protocol: 'HTTP', Port: 80, DefaultActions }));
  return { id, dns: DNSName };
}

async function target({ cloud: { balancing } }: RollLab, kind: Kind, Name: string): Promise<string> {
  const Protocol = kind === 'network' ? 'TCP' : 'HTTP';
  const made = await balancing.send(
    new CreateTargetGroupCommand({ Name, Protocol, Port: 8080, UnhealthyThresholdCount: 2, HealthyThresholdCount: 2 }),
  );
  const TargetGroupArn = made.TargetGroups?.[0]?.TargetGroupArn ?? '';
  const Attributes = [
    { Key: 'deregistration_delay.timeout_seconds', Value: '5' },
    { Key: 'slow_start.duration_seconds', Value: '30' },
  ];
  await balancing.send(new ModifyTargetGroupAttributesCommand({ TargetGroupArn, Attributes }));
  return TargetGroupArn;
}

async function splitAt({ cloud: { balancing } }: RollLab, kind: Kind, blue: string, green: string): Promise<string> {
  const balancer = await balancing.send(
    new CreateLoadBalancerCommand({ Name: 'shop', Type: kind === 'network' ? 'network' : 'application', Subnets: [] }),
  );
  const LoadBalancerArn = balancer.LoadBalancers?.[0]?.LoadBalancerArn ?? '';
  const sticky = kind === 'network' ? {} : { TargetGroupStickinessConfig: { Enabled: true, DurationSeconds: 3600 } };
  const TargetGroups = [
    { TargetGroupArn: blue, Weight: 1 },
    { TargetGroupArn: green, Weight: 0 },
  ];
  const forward = { Type: 'forward' as const, ForwardConfig: { TargetGroups, ...sticky } };
  const closed = { Type: 'fixed-response' as const, FixedResponseConfig: { StatusCode: '404' } };
  const [Protocol, Port] = kind === 'network' ? (['TCP', 8080] as const) : (['HTTP', 80] as const);
  const listener = await balancing.send(
    new CreateListenerCommand({ LoadBalancerArn, Protocol, Port, DefaultActions: [kind === 'rule' ? closed : forward] }),
  );
  const ListenerArn = listener.Listeners?.[0]?.ListenerArn ?? '';
  if (kind !== 'rule') return ListenerArn;
  const Conditions = [{ Field: 'path-pattern', Values: ['/*'] }];
  const rule = await balancing.send(new CreateRuleCommand({ ListenerArn, Priority: 10, Conditions, Actions: [forward] }));
  return rule.Rules?.[0]?.RuleArn ?? '';
}

export type ShiftLab = Awaited<ReturnType<typeof shiftLab>>;
