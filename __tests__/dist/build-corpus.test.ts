import { afterAll, expect, test } from '@jest/globals';
import { readPermissions, unlisted } from '../../lab/permissions.ts';
import type { Ran } from '../../lab/runner.ts';
import { runAction } from '../../lab/runner.ts';
import {
  build,
  describeWithPacker as describe,
  forOtherTemplates,
  isOurs,
  killRunner,
  labOfTests,
  leftovers,
  likeTheRunner,
  madeImages,
  packerHere,
  struckAt,
  tagsIn,
} from './build-lab.ts';
import { checkedOut, expected, outcomes, type Seen, SPECIMENS, type Specimen, tableOf } from './corpus.ts';

/**
 * Every template of the corpus through build, the same again, a change, a cancel and a kill. `npm run corpus` runs all; otherwise every template is
 * built, and some, chosen by a seed, go the whole way. AMI_ACTION_CORPUS selects templates by name: `all`, or a list.
 */

const WANTED = process.env['AMI_ACTION_CORPUS'] ?? '';
const SEED = Number(process.env['AMI_ACTION_CORPUS_SEED'] ?? Math.floor(Date.now() / 86_400_000));
const LONG_WALKS = 4;

const POINTS: readonly RegExp[] = [/Connected to SSH/, /Waiting for AMI to become ready|Creating snapshot of EBS Volume/];
const chosen = WANTED === '' || WANTED === 'all' ? SPECIMENS : SPECIMENS.filter(({ name }) => WANTED.split(',').includes(name));
/** The moments at which a template is struck: all of them, one, or none. */
const pointsFor = (index: number): readonly RegExp[] => {
  if (WANTED !== '') return POINTS;
  const isWhole = (index + SEED * LONG_WALKS) % SPECIMENS.length < LONG_WALKS;
  return isWhole ? POINTS.slice((index + SEED) % 2, ((index + SEED) % 2) + 1) : [];
};

// Calls are counted, and Packer does not survive all weather.
const lab = await labOfTests({ weather: 'good', timings: { boot: 1, statusChecks: 1, shutdown: 1, image: 1, copy: 1, forget: 360_000 } });
const lenient = forOtherTemplates(lab);
/** Three hours later, when leftovers have expired. */
const LATER = { AMI_ACTION_CLOCK_SINCE: String(lab.clock.since - 180_000) };

describe('the corpus', () => {
  const seen = new Map<string, Seen>();
  test.concurrent.each(chosen)(
    '$name',
    async specimen => {
      const found = await walkThrough(specimen, pointsFor(SPECIMENS.indexOf(specimen)));
      seen.set(specimen.name, found);
      const wanted = expected(specimen);
      expect(found).toEqual(Object.fromEntries(Object.keys(found).map(key => [key, wanted[key as keyof Seen]])));
    },
    3_600_000,
  );

  afterAll(() => {
    const rows = chosen.flatMap(specimen => {
      const found = seen.get(specimen.name);
      return found === undefined ? [] : [[specimen, found] as const];
    });
    console.log(`Seed ${SEED}\n${tableOf(rows)}`);
  });
});

interface Walk {
  readonly specimen: Specimen;
  run(more?: Parameters<typeof build>[1]): Promise<Ran>;
  post(ran: Ran): Promise<Ran>;
  /** The nth version of the file that changes. */
  change(): void;
  /** Accounts of the action and of the images. */
  readonly accounts: readonly string[];
}

async function walkThrough(specimen: Specimen, points: readonly RegExp[]): Promise<Seen> {
  const workspace = checkedOut(specimen.name);
  const account = String(300_000_000_000 + SPECIMENS.indexOf(specimen));
  const order = {
    as: { account },
    workspace: workspace.path,
    with: { family: specimen.name, rebuild: 'max-age:7d', var: '', ...specimen.with },
  };
  let changes = 0;
  const walk: Walk = {
    specimen,
    accounts: [...new Set([account, specimen.account ?? account])],
    run: ({ env, ...more } = {}) => build(lenient, { ...order, ...more, env: { RUNNER_TOOL_CACHE: workspace.tools, ...env } }),
    post: postOf => runAction({ mode: 'build', lab: lenient, postOf, as: { account }, with: { family: 'any' }, env: packerHere() }),
    change() {
      changes += 1;
      workspace.write(specimen.source, text => (specimen.edit ?? oneLineMore)(text, changes));
    },
  };
  try {
    const found = { ...(await builtOnce(walk)), ...(await pushedAgain(walk)) };
    if (points.length === 0) return found;
    return { ...found, ...(await changedOnce(walk)), ...(await cancelled(walk, points)), ...(await killed(walk, points)) };
  } finally {
    workspace.remove();
  }
}

const oneLineMore = (text: string, nth: number) => `${text}# change ${nth}\n`;

async function builtOnce({ specimen, run, accounts }: Walk): Promise<Pick<Seen, 'built' | 'needs'>> {
  const mark = lab.calls.mark();
  const ran = await run();
  isDone(ran);
  const where = /Packer runs in (\S+):/.exec(ran.log)?.[1];
  expect([specimen.name, where]).toEqual([specimen.name, specimen.runsIn]);
  const images = JSON.parse(ran.outputs['images'] ?? '[]') as { region: string }[];
  const calls = lab.calls.since(mark).filter(call => accounts.includes(call.account) && !isOurs(call));
  const needs = unlisted(calls, readPermissions()).map(line => line.replace('build ec2:', ''));
  return { needs: outcomes.needs(needs), built: outcomes.built(images.length, [...new Set(images.map(({ region }) => region))].sort()) };
}

async function pushedAgain({ run, accounts }: Walk): Promise<Pick<Seen, 'unchanged'>> {
  const mark = lab.calls.mark();
  const ran = await run();
  expect({ built: ran.outputs['built'], reason: ran.outputs['reason'], errors: ran.errors }).toMatchObject({ built: 'false', errors: [] });
  const calls = lab.calls.since(mark).filter(({ account }) => accounts.includes(account));
  expect(calls.filter(call => !isOurs(call))).toEqual([]);
  return { unchanged: outcomes.unchanged(calls.length) };
}

async function changedOnce({ run, change }: Walk): Promise<Pick<Seen, 'changed'>> {
  change();
  const ran = await run();
  isDone(ran);
  expect(ran.outputs['reason']).toMatch(/^changed since ami-\w+: files/);
  return { changed: outcomes.changed(imagesOf(ran)) };
}

async function cancelled(walk: Walk, points: readonly RegExp[]): Promise<Pick<Seen, 'cancelled'>> {
  for (const point of points) {
    walk.change();
    const ran = await walk.run(struckAt(point, likeTheRunner));
    expect([point, ran.outputs['outcome'], ran.outputs['error']]).toEqual([point, 'cancelled', undefined]);
    const post = await walk.post(ran);
    expect(post.errors).toEqual([]);
    const left = leftOf(walk);
    if (left.length > 0) return { cancelled: outcomes.cancelled(left) };
  }
  return { cancelled: outcomes.cancelled([]) };
}

async function killed(walk: Walk, points: readonly RegExp[]): Promise<Pick<Seen, 'killed'>> {
  let images = 0;
  for (const point of points) {
    walk.change();
    const ran = await walk.run(struckAt(point, killRunner));
    expect([point, ran.signal]).toEqual([point, 'SIGKILL']);
    const next = await walk.run({ env: LATER });
    expect([point, next.errors]).toEqual([point, []]);
    images = imagesOf(next);
    const left = leftOf(walk);
    if (left.length > 0) return { killed: outcomes.killed(left, images) };
  }
  return { killed: outcomes.killed([], images) };
}

const imagesOf = (ran: Ran) => (JSON.parse(ran.outputs['images'] ?? '[]') as unknown[]).length;
const isDone = ({ errors, outputs, log }: Ran) =>
  expect({ errors, built: outputs['built'], log: outputs['built'] === 'true' ? '' : log.slice(-3000) }).toEqual({
    errors: [],
    built: 'true',
    log: '',
  });

/** Everything that no run needs, and images without a family. */
function leftOf({ specimen: { regions }, accounts }: Walk): readonly string[] {
  return accounts.flatMap(account =>
    [...new Set(['eu-central-1', ...regions])].flatMap(region => {
      const strays = madeImages(lab, region, account).filter(
        ({ id }) => tagsIn(lab, id, region, account)['ami-action:family'] === undefined,
      );
      return [...leftovers(lab, region, account), ...strays.map(({ id }) => id)].map(id => `${id} in ${region}`);
    }),
  );
}
