import { ActionError, CancelledError, TimeoutError } from '../kit/errors.ts';
import { formatCount, formatDuration, formatMoment } from '../kit/format.ts';
import { type Poll, type Wait, waitFor } from '../kit/wait.ts';
import { agentOnline, type BootOptions, running } from './boot.ts';
import { controlLauncher, diagnose, type LaunchControl } from './diagnose.ts';
import type { ValidationDeps } from './launch.ts';
import type { Check, Delivered } from './rules/checks.ts';
import { type ChecksEvaluation, evaluateChecks } from './rules/checks-report.ts';
import { checksScript } from './rules/checks-script.ts';
import { AGENT_PHASE, type Phase, type TestRun } from './rules/conclude.ts';
import type { Symptoms } from './rules/diagnosis.ts';
import { evaluateInstance } from './rules/instance-states.ts';
import { launchTestInstance, newTestRunId, sweepLeftovers, type TestInstance } from './test-instance.ts';

/** One test run: launch, boot, agent, checks, termination. */

export interface TestRunOptions extends BootOptions {
  readonly checks: readonly Check[];
  readonly deliveries: readonly (readonly Delivered[])[];
  /** Marks our lines in the output; secret to the checks. */
  readonly nonce: string;
  readonly checksSeconds: number;
  /** From launch to agent; a longer boot fails. */
  readonly maxBootSeconds: number | undefined;
  /** Run the checks, reboot, run them again. */
  readonly reboot: boolean;
  /** How long a failed test instance is kept. 0: not at all. */
  readonly keepSeconds: number;
  readonly launchControl: LaunchControl;
}

/** Filled along the way, so that it is known however the run ends. */
interface Notes {
  readonly timeline: Phase[];
  readonly leftovers: string[];
  leaked: boolean;
  kept: boolean;
  instance: TestInstance | undefined;
}

type Conclusion = Pick<TestRun, 'result' | 'reason' | 'checks' | 'complete' | 'console' | 'failure'>;

const NOTHING = { checks: [], complete: true, console: undefined, failure: undefined } as const;

type Common = Omit<TestRunOptions, 'instanceTypes' | 'testRunId' | 'launchControl'>;

/** Tests on all instances of the matrix in parallel; a failure of one does not stop the others. */
export async function testOnAll(
  legs: readonly (readonly string[])[],
  common: Common,
  region: string,
  deps: ValidationDeps,
): Promise<readonly TestRun[]> {
  const testRunId = newTestRunId(deps.run, region);
  await deps.report.step('Terminate test instances of earlier runs', () => sweepLeftovers(testRunId, common.scheme, deps));
  const launchControl = controlLauncher(deps);
  const all = legs.map((instanceTypes, leg) => ({
    ...{ ...common, launchControl, instanceTypes },
    testRunId: { ...testRunId, leg: `${testRunId.leg}/${leg}` },
  }));
  const testRuns = await deps.report.step(`Test ${common.image.id}`, () => Promise.all(all.map(options => testOn(options, deps))));
  const bug = testRuns.find(({ failure }) => failure !== undefined && !(failure instanceof ActionError));
  if (bug !== undefined) throw bug.failure;
  return testRuns;
}

/** Never rejects: the other test runs go on. */
async function testOn(options: TestRunOptions, deps: ValidationDeps): Promise<TestRun> {
  const notes: Notes = { timeline: [], leftovers: [], leaked: false, kept: false, instance: undefined };
  const conclusion = await launchAndTest(options, deps, notes).catch(toInconclusive);
  const { timeline, leftovers, leaked, kept, instance } = notes;
  return {
    ...conclusion,
    instanceType: instance?.instanceType ?? options.instanceTypes.join(' | '),
    instanceId: instance?.id,
    timeline,
    leftovers,
    leaked,
    kept,
  };
}

const toInconclusive = (failure: unknown): Conclusion => {
  const reason = failure instanceof Error ? failure.message : String(failure);
  return { ...NOTHING, result: 'inconclusive', reason, failure };
};

async function launchAndTest(options: TestRunOptions, deps: ValidationDeps, notes: Notes): Promise<Conclusion> {
  const phase = measured(notes, deps);
  const leak = (what: string) => {
    notes.leftovers.push(what);
    notes.leaked = true;
  };
  await using instance = await phase('launch', () => launchTestInstance(options, deps, leak));
  notes.instance = instance;
  const conclusion = await bootAndCheck(instance, options, deps, notes).catch(async (failure: unknown): Promise<Conclusion> => {
    if (!(failure instanceof ActionError) || failure instanceof CancelledError) throw failure;
    const during = SILENCE_BY_PHASE[notes.timeline.at(-1)?.name ?? ''];
    return { ...NOTHING, ...(await diagnose(failure, during, instance, options, deps, leak)) };
  });
  if (conclusion.result !== 'passed' && options.keepSeconds > 0 && !(conclusion.failure instanceof CancelledError)) {
    instance.keep();
    // A session needs the agent that commands need.
    const hasAgent = notes.timeline.some(({ name }) => name === CHECKS);
    const { region } = options.testRunId;
    const command = hasAgent
      ? `aws ssm start-session --region ${region} --target ${instance.id}`
      : `aws ec2 get-console-output --latest --output text --region ${region} --instance-id ${instance.id}`;
    notes.leftovers.push(
      `test instance ${instance.id} is kept for debugging and terminates itself at ${formatMoment(options.endsAt)}: ${command}`,
    );
    notes.kept = true;
  }
  return conclusion;
}

const measured =
  (notes: Notes, { clock, report }: ValidationDeps) =>
  async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const startedAt = clock.now();
    try {
      return await report.step(`${notes.instance?.id ?? 'Test instance'}: ${name}`, work);
    } finally {
      notes.timeline.push({ name, seconds: (clock.now() - startedAt) / 1000 });
    }
  };

const BOOT = 'running';
const AGENT = AGENT_PHASE;
const CHECKS = 'checks';
const REBOOT = 'reboot and checks';

const SILENCE_BY_PHASE: Readonly<Record<string, Symptoms['silent']>> = {
  [AGENT]: 'at boot',
  [CHECKS]: 'during the checks',
  [REBOOT]: 'after the reboot',
};

async function bootAndCheck(instance: TestInstance, options: TestRunOptions, deps: ValidationDeps, notes: Notes): Promise<Conclusion> {
  const phase = measured(notes, deps);
  await phase(BOOT, () => waitFor(running(instance, options, deps), deps));
  await phase(AGENT, () => waitFor(agentOnline(instance, options, deps), deps));
  const seconds = notes.timeline.reduce((sum, { seconds }) => sum + seconds, 0);
  if (options.maxBootSeconds !== undefined && seconds > options.maxBootSeconds) {
    const reason = `launch to agent took ${formatDuration(seconds)}, "max-boot-time" is ${formatDuration(options.maxBootSeconds)}`;
    return { ...NOTHING, result: 'failed', reason };
  }
  const first = await phase(CHECKS, () => waitFor(checksDone(instance, options, deps), deps));
  if (!options.reboot || first.result !== 'passed') return { ...NOTHING, ...first };
  const { instances } = deps.inRegion({ region: options.testRunId.region });
  await instances.reboot(instance.id);
  const second = await phase(REBOOT, () => waitFor(checksDone(instance, options, deps, first.boot ?? '-'), deps));
  return { ...NOTHING, ...second, reason: `after a reboot, ${second.reason}` };
}

/** For the delivery of the command and of its result, in addition to the time limit of the checks. */
const DELIVERY_SECONDS = 150;

/** All checks in one command; with `since`, in another boot than that one. */
function checksDone(instance: TestInstance, options: TestRunOptions, deps: ValidationDeps, since?: string): Wait<ChecksEvaluation> {
  const { instances, commands } = deps.inRegion({ region: options.testRunId.region });
  const script = checksScript({ ...options, withinSeconds: options.checksSeconds, since }).split('\n');
  const comment = `ami-action: ${formatCount(options.checks.length, 'check')} of ${options.image.id}`;
  // The script ends by itself in time; the agent's limit is for a script that does not.
  const timeoutSeconds = options.checksSeconds + 30;
  const send = () => commands.send({ instanceId: instance.id, script, timeoutSeconds, comment });
  let command: string | undefined;
  const poll = async (): Promise<Poll<ChecksEvaluation>> => {
    const seen =
      command === undefined ? undefined : evaluateChecks(await commands.result(command, instance.id), options.checks, options.nonce);
    if (seen?.state === 'done' && seen.value.lost) throw new TimeoutError(`Checks on ${instance.id}: ${seen.value.reason}.`);
    if (seen?.state === 'done' && !seen.value.tooEarly) return seen;
    const alive = evaluateInstance(await instances.get(instance.id));
    if (alive.state === 'failed') return alive;
    if (seen?.state === 'waiting') return seen;
    command = await send();
    return { state: 'waiting', note: command === undefined ? 'the agent accepts no command yet' : 'sent' };
  };
  const atMostSeconds = options.checksSeconds + DELIVERY_SECONDS + (since === undefined ? 0 : options.bootSeconds + options.agentSeconds);
  return { what: `Checks on ${instance.id}`, everySeconds: 3, atMostSeconds, poll };
}
