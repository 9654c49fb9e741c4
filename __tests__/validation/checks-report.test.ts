import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { type Check, checksSchema } from '../../src/validation/rules/checks.ts';
import { type CommandStatus, evaluateChecks } from '../../src/validation/rules/checks-report.ts';

const NONCE = 'c0ffee00c0ffee00';
const checksOf = (text: string): readonly Check[] => checksSchema().parse(parse(text, { schema: 'failsafe' }));

describe('the answer of Run Command', () => {
  const checks = checksOf('- {name: a, command: x}\n- {name: b, command: y, severity: warn}');
  const report = (...endings: readonly string[]) =>
    [`begin ${endings.length} abc-1@5`, ...endings.map((how, i) => `${i} ${how} ${how === 'ok' ? 0 : 1} 5 1 0 -`), 'end 0']
      .map(line => `${NONCE} ${line}`)
      .join('\n');
  const seen = (status: string, exitCode: number, output = '', detail = status): CommandStatus => ({
    status,
    detail,
    exitCode,
    output,
    errors: '',
  });

  test.each(['Pending', 'InProgress', 'Delayed', 'Cancelling'])('scenario 32: %s is not the end', status => {
    expect(evaluateChecks(seen(status, -1), checks, NONCE)).toMatchObject({ state: 'waiting' });
  });

  test('a command that the API does not know yet is waited for', () => {
    expect(evaluateChecks(undefined, checks, NONCE)).toMatchObject({ state: 'waiting' });
  });

  test.each([
    ['Success', 0, report('ok', 'ok'), 'passed', 'all 2 checks passed'],
    ['Success', 0, report('ok', 'code'), 'passed', '1 of 2 checks passed, the others are warnings'],
    ['Success', 0, report('code', 'ok'), 'failed', '1 of 2 checks failed'],
    ['Success', 0, '', 'inconclusive', 'without the report of the checks: another script ran'],
    ['Success', 0, 'PASSED\nall checks passed', 'inconclusive', 'without the report of the checks: another script ran'],
    [
      'Success',
      0,
      report('ok', 'ok').replaceAll(NONCE, 'someoneelse'),
      'inconclusive',
      'without the report of the checks: another script ran',
    ],
    ['Success', 0, report('ok', 'ok').slice(0, 40), 'passed', 'The report was cut'],
    ['Success', 1, report('ok', 'ok'), 'failed', '(exit code 1)'],
    ['Failed', 1, report('code', 'ok'), 'failed', '1 of 2 checks failed'],
    ['Failed', 1, report('ok', 'ok').slice(0, 40), 'failed', 'it may not be listed'],
    ['Failed', 0, report('ok', 'ok'), 'inconclusive', 'the command is Failed with exit code 0'],
    ['Failed', 137, report('ok', 'ok'), 'inconclusive', 'did not run to their end'],
    ['Failed', -1, '', 'inconclusive', 'did not run to their end'],
    ['TimedOut', -1, '', 'inconclusive', 'the instance or its agent stopped answering'],
    ['TimedOut', 0, report('ok', 'ok'), 'inconclusive', 'the instance or its agent stopped answering'],
    ['Cancelled', 0, report('ok', 'ok'), 'inconclusive', 'a user or another process cancelled it'],
  ])('%s with exit code %i and %j is %s', (status, exitCode, output, result, reason) => {
    const look = evaluateChecks(seen(status, exitCode, output), checks, NONCE);
    expect(look).toMatchObject({ state: 'done', value: { result, reason: expect.stringContaining(reason) } });
  });

  test.each([
    ['TimedOut', 'DeliveryTimedOut', 'inconclusive', true],
    ['TimedOut', 'Delivery Timed Out', 'inconclusive', true],
    ['Failed', 'Undeliverable', 'inconclusive', true],
    ['TimedOut', 'ExecutionTimedOut', 'failed', false],
    ['TimedOut', 'Execution Timed Out', 'failed', false],
    ['Cancelled', 'Cancelled', 'inconclusive', false],
    ['Failed', 'Failed', 'inconclusive', false],
  ])('%s (%s) is %s; whether the machine was lost: %s', (status, detail, result, lost) => {
    expect(evaluateChecks(seen(status, 137, '', detail), checks, NONCE)).toMatchObject({ state: 'done', value: { result, lost } });
  });

  test('a full disk is reported as such', () => {
    const full = { ...seen('Failed', 90), errors: 'no room for a file in /tmp, /dev/shm or /run: the disk is full' };
    expect(evaluateChecks(full, checks, NONCE)).toMatchObject({
      value: { result: 'failed', reason: expect.stringContaining('the disk is full') },
    });
  });

  test('output before our report is ignored', () => {
    const before = `${report('ok', 'ok')}\n${report('code', 'ok')}`;
    expect(evaluateChecks(seen('Failed', 1, before), checks, NONCE)).toMatchObject({
      value: { result: 'failed', reason: '1 of 2 checks failed' },
    });
  });

  test('of two records for one check the first counts', () => {
    const twice = `${NONCE} begin 2 a-1@5\n${NONCE} 0 code 1 1 1 0 -\n${NONCE} 0 ok 0 1 1 0 -\n${NONCE} 1 ok 0 1 1 0 -\n${NONCE} end 1`;
    expect(evaluateChecks(seen('Failed', 1, twice), checks, NONCE)).toMatchObject({ value: { result: 'failed' } });
  });

  const reasonOf = (of: CommandStatus | undefined, among = checks) => {
    const found = evaluateChecks(of, among, NONCE);
    return found.state === 'done' ? found.value.reason : found.state === 'waiting' ? found.note : '';
  };

  test('one check is no list', () => {
    const one = checksOf('- {name: a, command: x, severity: warn}');
    expect([reasonOf(seen('Success', 0, report('ok')), one), reasonOf(seen('Success', 0, report('code')), one)]).toEqual([
      'the check passed',
      '0 of 1 check passed, the others are warnings',
    ]);
  });

  test('the status with its detail, where that says more', () => {
    expect([
      reasonOf(undefined),
      ...[
        ['InProgress', 'In Progress'],
        ['Pending', ''],
        ['Delayed', 'Rate Exceeded'],
      ].map(([status = '', detail]) => reasonOf(seen(status, -1, '', detail))),
    ]).toEqual(['Systems Manager does not show the command yet', 'InProgress', 'Pending', 'Delayed (Rate Exceeded)']);
  });

  test('the last line of the errors, as far as it is one', () => {
    const ended = (errors: string, exitCode = 2) => reasonOf({ ...seen('Failed', exitCode), errors });
    const did = 'the command is Failed with exit code 2: the checks did not run to their end';
    expect([ended(''), ended(' \n'), ended('a\nb\n'), ended('x'.repeat(400)), ended('', 90), ended('full\n', 90)]).toEqual([
      did,
      did,
      `${did}: b`,
      `${did}: ${'x'.repeat(300)}`,
      'the checks could not start: no reason given',
      'the checks could not start: full',
    ]);
  });

  test('checks that were killed, and what is not in the report', () => {
    expect(reasonOf(seen('TimedOut', 137, '', 'ExecutionTimedOut'))).toBe(
      'the checks did not end in time and the agent killed them. Increase "checks-timeout", or fix a check that blocks',
    );
    const cut = evaluateChecks(seen('Success', 0, report('ok')), checks, NONCE);
    expect(cut).toMatchObject({
      value: {
        complete: false,
        checks: [
          { name: 'a', ending: 'passed' },
          { name: 'b', ending: 'not run', reason: 'is not in the report', seconds: 0, tries: 0, output: '', bytes: 0 },
        ],
      },
    });
  });

  test('why each check did not pass', () => {
    const all = checksOf(
      '- {name: a, command: x}\n- {name: b, command: x, exit-code: 3}\n- {name: c, command: x, time-limit: 30s}\n- {name: d, command: x}\n- {name: e, command: x, exit-code: 3}',
    );
    const found = evaluateChecks(seen('Failed', 1, report('code', 'code', 'time', 'skipped', 'ok')), all, NONCE);
    expect(found.state === 'done' && found.value.checks.map(({ ending, reason }) => `${ending}: ${reason}`)).toEqual([
      'failed: ended with exit code 1',
      'failed: ended with exit code 1, not 3',
      'failed: exceeded its time limit of 30 s',
      'failed: was not run: "checks-timeout" was reached',
      'passed: ended with exit code 3, as expected',
    ]);
  });
});
