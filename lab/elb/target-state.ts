import { randomBytes } from 'node:crypto';
import type { Action, RuleCondition, TargetGroup, TargetHealth } from '@aws-sdk/client-elastic-load-balancing-v2';
import { AwsError } from '../operation.ts';
import { type Place, slice } from '../place.ts';

export interface LabTargetGroup {
  readonly arn: string;
  readonly name: string;
  readonly place: Place;
  /** Settings as DescribeTargetGroups returns them. */
  readonly settings: TargetGroup;
  readonly attributes: Map<string, string>;
  /** By `id:port`. */
  readonly targets: Map<string, Target>;
}

export interface Target {
  readonly id: string;
  readonly port: number;
  health: TargetHealth;
  /** Number of consecutive checks with the current result. */
  streak: number;
  passing: boolean;
  /** Cancels the next check, or the end of draining. */
  stop: () => void;
}

export interface Listener {
  readonly arn: string;
  readonly balancerArn: string;
  readonly port: number;
  readonly protocol: string;
  actions: readonly Action[];
  /** By ARN. */
  readonly rules: Map<string, LabRule>;
}

export interface LabRule {
  readonly arn: string;
  readonly priority: number;
  readonly conditions: readonly RuleCondition[];
  actions: readonly Action[];
}

/** The target groups that actions forward to, whatever their weights. */
export const receiversOf = (actions: readonly Action[]): readonly string[] => [
  ...new Set(
    actions.flatMap(({ TargetGroupArn, ForwardConfig }) =>
      [TargetGroupArn, ...(ForwardConfig?.TargetGroups ?? []).map(tuple => tuple.TargetGroupArn)].filter(arn => arn !== undefined),
    ),
  ),
];

/** By ARN. */
export const targetGroups = slice(() => new Map<string, LabTargetGroup>());
export const listeners = slice(() => new Map<string, Listener>());

/** A classic load balancer is its own target group: its instances are checked in the same way. By name, see classic.ts. */
export const classicBalancers = slice(() => new Map<string, LabTargetGroup>());

/** What instances can be registered with: a target group by its ARN, a classic load balancer by its name. */
export const receiver = (place: Place, id: string): LabTargetGroup | undefined =>
  targetGroups(place).get(id) ?? classicBalancers(place).get(id);

/** Image IDs, or `*`, whose instances fail every health check. For paper machines, which serve nothing. */
export const sickImages = slice(() => new Set<string>());

export function targetGroup(place: Place, arn: string | undefined): LabTargetGroup {
  const found = targetGroups(place).get(arn ?? '');
  if (found === undefined) throw new AwsError('TargetGroupNotFound', `Target groups '${arn}' not found`);
  return found;
}

export const balancersOf = (place: Place, targetGroupArn: string): readonly string[] => [
  ...(classicBalancers(place).has(targetGroupArn) ? [targetGroupArn] : []),
  ...new Set(
    [...listeners(place).values()]
      .filter(({ actions, rules }) =>
        [actions, ...[...rules.values()].map(rule => rule.actions)].some(own => receiversOf(own).includes(targetGroupArn)),
      )
      .map(({ balancerArn }) => balancerArn),
  ),
];

export const arnOf = ({ region, account }: Place, rest: string): string =>
  `arn:aws:elasticloadbalancing:${region}:${account}:${rest}/${randomBytes(8).toString('hex')}`;
