import type { Wait } from '../kit/wait.ts';
import type { Machine } from '../ports/instances.ts';
import { judgeBoot, judgeMachine } from './rules/instance-states.ts';
import type { MachineOrder, TrialMachine, TrialWorld } from './test-instance.ts';

/** From launch to an agent that takes commands. */

export interface BootOrder extends MachineOrder {
  readonly bootSeconds: number;
  readonly agentSeconds: number;
}

export const running = (machine: TrialMachine, order: BootOrder, world: TrialWorld): Wait<Machine> => {
  const { machines } = world.at({ region: order.errand.region });
  const look = async () => judgeMachine(await machines.get(machine.id));
  return { what: `Instance ${machine.id}`, everySeconds: 5, atMostSeconds: order.bootSeconds, look };
};

export const agentOnline = (machine: TrialMachine, order: BootOrder, world: TrialWorld): Wait<undefined> => {
  const { machines, commands } = world.at({ region: order.errand.region });
  const look = async () => {
    const ping = await commands.agent(machine.id);
    if (ping === 'Online') return judgeBoot(ping, undefined, undefined);
    return judgeBoot(ping, await machines.get(machine.id), await machines.health(machine.id));
  };
  return { what: `SSM agent of ${machine.id}`, everySeconds: 5, atMostSeconds: order.agentSeconds, look };
};
