import { groups } from '../autoscaling/group.ts';
import type { Group } from '../autoscaling/state.ts';
import type { Value } from '../iam/template.ts';
import { AwsError, type Call } from '../operation.ts';
import { change, create, fleetIds, GROUP, removePhysical, type Wanted, wanted } from './fleet.ts';
import { enter, type Fields, type Inputs, type LabStack, note } from './state.ts';
import { refresh, roll, stabilise, type Update } from './update-policies.ts';

/** Updates a stack and rolls it back. https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks.html */

/** A resource that another one replaces. */
interface Old {
  readonly id: string;
  readonly type: string;
  readonly physicalId: string;
  readonly fields: Fields;
}

export async function updateStack(stack: LabStack, next: Inputs, call: Call): Promise<void> {
  const replaced: Old[] = [];
  try {
    await apply(stack, next.values, replaced, { stack, call, isRollback: false });
    stack.inputs = next;
  } catch (failure) {
    return rollBack(stack, replaced, call, failure as Error);
  }
  enter(stack, 'UPDATE_COMPLETE_CLEANUP_IN_PROGRESS');
  for (const old of replaced.reverse()) await removePhysical(stack, old.type, old.physicalId, call);
  enter(stack, 'UPDATE_COMPLETE');
}

/** `replaced`: what the failed update has replaced. These are used again, and their successors deleted. */
export async function rollBack(stack: LabStack, replaced: readonly Old[], call: Call, failure: Error): Promise<void> {
  if (stack.status !== 'UPDATE_ROLLBACK_IN_PROGRESS') enter(stack, 'UPDATE_ROLLBACK_IN_PROGRESS', failure.message);
  const successors = replaced.flatMap(old => restored(stack, old));
  try {
    await apply(stack, stack.inputs.values, successors, { stack, call, isRollback: true });
  } catch (cause) {
    return enter(stack, 'UPDATE_ROLLBACK_FAILED', (cause as Error).message);
  }
  enter(stack, 'UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS');
  for (const { type, physicalId } of successors.reverse()) await removePhysical(stack, type, physicalId, call);
  enter(stack, 'UPDATE_ROLLBACK_COMPLETE');
}

function restored(stack: LabStack, { id, physicalId, fields }: Old): Old[] {
  const resource = stack.resources.get(id);
  if (resource === undefined) return [];
  const successor = { ...resource, id };
  Object.assign(resource, { physicalId, fields });
  return [successor];
}

/** Every resource that differs, in the order of their dependence. */
async function apply(stack: LabStack, values: Readonly<Record<string, Value>>, replaced: Old[], update: Update): Promise<void> {
  const failed: string[] = [];
  for (const id of fleetIds(stack.template)) {
    const resource = stack.resources.get(id);
    const next = wanted(stack, id, { values });
    if (resource === undefined || isSame(resource.fields, next.fields)) continue;
    note(stack, id, 'UPDATE_IN_PROGRESS');
    try {
      // https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/protect-stack-resources.html
      if (stack.policyDenies.has(id) && !update.isRollback)
        throw new Error('Action denied by stack policy: Statement [#1] does not allow [Update:*] for resource [LogicalResourceId/Group]');
      if (update.isRollback && stack.rollbackFails.has(id)) throw new Error('The group cannot be updated.');
      await applyOne(stack, next, replaced, update);
      note(stack, id, 'UPDATE_COMPLETE');
    } catch (cause) {
      note(
        stack,
        id,
        'UPDATE_FAILED',
        cause instanceof AwsError ? `${cause.message} (Service: AutoScaling, Status Code: ${cause.status})` : (cause as Error).message,
      );
      failed.push(id);
      break;
    }
  }
  if (failed.length > 0) throw new Error(`The following resource(s) failed to update: [${failed.join(', ')}]. `);
}

const isSame = (a: Fields, b: Fields): boolean => JSON.stringify(a) === JSON.stringify(b);

async function applyOne(stack: LabStack, next: Wanted, replaced: Old[], update: Update): Promise<void> {
  const resource = stack.resources.get(next.id);
  if (resource === undefined) return;
  const old = { id: next.id, ...resource };
  const replaces =
    next.type === GROUP && String((next.policy['AutoScalingReplacingUpdate'] as Fields | undefined)?.['WillReplace']) === 'true';
  // A replaced group that is used again never changed.
  const isRestored = update.isRollback && replaced.some(({ id }) => id === next.id);
  resource.fields = next.fields;
  if (isRestored) return;
  if (replaces && next.fields['AutoScalingGroupName'] !== undefined)
    throw new Error(
      `CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename ${old.physicalId} and update the stack again.`,
    );
  resource.physicalId = replaces ? await create(stack, next, update.call) : await change(stack, old, next, update.call);
  if (resource.physicalId !== old.physicalId) replaced.push(old);
  const group = next.type === GROUP ? groups(stack.place).get(resource.physicalId) : undefined;
  if (group !== undefined) await (replaces ? stabilise(group, next.waits, update) : renew(group, next.policy, update));
}

async function renew(group: Group, policy: Fields, update: Update): Promise<void> {
  const { AutoScalingRollingUpdate: rolling, AutoScalingInstanceRefresh: refreshing } = policy;
  if (rolling !== undefined && refreshing !== undefined)
    throw new Error('AutoScalingInstanceRefresh and AutoScalingRollingUpdate cannot be specified together');
  if (rolling !== undefined) await roll(group, rolling as Fields, update);
  if (refreshing !== undefined) await refresh(group, refreshing as Fields, update);
}

/** The first instances of a new stack. */
export async function createFleet(stack: LabStack, values: Fields, call: Call): Promise<void> {
  for (const id of fleetIds(stack.template)) {
    const first = wanted(stack, id, { values });
    stack.resources.set(id, { type: first.type, physicalId: '', fields: first.fields });
    note(stack, id, 'CREATE_IN_PROGRESS');
    const resource = stack.resources.get(id);
    if (resource !== undefined) resource.physicalId = await create(stack, first, call);
    const group: Group | undefined = groups(stack.place).get(resource?.physicalId ?? '');
    if (group !== undefined) await stabilise(group, first.waits, { stack, call, isRollback: false });
    note(stack, id, 'CREATE_COMPLETE');
  }
}
