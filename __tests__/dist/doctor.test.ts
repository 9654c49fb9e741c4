import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SuspendProcessesCommand } from '@aws-sdk/client-auto-scaling';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { roles } from '../../lab/iam/roles.ts';
import { type Ran, removeWorkspaces, runAction } from '../harness.ts';
import { tokens } from './github.ts';
import { type RollLab, rollLab } from './roll-lab.ts';
import { POLICIES, type StackOptions, stackLab } from './stack-lab.ts';

const ROLE = 'arn:aws:iam::111122223333:role/ami-web-stage-rollout';
const example = readFileSync(join(import.meta.dirname, '..', '..', 'examples', 'environment-role.yml'), 'utf8');
const FILE = `family: web
region: eu-central-1
environments:
  stage: { groups: [web], role-to-assume: ${ROLE} }
`;

interface Finding {
  readonly area: string;
  readonly status: string;
  readonly says: string;
  readonly fix?: string;
}
const findingsOf = (ran: Ran): readonly Finding[] => JSON.parse(ran.outputs['findings'] ?? '[]');
const statuses = (ran: Ran) => Object.fromEntries(findingsOf(ran).map(({ area, status }) => [area, status]));

let l: RollLab;
function deployRole(more: Record<string, string>) {
  const parameters = {
    Subject: 'repo:acme/web',
    RepositoryId: '456789',
    Environment: 'stage',
    Families: 'web',
    Pointers: '/ami/web',
    Provider: 'create',
  };
  l.lab.deploy(example, { stack: 'ami-web-stage', parameters: { ...parameters, Groups: 'web*', ...more } });
}
afterAll(removeWorkspaces);

/** A job of the environment, with a token of GitHub and without keys. */
async function doctor(wanted: Record<string, string> = {}, { file = FILE, sub = 'environment:stage' } = {}): Promise<Ran> {
  const server = await tokens(`repo:acme/web:${sub}`);
  const env = { ...server.env, AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' };
  const mark = l.lab.calls.mark();
  try {
    return await runAction({
      mode: 'doctor',
      with: { environment: 'stage', ...wanted },
      files: { '.github/ami.yml': file },
      lab: l.lab,
      env,
    });
  } finally {
    await server.close();
    const writes = l.lab.calls.since(mark).filter(({ operation }) => !/^(Describe|Get|List|Assume|Simulate)/.test(operation));
    // With a stack, the dry run of promote shows the change set.
    expect(writes.map(({ operation }) => operation).filter(operation => !/^(Create|Delete)ChangeSet$/.test(operation))).toEqual([]);
  }
}

describe('doctor', () => {
  beforeAll(async () => {
    l = await rollLab({ speed: 600 });
    const LaunchTemplates = await l.template('web', { ImageId: l.image('web-a') });
    await l.group('web', { LaunchTemplateId: LaunchTemplates, Version: '1' });
    deployRole({ LaunchTemplates });
  });
  afterAll(() => l.lab.close());

  test('finds nothing wrong with the shipped role, and what a rollback lacks', async () => {
    const ran = await doctor();
    expect(ran).toMatchObject({ exitCode: 0, errors: [], outputs: { outcome: 'unchanged', problems: '0' } });
    const around = { token: 'ok', runner: 'ok', KMS: 'ok', 'Allowed AMIs': 'ok' };
    expect(statuses(ran)).toEqual({ account: 'ok', promote: 'ok', rollback: 'warning', groups: 'ok', permissions: 'ok', ...around });
    expect(findingsOf(ran).find(({ area }) => area === 'token')?.says).toMatch(
      /^the trust policy of \S+ matches aud "sts\.amazonaws\.com", sub "repo:acme\/web:environment:stage", repository_id "456789", ref "refs\/heads\/main"$/,
    );
    expect(findingsOf(ran).find(({ area }) => area === 'runner')?.says).toMatch(/^Node \d+\.\S+, git \d\S+, linux \w+, [\d.]+ GiB free$/);
    expect(findingsOf(ran).find(({ area }) => area === 'account')?.says).toBe(`111122223333 in eu-central-1, as ${ROLE}`);
    expect(findingsOf(ran).find(({ area }) => area === 'permissions')?.says).toMatch(/^\d+ writes are allowed/);
    // A table, the one next command, and an outcome.
    const [title, ...parts] = ran.summary.split('\n\n');
    expect(title).toBe('### ✅ doctor: no problems');
    expect(parts[0]).toMatch(/^\| {2}\| Area \| Finding \| Fix \|\n/);
    expect(parts[1]).toBe('**Next:** npx ami-action promote --environment stage --dry-run');
    expect(parts[2]).toBe('**Outcome:** nothing stands in the way of a real run');
    // The token is a credential: the runner masks it, and none of its parts is printed.
    const printed = ran.log.replace(/^::add-mask::.*$/gm, '');
    expect([printed, ran.summary, JSON.stringify(ran.outputs)].join()).not.toMatch(/eyJ|unsigned/);
  });

  test('shows the claims as the trust policy needs them where the policy may not be read', async () => {
    const known = roles(l.lab.core).get(ROLE);
    if (known === undefined) throw new Error('no role');
    const policies = known.policies.map(one => ({ ...one, actions: one.actions.filter(action => action !== 'iam:GetRole') }));
    roles(l.lab.core).set(ROLE, { ...known, policies });
    const ran = await doctor();
    roles(l.lab.core).set(ROLE, known);
    const token = findingsOf(ran).find(({ area }) => area === 'token');
    expect([ran.exitCode, token?.status, token?.fix]).toEqual([
      0,
      'skipped',
      'The trust policy must match: {"StringEquals":{"token.actions.githubusercontent.com:aud":"sts.amazonaws.com","token.actions.githubusercontent.com:sub":"repo:acme/web:environment:stage"}}',
    ]);
  });

  test('names the writes that a role lacks, and where the policy is', async () => {
    const known = roles(l.lab.core).get(ROLE);
    if (known === undefined) throw new Error('no role');
    const policies = known.policies.filter(({ actions }) => !actions.includes('autoscaling:StartInstanceRefresh'));
    roles(l.lab.core).set(ROLE, { ...known, policies });
    const ran = await doctor();
    roles(l.lab.core).set(ROLE, known);
    expect(ran).toMatchObject({ exitCode: 1, outputs: { outcome: 'access', problems: '1' } });
    expect(ran.errors[0]).toMatch(
      /^1 problem found\. The first: permissions: denied: .*autoscaling:StartInstanceRefresh on arn:aws:autoscaling:/,
    );
    expect(ran.errors[0]).toContain(`Next: Add them to ${ROLE}: the policy of each mode is in examples/policies.`);
    expect(ran.summary).toMatch(/^### ❌ doctor: 1 problem\n/);
  });

  test('says that writes are not checked where the role may not simulate', async () => {
    const known = roles(l.lab.core).get(ROLE);
    if (known === undefined) throw new Error('no role');
    roles(l.lab.core).set(ROLE, {
      ...known,
      policies: known.policies.filter(({ actions }) => !actions.includes('iam:SimulatePrincipalPolicy')),
    });
    const ran = await doctor();
    roles(l.lab.core).set(ROLE, known);
    expect([ran.exitCode, statuses(ran)['permissions']]).toEqual([0, 'skipped']);
  });

  test('shows why a group cannot be rolled out, before there is an image', async () => {
    const suspend = new SuspendProcessesCommand({ AutoScalingGroupName: 'web', ScalingProcesses: ['Launch'] });
    await l.cloud.autoScaling.send(suspend);
    const ran = await doctor({}, { file: FILE.replace('family: web', 'family: other\npointer: /ami/web/{environment}') });
    expect([ran.exitCode, ran.outputs['outcome']]).toEqual([1, 'rejected']);
    expect(statuses(ran)).toMatchObject({ promote: 'skipped', groups: 'problem' });
    expect(ran.errors[0]).toMatch(/The first: groups: web: Launch is suspended, /);
  });

  test('reports a setting that is wrong with the other findings', async () => {
    const ran = await doctor({}, { file: FILE.replace('groups: [web]', 'groups: [wbe]') });
    expect([ran.exitCode, ran.outputs['outcome']]).toEqual([1, 'usage']);
    expect(ran.errors[0]).toContain('"groups": Auto Scaling group "wbe" does not exist in this account and region, did you mean "web"?');
  });

  test('stops at the first row where the role cannot be assumed', async () => {
    const ran = await doctor({}, { sub: 'ref:refs/heads/main' });
    expect([ran.exitCode, ran.outputs['outcome'], ran.outputs['problems']]).toEqual([1, 'access', '1']);
    expect(ran.errors[0]).toContain('The token has sub "repo:acme/web:ref:refs/heads/main"');
    expect(statuses(ran)).toEqual({ account: 'problem', token: 'skipped', runner: 'ok' });
    expect(findingsOf(ran).find(({ area }) => area === 'token')?.fix).toContain(
      '"token.actions.githubusercontent.com:sub":"repo:acme/web:ref:refs/heads/main"',
    );
  });
});

describe('doctor looks at what a stack or a node group lacks, each with its fix', () => {
  const STACK = FILE.replace('groups: [web]', 'stack: web, stack-parameter: ImageId');
  const at = (ran: Ran, of: string) => findingsOf(ran).filter(({ area }) => area === of);
  const stage = async (options: StackOptions, Stacks = 'web') => {
    l = await stackLab(options, { speed: 600 });
    deployRole({ Stacks, LaunchTemplates: 'lt-0', NodeGroups: 'main' });
  };
  afterEach(() => l.lab.close());

  test('a stack that can be rolled out, and the writes that it takes', async () => {
    await stage({});
    const ran = await doctor({}, { file: STACK });
    expect([at(ran, 'groups'), at(ran, 'permissions').map(({ status }) => status)]).toEqual([
      [{ area: 'groups', status: 'ok', says: 'stack web can be rolled out' }],
      ['ok'],
    ]);
    const known = roles(l.lab.core).get(ROLE);
    if (known === undefined) throw new Error('no role');
    const policies = known.policies.map(one => ({ ...one, actions: one.actions.filter(action => !/ExecuteChangeSet/.test(action)) }));
    roles(l.lab.core).set(ROLE, { ...known, policies });
    expect((await doctor({}, { file: STACK })).errors[0]).toContain(
      'denied: cloudformation:ExecuteChangeSet on arn:aws:cloudformation:eu-central-1:111122223333:stack/web/*',
    );
  });

  test('no update policy, before there is an image', async () => {
    await stage({ policy: POLICIES.none });
    const ran = await doctor({}, { file: STACK.replace('family: web', 'family: other\npointer: /ami/web/{environment}') });
    expect([ran.outputs['outcome'], at(ran, 'groups')]).toEqual([
      'rejected',
      [
        {
          area: 'groups',
          status: 'problem',
          says: expect.stringMatching(/^Group of stack web has no update policy, .*: add AutoScalingRoll/),
        },
      ],
    ]);
  });

  test('a parameter that does not exist, a role without the stack, and a node group that does not exist', async () => {
    await stage({});
    expect((await doctor({}, { file: STACK.replace('ImageId', 'ImageID') })).errors[0]).toContain(
      '"stack-parameter": stack web has no parameter "ImageID", did you mean "ImageId"?',
    );
    const nodes = await doctor({}, { file: FILE.replace('groups: [web]', 'node-groups: [main/gone]') });
    expect(at(nodes, 'groups')).toEqual([{ area: 'groups', status: 'problem', says: 'main/gone does not exist: check "node-groups"' }]);
    deployRole({ Stacks: 'other', LaunchTemplates: 'lt-0' });
    expect((await doctor({}, { file: STACK })).errors[0]).toContain('cloudformation:DescribeStacks');
  });
});
