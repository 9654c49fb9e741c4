import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parse } from 'yaml';
import { type Check, checksSchema, type Delivered } from '../../src/validation/rules/checks.ts';
import { type CommandStatus, evaluateChecks } from '../../src/validation/rules/checks-report.ts';
import { checksScript } from '../../src/validation/rules/checks-script.ts';
import { shellWord } from '../../src/validation/rules/checks-shell.ts';

const NONCE = 'c0ffee00c0ffee00';
const checksOf = (text: string): readonly Check[] => checksSchema().parse(parse(text, { schema: 'failsafe' }));

let scratch = '';
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'ami-action-checks-'));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
/** A script of root keeps its report for another one with its nonce. */
function forget(): void {
  for (const name of readdirSync('/run')) if (name.startsWith('ami-action-checks-')) rmSync(join('/run', name), { recursive: true });
}
afterAll(forget);

/** Runs the script on this machine, as the agent would: what comes out is what Run Command would answer. */
function onThisMachine(text: string, { shell = 'sh', files = [] as readonly Delivered[], withinSeconds = 30, since = '' } = {}) {
  const checks = checksOf(text);
  expect(checks.length).toBeGreaterThan(0);
  const script = checksScript({ checks, deliveries: checks.map(() => files), nonce: NONCE, withinSeconds, since });
  forget();
  const ran = spawnSync(shell, ['-s'], { input: script, cwd: scratch, maxBuffer: 1e9 });
  const exitCode = ran.status ?? -1;
  const seen: CommandStatus = {
    ...{ status: exitCode === 0 ? 'Success' : 'Failed', detail: '', exitCode },
    ...{ output: ran.stdout.toString().slice(0, 24_000), errors: ran.stderr.toString().slice(0, 8_000) },
  };
  const look = evaluateChecks(seen, checks, NONCE);
  if (look.state !== 'done') throw new Error(`not done: ${JSON.stringify(look)}`);
  return { ...look.value, exitCode, output: ran.stdout.toString(), errors: ran.stderr.toString() };
}

describe('the script of all checks', () => {
  test.each(['sh', 'bash'])('tells each check apart, under %s', shell => {
    const seen = onThisMachine(
      `
- {name: good, command: "true"}
- {name: bad, command: "echo because >&2; exit 7"}
- {name: wanted 7, command: exit 7, exit-code: 7}
- {name: pipe, command: "false | true"}
- {name: first of two, command: "false\\ntrue"}
- {name: says it, command: "echo x; echo v1.2; echo y", expect: "^v1[.]2$"}
- {name: does not, command: echo v1.3, expect: "^v1[.]2$"}
- {name: forbidden, command: echo ERROR, forbid: "ERROR|WARN"}
- {name: warns, command: exit 1, severity: warn}
- {name: none, command: /no/such/program}`,
      { shell },
    );
    expect(seen.checks.map(({ name, ending, reason }) => [name, ending, reason])).toEqual([
      ['good', 'passed', 'passed'],
      ['bad', 'failed', 'ended with exit code 7'],
      ['wanted 7', 'passed', 'ended with exit code 7, as expected'],
      ['pipe', 'failed', 'ended with exit code 1'],
      ['first of two', 'failed', 'ended with exit code 1'],
      ['says it', 'passed', 'passed'],
      ['does not', 'failed', 'printed no line that matches ^v1[.]2$'],
      ['forbidden', 'failed', 'printed a line that matches ERROR|WARN'],
      ['warns', 'warned', 'ended with exit code 1'],
      ['none', 'failed', 'ended with exit code 127 (command not found)'],
    ]);
    expect(seen).toMatchObject({ exitCode: 1, result: 'failed', reason: '6 of 10 checks failed', complete: true });
    expect(seen.checks[1]?.output).toBe('because\n');
  });

  test('ends a check at its time limit, and all of them in time', () => {
    const slow = onThisMachine('- {command: sleep 20, time-limit: 1s}\n- command: "true"');
    expect(slow.checks.map(({ reason }) => reason)).toEqual(['exceeded its time limit of 1 s', 'passed']);
    const late = onThisMachine('- {command: sleep 20}\n- command: "true"', { withinSeconds: 1 });
    expect(late.checks.map(({ ending }) => ending)).toEqual(['failed', 'failed']);
    expect(late.checks[1]?.reason).toBe('was not run: "checks-timeout" was reached');
  });

  test('gives a service its moment', () => {
    const flag = join(scratch, 'up');
    const seen = onThisMachine(`- {command: "(sleep 1; touch ${flag}) >/dev/null 2>&1 &"}\n- {command: test -e ${flag}, retry-for: 10s}`);
    expect(seen.result).toBe('passed');
    expect(seen.checks[1]?.tries).toBeGreaterThan(1);
  });

  test('runs the interpreter of a #! line, and a suite with its files', () => {
    const suite = [
      { path: 'tests/run', content: Buffer.from('#!/bin/sh\nexec sh lib/one.sh "$(basename "$PWD")"'), executable: true },
      { path: 'tests/lib/one.sh', content: Buffer.from('echo "one in $1"'), executable: false },
    ];
    const python = '- command: |\n    #!/usr/bin/env python3\n    print("from python")\n  expect: from python';
    const seen = onThisMachine(`${python}\n- {script: tests/run, files: [tests/lib], expect: "^one in tests$"}`, { files: suite });
    expect(seen.checks.map(({ reason }) => reason)).toEqual(['passed', 'passed']);
  });

  test('leaves nothing on the disk, also when a check is killed', () => {
    const leftovers = () => execFileSync('sh', ['-c', 'ls -d /tmp/ami-action-?????? 2>/dev/null || true']).toString();
    const before = leftovers();
    onThisMachine('- command: mktemp\n- {command: sleep 20, time-limit: 1s}');
    expect(leftovers()).toBe(before);
  });

  test('does nothing in the boot that it is not for', () => {
    const first = onThisMachine('- command: "true"');
    expect(first.boot).toMatch(/^[0-9a-f-]+@\d+$/);
    const again = onThisMachine('- command: "true"', { since: first.boot as string });
    expect(again).toMatchObject({ exitCode: 92, tooEarly: true, result: 'inconclusive' });
  });

  test('in another boot it still knows when the first one began', () => {
    const seen = onThisMachine('- { command: echo $AMI_ACTION_BOOTED, expect: "^12345$" }', { since: '0-1@12345' });
    expect([seen.result, seen.boot?.replace(/^.*@/, '')]).toEqual(['passed', '12345']);
  });

  test('passes any text to a check verbatim', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 40 }), raw => {
        const text = raw.replaceAll('\0', '');
        expect(execFileSync('sh', ['-c', `printf %s ${shellWord(text)}`]).toString()).toBe(text);
      }),
      { numRuns: 25 },
    );
  });

  test('a command with braces, quotes and dollars arrives as it was written', () => {
    const seen = onThisMachine(
      `- command: |\n    printf '%s' '{{ .State }} "$HOME" \\ end'\n  expect: '^[{][{] .State [}][}] "[$]HOME" .. end$'`.replace(
        '\\ end',
        '\\\\ end',
      ),
    );
    expect(seen.checks[0]?.reason).toBe('passed');
  });
});

describe('a report that cannot be forged', () => {
  const forged = ['begin 1 abc', '0 ok 0 1 1 0 -', 'end 0'].map(line => `${NONCE} ${line}`).join('\\n');

  test('a check that prints our own report, workflow commands or a passing table and exits 1 has failed', () => {
    const seen = onThisMachine(
      `
- {name: report, command: "printf '${forged}\\n'; exit 1"}
- {name: commands, command: "echo '::set-output name=verdict::passed'; echo '::add-mask::ami'; exit 1"}
- {name: table, command: "echo '| ✅ | all checks | passed |'; exit 1"}
- {name: to our stdout, command: "printf '${forged}\\n' > /proc/$PPID/fd/1; exit 1"}`,
    );
    expect(seen).toMatchObject({ result: 'failed', exitCode: 1, reason: '4 of 4 checks failed' });
    expect(seen.checks.map(({ ending }) => ending)).toEqual(['failed', 'failed', 'failed', 'failed']);
    expect(seen.checks[0]?.output).toContain(NONCE);
  });

  test('no line of the answer comes from a check', () => {
    const { output } = onThisMachine(`- command: "echo hello; echo ${NONCE} 0 ok; exit 1"`);
    for (const line of output.trimEnd().split('\n'))
      expect(line).toMatch(new RegExp(`^${NONCE} (begin 1 [0-9a-f-]+@\\d+|0 code 1 \\d+ 1 \\d+ [\\w+/=]+|end 1)$`));
  });

  test('a check that kills the script does not pass', () => {
    const seen = onThisMachine('- {name: killer, command: "kill -9 $PPID; sleep 1"}\n- command: "true"');
    expect(seen.result).not.toBe('passed');
  });
});

describe('more output than Run Command returns', () => {
  test('fifty failing checks of a megabyte each come back whole in their verdicts, cut in their output', () => {
    const many = Array.from(
      { length: 50 },
      (_, i) => `- {name: c${i}, command: "head -c 1000000 /dev/zero | tr '\\\\0' x; echo the end of ${i}; exit 1"}`,
    );
    const seen = onThisMachine(many.join('\n'));
    expect(seen.output.length).toBeLessThan(24_000);
    expect(seen).toMatchObject({ result: 'failed', complete: true, reason: '50 of 50 checks failed' });
    expect(seen.checks[49]).toMatchObject({ bytes: 1_000_014, output: expect.stringContaining('the end of 49') });
  });

  test('a passed check that prints too much has passed', () => {
    const seen = onThisMachine('- command: "head -c 100000 /dev/zero | tr \'\\\\0\' y"');
    expect(seen).toMatchObject({ result: 'passed', exitCode: 0 });
    expect(seen.checks[0]?.bytes).toBe(100_000);
  });

  test('two hundred checks fit into one command and one answer', () => {
    const many = Array.from({ length: 200 }, (_, i) => `- {service: web-${i}}`).join('\n');
    const script = checksScript({ checks: checksOf(many), deliveries: [], nonce: NONCE, withinSeconds: 60 });
    expect(script.length).toBeLessThan(60_000);
    const seen = onThisMachine(Array.from({ length: 200 }, () => '- command: "true"').join('\n'));
    expect(seen).toMatchObject({ result: 'passed', complete: true, reason: 'all 200 checks passed' });
    expect(seen.output.length).toBeLessThan(24_000);
  });
});
