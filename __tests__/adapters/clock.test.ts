import { expect, test } from '@jest/globals';
import { systemClock } from '../../src/adapters/clock.ts';

const clock = (environment: NodeJS.ProcessEnv = {}) => systemClock(new AbortController().signal, environment);
const HOUR = 3_600_000;

test('the clock takes over a time that differs by more than a minute, and says by how much', () => {
  const own = clock();
  const behind = own.follow(Date.now() + 2 * HOUR);
  expect(Math.abs((behind ?? 0) - 2 * HOUR)).toBeLessThan(1000);
  expect(Math.abs(own.now() - Date.now() - 2 * HOUR)).toBeLessThan(1000);
  expect(own.follow(Date.now() + 2 * HOUR)).toBeUndefined();
  const ahead = own.follow(Date.now() - 3 * HOUR);
  expect(Math.abs((ahead ?? 0) + 3 * HOUR)).toBeLessThan(1000);
  expect(Math.abs(own.now() - Date.now() + 3 * HOUR)).toBeLessThan(1000);
});

test.each([-59_000, 0, 59_000])('a difference of %i ms is none: the header counts seconds, and an answer takes a while', difference => {
  const own = clock();
  expect(own.follow(Date.now() + difference)).toBeUndefined();
  expect(Math.abs(own.now() - Date.now())).toBeLessThan(1000);
});

test('a clock of the lab that runs fast follows no header', () => {
  expect(clock({ AMI_ACTION_CLOCK_SPEED: '60', AWS_ENDPOINT_URL: 'http://127.0.0.1:1' }).follow(0)).toBeUndefined();
});
