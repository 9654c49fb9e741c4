import { expect, test } from '@jest/globals';
import { fitting } from '../../../src/steps/retention/report.ts';

const line = (action: string, i: number) => ({
  id: `ami-${String(i).padStart(17, '0')}`,
  action,
  because: 'used by version 7 of launch template web',
});

test('the plan of a family of thousands tells in the output only what it does, so that a job can hand it on', () => {
  const hundred = Array.from({ length: 100 }, (_, i) => line('keep', i));
  expect(fitting(hundred)).toEqual(hundred);
  const doomed = [line('remove', 1), line('mark', 2), line('unmark', 3)];
  const thousands = [...doomed, ...Array.from({ length: 10_000 }, (_, i) => line('keep', i))];
  expect(fitting(thousands)).toEqual(doomed);
});
