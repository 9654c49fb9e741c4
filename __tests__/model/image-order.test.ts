import { expect, test } from '@jest/globals';
import { builtAt, type Image, newestFirst } from '../../src/model/image.ts';

const scheme = { prefix: 'ami-action:', commitKey: 'ami-action:commit' };
const image = (id: string, createdAt: string | undefined, tag?: string) =>
  ({ id, createdAt: createdAt && new Date(createdAt), tags: tag === undefined ? {} : { 'ami-action:created-at': tag } }) as Image;

test.each([
  ['the tag, which copies keep', image('a', '2026-05-02T00:00:00Z', '2026-04-01T00:00:00Z'), '2026-04-01T00:00:00.000Z'],
  ['the date of AWS without a tag', image('a', '2026-05-02T00:00:00Z'), '2026-05-02T00:00:00.000Z'],
  ['the date of AWS with a tag that is no date', image('a', '2026-05-02T00:00:00Z', 'last week'), '2026-05-02T00:00:00.000Z'],
  ['the tag where AWS gives no date', image('a', undefined, '2026-04-01T00:00:00Z'), '2026-04-01T00:00:00.000Z'],
])('an image is built at %s', (_, one, at) => {
  expect(new Date(builtAt(one, scheme) ?? 0).toISOString()).toBe(at);
});

test('an image without any date is of unknown age', () => {
  expect(builtAt(image('a', undefined), scheme)).toBeUndefined();
});

test('the newest build comes first although an older one was copied later, and an image without a date comes last', () => {
  const v7 = image('v7', '2026-06-02T00:00:00Z', '2026-05-07T00:00:00Z');
  const v8 = image('v8', '2026-06-01T00:00:00Z', '2026-05-08T00:00:00Z');
  const undated = image('z', undefined);
  for (const order of [
    [v7, undated, v8],
    [undated, v8, v7],
    [v8, v7, undated],
  ])
    expect([...order].sort(newestFirst(scheme)).map(({ id }) => id)).toEqual(['v8', 'v7', 'z']);
});

test('images of one moment have an order, whatever the listing', () => {
  const [a, b] = [image('a', '2026-06-01T00:00:00Z'), image('b', '2026-06-01T00:00:00Z')];
  for (const order of [
    [a, b],
    [b, a],
  ])
    expect([...order].sort(newestFirst(scheme)).map(({ id }) => id)).toEqual(['b', 'a']);
});
