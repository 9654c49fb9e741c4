import { describe, expect, test } from '@jest/globals';
import { failureCard } from '../../src/kit/failure.ts';
import { compareLink } from '../../src/model/compare.ts';
import { run as promote } from '../../src/rollout/promote.ts';
import { run as rollback } from '../../src/rollout/rollback.ts';
import { parameterLink } from '../../src/rollout/rules/format-image.ts';
import { A, B, group, image, rollWorld, settings } from './roll-world.ts';

const tags = (version: string, commit: string) => ({
  'ami-action:version': version,
  'ami-action:commit': commit.repeat(40),
  'ami-action:repository': 'acme/web',
});
const versions = { images: [image(A, tags('1.0.0', 'a')), image(B, tags('1.3.0', 'b'))] };
const summaryOf = ({ summaries }: ReturnType<typeof rollWorld>) => summaries.join('\n\n');
const compare = (from: string, to: string) =>
  `[compare ${from.repeat(7)} with ${to.repeat(7)}](https://github.com/acme/web/compare/${from.repeat(40)}...${to.repeat(40)})`;

describe('the summary', () => {
  test('of a promotion: versions first, then links, the way back, and the plan folded', async () => {
    const made = rollWorld(versions);
    await promote(settings, made.world);
    const [result = '', plan = ''] = made.summaries;
    expect(result.split('\n\n')[0]).toBe('### ✅ stage now runs web 1.3.0 (was web 1.0.0)');
    expect(result).toMatch(/\n\nby octocat · \S+ · \[workflow run\]\(https:\/\/github.com\/acme\/web\/actions\/runs\/1\)\n\n/);
    expect(result).toContain('| Version | 1.0.0 · `aaaaaaa` | 1.3.0 · `bbbbbbb` |');
    expect(result).toContain(
      `[\`${B}\`](https://eu-central-1.console.aws.amazon.com/ec2/home?region=eu-central-1#ImageDetails:imageId=${B})`,
    );
    expect(result).toContain(`**Changes:** ${compare('a', 'b')}`);
    expect(result).toContain('**To go back:** run mode `rollback` for stage. It returns to web 1.0.0.');
    expect(plan).toMatch(/^<details><summary>Plan: promote web 1.3.0 in stage<\/summary>/);
  });

  test('of a promotion, whole: the parts of the ideal in their order', async () => {
    const newest = [
      { title: 'Serve /health (#41)', author: 'monalisa' },
      { title: 'Fix the cache | now', author: '' },
    ];
    const made = rollWorld({ ...versions, commits: { total: 7, newest }, approvers: ['hubot'] });
    const history = (name: string, value: string) =>
      made.state.parameters.set(name, [
        {
          name,
          value,
          version: 1,
          type: 'String',
          dataType: 'aws:ec2:image',
          writtenAt: new Date(-7_200_000),
          description: '',
          labels: [],
        },
      ]);
    history('/ami/web/qa', A);
    await promote({ ...settings, githubToken: 'of-the-test', environments: ['qa', 'stage', 'prod'] }, made.world);
    const parts = (made.summaries[0] ?? '').split('\n\n');
    expect(parts.map(part => part.split('\n')[0])).toEqual([
      '### ✅ stage now runs web 1.3.0 (was web 1.0.0)',
      expect.stringMatching(/^by octocat, approved by hubot · \S+ · \[workflow run\]\(https:/),
      '|  | Before | Now |',
      `**Changes: 7 commits** (${compare('a', 'b')}): Serve /health (\\#41), monalisa · Fix the cache \\| now · 5 more`,
      '```mermaid',
      '| Group | Before | After | Status | Refresh |',
      '**To go back:** run mode `rollback` for stage. It returns to web 1.0.0.',
    ]);
    expect(parts[2]?.split('\n').map(row => row.split(' | ')[0])).toEqual(['| ', '| ---', '| Version', '| Image', '| Pointer']);
    // prod has no pointer yet.
    expect(parts[4]).toMatch(
      /^```mermaid\nflowchart LR\n {2}n0\["build<br\/>1\.3\.0 · \S+ ago"\] --> n1\["qa<br\/>1\.0\.0 · 2h ago"\] --> n2\["stage<br\/>1\.3\.0 · now"\]\n```$/,
    );
    expect(made.summaries[1]).toMatch(/^<details>/);
  });

  test('of a promotion whose GitHub and other environments cannot be read leaves the words out, and succeeds', async () => {
    const made = rollWorld({ ...versions });
    const broken = async () => {
      throw new Error('no');
    };
    Object.assign(made.world.commits, { between: broken });
    Object.assign(made.world.deployments, { approvers: broken });
    made.state.onCall = said => {
      if (said.includes('/ami/web/prod')) throw new Error('denied');
    };
    await promote({ ...settings, githubToken: 'of-the-test', environments: ['stage', 'prod'] }, made.world);
    expect(summaryOf(made)).toContain(`**Changes:** ${compare('a', 'b')}`);
    expect(summaryOf(made)).not.toMatch(/approved by|mermaid/);
  });

  test('of a dry run says so in its title', async () => {
    const made = rollWorld(versions);
    await promote({ ...settings, dryRun: true }, made.world);
    expect(summaryOf(made)).toMatch(/^### 🔍 Dry run: stage would go from web 1.0.0 to web 1.3.0\n\nNo changes were made\.\n\n/);
    expect(summaryOf(made)).not.toContain('<details>');
  });

  test('of a failed promotion says what the environment runs', async () => {
    const made = rollWorld({ ...versions, script: ['InProgress', 'RollbackSuccessful'] });
    await expect(promote(settings, made.world)).rejects.toMatchObject({
      title: 'web 1.3.0 did not reach stage. stage runs web 1.0.0, as before',
    });
  });

  test('of a failed promotion, whole: the parts of the ideal in their order', async () => {
    const made = rollWorld({ ...versions, script: ['InProgress', 'RollbackSuccessful'] });
    const failure = await promote(settings, made.world).catch((thrown: unknown) => thrown);
    const parts = failureCard('promote', failure).split('\n\n');
    expect(parts.map(part => part.replace(/\S+ of web.*$/s, 'x'))).toEqual([
      '### ❌ web 1.3.0 did not reach stage. stage runs web 1.0.0, as before',
      expect.stringMatching(/^web: AWS rolled the refresh back; the old image runs again/),
      '**State now**',
      '- Reverted: every group launches and runs what it did before',
      '**Who must act:** the owner of the image.',
    ]);
    expect(made.summaries.at(-1)).toMatch(/^<details><summary>Plan: promote web 1.3.0 in stage/);
  });

  test('of a promotion that goes on without this run claims nothing', async () => {
    const made = rollWorld({ ...versions, script: ['InProgress'] });
    await expect(promote(settings, made.world)).rejects.toThrow();
    expect(summaryOf(made)).not.toMatch(/###/);
  });

  test('of a rollback: what it came from, what is vetoed, and what was rolled back', async () => {
    const made = rollWorld(versions);
    await promote(settings, made.world);
    made.summaries.length = 0;
    await rollback({ ...settings, image: 'previous' }, made.world);
    const [result = ''] = made.summaries;
    expect(result.split('\n\n')[0]).toBe('### ↩️ stage is back on web 1.0.0 (from web 1.3.0)');
    expect(result).toContain('1.3.0 is **vetoed in stage**. To promote it again, set `lift-veto: true`. A newer image is not affected.');
    expect(result).toContain(`**Rolled back:** ${compare('a', 'b')}`);
    expect(result.split('\n\n').map(part => part.split('\n')[0]?.slice(0, 12))).toEqual([
      '### ↩️ stage',
      'by octocat ·',
      '|  | Before ',
      '| Group | Be',
      '1.3.0 is **v',
      '**Rolled bac',
    ]);
  });

  test('of a first promotion names what the groups launched, by its ID', async () => {
    const made = rollWorld({ images: [{ ...image(A), tags: {} }, image(B, tags('1.3.0', 'b'))], pointer: [] });
    await promote(settings, made.world);
    expect(made.summaries[0]?.split('\n\n')[0]).toBe(`### ✅ stage now runs web 1.3.0 (was ${A})`);
  });

  test('of a first promotion that replaced nothing says that there is no way back', async () => {
    const made = rollWorld({ ...versions, pointer: [] });
    await promote({ ...settings, strategy: 'none', groups: undefined }, made.world);
    const parts = made.summaries[0]?.split('\n\n') ?? [];
    expect([parts[0], parts.at(-1)]).toEqual(['### ✅ stage now runs web 1.3.0', 'There is no image before this one to roll back to.']);
  });
});

test('untrusted tags stay text', async () => {
  const made = rollWorld({
    images: [image(A, tags('1.0.0', 'a')), image(B, { ...tags('[x](http://y) <b>@z', 'b'), 'ami-action:repository': 'x)y/z' })],
  });
  await promote(settings, made.world);
  expect(summaryOf(made)).not.toMatch(/\]\(http:|<b>|@z/);
  expect(summaryOf(made)).not.toContain('compare');
});

test('a link compares two commits of one repository only', () => {
  const scheme = { prefix: 'ami-action:', commitKey: 'ami-action:commit' };
  const [from, to] = versions.images;
  if (from === undefined || to === undefined) throw new Error('two images');
  expect(compareLink(from, to, scheme, 'https://ghe.acme.com/acme/web/actions/runs/1')).toContain(
    '(https://ghe.acme.com/acme/web/compare/',
  );
  expect(compareLink(undefined, to, scheme, '')).toBeUndefined();
  expect(compareLink(to, to, scheme, '')).toBeUndefined();
  expect(compareLink({ ...from, tags: { ...from.tags, 'ami-action:repository': 'acme/api' } }, to, scheme, '')).toBeUndefined();
});

test('the console decodes the name of a parameter twice', () => {
  expect(parameterLink('/ami/web', 'eu-west-1')).toBe(
    '[`/ami/web`](https://eu-west-1.console.aws.amazon.com/systems-manager/parameters/%252Fami%252Fweb/description?region=eu-west-1)',
  );
});

test('trap T4: the plan warns about a group that Terraform manages', async () => {
  const made = rollWorld({ groups: [group('web', { tags: { ManagedBy: 'Terraform' } })] });
  await promote({ ...settings, dryRun: true }, made.world);
  const warning =
    'web is managed by Terraform (tag ManagedBy=Terraform): its next apply launches the old image again, unless the group has "lifecycle { ignore_changes = [launch_template, mixed_instances_policy] }" and no "instance_refresh" block';
  expect(made.log).toContain(`! ${warning}`);
  const plain = rollWorld();
  await promote({ ...settings, dryRun: true }, plain.world);
  expect(plain.log.filter(line => line.startsWith('!'))).toEqual([]);
});
