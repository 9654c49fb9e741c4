import { guestOf, instances, type LabInstance } from '../ec2/state.ts';
import type { Guest } from '../machines/hypervisor.ts';
import { answers, nodeFor, observe, pingOf } from './agents.ts';
import { runScript } from './command-run.ts';
import { type Ending, finish, hasEnded, type Invocation, type LabCommand } from './command-state.ts';

/** Interval in which the service retries an agent that does not answer, in lab seconds. */
const RETRY_SECONDS = 5;

/** One command on one node, from Pending to its end. https://docs.aws.amazon.com/systems-manager/latest/userguide/monitor-commands.html */
export async function carryOut(command: LabCommand, invocation: Invocation): Promise<void> {
  const instance = instances(command.place).get(invocation.instanceId);
  if (instance === undefined) return finish(invocation, UNDELIVERABLE, command.place.core.clock.date());
  const guest = await deliver(command, invocation, instance);
  if (guest === undefined) return;
  const ending = await runScript(command, invocation, guest);
  await answer(command, invocation, { instance, guest }, ending);
}

/** Waits until the agent accepts the command. */
async function deliver(command: LabCommand, invocation: Invocation, instance: LabInstance): Promise<Guest | undefined> {
  const { place } = command;
  const { clock, timings } = place.core;
  await clock.sleep(timings.delivery);
  while (!hasEnded(invocation)) {
    const isLate = clock.now() >= command.startBefore.getTime();
    if (!isLate && (await answers(place, instance))) return guestOf(instance);
    const ending = await undelivered(command, instance, isLate);
    if (ending !== undefined) finish(invocation, ending, clock.date());
    else if (invocation.status === 'Pending') Object.assign(invocation, { status: 'Delayed', details: 'Delayed' });
    await clock.sleep(RETRY_SECONDS);
  }
  return undefined;
}

const UNDELIVERABLE: Ending = { status: 'Failed', details: 'Undeliverable' };
const DELIVERY_TIMED_OUT: Ending = { status: 'TimedOut', details: 'DeliveryTimedOut' };
// In the wording of the agent: https://github.com/aws/amazon-ssm-agent (outofproc/master.go)
const INTERRUPTED: Ending = { status: 'Failed', details: 'Failed', responseCode: 1, stderr: 'document process failed unexpectedly' };

async function undelivered({ place, expiresAt }: LabCommand, instance: LabInstance, isLate: boolean): Promise<Ending | undefined> {
  if (instance.state === 'shutting-down' || instance.state === 'terminated') return UNDELIVERABLE;
  if (!isLate) return undefined;
  await observe(place, [instance.id]);
  const node = nodeFor(place, instance.id);
  if (node !== undefined && pingOf(place, node) === 'ConnectionLost') return UNDELIVERABLE;
  return place.core.clock.now() >= expiresAt.getTime() ? DELIVERY_TIMED_OUT : undefined;
}

/**
 * Only a running agent reports the result: "if the agent isn't running or available on the node, the command status remains at In Progress
 * until the agent is available again", or until it expires. After a reboot the agent reports that the command was interrupted.
 */
async function answer(
  command: LabCommand,
  invocation: Invocation,
  { instance, guest }: { instance: LabInstance; guest: Guest },
  ending: Ending,
): Promise<void> {
  const { clock } = command.place.core;
  while (!hasEnded(invocation)) {
    if (await answers(command.place, instance)) finish(invocation, guestOf(instance) === guest ? ending : INTERRUPTED, clock.date());
    else if (clock.now() >= command.expiresAt.getTime()) finish(invocation, DELIVERY_TIMED_OUT, clock.date());
    else await clock.sleep(RETRY_SECONDS);
  }
}
