import { spawnSync } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Lab, startLab } from '../../lab/lab.ts';
import { type Order, type Ran, removeWorkspaces, runAction } from '../harness.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await startLab({ speed: 600, machines: 'paper' });
});
afterAll(async () => {
  await lab.close();
  removeWorkspaces();
});

/** Settings under `with:`, and the problem that is reported. */
const WITH: Readonly<Record<string, readonly [given: string, says: string]>> = {
  'keep-newest': ['3', '"keep-newest" (with) does nothing in this mode: remove it'],
  'min-health': ['90', '"min-health" (with) is not a setting, did you mean "min-healthy"?'],
  'github-tokn': ['x', '"github-tokn" (with) is not a setting, did you mean "github-token"?'],
  family: ['web app', '"family" must be 1 to 100 letters, digits, "-", "_", "." or "/", starting with a letter or digit, got "web app"'],
  image: ['newest', '"image" is not a selector, did you mean "latest"? Got "newest"'],
  repository: ['web', '"repository" must be owner/name, got "web"'],
  walk: ['0', '"walk" must be a whole number from 1 to 1000, got "0"'],
  groups: ['web\u200b', '"groups[1]" contains an invisible character: type it again, got "web\\u200b"'],
  strategy: ['violet', '"strategy" must be one of rolling, blue-green, two-groups, none, got "violet"'],
  'min-healthy': ['0x5a', '"min-healthy" must be a whole number from 0 to 100, got "0x5a"'],
  'max-healthy': ['90', '"max-healthy" must be a whole number from 100 to 200, got "90"'],
  'warm-up': ['-5', '"warm-up" must be a duration such as 90s, 45m, 1h30m or 2d, got "-5"'],
  checkpoints: ['20, 101', '"checkpoints[2]" must be a percentage from 1 to 100, got "20, 101"'],
  'checkpoint-delay': ['90d', '"checkpoint-delay" must be a duration from 0 s to 172800 s, such as 90s, 45m, 1h30m or 2d, got "90d"'],
  'standby-instances': ['Terminate', '"standby-instances" must be one of terminate, ignore, wait, got "Terminate"'],
  'batch-size': ['1e3', '"batch-size" must be a whole number from 1 to 10000, got "1e3"'],
  order: ['serial\r\n', '"order" must be one of parallel, one-by-one, got "serial\\r\\n"'],
  wait: ['yes', '"wait" must be true or false, got "yes"'],
  'roll-timeout': ['10 m', '"roll-timeout" must be a duration such as 90s, 45m, 1h30m or 2d, got "10 m"'],
  checks: ['cloud-init', '"checks" must be a list of checks, each beginning with "- ", got "cloud-init"'],
  'lift-veto': ['1', '"lift-veto" must be true or false, got "1"'],
  region: ['frankfurt', '"region" must be a region such as eu-central-1, got "frankfurt"'],
  'role-to-assume': [
    'deploy',
    '"role-to-assume" must be the ARN of a role, such as arn:aws:iam::111122223333:role/ami-delivery, got "deploy"',
  ],
  'allowed-account-ids': [
    '11112222333',
    '"allowed-account-ids[1]" must be a 12-digit account ID, in quotes where it begins with 0, got "11112222333"',
  ],
  'tag-prefix': ['our\u00a0team:', '"tag-prefix" contains an invisible character: type it again, got "our\\u00a0team:"'],
  'commit-tag': ['c'.repeat(100_000), `"commit-tag" is too long: at most 4096 characters, got "${'c'.repeat(77)}... (100000 characters)"`],
};

/** Typed on Windows: every line ends with CR LF, which is no part of a value. */
const windows = (text: string) => text.replaceAll('\n', '\r\n');
const FILE = windows(`familly: web
dry-run: true
role-duration: 010
undo: yes
on-cancel: leaf
alarms: { high: latency }
deployment: 1
tag-prefix: "x:"
commit-tag: sha
minimum-age: 7d
environments:
  stage: { groups: [web-stage] }
  prod: { groups: [web-prod], bake: 5, check-points: 50 }
`);
const OF_FILE = [
  '"familly" (.github/ami.yml) is not a setting, did you mean "family"?',
  '"dry-run" (.github/ami.yml) is read under "with:" only: a branch could change it in this file',
  '"tag-prefix" (.github/ami.yml) is read under "with:" only: a branch could change it in this file',
  '"commit-tag" (.github/ami.yml) is read under "with:" only: a branch could change it in this file',
  '"role-duration" must be a duration such as 90s, 45m, 1h30m or 2d, got "010" (.github/ami.yml)',
  '"undo" must be one of all, failed, got "yes" (.github/ami.yml)',
  '"on-cancel" must be one of leave, rollback, got "leaf" (.github/ami.yml)',
  '"alarms" must be a list, got "{\\"high\\":\\"latency\\"}" (.github/ami.yml)',
  '"deployment" must be true or false, got "1" (.github/ami.yml)',
];
const OF_PROD = [
  '"bake" must be a duration such as 90s, 45m, 1h30m or 2d, got "5" (.github/ami.yml, environments.prod)',
  '"check-points" (.github/ami.yml, environments.prod) is not a setting, did you mean "checkpoints"?',
];

const run = (order: Partial<Order>) => runAction({ mode: 'promote', lab, files: { '.github/ami.yml': FILE }, ...order });

/** The one message, as its lines in no order. */
function problems(ran: Ran): string[] {
  expect([ran.exitCode, ran.outputs, ran.errors.length, ran.warnings, lab.calls.count()]).toEqual([1, { outcome: 'usage' }, 1, [], 0]);
  const [head, ...lines] = (ran.errors[0] ?? '').split('\n- ');
  expect(head).toBe(`${lines.length} settings need attention:`);
  return lines.sort();
}

describe('scenario 79: bad settings', () => {
  const given = Object.fromEntries(Object.entries(WITH).map(([name, [value]]) => [name, value]));
  const expected = [...Object.values(WITH).map(([, says]) => says), ...OF_FILE, ...OF_PROD].sort();

  test('scenario 79: more than thirty, under with: and in the file, are reported in one message, before the first AWS call', async () => {
    expect(expected.length).toBeGreaterThan(30);
    const ran = await run({ with: { environment: 'prod', ...given } });
    expect(problems(ran)).toEqual(expected);
    expect(ran.log.length).toBeLessThan(10_000); // what was pasted by mistake does not fill the log
  });

  test('scenario 79: an environment that the file does not have is reported with the others', async () => {
    const said = problems(await run({ with: { environment: 'prd', family: 'web' } }));
    const nearest = '"environment" is not one of stage, prod (.github/ami.yml), did you mean "prod"? Got "prd"';
    expect(said).toEqual([nearest, ...OF_FILE].sort());
  });

  test('scenario 79: an account ID stays the digits that were written, also where YAML would read an octal number', async () => {
    const file = windows('accounts:\n  - 012345678901\n  - 01234567890\n  - 0o14\ncopy: 0777\n');
    const said = problems(await run({ mode: 'share', with: { family: 'web', image: 'latest' }, files: { '.github/ami.yml': file } }));
    expect(said).toEqual([
      '"accounts[2]" must be a 12-digit account ID, or all, got "01234567890" (.github/ami.yml)',
      '"accounts[3]" must be a 12-digit account ID, or all, got "0o14" (.github/ami.yml)',
      '"copy[1]" must be a 12-digit account ID, got "0777" (.github/ami.yml)',
    ]);
  });

  test('scenario 79: a file that is no YAML, and one that is no map, are reported with the problems under with:', async () => {
    const [broken, list] = await Promise.all(
      ['family: [web\n', '- family\n'].map(file => run({ with: { environment: 'prod', wait: 'yes' }, files: { '.github/ami.yml': file } })),
    );
    const wait = '"wait" must be true or false, got "yes"';
    expect(problems(broken as Ran)).toEqual([wait, expect.stringMatching(/^\.github\/ami\.yml line 2 is not YAML: Flow sequence/)]);
    const noMap = '.github/ami.yml must be a map of settings, one "key: value" a line, got "[\\"family\\"]"';
    expect(problems(list as Ran)).toEqual([wait, noMap]);
  });
});

describe('scenario 79: the mode itself', () => {
  test.each([
    ['promot', 'promote'],
    ['BUILD', 'build'],
    ['roll-back', 'rollback'],
  ])('scenario 79: %s gets the nearest one', async (mode, nearest) => {
    const ran = await runAction({ mode, with: { family: 'web' } });
    expect([ran.exitCode, ran.outputs, ran.errors.length]).toEqual([1, { outcome: 'usage' }, 1]);
    expect(ran.errors[0]).toContain('"mode" must be one of build, validate, share, promote, rollback, prune, resolve, list, delete');
    expect(ran.errors[0]).toContain(`did you mean "${nearest}"? Got "${mode}"`);
  });

  test('scenario 79: none at all gets the list, and the problems of the file', async () => {
    const ran = await run({ mode: '', files: { '.github/ami.yml': '- family\n' } });
    expect(ran.errors[0]).toContain('"mode" must be one of build, validate, share, promote, rollback, prune, resolve, list, delete');
    expect(ran.errors[0]).not.toContain('did you mean');
    expect(ran.errors[0]).toContain('list, delete, adopt, doctor, and is missing');
    expect(problems(ran)).toHaveLength(2);
  });
});

describe('a step without a checkout', () => {
  test('names the missing step', async () => {
    const ran = await runAction({ mode: 'list', lab });
    expect(ran.errors).toEqual([
      [
        '"family" is missing: The images of one application: the value of their tag `ami-action:family`.',
        'Next: .github/ami.yml does not exist in the workspace. If the repository has one, run actions/checkout before this step.',
      ].join('\n'),
    ]);
    expect(ran.summary).toMatch(
      /^### ❌ list: the settings need a fix\n[\s\S]*\*\*Next:\*\* \.github\/ami\.yml[\s\S]*\*\*Who must act:\*\* the author of the workflow\.\n$/,
    );
    expect((await runAction({ mode: 'list', lab, files: { '.github/ami.yml': 'keep-newest: 1\n' } })).errors[0]).not.toContain('checkout');
  });

  test('and without a region, names the variable', async () => {
    const ran = await runAction({ mode: 'list', with: { family: 'web' }, lab, env: { AWS_REGION: '', AWS_DEFAULT_REGION: '' } });
    expect(ran.errors[0]).toContain('"region" is missing: AWS region. Set it, or AWS_REGION in the environment of the job.');
  });
});

/** The first Node on this machine that is not the one of the tests: npm puts those of node_modules before it on PATH. */
function anotherNode(): { path: string; version: string } | undefined {
  const own = realpathSync(process.execPath);
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter(folder => !folder.includes('node_modules'));
  for (const path of folders.map(folder => join(folder, 'node'))) {
    const { status, stdout } = spawnSync(path, ['--version'], { encoding: 'utf8' });
    const version = stdout?.trim() ?? '';
    if (status === 0 && realpathSync(path) !== own && Number(/^v(\d+)/.exec(version)?.[1]) >= 20) return { path, version };
  }
  return undefined;
}

/** A runner reads which Node it takes when it is loaded; the query makes this one another module than the one above. */
async function runnerOn(node: string): Promise<typeof import('../../lab/runner.ts')> {
  const before = process.env['AMI_ACTION_NODE'];
  process.env['AMI_ACTION_NODE'] = node;
  const path = '../../lab/runner.ts?node';
  const runner = await import(path);
  if (before === undefined) delete process.env['AMI_ACTION_NODE'];
  else process.env['AMI_ACTION_NODE'] = before;
  return runner;
}

describe('the bundle on the Node of the machine', () => {
  const other = anotherNode();
  if (other === undefined)
    console.warn('!!! Skipped: no Node 20 or newer on PATH besides that of the tests; the bundle was not tried on it.');

  (other === undefined ? test.skip : test)(`${other?.version}: it judges settings and asks AWS there too`, async () => {
    const { runAction: runOnOther, removeWorkspaces: removeThose } = await runnerOn(other?.path ?? '');
    const bad = await runOnOther({ mode: 'promote', lab, with: { family: 'web', environment: 'prod', wait: 'yes' } });
    expect([bad.exitCode, bad.errors]).toEqual([1, ['"wait" must be true or false, got "yes"']]);
    const listed = await runOnOther({ mode: 'list', lab, with: { family: 'web' } });
    expect([listed.exitCode, listed.errors, listed.outputs['count']]).toEqual([0, [], '0']);
    expect(lab.calls.count('DescribeImages')).toBeGreaterThan(0);
    removeThose();
  });
});
