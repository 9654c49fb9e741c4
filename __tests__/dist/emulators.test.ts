import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { concurrently } from '../../src/kit/concurrently.ts';
import { modes } from '../../src/modes.ts';
import { removeWorkspaces } from '../harness.ts';
import { acceptance, ROOT } from './acceptance-lab.ts';
import { describeWithPacker } from './build-lab.ts';
import { masked, STORIES, Stopped, worldOf } from './emulator-stories.ts';
import { type Emulator, lab, ministack, moto } from './emulators.ts';

/**
 * The bundle against AWS emulators that others wrote, by the stories of the lab. lab/emulators.md has the result; AMI_ACTION_WRITE_TABLE=1 writes
 * it again.
 */

const TABLE = join(ROOT, 'lab', 'emulators.md');
const SERVERS = { lab, moto, ministack } as const;

const started: Promise<Emulator>[] = [];
const found = new Map<string, string>();
afterAll(async () => {
  await Promise.all(started.map(async server => (await server)[Symbol.asyncDispose]()));
  removeWorkspaces();
});

/** `works`, or where the emulator stops the mode. */
async function told(server: Emulator, title: string): Promise<string> {
  const index = STORIES.findIndex(story => story.title === title);
  try {
    await STORIES[index]?.tell(worldOf(server, `story-${index}`));
    return 'works';
  } catch (cause) {
    if (cause instanceof Stopped) return `stops: ${cause.message}`;
    const { name, message } = cause as Error;
    return `cannot be prepared: ${name}: ${message.split('\n')[0]?.slice(0, 120)}`;
  }
}

const SUITE = 'acceptance suite';

/** Where the suite of a real account stops, and that it removes what it has created. */
async function suite({ account, environment }: Emulator): Promise<string> {
  const { report, log } = await acceptance({ ...environment, AWS_REGION: 'us-east-1' }, { args: ['--account', account] });
  if (report === undefined) return `stops: ${masked(log)}`;
  const failed = report.steps.find(({ result }) => result === 'failed');
  if (report.steps.length === 0) return `stops before its first step: ${report.left[0]}`;
  expect(report.left).toEqual([]);
  return failed === undefined ? 'works' : `stops at "${failed.title}": ${masked(failed.text)}`;
}

const cell = (text: string) => text.replaceAll('|', '\\|');
const table = (): string =>
  [
    '| Mode | moto 5.2.5 | ministack 1.5.33 |',
    '| --- | --- | --- |',
    ...[...STORIES.map(({ title }) => title), SUITE].map(
      title => `| ${title} | ${['moto', 'ministack'].map(name => cell(found.get(`${name} ${title}`) ?? '')).join(' | ')} |`,
    ),
    '',
  ].join('\n');

describeWithPacker('the modes', () => {
  const servers: Partial<Record<keyof typeof SERVERS, Promise<Emulator>>> = {};
  const serverOf = (name: keyof typeof SERVERS): Promise<Emulator> => {
    const known = servers[name] ?? SERVERS[name]();
    if (servers[name] === undefined) started.push(known);
    servers[name] = known;
    return known;
  };

  test.each(STORIES.map(({ title }) => title))('work on the lab: %s', async title => {
    expect(await told(await serverOf('lab'), title)).toBe('works');
  });

  // Several at a time: the SDK repeats for a minute what moto answers with status 500.
  test.each(['moto', 'ministack'] as const)(
    'go on %s as far as they can, and so does the acceptance suite, which leaves nothing',
    async name => {
      const server = await serverOf(name);
      await concurrently(STORIES, 5, async ({ title }) => void found.set(`${name} ${title}`, await told(server, title)));
      found.set(`${name} ${SUITE}`, await suite(server));
    },
    400_000,
  );

  test('promote is red on ministack, whose refresh is Successful and replaces nothing; the pointer stays', async () => {
    const world = worldOf(await serverOf('ministack'), 'lying');
    const [first, second] = [await world.image(), await world.image()];
    await world.group(first);
    await world.pointTo(first);
    const wanted = { environment: 'stage', groups: 'lying', image: second, bake: '1m', 'roll-timeout': '30m' };
    await expect(world.run('promote', wanted, 'done')).rejects.toThrow(
      /^lying: AWS calls the refresh successful, but EC2 does not show the image of <i>, <i>$/,
    );
    expect(await world.pointed()).toBe(first);
  });

  test('every mode has a story', () => {
    const told = STORIES.flatMap(({ title }) => title.split(/,? /));
    expect(Object.keys(modes).filter(mode => !told.includes(mode))).toEqual([]);
  });

  test('the table in lab/emulators.md is what was found', () => {
    if (found.size < (STORIES.length + 1) * 2) return;
    const text = readFileSync(TABLE, 'utf8');
    const written = text.replace(/(?<=<!-- table -->\n)[\s\S]*(?=<!-- \/table -->)/, table());
    if (process.env['AMI_ACTION_WRITE_TABLE'] === '1') writeFileSync(TABLE, written);
    else expect(text).toBe(written);
  });
});
