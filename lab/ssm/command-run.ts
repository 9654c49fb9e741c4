import type { Executed, Guest } from '../machines/hypervisor.ts';
import type { Place } from '../place.ts';
import type { Ending, Invocation, LabCommand } from './command-state.ts';
import { canRun, scriptFor, startLine } from './script.ts';

/** "Exit code 194": the agent reboots the node and starts the script again. https://docs.aws.amazon.com/systems-manager/latest/userguide/send-commands-reboot.html */
const REBOOT = 194;
/** Exit code of a process that the agent killed with SIGKILL. */
const KILLED = 137;
const LOOK_SECONDS = 2;

/** How the agent carries out a command. */
export async function runScript(command: LabCommand, invocation: Invocation, guest: Guest): Promise<Ending> {
  const { clock } = command.place.core;
  if (!(await canRun(guest, command.document))) return { status: 'Failed', details: 'InvalidPlatform' };
  Object.assign(invocation, { status: 'InProgress', details: 'InProgress', startedAt: clock.date() });
  const tooLong = new AbortController();
  const callOff = clock.after(command.executionSeconds, () => tooLong.abort());
  const executed = await runs(command, invocation, guest, AbortSignal.any([tooLong.signal, invocation.cancel.signal]));
  callOff();
  return toEnding(executed, { cancelled: invocation.cancel.signal.aborted, tooLong: tooLong.signal.aborted });
}

async function runs(command: LabCommand, invocation: Invocation, guest: Guest, signal: AbortSignal): Promise<Executed> {
  const [outputs, errors]: [string[], string[]] = [[], []];
  for (;;) {
    const { exitCode, stdout, stderr } = await guest
      .exec(startLine(command, invocation), { input: scriptFor(command), signal })
      .catch((cause: Error): Executed => ({ exitCode: -1, stdout: '', stderr: cause.message }));
    outputs.push(stdout);
    errors.push(stderr);
    if (exitCode !== REBOOT || signal.aborted) return { exitCode, stdout: outputs.join(''), stderr: errors.join('') };
    await reboot(command.place, guest, signal);
  }
}

async function reboot(place: Place, guest: Guest, signal: AbortSignal): Promise<void> {
  // The start time of PID 1 identifies one boot of the guest.
  const life = () =>
    guest.exec(['cut', '-d', ' ', '-f', '22', '/proc/1/stat']).then(
      ({ stdout }) => stdout.trim(),
      () => '',
    );
  const before = await life();
  await guest.exec(['shutdown', '-r', 'now']).catch(() => undefined);
  for (let now = ''; now === '' || now === before || !(await guest.agentAlive()); now = await life()) {
    if (signal.aborted) return;
    await place.core.clock.sleep(LOOK_SECONDS);
  }
}

function toEnding({ exitCode, stdout, stderr }: Executed, ended: { cancelled: boolean; tooLong: boolean }): Ending {
  if (ended.cancelled) return { status: 'Cancelled', details: 'Cancelled', responseCode: KILLED, stdout, stderr };
  if (ended.tooLong) return { status: 'TimedOut', details: 'ExecutionTimedOut', responseCode: KILLED, stdout, stderr };
  if (exitCode === 0) return { status: 'Success', details: 'Success', responseCode: 0, stdout, stderr };
  // The agent adds this line: https://github.com/aws/amazon-ssm-agent (runscript.go)
  const message = `failed to run commands: exit status ${exitCode}`;
  return { status: 'Failed', details: 'Failed', responseCode: exitCode, stdout, stderr: stderr + message };
}
