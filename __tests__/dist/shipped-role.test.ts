import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { groups } from '../../lab/autoscaling/group.ts';
import { dropTags, setTags } from '../../lab/ec2/state.ts';
import { contextOf } from '../../lab/iam/context.ts';
import { evaluate, readPolicy, type Statement } from '../../lab/iam/policy.ts';
import { type Asked, askedPermissions, type LabRole, roles } from '../../lab/iam/roles.ts';
import { type Lab, startLab } from '../../lab/lab.ts';
import { modes } from '../../src/modes.ts';
import { type Ran, removeWorkspaces } from '../harness.ts';
import { build, describeWithPacker } from './build-lab.ts';
import { familyOfFive, REAL } from './prune-lab.ts';
import { POINTER, rollLab } from './roll-lab.ts';
import { BUILD, STAGE, shareLab } from './share-lab.ts';
import { validateLab } from './validate-lab.ts';

/** Every mode of the bundle with the role of examples/, in labs that authorise every call. */

const read = (name: string) => readFileSync(join(import.meta.dirname, '..', '..', 'examples', name), 'utf8');
const [DELIVERY, ENVIRONMENT] = [read('delivery-role.yml'), read('environment-role.yml')];
const arn = (name: string) => `arn:aws:iam::${BUILD}:role/${name}`;
const ROLES = { images: arn('ami-web-images'), read: arn('ami-web-read'), rollout: arn('ami-web-stage-rollout') } as const;
const as = (role: keyof typeof ROLES) => ({ as: { role: ROLES[role].replace(/^.*\//, '') } });

const KEY = `arn:aws:kms:eu-central-1:${BUILD}:key/verdicts`;

const labs: Lab[] = [];
interface Wanted {
  readonly launchTemplates?: readonly string[];
  readonly families?: string;
}

/** The stacks of one repository, as the heads of the templates deploy them. */
function shipped<L extends { lab: Lab }>(l: L, { launchTemplates = ['lt-00000000000000000'], families = 'web' }: Wanted = {}): L {
  labs.push(l.lab);
  const common = {
    Subject: 'repo:acme/web',
    RepositoryId: '456789',
    Families: families,
    LaunchTemplates: launchTemplates.join(','),
    VerdictKey: KEY,
  };
  l.lab.deploy(DELIVERY, { stack: 'ami-web', parameters: { ...common, Repository: 'acme/web', ConsumerAccounts: STAGE, Adopt: 'allow' } });
  const group = { Environment: 'stage', Pointers: '/ami/web', Groups: 'web*,reads*', GroupRoles: arn('web') };
  l.lab.deploy(ENVIRONMENT, { stack: 'ami-web-stage', parameters: { ...common, ...group } });
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
const MODES: Readonly<Record<string, keyof typeof ROLES>> = { list: 'read', resolve: 'read', promote: 'rollout', rollback: 'rollout' };
const asOf = (mode: string) => as(MODES[mode] ?? 'images');
const asked = (role: string): readonly Asked[] => labs.flatMap(lab => askedPermissions(lab.core)).filter(one => one.role === role);

test('list, prune and delete find their users and remove images', async () => {
  const l = shipped(await familyOfFive());
  await l.group('batch', l.id('d20'));
  for (const [mode, wanted] of [
    ['list', {}],
    ['prune', {}],
    ['prune', REAL],
    ['delete', { image: l.id('d10'), 'dry-run': 'false' }],
  ] as const)
    expect(note(mode, await l.act(mode, wanted, asOf(mode))).errors).toEqual([]);
  expect(l.there()).toEqual(['d40', 'd20']);
});

test('promote and rollback roll groups out, by refresh, parameter and blue-green', async () => {
  const l = await rollLab();
  const [first, second] = [l.image('web-a'), l.image('web-b')];
  const profile = {
    IamInstanceProfile: { Name: 'web' },
    TagSpecifications: [{ ResourceType: 'instance' as const, Tags: [{ Key: 'a', Value: 'b' }] }],
  };
  const web = await l.template('web', { ImageId: first, ...profile });
  const reads = await l.template('reads', { ImageId: `resolve:ssm:${POINTER}` });
  await l.group('web', { LaunchTemplateId: web, Version: '1' });
  await l.pointerTo(first);
  await l.group('reads', { LaunchTemplateId: reads, Version: '1' }, { DesiredCapacity: 1 });
  shipped(l, { launchTemplates: [web, reads] });
  const both = { groups: 'web,reads', 'parameter-templates': 'follow' };
  for (const [mode, wanted] of [
    ['promote', { image: second, ...both }],
    ['rollback', both],
    ['promote', { image: second, groups: 'web', strategy: 'blue-green', 'lift-veto': 'true' }],
  ] as const)
    expect(note(mode, await l.act(mode, wanted, asOf(mode))).errors).toEqual([]);
  expect(l.pointer()).toBe(second);
  // Two permanent groups: the other one is as empty as its owner made it.
  const TargetGroupARNs = groups(l.place)
    .get('web-green')
    ?.sources.map(({ id }) => id);
  await l.group('web-two', { LaunchTemplateId: web, Version: '1' }, { DesiredCapacity: 0, TargetGroupARNs });
  const pair = { groups: 'web-green,web-two', strategy: 'two-groups', 'adopt-groups': 'true' };
  expect(note('promote', await l.act('promote', { image: l.image('web-c'), ...pair }, asOf('promote'))).errors).toEqual([]);
});

test('share gives launch permission and resolve reads selectors', async () => {
  const l = shipped(await shareLab());
  const image = l.image('web-1');
  setTags(l.lab.core.place(BUILD, 'eu-central-1'), image, { 'ami-action:repository': 'acme/web' });
  dropTags(l.lab.core.place(BUILD, 'eu-central-1'), l.image('before-ami-action'), 'all');
  for (const [mode, wanted] of [
    ['adopt', { images: 'before-*', 'dry-run': 'false' }],
    ['share', { image, accounts: STAGE }],
    ['share', { image, regions: 'eu-west-1' }],
    ['resolve', { image: 'latest' }],
    ['resolve', { image: 'commit:c0ffee0000000000000000000000000000000000' }],
  ] as const)
    expect(note(mode, await l.act(mode, wanted, asOf(mode))).errors).toEqual([]);
  expect(l.labImage(image).launchers.has(STAGE)).toBe(true);
});

test('validate launches an instance with the shipped profile, and deletes a failed image', async () => {
  const l = shipped(await validateLab());
  const place = l.lab.core.place(BUILD, 'eu-central-1');
  const own = (image: string) => setTags(place, l.snapshotOf(image), { 'ami-action:family': 'web' });
  const passing = await l.bake('passing');
  own(passing);
  expect(note('validate', await l.validate(passing, { 'instance-profile': 'ami-web-test' }, as('images'))).errors).toEqual([]);
  const failing = await l.bake('failing');
  own(failing);
  note(
    'validate',
    await l.validate(failing, { checks: '- command: "false"', 'on-failure': 'delete', 'instance-profile': 'ami-web-test' }, as('images')),
  );
  expect(l.imageOf(failing)?.state).toBe('deregistered');
});

describeWithPacker('with Packer', () => {
  let lab: Lab;
  beforeAll(async () => {
    ({ lab } = shipped({ lab: await startLab({ speed: 240 }) }));
  });

  test('build makes an image', async () => {
    expect(note('build', await build(lab, { with: { family: 'web' }, ...as('images') })).errors).toEqual([]);
  });
});

const deployed = (name: keyof typeof ROLES): LabRole => {
  const found = roles(labs[0]?.core as Lab['core']).get(ROLES[name]);
  if (found === undefined) throw new Error('not deployed');
  return found;
};
/** In every lab the policies differ by the launch templates that they name. */
const policiesIn = (lab: Lab, name: keyof typeof ROLES) => roles(lab.core).get(ROLES[name])?.policies ?? [];

type Call = readonly [action: string, resource: string, keys?: Readonly<Record<string, string | readonly string[]>>];
const question = ([action, resource, keys = {}]: Call) => ({
  action,
  resource: resource.startsWith('arn:') ? resource : `arn:aws:${resource}`,
  context: contextOf(keys),
});
const OWN = { 'aws:ResourceTag/ami-action:repository': 'acme/web' };
const FAMILY = { 'aws:ResourceTag/ami-action:family': 'web' };

/** Calls that these stories do not make, and others do: doctor, after an interrupted build, with a VPC, with shared snapshots. */
const ALSO: Readonly<Record<keyof typeof ROLES, readonly Call[]>> = {
  images: [
    ['iam:SimulatePrincipalPolicy', `iam::${BUILD}:role/ami-web-images`],
    ['kms:GenerateMac', KEY],
    ['kms:VerifyMac', KEY],
    ['ec2:DeregisterImage', 'ec2:eu-central-1::image/ami-1', OWN],
    ['ec2:DeleteSnapshot', 'ec2:eu-central-1::snapshot/snap-1', OWN],
    ['ec2:ModifyImageAttribute', 'ec2:eu-central-1::image/ami-1', OWN],
    ['ec2:CreateSecurityGroup', `ec2:eu-central-1:${BUILD}:vpc/vpc-1`],
    ['ec2:CreateImageUsageReport', `ec2:eu-central-1:${BUILD}:image-usage-report/*`],
    ['ec2:DeleteLaunchTemplateVersions', `ec2:eu-central-1:${BUILD}:launch-template/lt-00000000000000000`],
    ['ec2:ModifySnapshotAttribute', 'ec2:eu-central-1::snapshot/snap-1', { ...FAMILY, 'ec2:Add/userId': STAGE }],
  ],
  read: [],
  rollout: [
    ['iam:SimulatePrincipalPolicy', `iam::${BUILD}:role/ami-web-stage-rollout`],
    ['kms:VerifyMac', KEY],
    ['ssm:SendCommand', 'ssm:eu-central-1::document/AWS-RunShellScript'],
    ['ssm:SendCommand', `ec2:eu-central-1:${BUILD}:instance/i-1`, { 'ssm:resourceTag/aws:autoscaling:groupName': 'web' }],
  ],
};

/** Calls that a changed role would be denied, of those that the modes made. */
const denied = (name: keyof typeof ROLES, change: (policies: readonly Statement[]) => readonly Statement[]): number =>
  ALSO[name].filter(call => evaluate(change(deployed(name).policies), question(call)) !== 'allowed').length +
  labs.flatMap(lab =>
    askedPermissions(lab.core).filter(
      one =>
        one.role === ROLES[name] &&
        one.allowed &&
        !one.action.startsWith('sts:') &&
        evaluate(change(policiesIn(lab, name)), one) !== 'allowed',
    ),
  ).length;

test('every mode ran, and no role was denied what a mode needs', () => {
  expect(Object.keys(modes).filter(mode => !(mode in outcomes) && !['build', 'doctor'].includes(mode))).toEqual([]);
  expect(
    Object.values(outcomes)
      .flat()
      .filter(outcome => /access|bug/.test(outcome)),
  ).toEqual([]);
  for (const role of Object.values(ROLES)) {
    expect(
      asked(role)
        .filter(({ allowed }) => !allowed)
        .map(({ action, resource }) => `${action} ${resource}`),
    ).toEqual([]);
  }
});

describe.each(['images', 'read', 'rollout'] as const)('the role %s', name => {
  const used = () => new Set(asked(ROLES[name]).map(({ action }) => action));

  test('without any single action that a mode used, denies a call', () => {
    const kept = deployed(name).policies.flatMap((statement, at) =>
      statement.actions
        .filter(action => used().has(action))
        .flatMap(action => {
          const fewer = (all: readonly Statement[]) =>
            all.map((one, i) => (i === at ? { ...one, actions: one.actions.filter(other => other !== action) } : one));
          return denied(name, fewer) === 0 ? [`${at} ${action}`] : [];
        }),
    );
    expect(kept).toEqual([]);
  });

  test('without any single statement, denies a call', () => {
    const dispensable = deployed(name).policies.flatMap((statement, at) =>
      statement.effect === 'Deny' || denied(name, all => all.filter((_, i) => i !== at)) > 0 ? [] : [statement.actions.join()],
    );
    expect(dispensable).toEqual([]);
  });
});

describe('a mode whose permission is missing', () => {
  /** Deploys the role without these actions. */
  const without = (lab: Lab, ...actions: readonly string[]) => {
    for (const role of Object.values(ROLES)) {
      const { policies, ...rest } = roles(lab.core).get(role) as LabRole;
      const fewer = policies.map(one => ({ ...one, actions: one.actions.filter(action => !actions.includes(action)) }));
      roles(lab.core).set(role, { ...rest, policies: fewer });
    }
  };

  test.each(['ec2:DescribeLaunchTemplates', 'imagebuilder:ListImageRecipes', 'ssm:DescribeParameters', 'ec2:DescribeImageReferences'])(
    'prune without %s ends with outcome access and removes nothing',
    async action => {
      const l = shipped(await familyOfFive());
      without(l.lab, action);
      const ran = await l.act('prune', REAL, as('images'));
      expect([ran.exitCode, ran.outputs['outcome']]).toEqual([1, 'access']);
      expect(ran.errors.join()).toContain(action);
      expect(l.there()).toHaveLength(5);
    },
  );

  test.each(['ec2:RunInstances', 'autoscaling:StartInstanceRefresh', 'ec2:CreateLaunchTemplateVersion', 'ssm:PutParameter'])(
    'promote without %s ends with outcome access and the group runs the image as before',
    async action => {
      const l = await rollLab();
      const [first, second] = [l.image('web-a'), l.image('web-b')];
      const web = await l.template('web', { ImageId: first });
      await l.group('web', { LaunchTemplateId: web, Version: '1' });
      await l.pointerTo(first);
      shipped(l, { launchTemplates: [web] });
      without(l.lab, action);
      const ran = await l.act('promote', { image: second, groups: 'web' }, as('rollout'));
      expect([ran.exitCode, ran.outputs['outcome']]).toEqual([1, 'access']);
      expect([l.pointer(), new Set(l.runs('web'))]).toEqual([first, new Set([first])]);
    },
  );
});

describe('the roles stay with their own', () => {
  const WEB = { ...OWN, ...FAMILY };
  const OTHER = { 'aws:ResourceTag/ami-action:repository': 'acme/shop', 'aws:ResourceTag/ami-action:family': 'shop' };
  const region = `eu-central-1:${BUILD}`;
  const instance = `ec2:${region}:instance/i-1`;
  const snapshot = 'ec2:eu-central-1::snapshot/snap-1';
  const image = 'ec2:eu-central-1::image/ami-1';
  const run = (role: keyof typeof ROLES, call: Call) => evaluate(deployed(role).policies, question(call)) === 'allowed';

  test.each<[keyof typeof ROLES, Call, Call]>([
    [
      'rollout',
      ['ssm:PutParameter', `ssm:${region}:parameter/ami/web/stage`],
      ['ssm:PutParameter', `ssm:${region}:parameter/ami/web/prod`],
    ],
    [
      'rollout',
      ['ssm:DeleteParameter', `ssm:${region}:parameter/ami/web/stage/candidate`],
      ['ssm:DeleteParameter', `ssm:${region}:parameter/ami/web/prod/candidate`],
    ],
    ['rollout', ['ssm:GetParameter', `ssm:${region}:parameter/ami/web/prod`], ['ssm:GetParameter', `ssm:${region}:parameter/db/password`]],
    [
      'rollout',
      ['autoscaling:StartInstanceRefresh', `autoscaling:${region}:autoScalingGroup:1:autoScalingGroupName/web`],
      ['autoscaling:StartInstanceRefresh', `autoscaling:${region}:autoScalingGroup:1:autoScalingGroupName/shop`],
    ],
    [
      'rollout',
      ['ec2:CreateTags', image, { ...WEB, 'aws:TagKeys': ['ami-action:vetoed-in'] }],
      ['ec2:CreateTags', image, { ...WEB, 'aws:TagKeys': ['ami-action:vetoed-in', 'ami-action:verdict'] }],
    ],
    [
      'rollout',
      ['ssm:SendCommand', instance, { 'ssm:resourceTag/aws:autoscaling:groupName': 'web' }],
      ['ssm:SendCommand', instance, { 'ssm:resourceTag/aws:autoscaling:groupName': 'shop' }],
    ],
    [
      'rollout',
      ['iam:PassRole', arn('web'), { 'iam:PassedToService': 'ec2.amazonaws.com' }],
      ['iam:PassRole', arn('admin'), { 'iam:PassedToService': 'ec2.amazonaws.com' }],
    ],
    [
      'rollout',
      ['iam:PassRole', arn('web'), { 'iam:PassedToService': 'ec2.amazonaws.com' }],
      ['iam:PassRole', arn('web'), { 'iam:PassedToService': 'lambda.amazonaws.com' }],
    ],
    ['images', ['ec2:TerminateInstances', instance, WEB], ['ec2:TerminateInstances', instance, OTHER]],
    ['images', ['ec2:DeregisterImage', image, WEB], ['ec2:DeregisterImage', image, {}]],
    ['images', ['ec2:DeleteSnapshot', snapshot, WEB], ['ec2:DeleteSnapshot', snapshot, OTHER]],
    ['images', ['ec2:CreateTags', image, WEB], ['ec2:CreateTags', image, { ...OTHER, 'aws:RequestTag/ami-action:family': 'web' }]],
    ['images', ['ec2:ModifyImageAttribute', image, FAMILY], ['ec2:ModifyImageAttribute', image, OTHER]],
    [
      'images',
      ['ec2:ModifySnapshotAttribute', snapshot, { ...WEB, 'ec2:Add/userId': STAGE }],
      ['ec2:ModifySnapshotAttribute', snapshot, { ...WEB, 'ec2:Add/userId': '999999999999' }],
    ],
    [
      'images',
      ['ec2:RunInstances', `ec2:${region}:instance/*`, { 'aws:RequestTag/ami-action:repository': 'acme/web' }],
      ['ec2:RunInstances', `ec2:${region}:instance/*`, {}],
    ],
    [
      'images',
      [
        'ssm:SendCommand',
        instance,
        { 'ssm:resourceTag/ami-action:purpose': 'validate', 'ssm:resourceTag/ami-action:repository': 'acme/web' },
      ],
      ['ssm:SendCommand', instance, { 'ssm:resourceTag/ami-action:repository': 'acme/web' }],
    ],
  ])('%s may %j, and not %j', (role, may, mayNot) => {
    expect([run(role, may), run(role, mayNot)]).toEqual([true, false]);
  });

  test.each<[keyof typeof ROLES, Call]>([
    ['rollout', ['ec2:TerminateInstances', instance, WEB]],
    ['rollout', ['kms:GenerateMac', KEY]],
    ['rollout', ['ec2:ModifySnapshotAttribute', snapshot, WEB]],
    ['rollout', ['ec2:RunInstances', `ec2:${region}:instance/*`, { 'aws:RequestTag/ami-action:repository': 'acme/web' }]],
    ['images', ['ssm:PutParameter', `ssm:${region}:parameter/ami/web/stage`]],
    ['images', ['autoscaling:StartInstanceRefresh', `autoscaling:${region}:autoScalingGroup:1:autoScalingGroupName/web`]],
    ['images', ['iam:PassRole', arn('web'), { 'iam:PassedToService': 'ec2.amazonaws.com' }]],
    ['images', ['kms:Decrypt', `kms:${region}:key/1`, { 'kms:ViaService': 'ssm.eu-central-1.amazonaws.com' }]],
    ['read', ['ec2:CreateTags', image, WEB]],
  ])('%s may not %j at all', (role, call) => expect(run(role, call)).toBe(false));

  test('images without a family are tagged only where the stack allows adoption', () => {
    const call = question(['ec2:CreateTags', image, { 'aws:RequestTag/ami-action:family': 'web' }]);
    const { core } = labs[0] as Lab;
    expect(evaluate(deployed('images').policies, call)).toBe('allowed');
    const parameters = { Subject: 'repo:acme/web', Repository: 'acme/web', RepositoryId: '456789', Families: 'web' };
    (labs[0] as Lab).deploy(DELIVERY, { stack: 'ami-strict', parameters });
    expect(evaluate(roles(core).get(arn('ami-strict-images'))?.policies ?? [], call)).toBe('implicit');
  });

  test('secret parameters are denied, whatever another policy allows', () => {
    const all = readPolicy({ Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] });
    const decrypt = question(['kms:Decrypt', `kms:${region}:key/1`, { 'kms:ViaService': 'ssm.eu-central-1.amazonaws.com' }]);
    for (const role of ['images', 'read'] as const) expect(evaluate([...deployed(role).policies, ...all], decrypt)).toBe('explicit');
  });

  const CLAIMS = {
    aud: 'sts.amazonaws.com',
    ref: 'refs/heads/main',
    repository_id: '456789',
    job_workflow_ref: 'acme/web/x.yml@refs/heads/main',
  };
  const trusts = (role: keyof typeof ROLES, claims: Readonly<Record<string, string>>) => {
    const keys = Object.entries({ ...CLAIMS, ...claims }).map(([key, value]) => [`token.actions.githubusercontent.com:${key}`, value]);
    const statements = deployed(role).trust.map(statement => ({ ...statement, resources: ['*'] }));
    const asked = question(['sts:AssumeRoleWithWebIdentity', ROLES[role], Object.fromEntries(keys)]);
    return evaluate(statements, asked) === 'allowed';
  };
  const MAIN = 'repo:acme/web:ref:refs/heads/main';
  test.each<[keyof typeof ROLES, Readonly<Record<string, string>>, boolean]>([
    ['images', { sub: MAIN }, true],
    ['read', { sub: MAIN }, true],
    ['rollout', { sub: 'repo:acme/web:environment:stage' }, true],
    ['images', { sub: 'repo:acme/web:ref:refs/heads/feature', ref: 'refs/heads/feature' }, false],
    ['images', { sub: 'repo:acme/web:pull_request', ref: 'refs/pull/1/merge' }, false],
    ['images', { sub: 'repo:acme/web:environment:stage' }, false],
    ['images', { sub: MAIN, repository_id: '1' }, false],
    ['images', { sub: MAIN, aud: 'https://github.com/acme' }, false],
    ['rollout', { sub: MAIN }, false],
    ['rollout', { sub: 'repo:acme/web:environment:prod' }, false],
    ['rollout', { sub: 'repo:acme/web:environment:stage', ref: 'refs/heads/feature' }, false],
    ['rollout', { sub: 'repo:acme/web:environment:stage', repository_id: '1' }, false],
  ])('%s trusts a token with %j: %j', (role, claims, trusted) => expect(trusts(role, claims)).toBe(trusted));
});
