import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { evaluate, type Statement } from '../../lab/iam/policy.ts';
import { type Asked, askedPermissions, type LabRole, roles } from '../../lab/iam/roles.ts';
import { type Lab, startLab } from '../../lab/lab.ts';
import { modes } from '../../src/main.ts';
import { type Ran, removeWorkspaces } from '../harness.ts';
import { build, describeWithPacker } from './build-lab.ts';
import { familyOfFive, REAL } from './prune-lab.ts';
import { POINTER, rollLab } from './roll-lab.ts';
import { STAGE, shareLab } from './share-lab.ts';
import { validateLab } from './validate-lab.ts';

/** Every mode of the bundle with the role of examples/, in labs that authorise every call. */

const TEMPLATE = readFileSync(join(import.meta.dirname, '..', '..', 'examples', 'delivery-role.yml'), 'utf8');
const ROLE = 'arn:aws:iam::111122223333:role/ami-delivery';
const AS = { as: { role: 'ami-delivery' } };

const labs: Lab[] = [];
function shipped<L extends { lab: Lab }>(l: L): L {
  labs.push(l.lab);
  l.lab.deploy(TEMPLATE, { parameters: { Subject: 'repo:acme/web', GroupRoles: 'arn:aws:iam::111122223333:role/web' } });
  return l;
}
afterAll(async () => {
  await Promise.all(labs.map(lab => lab.close()));
  removeWorkspaces();
});

const outcomes: Record<string, string[]> = {};
const note = (mode: string, ran: Ran): Ran => {
  outcomes[mode] = [...(outcomes[mode] ?? []), ran.outputs['outcome'] ?? `exit ${ran.exitCode}`];
  return ran;
};
const asked = (): readonly Asked[] => labs.flatMap(lab => askedPermissions(lab.core)).filter(({ role }) => role === ROLE);

test('list, prune and delete find their users and remove images', async () => {
  const l = shipped(await familyOfFive());
  await l.group('batch', l.id('d20'));
  for (const [mode, wanted] of [
    ['list', {}],
    ['prune', {}],
    ['prune', REAL],
    ['delete', { image: l.id('d10'), 'dry-run': 'false' }],
  ] as const)
    expect(note(mode, await l.act(mode, wanted, AS)).errors).toEqual([]);
  expect(l.there()).toEqual(['d40', 'd20']);
});

test('promote and rollback roll groups out, by refresh, parameter and blue-green', async () => {
  const l = shipped(await rollLab());
  const [first, second] = [l.image('web-a'), l.image('web-b')];
  const profile = {
    IamInstanceProfile: { Name: 'web' },
    TagSpecifications: [{ ResourceType: 'instance' as const, Tags: [{ Key: 'a', Value: 'b' }] }],
  };
  await l.group('web', { LaunchTemplateId: await l.template('web', { ImageId: first, ...profile }), Version: '1' });
  await l.pointerTo(first);
  await l.group(
    'reads',
    { LaunchTemplateId: await l.template('reads', { ImageId: `resolve:ssm:${POINTER}` }), Version: '1' },
    { DesiredCapacity: 1 },
  );
  const both = { groups: 'web,reads', 'parameter-templates': 'follow' };
  for (const [mode, wanted] of [
    ['promote', { image: second, ...both }],
    ['rollback', both],
    ['promote', { image: second, groups: 'web', strategy: 'blue-green', 'lift-veto': 'true' }],
  ] as const)
    expect(note(mode, await l.act(mode, wanted, AS)).errors).toEqual([]);
  expect(l.pointer()).toBe(second);
});

test('share gives launch permission and resolve reads selectors', async () => {
  const l = shipped(await shareLab());
  const image = l.image('web-1');
  for (const [mode, wanted] of [
    ['share', { image, accounts: STAGE }],
    ['share', { image, regions: 'eu-west-1' }],
    ['resolve', { image: 'latest' }],
    ['resolve', { image: 'commit:c0ffee0000000000000000000000000000000000' }],
  ] as const)
    expect(note(mode, await l.act(mode, wanted, AS)).errors).toEqual([]);
  expect(l.labImage(image).launchers.has(STAGE)).toBe(true);
});

test('validate launches an instance with the shipped profile, and deletes a failed image', async () => {
  const l = shipped(await validateLab());
  const passing = await l.bake('passing');
  expect(note('validate', await l.validate(passing, { 'instance-profile': 'ami-test' }, AS)).errors).toEqual([]);
  const failing = await l.bake('failing');
  note('validate', await l.validate(failing, { checks: '- command: "false"', 'on-failure': 'delete', 'instance-profile': 'ami-test' }, AS));
  expect(l.imageOf(failing)?.state).toBe('deregistered');
});

describeWithPacker('with Packer', () => {
  let lab: Lab;
  beforeAll(async () => {
    ({ lab } = shipped({ lab: await startLab({ speed: 240 }) }));
  });

  test('build makes an image', async () => {
    expect(note('build', await build(lab, { with: { family: 'web' }, ...AS })).errors).toEqual([]);
  });
});

describe('the role', () => {
  const role = (): LabRole => {
    const found = roles(labs[0]?.core as Lab['core']).get(ROLE);
    if (found === undefined) throw new Error('not deployed');
    return found;
  };
  const denies = (policies: readonly Statement[]) =>
    asked().filter(question => question.allowed && evaluate(policies, question) !== 'allowed');

  test('was used by every mode, and denied nothing that a mode needs', () => {
    expect(Object.keys(outcomes).sort()).toEqual(
      Object.keys(modes)
        .filter(mode => mode in outcomes || mode !== 'build')
        .sort(),
    );
    expect(
      Object.values(outcomes)
        .flat()
        .filter(outcome => /access|bug/.test(outcome)),
    ).toEqual([]);
    expect(
      asked()
        .filter(({ allowed }) => !allowed)
        .map(({ action, resource }) => `${action} ${resource}`),
    ).toEqual([]);
  });

  test('without any single action that a mode used, denies a call', () => {
    const used = new Set(asked().map(({ action }) => action));
    const kept = role().policies.flatMap((statement, at) =>
      statement.actions
        .filter(action => used.has(action))
        .flatMap(action => {
          const others = role().policies.map((one, i) =>
            i === at ? { ...one, actions: one.actions.filter(other => other !== action) } : one,
          );
          return denies(others).length === 0 ? [action] : [];
        }),
    );
    expect(used.size).toBeGreaterThan(60);
    expect(kept).toEqual([]);
  });

  test('without any single statement that a mode used, denies a call', () => {
    const dispensable = role().policies.filter((_, at) => denies(role().policies.filter((_one, i) => i !== at)).length === 0);
    expect(dispensable.map(({ actions }) => actions)).toEqual([]);
  });

  test('is not passed to other services, and passes no other role', () => {
    const ask = (resource: string, service: string) =>
      evaluate(role().policies, { action: 'iam:PassRole', resource, context: new Map([['iam:passedtoservice', [service]]]) });
    expect(ask('arn:aws:iam::111122223333:role/web', 'ec2.amazonaws.com')).toBe('allowed');
    expect(ask('arn:aws:iam::111122223333:role/web', 'lambda.amazonaws.com')).toBe('implicit');
    expect(ask('arn:aws:iam::111122223333:role/admin', 'ec2.amazonaws.com')).toBe('implicit');
  });
});

describe('a mode whose permission is missing', () => {
  /** Deploys the role without these actions. */
  const without = (lab: Lab, ...actions: readonly string[]) => {
    const { policies, ...rest } = roles(lab.core).get(ROLE) as LabRole;
    const fewer = policies.map(one => ({ ...one, actions: one.actions.filter(action => !actions.includes(action)) }));
    roles(lab.core).set(ROLE, { ...rest, policies: fewer });
  };

  test.each(['ec2:DescribeLaunchTemplates', 'imagebuilder:ListImageRecipes', 'ssm:DescribeParameters', 'ec2:DescribeImageReferences'])(
    'prune without %s ends with outcome access and removes nothing',
    async action => {
      const l = shipped(await familyOfFive());
      without(l.lab, action);
      const ran = await l.act('prune', REAL, AS);
      expect([ran.exitCode, ran.outputs['outcome']]).toEqual([1, 'access']);
      expect(ran.errors.join()).toContain(action);
      expect(l.there()).toHaveLength(5);
    },
  );

  test.each(['ec2:RunInstances', 'autoscaling:StartInstanceRefresh', 'ec2:CreateLaunchTemplateVersion', 'ssm:PutParameter'])(
    'promote without %s ends with outcome access and the group runs the image as before',
    async action => {
      const l = shipped(await rollLab());
      const [first, second] = [l.image('web-a'), l.image('web-b')];
      await l.group('web', { LaunchTemplateId: await l.template('web', { ImageId: first }), Version: '1' });
      await l.pointerTo(first);
      without(l.lab, action);
      const ran = await l.act('promote', { image: second, groups: 'web' }, AS);
      expect([ran.exitCode, ran.outputs['outcome']]).toEqual([1, 'access']);
      expect([l.pointer(), new Set(l.runs('web'))]).toEqual([first, new Set([first])]);
    },
  );
});
