import { guestOf, instances, type LabInstance } from '../ec2/state.ts';
import type { Executed, Guest } from '../machines/hypervisor.ts';
import { answers, nodeFor, observe, pingOf } from './agents.ts';
import { type Ending, finish, hasEnded, type Invocation, type LabCommand } from './command-state.ts';
import { canRun, scriptFor, startLine } from './script.ts';

/** How often the service and an agent that did not answer try each other again, lab seconds. */
const RETRY_SECONDS = 5;

/** One command on one node, from Pending to its end. https://docs.aws.amazon.com/systems-manager/latest/userguide/monitor-commands.html */
export async function carryOut(command: LabCommand, invocation: Invocation): Promise<void> {
  const instance = instances(command.place).get(invocation.instanceId);
  if (instance === undefined) return finish(invocation, UNDELIVERABLE, command.place.core.clock.date());
  const guest = await deliver(command, invocation, instance);
  if (guest === undefined) return;
  const ending = await execute(command, invocation, guest);
  await answer(command, invocation, { instance, guest }, ending);
}

/** Until the agent takes it. */
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

async function undelivered({ place, expiresAt }: LabCommand, instance: LabInstance, isLate: boolean): Promise<Ending | undefined> {
  if (instance.state === 'shutting-down' || instance.state === 'terminated') return UNDELIVERABLE;
  if (!isLate) return undefined;
  await observe(place, [instance.id]);
  const node = nodeFor(place, instance.id);
  if (node !== undefined && pingOf(place, node) === 'ConnectionLost') return UNDELIVERABLE;
  return place.core.clock.now() >= expiresAt.getTime() ? DELIVERY_TIMED_OUT : undefined;
}

async function execute(command: LabCommand, invocation: Invocation, guest: Guest): Promise<Ending> {
  const { clock } = command.place.core;
  if (!(await canRun(guest, command.document))) return { status: 'Failed', details: 'InvalidPlatform' };
  Object.assign(invocation, { status: 'InProgress', details: 'InProgress', startedAt: clock.date() });
  const tooLong = new AbortController();
  const callOff = clock.after(command.executionSeconds, () => tooLong.abort());
  const signal = AbortSignal.any([tooLong.signal, invocation.cancel.signal]);
  const executed = await guest
    .exec(startLine(command, invocation), { input: scriptFor(command), signal })
    .catch((cause: Error): Executed => ({ exitCode: -1, stdout: '', stderr: cause.message }));
  callOff();
  return judge(executed, { cancelled: invocation.cancel.signal.aborted, tooLong: tooLong.signal.aborted });
}

/** Exit code of what the agent killed with SIGKILL. */
const KILLED = 137;

function judge({ exitCode, stdout, stderr }: Executed, ended: { cancelled: boolean; tooLong: boolean }): Ending {
  if (ended.cancelled) return { status: 'Cancelled', details: 'Cancelled', responseCode: KILLED, stdout, stderr };
  if (ended.tooLong) return { status: 'TimedOut', details: 'ExecutionTimedOut', responseCode: KILLED, stdout, stderr };
  if (exitCode === 0) return { status: 'Success', details: 'Success', responseCode: 0, stdout, stderr };
  // The agent adds this line: https://github.com/aws/amazon-ssm-agent (runscript.go)
  const why = `failed to run commands: exit status ${exitCode}`;
  return { status: 'Failed', details: 'Failed', responseCode: exitCode, stdout, stderr: stderr + why };
}

/**
 * Only an agent that lives can say how it ended; "if the agent isn't running or available on the node, the command status remains at In Progress
 * until the agent is available again", or until everything has expired. What ran in a guest that is gone, nobody will ever tell.
 */
async function answer(
  command: LabCommand,
  invocation: Invocation,
  { instance, guest }: { instance: LabInstance; guest: Guest },
  ending: Ending,
): Promise<void> {
  const { clock } = command.place.core;
  while (!hasEnded(invocation)) {
    if (guestOf(instance) === guest && (await answers(command.place, instance))) finish(invocation, ending, clock.date());
    else if (clock.now() >= command.expiresAt.getTime()) finish(invocation, DELIVERY_TIMED_OUT, clock.date());
    else await clock.sleep(RETRY_SECONDS);
  }
}
