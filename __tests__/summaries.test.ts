import { expect, test } from '@jest/globals';
import { page as demoPage } from '../demo/page.ts';
import { reportImages, reportPhases } from '../src/image-build/report.ts';
import { parseLine } from '../src/image-build/rules/packer-output.ts';
import { RejectedError } from '../src/kit/errors.ts';
import { failureCard, settingsTable } from '../src/kit/failure.ts';
import { formatPage } from '../src/retention/list-report.ts';
import { reportApplied, reportPlan as reportPrune } from '../src/retention/report.ts';
import { stagesChart } from '../src/rollout/rules/stages.ts';
import type { Validation } from '../src/validation/rules/conclude.ts';
import { titleOf, validationPage } from '../src/validation/rules/report-page.ts';
import { A, B, C, image } from './rollout/roll-world.ts';

/**
 * The structure of each summary: headings, order of the parts, columns of tables, links, folded parts. The summaries of promote and rollback are in
 * rollout/summary.test.ts, that of doctor in dist/doctor.test.ts.
 */

/** A line for each part: a heading as it is, a table as its columns, a chart, block or folded part as its title, else the text. */
function outline(markdown: string): readonly string[] {
  return markdown.split(/\n\n(?![\s\S]*?<\/details>)|\n\n(?=<details>)|(?<=<\/details>)\n\n/).flatMap(part => {
    const folded = /^<details( open)?><summary>(.*?)<\/summary>/.exec(part);
    if (folded !== null) return [`folded: ${folded[2]}`];
    return part.split('\n\n').map(one => {
      if (one.startsWith('|')) return `table: ${one.split('\n')[0]?.replace(/\u00a0/g, ' ')}`;
      return one.startsWith('```') ? `block: ${one.split('\n').slice(1, -1).join(' / ')}` : (one.split('\n')[0] ?? '');
    });
  });
}

const scheme = { prefix: 'ami-action:', commitKey: 'ami-action:commit' };
const tags = (version: string, commit: string) => ({ 'ami-action:version': version, 'ami-action:commit': commit.repeat(40) });
const [old, failed, newest] = [image(A, tags('1.0.0', 'a')), image(B, tags('1.1.0', 'b')), image(C, tags('1.3.0', 'c'))];

const written = () => {
  const parts: string[] = [];
  const report = {
    ...{ step: <T>(_: string, work: () => Promise<T>) => work(), info() {}, warn() {}, debug() {}, untrusted() {}, mask() {} },
    summary: (markdown: string, where?: 'above') => void (where === 'above' ? parts.unshift(markdown) : parts.push(markdown)),
  };
  return { report, page: () => parts.join('\n\n') };
};

test('of build: version and commit, image with its link, size and price, the reason, where the time went, and the settings', () => {
  const { report, page } = written();
  const built = { source: 'amazon-ebs.web', architecture: 'x86_64' as const, region: 'eu-central-1', id: C, name: 'web-1.3.0', sizeGiB: 8 };
  const changes = '[compare aaaaaaa with ccccccc](https://github.com/acme/web/compare/a...c)';
  reportImages('✅ Built web 1.3.0 (ccccccc)', [built], 'changed since ami-aaaaaaaa: files. Not validated yet', report, changes);
  const lines = [
    '1,,ui,say,==> amazon-ebs.web: Launching a source AWS instance...',
    "61,,ui,say,Build 'amazon-ebs.web' finished after 1 minute.",
  ];
  reportPhases(
    lines.flatMap(line => parseLine(line) ?? []),
    report,
  );
  report.summary(settingsTable([{ name: 'family', value: '"web"', where: '.github/ami.yml line 1' }]));
  expect(outline(page())).toEqual([
    '### ✅ Built web 1.3.0 (ccccccc)',
    'Changed since ami-aaaaaaaa: files. Not validated yet.',
    `**Changes:** ${changes}`,
    'table: | Image | Region | Architecture | Name | Snapshots |',
    "folded: Where Packer's time went: launch took longest, 1m",
    'folded: Settings of this run, and where each was set',
  ]);
  expect(page()).toContain(
    `[\`${C}\`](https://eu-central-1.console.aws.amazon.com/ec2/home?region=eu-central-1#ImageDetails:imageId=${C})`,
  );
  expect(page()).toContain('8 GiB, at most $0.40 a month');
});

const check = (name: string, ending: 'passed' | 'failed', output = '') => ({
  ...{ name, ending, seconds: 2, tries: 1, output, bytes: output.length },
  reason: ending === 'passed' ? '' : 'dies and is restarted',
});
const validation = (result: 'passed' | 'failed', checks: Validation['testRuns'][number]['checks']): Validation => ({
  ...{ imageId: C, family: 'web', version: '1.3.0', result, checks: '0'.repeat(32) },
  reason: result === 'passed' ? 'all checks passed' : '1 of 2 checks failed',
  testRuns: [
    {
      ...{ instanceType: 't3.micro', instanceId: 'i-1', result, checks, complete: true, console: undefined, failure: undefined },
      ...{ reason: '', leftovers: [], leaked: false, kept: false, timeline: [{ name: 'running', seconds: 24 }] },
    },
  ],
});

test('of validate that passed: how many checks, the instance with its times, and each check', () => {
  const passed = validation('passed', [check('service web', 'passed'), check('GET / on port 8080', 'passed')]);
  expect(outline(validationPage(passed))).toEqual([
    '### ✅ web 1.3.0 passed validation: 2 of 2 checks passed',
    `\`${C}\`: All checks passed.`,
    'table: | Type | Instance |  | running |',
    'table: |  | Check | Took |',
  ]);
});

test('of validate that failed: the card, the first failing output open, then instance, checks and whole outputs folded', () => {
  const output = 'Traceback:\n  File "server.py"\nModuleNotFoundError: turbo';
  const bad = validation('failed', [check('service web', 'failed', output), check('no failed units', 'passed')]);
  const card = failureCard('validate', new RejectedError('web failed.', { title: titleOf(bad), next: 'Fix it.' }));
  expect(outline(`${card}\n\n${validationPage(bad)}`)).toEqual([
    '### ❌ web 1.3.0 failed validation: 1 of 2 checks failed',
    'web failed.',
    '**Next:** Fix it.',
    '**Who must act:** the owner of the image.',
    '**service web** dies and is restarted:',
    'block: Traceback: /   File "server.py" / ModuleNotFoundError: turbo',
    'table: | Type | Instance |  | running |',
    'table: |  | Check | Took | Reason |',
    'folded: service web: output',
  ]);
});

const decide = (of: typeof old, action: 'keep' | 'remove', reason: string) => ({
  ...{ image: of, region: 'eu-central-1', action, reason, waits: false, marked: false },
});
const plan = {
  images: [decide(old, 'keep', 'runs in prod'), decide(failed, 'remove', 'failed validation'), decide(newest, 'keep', 'the newest')],
  regions: [
    {
      survey: { region: 'eu-central-1', users: { facts: { launchers: [], instances: [], parameters: [] } } },
      ...{ orphanedSnapshots: [], versions: [], expired: [] },
    },
  ],
} as unknown as Parameters<typeof reportPrune>[0];
const options = { family: 'web', pricePerGib: '0.05', dryRun: true };

test('of prune as a dry run: what would go and what it saves, how to apply exactly this, what was read, and why the others stay', () => {
  const { report, page } = written();
  reportPrune(plan, options, scheme, report, 0);
  expect(outline(page())).toEqual([
    '### 🔍 Dry run of web: 1 of 3 images would be removed, which saves at most 8 GiB, $0.40 a month.',
    expect.stringMatching(/^No changes were made\. .*`plan-hash: [0-9a-f]{32}`\.$/),
    'Read: 0 groups, 0 instances, 0 parameters in eu-central-1.',
    'table: |  | Version | Commit | Image | Age | GiB | A month | Why |',
    'folded: 2 images kept, and why',
  ]);
});

test('of prune: what was removed, with the plan folded', () => {
  const { report, page } = written();
  reportPrune(plan, { ...options, dryRun: false }, scheme, report, 0);
  const results = [{ decision: plan.images[1], result: 'removed', remaining: [] }];
  const applied = [{ results, snapshots: [], versions: 0, swept: [], remaining: [], held: [] }] as unknown as Parameters<
    typeof reportApplied
  >[2];
  reportApplied(plan, { ...options, dryRun: false }, applied, report);
  expect(page().split('\n\n').slice(0, 3)).toEqual([
    '### ✅ web: removed 1 of 1 planned image',
    'This saves at most 8 GiB, $0.40 a month.',
    expect.stringMatching(/^<details><summary>Plan: 1 of 3 images to be removed/),
  ]);
});

test('of list: what each environment runs in the title, then environments, drift, and versions by environments', () => {
  const at = (name: string, imageId: string, previousId: string | undefined) => ({
    ...{ name, pointer: `/ami/web/${name}`, imageId, previousId, region: 'eu-central-1', since: new Date(0) },
    ...{ run: 'https://github.com/acme/web/actions/runs/1', groups: [{ name: `web-${name}`, instances: 2, boot: {} }] },
  });
  const vetoed = { ...newest, tags: { ...newest.tags, 'ami-action:vetoed-in': 'prod' } };
  const listed = [vetoed, failed, old].map(one => ({ image: one, region: 'eu-central-1', users: [], isShared: false }));
  const environments = [at('prod', A, undefined), at('stage', C, A)];
  const drift = [{ who: 'web-qa', says: 'launches ami-0, and the pointer names 1.3.0', region: 'eu-central-1' }];
  const listing = { images: listed, environments, drift, history: [], isComplete: true } as unknown as Parameters<typeof formatPage>[0];
  const page = formatPage(listing, { family: 'web', regions: ['eu-central-1'], whereUsed: true, scheme, pricePerGib: 0.05, now: 0 });
  expect(outline(page)).toEqual([
    expect.stringMatching(/^### web: prod 1\.0\.0.* · stage 1\.3\.0/),
    '**3 images** in eu-central-1, 3 unused: at most 24 GiB, $1.20 a month.',
    'table: | Environment | Runs | Groups with this image | For | Promoted by | Before |',
    'table: | ⚠️ Drift |  |',
    'table: | Version | Commit | Image | Age | Verdict | prod | stage | Used by | GiB | A month |',
  ]);
  const rows = page.split('\n').filter(row => row.startsWith('| 1.'));
  expect(
    rows.map(row =>
      row
        .replace(/\u00a0/g, ' ')
        .split(' | ')
        .slice(-6, -3),
    ),
  ).toEqual([
    ['✅ passed', '⛔ vetoed', '🟢 current'],
    ['✅ passed', '', ''],
    ['✅ passed', '🟢 current', '⬅️ previous'],
  ]);
});

test("the demo's page draws the chart of the stages, for the pictures of the docs", async () => {
  const chart = stagesChart(
    [
      { name: 'stage', version: '1.3.0', since: new Date(0) },
      { name: 'prod', version: '1.3.0', since: undefined },
    ],
    { version: '1.3.0', at: new Date(0) },
    7_200_000,
  );
  const html = await demoPage(
    [{ title: 'a', summary: '', jobs: [{ name: 'b', green: true, expected: true, summary: chart, seconds: 1 }] }],
    '',
  );
  expect(html).toContain(
    '<div class="stages"><span><b>build</b><br>1.3.0 · 2h ago</span>→<span><b>stage</b><br>1.3.0 · 2h ago</span>→<span><b>prod</b><br>1.3.0 · now</span></div>',
  );
});
