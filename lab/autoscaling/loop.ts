import { terminateInstance } from '../ec2/instance-operations.ts';
import { pastActivities } from './activities.ts';
import { groups } from './group.ts';
import { observe, replaceUnhealthy, retire } from './health.ts';
import { stepRefresh } from './refresh-step.ts';
import { balance } from './scaling.ts';
import type { Group } from './state.ts';
import { noteSources } from './traffic.ts';
import { keepWarm } from './warm-pool.ts';

/** Updates the group at every tick until it is deleted. */
export function watch(group: Group): void {
  const { clock, timings } = group.place.core;
  clock.after(timings.groupTick, () => {
    void tick(group).then(() => {
      if (groups(group.place).get(group.name) === group) watch(group);
    });
  });
}

async function tick(group: Group): Promise<void> {
  noteSources(group);
  observe(group);
  if (group.deleting) return dissolve(group);
  replaceUnhealthy(group);
  stepRefresh(group);
  await balance(group);
  await keepWarm(group);
}

function dissolve(group: Group): void {
  const { place, name, members, warmPool } = group;
  for (const member of members.values())
    retire(group, member, 'an instance was taken out of service in response to the deletion of the Auto Scaling group.');
  for (const id of warmPool?.members.keys() ?? []) terminateInstance(place, id);
  group.warmPool = undefined;
  if (members.size > 0) return;
  for (const activity of group.activities) activity.AutoScalingGroupState = 'Deleted';
  pastActivities(place).push(...group.activities);
  groups(place).delete(name);
}
