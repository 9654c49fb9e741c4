import { randomUUID } from 'node:crypto';
import { ActionError, CancelledError, RejectedError } from '../kit/errors.ts';
import { formatMoment } from '../kit/format.ts';
import type { Image, TagScheme, Tags } from '../model/image.ts';
import type { Deps, JournalEntry, RegionClients, Run } from '../ports/deps.ts';
import type { Instance } from '../ports/instances.ts';
import {
  type Attempt,
  launchToken,
  leftoverReason,
  PURPOSE,
  type TestRunId,
  testInstanceTags,
  toTestRunId,
  withSelfTermination,
} from './rules/test-run.ts';

/** The test instance: launched once, always terminated. */

export type ValidationDeps = Deps<'images' | 'instances' | 'commands', 'journal'>;

/** Unique per process: two legs of a matrix have the same run, attempt and job. */
export const newTestRunId = (run: Run, region: string): TestRunId => toTestRunId(run, region, randomUUID());

export interface LaunchOptions {
  readonly image: Image;
  readonly family: string;
  readonly scheme: TagScheme;
  readonly testRunId: TestRunId;
  /** In order: the next one where the one before has no capacity. */
  readonly instanceTypes: readonly string[];
  readonly subnets: readonly (string | undefined)[];
  readonly securityGroupIds: readonly string[];
  readonly instanceProfile: string | undefined;
  readonly userData: string | undefined;
  readonly tags: Tags;
  /** When it terminates itself at the latest. */
  readonly endsAt: Date;
}

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
  const { instances } = deps.inRegion({ region: options.testRunId.region });
  const full: string[] = [];
  for (const attempt of attempts(options)) {
    const launched = await launchOnce(attempt, options, deps, onLeftover);
    if ('entry' in launched) {
      let kept = false;
      return {
        ...{ id: launched.instance.id, instanceType: attempt.instanceType, subnetId: attempt.subnetId },
        keep: () => {
          kept = true;
          deps.journal.forget(launched.entry);
        },
        [Symbol.asyncDispose]: async () => {
          if (kept) return;
          const leftover = await terminate(launched.instance.id, instances, options.endsAt, deps);
          if (leftover === undefined) deps.journal.forget(launched.entry);
          else onLeftover(leftover);
        },
      };
    }
    full.push(`${formatAttempt(attempt)}: ${launched.noCapacity}`);
    deps.report.info(`No capacity for ${formatAttempt(attempt)}.`);
  }
  throw new RejectedError(`No capacity for a test instance: ${full.join('; ')}`, {
    next: 'Re-run the job later, or set alternatives: test-instance-types "t3.micro | t3a.micro", several subnets.',
  });
}

const formatAttempt = ({ instanceType, subnetId }: Attempt) => (subnetId === undefined ? instanceType : `${instanceType} in ${subnetId}`);

const attempts = ({ image, instanceTypes, subnets }: LaunchOptions): readonly Attempt[] =>
  instanceTypes
    .flatMap(instanceType =>
      (subnets.length === 0 ? [undefined] : subnets).map(subnetId => ({ imageId: image.id, instanceType, subnetId })),
    )
    .map((attempt, ordinal) => ({ ...attempt, ordinal }));

type Launched = { readonly instance: Instance; readonly entry: JournalEntry } | { readonly noCapacity: string };

async function launchOnce(
  attempt: Attempt,
  options: LaunchOptions,
  deps: ValidationDeps,
  onLeftover: (what: string) => void,
): Promise<Launched> {
  const { journal, report } = deps;
  const { region } = options.testRunId;
  const { instances } = deps.inRegion({ region });
  const { imageId, instanceType, subnetId } = attempt;
  const token = launchToken(options.testRunId, attempt);
  const entry: JournalEntry = { kind: 'instance', region, token };
  // Before the call: if the process is killed in it, post: finds the instance by its token.
  journal.remember(entry);
  try {
    const launched = await instances.launch({
      ...{ imageId, instanceType, subnetId, token },
      securityGroupIds: options.securityGroupIds,
      instanceProfile: options.instanceProfile,
      userData: withSelfTermination(options.userData, options.endsAt),
      devices: options.image.devices ?? [],
      tags: testInstanceTags(options.testRunId, { ...options, imageId: options.image.id }, options.scheme),
    });
    if (!('noCapacity' in launched)) {
      report.info(
        `Launched test instance ${launched.id} (${formatAttempt(attempt)}). It terminates itself at ${formatMoment(options.endsAt)} at the latest.`,
      );
      return { instance: launched, entry };
    }
    journal.forget(entry);
    return launched;
  } catch (failure) {
    // The call may have succeeded although its answer was lost.
    const lost = await instances.findByToken(token).catch(() => undefined);
    const leftover = lost === undefined ? undefined : await terminate(lost.id, instances, options.endsAt, deps);
    if (leftover === undefined) journal.forget(entry);
    else onLeftover(leftover);
    throw failure;
  }
}

const ENDED: ReadonlySet<string> = new Set(['shutting-down', 'terminated']);
const TERMINATE_ATTEMPTS = 30;

/** Undefined when EC2 has confirmed the termination; else a line for people. */
async function terminate(
  id: string,
  instances: RegionClients['instances'],
  endsAt: Date,
  { clock, report }: ValidationDeps,
): Promise<string | undefined> {
  let last = 'EC2 has not confirmed the termination';
  for (let attempt = 0; attempt < TERMINATE_ATTEMPTS; attempt += 1) {
    try {
      await instances.terminate([id]);
      const seen = await instances.get(id);
      if (seen !== undefined && ENDED.has(seen.state)) {
        report.info(`Test instance ${id} is ${seen.state}.`);
        return undefined;
      }
      last = seen === undefined ? 'EC2 does not show it' : `it is still ${seen.state}`;
      await clock.sleep(5_000);
    } catch (failure) {
      if (!(failure instanceof ActionError)) throw failure;
      last = failure instanceof CancelledError ? last : failure.message;
      break;
    }
  }
  return `test instance ${id} may still run: ${last}. It terminates itself at ${formatMoment(endsAt)}; now: aws ec2 terminate-instances --instance-ids ${id}`;
}

/** Terminates expired test instances of other runs. A failure is only a warning: they are leftovers of another run. */
export async function sweepLeftovers(testRunId: TestRunId, scheme: TagScheme, deps: ValidationDeps): Promise<void> {
  const { instances } = deps.inRegion({ region: testRunId.region });
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
