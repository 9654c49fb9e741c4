/** What a run costs: an estimate from hours and public prices. Data transfer, API calls and taxes are not in it. */

/**
 * Dollars per hour on demand in us-east-1 and us-west-2, written by hand. These pages decide:
 * https://aws.amazon.com/ec2/pricing/on-demand/ , https://aws.amazon.com/elasticloadbalancing/pricing/ , https://aws.amazon.com/ebs/pricing/ ,
 * https://aws.amazon.com/vpc/pricing/
 */
const PER_HOUR = {
  't3.nano': 0.0052,
  't3.micro': 0.0104,
  't3.small': 0.0208,
  /** With one capacity unit. */
  'load balancer': 0.0225 + 0.008,
  'public IPv4 address': 0.005,
  'GB of volume': 0.08 / 730,
  'GB of snapshot': 0.05 / 730,
} as const;

type Priced = keyof typeof PER_HOUR;
type InstanceType = Extract<Priced, `t3.${string}`>;

export interface Usage {
  readonly what: Priced;
  readonly count: number;
  readonly hours: number;
}

const VOLUME_GB = 8;

/** An instance with its root volume and its public address. */
export const instanceHours = (type: InstanceType, count: number, hours: number): readonly Usage[] => [
  { what: type, count, hours },
  { what: 'GB of volume', count: count * VOLUME_GB, hours },
  { what: 'public IPv4 address', count, hours },
];

/** Snapshots are charged by the blocks that they hold: at most the volume. */
export const imageHours = (count: number, hours: number): Usage => ({ what: 'GB of snapshot', count: count * VOLUME_GB, hours });

const dollarsOf = ({ what, count, hours }: Usage): number => PER_HOUR[what] * count * hours;

export interface CostLine {
  readonly what: Priced;
  /** Count times hours. */
  readonly hours: number;
  readonly dollars: number;
}

/** One line for each priced thing, and the sum in dollars. */
export function estimate(usages: readonly Usage[]): { readonly lines: readonly CostLine[]; readonly dollars: number } {
  const lines = [...Map.groupBy(usages, ({ what }) => what)].map(([what, same]) => ({
    what,
    hours: same.reduce((sum, { count, hours }) => sum + count * hours, 0),
    dollars: same.reduce((sum, usage) => sum + dollarsOf(usage), 0),
  }));
  return { lines, dollars: lines.reduce((sum, line) => sum + line.dollars, 0) };
}
