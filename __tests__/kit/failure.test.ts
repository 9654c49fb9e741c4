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

test('a card says what happened, what is left, what is next and who must act, in lines that wrap', () => {
  const failure = new RejectedError('web-prod: dead.\nThe old image runs again.', {
    leftovers: ['i-1 runs until 14:05'],
    next: 'run rollback',
  });
  expect(failureCard('promote', failure)).toBe(
    [
      '### ❌ promote: rejected',
      'web-prod: dead.  \nThe old image runs again.',
      '**Left behind**',
      '- i-1 runs until 14:05',
      '**Next:** run rollback',
      '**Who must act:** the owner of the image.',
    ].join('\n\n'),
  );
});

test('a card does not cry where nothing has failed, and says simply that nothing was touched', () => {
  const cancelled = failureCard('promote', new CancelledError('Cancelled.', { leftovers: ['nothing was touched'] }));
  expect(cancelled.split('\n\n')).toEqual([
    '### 🚫 promote: cancelled',
    'Cancelled.',
    'Nothing was touched.',
    '**Who must act:** nobody: somebody cancelled it.',
  ]);
  expect(failureCard('promote', new UnknownError('Expired.'))).toMatch(/^### ⏳ promote: unknown/);
});

test('every complaint about the settings is an item of its own', () => {
  const card = failureCard('prune', new UsageError(['"keep" is no number', '"regoin" is no setting']));
  expect(card).toContain('2 settings need attention:  \n- "keep" is no number\n- "regoin" is no setting\n\n**Who must act:** the author');
});

test('what is said after a list is none of its items', () => {
  const failure = new RejectedError('ami-1 failed:\n- web: exit code 1\n- db: exit code 2\nIt is deprecated.');
  expect(failureCard('validate', failure)).toContain('- web: exit code 1\n- db: exit code 2\n\nIt is deprecated.\n\n**Who');
});

test('what comes from outside stays text', () => {
  const card = failureCard('build', new RejectedError('<img src=x> **green** [all well](https://evil.example)\n- | a | @team'));
  expect(card).not.toMatch(/<img|\*\*green|[^\\]\]\(|@team|- \|/);
});

test('a failure that nobody foresaw keeps its stack, in a block, and asks for a report', () => {
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
  new UnknownError('Nobody knows'),
])('told again with more to it, a $name stays what it is', failure => {
  const again = withDetails(failure, { leftovers: ['i-1'] });
  expect(again).toMatchObject({ name: failure.name, outcome: failure.outcome, message: failure.message, leftovers: ['i-1'] });
});
