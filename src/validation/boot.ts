import type { Wait } from '../kit/wait.ts';
import type { Instance } from '../ports/instances.ts';
import type { LaunchOptions, ValidationDeps } from './launch.ts';
import { evaluateBoot, evaluateInstance } from './rules/instance-states.ts';
import type { TestInstance } from './test-instance.ts';

/** From launch to an agent that accepts commands. */

export interface BootOptions extends LaunchOptions {
  readonly bootSeconds: number;
  readonly agentSeconds: number;
}

export const running = (instance: TestInstance, options: BootOptions, deps: ValidationDeps): Wait<Instance> => {
  const { instances } = deps.inRegion({ region: options.testRunId.region });
  const poll = async () => evaluateInstance(await instances.get(instance.id));
  return { what: `Instance ${instance.id}`, everySeconds: 5, atMostSeconds: options.bootSeconds, poll };
};

export const agentOnline = (instance: TestInstance, options: BootOptions, deps: ValidationDeps): Wait<undefined> => {
  const { instances, commands } = deps.inRegion({ region: options.testRunId.region });
  const poll = async () => {
    const ping = await commands.agent(instance.id);
    if (ping === 'Online') return evaluateBoot(ping, undefined, undefined);
    return evaluateBoot(ping, await instances.get(instance.id), await instances.health(instance.id));
  };
  return { what: `SSM agent of ${instance.id}`, everySeconds: 5, atMostSeconds: options.agentSeconds, poll };
};
