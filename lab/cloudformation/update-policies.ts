import { counted, groups, inService } from '../autoscaling/group.ts';
import { retire } from '../autoscaling/health.ts';
import { matches } from '../autoscaling/launch.ts';
import { autoScalingOperations } from '../autoscaling/operations.ts';
import { activeRefresh } from '../autoscaling/refresh.ts';
import type { Group, Member } from '../autoscaling/state.ts';
import { instances } from '../ec2/state.ts';
import { sickImages } from '../elb/target-state.ts';
import type { Call } from '../operation.ts';
import { act } from './fleet.ts';
import type { Fields, LabStack } from './state.ts';

/** How the instances of a changed group are replaced. https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-updatepolicy.html */

/** An update that is rolled out, or back. Only a rollback goes on after CancelUpdateStack. */
export interface Update {
  readonly stack: LabStack;
  readonly call: Call;
  readonly isRollback: boolean;
}

const tick = ({ stack }: Update) => stack.place.core.clock.sleep(stack.place.core.timings.groupTick);

function throwIfCancelled({ stack, isRollback }: Update): void {
  if (stack.cancelled && !isRollback) throw new Error('Resource update cancelled');
}

const minutes = (pause: string): number => {
  const [, hours = '0', minutes = '0', seconds = '0'] = /^PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?$/.exec(pause) ?? [];
  return Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
};

/** Old instances in batches. The group keeps MinInstancesInService. */
export async function roll(group: Group, policy: Fields, update: Update): Promise<void> {
  const { place } = group;
  const [atOnce, floor] = [Number(policy['MaxBatchSize'] ?? 1), Number(policy['MinInstancesInService'] ?? 0)];
  const stale = () => counted(group).filter(member => !matches(place, member, group.recipe));
  for (let old = stale(); old.length > 0; old = stale()) {
    throwIfCancelled(update);
    const present = new Set(group.members.keys());
    const batch = old.slice(0, Math.max(1, Math.min(atOnce, inService(group).length - floor)));
    for (const member of batch) retire(group, member, 'an instance was taken out of service in response to a user request.');
    await signalled(group, policy, update, present, batch.length);
  }
}

/** The batch has come up, and each instance of it has signalled where the policy waits for signals. */
async function signalled(group: Group, policy: Fields, update: Update, before: ReadonlySet<string>, size: number): Promise<void> {
  const { clock } = group.place.core;
  const waits = policy['WaitOnResourceSignals'] === true || policy['WaitOnResourceSignals'] === 'true';
  const pause = minutes(String(policy['PauseTime'] ?? (waits ? 'PT5M' : 'PT0S')));
  const until = clock.now() + pause * 1000;
  const fresh = () => inService(group).filter(({ id }) => !before.has(id));
  for (;;) {
    throwIfCancelled(update);
    const signals = fresh().filter(member => hasSignalled(group, member));
    if (fresh().length >= size && (waits ? signals.length >= size : clock.now() >= until)) return;
    // Without signals CloudFormation waits for capacity, and a launch that fails ends the update.
    if (group.launchTrouble !== undefined) throw new Error(`Group did not stabilize. ${group.launchTrouble.message}`);
    if (waits && clock.now() >= until)
      throw new Error(
        `Received ${signals.length} SUCCESS signal(s) out of ${size}.  Unable to satisfy 100% MinSuccessfulInstancesPercent requirement`,
      );
    await tick(update);
  }
}

/** The user data of a real instance runs cfn-signal when its service answers. */
const hasSignalled = ({ place }: Group, { id }: Member): boolean => !sickImages(place).has(instances(place).get(id)?.imageId ?? '');

/** The instances of a new group. */
export async function stabilise(group: Group, waits: boolean, update: Update): Promise<void> {
  const { clock } = group.place.core;
  const until = clock.now() + 900_000;
  for (;;) {
    throwIfCancelled(update);
    const signals = inService(group).filter(member => hasSignalled(group, member)).length;
    if (inService(group).length >= group.desired && (!waits || signals >= group.desired)) return;
    if (group.launchTrouble !== undefined) throw new Error(`Group did not stabilize. ${group.launchTrouble.message}`);
    if (clock.now() >= until)
      throw new Error(
        `Received ${signals} SUCCESS signal(s) out of ${group.desired}.  Unable to satisfy 100% MinSuccessfulInstancesPercent requirement`,
      );
    await tick(update);
  }
}

/** The defaults of the policy differ from those of the API. RollbackInstanceRefresh is refused, because it has no desired configuration. */
export async function refresh(group: Group, policy: Fields, update: Update): Promise<void> {
  const { place, name } = group;
  const Preferences = { MinHealthyPercentage: 100, MaxHealthyPercentage: 110, SkipMatching: true, ...(policy['Preferences'] as Fields) };
  const input = { AutoScalingGroupName: name, Strategy: policy['Strategy'], Preferences };
  await act(update.stack, autoScalingOperations, 'StartInstanceRefresh', input, update.call);
  const id = group.refreshes[0]?.id;
  for (;;) {
    const found = groups(place)
      .get(name)
      ?.refreshes.find(one => one.id === id);
    if (found === undefined) throw new Error(`The instance refresh ${id} no longer exists`);
    if (found.status === 'Successful') return;
    if (activeRefresh(group) !== found) throw new Error(`Instance refresh ${id} is ${found.status}. ${found.reason ?? ''}`.trim());
    if (update.stack.cancelled && !update.isRollback && found.status !== 'Cancelling')
      await act(update.stack, autoScalingOperations, 'CancelInstanceRefresh', { AutoScalingGroupName: name }, update.call);
    await tick(update);
  }
}
