import { type ActionError, TimeoutError } from '../kit/errors.ts';
import type { AskControl } from './control-instance.ts';
import { explainSilence, faultOf, likely, type Seen } from './rules/blame.ts';
import type { Trial } from './rules/conclude.ts';
import { signs, tailOf } from './rules/console.ts';
import type { TrialMachine, TrialWorld } from './test-instance.ts';
import type { BootOrder } from './wait-for-boot.ts';

const CONSOLE_LINES = 60;

/** Why a machine went no further, with what it says about that itself, and whose fault it is. `during`: the last thing that it was waited for. */
export async function explained(
  failure: ActionError,
  during: NonNullable<Seen['silent']> | undefined,
  instance: TrialMachine,
  order: BootOrder & { readonly askControl: AskControl },
  deps: TrialWorld,
  onLeft: (what: string) => void,
): Promise<Pick<Trial, 'result' | 'reason' | 'console' | 'failure'>> {
  const { instances } = deps.inRegion({ region: order.errand.region });
  const [console, now, health] = await Promise.all([
    instances.console(instance.id).catch(() => ''),
    instances.get(instance.id).catch(() => undefined),
    instances.health(instance.id).catch(() => undefined),
  ]);
  // What is not allowed, or ended at once, is no silence.
  const seen: Seen = { instance: now, health, console, silent: failure instanceof TimeoutError ? during : undefined };
  const fault = faultOf(seen);
  const { result, reason } =
    fault === 'open'
      ? explainSilence(seen, { ...order, subnetId: instance.subnetId }, await order.askControl(instance, order, onLeft))
      : { result: fault === 'image' ? ('failed' as const) : ('inconclusive' as const), reason: likely(signs(console)) };
  const said = reason === '' ? '' : ` ${reason}`;
  return { result, reason: `${failure.message}${said}`, console: console === '' ? undefined : tailOf(console, CONSOLE_LINES), failure };
}
