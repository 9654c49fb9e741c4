import { RejectedError } from '../kit/errors.ts';
import type { Launch } from '../model/group.ts';
import type { Image } from '../model/image.ts';
import type { TemplateVersion } from '../model/template.ts';
import type { Deps, RegionClients } from '../ports/deps.ts';
import { isInProgress } from './indeterminate.ts';
import type { GroupPlan } from './rules/plan.ts';
import type { RolloutOptions } from './rules/settings.ts';

/** The order of a rollout, what it needs, and what it has done so far. */

export interface RolloutOrder extends Pick<RolloutOptions, 'hold' | 'undo' | 'wait' | 'onCancel'> {
  readonly image: Image;
  readonly plans: readonly GroupPlan[];
  readonly timeoutSeconds: number;
  /** Protected instances keep their image. */
  readonly excluded: boolean;
  readonly oneByOne: boolean;
  readonly bakeSeconds: number;
  /** The description of a template version that the rollout creates. */
  readonly versionDescription: string;
  /** An earlier run started the same and did not finish. `was`: the image of the environment before both. */
  readonly resumes: { readonly was: string | undefined } | undefined;
  /** What could not be reverted. While there is any, the candidate parameter must stay. */
  readonly remaining: string[];
  /** Puts back what groups read at launch, before they are reverted. Returns what could not be. */
  restore(): Promise<readonly string[]>;
  /** Throws where another run took over the environment. */
  confirm(): Promise<void>;
  /** Runs the checks on an instance and returns why they failed. Undefined: there are no checks. */
  readonly check: ((instanceId: string) => Promise<string | undefined>) | undefined;
  readonly region: string;
  /** Shared by all regions: the first one that fails for good aborts it, and the others are reverted too. */
  readonly halt: AbortController;
}

export type RolloutPorts = Pick<RegionClients, 'groups' | 'launchTemplates' | 'launchConfigurations' | 'instances' | 'alarms' | 'weights'>;
export type RolloutDeps = Pick<Deps<never>, 'clock' | 'report' | 'run'>;

/** What has been done so far, in case it must be undone. */
export interface RolloutState {
  /** What each group launches after success. */
  readonly targets: Map<string, Launch>;
  /** Template versions that the targets name. */
  readonly versions: TemplateVersion[];
  /** Refresh by group, of this run or an earlier one. Undefined: requested, but the answer was lost. */
  readonly refreshes: Map<string, string | undefined>;
  /** Groups without instances, whose template version was changed directly. */
  readonly templated: GroupPlan[];
  readonly failed: Set<string>;
  /** Blue-green: the green group by the name of the old one. */
  readonly successors: Map<string, string>;
  /** Percent of the traffic that the green group got, by the name of the old one. */
  readonly shifted: Map<string, number>;
}

export const newRolloutState = (): RolloutState => ({
  ...{ targets: new Map(), versions: [], refreshes: new Map(), templated: [], failed: new Set() },
  ...{ successors: new Map(), shifted: new Map() },
});

/** Before the revert, so that other regions need not wait for it. A rollout in progress is no failure. */
export function haltOthers({ halt, region }: Pick<RolloutOrder, 'halt' | 'region'>, failure: unknown): void {
  if (!isInProgress(failure)) halt.abort(new RejectedError(`${region} failed, so this region is reverted too`));
}

/** What a revert needs. */
export interface FailedRollout {
  readonly order: RolloutOrder;
  readonly rollout: RolloutState;
  readonly deps: RolloutDeps;
  readonly aws: RolloutPorts;
}
