/** Traffic that a listener, a rule or a pair of records divides by weight. */

/** One receiver of the traffic. */
export interface Side {
  /** ARN of the target group, or the set identifier of the record. */
  readonly id: string;
  readonly weight: number;
  /** What a group is attached to that serves this side: target groups by ARN. */
  readonly targetGroups: readonly string[];
  /** The same: classic load balancers by name. */
  readonly balancers: readonly string[];
}

export interface Split {
  /** ARN of a listener or of a listener rule, or `zone/name/type` of two records. */
  readonly at: string;
  readonly sides: readonly Side[];
  /** How long after a change clients may still follow the old weights. */
  readonly settleSeconds: number;
  /** Target group stickiness: how long a client stays with its target group, whatever the weights. */
  readonly stickySeconds: number | undefined;
}

/** What else decides how a shift behaves. */
export interface SplitDetails {
  /** Listeners, rules and records that send to a side too. */
  readonly alsoUsedBy: readonly string[];
  readonly slowStartSeconds: number;
  readonly drainSeconds: number;
}
