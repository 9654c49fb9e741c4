import { expect, jest, test } from '@jest/globals';
import { runnerReporter } from '../../src/adapters/reporter.ts';

test('what others say is printed without what was masked, every line of it', () => {
  const said: string[] = [];
  const spy = jest.spyOn(process.stdout, 'write').mockImplementation(text => said.push(String(text)) > 0);
  const report = runnerReporter({ now: () => 0, sleep: async () => undefined });
  report.mask('hunter2-and-more\nsecond-line');
  said.length = 0;
  report.foreign('token is hunter2-and-more, then second-line');
  spy.mockRestore();
  expect(said.join('')).toContain('token is ***, then ***');
});
