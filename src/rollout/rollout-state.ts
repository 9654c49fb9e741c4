import type { Launch } from '../model/group.ts';
import type { Image } from '../model/image.ts';
import type { TemplateVersion } from '../model/template.ts';
import type { Deps, RegionClients } from '../ports/deps.ts';
import type { GroupPlan } from './rules/plan.ts';

/** What a roll is asked for, what it needs, and what it has done so far. */

export interface RolloutOrder {
  readonly image: Image;
  readonly plans: readonly GroupPlan[];
  readonly timeoutSeconds: number;
  /** Protected instances keep their image, because the user said so. */
  readonly excluded: boolean;
  readonly oneByOne: boolean;
  /** Blue-green: stop when the new group has proven itself. */
  readonly hold: boolean;
  readonly bakeSeconds: number;
  readonly undo: 'all' | 'failed';
  /** false: the roll has begun, and that is all. */
  readonly wait: boolean;
  /** What a template version that is made says about itself. */
  readonly versionDescription: string;
  /** A run before this one had begun the same and was lost. `was`: the image that the environment ran before both. */
  readonly resumes: { readonly was: string | undefined } | undefined;
  /** What could not be put back when it failed: while there is any, what the run announced must stay. */
  readonly remaining: string[];
  /** Before groups are led back: what they read when they launch must be what it was. */
  restore(): Promise<readonly string[]>;
  /** Why an instance does not do what it must. Undefined: there are no checks. */
  readonly check: ((instanceId: string) => Promise<string | undefined>) | undefined;
  /** Why it shall not go on although nothing has failed here. */
  haltReason(): string | undefined;
  /** Told before anything is put back: who rolls elsewhere need not wait for that. */
  onFailure(failure: unknown): void;
  readonly onCancel: 'leave' | 'rollback';
}

export type RolloutPorts = Pick<RegionClients, 'groups' | 'launchTemplates' | 'instances'>;
export type RolloutDeps = Pick<Deps<never>, 'clock' | 'report' | 'run'>;

/** What was done so far, for the case that it must be undone. */
export interface RolloutState {
  /** What each group that we touch launches when all is well. */
  readonly targets: Map<string, Launch>;
  /** Template versions that the targets name. */
  readonly versions: TemplateVersion[];
  /** Refresh by group: started by us, now or by a run before. Undefined: asked for, and the answer never came. */
  readonly refreshes: Map<string, string | undefined>;
  /** Groups without instances, whose template was changed directly. */
  readonly templated: GroupPlan[];
  readonly failed: Set<string>;
  /** Blue-green: the new group by the old one's name. */
  readonly successors: Map<string, string>;
}

export const newRolloutState = (): RolloutState => ({
  ...{ targets: new Map(), versions: [], refreshes: new Map(), templated: [], failed: new Set(), successors: new Map() },
});

/** A roll that goes no further, with all that it takes to put things back. */
export interface FailedRollout {
  readonly order: RolloutOrder;
  readonly rollout: RolloutState;
  readonly deps: RolloutDeps;
  readonly aws: RolloutPorts;
}
