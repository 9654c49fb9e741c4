import { expect, test } from '@jest/globals';
import {
  AccessError,
  CancelledError,
  RejectedError,
  TimeoutError,
  UnknownError,
  UnreachableError,
  UsageError,
  withDetails,
} from '../../src/kit/errors.ts';
import { explain, failureCard } from '../../src/kit/failure.ts';

test('a card says what happened, what remains, what is next and who must act, in lines that wrap', () => {
  const failure = new RejectedError('web-prod: dead.\nThe old image runs again.', {
    leftovers: ['i-1 runs until 14:05'],
    next: 'run rollback',
  });
  expect(failureCard('promote', failure)).toBe(
    [
      '### ❌ promote: failed',
      'web-prod: dead.  \nThe old image runs again.',
      '**Left behind**',
      '- i-1 runs until 14:05',
      '**Next:** run rollback',
      '**Who must act:** the owner of the image.',
    ].join('\n\n'),
  );
});

test('a run that was cancelled is not marked as failed, and the card says that no changes were made', () => {
  const cancelled = failureCard('promote', new CancelledError('Cancelled.', { unchanged: true }));
  expect(cancelled.split('\n\n')).toEqual([
    '### 🚫 promote: cancelled',
    'Cancelled.',
    'No changes were made.',
    '**Who must act:** no one: the run was cancelled.',
  ]);
  expect(failureCard('promote', new UnknownError('Expired.'))).toMatch(/^### ⏳ promote: the result is not known yet/);
});

test('a failure that says what it means for the reader is headed by that', () => {
  const failure = withDetails(new RejectedError('web-stage: unhealthy.'), {
    title: 'web 1.2.0 did not reach stage. stage runs 1.0.0, as before',
  });
  expect(failureCard('promote', failure)).toMatch(
    /^### ❌ web 1\.2\.0 did not reach stage\. stage runs 1\.0\.0, as before\n\nweb-stage: unhealthy\.\n/,
  );
});

test('every problem with the settings is an item of its own', () => {
  const card = failureCard('prune', new UsageError(['"keep" is no number', '"regoin" is no setting']));
  expect(card).toContain('2 settings need attention:  \n- "keep" is no number\n- "regoin" is no setting\n\n**Who must act:** the author');
});

test('a line after a list does not join its last item', () => {
  const failure = new RejectedError('ami-1 failed:\n- web: exit code 1\n- db: exit code 2\nIt is deprecated.');
  expect(failureCard('validate', failure)).toContain('- web: exit code 1\n- db: exit code 2\n\nIt is deprecated.\n\n**Who');
});

test('what comes from outside stays text', () => {
  const card = failureCard('build', new RejectedError('<img src=x> **green** [all well](https://evil.example)\n- | a | @team'));
  expect(card).not.toMatch(/<img|\*\*green|[^\\]\]\(|@team|- \|/);
});

test('the log says that no changes were made before it says what to do next', () => {
  const failure = new RejectedError('Refused.', { unchanged: true, next: 'share it' });
  expect(explain(failure)).toBe('Refused.\nNo changes were made.\nNext: share it');
});

test('a failure without changes that leaves something behind has changed something', () => {
  const failure = new RejectedError('Refused.', { unchanged: true });
  expect(withDetails(failure, { next: 'share it' })).toMatchObject({ unchanged: true });
  expect(withDetails(failure, { leftovers: ['i-1'] })).toMatchObject({ unchanged: false });
});

test('an unexpected failure keeps its stack, in a block, and asks for a report', () => {
  const failure = new TypeError('x is undefined');
  expect(failureCard('list', failure)).toContain(`\`\`\`text\n${explain(failure)}\n\`\`\`\n\n**Who must act:** us: please report it.`);
});

test.each([
  new UsageError(['"regoin" is no setting']),
  new UnreachableError('ENOTFOUND'),
  new AccessError('Not allowed'),
  new RejectedError('No'),
  new TimeoutError('Too slow'),
  new CancelledError(),
  new UnknownError('Expired.'),
])('a $name with more details stays a $name', failure => {
  const again = withDetails(failure, { leftovers: ['i-1'] });
  expect(again).toMatchObject({ name: failure.name, outcome: failure.outcome, message: failure.message, leftovers: ['i-1'] });
});
