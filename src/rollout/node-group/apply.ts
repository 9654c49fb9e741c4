import { RejectedError, withDetails } from '../../kit/errors.ts';
import { type Poll, waitFor } from '../../kit/wait.ts';
import { formatTemplateUse, type TemplateUse } from '../../model/group.ts';
import { formatNodeGroup } from '../../model/node-group.ts';
import type { TemplateVersion } from '../../model/template.ts';
import { collectFailure } from '../compensations.ts';
import { indeterminate, isInProgress, RESUME, tolerateTransientErrors } from '../indeterminate.ts';
import { isReplaced, throwIfReplaced } from '../pointer.ts';
import type { GroupResult } from '../roll-group.ts';
import { type GroupRollouts, type RegionRollout, rollOutGroups, versionDescription, wasBegun } from '../roll-groups.ts';
import type { RegionPlan } from '../rollout-spec.ts';
import { haltOthers } from '../rollout-state.ts';
import { type NodeGroupFacts, type NodeGroupPlan, unproven, versionUse } from '../rules/node-group.ts';
import { createVersion } from '../template-versions.ts';
import { readNodeGroup } from './facts.ts';

/** Moves managed node groups of EKS to the image, one after another, and then the groups of the region. */

export async function rollOutRegionGroups(plan: RegionPlan, rollout: RegionRollout): Promise<GroupRollouts> {
  if (plan.nodeGroups.length === 0) return rollOutGroups(plan, rollout);
  const nodes: NodeRollouts = { begun: new Map(), results: [], versions: [] };
  const undo = async () => {
    const remaining = [...(await revertAll(nodes, plan)), ...finishedBefore(plan, rollout)];
    rollout.leftovers.remaining.push(...remaining);
    return remaining;
  };
  await rollOutNodeGroups(nodes, plan, rollout).catch(async failure => {
    if (isReplaced(failure)) throw failure;
    if (isInProgress(failure)) throw nodes.begun.size === 0 ? failure : indeterminate(failure, [...nodes.begun].map(formatBegun), RESUME);
    haltOthers({ halt: rollout.halt, region: plan.region }, failure);
    const remaining = await plan.deps.report.step('Revert', undo);
    throw withDetails(failure, {
      leftovers: remaining.length === 0 ? ['Reverted: every node group launches and runs what it did before'] : remaining,
    });
  });
  const groups = await rollOutGroups(plan, rollout).catch(async failure => {
    throw isInProgress(failure) || isReplaced(failure) ? failure : withDetails(failure, { leftovers: await undo() });
  });
  return {
    ...groups,
    groups: [...nodes.results, ...groups.groups],
    moving: groups.moving || (!plan.roll.wait && nodes.begun.size > 0),
    undo: async () => [...(await groups.undo()), ...(await undo())],
  };
}

/** An earlier run that did not finish may have moved them, and what they launched before is not known here. */
const finishedBefore = (plan: RegionPlan, { open }: RegionRollout): readonly string[] =>
  wasBegun(plan, open)
    ? plan.nodeGroups.flatMap(({ action, facts }) =>
        action === 'nothing'
          ? [`${formatNodeGroup(facts.which)} ran ${plan.image.id} already when this run continued another one: mode "rollback" leads back`]
          : [],
      )
    : [];

interface NodeRollouts {
  /** Update by node group. Undefined: requested, but the answer was lost. */
  readonly begun: Map<NodeGroupPlan, string | undefined>;
  readonly results: GroupResult[];
  readonly versions: TemplateVersion[];
}

const formatBegun = ([{ facts }, id]: readonly [NodeGroupPlan, string | undefined]): string =>
  id === undefined
    ? `an update of ${formatNodeGroup(facts.which)} was requested without an answer: it may be in progress`
    : `update ${id} of ${formatNodeGroup(facts.which)} is in progress or has ended`;

async function rollOutNodeGroups(nodes: NodeRollouts, region: RegionPlan, { halt }: RegionRollout): Promise<void> {
  const { deps, aws, image, roll } = region;
  for (const plan of region.nodeGroups) {
    const { facts, action } = plan;
    const name = formatNodeGroup(facts.which);
    const result = { group: name, successor: undefined, shifted: undefined, from: formatUse(facts.version) };
    if (action === 'nothing' || facts.version === undefined) {
      nodes.results.push({ ...result, refresh: undefined, status: 'nothing', to: result.from });
      continue;
    }
    halt.signal.throwIfAborted();
    await throwIfReplaced(region, aws);
    const target = await targetOf(facts.version, plan, nodes, region);
    nodes.begun.set(plan, facts.active?.id);
    const id = facts.active?.id ?? (await aws.nodeGroups.start({ which: facts.which, template: versionUse(target) }));
    nodes.begun.set(plan, id);
    deps.report.info(`${name}: update ${id} ${facts.active === undefined ? 'started' : 'was started by an earlier run'}`);
    if (roll.wait) await deps.report.step(`Roll out ${image.id} to ${name}`, () => watch(plan, id, region));
    nodes.results.push({ ...result, refresh: id, status: roll.wait ? 'Successful' : 'InProgress', to: formatUse(target) });
  }
}

const formatUse = (version: TemplateVersion | undefined): string => (version === undefined ? '' : formatTemplateUse(versionUse(version)));

async function targetOf(from: TemplateVersion, plan: NodeGroupPlan, nodes: NodeRollouts, region: RegionPlan): Promise<TemplateVersion> {
  const { image, deps, aws } = region;
  const known = from.imageId === image.id ? from : plan.facts.ready;
  return known ?? createVersion({ from, to: undefined }, { image, versionDescription: versionDescription(region) }, nodes, deps, aws);
}

/** Until EKS calls the update successful, and every node in service runs the image. */
async function watch(plan: NodeGroupPlan, id: string, region: RegionPlan): Promise<void> {
  await waitUntilOver(plan, id, region);
  await waitUntilProven(plan.facts, region.image.id, region);
  region.deps.report.info(`${formatNodeGroup(plan.facts.which)}: Successful, all nodes in service run the image`);
}

function waitUntilOver({ facts: { which } }: NodeGroupPlan, id: string, { deps, aws, roll }: RegionPlan): Promise<void> {
  const poll = tolerateTransientErrors<void>(async (): Promise<Poll<void>> => {
    const { status, errors } = await aws.nodeGroups.update(which, id);
    if (status === 'InProgress') return { state: 'waiting', note: 'EKS replaces and drains nodes' };
    if (status === 'Successful') return { state: 'done', value: undefined };
    return {
      state: 'failed',
      reason: `EKS update ${id} of ${formatNodeGroup(which)} is ${status}${errors.length === 0 ? '' : `: ${errors.join('; ')}`}`,
    };
  }, deps);
  return waitFor({ what: formatNodeGroup(which), everySeconds: 15, atMostSeconds: roll.rollTimeout, poll }, deps);
}

// Answers of AWS may be old, and a node may be launched after the update.
const PROOF_SECONDS = 300;

async function waitUntilProven({ which }: NodeGroupFacts, imageId: string, { deps, aws }: RegionPlan): Promise<void> {
  const deadline = deps.clock.now() + PROOF_SECONDS * 1000;
  const poll = tolerateTransientErrors<void>(async (): Promise<Poll<void>> => {
    const problem = unproven(await readNodeGroup(which, imageId, aws), imageId);
    if (problem === undefined) return { state: 'done', value: undefined };
    if (deps.clock.now() < deadline) return { state: 'waiting', note: problem };
    return { state: 'failed', reason: `EKS calls the update of ${formatNodeGroup(which)} successful, but ${problem}` };
  }, deps);
  await waitFor({ what: formatNodeGroup(which), everySeconds: 15, atMostSeconds: PROOF_SECONDS * 2, poll }, deps);
}

/** The newest first. Returns what could not be reverted. */
async function revertAll(nodes: NodeRollouts, region: RegionPlan): Promise<readonly string[]> {
  const remaining: string[] = [];
  for (const [plan] of [...nodes.begun].reverse())
    remaining.push(...(await collectFailure(() => revert(plan, region), `${formatNodeGroup(plan.facts.which)} could not be reverted`)));
  // A node group that was not reverted may launch from one of them.
  if (remaining.length === 0) for (const version of nodes.versions) await region.aws.launchTemplates.remove(version);
  nodes.begun.clear();
  return remaining;
}

/** EKS neither cancels an update nor rolls it back: after its end, a second one leads to the version before. */
async function revert(plan: NodeGroupPlan, region: RegionPlan): Promise<void> {
  const { which, version } = plan.facts;
  const { aws, deps } = region;
  if (version === undefined) return;
  const active = await aws.nodeGroups.active(which);
  if (active !== undefined) await waitUntilOver(plan, active.id, region).catch(throwUnlessRejected);
  const before: TemplateUse = versionUse(version);
  if (unproven(await readNodeGroup(which, version.imageId, aws), version.imageId, before) === undefined) return;
  const id = await aws.nodeGroups.start({ which, template: before });
  deps.report.info(`${formatNodeGroup(which)}: update ${id} leads back to ${formatTemplateUse(before)}`);
  await waitUntilOver(plan, id, region);
  await waitUntilProven(plan.facts, version.imageId, region);
}

/** The failure that is reverted. */
function throwUnlessRejected(failure: unknown): void {
  if (!(failure instanceof RejectedError)) throw failure;
}
