import {
  type Action,
  DescribeListenersCommand,
  DescribeRulesCommand,
  DescribeTargetGroupAttributesCommand,
  type ElasticLoadBalancingV2Client,
  type Listener,
  ModifyListenerCommand,
  ModifyRuleCommand,
  type Rule,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { RejectedError } from '../../kit/errors.ts';
import type { Weights } from '../../ports/groups.ts';
import { asExpected, undefinedOn } from './errors.ts';
import { allPages, listed } from './pages.ts';

/** Weighted target groups of Application and Network Load Balancers: in the default action of a listener, or in a rule of one. */
export const listenerWeights = (client: ElasticLoadBalancingV2Client): Omit<Weights, 'inSync'> => ({
  async read(at) {
    const actions = await actionsAt(client, at);
    if (actions === undefined) return undefined;
    const { TargetGroupStickinessConfig: sticky } = forwardOf(actions)?.ForwardConfig ?? {};
    return {
      at,
      sides: targetsOf(actions).map(({ id, weight }) => ({ id, weight, targetGroups: [id], balancers: [] })),
      settleSeconds: 0,
      stickySeconds: sticky?.Enabled === true ? sticky.DurationSeconds : undefined,
    };
  },

  async details({ at, sides }) {
    const ids = sides.map(({ id }) => id);
    const users = await usersOf(client, balancerOf(at));
    return {
      alsoUsedBy: users.filter(user => user.arn !== at && user.ids.some(id => ids.includes(id))).map(({ arn }) => arn),
      ...(await delaysOf(client, ids)),
    };
  },

  async write(at, weights) {
    const actions = await actionsAt(client, at);
    if (actions === undefined) throw new RejectedError(`${at} no longer exists.`);
    const changed = actions.map(action => withWeights(action, weights));
    await (isRule(at)
      ? client
          .send(new ModifyRuleCommand({ RuleArn: at, Actions: changed }))
          .catch(asExpected('change the weights of a rule (elasticloadbalancing:ModifyRule)'))
      : client
          .send(new ModifyListenerCommand({ ListenerArn: at, DefaultActions: changed }))
          .catch(asExpected('change the weights of a listener (elasticloadbalancing:ModifyListener)')));
    return undefined;
  },
});

const isRule = (arn: string): boolean => arn.includes(':listener-rule/');

/** `.../listener-rule/app/web/50dc/f2f7/9683` and `.../listener/app/web/50dc/f2f7` name the load balancer in their path. */
const balancerOf = (arn: string): string => arn.replace(/:listener(-rule)?\/([^/]+\/[^/]+\/[^/]+)\/.*$/, ':loadbalancer/$2');

async function actionsAt(client: ElasticLoadBalancingV2Client, arn: string): Promise<readonly Action[] | undefined> {
  if (isRule(arn)) {
    const found = await client
      .send(new DescribeRulesCommand({ RuleArns: [arn] }))
      .catch(undefinedOn('RuleNotFound'))
      .catch(asExpected('read a listener rule (elasticloadbalancing:DescribeRules)'));
    return found && listed(found.Rules)[0]?.Actions;
  }
  const found = await client
    .send(new DescribeListenersCommand({ ListenerArns: [arn] }))
    .catch(undefinedOn('ListenerNotFound'))
    .catch(asExpected('read a listener (elasticloadbalancing:DescribeListeners)'));
  return found && listed(found.Listeners)[0]?.DefaultActions;
}

const forwardOf = (actions: readonly Action[]): Action | undefined => actions.find(({ Type }) => Type === 'forward');

/** A single target group may stand without a weight. https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetGroupTuple.html */
function targetsOf(actions: readonly Action[]): readonly { readonly id: string; readonly weight: number }[] {
  const { ForwardConfig, TargetGroupArn } = forwardOf(actions) ?? {};
  const tuples = ForwardConfig?.TargetGroups ?? (TargetGroupArn === undefined ? [] : [{ TargetGroupArn }]);
  return tuples.map(({ TargetGroupArn: id = '', Weight: weight = 1 }) => ({ id, weight }));
}

/** AWS does not return the secret of an authentication action; without this flag it would have to be sent. */
function withWeights(action: Action, weights: ReadonlyMap<string, number>): Action {
  if (action.AuthenticateOidcConfig !== undefined)
    return { ...action, AuthenticateOidcConfig: { ...action.AuthenticateOidcConfig, UseExistingClientSecret: true } };
  if (action.Type !== 'forward') return action;
  const TargetGroups = (action.ForwardConfig?.TargetGroups ?? []).map(tuple => ({
    ...tuple,
    Weight: weights.get(tuple.TargetGroupArn ?? '') ?? tuple.Weight,
  }));
  return { ...action, TargetGroupArn: undefined, ForwardConfig: { ...action.ForwardConfig, TargetGroups } };
}

interface User {
  readonly arn: string;
  /** Target groups that it sends to. */
  readonly ids: readonly string[];
}

/** A target group receives from one load balancer only: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-target-groups.html */
async function usersOf(client: ElasticLoadBalancingV2Client, LoadBalancerArn: string): Promise<readonly User[]> {
  const listeners = await allPages<Listener>(async Marker => {
    const found = await client
      .send(new DescribeListenersCommand({ LoadBalancerArn, Marker }))
      .catch(asExpected('read the listeners of a load balancer (elasticloadbalancing:DescribeListeners)'));
    return { items: found.Listeners, next: found.NextMarker };
  });
  const own = listeners.map(({ ListenerArn: arn = '', DefaultActions = [] }) => ({ arn, ids: idsOf(DefaultActions) }));
  // Only Application Load Balancers have rules.
  const isApplication = LoadBalancerArn.includes(':loadbalancer/app/');
  const rules = await Promise.all(isApplication ? own.map(({ arn }) => rulesOf(client, arn)) : []);
  return [...own, ...rules.flat()];
}

const idsOf = (actions: readonly Action[]): readonly string[] => targetsOf(actions).map(({ id }) => id);

async function rulesOf(client: ElasticLoadBalancingV2Client, ListenerArn: string): Promise<readonly User[]> {
  const rules = await allPages<Rule>(async Marker => {
    const found = await client
      .send(new DescribeRulesCommand({ ListenerArn, Marker }))
      .catch(asExpected('read the rules of a listener (elasticloadbalancing:DescribeRules)'));
    return { items: found.Rules, next: found.NextMarker };
  });
  // The default rule is the default action of the listener.
  return rules.filter(({ IsDefault }) => IsDefault !== true).map(({ RuleArn: arn = '', Actions = [] }) => ({ arn, ids: idsOf(Actions) }));
}

/** The longest of these target groups. */
export async function delaysOf(client: ElasticLoadBalancingV2Client, ids: readonly string[]) {
  const attributes = await Promise.all(ids.map(id => attributesOf(client, id)));
  const most = (key: string) => Math.max(0, ...attributes.map(own => Number(own.get(key) ?? 0)));
  return { slowStartSeconds: most('slow_start.duration_seconds'), drainSeconds: most('deregistration_delay.timeout_seconds') };
}

async function attributesOf(client: ElasticLoadBalancingV2Client, TargetGroupArn: string): Promise<ReadonlyMap<string, string>> {
  const { Attributes } = await client
    .send(new DescribeTargetGroupAttributesCommand({ TargetGroupArn }))
    .catch(asExpected('read the attributes of a target group (elasticloadbalancing:DescribeTargetGroupAttributes)'));
  return new Map(listed(Attributes).map(({ Key = '', Value = '' }) => [Key, Value]));
}
