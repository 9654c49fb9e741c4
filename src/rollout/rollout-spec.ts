import type { Image } from '../model/image.ts';
import type { RolloutOperation } from '../model/pointer.ts';
import type { RegionClients } from '../ports/deps.ts';
import type { FactPorts } from './facts.ts';
import type { PointerState } from './pointer.ts';
import type { RolloutDeps } from './rollout-state.ts';
import type { Admission } from './rules/admission.ts';
import type { Closed } from './rules/brakes.ts';
import type { NodeGroupPlan } from './rules/node-group.ts';
import type { GroupPlan } from './rules/plan.ts';
import type { RolloutOptions } from './rules/settings.ts';
import type { StackPlan } from './rules/stack.ts';

/** The two shapes of a rollout: what is wanted in one region, and what will be done there. */

export type PromotionClients = FactPorts & Pick<RegionClients, 'parameters' | 'stacks' | 'nodeGroups'>;

export interface RolloutSpec extends Admission {
  readonly operation: RolloutOperation;
  readonly image: Image;
  readonly reason: string;
  /** The image that the environment runs now. */
  readonly was: string | undefined;
  readonly pointer: PointerState;
  readonly roll: RolloutOptions;
  /** Groups that launch images of another family are taken over. */
  readonly adoptGroups?: boolean;
  readonly isHandPicked?: boolean;
  /** A held environment is released. */
  readonly release?: boolean;
  /** Nothing but the plan is wanted. */
  readonly dryRun?: boolean;
}

export interface Region {
  readonly region: string;
  readonly aws: PromotionClients;
}

export interface RegionPlan extends Region, RolloutSpec {
  /** Other regions take part, so every line names its region. */
  readonly several: boolean;
  readonly deps: RolloutDeps;
  readonly groups: readonly GroupPlan[];
  /** With `stack`: instead of the groups. */
  readonly stack: StackPlan | undefined;
  readonly nodeGroups: readonly NodeGroupPlan[];
  readonly refusals: readonly string[];
  /** Of the image; those of a group are in its plan. */
  readonly warnings: readonly string[];
  /** A person picked an older image, which stays until it is released. */
  readonly held: boolean;
  /** The image that this one replaces, where it could be read. */
  readonly replaced: Image | undefined;
  /** By a freeze or a window, and when that ends. */
  readonly closed: Closed | undefined;
}
