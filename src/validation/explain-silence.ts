import { type ActionError, TimeoutError } from '../kit/errors.ts';
import type { LaunchControl } from './control-instance.ts';
import { explainSilence, faultOf, formatCauses, type Symptoms } from './rules/blame.ts';
import type { TestRun } from './rules/conclude.ts';
import { consoleCauses, consoleTail } from './rules/console.ts';
import type { TestInstance, ValidationDeps } from './test-instance.ts';
import type { BootOptions } from './wait-for-boot.ts';

const CONSOLE_LINES = 60;

/** Why a machine went no further, with what it says about that itself, and whose fault it is. `during`: the last thing that it was waited for. */
export async function diagnose(
  failure: ActionError,
  during: NonNullable<Symptoms['silent']> | undefined,
  instance: TestInstance,
  order: BootOptions & { readonly launchControl: LaunchControl },
  deps: ValidationDeps,
  onLeftover: (what: string) => void,
): Promise<Pick<TestRun, 'result' | 'reason' | 'console' | 'failure'>> {
  const { instances } = deps.inRegion({ region: order.testRunId.region });
  const [console, now, health] = await Promise.all([
    instances.console(instance.id).catch(() => ''),
    instances.get(instance.id).catch(() => undefined),
    instances.health(instance.id).catch(() => undefined),
  ]);
  // What is not allowed, or ended at once, is no silence.
  const seen: Symptoms = { instance: now, health, console, silent: failure instanceof TimeoutError ? during : undefined };
  const fault = faultOf(seen);
  const { result, reason } =
    fault === 'open'
      ? explainSilence(seen, { ...order, subnetId: instance.subnetId }, await order.launchControl(instance, order, onLeftover))
      : { result: fault === 'image' ? ('failed' as const) : ('inconclusive' as const), reason: formatCauses(consoleCauses(console)) };
  const said = reason === '' ? '' : ` ${reason}`;
  return {
    result,
    reason: `${failure.message}${said}`,
    console: console === '' ? undefined : consoleTail(console, CONSOLE_LINES),
    failure,
  };
}
