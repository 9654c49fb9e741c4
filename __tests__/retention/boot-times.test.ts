import { expect, test } from '@jest/globals';
import { bootTimes, formatBoot } from '../../src/retention/rules/boot-times.ts';

const instance = (id: string, imageId: string) => ({ id, imageId });
const family = new Set(['ami-1', 'ami-2']);

test.each([
  ['nothing known', [], [], undefined, undefined, ''],
  ['one of the family', [instance('i-1', 'ami-1')], [['i-1', 72]], 72, undefined, '1m 12s'],
  [
    'the one in the middle, and the lower of two',
    [instance('i-1', 'ami-1'), instance('i-2', 'ami-2'), instance('i-3', 'ami-2'), instance('i-4', 'ami-0'), instance('i-5', 'ami-0')],
    [
      ['i-1', 90],
      ['i-2', 60],
      ['i-3', 300],
      ['i-4', 400],
      ['i-5', 500],
    ],
    90,
    400,
    '1m 30s (other images: 6m 40s)',
  ],
  ['no launch of this instance', [instance('i-1', 'ami-1')], [['i-2', 60]], undefined, undefined, ''],
  ['an instance whose image EC2 no longer names', [instance('i-1', '')], [['i-1', 60]], undefined, undefined, ''],
  ['only others', [instance('i-1', 'ami-0')], [['i-1', 400]], undefined, 400, ''],
] as const)('%s', (_, instances, seconds, ofFamily, ofOthers, shown) => {
  const times = bootTimes(instances, new Map(seconds as readonly (readonly [string, number])[]), family);
  expect([times, formatBoot(times).replaceAll('\u00a0', ' ')]).toEqual([{ ofFamily, ofOthers }, shown]);
});
