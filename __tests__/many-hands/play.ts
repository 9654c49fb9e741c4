import { activeRefresh } from '../../lab/autoscaling/refresh.ts';
import type { CallRecord } from '../../lab/calls.ts';
import { insistOnPermissions } from '../../lab/permissions.ts';
import { latest, parameters } from '../../lab/ssm/parameter-state.ts';
import { POINTER } from '../dist/roll-lab.ts';
import { type Oracle, oracleOf, type RunFacts, runOf } from './oracle.ts';
import { type Ended, runProduct } from './product.ts';
import { type Stage, stageOf } from './stage.ts';
import { formatStory, type Hand, type Letter, type OutsideHand, type Story, type When } from './story.ts';
import { onQuiet } from './virtual-time.ts';

/** Plays one story in bad weather: all hands at once, then one undisturbed run. */

export interface Played {
  readonly violations: readonly string[];
  readonly excused: number;
  readonly oldestLook: number;
  /** `promote done`, `rollback rejected`, `promote killed`, `again done` ... */
  readonly endings: readonly string[];
  /** Hands that did what they were to do; the others came too late, or AWS refused them. */
  readonly acted: readonly string[];
  readonly calls: number;
  readonly log: readonly string[];
}

interface Actor extends RunFacts {
  readonly event: string;
  readonly at: number;
  readonly abort: AbortController;
  dead: boolean;
  die(): void;
  readonly death: Promise<undefined>;
}

interface Scene {
  readonly story: Story;
  readonly stage: Stage;
  readonly oracle: Oracle;
  readonly actors: readonly Actor[];
  readonly log: (line: string) => void;
  readonly endings: string[];
  readonly acted: string[];
  /** What hands have begun. */
  readonly acting: Promise<unknown>[];
}

export async function play(story: Story): Promise<Played> {
  process.env['AMI_ACTION_LAB_WEATHER'] = String(story.seed);
  const stage = await stageOf(story);
  const { lab } = stage.l;
  Object.assign(process.env, lab.environment());
  const begun = lab.clock.now();
  const lines: string[] = [...formatStory(story), ...Object.entries(stage.images).map(([letter, id]) => `image ${letter}: ${id}`)];
  const log = (line: string) => void lines.push(`${((lab.clock.now() - begun) / 1000).toFixed(1).padStart(8)} s  ${line}`);
  const actors = story.runs.map((_, i) => actorOf(story, stage, i));
  const facts = new Map<string, RunFacts>(actors.map(actor => [actor.id, actor]));
  const oracle = oracleOf(story, stage, facts);
  const scene: Scene = { story, stage, oracle, actors, log, endings: [], acted: [], acting: [] };
  const stops = [lab.calls.onCall(call => seen(call, scene)), onQuiet(oracle.look), ...actors.map(actor => freezeTheDead(actor, scene))];
  try {
    const hands = story.hands.map((hand, i) => arm(hand, `hand ${i}`, scene));
    await Promise.all(actors.map(actor => perform(actor, scene)));
    // Hands that wait for a time come within five minutes.
    await settle(scene, begun + 305_000);
    for (const disarm of hands) disarm();
    await Promise.all(scene.acting);
    // AWS checks a written image ID before the parameter has the new version.
    await lab.clock.sleep(60);
    await undisturbed(scene, facts);
    oracle.neighboursAreUntouched();
    insistOnPermissions(lab.calls.all().filter(({ service }) => service !== 'sts'));
  } catch (cause) {
    oracle.violations.push(`the play itself failed: ${cause instanceof Error ? cause.stack : cause}`);
  } finally {
    for (const stop of stops) stop();
    await lab.close();
  }
  for (const line of oracle.violations) log(`VIOLATION ${line}`);
  const { violations, excused, oldestLook } = oracle;
  return { violations, excused, oldestLook, endings: scene.endings, acted: scene.acted, calls: lab.calls.mark(), log: lines };
}

function actorOf({ runs, settings }: Story, { images }: Stage, i: number): Actor {
  const { mode, image, event, at, settings: own } = runs[i] as Story['runs'][number];
  const named = image === undefined ? {} : { image: images[image] };
  return newActor({ id: String(100 + i), mode, settings: { ...settings, ...own, ...named } }, event, at);
}

function newActor(run: RunFacts, event: string, at: number): Actor {
  const { promise: death, resolve } = Promise.withResolvers<undefined>();
  const actor: Actor = {
    ...run,
    ...{ event, at, abort: new AbortController(), dead: false, death },
    die: () => {
      actor.dead = true;
      resolve(undefined);
    },
  };
  return actor;
}

/** A new one each time, so that none keeps a story in memory. */
const never = () => new Promise<never>(() => undefined);
const isOf = (actor: Actor) => (call: CallRecord) => runOf(call) === actor.id;

/** A killed process sends nothing more. */
const freezeTheDead = (actor: Actor, { stage }: Scene): (() => void) =>
  stage.l.lab.faults.add({ when: call => actor.dead && isOf(actor)(call), action: { run: never, at: 'before' } });

function seen(call: CallRecord, { oracle, log }: Scene): void {
  const run = runOf(call);
  if (call.outcome === 'ok' || call.outcome === 'lost') oracle.note(call);
  if (run !== undefined) log(`run ${run} ${formatCall(call)}`);
}

const SHOWN = [
  'AutoScalingGroupName',
  'AutoScalingGroupNames',
  'Name',
  'Value',
  'Versions',
  'InstanceRefreshIds',
  'DesiredCapacity',
  'LaunchTemplate',
  'ForceDelete',
];
const formatCall = ({ number, service, operation, input, outcome }: CallRecord): string => {
  const shown = SHOWN.flatMap(key => (input[key] === undefined ? [] : [JSON.stringify(input[key])]));
  return `#${number} ${service}:${operation} ${shown.join(' ')} ${outcome}`;
};

/** Longer than any timeout of a run. */
const HUNG_SECONDS = 6 * 3600;

async function perform(actor: Actor, scene: Scene): Promise<void> {
  const { stage, oracle, log, endings } = scene;
  const { lab } = stage.l;
  await lab.clock.sleep(actor.at);
  log(`run ${actor.id} begins: ${actor.mode}`);
  const product = runProduct(actor, lab, actor.abort.signal, line => actor.dead || log(`run ${actor.id}   ${line}`));
  const hung = lab.clock.after(HUNG_SECONDS, () => {
    oracle.violations.push(`run ${actor.id} hangs`);
    actor.die();
  });
  const ended = await Promise.race([product, actor.death]);
  hung();
  endings.push(`${actor.id === AGAIN ? 'again ' : ''}${actor.mode} ${ended?.outputs['outcome'] ?? 'killed'}`);
  log(`run ${actor.id} ${formatEnd(ended)}`);
  if (ended !== undefined) oracle.ended(actor, ended.outputs);
}

const formatEnd = (ended: Ended | undefined): string =>
  ended === undefined ? 'is dead' : `ended: ${ended.outputs['outcome']} ${ended.outputs['ami-id'] ?? ''} ${ended.failure ?? ''}`;

// The runner sends SIGINT, and kills ten seconds later.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-cancellation
const KILLED_AFTER_SECONDS = 10;

function arm(hand: Hand, name: string, scene: Scene): () => void {
  const { stage, actors, log, acted, acting } = scene;
  const { lab } = stage.l;
  const target = hand.kind === 'kill' || hand.kind === 'cancel' ? actors[hand.run] : undefined;
  const work = async (call?: CallRecord) => {
    log(`${name}: ${hand.kind} ${'group' in hand ? hand.group : ''}${target?.id ?? ''}`);
    if (hand.kind === 'kill') {
      if (call !== undefined && 'side' in hand.when && hand.when.side === 'after') scene.oracle.note(call);
      target?.die();
      acted.push(hand.kind);
      await never();
    } else if (hand.kind === 'cancel') {
      target?.abort.abort();
      lab.clock.after(KILLED_AFTER_SECONDS, () => target?.die());
      acted.push(hand.kind);
    } else {
      const act = stage.act(hand as OutsideHand).then(
        () => acted.push(hand.kind),
        (cause: Error) => log(`${name}: refused, ${cause.message}`),
      );
      acting.push(act);
      await act;
    }
  };
  return atMoment(hand.when, work, scene);
}

function atMoment(when: When, work: (call?: CallRecord) => Promise<void>, { stage, actors }: Scene): () => void {
  const { lab } = stage.l;
  if ('at' in when) return lab.clock.after(when.at, () => void work());
  const actor = actors[when.run] as Actor;
  return lab.faults.add({ when: isOf(actor), nth: when.call, action: { run: work, at: when.side } });
}

const SETTLED_SECONDS = 2 * 3600;
const LAUNCHED_SECONDS = 1800;

/** Waits until AWS has finished what was begun, and at least until a time. */
async function settle({ stage, story, oracle }: Scene, earliest = 0): Promise<void> {
  const { lab } = stage.l;
  const pairs = story.groups.flatMap(({ name }) => [name, `${name}-green`]);
  for (let waited = 0; waited < SETTLED_SECONDS; waited += 5) {
    const all = pairs.flatMap(name => stage.groupNow(name) ?? []);
    const moving = all.some(group => {
      const states = [...group.members.values()].map(({ state }) => state);
      // After failed launches AWS waits before the next one.
      const lacksSome = waited < LAUNCHED_SECONDS && states.length < group.desired;
      return group.deleting || lacksSome || activeRefresh(group) !== undefined || states.some(state => state !== 'InService');
    });
    if (!moving && lab.clock.now() >= earliest) return;
    await lab.clock.sleep(5);
  }
  oracle.violations.push('the groups never settle');
}

const AGAIN = '900';

/** One run that no hand disturbs: of the image that an unfinished run left as the candidate, else of the last one that is well. */
async function undisturbed(scene: Scene, facts: Map<string, RunFacts>): Promise<void> {
  const { story, stage, oracle, endings } = scene;
  const twinOf = (name: string) => (story.foreignTwin ? undefined : stage.groupNow(`${name}-green`));
  const left = story.groups.filter(({ name }) => stage.groupNow(name) !== undefined || twinOf(name) !== undefined);
  if (left.length === 0) return;
  const candidate = parameters(stage.l.place).get(`${POINTER}/candidate`);
  const letter = letterOf(candidate && latest(candidate).value, story, stage);
  const imageId = stage.images[letter];
  const settings = {
    ...{ ...story.settings, groups: left.map(({ name }) => name).join(', '), image: imageId },
    ...{ 'lift-veto': 'true', release: 'true', 'foreign-refresh': 'supersede', undo: 'all' },
  };
  const again = newActor({ id: AGAIN, mode: 'promote', settings }, 'push', 0);
  facts.set(AGAIN, again);
  // A person deleted the group that served while the other one was emptied: its sizes are not known any more, and the run says so.
  const isStranded = left.some(({ name }) => stage.groupNow(name) === undefined && twinOf(name)?.max === 0);
  await perform(again, scene);
  await settle(scene);
  const ending = endings.at(-1);
  if (isStranded && ending === 'again promote rejected') return;
  if (story.foreignTwin && story.strategy === 'blue-green' && ending === 'again promote rejected') return;
  if (ending !== 'again promote done' && ending !== 'again promote unchanged')
    oracle.violations.push(`invariant 5: the undisturbed run ended as ${ending}`);
  else oracle.converged(imageId);
}

function letterOf(imageId: string | undefined, { sick, runs }: Story, { images }: Stage): Letter {
  const isWell = (letter: Letter | undefined): letter is Letter => letter !== undefined && letter !== sick;
  const letters = ['a', 'b', 'c'] as const;
  const begun = letters.find(letter => images[letter] === imageId);
  return isWell(begun) ? begun : (runs.map(({ image }) => image).findLast(isWell) ?? 'a');
}
