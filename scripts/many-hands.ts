import { play } from '../__tests__/many-hands/play.ts';
import { formatStory, type Story, storyOf } from '../__tests__/many-hands/story.ts';
import { during, install, restart } from '../__tests__/many-hands/virtual-time.ts';

/**
 * Many hands on one environment, in bad weather: seeded stories, each judged by an oracle. `npm run many-hands -- --runs 2000 --seed 1`
 * A violation prints the command that plays its seed alone: `--seed 17 --log` shows actors, calls and invariants, `--shrink` leaves out the hands that are
 * not needed for the violation.
 */

const option = (name: string): string | undefined => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? undefined : (process.argv[at + 1] ?? '');
};
const first = Number(option('seed') ?? 1);
const runs = Number(option('runs') ?? 1);
const isSingle = option('log') !== undefined || option('shrink') !== undefined;
const without = new Set(
  (option('without') ?? '')
    .split(',')
    .filter(text => text !== '')
    .map(Number),
);

install();
const played = (story: Story) => {
  restart(story.seed);
  return during(() => play(story));
};
// Loads what the product and the SDK load late.
await played(storyOf(first));

if (option('shrink') !== undefined) await shrink();
else await all();

async function all(): Promise<void> {
  const [tally, began] = [new Map<string, number>(), process.cpuUsage()];
  const bad: number[] = [];
  const sums = { calls: 0, excused: 0, oldestLook: 0 };
  let last = first + runs - 1;
  // Ends with the figures so far.
  process.once('SIGTERM', () => {
    last = 0;
  });
  let seed = first;
  const add = (what: string) => tally.set(what, (tally.get(what) ?? 0) + 1);
  for (; seed <= last; seed += 1) {
    const story = storyOf(seed);
    const { violations, endings, acted, log, calls, excused, oldestLook } = await played({
      ...story,
      hands: story.hands.filter((_, i) => !without.has(i)),
    });
    for (const ending of endings) add(`run: ${ending}`);
    for (const hand of acted) add(`hand: ${hand}`);
    Object.assign(sums, { calls: sums.calls + calls, excused: sums.excused + excused, oldestLook: Math.max(sums.oldestLook, oldestLook) });
    if (violations.length > 0) bad.push(seed);
    if (isSingle) console.log(log.join('\n'));
    else if (violations.length > 0) console.log(`seed ${seed}\n  ${violations.join('\n  ')}\n  npm run many-hands -- --seed ${seed} --log`);
  }
  const count = seed - first;
  const { user, system } = process.cpuUsage(began);
  for (const [what, times] of [...tally].sort(([a], [b]) => (a < b ? -1 : 1))) console.log(`${String(times).padStart(7)}  ${what}`);
  console.log(
    `${sums.calls} calls, ${sums.excused} differences that others made after the last look of a run, which was at most ${sums.oldestLook.toFixed(0)} s old`,
  );
  console.log(
    `seeds ${first} to ${seed - 1}: ${count - bad.length} kept all promises, ${bad.length} did not${bad.length === 0 ? '' : ` (${bad.join(', ')})`}; ${((user + system) / 1e6).toFixed(0)} CPU seconds`,
  );
  process.exit(bad.length === 0 ? 0 : 1);
}

/** Leaves out one hand or run after the other while the seed still breaks a promise. */
async function shrink(): Promise<void> {
  let story = storyOf(first);
  const breaks = async (candidate: Story) => (await played(candidate)).violations.length > 0;
  if (!(await breaks(story))) throw new Error(`seed ${first} keeps all promises`);
  for (let at = story.hands.length - 1; at >= 0; at -= 1) {
    const smaller = { ...story, hands: story.hands.filter((_, i) => i !== at) };
    if (await breaks(smaller)) story = smaller;
  }
  console.log(formatStory(story).join('\n'));
  console.log((await played(story)).log.join('\n'));
  process.exit(1);
}
