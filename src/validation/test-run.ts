import { ActionError, CancelledError, TimeoutError } from '../kit/errors.ts';
import { formatDuration, formatMoment } from '../kit/format.ts';
import { type Poll, type Wait, waitFor } from '../kit/wait.ts';
import { controlLauncher, type LaunchControl } from './control-instance.ts';
import { diagnose } from './explain-silence.ts';
import type { Symptoms } from './rules/blame.ts';
import type { Check, Delivered } from './rules/checks.ts';
import { type Judgement, judgeChecks } from './rules/checks-report.ts';
import { checksScript } from './rules/checks-script.ts';
import type { Phase, TestRun } from './rules/conclude.ts';
import { evaluateInstance } from './rules/instance-states.ts';
import { launchTestInstance, newTestRunId, sweepLeftovers, type TestInstance, type ValidationDeps } from './test-instance.ts';
import { agentOnline, type BootOptions, running } from './wait-for-boot.ts';

/** One machine's story: launch, boot, agent, checks, end. */

export interface TestRunOptions extends BootOptions {
  readonly checks: readonly Check[];
  readonly deliveries: readonly (readonly Delivered[])[];
  /** Marks our lines in the output; secret to the checks. */
  readonly nonce: string;
  readonly checksSeconds: number;
  /** From launch to agent; longer is a failure of the image. */
  readonly maxBootSeconds: number | undefined;
  /** Check, reboot, check again. */
  readonly reboot: boolean;
  /** A machine on which something failed stays for so long. 0: none does. */
  readonly keepSeconds: number;
  readonly launchControl: LaunchControl;
}

/** Filled while the story goes on, so that it is known however it ends. */
interface Notes {
  readonly timeline: Phase[];
  readonly leftovers: string[];
  leaked: boolean;
  instance: TestInstance | undefined;
}

type Conclusion = Pick<TestRun, 'result' | 'reason' | 'checks' | 'complete' | 'console' | 'failure'>;

const NOTHING = { checks: [], complete: true, console: undefined, failure: undefined } as const;

type Common = Omit<TestRunOptions, 'instanceTypes' | 'testRunId' | 'launchControl'>;

/** On every machine of the matrix at once, and each to its end: one that fails does not leave the others without theirs. */
export async function testOnAll(
  legs: readonly (readonly string[])[],
  common: Common,
  region: string,
  deps: ValidationDeps,
): Promise<readonly TestRun[]> {
  const testRunId = newTestRunId(deps.run, region);
  await deps.report.step('Sweep test machines of earlier runs', () => sweepLeftovers(testRunId, common.scheme, deps));
  const all = { ...common, launchControl: controlLauncher(deps) };
  const orders = legs.map((instanceTypes, leg) => ({ ...all, instanceTypes, testRunId: { ...testRunId, leg: `${testRunId.leg}/${leg}` } }));
  const testRuns = await deps.report.step(`Try ${common.image.id}`, () => Promise.all(orders.map(order => testOn(order, deps))));
  const bug = testRuns.find(({ failure }) => failure !== undefined && !(failure instanceof ActionError));
  if (bug !== undefined) throw bug.failure;
  return testRuns;
}

/** Never rejects: the other machines of a matrix have a story too. */
async function testOn(order: TestRunOptions, deps: ValidationDeps): Promise<TestRun> {
  const notes: Notes = { timeline: [], leftovers: [], leaked: false, instance: undefined };
  const ending = await launchAndTest(order, deps, notes).catch(toInconclusive);
  const { timeline, leftovers, leaked, instance } = notes;
  return {
    ...ending,
    instanceType: instance?.instanceType ?? order.instanceTypes.join(' | '),
    instanceId: instance?.id,
    timeline,
    leftovers,
    leaked,
  };
}

const toInconclusive = (failure: unknown): Conclusion => {
  const reason = failure instanceof Error ? failure.message : String(failure);
  return { ...NOTHING, result: 'inconclusive', reason, failure };
};

async function launchAndTest(order: TestRunOptions, deps: ValidationDeps, notes: Notes): Promise<Conclusion> {
  const phase = measured(notes, deps);
  const leak = (what: string) => {
    notes.leftovers.push(what);
    notes.leaked = true;
  };
  await using instance = await phase('launch', () => launchTestInstance(order, deps, leak));
  notes.instance = instance;
  const ending = await bootAndCheck(instance, order, deps, notes).catch(async (failure: unknown): Promise<Conclusion> => {
    if (!(failure instanceof ActionError) || failure instanceof CancelledError) throw failure;
    const during = SILENCE_BY_PHASE[notes.timeline.at(-1)?.name ?? ''];
    return { ...NOTHING, ...(await diagnose(failure, during, instance, order, deps, leak)) };
  });
  if (ending.result !== 'passed' && order.keepSeconds > 0 && !(ending.failure instanceof CancelledError)) {
    instance.keep();
    notes.leftovers.push(
      `instance ${instance.id} was kept for a look and ends itself at ${formatMoment(order.endsAt)}: aws ssm start-session --target ${instance.id} --region ${order.testRunId.region}`,
    );
  }
  return ending;
}

const measured =
  (notes: Notes, { clock, report }: ValidationDeps) =>
  async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const startedAt = clock.now();
    try {
      return await report.step(`${notes.instance?.id ?? 'Test machine'}: ${name}`, work);
    } finally {
      notes.timeline.push({ name, seconds: (clock.now() - startedAt) / 1000 });
    }
  };

const BOOT = 'running';
const AGENT = 'agent online';
const CHECKS = 'checks';
const REBOOT = 'reboot and checks';

/** By the phase that it did not get through. */
const SILENCE_BY_PHASE: Readonly<Record<string, Symptoms['silent']>> = {
  [AGENT]: 'at boot',
  [CHECKS]: 'during the checks',
  [REBOOT]: 'after the reboot',
};

async function bootAndCheck(instance: TestInstance, order: TestRunOptions, deps: ValidationDeps, notes: Notes): Promise<Conclusion> {
  const phase = measured(notes, deps);
  await phase(BOOT, () => waitFor(running(instance, order, deps), deps));
  await phase(AGENT, () => waitFor(agentOnline(instance, order, deps), deps));
  const seconds = notes.timeline.reduce((sum, { seconds }) => sum + seconds, 0);
  if (order.maxBootSeconds !== undefined && seconds > order.maxBootSeconds) {
    const reason = `it took ${formatDuration(seconds)} from launch to agent, and "max-boot-time" is ${formatDuration(order.maxBootSeconds)}`;
    return { ...NOTHING, result: 'failed', reason };
  }
  const first = await phase(CHECKS, () => waitFor(checksDone(instance, order, deps), deps));
  if (!order.reboot || first.result !== 'passed') return { ...NOTHING, ...first };
  const { instances } = deps.inRegion({ region: order.testRunId.region });
  await instances.reboot(instance.id);
  const second = await phase(REBOOT, () => waitFor(checksDone(instance, order, deps, first.boot ?? '-'), deps));
  return { ...NOTHING, ...second, reason: `after a reboot, ${second.reason}` };
}

/** For the agent to take the command and to tell its end, beyond what the checks may take. */
const DELIVERY_SECONDS = 150;

/** All checks in one command; with `since`, in another boot than that one. */
function checksDone(instance: TestInstance, order: TestRunOptions, deps: ValidationDeps, since?: string): Wait<Judgement> {
  const { instances, commands } = deps.inRegion({ region: order.testRunId.region });
  const script = checksScript({ ...order, withinSeconds: order.checksSeconds, since }).split('\n');
  const comment = `ami-action: ${order.checks.length} checks of ${order.image.id}`;
  // The script ends by itself in time; the agent's limit is for a script that does not.
  const timeoutSeconds = order.checksSeconds + 30;
  const send = () => commands.send({ instanceId: instance.id, script, timeoutSeconds, comment });
  let command: string | undefined;
  const poll = async (): Promise<Poll<Judgement>> => {
    const seen = command === undefined ? undefined : judgeChecks(await commands.result(command, instance.id), order.checks, order.nonce);
    if (seen?.state === 'done' && seen.value.lost) throw new TimeoutError(`Checks on ${instance.id}: ${seen.value.reason}.`);
    if (seen?.state === 'done' && !seen.value.tooEarly) return seen;
    const alive = evaluateInstance(await instances.get(instance.id));
    if (alive.state === 'failed') return alive;
    if (seen?.state === 'waiting') return seen;
    command = await send();
    return { state: 'waiting', note: command === undefined ? 'the agent takes no command yet' : 'sent' };
  };
  const atMostSeconds = order.checksSeconds + DELIVERY_SECONDS + (since === undefined ? 0 : order.bootSeconds + order.agentSeconds);
  return { what: `Checks on ${instance.id}`, everySeconds: 3, atMostSeconds, poll };
}
