import { isNode, parse, parseDocument } from 'yaml';
import { formatCount, formatDuration, parseDuration } from '../../kit/format.ts';
import { peakOf, replacedAtATime } from './preferences.ts';

/** How CloudFormation replaces the instances of a group. https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-updatepolicy.html */
export type UpdatePolicy =
  | {
      readonly kind: 'rolling';
      readonly batch: number;
      readonly inService: number;
      readonly pauseSeconds: number;
      readonly signals: boolean;
    }
  | { readonly kind: 'replacing'; readonly signals: boolean }
  | { readonly kind: 'refresh'; readonly minHealthy: number; readonly maxHealthy: number; readonly pauseSeconds: number }
  | { readonly kind: 'none' };

export interface StackTemplate {
  /** Type of the parameter that holds the image; undefined where the template has no such parameter. */
  readonly parameterType: string | undefined;
  /** Update policy of each Auto Scaling group, by logical ID. */
  readonly groups: ReadonlyMap<string, UpdatePolicy>;
  /** Image references to Parameter Store in what its groups launch from, by logical ID. */
  readonly references: ReadonlyMap<string, string>;
}

type Fields = Readonly<Record<string, unknown>>;
const fieldsOf = (value: unknown): Fields => (typeof value === 'object' && value !== null ? (value as Fields) : {});

const GROUP = 'AWS::AutoScaling::AutoScalingGroup';
const LAUNCHES: readonly unknown[] = ['AWS::EC2::LaunchTemplate', 'AWS::AutoScaling::LaunchConfiguration'];

/** `resolve:ssm:...`, which EC2 reads, or `{{resolve:ssm:...}}`, which CloudFormation reads; of `Fn::Sub` its text. */
const REFERENCE = /(\{\{)?resolve:ssm:[^"]*/;

export const referenceIn = (value: unknown): string | undefined => REFERENCE.exec(JSON.stringify(value) ?? '')?.[0];

/** Of what the groups launch from; another launch template may read whatever it likes. */
function referencesIn(resources: readonly (readonly [string, unknown])[]): ReadonlyMap<string, string> {
  const ofType = (is: (type: unknown) => boolean) =>
    resources.flatMap(([id, resource]) => {
      const { Type, Properties } = fieldsOf(resource);
      return is(Type) ? [[id, fieldsOf(Properties)] as const] : [];
    });
  const used = JSON.stringify(ofType(type => type === GROUP));
  const launches = ofType(type => LAUNCHES.includes(type)).filter(([id]) => new RegExp(`\\b${id}\\b`).test(used));
  return new Map(
    launches.flatMap(([id, { ImageId, LaunchTemplateData }]) => {
      const reference = referenceIn(ImageId ?? fieldsOf(LaunchTemplateData)['ImageId']);
      return reference === undefined ? [] : [[id, reference]];
    }),
  );
}

/** `values`: the parameters of the stack, which a policy may refer to. */
export function parseStackTemplate(text: string, parameter: string, values: ReadonlyMap<string, string>): StackTemplate {
  // `!Ref Name` is read as the text `Name`.
  const { Parameters, Resources } = fieldsOf(parse(text, { logLevel: 'silent' }));
  const type = fieldsOf(fieldsOf(Parameters)[parameter])['Type'];
  const resources = Object.entries(fieldsOf(Resources));
  const groups = resources.filter(([, resource]) => fieldsOf(resource)['Type'] === GROUP);
  return {
    parameterType: typeof type === 'string' ? type : undefined,
    groups: new Map(groups.map(([id, resource]) => [id, policyOf(fieldsOf(resource), values)])),
    references: referencesIn(resources),
  };
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
const MOST_BYTES = 51_200;

/**
 * The same template, whose parameter takes an image ID: its change set shows an update before what the parameter reads has changed. Undefined
 * where AWS takes no text of that size.
 */
export function withImageParameter(text: string, parameter: string): string | undefined {
  const node = parseDocument(text, { logLevel: 'silent' }).getIn(['Parameters', parameter], true);
  if (!isNode(node) || node.range == null || Buffer.byteLength(text) > MOST_BYTES - 100) return undefined;
  const [start, end] = node.range;
  // The lines of a block end with it.
  const rest = text.slice(start, end).endsWith('\n') ? `\n${text.slice(end)}` : text.slice(end);
  return `${text.slice(0, start)}{ "Type": "AWS::EC2::Image::Id" }${rest}`;
}

function policyOf({ UpdatePolicy, CreationPolicy }: Fields, values: ReadonlyMap<string, string>): UpdatePolicy {
  const { AutoScalingReplacingUpdate, AutoScalingRollingUpdate, AutoScalingInstanceRefresh } = fieldsOf(UpdatePolicy);
  const text = (value: unknown): string | undefined => {
    const name = fieldsOf(value)['Ref'] ?? value;
    return name === undefined ? undefined : (values.get(String(name)) ?? String(name));
  };
  const number = (value: unknown, fallback: number): number => {
    const given = Number(text(value) ?? fallback);
    return Number.isNaN(given) ? fallback : given;
  };
  // With both policies, WillReplace decides.
  if (text(fieldsOf(AutoScalingReplacingUpdate)['WillReplace']) === 'true')
    return { kind: 'replacing', signals: fieldsOf(CreationPolicy)['ResourceSignal'] !== undefined };
  if (AutoScalingRollingUpdate !== undefined) {
    const { MaxBatchSize, MinInstancesInService, PauseTime, WaitOnResourceSignals } = fieldsOf(AutoScalingRollingUpdate);
    const signals = text(WaitOnResourceSignals) === 'true';
    const pauseSeconds = pauseOf(text(PauseTime)) ?? (signals ? 300 : 0);
    return { kind: 'rolling', batch: number(MaxBatchSize, 1), inService: number(MinInstancesInService, 0), pauseSeconds, signals };
  }
  if (AutoScalingInstanceRefresh === undefined) return { kind: 'none' };
  const { Strategy, Preferences } = fieldsOf(AutoScalingInstanceRefresh);
  const wanted = fieldsOf(Preferences);
  const inPlace = text(Strategy) === 'ReplaceRootVolume';
  const checkpoints = Array.isArray(wanted['CheckpointPercentages']) ? wanted['CheckpointPercentages'] : [];
  const pauses = checkpoints.filter(percent => Number(percent) < 100).length * number(wanted['CheckpointDelay'], 3600);
  return {
    kind: 'refresh',
    minHealthy: number(wanted['MinHealthyPercentage'], inPlace ? 90 : 100),
    maxHealthy: number(wanted['MaxHealthyPercentage'], inPlace ? 100 : 110),
    pauseSeconds: pauses + number(wanted['BakeTime'], 0),
  };
}

/** `PT1H5M` is written like our own durations but for its prefix. */
const pauseOf = (text = ''): number | undefined => parseDuration(text.replace(/^PT/, '').toLowerCase());

// Boot, registration and health checks of one batch. Only for the estimate of the plan.
const BATCH_SECONDS = 90;

export interface Capacity {
  readonly text: string;
  readonly seconds: number;
}

/** How many instances serve during the update, and how long it takes. */
export function capacityOf(policy: UpdatePolicy, desired: number): Capacity {
  switch (policy.kind) {
    case 'rolling': {
      const atATime = Math.max(1, Math.min(policy.batch, desired));
      const serving = Math.max(policy.inService, desired - atATime);
      const pause = policy.pauseSeconds === 0 || policy.signals ? '' : `, ${formatDuration(policy.pauseSeconds)} after each`;
      return {
        text: `rolling update: ${formatCount(desired, 'instance')}, ${atATime} at a time${pause}; at least ${serving} in service`,
        seconds: Math.ceil(desired / atATime) * (BATCH_SECONDS + (policy.signals ? 0 : policy.pauseSeconds)),
      };
    }
    case 'replacing':
      return {
        text: `replacing update: a second group with ${formatCount(desired, 'instance')} next to it, ${2 * desired} at the peak, then the old group is deleted`,
        seconds: BATCH_SECONDS,
      };
    case 'refresh': {
      const capacity = { desired };
      const atATime = replacedAtATime(capacity, policy);
      return {
        text: `instance refresh: ${formatCount(desired, 'instance')}, ${atATime} at a time, at least ${policy.minHealthy} % healthy, ${peakOf(capacity, policy)} at the peak`,
        seconds: Math.ceil(desired / atATime) * BATCH_SECONDS + policy.pauseSeconds,
      };
    }
    default:
      return { text: 'no update policy: no instance is replaced', seconds: 0 };
  }
}
