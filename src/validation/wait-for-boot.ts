import type { Wait } from '../kit/wait.ts';
import type { Instance } from '../ports/instances.ts';
import { evaluateInstance, judgeBoot } from './rules/instance-states.ts';
import type { MachineOrder, TrialMachine, TrialWorld } from './test-instance.ts';

/** From launch to an agent that takes commands. */

export interface BootOrder extends MachineOrder {
  readonly bootSeconds: number;
  readonly agentSeconds: number;
}

export const running = (instance: TrialMachine, order: BootOrder, deps: TrialWorld): Wait<Instance> => {
  const { instances } = deps.inRegion({ region: order.errand.region });
  const look = async () => evaluateInstance(await instances.get(instance.id));
  return { what: `Instance ${instance.id}`, everySeconds: 5, atMostSeconds: order.bootSeconds, look };
};

export const agentOnline = (instance: TrialMachine, order: BootOrder, deps: TrialWorld): Wait<undefined> => {
  const { instances, commands } = deps.inRegion({ region: order.errand.region });
  const look = async () => {
    const ping = await commands.agent(instance.id);
    if (ping === 'Online') return judgeBoot(ping, undefined, undefined);
    return judgeBoot(ping, await instances.get(instance.id), await instances.health(instance.id));
  };
  return { what: `SSM agent of ${instance.id}`, everySeconds: 5, atMostSeconds: order.agentSeconds, look };
};
