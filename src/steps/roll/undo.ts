import { type Group, isOver, type Refresh, useKey, usesOf } from '../../domain/roll/group.ts';
import type { GroupPlan } from '../../domain/roll/plan.ts';
import type { TemplateVersion } from '../../domain/roll/template.ts';
import { AccessError, CancelledError, type Details, Expected, RejectedError, TimeoutError, UnknownError } from '../../kit/errors.ts';
import { type Look, waitFor } from '../../kit/wait.ts';
import { drop } from './blue-green.ts';
import { type Deeds, type RollOrder, type RollPorts, type RollWorld, sayLaunch } from './roll.ts';

export interface Failed {
  readonly order: RollOrder;
  readonly deeds: Deeds;
  readonly world: RollWorld;
  readonly place: RollPorts;
}

/** We stopped looking, but what we started goes on: nothing is undone, the next run with the same settings finds it. */
export const isStillMoving = (failure: unknown): boolean =>
  failure instanceof TimeoutError || failure instanceof CancelledError || failure instanceof UnknownError;

/** Puts back what the roll had done so far, and tells the failure with what is left. */
export async function aftermath(failure: unknown, failed: Failed): Promise<unknown> {
  const { deeds, world } = failed;
  const [begun, beside] = [deeds.refreshes.size > 0, [...deeds.successors]];
  if (failure instanceof CancelledError && failed.order.onCancel === 'rollback' && (begun || beside.length > 0)) {
    return retold(failure, { left: await rollBackAndGo(failed), next: 'Nothing: AWS brings the old image back by itself.' });
  }
  if (isStillMoving(failure) && (begun || beside.length > 0)) {
    const left = [
      ...[...deeds.refreshes].map(([group, id]) => `refresh ${id} of ${group} goes on by itself`),
      ...beside.map(([old, successor]) => `${successor} stays beside ${old}, which still serves`),
    ];
    return retold(failure, { left, next: 'Run the job again with the same settings: it finds what was begun, watches it and finishes.' });
  }
  const left = await world.report.step('Put everything back', () => undo(failed));
  return retold(failure, { left: left.length === 0 ? ['nothing: every group launches and runs what it did before'] : left });
}

/** A cancelled job has seconds: each refresh is asked once to go back, and nobody waits. */
async function rollBackAndGo({ deeds, place }: Failed): Promise<readonly string[]> {
  const said = {
    started: 'is being rolled back by AWS',
    over: 'had ended before it could be rolled back',
    impossible: 'cannot be rolled back by AWS, and goes on',
  };
  const gone = [...deeds.successors.values()].map(async successor => {
    const how = await place.groups.remove(successor).catch((cause: unknown) => cause);
    return `${successor} ${how === undefined ? 'is being removed' : `stays: ${how instanceof Error ? how.message : how}`}`;
  });
  return Promise.all([
    ...gone,
    ...[...deeds.refreshes].map(async ([group, id]) => {
      const how = await place.groups.rollBack(group).catch((cause: unknown) => cause);
      return `refresh ${id} of ${group} ${typeof how === 'string' ? said[how as keyof typeof said] : `goes on: ${how instanceof Error ? how.message : how}`}`;
    }),
  ]);
}

/** Best effort, each part by itself: what could not be put back is told. */
export async function undo(failed: Failed): Promise<readonly string[]> {
  const { deeds, place, order } = failed;
  const left: string[] = [];
  const attempt = async (work: () => Promise<readonly string[]>, otherwise: string) => {
    try {
      left.push(...(await work()));
    } catch (cause) {
      left.push(`${otherwise}: ${cause instanceof Error ? cause.message : String(cause)}`);
    }
  };
  await attempt(() => order.restore(), 'the pointer could not be put back');
  for (const [old, successor] of deeds.successors) {
    await attempt(
      () =>
        drop(successor, failed)
          .then(() => void deeds.successors.delete(old))
          .then(() => []),
      `${successor} stays beside ${old}`,
    );
  }
  for (const { facts, before } of deeds.templated) {
    const name = facts.group.name;
    await attempt(() => place.groups.setLaunch(name, before).then(() => []), `${name} still launches the new template version`);
  }
  const moving = order.plans.filter(({ facts }) => deeds.refreshes.has(facts.group.name));
  const back = moving.filter(({ facts }) => order.undo === 'all' || deeds.failed.size === 0 || deeds.failed.has(facts.group.name));
  left.push(...moving.filter(plan => !back.includes(plan)).map(({ facts }) => `${facts.group.name} runs ${order.image.id}`));
  await Promise.all(back.map(plan => attempt(() => goBack(plan, failed), `${plan.facts.group.name} could not be rolled back`)));
  for (const version of uniqueVersions(deeds.versions)) {
    await attempt(() => removeVersion(version, failed), `template version ${version.templateName}:${version.number}`);
  }
  for (const { facts, before } of order.plans.filter(({ mustPin }) => mustPin)) {
    left.push(`${facts.group.name} stays pinned to ${sayLaunch(before)}, which is what ${sayLaunch(facts.group.launch)} meant`);
  }
  return left;
}

/** One group back to what it launched before; tells what could not be. */
async function goBack(plan: GroupPlan, failed: Failed): Promise<readonly string[]> {
  const { name } = plan.facts.group;
  const { groups } = failed.place;
  const id = failed.deeds.refreshes.get(name) ?? '';
  const refresh = await groups.refresh(name, id);
  if (refresh !== undefined && !isOver(refresh) && plan.by === 'pointer') {
    await groups.cancel(name);
    await untilOver(name, id, failed);
    return lead(plan, failed);
  }
  if (refresh !== undefined && !isOver(refresh)) {
    const said = refresh.status === 'RollbackInProgress' || refresh.status === 'Cancelling' ? 'started' : await groups.rollBack(name);
    if (said === 'impossible') return [`${name}: AWS refuses to roll refresh ${id} back, it goes on`];
    if (said === 'started') failed.world.report.info(`${name}: rolling back`);
    return ended(await untilOver(name, id, failed), plan, failed);
  }
  return ended(refresh, plan, failed);
}

/** A refresh that is over cannot be rolled back: where it succeeded, a new one leads the other way. */
async function ended(refresh: Refresh | undefined, plan: GroupPlan, failed: Failed): Promise<readonly string[]> {
  if (refresh?.status === 'RollbackSuccessful') return [];
  return refresh?.status === 'Successful' || plan.by === 'pointer' ? lead(plan, failed) : [await census(plan, failed)];
}

/** A refresh of its own that leads back. */
async function lead(plan: GroupPlan, failed: Failed): Promise<readonly string[]> {
  const { name } = plan.facts.group;
  const preferences = { ...plan.preferences, bakeSeconds: 0, checkpoints: [], alarms: [], autoRollback: false };
  const back = await failed.place.groups.start({ group: name, launch: plan.by === 'pointer' ? undefined : plan.before, preferences });
  if (back === undefined) return [`${name} runs the new image, and another refresh is in the way`];
  failed.world.report.info(`${name}: refresh ${back} leads back to ${sayLaunch(plan.before)}`);
  const over = await untilOver(name, back, failed);
  return over?.status === 'Successful' ? [] : [`${name}: the refresh back (${back}) is ${over?.status ?? 'gone'}`];
}

/** What a group runs that was left half way. */
async function census({ facts }: GroupPlan, { order, place }: Failed): Promise<string> {
  const { name } = facts.group;
  const [group] = await place.groups.find({ names: [name] });
  const images = await place.groups.imagesOf((group?.members ?? []).map(({ id }) => id));
  const on = [...images.values()].filter(image => image === order.image.id).length;
  return `${name}: ${on} of ${images.size} instances run ${order.image.id}; the group launches ${group === undefined ? 'nothing, it is gone' : sayLaunch(group.launch)}`;
}

const untilOver = (group: string, id: string, { order, world, place }: Failed): Promise<Refresh | undefined> =>
  waitFor(
    {
      what: `${group} on its way back`,
      everySeconds: 10,
      atMostSeconds: order.timeoutSeconds,
      look: async (): Promise<Look<Refresh | undefined>> => {
        const refresh = await place.groups.refresh(group, id);
        if (refresh === undefined || isOver(refresh)) return { state: 'done', value: refresh };
        return { state: 'waiting', note: `${refresh.status}, ${refresh.percent} %` };
      },
    },
    world,
  );

/** Only one that we made, and that nobody uses: a version that is gone cannot be launched from. */
async function removeVersion(version: TemplateVersion, { deeds, place }: Failed): Promise<readonly string[]> {
  if (!version.description.startsWith('ami-action ') || version.isDefault) return [];
  const key = useKey({ templateId: version.templateId, version: String(version.number) });
  const users = (await place.groups.find({})).filter(group => uses(group, key));
  if (users.length > 0) return [`${version.templateName}:${version.number} stays, ${users.map(({ name }) => name).join(', ')} use it`];
  await place.launchTemplates.remove(version);
  deeds.versions.splice(deeds.versions.indexOf(version), 1);
  return [];
}

const uses = ({ launch, members }: Group, key: string): boolean =>
  [...usesOf(launch), ...members.flatMap(({ template }) => (template === undefined ? [] : [template]))].some(use => useKey(use) === key);

const uniqueVersions = (versions: readonly TemplateVersion[]) => [
  ...new Map(versions.map(version => [`${version.templateId} ${version.number}`, version])).values(),
];

/** The same kind of failure, with more to tell. A bug stays what it is. */
export function retold(failure: unknown, more: Details): unknown {
  if (!(failure instanceof Expected)) return failure;
  const details: Details = {
    left: [...failure.left, ...(more.left ?? [])],
    next: failure.next ?? more.next,
    outputs: { ...failure.outputs, ...more.outputs },
    cause: failure,
  };
  const Kind =
    [AccessError, RejectedError, TimeoutError, CancelledError, UnknownError].find(kind => failure instanceof kind) ?? RejectedError;
  return new Kind(failure.message, details);
}
