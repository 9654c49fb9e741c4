import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { githubIssues, withSection } from '../../src/adapters/issues.ts';
import { fakeGitHub, type GitHub, serve } from '../dist/github.ts';

/** One comment, and one issue, that later runs edit. */

let github: GitHub;
beforeEach(async () => {
  github = await fakeGitHub(() => undefined);
});
afterEach(() => github.close());

const at = { repository: 'acme/web', token: 'of-the-test' };
const issue = (title: string, body = '') =>
  github.issues.push({ number: github.issues.length + 1, title, body, state: 'open', comments: [] });

test('steps share one comment, each in its section, and a later run replaces its own', async () => {
  issue('A pull request');
  github.issues[0]?.comments.push({ id: 1, body: 'Looks good' });
  const { comment } = githubIssues(github.url);
  await comment({ ...at, number: 1, section: 'preview/build', markdown: 'first' });
  await comment({ ...at, number: 1, section: 'preview/stage', markdown: 'plan' });
  await comment({ ...at, number: 1, section: 'preview/build', markdown: 'second' });
  expect(github.issues[0]?.comments.map(({ body }) => body)).toEqual([
    'Looks good',
    [
      '<!-- ami-action -->',
      '<!-- ami-action:preview/build -->',
      'second',
      '<!-- /ami-action:preview/build -->',
      '<!-- ami-action:preview/stage -->',
      'plan',
      '<!-- /ami-action:preview/stage -->',
    ].join('\n'),
  ]);
});

test('a comment never exceeds what GitHub takes, whatever a section holds', () => {
  const body = withSection(withSection('<!-- ami-action -->', 'a', 'x'.repeat(60_000)), 'b', 'y'.repeat(60_000));
  expect(body.length).toBeLessThanOrEqual(65_536);
  expect(body).toMatch(/\*\*Truncated\.\*\* The job summary has everything\.\n<!-- \/ami-action:b -->$/);
});

test('an issue is opened once, edited, closed, and opened again', async () => {
  issue('Drift of web', 'written by a person');
  const { keep } = githubIssues(github.url);
  const changes = [];
  for (const markdown of ['one', 'two', undefined, undefined, 'three'])
    changes.push(await keep({ ...at, title: 'Drift of web', markdown }));
  expect(changes).toEqual([
    { number: 2, change: 'opened' },
    { number: 2, change: 'edited' },
    { number: 2, change: 'closed' },
    undefined,
    { number: 3, change: 'opened' },
  ]);
  expect(github.issues.map(({ body, state }) => [body, state])).toEqual([
    ['written by a person', 'open'],
    ['<!-- ami-action -->\ntwo', 'closed'],
    ['<!-- ami-action -->\nthree', 'open'],
  ]);
});

test('a missing permission names itself', async () => {
  const refusing = await serve(() => ({ status: 403, body: { message: 'Resource not accessible by integration' } }));
  const issues = githubIssues(refusing.url);
  await expect(issues.keep({ ...at, title: 'x', markdown: 'y' })).rejects.toThrow(
    /^GitHub refused the issue: 403 Resource not accessible by integration/,
  );
  await expect(issues.comment({ ...at, number: 1, section: 'a', markdown: 'y' })).rejects.toMatchObject({
    next: 'Add "pull-requests: write" to the permissions of the job, and set "github-token".',
  });
  await refusing.close();
});
