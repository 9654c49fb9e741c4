import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, jest, test } from '@jest/globals';
import { runnerReporter } from '../../src/adapters/reporter.ts';

test('what others say is printed without what was masked, every line of it', () => {
  const said: string[] = [];
  const spy = jest.spyOn(process.stdout, 'write').mockImplementation(text => said.push(String(text)) > 0);
  const report = runnerReporter({ now: () => 0, sleep: async () => undefined });
  report.mask('');
  report.mask('hunter2-and-more\nsecond-line');
  const masked = said.splice(0).join('');
  report.untrusted('token is hunter2-and-more, then second-line');
  spy.mockRestore();
  // Of an empty one the runner would warn.
  expect(masked.trim()).toBe('::add-mask::hunter2-and-more%0Asecond-line');
  expect(said.join('')).toContain('token is ***, then ***');
});

test('no line that carries what others say is a command to the runner', () => {
  const said: string[] = [];
  const spy = jest.spyOn(process.stdout, 'write').mockImplementation(text => said.push(String(text)) > 0);
  const report = runnerReporter({ now: () => 0, sleep: async () => undefined });
  report.info('web: AWS says: Waiting.\r\n::add-mask::a\r ##[error]b');
  report.info('plain');
  spy.mockRestore();
  const [stop, first, second, third, go, plain] = said.join('').split(/\r?\n/);
  const [, token] = /^::stop-commands::([0-9a-f-]{36})$/.exec(stop ?? '') ?? [];
  expect([first, second, third, go, plain]).toEqual(['web: AWS says: Waiting.', '::add-mask::a', ' ##[error]b', `::${token}::`, 'plain']);
});

test('how it ended stands above what was planned, and the timeline below both', async () => {
  const file = join(mkdtempSync(join(tmpdir(), 'reporter-')), 'summary');
  writeFileSync(file, '');
  const spy = jest.spyOn(process.stdout, 'write').mockImplementation(() => true);
  const before = process.env['GITHUB_STEP_SUMMARY'];
  process.env['GITHUB_STEP_SUMMARY'] = file;
  try {
    let now = 0;
    const advance = (ms: number) => {
      now += ms;
    };
    const report = runnerReporter({ now: () => now, sleep: async () => undefined });
    await report.step('Look', async () => report.summary('### Plan'));
    await report.step('Roll out "web": one', async () => advance(90_000));
    const failing = report.step('Verify', async () => Promise.reject(new Error('no')));
    await expect(failing).rejects.toThrow('no');
    report.summary('### ✅ Done', 'above');
    await report.flush();
  } finally {
    if (before === undefined) delete process.env['GITHUB_STEP_SUMMARY'];
    else process.env['GITHUB_STEP_SUMMARY'] = before;
    spy.mockRestore();
  }
  const written = readFileSync(file, 'utf8');
  const expected = [
    '### ✅ Done',
    '### Plan',
    '<details><summary>Timeline, longest: Roll out "web": one, 1m 30s</summary>',
    [
      '```mermaid',
      'gantt',
      '  dateFormat X',
      '  axisFormat %H:%M:%S',
      '  Roll out  web   one :0, 90',
      '  Verify :crit, 90, 91',
      '```',
    ].join('\n'),
    ['| Step | Took |  |', '| --- | --- | --- |', '| Roll out "web": one | 1m 30s |  |', '| Verify | 0s | ❌ |'].join('\n'),
    '</details>\n',
  ];
  expect(written).toBe(expected.join('\n\n'));
  rmSync(dirname(file), { recursive: true });
});

test('control characters do not reach the log, and one token serves all commands', () => {
  const lines: string[] = [];
  const spy = jest.spyOn(process.stdout, 'write').mockImplementation(text => lines.push(String(text)) > 0);
  const report = runnerReporter({ now: () => 0, sleep: async () => undefined });
  report.untrusted('\u001b[31mred\u001b[0m \u0000nul\u001b]0;title\u0007\ttab \u009b2J');
  report.untrusted('std::vector<int> and Foo::Bar');
  report.untrusted('  ::warning::x');
  report.untrusted('a ##[group]b');
  spy.mockRestore();
  const [shown, cpp, ...marked] = lines.join('').trimEnd().split('\n');
  expect(shown).toBe('red \ufffdnul\ufffd]0;title\ufffd\ttab \ufffd2J');
  expect(cpp).toBe('std::vector<int> and Foo::Bar');
  const [, token] = /^::stop-commands::([0-9a-f-]{36})$/.exec(marked[0] ?? '') ?? [];
  const between = (line: string) => [`::stop-commands::${token}`, line, `::${token}::`];
  expect(marked).toEqual([...between('  ::warning::x'), ...between('a ##[group]b')]);
});

test('a summary that cannot be written is a warning', async () => {
  const lines: string[] = [];
  const spy = jest.spyOn(process.stdout, 'write').mockImplementation(text => lines.push(String(text)) > 0);
  const before = process.env['GITHUB_STEP_SUMMARY'];
  process.env['GITHUB_STEP_SUMMARY'] = '/nonexistent/summary';
  try {
    const report = runnerReporter({ now: () => 0, sleep: async () => undefined });
    report.summary('### Plan');
    await report.flush();
  } finally {
    if (before === undefined) delete process.env['GITHUB_STEP_SUMMARY'];
    else process.env['GITHUB_STEP_SUMMARY'] = before;
    spy.mockRestore();
  }
  expect(lines.join('')).toMatch(/^::warning::The job summary could not be written: /m);
});
