import { randomUUID } from 'node:crypto';
import { formatMoment } from '../kit/duration.ts';
import { ActionError, CancelledError, RejectedError } from '../kit/errors.ts';
import type { Image, TagScheme, Tags } from '../model/image.ts';
import type { Deps, JournalEntry, RegionClients, Run } from '../ports/deps.ts';
import type { Instance } from '../ports/instances.ts';
import { type Attempt, type Errand, errandOf, launchToken, PURPOSE, strayBecause, trialTags, withDeadMan } from './rules/test-run.ts';

/** The machine that tries an image: made once, ended always. */

export type TrialWorld = Deps<'images' | 'instances' | 'commands', 'journal'>;

/** Unlike any other process: two legs of a matrix look the same from inside. */
export const newErrand = (run: Run, region: string): Errand => errandOf(run, region, randomUUID());

export interface MachineOrder {
  readonly image: Image;
  readonly family: string;
  readonly scheme: TagScheme;
  readonly errand: Errand;
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

export interface TrialMachine extends AsyncDisposable {
  readonly id: string;
  readonly instanceType: string;
  readonly subnetId: string | undefined;
  /** Leaving the scope does not end it: its own timer does. */
  keep(): void;
}

/** Leaving its scope, in whatever way, ends the machine; what could not be ended is told to `onLeft`. */
export async function launchMachine(order: MachineOrder, deps: TrialWorld, onLeft: (what: string) => void): Promise<TrialMachine> {
  const { instances } = deps.inRegion({ region: order.errand.region });
  const full: string[] = [];
  for (const attempt of attempts(order)) {
    const launched = await launchOnce(attempt, order, deps, onLeft);
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
          const left = await end(launched.instance.id, instances, order.endsAt, deps);
          if (left === undefined) deps.journal.forget(launched.entry);
          else onLeft(left);
        },
      };
    }
    full.push(`${sayAttempt(attempt)}: ${launched.noCapacity}`);
    deps.report.info(`No capacity for ${sayAttempt(attempt)}.`);
  }
  throw new RejectedError(`AWS has no room for a test machine: ${full.join('; ')}`, {
    next: 'Run the job again later, or name more than one: test-instance-types "t3.micro | t3a.micro", several subnets.',
  });
}

const sayAttempt = ({ instanceType, subnetId }: Attempt) => (subnetId === undefined ? instanceType : `${instanceType} in ${subnetId}`);

const attempts = ({ image, instanceTypes, subnets }: MachineOrder): readonly Attempt[] =>
  instanceTypes
    .flatMap(instanceType =>
      (subnets.length === 0 ? [undefined] : subnets).map(subnetId => ({ imageId: image.id, instanceType, subnetId })),
    )
    .map((attempt, ordinal) => ({ ...attempt, ordinal }));

type Launched = { readonly instance: Instance; readonly entry: JournalEntry } | { readonly noCapacity: string };

async function launchOnce(attempt: Attempt, order: MachineOrder, deps: TrialWorld, onLeft: (what: string) => void): Promise<Launched> {
  const { journal, report } = deps;
  const { instances } = deps.inRegion({ region: order.errand.region });
  const token = launchToken(order.errand, attempt);
  const entry: JournalEntry = { kind: 'instance', region: order.errand.region, token };
  // Before the call: if we are killed in it, post: finds by the token what it made.
  journal.remember(entry);
  try {
    const launched = await instances.launch({
      ...{ imageId: attempt.imageId, instanceType: attempt.instanceType, subnetId: attempt.subnetId, token },
      securityGroupIds: order.securityGroupIds,
      instanceProfile: order.instanceProfile,
      userData: withDeadMan(order.userData, order.endsAt),
      devices: order.image.devices ?? [],
      tags: trialTags(order.errand, { family: order.family, imageId: order.image.id, endsAt: order.endsAt, own: order.tags }, order.scheme),
    });
    if (!('noCapacity' in launched)) {
      report.info(`${launched.id} (${sayAttempt(attempt)}) launched. It would end itself at ${formatMoment(order.endsAt)}.`);
      return { instance: launched, entry };
    }
    journal.forget(entry);
    return launched;
  } catch (failure) {
    // An error may hide an answer that got lost on the way.
    const lost = await instances.withToken(token).catch(() => undefined);
    const left = lost === undefined ? undefined : await end(lost.id, instances, order.endsAt, deps);
    if (left === undefined) journal.forget(entry);
    else onLeft(left);
    throw failure;
  }
}

const ENDED: ReadonlySet<string> = new Set(['shutting-down', 'terminated']);
const LOOKS = 30;

/** Undefined when EC2 has confirmed that it ends; else what is left, as a line for people. */
async function end(
  id: string,
  instances: RegionClients['instances'],
  endsAt: Date,
  { clock, report }: TrialWorld,
): Promise<string | undefined> {
  let last = 'EC2 has not confirmed it';
  for (let look = 0; look < LOOKS; look += 1) {
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
export async function sweepStrays(errand: Errand, scheme: TagScheme, deps: TrialWorld): Promise<readonly string[]> {
  const { instances } = deps.inRegion({ region: errand.region });
  try {
    const all = await instances.tagged({ [`${scheme.prefix}purpose`]: PURPOSE });
    const strays = all.flatMap(instance => {
      const reason = strayBecause(instance, errand, scheme, deps.clock.now());
      return reason === undefined ? [] : [{ id: instance.id, reason }];
    });
    for (const { id, reason } of strays) {
      await instances.terminate([id]);
      deps.report.warn(`Ended test machine ${id} of an earlier run: ${reason}.`);
    }
    return strays.map(({ id }) => id);
  } catch (failure) {
    if (!(failure instanceof ActionError) || failure instanceof CancelledError) throw failure;
    deps.report.warn(`Could not look for test machines of earlier runs: ${failure.message}`);
    return [];
  }
}
