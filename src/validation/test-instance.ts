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

/** The machine that tries an image: made once, ended always. */

export type ValidationDeps = Deps<'images' | 'instances' | 'commands', 'journal'>;

/** Unlike any other process: two legs of a matrix look the same from inside. */
export const newTestRunId = (run: Run, region: string): TestRunId => toTestRunId(run, region, randomUUID());

export interface LaunchOptions {
  readonly image: Image;
  readonly family: string;
  readonly scheme: TagScheme;
  readonly testRunId: TestRunId;
  /** In order: the next one where AWS has no room for the one before. */
  readonly instanceTypes: readonly string[];
  readonly subnets: readonly (string | undefined)[];
  readonly securityGroupIds: readonly string[];
  readonly instanceProfile: string | undefined;
  readonly userData: string | undefined;
  readonly tags: Tags;
  /** When it ends itself, if nobody else did. */
  readonly endsAt: Date;
}

export interface TestInstance extends AsyncDisposable {
  readonly id: string;
  readonly instanceType: string;
  readonly subnetId: string | undefined;
  /** Leaving the scope does not end it: its own timer does. */
  keep(): void;
}

/** Leaving its scope, in whatever way, ends the machine; what could not be ended is told to `onLeft`. */
export async function launchTestInstance(
  order: LaunchOptions,
  deps: ValidationDeps,
  onLeftover: (what: string) => void,
): Promise<TestInstance> {
  const { instances } = deps.inRegion({ region: order.testRunId.region });
  const full: string[] = [];
  for (const attempt of attempts(order)) {
    const launched = await launchOnce(attempt, order, deps, onLeftover);
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
          const leftovers = await end(launched.instance.id, instances, order.endsAt, deps);
          if (leftovers === undefined) deps.journal.forget(launched.entry);
          else onLeftover(leftovers);
        },
      };
    }
    full.push(`${formatAttempt(attempt)}: ${launched.noCapacity}`);
    deps.report.info(`No capacity for ${formatAttempt(attempt)}.`);
  }
  throw new RejectedError(`AWS has no room for a test machine: ${full.join('; ')}`, {
    next: 'Run the job again later, or name more than one: test-instance-types "t3.micro | t3a.micro", several subnets.',
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
  order: LaunchOptions,
  deps: ValidationDeps,
  onLeftover: (what: string) => void,
): Promise<Launched> {
  const { journal, report } = deps;
  const { instances } = deps.inRegion({ region: order.testRunId.region });
  const token = launchToken(order.testRunId, attempt);
  const entry: JournalEntry = { kind: 'instance', region: order.testRunId.region, token };
  // Before the call: if we are killed in it, post: finds by the token what it made.
  journal.remember(entry);
  try {
    const launched = await instances.launch({
      ...{ imageId: attempt.imageId, instanceType: attempt.instanceType, subnetId: attempt.subnetId, token },
      securityGroupIds: order.securityGroupIds,
      instanceProfile: order.instanceProfile,
      userData: withSelfTermination(order.userData, order.endsAt),
      devices: order.image.devices ?? [],
      tags: testInstanceTags(
        order.testRunId,
        { family: order.family, imageId: order.image.id, endsAt: order.endsAt, own: order.tags },
        order.scheme,
      ),
    });
    if (!('noCapacity' in launched)) {
      report.info(`${launched.id} (${formatAttempt(attempt)}) launched. It would end itself at ${formatMoment(order.endsAt)}.`);
      return { instance: launched, entry };
    }
    journal.forget(entry);
    return launched;
  } catch (failure) {
    // An error may hide an answer that got lost on the way.
    const lost = await instances.findByToken(token).catch(() => undefined);
    const leftovers = lost === undefined ? undefined : await end(lost.id, instances, order.endsAt, deps);
    if (leftovers === undefined) journal.forget(entry);
    else onLeftover(leftovers);
    throw failure;
  }
}

const ENDED: ReadonlySet<string> = new Set(['shutting-down', 'terminated']);
const ATTEMPTS = 30;

/** Undefined when EC2 has confirmed that it ends; else what is left, as a line for people. */
async function end(
  id: string,
  instances: RegionClients['instances'],
  endsAt: Date,
  { clock, report }: ValidationDeps,
): Promise<string | undefined> {
  let last = 'EC2 has not confirmed it';
  for (let look = 0; look < ATTEMPTS; look += 1) {
    try {
      await instances.terminate([id]);
      const seen = await instances.get(id);
      if (seen !== undefined && ENDED.has(seen.state)) {
        report.info(`${id} is ${seen.state}.`);
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
  return `instance ${id} was not seen to end: ${last}. It ends itself at ${formatMoment(endsAt)}; now: aws ec2 terminate-instances --instance-ids ${id}`;
}

/** Ends test machines of runs that are over. Who may not do that, or fails at it, is only warned: it is somebody else's leftover. */
export async function sweepLeftovers(testRunId: TestRunId, scheme: TagScheme, deps: ValidationDeps): Promise<readonly string[]> {
  const { instances } = deps.inRegion({ region: testRunId.region });
  try {
    const all = await instances.tagged({ [`${scheme.prefix}purpose`]: PURPOSE });
    const expired = all.flatMap(instance => {
      const reason = leftoverReason(instance, testRunId, scheme, deps.clock.now());
      return reason === undefined ? [] : [{ id: instance.id, reason }];
    });
    for (const { id, reason } of expired) {
      await instances.terminate([id]);
      deps.report.warn(`Ended test machine ${id} of an earlier run: ${reason}.`);
    }
    return expired.map(({ id }) => id);
  } catch (failure) {
    if (!(failure instanceof ActionError) || failure instanceof CancelledError) throw failure;
    deps.report.warn(`Could not look for test machines of earlier runs: ${failure.message}`);
    return [];
  }
}
