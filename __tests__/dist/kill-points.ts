import { afterAll } from '@jest/globals';
import type { CallRecord } from '../../lab/calls.ts';
import type { Lab } from '../../lab/lab.ts';

/**
 * Where a run dies: after every change, and after a part of the calls that only look, each CI run after others. `npm run kills` dies after every
 * call.
 */
const STRIDE = Number(process.env['AMI_ACTION_KILL_STRIDE'] ?? 11);
const FIRST = Number(process.env['AMI_ACTION_KILL_FIRST'] ?? process.env['GITHUB_RUN_NUMBER'] ?? 0) % STRIDE;

export const IS_FULL = STRIDE < 11;
export const KILL_TIMEOUT = IS_FULL ? 3_600_000 : 600_000;

const LOOKS = /^(Describe|Get|List|AssumeRole)/;

function isPoint(): (call: CallRecord) => boolean {
  let looks = 0;
  return ({ operation }) => {
    if (!LOOKS.test(operation)) return true;
    looks += 1;
    return looks % STRIDE === FIRST;
  };
}

interface Mortal {
  kill(signal: 'SIGKILL'): unknown;
}

let deaths = 0;
afterAll(() => {
  if (IS_FULL) console.info(`${deaths} kills`);
});

/** Runs something that is killed after its nth point. False: it came to its end before. `when`: the calls that count instead. */
export async function dies(
  { faults }: Lab,
  nth: number,
  run: (onStart: (child: Mortal) => void) => Promise<{ readonly signal: unknown }>,
  when = isPoint(),
): Promise<boolean> {
  const alive = { kill: () => {} };
  const disarm = faults.add({ when, nth, action: { kill: () => alive.kill(), at: 'ended' } });
  const { signal } = await run(child => Object.assign(alive, { kill: () => child.kill('SIGKILL') }));
  disarm();
  if (signal === null) return false;
  deaths += 1;
  return true;
}
