import { readFileSync } from 'node:fs';
import { CancelCommandCommand } from '@aws-sdk/client-ssm';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { marked } from 'marked';
import { commands, hasEnded, type LabCommand } from '../../lab/ssm/command-state.ts';
import { verdictOf } from '../../src/model/verdict.ts';
import { removeWorkspaces } from '../harness.ts';
import { reportOf, type ValidateLab, validateLab } from './validate-lab.ts';

let l: ValidateLab;
let good: string;

beforeAll(async () => {
  l = await validateLab();
  good = await l.bake('good');
});
afterEach(() => {
  l.lab.faults.clear();
});
afterAll(async () => {
  await l.lab.close();
  removeWorkspaces();
});

const theCommand = () => [...commands(l.home).values()].at(-1) as LabCommand;
const verdict = (image: string) => verdictOf({ id: image, tags: l.tagsOf(image) }, { prefix: 'ami-action:', commitKey: '' }).result;

describe('the checks', () => {
  test('scenario 30: more output than Run Command returns changes no verdict, and is reported as truncated', async () => {
    const loud = "head -c 100000 /dev/zero | tr '\\\\0' x";
    const ran = await l.validate(good, {
      checks: `- {name: loud, command: "${loud}"}\n- {name: louder, severity: warn, command: "${loud}; exit 1"}`,
    });
    expect(ran.outputs['verdict']).toBe('passed');
    expect(ran.log).toMatch(/output, truncated: the last \d+ of 100000 bytes/);
  });

  test('scenario 31: a check that prints that all is well, our report and workflow commands, and exits 1, has failed', async () => {
    // Root finds out how our lines begin.
    const forged = ['begin 1 0', '0 ok 0 1 1 0 -', 'end 0'].map(line => `$(cat /tmp/ami-action-*/probe) ${line}`);
    const lines = ['PASSED', '::set-output name=verdict::passed', '::add-mask::ami', '##[endgroup]', '| ✅ | all | passed |'];
    const ran = await l.validate(good, {
      checks: `- name: liar\n  command: |\n${lines.map(line => `    echo '${line}'`).join('\n')}\n${forged.map(line => `    echo "${line}"`).join('\n')}\n    echo 0 ok 0 1 1 0 >> "$(ls -d /tmp/ami-action-*)/records"\n    exit 1`,
    });
    expect(ran.outputs).toMatchObject({ verdict: 'failed', outcome: 'rejected' });
    expect(reportOf(ran).instances[0]?.checks).toMatchObject([{ name: 'liar', ending: 'failed', reason: 'ended with exit code 1' }]);
    expect(verdict(good)).toBe('failed');
    // What it printed stands between marks that stop the runner from reading it.
    const printed = ran.log.indexOf('::add-mask::ami');
    expect(ran.log.slice(0, printed)).toMatch(/::stop-commands::[0-9a-f-]{36}\n[\s\S]*$/);
    // On the page it is text in a block, no row of a table.
    const page = await marked(ran.summary);
    expect(page).toContain('<td>liar</td>');
    expect(page).not.toMatch(/<td>all<\/td>/);
  });

  test('scenario 32: a command that is being cancelled is awaited: it may still succeed', async () => {
    const seen: string[] = [];
    const cancelling = () => {
      for (const invocation of theCommand().invocations) {
        // Cancelled too late: the script goes on to its end.
        if (invocation.startedAt !== undefined && !hasEnded(invocation))
          Object.assign(invocation, { status: 'Cancelling', details: 'Cancelling' });
        seen.push(invocation.status);
      }
    };
    l.lab.faults.add({ operation: 'GetCommandInvocation', action: { run: cancelling, at: 'before' } });
    const ran = await l.validate(good, { checks: '- command: sleep 0.5' });
    expect(ran).toMatchObject({ exitCode: 0, outputs: { verdict: 'passed' } });
    expect(seen.filter(status => status === 'Cancelling').length).toBeGreaterThan(1);
    expect(seen.at(-1)).toBe('Success');
    expect(verdict(good)).toBe('passed');
    expect(l.alive()).toEqual([]);
  });

  test('scenario 32: one that is cancelled is no verdict', async () => {
    const fresh = await l.bake('cancelled');
    const stop = l.lab.faults.add({
      operation: 'GetCommandInvocation',
      when: () => theCommand().invocations.every(({ startedAt }) => startedAt !== undefined),
      nth: 1,
      action: { run: async () => void (await l.ssm.send(new CancelCommandCommand({ CommandId: theCommand().id }))), at: 'after' },
    });
    const ran = await l.validate(fresh, { checks: '- command: sleep 20' });
    stop();
    expect(ran.outputs).toMatchObject({ verdict: 'inconclusive', outcome: 'rejected' });
    expect(ran.errors.join()).toContain(
      'could not be validated and has not passed: the command is Cancelled: a user or another process cancelled it.',
    );
    expect(verdict(fresh)).toBe('none');
    expect(l.alive()).toEqual([]);
  });

  test('a unit that does not exist is named as such', async () => {
    const ran = await l.validate(good, { checks: '- service: ordres' });
    expect(ran.errors.join()).toContain(
      '- service ordres is active and enabled: ended with exit code 1: there is no unit ordres\nNext: Fix the image and build it again. The log and the job summary have the output of each check. To debug on the instance, set "keep-on-failure: 1h" and re-run the job.',
    );
    expect(ran.summary).toMatch(
      /### ❌ web failed validation[\s\S]*\*\*service ordres is active and enabled\*\* ended with exit code 1:\n\n```[\s\S]*there is no unit ordres/,
    );
  });

  test('fifty checks cost one command', async () => {
    const mark = l.lab.calls.mark();
    const checks = Array.from({ length: 50 }, (_, i) => `- {name: c${i}, command: "test ${i} -ge 0"}`).join('\n');
    const ran = await l.validate(good, { checks });
    expect(ran.outputs).toMatchObject({ verdict: 'passed', passed: '50' });
    expect(l.lab.calls.count('SendCommand', mark)).toBe(1);
  });

  test('a suite of the repository runs unchanged with its files; result files are written for other tools', async () => {
    const files = {
      'tests/suite.sh': '#!/bin/sh\n. ./lib/goss.sh\ngoss /etc/os-release\ngoss /no/such\n',
      'tests/lib/goss.sh': 'goss() { test -e "$1" && echo "ok $1" || { echo "not ok $1"; exit 3; }; }\n',
    };
    const ran = await l.validate(
      good,
      { checks: '- {name: suite, script: tests/suite.sh, files: [tests/lib]}', junit: 'out/junit.xml', json: 'out/report.json' },
      { files },
    );
    expect(ran.errors.join()).toContain('- suite: ended with exit code 3: not ok /no/such');
    expect(readFileSync(`${ran.workspace}/out/junit.xml`, 'utf8')).toContain(
      '<failure message="ended with exit code 3">ok /etc/os-release\nnot ok /no/such\n</failure>',
    );
    expect(JSON.parse(readFileSync(`${ran.workspace}/out/report.json`, 'utf8')).instances[0].checks[0].output).toContain('not ok /no/such');
  });

  test('a file that does not exist is reported before a launch', async () => {
    const mark = l.lab.calls.mark();
    const ran = await l.validate(good, { checks: '- script: tests/none.sh\n- {script: a.sh, files: [b]}' });
    expect(ran.outputs['outcome']).toBe('usage');
    expect(ran.errors.join()).toMatch(/"checks\[1\]" names tests\/none.sh[\s\S]*"checks\[2\]" names a.sh[\s\S]*"checks\[2\]" names b/);
    expect(l.lab.calls.count(undefined, mark)).toBe(0);
  });

  test('several types are tested in parallel, and one failure fails the image', async () => {
    const checks = '- {name: has two gigabytes, command: "test -e /etc/os-release"}';
    const ran = await l.validate(good, { checks, 'test-instance-types': 't3.micro\nt3.small' });
    expect(reportOf(ran).instances.map(({ instanceType, result }) => [instanceType, result])).toEqual([
      ['t3.micro', 'passed'],
      ['t3.small', 'passed'],
    ]);
    l.lab.faults.add({ operation: 'SendCommand', nth: 1, action: { error: 'AccessDeniedException' } });
    const half = await l.validate(good, { checks, 'test-instance-types': 't3.micro\nt3.small' });
    expect(
      reportOf(half)
        .instances.map(({ result }) => result)
        .sort(),
    ).toEqual(['inconclusive', 'passed']);
    expect(half.outputs['verdict']).toBe('inconclusive');
    expect(l.alive()).toEqual([]);
  });

  test('run once where the answer to the request was lost, so that it is repeated', async () => {
    const disarm = l.lab.faults.add({ operation: 'SendCommand', nth: 1, action: { reset: 'after' } });
    const before = l.lab.calls.mark();
    const ran = await l.validate(good, { checks: '- command: echo >> /run/times; sleep 1; test $(wc -l < /run/times) = 1' });
    disarm();
    expect([l.lab.calls.count('SendCommand', before), ran.errors, ran.outputs['verdict']]).toEqual([2, [], 'passed']);
  });

  test('after a reboot they run again, in another boot', async () => {
    const before = l.lab.calls.mark();
    const checks =
      '- {name: survives, command: "test ! -e /run/once && touch /run/once"}\n- {name: fails later, command: "test ! -e /var/once; touch /var/once"}';
    const ran = await l.validate(good, { checks, reboot: 'true' });
    expect(ran.outputs['verdict']).toBe('failed');
    expect(ran.errors.join()).toMatch(/after a reboot, 1 of 2 checks failed.\n- fails later: ended with exit code 1/);
    expect(l.lab.calls.count('RebootInstances', before)).toBe(1);
  });

  test('what the first boot made does not come from the build after a reboot either', async () => {
    const made = 'test -e /root/.netrc || { echo secret > /root/.netrc; sleep 4; }';
    const ran = await l.validate(good, {
      checks: `- { name: makes a file, command: ${JSON.stringify(made)} }\n- no-leftovers`,
      reboot: 'true',
    });
    expect([ran.errors, ran.outputs['verdict']]).toEqual([[], 'passed']);
  });

  test('a boot that takes longer than it may fails the image', async () => {
    const ran = await l.validate(good, { 'max-boot-time': '2s' });
    expect(ran.outputs['verdict']).toBe('failed');
    expect(ran.errors.join()).toMatch(/launch to agent took [\dms ]+, "max-boot-time" is 2s/);
  });

  test('gates refuse the image without an instance', async () => {
    const mark = l.lab.calls.mark();
    const ran = await l.validate(good, { require: 'encrypted, private', 'base-max-age': '30d' });
    expect(ran.outputs).toMatchObject({ verdict: 'failed', outcome: 'rejected' });
    expect(ran.errors.join()).toContain('not all of its volumes are encrypted; the age of its base image is unknown');
    expect(l.lab.calls.count('RunInstances', mark)).toBe(0);
    expect(verdict(good)).toBe('failed');
  });
});
