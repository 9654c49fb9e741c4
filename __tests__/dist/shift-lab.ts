import {
  CreateListenerCommand,
  CreateLoadBalancerCommand,
  CreateRuleCommand,
  CreateTargetGroupCommand,
  ModifyTargetGroupAttributesCommand,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { groups } from '../../lab/autoscaling/group.ts';
import { images } from '../../lab/ec2/images.ts';
import { hundredRequests } from '../../lab/elb/requests.ts';
import { listeners } from '../../lab/elb/target-state.ts';
import { type RollLab, rollLab } from './roll-lab.ts';

/** One load balancer with two target groups, of which `blue` gets all traffic, and visitors who come all the time. */

export type Kind = 'rule' | 'listener' | 'network';
export type Pairing = 'temporary' | 'permanent';

export async function shiftLab(kind: Kind, pairing: Pairing, speed = 240) {
  const l = await rollLab({ speed, timings: { boot: 1, statusChecks: 1, targetHealth: 1, shutdown: 1 } });
  const made = { a: l.image('web-a'), b: l.image('web-b'), c: l.image('web-c') };
  await l.pointerTo(made.a);
  const [blue, green] = [await target(l, kind, 'blue'), await target(l, kind, 'green')];
  const at = await splitAt(l, kind, blue, green);
  const launch = async (name: string, UserData: string) => ({
    LaunchTemplateId: await l.template(name, { ImageId: made.a, UserData }),
    Version: '1',
  });
  const names = pairing === 'temporary' ? ['web'] : ['web-blue', 'web-green'];
  const [first = '', second] = names;
  await l.group(first, await launch(first, 'Ymx1ZQ=='), { TargetGroupARNs: [blue] });
  if (second !== undefined) await l.group(second, await launch(second, 'Z3JlZW4='), { DesiredCapacity: 0, TargetGroupARNs: [green] });
  // In service is not yet healthy.
  for (let waited = 0; hundredRequests(l.place, at)[made.a] !== 100 && waited < 600; waited += 1) await l.lab.clock.sleep(1);
  return { ...stageOf(l, at, { blue, green }), ...made, names, settings: settingsOf(names, at) };
}

const settingsOf = (names: readonly string[], at: string) => ({
  ...{ bake: '1m', 'warm-up': '0s', 'roll-timeout': '30m', 'checkpoint-delay': '30s' },
  ...{ groups: names.join(','), strategy: names.length === 2 ? 'two-groups' : 'blue-green', 'shift-at': at },
});

function stageOf(l: RollLab, at: string, targets: { readonly blue: string; readonly green: string }) {
  const shares: string[] = [];
  const look = () => {
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
  const all = [...listeners(l.place).values()];
  const actions = all.find(({ arn }) => arn === at)?.actions ?? all.find(({ rules }) => rules.has(at))?.rules.get(at)?.actions ?? [];
  return actions.flatMap(({ ForwardConfig }) => (ForwardConfig?.TargetGroups ?? []).map(({ Weight }) => Weight)).join('/');
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
