import { ActionError, CancelledError, TimeoutError } from '../kit/errors.ts';
import { type Poll, type Wait, waitFor } from '../kit/wait.ts';
import { type Image, tagKey } from '../model/image.ts';
import { agentOnline, type BootOptions, running } from './boot.ts';
import type { ValidationDeps } from './launch.ts';
import type { TestRun } from './rules/conclude.ts';
import {
  baseOf,
  type Control,
  consoleCauses,
  consoleTail,
  controlImage,
  explainSilence,
  faultOf,
  formatCauses,
  hasAgent,
  type Symptoms,
} from './rules/diagnosis.ts';
import { launchTestInstance, type TestInstance } from './test-instance.ts';

type Silence = NonNullable<Symptoms['silent']>;

/**
 * Launches a control instance: another image, known to work, in the same subnet with the same profile. A missing agent alone does not tell whether image or
 * account is at fault. The control instance must get as far as the silent one did: where commands got no answer, its agent must run a command, too.
 */
export type LaunchControl = (
  silent: TestInstance,
  during: Silence,
  options: BootOptions,
  onLeftover: (what: string) => void,
) => Promise<Control | undefined>;

/** One control instance per subnet and proof, shared by all test instances of the matrix. */
export function controlLauncher(deps: ValidationDeps): LaunchControl {
  const launched = new Map<string, Promise<Control | undefined>>();
  return (silent, during, options, onLeftover) => {
    const key = `${silent.subnetId} ${during === 'at boot'}`;
    const control = launched.get(key) ?? launchControl(silent, during, options, deps, onLeftover);
    launched.set(key, control);
    return control;
  };
}

async function launchControl(
  silent: TestInstance,
  during: Silence,
  options: BootOptions,
  deps: ValidationDeps,
  onLeftover: (what: string) => void,
): Promise<Control | undefined> {
  const image = await findControlImage(options, deps);
  if (image === undefined) return undefined;
  const { clock, report } = deps;
  const startedAt = clock.now();
  report.info(`Launching a control instance of ${image.id} to tell whether the image or the account causes the failure of ${silent.id}.`);
  const { instanceType } = silent;
  const same = { ...options, image, instanceTypes: [instanceType], subnets: [silent.subnetId] };
  const testRunId = { ...options.testRunId, leg: `${options.testRunId.leg}/control` };
  try {
    await using instance = await launchTestInstance({ ...same, testRunId }, deps, onLeftover);
    await waitFor(running(instance, options, deps), deps);
    await waitFor(agentOnline(instance, options, deps), deps);
    if (during !== 'at boot') await waitFor(commandRuns(instance, options, deps), deps);
    return { imageId: image.id, instanceType, seconds: (clock.now() - startedAt) / 1000, reason: '' };
  } catch (failure) {
    if (!(failure instanceof ActionError) || failure instanceof CancelledError) throw failure;
    return { imageId: image.id, instanceType, seconds: undefined, reason: failure.message };
  }
}

const COMMAND_SECONDS = 150;

function commandRuns({ id }: TestInstance, { testRunId }: BootOptions, deps: ValidationDeps): Wait<undefined> {
  const { commands } = deps.inRegion(testRunId);
  const order = { instanceId: id, script: ['exit 0'], timeoutSeconds: 30, comment: 'ami-action: control' };
  let command: string | undefined;
  const poll = async (): Promise<Poll<undefined>> => {
    command ??= await commands.send(order);
    const status = command === undefined ? undefined : (await commands.result(command, id))?.status;
    return status === 'Success'
      ? { state: 'done', value: undefined }
      : { state: 'waiting', note: `its command is ${status ?? 'not visible'}` };
  };
  return { what: `Command on ${id}`, everySeconds: 3, atMostSeconds: COMMAND_SECONDS, poll };
}

async function findControlImage({ image, family, scheme, testRunId }: BootOptions, deps: ValidationDeps): Promise<Image | undefined> {
  const { images } = deps.inRegion({ region: testRunId.region });
  const passed = controlImage(image, await images.find({ tags: { [tagKey(scheme, 'family')]: family } }), scheme);
  if (passed !== undefined) return passed;
  const baseId = baseOf(image, scheme);
  const base = baseId === undefined ? undefined : await images.get(baseId);
  return base?.state === 'available' && hasAgent(base, scheme) ? base : undefined;
}

const CONSOLE_LINES = 60;

/** Why a test instance failed, and whether the image is the cause. `during`: the phase in which it stopped answering. */
export async function diagnose(
  failure: ActionError,
  during: Silence | undefined,
  instance: TestInstance,
  options: BootOptions & { readonly launchControl: LaunchControl },
  deps: ValidationDeps,
  onLeftover: (what: string) => void,
): Promise<Pick<TestRun, 'result' | 'reason' | 'console' | 'failure'>> {
  const { instances } = deps.inRegion({ region: options.testRunId.region });
  const [console, now, health] = await Promise.all([
    instances.console(instance.id).catch(() => ''),
    instances.get(instance.id).catch(() => undefined),
    instances.health(instance.id).catch(() => undefined),
  ]);
  // A denied call, or an instance that ended, is not silence.
  const symptoms: Symptoms = { instance: now, health, console, silent: failure instanceof TimeoutError ? during : undefined };
  const fault = faultOf(symptoms);
  const { result, reason } =
    fault === 'open' && during !== undefined
      ? explainSilence(
          symptoms,
          { ...options, subnetId: instance.subnetId },
          await options.launchControl(instance, during, options, onLeftover),
        )
      : { result: fault === 'image' ? ('failed' as const) : ('inconclusive' as const), reason: formatCauses(consoleCauses(console)) };
  return {
    result,
    reason: [failure.message, reason].filter(Boolean).join(' '),
    console: console === '' ? undefined : consoleTail(console, CONSOLE_LINES),
    failure,
  };
}
