import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { groups } from '../../lab/autoscaling/group.ts';
import { removeWorkspaces } from '../harness.ts';
import { type RollLab, rollLab } from './roll-lab.ts';

/** What a roll shows and watches: checks in the group, a deployment on GitHub, what a sick instance said, an end by cancel. */

let l: RollLab;
afterEach(() => l.lab.close());
afterAll(removeWorkspaces);

const quick = { bake: '1m', 'min-healthy': '0', 'warm-up': '0s', groups: 'web' };
const promote = (image: string, wanted: Record<string, string> = {}, more: Parameters<RollLab['act']>[2] = {}) =>
  l.act('promote', { ...quick, image, ...wanted }, more);

async function stage(options: Parameters<typeof rollLab>[0] = {}) {
  l = await rollLab({ timings: { boot: 1, statusChecks: 1, targetHealth: 1, shutdown: 1 }, ...options });
  const [a, b] = [l.image('web-a'), l.image('web-b')];
  await l.pointerTo(a);
  await l.group('web', { LaunchTemplateId: await l.template('web', { ImageId: a }), Version: '1' });
  return { a, b };
}

const stateOf = (group: string) => ({
  runs: [...new Set(l.runs(group))],
  version: l.launches(group)?.LaunchTemplate?.Version,
  pointer: l.pointer(),
});

describe('checks on the instances of the group', () => {
  const wanted = { bake: '10m', 'checks-timeout': '1m', 'min-healthy': '50', checkpoints: '50, 100', 'checkpoint-delay': '5m' };
  const real = { sandbox: true, speed: 60 };
  const withoutBalancer = { TargetGroupARNs: [], HealthCheckType: 'EC2' };
  const stageReal = async () => {
    // The agent comes after the instance is in service: until then AWS refuses the command, and it is sent again.
    l = await rollLab({ ...real, timings: { boot: 1, statusChecks: 1, shutdown: 1, agent: 10 } });
    const [a, b] = [l.image('web-a'), l.image('web-b')];
    await l.pointerTo(a);
    await l.group('web', { LaunchTemplateId: await l.template('web', { ImageId: a }), Version: '1' }, withoutBalancer);
    return { a, b };
  };

  test('pass on every new instance, once each, before the pointer moves', async () => {
    const { b } = await stageReal();
    const ran = await promote(b, { ...wanted, checks: '- command: test -d /etc' });
    expect([ran.exitCode, stateOf('web')]).toEqual([0, { runs: [b], version: '2', pointer: b }]);
    expect(ran.summary).toContain('| Checks |  | ✅ 1 check passed on 2 instances |');
    expect(ran.log).toMatch(/Checks on i-[0-9a-f]+: 1 check passed/);
    const asked = l.lab.calls
      .all()
      .flatMap(({ operation, input, outcome }) =>
        operation === 'SendCommand' && outcome === 'ok' ? (input['InstanceIds'] as string[]) : [],
      );
    expect([asked.length, new Set(asked).size]).toEqual([2, 2]);
  });

  test('fail at the first checkpoint: half the group never sees the image', async () => {
    const { a, b } = await stageReal();
    const ran = await promote(b, { ...wanted, checks: '- name: web is there\n  command: test -e /opt/never' });
    expect([ran.exitCode, ran.outputs['outcome'], l.refreshes('web'), stateOf('web')]).toEqual([
      1,
      'rejected',
      ['RollbackSuccessful'],
      { runs: [a], version: '1', pointer: a },
    ]);
    expect(ran.errors.join('\n')).toMatch(/checks on i-[0-9a-f]+: 1 of 1 check failed; web is there /);
    const launched = new Set(
      l.lab.calls.all().flatMap(({ operation, input }) => (operation === 'SendCommand' ? (input['InstanceIds'] as string[]) : [])),
    );
    expect(launched.size).toBe(1);
  });

  test('that may take longer than AWS waits are refused before anything is read', async () => {
    const { b } = await stage();
    const mark = l.lab.calls.mark();
    const ran = await promote(b, { ...wanted, bake: '1m', checks: '- command: "true"' });
    expect([ran.outputs['outcome'], l.lab.calls.count(undefined, mark)]).toEqual(['usage', 0]);
    expect(ran.errors.join('\n')).toContain('"bake" (1m) must be longer than "checks-timeout" (1m)');
  });
});

describe('what a sick instance said', () => {
  test('is shown though the instance is gone: the end of its console, and why it got no traffic', async () => {
    const { b } = await stage();
    l.sick.add(b);
    const ran = await promote(b);
    expect(ran.exitCode).toBe(1);
    expect(ran.errors.join('\n')).toMatch(/\. \d new instances? (was|were) taken out of service: ELB system health check failure\n/);
    expect(ran.summary).toMatch(/\*\*Last unhealthy instance\*\* `i-[0-9a-f]+` of `web` at /);
    expect(ran.summary).toMatch(/unhealthy, Target\.FailedHealthChecks, Health checks failed/);
    expect(ran.summary).toContain('paper machine i-');
    expect(ran.log).toMatch(/Last unhealthy instance: i-[0-9a-f]+ of web at /);
  });
});

describe('scenario 59: cancelled while groups are rolled, with "on-cancel: rollback"', () => {
  const cancelAt = (text: string) => {
    const alive = { kill: () => {} };
    return {
      onStart: (child: { kill(signal: 'SIGINT'): void }) => void Object.assign(alive, { kill: () => child.kill('SIGINT') }),
      onLine: (line: string) => void (line.includes(text) && alive.kill()),
    };
  };

  const ended = async (status: string) => {
    for (let waited = 0; l.refreshes('web')[0] !== status && waited < 600; waited += 5) await l.lab.clock.sleep(5);
  };

  test('AWS is asked once to roll back, and it is reported', async () => {
    const { a, b } = await stage();
    const ran = await promote(b, { 'on-cancel': 'rollback', bake: '30m', 'roll-timeout': '2h' }, cancelAt('Baking'));
    expect([ran.exitCode, ran.outputs['outcome'], l.lab.calls.count('RollbackInstanceRefresh')]).toEqual([1, 'cancelled', 1]);
    expect(ran.errors.join('\n')).toMatch(/refresh \S+ of web is being rolled back by AWS/);
    await ended('RollbackSuccessful');
    expect(stateOf('web')).toEqual({ runs: [a], version: '1', pointer: a });
  });

  /** `boot`: how long the old image takes to come back, in seconds of the lab. */
  const cancelled = async (boot = 1) => {
    const { a, b } = await stage({ timings: { boot: 1, statusChecks: 1, targetHealth: 1, shutdown: 1, refreshPatience: 36_000 } });
    const { onStart, onLine } = cancelAt('Baking');
    const slowly = (line: string) => {
      if (line.includes('Baking')) Object.assign(l.lab.core.timings, { boot });
      onLine(line);
    };
    await promote(b, { 'on-cancel': 'rollback', bake: '30m', 'roll-timeout': '2h' }, { onStart, onLine: slowly });
    expect(l.candidate()).toBe(true);
    const comes = () => [...(groups(l.place).get('web')?.members.values() ?? [])].filter(({ imageId }) => imageId === a).length;
    for (let waited = 0; comes() < 2 && waited < 600; waited += 2) await l.lab.clock.sleep(2);
    Object.assign(l.lab.core.timings, { boot: 1 });
    return { a, b, c: l.image('web-c') };
  };

  test.each(['b', 'c'] as const)(
    'when AWS has gone back, the next run, with %s, does its work and takes the announcement away',
    async which => {
      const { [which]: image } = await cancelled();
      await ended('RollbackSuccessful');
      const ran = await promote(image);
      expect([ran.exitCode, stateOf('web').runs, l.pointer(), l.candidate()]).toEqual([0, [image], image, false]);
    },
  );

  describe('while AWS still goes back, the next run', () => {
    test('with another image waits for that, and does its work', async () => {
      const { c } = await cancelled(1500);
      expect(l.refreshes('web')).toEqual(['RollbackInProgress']);
      const ran = await promote(c);
      expect([ran.exitCode, stateOf('web').runs, l.pointer(), l.candidate()]).toEqual([0, [c], c, false]);
      expect(l.refreshes('web')).toEqual(['Successful', 'RollbackSuccessful']);
    });

    test('with the same image sees it end: all is as it was, and nothing keeps the one after from promoting it', async () => {
      const { a, b } = await cancelled(1500);
      expect(l.refreshes('web')).toEqual(['RollbackInProgress']);
      const ran = await promote(b);
      expect([ran.exitCode, ran.outputs['outcome'], l.candidate()]).toEqual([1, 'rejected', false]);
      expect(stateOf('web')).toEqual({ runs: [a], version: '1', pointer: a });
      expect(ran.errors.join('\n')).toMatch(
        /^web: AWS rolled the refresh back; the old image runs again[\s\S]*Reverted: every group launches/,
      );
      expect([(await promote(b)).exitCode, stateOf('web').runs, l.pointer(), l.candidate()]).toEqual([0, [b], b, false]);
    });
  });

  test.each([
    ['ActiveInstanceRefreshNotFound', 'ended before it could be rolled back'],
    ['IrreversibleInstanceRefresh', 'cannot be rolled back by AWS and goes on'],
  ])('%s is no surprise', async (code, says) => {
    const { b } = await stage();
    l.lab.faults.add({ operation: 'RollbackInstanceRefresh', action: { error: code } });
    const ran = await promote(b, { 'on-cancel': 'rollback', bake: '30m' }, cancelAt('Baking'));
    expect([ran.exitCode, ran.outputs['outcome']]).toEqual([1, 'cancelled']);
    expect(ran.errors.join('\n')).toContain(says);
  });
});

describe('the deployment on GitHub', () => {
  interface Asked {
    readonly call: string;
    readonly body: Record<string, unknown>;
  }
  let asked: Asked[];
  let github: Server;
  let refuse: number | undefined;
  let deployments: { id: number; payload: unknown; statuses: string[] }[];

  beforeEach(async () => {
    [asked, refuse, deployments] = [[], undefined, []];
    github = createServer((request, response) => {
      let text = '';
      request.on('data', chunk => {
        text += chunk;
      });
      request.on('end', () => {
        const body = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
        asked.push({ call: `${request.method} ${request.url?.split('?')[0]}`, body });
        const [, id] = /deployments\/(\d+)\/statuses/.exec(request.url ?? '') ?? [];
        response.setHeader('content-type', 'application/json');
        response.statusCode = refuse ?? (request.method === 'POST' ? 201 : 200);
        response.end(
          JSON.stringify(
            refuse === undefined ? answer(request.method ?? '', Number(id), body) : { message: 'Resource not accessible by integration' },
          ),
        );
      });
    });
    await new Promise<void>(done => github.listen(0, '127.0.0.1', done));
  });
  afterEach(() => new Promise(done => github.close(done)));

  function answer(method: string, id: number, body: Record<string, unknown>): unknown {
    const known = deployments.find(each => each.id === id);
    if (known !== undefined && method === 'POST') known.statuses.unshift(String(body['state']));
    if (known !== undefined) return method === 'POST' ? {} : known.statuses.map(state => ({ state }));
    if (method === 'GET') return [...deployments].reverse().map(each => ({ id: each.id, payload: each.payload }));
    const made = { id: deployments.length + 1, payload: body['payload'], statuses: [] };
    deployments.push(made);
    return made;
  }

  const withGithub = () => ({ env: { GITHUB_API_URL: `http://127.0.0.1:${(github.address() as AddressInfo).port}` } });

  test('carries the commit of the image, and ends with the promotion', async () => {
    const { b } = await stage();
    l.retag(b, { 'ami-action:repository': 'acme/web' });
    const ran = await promote(b, { 'github-token': 'secret' }, withGithub());
    expect(ran.exitCode).toBe(0);
    expect(asked.find(({ call }) => call === 'POST /repos/acme/web/deployments')?.body).toMatchObject({
      ref: 'c'.repeat(40),
      environment: 'stage',
      task: 'deploy:ami',
      auto_merge: false,
      required_contexts: [],
      payload: { image: b, family: 'web' },
      production_environment: false,
    });
    expect(deployments[0]?.statuses).toEqual(['success', 'in_progress']);
    expect(asked.findLast(({ call }) => call.startsWith('POST'))?.body).toMatchObject({
      log_url: 'https://github.com/acme/web/actions/runs/1001',
      environment_url: expect.stringContaining(`ImageDetails:imageId=${b}`),
    });
  });

  // https://docs.github.com/en/rest/deployments/statuses: auto_inactive leaves production environments alone.
  test('ends the one of the family that was active before, and no other', async () => {
    const { b } = await stage();
    const others = ['web', 'api', 'web'].map((family, n) => ({ id: n + 1, payload: JSON.stringify({ image: 'ami-1', family }) }));
    deployments = [...others.map(one => ({ ...one, statuses: ['success'] })), { id: 4, payload: { family: 'web' }, statuses: ['failure'] }];
    expect((await promote(b, { 'github-token': 'secret' }, withGithub())).exitCode).toBe(0);
    expect(deployments.map(({ statuses }) => statuses[0])).toEqual(['success', 'success', 'inactive', 'failure', 'success']);
  });

  test('fails with the roll, and says why', async () => {
    const { b } = await stage();
    l.sick.add(b);
    await promote(b, { 'github-token': 'secret' }, withGithub());
    expect(deployments[0]?.statuses).toEqual(['failure', 'in_progress']);
    expect(asked.at(-1)?.body['description']).toMatch(/AWS rolled the refresh back/);
  });

  test('stays in progress without a watcher, and is ended by the run that finishes', async () => {
    const { b } = await stage();
    await promote(b, { 'github-token': 'secret', wait: 'false' }, withGithub());
    expect(deployments[0]?.statuses).toEqual(['in_progress']);
    await promote(b, { 'github-token': 'secret' }, withGithub());
    expect(deployments.map(({ statuses }) => statuses[0])).toEqual(['success']);
  });

  test('stays in progress when we only stop looking, and is ended by the run that finishes', async () => {
    const { b } = await stage({ timings: { boot: 1, statusChecks: 1, targetHealth: 1, shutdown: 1, refreshPatience: 36_000 } });
    l.sick.add(b);
    const ran = await promote(b, { 'github-token': 'secret', 'roll-timeout': '5m' }, withGithub());
    expect([ran.outputs['outcome'], deployments[0]?.statuses]).toEqual(['timeout', ['in_progress', 'in_progress']]);
    expect(asked.at(-1)?.body['description']).toMatch(/^In progress, not watched\. Run the job again with the same settings/);
    l.sick.clear();
    await promote(b, { 'github-token': 'secret' }, withGithub());
    expect(deployments.map(({ statuses }) => statuses[0])).toEqual(['success']);
  });

  test('refused by GitHub, it is a warning: the promotion goes on', async () => {
    const { b } = await stage();
    refuse = 403;
    const ran = await promote(b, { 'github-token': 'secret' }, withGithub());
    expect([ran.exitCode, l.pointer()]).toEqual([0, b]);
    expect(ran.warnings.join('\n')).toMatch(/GitHub deployment not recorded: GitHub refused the deployment: 403 Resource not accessible/);
  });

  test('without a token no call is made', async () => {
    const { b } = await stage();
    expect((await promote(b, {}, withGithub())).exitCode).toBe(0);
    expect(asked).toEqual([]);
  });
});
