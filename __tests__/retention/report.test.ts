import { expect, test } from '@jest/globals';
import { AccessError, CancelledError, TimeoutError, UnknownError } from '../../src/kit/errors.ts';
import { throwIfLeft } from '../../src/retention/removal.ts';
import { fitting } from '../../src/retention/report.ts';
import type { Decision } from '../../src/retention/rules/rules.ts';

const line = (action: string, i: number) => ({
  id: `ami-${String(i).padStart(17, '0')}`,
  action,
  reason: 'used by version 7 of launch template web',
});

test('the plan of a family of thousands tells in the output only what it does, so that a job can hand it on', () => {
  const hundred = Array.from({ length: 100 }, (_, i) => line('keep', i));
  expect(fitting(hundred)).toEqual(hundred);
  const doomed = [line('remove', 1), line('mark', 2), line('unmark', 3)];
  const thousands = [...doomed, ...Array.from({ length: 10_000 }, (_, i) => line('keep', i))];
  expect(fitting(thousands)).toEqual(doomed);
});

test.each([
  ['cancelled', new CancelledError(), 'Cancelled: 0 of 1 images were removed'],
  ['access', new AccessError('Not allowed'), '0 of 1 images were removed'],
  ['timeout', new TimeoutError('AWS throttled all retries'), '0 of 1 images were removed'],
  ['unknown', new UnknownError('The credentials expired.'), '0 of 1 images were removed'],
  ['rejected', undefined, '0 of 1 images were removed'],
])('what is left undone for a reason that is %s is told as that', (outcome, failure, says) => {
  const decision = { image: { id: 'ami-1' } } as Decision;
  const left = () => throwIfLeft([{ decision, result: 'failed', remaining: [{ what: 'image ami-1', failure }] }], { count: 1 });
  expect(left).toThrow(expect.objectContaining({ outcome, message: expect.stringMatching(`^${says}`), outputs: { count: 1 } }));
});
