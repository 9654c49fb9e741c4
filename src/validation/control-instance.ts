import { ActionError, CancelledError } from '../kit/errors.ts';
import { waitFor } from '../kit/wait.ts';
import type { Image } from '../model/image.ts';
import { tagKey } from '../model/image.ts';
import { baseOf, type Control, controlImage } from './rules/blame.ts';
import { launchTestInstance, type TestInstance, type ValidationDeps } from './test-instance.ts';
import { agentOnline, type BootOptions, running } from './wait-for-boot.ts';

/**
 * A machine whose agent does not come tells nothing about whose fault that is: a profile that lacks a policy and a subnet without a route look just like an image
 * without an agent. So another image, which is known to work, gets a machine in the same place. It is launched only then, and ended like the first.
 */
export type LaunchControl = (silent: TestInstance, order: BootOptions, onLeftover: (what: string) => void) => Promise<Control | undefined>;

/** One for all machines of a matrix that are silent in the same subnet: it is about the place, and the profile is the same everywhere. */
export function controlLauncher(deps: ValidationDeps): LaunchControl {
  const asked = new Map<string, Promise<Control | undefined>>();
  return (silent, order, onLeftover) => {
    const where = silent.subnetId ?? 'the default';
    const answer = asked.get(where) ?? launchControl(silent, order, deps, onLeftover);
    asked.set(where, answer);
    return answer;
  };
}

async function launchControl(
  silent: TestInstance,
  order: BootOptions,
  deps: ValidationDeps,
  onLeftover: (what: string) => void,
): Promise<Control | undefined> {
  const image = await findControlImage(order, deps);
  if (image === undefined) return undefined;
  const { clock, report } = deps;
  const startedAt = clock.now();
  report.info(`${silent.id} does not say whether the image or the account is at fault: ${image.id} gets a machine in the same place.`);
  const { instanceType } = silent;
  const same = { ...order, image, instanceTypes: [instanceType], subnets: [silent.subnetId] };
  try {
    await using instance = await launchTestInstance(
      { ...same, testRunId: { ...order.testRunId, leg: `${order.testRunId.leg}/control` } },
      deps,
      onLeftover,
    );
    await waitFor(running(instance, order, deps), deps);
    await waitFor(agentOnline(instance, order, deps), deps);
    return { imageId: image.id, instanceType, seconds: (clock.now() - startedAt) / 1000, reason: '' };
  } catch (failure) {
    if (!(failure instanceof ActionError) || failure instanceof CancelledError) throw failure;
    return { imageId: image.id, instanceType, seconds: undefined, reason: failure.message };
  }
}

async function findControlImage({ image, family, scheme, testRunId }: BootOptions, deps: ValidationDeps): Promise<Image | undefined> {
  const { images } = deps.inRegion({ region: testRunId.region });
  const passed = controlImage(image, await images.find({ tags: { [tagKey(scheme, 'family')]: family } }), scheme);
  if (passed !== undefined) return passed;
  const base = baseOf(image, scheme);
  const seen = base === undefined ? undefined : await images.get(base);
  return seen?.state === 'available' ? seen : undefined;
}
