import { spawnSync } from 'node:child_process';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { type Check, checksHash, checksSchema, type Delivered } from '../../src/validation/rules/checks.ts';
import { readyMade } from '../../src/validation/rules/checks-ready.ts';

const yaml = (text: string) => checksSchema().safeParse(parse(text, { schema: 'failsafe' }));
const checksOf = (text: string): readonly Check[] => yaml(text).data ?? [];
const problems = (text: string) => yaml(text).error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`) ?? [];

describe('declared checks', () => {
  test('have sensible defaults', () => {
    expect(checksOf('- command: test -x /opt/web/bin/web')[0]).toMatchObject({
      name: 'test -x /opt/web/bin/web',
      exitCode: 0,
      severity: 'fail',
      timeLimitSeconds: 60,
      retryForSeconds: 0,
    });
  });

  test('accept every key', () => {
    const said =
      '- {name: web, command: "web --version", exit-code: 3, expect: "^1[.]2", forbid: beta, severity: warn, time-limit: 2m, retry-for: 90s}';
    expect(checksOf(said)[0]).toMatchObject({
      ...{ name: 'web', exitCode: 3, expect: '^1[.]2', forbid: 'beta', severity: 'warn' },
      ...{ timeLimitSeconds: 120, retryForSeconds: 90 },
    });
  });

  test('ready-made ones are named bare, short, or in full', () => {
    const names = checksOf(`
- cloud-init
- no-failed-units: true
- service: web
- service: { name: batch, enabled: false }
- port: 8080
- http: { port: 8080, path: /health, status: 204 }
- path: /opt/web
- path: { path: /opt/web/run, type: executable, owner: "web:web", mode: "0750" }
- package: { name: nginx, version: 1.24 }
- disk: { path: /var, free: 20% }
- no-leftovers: { except: [/root/.ssh/authorized_keys] }
- ssm-agent`).map(({ name }) => name);
    expect(names).toEqual([
      'cloud-init has finished without errors',
      'no failed units',
      'service web is active and enabled',
      'service batch is active',
      'port 8080 is open',
      'GET http://localhost:8080/health answers 204',
      'path /opt/web',
      'path /opt/web/run is executable',
      'package nginx 1.24',
      'disk /var has free space',
      'no keys, history or credentials from the build',
      'the SSM agent is enabled',
    ]);
  });

  test.each([
    ['[]', ': must have at least one check'],
    ['hello', ': must be a list of checks, each beginning with "- "'],
    ['- hello', '0: must be one check: one of service, port,'],
    ['- systemctl is-active web', '0: is text: write "command: systemctl is-active web"'],
    ['- {name: x}', '0: must be one check: one of service, port,'],
    ['- {prot: 8080}', '0: has an unknown key "prot", did you mean "port"?'],
    ['- {command: x, tme-limit: 5s}', '0: has an unknown key "tme-limit", did you mean "time-limit"?'],
    ['- {path: /x, type: file}', '0: has "type" next to "path": write path: { path, type, owner, mode }'],
    ['- {service: web, port: 80}', '0: has service and port: write them as separate checks'],
    ['- port: 80800', '0.port: must be a port from 1 to 65535'],
    ['- port: http', '0.port: must be a port from 1 to 65535'],
    ['- http: {prot: 80}', '0.http: has unknown prot, it takes port, path, status, host, tls: write http: { port: 8080, path: /health }'],
    ['- http: {path: health}', '0.http.path: must be a path'],
    ['- path: opt/web', '0.path.path: must be an absolute path'],
    ['- disk: {free: 10}', '0.disk.free: must be a share such as 10%'],
    ['- service: --now', '0.service.name: must be the name of a unit'],
    ['- cloud-init: maybe', '0.cloud-init: takes nothing but "done"'],
    ['- {command: x, severity: error}', '0.severity: must be fail or warn'],
    ['- {command: x, time-limit: 5}', '0.time-limit: must be a duration such as 30s or 5m'],
    ['- {command: x, exit-code: 256}', '0.exit-code: must be 0 to 255'],
    ['- {command: x, expect: "("}', '0.expect: must be an extended regular expression'],
  ])('%s is refused with what would be right', (text, problem) => {
    expect(problems(text).join('\n')).toContain(problem);
  });

  test('all problems are reported together, each with its place', () => {
    const said = problems('- port: 0\n- command: x\n  severity: fatal\n- disk: {free: much}');
    expect(said.map(line => line.split(':')[0])).toEqual(['0.port', '1.severity', '2.disk.free']);
  });

  test('every ready-made check has a doc, and shell that sh and bash understand', () => {
    const said = [
      'service: web',
      'port: 1',
      'http: {}',
      'path: /x',
      'package: {name: x, version: 1}',
      'disk',
      'cloud-init',
      'no-failed-units',
    ];
    const all = checksOf([...said, 'no-leftovers', 'ssm-agent'].map(item => `- ${item}`).join('\n'));
    expect(all).toHaveLength(Object.keys(readyMade).length);
    for (const { command } of all)
      for (const shell of ['sh', 'bash']) expect(spawnSync(shell, ['-n'], { input: command }).stderr.toString()).toBe('');
    for (const { doc } of Object.values(readyMade)) expect(doc.length).toBeGreaterThan(20);
  });
});

describe('the hash of the checks', () => {
  const hash = (text: string, files: readonly Delivered[] = []) => checksHash(checksOf(text), [files]);
  const file = (path: string, content: string): Delivered => ({ path, content: Buffer.from(content), executable: true });

  test('does not change with names, spelling or order of keys', () => {
    expect(hash('- {name: a, command: x, severity: warn}')).toBe(hash('- {severity: warn, command: x, name: b}'));
    expect(hash('- cloud-init')).toBe(hash('- cloud-init: {}'));
  });

  test.each([
    ['- command: x', '- command: y'],
    ['- command: x', '- {command: x, severity: warn}'],
    ['- {port: 1}\n- {port: 2}', '- {port: 1}'],
    ['- service: web', '- {service: {name: web, enabled: false}}'],
  ])('%s and %s differ', (a, b) => {
    expect(hash(a)).not.toBe(hash(b));
  });

  test('changes with the content of a delivered file, and with what else is demanded', () => {
    expect(hash('- script: s.sh', [file('s.sh', 'a')])).not.toBe(hash('- script: s.sh', [file('s.sh', 'b')]));
    expect(checksHash(checksOf('- port: 1'), [], { reboot: true })).not.toBe(checksHash(checksOf('- port: 1'), []));
    expect(checksHash(checksOf('- port: 1'), [], { reboot: undefined })).toBe(checksHash(checksOf('- port: 1'), [], {}));
  });
});
