import { expect, test } from '@jest/globals';
import { AccessError, CancelledError, TimeoutError, UnknownError } from '../../src/kit/errors.ts';
import { throwIfIncomplete } from '../../src/retention/removal.ts';
import { shortened } from '../../src/retention/report.ts';
import type { Decision } from '../../src/retention/rules/rules.ts';

const line = (action: string, i: number) => ({
  id: `ami-${String(i).padStart(17, '0')}`,
  action,
  reason: 'used by version 7 of launch template web',
});

test('the output of a plan with thousands of images has only its changes, so that a job can output it', () => {
  const hundred = Array.from({ length: 100 }, (_, i) => line('keep', i));
  expect(shortened(hundred)).toEqual(hundred);
  const doomed = [line('remove', 1), line('mark', 2), line('unmark', 3)];
  const thousands = [...doomed, ...Array.from({ length: 10_000 }, (_, i) => line('keep', i))];
  expect(shortened(thousands)).toEqual(doomed);
});

test.each([
  ['cancelled', new CancelledError(), 'Cancelled: 0 of 1 image was removed; 1 action is incomplete.'],
  ['access', new AccessError('Not allowed'), '0 of 1 image was removed; 1 action is incomplete.'],
  ['timeout', new TimeoutError('AWS throttled all retries'), '0 of 1 image was removed; 1 action is incomplete.'],
  ['unknown', new UnknownError('The credentials expired.'), '0 of 1 image was removed; 1 action is incomplete.'],
  ['rejected', undefined, '0 of 1 image was removed; 1 action is incomplete.'],
])('a failure with outcome %s gives the run that outcome', (outcome, failure, message) => {
  const decision = { image: { id: 'ami-1' } } as Decision;
  const left = () => throwIfIncomplete([{ decision, result: 'failed', remaining: [{ what: 'image ami-1', failure }] }], { count: 1 });
  expect(left).toThrow(expect.objectContaining({ outcome, message: expect.stringMatching(`^${message}`), outputs: { count: 1 } }));
});
