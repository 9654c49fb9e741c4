import type {
  Action,
  CreateListenerCommandInput,
  CreateListenerCommandOutput,
  CreateRuleCommandInput,
  CreateRuleCommandOutput,
  DeleteListenerCommandInput,
  DeleteListenerCommandOutput,
  Listener as DescribedListener,
  DescribeListenersCommandInput,
  DescribeListenersCommandOutput,
  DescribeRulesCommandInput,
  DescribeRulesCommandOutput,
  ModifyListenerCommandInput,
  ModifyListenerCommandOutput,
  ModifyRuleCommandInput,
  ModifyRuleCommandOutput,
  Rule,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { AwsError, type Operation, type Operations } from '../operation.ts';
import type { Place } from '../place.ts';
import { balancer } from './load-balancers.ts';
import { arnOf, balancersOf, type LabRule, type Listener, listeners, receiversOf, targetGroup } from './target-state.ts';

/** Listeners and their rules. Of the actions only forward does something: see requests.ts. */

const refused = (message: string): AwsError => new AwsError('ValidationError', message);

/** https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_ForwardActionConfig.html and API_TargetGroupTuple.html */
function checked(place: Place, balancerArn: string, actions: readonly Action[] = []): readonly Action[] {
  const last = actions.at(-1);
  if (last === undefined) throw refused('At least one action must be specified');
  for (const action of actions.filter(({ Type }) => Type === 'forward')) {
    const tuples = action.ForwardConfig?.TargetGroups ?? [];
    const single = action.TargetGroupArn;
    if (single !== undefined && tuples.some(({ TargetGroupArn }) => TargetGroupArn !== single || tuples.length > 1))
      throw refused('If you specify both ForwardConfig and TargetGroupArn, you can specify only one target group in ForwardConfig');
    if (tuples.length > 5) throw new AwsError('TooManyTargetGroups', 'A forward action takes at most 5 target groups');
    for (const { Weight = 1 } of tuples)
      if (!Number.isInteger(Weight) || Weight < 0 || Weight > 999) throw refused(`Weight '${Weight}' must be between 0 and 999`);
    for (const arn of receiversOf([action])) oneBalancer(place, arn, balancerArn);
  }
  return actions.map(complete);
}

/** https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-target-groups.html: a target group belongs to one load balancer. */
function oneBalancer(place: Place, arn: string, balancerArn: string): void {
  targetGroup(place, arn);
  if (balancersOf(place, arn).some(other => other !== balancerArn))
    throw new AwsError(
      'TargetGroupAssociationLimit',
      `The following target groups cannot be associated with more than one load balancer: ${arn}`,
    );
}

/** As AWS returns it: one target group in both forms, several only with their weights. */
function complete(action: Action): Action {
  if (action.Type !== 'forward') return action;
  const tuples = action.ForwardConfig?.TargetGroups ?? [{ TargetGroupArn: action.TargetGroupArn }];
  const TargetGroups = tuples.map(({ TargetGroupArn, Weight = 1 }) => ({ TargetGroupArn, Weight }));
  const TargetGroupStickinessConfig = action.ForwardConfig?.TargetGroupStickinessConfig ?? { Enabled: false };
  const single = TargetGroups.length === 1 ? { TargetGroupArn: TargetGroups[0]?.TargetGroupArn } : { TargetGroupArn: undefined };
  return { ...action, ...single, ForwardConfig: { TargetGroups, TargetGroupStickinessConfig } };
}

/** https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateListener.html */
const createListener: Operation<CreateListenerCommandInput, CreateListenerCommandOutput> = (input, { place }) => {
  const { LoadBalancerArn = '', Port = 80, Protocol = 'HTTP' } = input;
  balancer(place, LoadBalancerArn);
  const actions = checked(place, LoadBalancerArn, input.DefaultActions);
  const arn = arnOf(place, LoadBalancerArn.replace(/^.*:loadbalancer/, 'listener'));
  const listener: Listener = { arn, balancerArn: LoadBalancerArn, port: Port, protocol: Protocol, actions, rules: new Map() };
  listeners(place).set(arn, listener);
  return { Listeners: [described(listener)] };
};

const described = ({ arn, balancerArn, port, protocol, actions }: Listener): DescribedListener => ({
  ListenerArn: arn,
  LoadBalancerArn: balancerArn,
  Port: port,
  Protocol: protocol as NonNullable<DescribedListener['Protocol']>,
  DefaultActions: [...actions],
});

function listenerOf(place: Place, arn: string | undefined): Listener {
  const found = listeners(place).get(arn ?? '');
  if (found === undefined) throw new AwsError('ListenerNotFound', 'One or more listeners not found');
  return found;
}

/** https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeListeners.html */
const describeListeners: Operation<DescribeListenersCommandInput, DescribeListenersCommandOutput> = (input, { place }) => {
  for (const arn of input.ListenerArns ?? []) listenerOf(place, arn);
  return {
    Listeners: [...listeners(place).values()]
      .filter(({ balancerArn }) => input.LoadBalancerArn === undefined || input.LoadBalancerArn === balancerArn)
      .filter(({ arn }) => input.ListenerArns === undefined || input.ListenerArns.includes(arn))
      .map(described),
  };
};

/** What is not given stays as it is. https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_ModifyListener.html */
const modifyListener: Operation<ModifyListenerCommandInput, ModifyListenerCommandOutput> = (input, { place }) => {
  const listener = listenerOf(place, input.ListenerArn);
  if (input.DefaultActions !== undefined) listener.actions = checked(place, listener.balancerArn, input.DefaultActions);
  return { Listeners: [described(listener)] };
};

/** https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DeleteListener.html */
const deleteListener: Operation<DeleteListenerCommandInput, DeleteListenerCommandOutput> = ({ ListenerArn = '' }, { place }) => {
  if (!listeners(place).delete(ListenerArn)) throw new AwsError('ListenerNotFound', `Listener '${ListenerArn}' not found`);
  return {};
};

/** https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateRule.html */
const createRule: Operation<CreateRuleCommandInput, CreateRuleCommandOutput> = (input, { place }) => {
  const listener = listenerOf(place, input.ListenerArn);
  if (listener.balancerArn.includes(':loadbalancer/net/'))
    throw new AwsError('OperationNotPermitted', 'Rules are unsupported for listeners of network load balancers');
  if ([...listener.rules.values()].some(({ priority }) => priority === input.Priority))
    throw new AwsError('PriorityInUse', `Priority '${input.Priority}' is currently in use`);
  const arn = arnOf(place, listener.arn.replace(/^.*:listener\//, 'listener-rule/'));
  const actions = checked(place, listener.balancerArn, input.Actions);
  const rule: LabRule = { arn, priority: input.Priority ?? 1, conditions: input.Conditions ?? [], actions };
  listener.rules.set(arn, rule);
  return { Rules: [describedRule(rule)] };
};

const describedRule = ({ arn, priority, conditions, actions }: LabRule): Rule => ({
  ...{ RuleArn: arn, Priority: String(priority), IsDefault: false },
  ...{ Conditions: [...conditions], Actions: [...actions] },
});

/** The default rule, whose actions are those of the listener. */
const defaultRule = ({ arn, actions }: Listener): Rule => ({
  ...{ RuleArn: `${arn.replace(':listener/', ':listener-rule/')}/default`, Priority: 'default', IsDefault: true },
  ...{ Conditions: [], Actions: [...actions] },
});

function ruleOf(place: Place, arn: string | undefined): { readonly rule: LabRule; readonly listener: Listener } {
  for (const listener of listeners(place).values()) {
    const rule = listener.rules.get(arn ?? '');
    if (rule !== undefined) return { rule, listener };
  }
  throw new AwsError('RuleNotFound', 'One or more rules not found');
}

/** https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeRules.html */
const describeRules: Operation<DescribeRulesCommandInput, DescribeRulesCommandOutput> = (input, { place }) => {
  if (input.ListenerArn === undefined) return { Rules: (input.RuleArns ?? []).map(arn => describedRule(ruleOf(place, arn).rule)) };
  const listener = listenerOf(place, input.ListenerArn);
  const rules = [...listener.rules.values()].sort((a, b) => a.priority - b.priority);
  return { Rules: [...rules.map(describedRule), defaultRule(listener)] };
};

/** https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_ModifyRule.html: actions that are given replace all. */
const modifyRule: Operation<ModifyRuleCommandInput, ModifyRuleCommandOutput> = (input, { place }) => {
  const { rule, listener } = ruleOf(place, input.RuleArn);
  if (input.Actions !== undefined) rule.actions = checked(place, listener.balancerArn, input.Actions);
  return { Rules: [describedRule(rule)] };
};

export const listenerOperations: Operations = {
  CreateListener: createListener,
  CreateRule: createRule,
  DeleteListener: deleteListener,
  DescribeListeners: describeListeners,
  DescribeRules: describeRules,
  ModifyListener: modifyListener,
  ModifyRule: modifyRule,
};
