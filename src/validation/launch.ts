import { ActionError, CancelledError, isDenied, RejectedError, TimeoutError, UnreachableError, UsageError } from '../kit/errors.ts';
import { formatMoment } from '../kit/format.ts';
import { waitFor } from '../kit/wait.ts';
import type { Image, TagScheme, Tags } from '../model/image.ts';
import type { Deps, JournalEntry, RegionClients } from '../ports/deps.ts';
import type { Instance, InstanceSpec, LaunchRefusal } from '../ports/instances.ts';
import { launchError, mayDifferElsewhere } from './rules/launch-errors.ts';
import { type Attempt, launchToken, type TestRunId, testInstanceTags, withSelfTermination } from './rules/test-run.ts';

/** The launch and the termination of one instance, recorded in the journal. */

export type ValidationDeps = Deps<'account' | 'images' | 'instances' | 'commands', 'journal'>;

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

type InstanceEntry = JournalEntry & { readonly kind: 'instance' };

export interface Launched {
  readonly instance: Instance;
  readonly attempt: Attempt;
  readonly entry: InstanceEntry;
}

/** Tries all types and subnets. `onLeftover` gets a line about an instance that could not be terminated. */
export async function launch(options: LaunchOptions, deps: ValidationDeps, onLeftover: (what: string) => void): Promise<Launched> {
  const { region } = options.testRunId;
  const tried: { attempt: string; refusal: LaunchRefusal }[] = [];
  for (const attempt of attempts(options)) {
    const launched = await launchOnce(attempt, options, deps, onLeftover);
    if ('entry' in launched) return launched;
    tried.push({ attempt: formatAttempt(attempt), refusal: launched });
    if (!mayDifferElsewhere(launched)) break;
    deps.report.info(`No ${launched.refused} for ${formatAttempt(attempt)}.`);
  }
  // The refusal counts more than a failure to read the account.
  const account = await deps
    .inRegion({ region })
    .account.id()
    .catch(() => 'unknown');
  throw launchError(tried, { region, account, instanceProfile: options.instanceProfile });
}

const formatAttempt = ({ instanceType, subnetId }: Attempt) => (subnetId === undefined ? instanceType : `${instanceType} in ${subnetId}`);

const attempts = ({ image, instanceTypes, subnets }: LaunchOptions): readonly Attempt[] =>
  instanceTypes
    .flatMap(instanceType =>
      (subnets.length === 0 ? [undefined] : subnets).map(subnetId => ({ imageId: image.id, instanceType, subnetId })),
    )
    .map((attempt, ordinal) => ({ ...attempt, ordinal }));

async function launchOnce(
  attempt: Attempt,
  options: LaunchOptions,
  deps: ValidationDeps,
  onLeftover: (what: string) => void,
): Promise<Launched | LaunchRefusal> {
  const { journal, report } = deps;
  const { region } = options.testRunId;
  const spec = specOf(attempt, options);
  const entry: InstanceEntry = { kind: 'instance', region, token: spec.token };
  // Before the call: if the process is killed in it, post: finds the instance by its token.
  journal.remember(entry);
  try {
    const launched = await launchWithNewProfile(spec, region, deps);
    if ('refused' in launched) {
      journal.forget(entry);
      return launched;
    }
    const known = { ...entry, id: launched.id };
    journal.remember(known);
    journal.forget(entry);
    report.info(
      `Launched test instance ${launched.id} (${formatAttempt(attempt)}). It terminates itself at ${formatMoment(options.endsAt)} at the latest.`,
    );
    return { instance: launched, attempt, entry: known };
  } catch (failure) {
    await endLost(entry, failure, options, deps, onLeftover);
    throw failure;
  }
}

const specOf = (attempt: Attempt, options: LaunchOptions): InstanceSpec => ({
  ...{ imageId: attempt.imageId, instanceType: attempt.instanceType, subnetId: attempt.subnetId },
  token: launchToken(options.testRunId, attempt),
  securityGroupIds: options.securityGroupIds,
  instanceProfile: options.instanceProfile,
  userData: withSelfTermination(options.userData, options.endsAt),
  devices: options.image.devices ?? [],
  tags: testInstanceTags(options.testRunId, { ...options, imageId: options.image.id }, options.scheme),
});

// EC2 accepts a new instance profile after some seconds. https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
const PROFILE_SECONDS = 30;

async function launchWithNewProfile(spec: InstanceSpec, region: string, { inRegion, clock, report }: ValidationDeps) {
  const { instances } = inRegion({ region });
  const deadline = clock.now() + PROFILE_SECONDS * 1000;
  for (;;) {
    const launched = await instances.launch(spec);
    if (!('refused' in launched) || launched.refused !== 'instance profile' || clock.now() >= deadline) return launched;
    report.info(`EC2 does not accept instance profile "${spec.instanceProfile}" yet. Retrying in 5 s.`);
    await clock.sleep(5_000);
  }
}

// DescribeInstances is eventually consistent. https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html
const VISIBLE_SECONDS = 30;

/** A look that fails is repeated, like one that finds nothing. */
const ifUnreadable = (failure: unknown): undefined => {
  if (!(failure instanceof UnreachableError) && !(failure instanceof TimeoutError)) throw failure;
};

/** The call may have succeeded although its answer was lost. What is not found stays in the journal, and post: looks again. */
async function endLost(
  entry: InstanceEntry,
  failure: unknown,
  { endsAt }: LaunchOptions,
  deps: ValidationDeps,
  onLeftover: (what: string) => void,
): Promise<void> {
  const { instances } = deps.inRegion(entry);
  const isRefusal = failure instanceof UsageError || failure instanceof RejectedError || isDenied(failure);
  const poll = async () => {
    const value = await instances.findByToken(entry.token).catch(ifUnreadable);
    return value === undefined && !isRefusal ? ({ state: 'waiting', note: 'not visible' } as const) : ({ state: 'done', value } as const);
  };
  const wait = { what: 'Test instance of the failed launch', everySeconds: 5, atMostSeconds: VISIBLE_SECONDS, poll };
  const lost = await waitFor(wait, deps).catch(() => undefined);
  const leftover = lost === undefined ? undefined : await terminate(lost.id, instances, endsAt, deps);
  if (leftover !== undefined) onLeftover(leftover);
  else if (lost !== undefined || isRefusal) deps.journal.forget(entry);
}

const ENDED: ReadonlySet<string> = new Set(['shutting-down', 'terminated']);
const TERMINATE_ATTEMPTS = 30;

/** Undefined when EC2 has confirmed the termination; else a line for people. */
export async function terminate(
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
