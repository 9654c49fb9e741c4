import { randomUUID } from 'node:crypto';
import { ActionError, CancelledError } from '../kit/errors.ts';
import type { TagScheme } from '../model/image.ts';
import type { Run } from '../ports/deps.ts';
import { type LaunchOptions, launch, terminate, type ValidationDeps } from './launch.ts';
import { leftoverReason, PURPOSE, type TestRunId, toTestRunId } from './rules/test-run.ts';

/** The test instance: launched once, always terminated. */

/** Unique per process: two legs of a matrix have the same run, attempt and job. */
export const newTestRunId = (run: Run, region: string): TestRunId => toTestRunId(run, region, randomUUID());

export interface TestInstance extends AsyncDisposable {
  readonly id: string;
  readonly instanceType: string;
  readonly subnetId: string | undefined;
  /** Leaving the scope no longer terminates it; self-termination does. */
  keep(): void;
}

/** Leaving the scope terminates the instance. `onLeftover` gets a line about an instance that could not be terminated. */
export async function launchTestInstance(
  options: LaunchOptions,
  deps: ValidationDeps,
  onLeftover: (what: string) => void,
): Promise<TestInstance> {
  const { instance, attempt, entry } = await launch(options, deps, onLeftover);
  const { instances } = deps.inRegion(entry);
  let kept = false;
  return {
    ...{ id: instance.id, instanceType: attempt.instanceType, subnetId: attempt.subnetId },
    keep: () => {
      kept = true;
      deps.journal.forget(entry);
    },
    [Symbol.asyncDispose]: async () => {
      if (kept) return;
      const leftover = await terminate(instance.id, instances, options.endsAt, deps);
      if (leftover === undefined) deps.journal.forget(entry);
      else onLeftover(leftover);
    },
  };
}

/** Terminates expired test instances of other runs. A failure is only a warning: they are leftovers of another run. */
export async function sweepLeftovers(testRunId: TestRunId, scheme: TagScheme, deps: ValidationDeps): Promise<void> {
  const { instances } = deps.inRegion(testRunId);
  try {
    for (const instance of await instances.tagged({ [`${scheme.prefix}purpose`]: PURPOSE })) {
      const reason = leftoverReason(instance, testRunId, scheme, deps.clock.now());
      if (reason === undefined) continue;
      await instances.terminate([instance.id]);
      deps.report.warn(`Terminated test instance ${instance.id} of an earlier run: ${reason}.`);
    }
  } catch (failure) {
    if (!(failure instanceof ActionError) || failure instanceof CancelledError) throw failure;
    deps.report.warn(`Test instances of earlier runs could not be terminated: ${failure.message}`);
  }
}
