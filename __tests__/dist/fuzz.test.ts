import type { ChildProcess } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { afterAll, expect, test } from '@jest/globals';
import { fuzzProxy, KINDS } from '../../lab/fuzz/proxy.ts';
import type { Lab } from '../../lab/lab.ts';
import { type Order, type Ran, removeWorkspaces } from '../harness.ts';
import { familyOfFive, REAL } from './prune-lab.ts';
import { rollLab } from './roll-lab.ts';
import { STAGE, shareLab } from './share-lab.ts';

/**
 * Spoilt answers, by a seed: whatever a server or a proxy says, a run never ends as a bug of the action, never hangs, never deletes what is used and never
 * moves the pointer half. AMI_ACTION_FUZZ_SEEDS sets the seeds per pair of mode and kind; AMI_ACTION_FUZZ_LOG names a file for one line per run.
 */
const SEEDS = Number(process.env['AMI_ACTION_FUZZ_SEEDS'] ?? 1);
const FIRST = Number(process.env['AMI_ACTION_FUZZ_FIRST'] ?? 1);
const LIMIT_MS = 60_000;
const ALLOWED = ['done', 'unchanged', 'planned', 'usage', 'access', 'rejected', 'timeout', 'unknown'];

afterAll(removeWorkspaces);

interface Story {
  readonly lab: Lab;
  readonly run: (more: Partial<Order>) => Promise<Ran>;
  /** What the lab must look like afterwards, however the run ended. */
  readonly proves: () => void;
}

const MODES: Readonly<Record<string, () => Promise<Story>>> = {
  list: async () => {
    const l = await familyOfFive();
    return { lab: l.lab, run: more => l.act('list', {}, more), proves: () => expect(l.there()).toHaveLength(5) };
  },
  prune: async () => {
    const l = await familyOfFive();
    await l.group('batch', l.id('d20'));
    const kept = ['d40', 'd20', 'd10'];
    return { lab: l.lab, run: more => l.act('prune', REAL, more), proves: () => expect(l.there()).toEqual(expect.arrayContaining(kept)) };
  },
  delete: async () => {
    const l = await familyOfFive();
    const run = (more: Partial<Order>) => l.act('delete', { image: l.id('d40'), 'dry-run': 'false' }, more);
    return { lab: l.lab, run, proves: () => expect(l.there()).toHaveLength(5) };
  },
  share: async () => {
    const l = await shareLab();
    const [image, other] = [l.image('web-1'), l.image('web-2')];
    const run = (more: Partial<Order>) => l.act('share', { image, accounts: STAGE }, more);
    return {
      lab: l.lab,
      run,
      proves: () => expect([...l.labImage(other).launchers, ...l.labImage(image).launchers].filter(one => one !== STAGE)).toEqual([]),
    };
  },
  promote: async () => {
    const l = await rollLab({ speed: 1200 });
    const [first, second] = [l.image('web-a'), l.image('web-b')];
    await l.group('web', { LaunchTemplateId: await l.template('web', { ImageId: first }), Version: '1' });
    await l.pointerTo(first);
    const run = (more: Partial<Order>) => l.act('promote', { image: second, groups: 'web', bake: '1m', 'roll-timeout': '30m' }, more);
    const proves = () => {
      expect([first, second]).toContain(l.pointer());
      if (l.pointer() === second) expect(new Set(l.runs('web'))).toEqual(new Set([second]));
    };
    return { lab: l.lab, run, proves };
  },
};

const pairs = Object.keys(MODES).flatMap(mode => KINDS.map(kind => [mode, kind] as const));

async function fuzz(mode: string, kind: string, seed: number): Promise<{ ran: Ran; hung: boolean; spoilt: readonly string[] }> {
  const story = await (MODES[mode] as () => Promise<Story>)();
  // Every second seed spoils rarely, so that a run gets further before it is struck.
  const proxy = await fuzzProxy(story.lab.url, { seed, kind, chance: seed % 2 === 1 ? 0.15 : 0.04 });
  let child: ChildProcess | undefined;
  let hung = false;
  const timer = setTimeout(() => {
    hung = true;
    child?.kill('SIGKILL');
  }, LIMIT_MS);
  try {
    const ran = await story.run({
      env: { AWS_ENDPOINT_URL: proxy.url },
      onStart: started => {
        child = started;
      },
    });
    story.proves();
    return { ran, hung, spoilt: [...proxy.spoilt] };
  } finally {
    clearTimeout(timer);
    await proxy.close();
    await story.lab.close();
  }
}

test.each(pairs)(
  '%s survives answers that are spoilt: %s',
  async (mode, kind) => {
    for (let seed = FIRST; seed < FIRST + SEEDS; seed += 1) {
      const { ran, hung, spoilt } = await fuzz(mode, kind, seed);
      const outcome = ran.outputs['outcome'] ?? 'none';
      const log = process.env['AMI_ACTION_FUZZ_LOG'];
      if (log !== undefined) appendFileSync(log, `${JSON.stringify({ mode, kind, seed, outcome, hung, spoilt, errors: ran.errors })}\n`);
      expect({ seed, hung, spoilt, errors: ran.errors, outcome }).toEqual({
        seed,
        hung: false,
        spoilt,
        errors: ran.errors,
        outcome: expect.stringMatching(new RegExp(`^(${ALLOWED.join('|')})$`)),
      });
    }
  },
  LIMIT_MS * 2 * SEEDS,
);
