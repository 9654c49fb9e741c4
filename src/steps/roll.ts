import { type Launch, sayUse, usesOf } from '../domain/group.ts';
import type { Image } from '../domain/image.ts';
import type { RefreshPreferences } from '../domain/preferences.ts';
import type { GroupPlan } from '../domain/roll-plan.ts';
import type { TemplateVersion } from '../domain/template.ts';
import type { Place, Powers } from '../world.ts';
import { prepare } from './roll-prepare.ts';
import { aftermath } from './roll-undo.ts';
import { startRefreshes, watch } from './roll-watch.ts';

/** Brings groups to an image and proves it, or puts everything back and says why. Promote and rollback are the same roll. */

export interface RollOrder {
  readonly image: Image;
  readonly plans: readonly GroupPlan[];
  readonly preferences: RefreshPreferences;
  readonly timeoutSeconds: number;
  /** Protected instances keep their image, because the user said so. */
  readonly spared: boolean;
  /** What a template version that is made says about itself. */
  readonly saidAs: string;
}

export type RollPorts = Pick<Place, 'groups' | 'launchTemplates'>;
export type RollWorld = Pick<Powers<never>, 'clock' | 'report' | 'run'>;

/** What was done so far, for the case that it must be undone. */
export interface Deeds {
  /** What each group that we touch launches when all is well. */
  readonly targets: Map<string, Launch>;
  /** Template versions that the targets name. */
  readonly versions: TemplateVersion[];
  /** Refresh by group: started by us, now or by a run before. */
  readonly refreshes: Map<string, string>;
  /** Groups without instances, whose template was changed directly. */
  readonly templated: GroupPlan[];
}

export interface Rolled {
  readonly group: string;
  readonly refresh: string | undefined;
  readonly status: string;
  readonly from: string;
  readonly to: string;
}

export async function roll(order: RollOrder, world: RollWorld, place: RollPorts): Promise<readonly Rolled[]> {
  const deeds: Deeds = { targets: new Map(), versions: [], refreshes: new Map(), templated: [] };
  const concerned = order.plans.filter(({ deed }) => deed !== 'nothing');
  if (concerned.length === 0) return rolled(order, deeds);
  try {
    await world.report.step('Prepare the launch templates', () => prepare(order, deeds, world, place));
    await world.report.step(`Roll to ${order.image.id}`, async () => {
      await startRefreshes(order, deeds, world, place);
      await watch(order, deeds, world, place);
      await changeTemplates(order, deeds, place);
    });
  } catch (failure) {
    throw await aftermath(failure, { order, deeds, world, place });
  }
  return rolled(order, deeds);
}

/** Last, when the image has proven itself elsewhere: nothing proves it in a group without instances. */
async function changeTemplates({ plans }: RollOrder, deeds: Deeds, { groups }: RollPorts): Promise<void> {
  for (const plan of plans.filter(({ deed }) => deed === 'template')) {
    const { name } = plan.facts.group;
    const target = deeds.targets.get(name);
    if (target === undefined) continue;
    deeds.templated.push(plan);
    await groups.setLaunch(name, target);
  }
}

const rolled = ({ plans }: RollOrder, deeds: Deeds): readonly Rolled[] =>
  plans.map(({ facts: { group }, deed, before }) => ({
    group: group.name,
    refresh: deeds.refreshes.get(group.name),
    status: deed === 'refresh' || deed === 'watch' ? 'Successful' : deed,
    from: sayLaunch(before),
    to: sayLaunch(deeds.targets.get(group.name) ?? group.launch),
  }));

export const sayLaunch = (launch: Launch): string => usesOf(launch).map(sayUse).join(', ');
