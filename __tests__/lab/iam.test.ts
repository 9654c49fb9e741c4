import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CreateAutoScalingGroupCommand } from '@aws-sdk/client-auto-scaling';
import { CloudFormationClient, CreateStackCommand } from '@aws-sdk/client-cloudformation';
import {
  CopyImageCommand,
  CreateLaunchTemplateCommand,
  CreateSecurityGroupCommand,
  CreateTagsCommand,
  DeleteSecurityGroupCommand,
  DeregisterImageCommand,
  DescribeImageReferencesCommand,
  DescribeImagesCommand,
  DescribeInstancesCommand,
  RunInstancesCommand,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2';
import { EKSClient, UpdateNodegroupVersionCommand } from '@aws-sdk/client-eks';
import {
  DescribeInstanceInformationCommand,
  GetParameterCommand,
  GetParametersCommand,
  GetServiceSettingCommand,
  PutParameterCommand,
  SendCommandCommand,
} from '@aws-sdk/client-ssm';
import { AssumeRoleCommand, AssumeRoleWithWebIdentityCommand, GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { setTags } from '../../lab/ec2/state.ts';
import { readConditions } from '../../lab/iam/conditions.ts';
import { contextOf } from '../../lab/iam/context.ts';
import { DEPENDENTS } from '../../lab/iam/dependents.ts';
import { factsOf } from '../../lab/iam/facts.ts';
import { evaluate, readPolicy } from '../../lab/iam/policy.ts';
import { instanceProfiles, roles } from '../../lab/iam/roles.ts';
import { IAM_SERVICES } from '../../lab/iam/service-targets.ts';
import { targetsOf } from '../../lab/iam/targets.ts';
import { type Lab, startLab } from '../../lab/lab.ts';
import { SERVICES } from '../../lab/services.ts';
import { defaultHostManagement } from '../../lab/ssm/agents.ts';
import { clientsOf, refusal, THEM, US } from './clients.ts';

describe('a policy', () => {
  const ask = (statement: object | object[], context: Record<string, string | string[]> = {}, question = {}) =>
    evaluate(readPolicy({ Statement: statement }), {
      ...{ action: 'ec2:TerminateInstances', resource: 'arn:aws:ec2:eu-central-1:111122223333:instance/i-1' },
      ...question,
      context: contextOf(context),
    });
  const allow = { Effect: 'Allow', Action: 'ec2:*', Resource: '*' };

  test.each([
    ['an action', { Action: 'ec2:TerminateInstances' }, 'allowed'],
    ['an action in other capitals', { Action: 'EC2:terminateinstances' }, 'allowed'],
    ['a wildcard', { Action: ['s3:Get*', 'ec2:Termin?teInstances'] }, 'allowed'],
    ['another action', { Action: 'ec2:StopInstances' }, 'implicit'],
    ['all actions but some', { Action: undefined, NotAction: ['ec2:Stop*'] }, 'allowed'],
    ['all actions but this', { Action: undefined, NotAction: ['ec2:*'] }, 'implicit'],
    ['a resource', { Resource: 'arn:aws:ec2:*:111122223333:instance/*' }, 'allowed'],
    ['a resource of another account', { Resource: 'arn:aws:ec2:*:444455556666:instance/*' }, 'implicit'],
    ['all resources but this', { Resource: undefined, NotResource: 'arn:aws:ec2:*:*:instance/*' }, 'implicit'],
  ])('names %s', (_, change, expected) => {
    const statement = Object.fromEntries(Object.entries({ ...allow, ...change }).filter(([, value]) => value !== undefined));
    expect(ask(statement)).toBe(expected);
  });

  test('denies explicitly before it allows', () => {
    expect(ask([allow, { Effect: 'Deny', Action: 'ec2:Terminate*', Resource: '*' }])).toBe('explicit');
    expect(ask([])).toBe('implicit');
  });

  const tagged = { 'aws:ResourceTag/team': 'web', 'aws:TagKeys': ['a', 'b'], 'aws:PrincipalArn': 'arn:aws:iam::111122223333:role/ci' };
  test.each([
    ['StringEquals', { 'aws:resourcetag/team': 'web' }, true],
    ['StringEquals', { 'aws:ResourceTag/team': ['db', 'web'] }, true],
    ['StringEquals', { 'aws:ResourceTag/team': 'db' }, false],
    ['StringEquals', { 'aws:ResourceTag/other': 'web' }, false],
    ['StringEqualsIfExists', { 'aws:ResourceTag/other': 'web' }, true],
    ['StringEqualsIfExists', { 'aws:ResourceTag/team': 'db' }, false],
    ['StringNotEquals', { 'aws:ResourceTag/team': 'db' }, true],
    ['StringNotEquals', { 'aws:ResourceTag/other': 'db' }, true],
    ['StringLike', { 'aws:ResourceTag/team': 'w*' }, true],
    ['StringNotLike', { 'aws:ResourceTag/team': 'w*' }, false],
    ['ArnLike', { 'aws:PrincipalArn': 'arn:aws:iam::*:role/c?' }, true],
    ['ArnLike', { 'aws:PrincipalArn': 'arn:aws:iam::role/*' }, false],
    ['Null', { 'aws:ResourceTag/team': 'false', 'aws:ResourceTag/other': 'true' }, true],
    ['Null', { 'aws:ResourceTag/team': 'true' }, false],
    ['ForAllValues:StringEquals', { 'aws:TagKeys': ['a', 'b', 'c'] }, true],
    ['ForAllValues:StringEquals', { 'aws:TagKeys': ['a'] }, false],
    ['ForAllValues:StringEquals', { 'aws:RequestTag/none': ['a'] }, true],
    ['ForAnyValue:StringEquals', { 'aws:TagKeys': ['a'] }, true],
    ['ForAnyValue:StringEquals', { 'aws:RequestTag/none': ['a'] }, false],
    ['Bool', { 'aws:SecureTransport': 'true' }, false],
  ])('holds %s %j: %s', (operator, keys, expected) => {
    expect(ask({ ...allow, Condition: { [operator]: keys } }, tagged)).toBe(expected ? 'allowed' : 'implicit');
  });

  test('replaces policy variables', () => {
    const Condition = { StringEquals: { 'aws:ResourceTag/team': '${aws:PrincipalTag/team}' } };
    expect(ask({ ...allow, Condition }, { ...tagged, 'aws:PrincipalTag/team': 'web' })).toBe('allowed');
    expect(ask({ ...allow, Condition }, { ...tagged, 'aws:PrincipalTag/team': 'db' })).toBe('implicit');
  });

  test('with an unknown operator or element is refused', () => {
    expect(() => readConditions({ IpAddress: { 'aws:SourceIp': '10.0.0.0/8' } })).toThrow('condition operator IpAddress');
    expect(() => readPolicy({ Statement: { Effect: 'Allow', Actions: '*' } })).toThrow('MalformedPolicyDocument: Actions');
  });
});

const TRUST = { Statement: { Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${US}:root` }, Action: 'sts:AssumeRole' } };
const role = (statements: object[], more: object = {}) =>
  JSON.stringify({
    Resources: {
      Role: {
        Type: 'AWS::IAM::Role',
        Properties: {
          RoleName: 'worker',
          AssumeRolePolicyDocument: TRUST,
          Policies: [{ PolicyName: 'p', PolicyDocument: { Statement: statements } }],
          ...more,
        },
      },
    },
  });
const may = (Action: string | string[], more: object = {}) => ({ Effect: 'Allow', Action, Resource: '*', ...more });

let lab: Lab;
let image: string;

beforeAll(async () => {
  lab = await startLab({ speed: 600, machines: 'paper', hostManagement: true });
  const found = await clientsOf(lab).ec2.send(new DescribeImagesCommand({ Filters: [{ Name: 'architecture', Values: ['x86_64'] }] }));
  image = found.Images?.[0]?.ImageId ?? '';
});
afterAll(() => lab.close());
beforeEach(() => roles(lab.core).clear());

/** Clients with a session of the role that these statements make. */
function as(...statements: object[]) {
  lab.deploy(role(statements));
  return sessionOf('worker');
}

function sessionOf(name: string, account = US) {
  const env = lab.environment({ role: name, account });
  const session = {
    accessKeyId: env['AWS_ACCESS_KEY_ID'] ?? '',
    secretAccessKey: env['AWS_SECRET_ACCESS_KEY'] ?? '',
    sessionToken: env['AWS_SESSION_TOKEN'] ?? '',
  };
  return clientsOf(lab, { session, account });
}

/** Settings of another client with the session of these. */
const sameAs = ({ ec2: { config } }: ReturnType<typeof clientsOf>) => ({
  ...{ endpoint: lab.url, region: 'eu-central-1', maxAttempts: 1, credentials: config.credentials },
});

const launch = (more: object = {}) =>
  new RunInstancesCommand({ ImageId: image, InstanceType: 't3.micro', MinCount: 1, MaxCount: 1, ...more });
const WHO = `arn:aws:sts::${US}:assumed-role/worker/lab`;

describe('a call', () => {
  test('of an administrator is allowed, of a role without a policy denied in the wording of each service', async () => {
    await clientsOf(lab).ec2.send(new DescribeInstancesCommand({}));
    const { ec2, ssm, asg, sts } = as();
    expect(await refusal(ec2.send(new DescribeInstancesCommand({})))).toBe(
      `UnauthorizedOperation: You are not authorized to perform this operation. User: ${WHO} is not authorized to perform: ec2:DescribeInstances because no identity-based policy allows the ec2:DescribeInstances action`,
    );
    expect(await refusal(ssm.send(new GetParameterCommand({ Name: '/ami/web' })))).toBe(
      `AccessDeniedException: User: ${WHO} is not authorized to perform: ssm:GetParameter on resource: arn:aws:ssm:eu-central-1:${US}:parameter/ami/web because no identity-based policy allows the ssm:GetParameter action`,
    );
    const create = new CreateAutoScalingGroupCommand({ AutoScalingGroupName: 'web', MinSize: 0, MaxSize: 1 });
    expect(await refusal(asg.send(create))).toMatch(
      /^AccessDenied: User: .*autoscaling:CreateAutoScalingGroup on resource: arn:aws:autoscaling:/,
    );
    expect((await sts.send(new GetCallerIdentityCommand({}))).Arn).toBe(WHO);
  });

  test('is denied explicitly', async () => {
    const { ec2 } = as(may('*'), { Effect: 'Deny', Action: 'ec2:DescribeImages', Resource: '*' });
    expect(await refusal(ec2.send(new DescribeImagesCommand({})))).toMatch(
      /ec2:DescribeImages with an explicit deny in an identity-based policy$/,
    );
  });

  test('changes only resources whose tags fit', async () => {
    const admin = clientsOf(lab).ec2;
    const start = async (team: string) => {
      const { Instances } = await admin.send(
        launch({ TagSpecifications: [{ ResourceType: 'instance', Tags: [{ Key: 'team', Value: team }] }] }),
      );
      return Instances?.[0]?.InstanceId ?? '';
    };
    const [own, foreign] = [await start('web'), await start('db')];
    const { ec2 } = as(may('ec2:TerminateInstances', { Condition: { StringEquals: { 'aws:ResourceTag/team': 'web' } } }));
    expect(await refusal(ec2.send(new TerminateInstancesCommand({ InstanceIds: [own, foreign] })))).toMatch(
      new RegExp(`ec2:TerminateInstances on resource: arn:aws:ec2:eu-central-1:${US}:instance/${foreign}`),
    );
    await ec2.send(new TerminateInstancesCommand({ InstanceIds: [own] }));
  });

  test('that tags while it creates needs ec2:CreateTags, limited by ec2:CreateAction', async () => {
    const tags = { TagSpecifications: [{ ResourceType: 'security-group', Tags: [{ Key: 'run', Value: '1' }] }] };
    const make = (more: object) => new CreateSecurityGroupCommand({ GroupName: `g-${Math.random()}`, Description: 'x', ...more });
    const bare = as(may('ec2:CreateSecurityGroup'));
    await bare.ec2.send(make({}));
    expect(await refusal(bare.ec2.send(make(tags as object)))).toMatch(/ec2:CreateTags on resource: .*security-group\/\*/);
    const Condition = {
      StringEquals: { 'ec2:CreateAction': 'CreateSecurityGroup' },
      'ForAllValues:StringEquals': { 'aws:TagKeys': ['run'] },
    };
    const tagging = as(may('ec2:CreateSecurityGroup'), may('ec2:CreateTags', { Condition }));
    const { GroupId = '' } = await tagging.ec2.send(make(tags as object));
    const retag = new CreateTagsCommand({ Resources: [GroupId], Tags: [{ Key: 'run', Value: '2' }] });
    expect(await refusal(tagging.ec2.send(retag))).toMatch(/ec2:CreateTags on resource/);
    expect(await refusal(tagging.ec2.send(new DeleteSecurityGroupCommand({ GroupId })))).toMatch(/ec2:DeleteSecurityGroup/);
  });

  test('that launches with a profile needs iam:PassRole to EC2', async () => {
    const withProfile = launch({ IamInstanceProfile: { Name: 'web' } });
    expect(await refusal(as(may('ec2:RunInstances')).ec2.send(withProfile))).toMatch(
      new RegExp(`iam:PassRole on resource: arn:aws:iam::${US}:role/web`),
    );
    const pass = (service: string) => may('iam:PassRole', { Condition: { StringEquals: { 'iam:PassedToService': service } } });
    expect(await refusal(as(may('ec2:RunInstances'), pass('lambda.amazonaws.com')).ec2.send(withProfile))).toMatch(/iam:PassRole/);
    await as(may('ec2:RunInstances'), pass('ec2.amazonaws.com')).ec2.send(withProfile);
  });

  test('to UpdateNodegroupVersion needs what a launch from the template needs', async () => {
    const LaunchTemplateData = { ImageId: image, InstanceType: 't3.micro' as const, IamInstanceProfile: { Name: 'web' } };
    const { LaunchTemplate } = await clientsOf(lab).ec2.send(
      new CreateLaunchTemplateCommand({ LaunchTemplateName: 'nodes', LaunchTemplateData }),
    );
    const launchTemplate = { id: LaunchTemplate?.LaunchTemplateId, version: '1' };
    const update = new UpdateNodegroupVersionCommand({ clusterName: 'main', nodegroupName: 'blue', launchTemplate });
    const refused = (...statements: object[]) => refusal(new EKSClient(sameAs(as(...statements))).send(update));
    const eks = may('eks:UpdateNodegroupVersion');
    expect(await refused(eks)).toMatch(/ec2:RunInstances on resource/);
    expect(await refused(eks, may('ec2:RunInstances'))).toMatch(/iam:PassRole on resource/);
    expect(await refused(eks, may(['ec2:RunInstances', 'iam:PassRole']))).toMatch(/^ResourceNotFoundException: No node group/);
  });

  test('to CreateStack with a service role needs iam:PassRole to CloudFormation', async () => {
    const asked = { StackName: 'web', TemplateBody: 'Resources: {}', RoleARN: `arn:aws:iam::${US}:role/cfn` };
    const create = (...statements: object[]) =>
      new CloudFormationClient(sameAs(as(may('cloudformation:CreateStack'), ...statements))).send(new CreateStackCommand(asked));
    const pass = (service: string) => may('iam:PassRole', { Condition: { StringEquals: { 'iam:PassedToService': service } } });
    expect(await refusal(create(pass('ec2.amazonaws.com')))).toMatch(new RegExp(`iam:PassRole on resource: ${asked.RoleARN}`));
    await create(pass('cloudformation.amazonaws.com'));
  });

  test('to DescribeImageReferences needs what EC2 asks the other services for', async () => {
    const ask = new DescribeImageReferencesCommand({ ImageIds: [image], IncludeAllResourceTypes: true });
    expect(await refusal(as(may('ec2:DescribeImageReferences')).ec2.send(ask))).toMatch(/ec2:DescribeInstances because/);
    const all = ['ec2:Describe*', 'ssm:DescribeParameters', 'ssm:GetParameters'];
    expect(await refusal(as(may(all)).ec2.send(ask))).toMatch(/imagebuilder:ListImageRecipes/);
    const builder = ['imagebuilder:ListImageRecipes', 'imagebuilder:ListContainerRecipes', 'imagebuilder:GetContainerRecipe'];
    const via = { Condition: { 'ForAnyValue:StringEquals': { 'aws:CalledVia': 'ec2-images.amazonaws.com' } } };
    await as(may(all), may(builder, via)).ec2.send(ask);
    const elsewhere = { Condition: { 'ForAnyValue:StringEquals': { 'aws:CalledVia': 'lambda.amazonaws.com' } } };
    expect(await refusal(as(may(all), may(builder, elsewhere)).ec2.send(ask))).toMatch(/imagebuilder/);
  });

  test('reaches only the parameters that the policy names, and each of several', async () => {
    const { ssm } = as(may('ssm:*', { Resource: `arn:aws:ssm:*:${US}:parameter/ami/web/stage` }), may('ec2:DescribeImages'));
    const put = (Name: string, more: object = {}) => ssm.send(new PutParameterCommand({ Name, Value: 'x', Type: 'String', ...more }));
    await put('/ami/web/stage');
    expect(await refusal(put('/ami/web/prod'))).toMatch(/ssm:PutParameter on resource: .*parameter\/ami\/web\/prod/);
    expect(await refusal(ssm.send(new GetParametersCommand({ Names: ['/ami/web/stage', '/other'] })))).toMatch(/parameter\/other/);
    const strict = as(may('ssm:*'));
    expect(
      await refusal(strict.ssm.send(new PutParameterCommand({ Name: '/i', Value: image, Type: 'String', DataType: 'aws:ec2:image' }))),
    ).toMatch(/ec2:DescribeImages/);
  });

  test('reaches a service setting, a resource without condition keys', async () => {
    const get = new GetServiceSettingCommand({ SettingId: '/ssm/managed-instance/default-ec2-instance-management-role' });
    const { ServiceSetting } = await as(may('ssm:GetServiceSetting')).ssm.send(get);
    expect(ServiceSetting?.Status).toBe('Customized');
    expect(await refusal(as(may('ssm:GetParameter')).ssm.send(get))).toMatch(/ssm:GetServiceSetting on resource: .*:servicesetting\//);
  });

  test('to SendCommand needs the document and the instance, by its tag', async () => {
    // Without it the agent does not answer: the last call is allowed and finds no agent.
    defaultHostManagement(lab.place()).enabled = false;
    const { Instances } = await clientsOf(lab).ec2.send(launch());
    const id = Instances?.[0]?.InstanceId ?? '';
    const send = new SendCommandCommand({ InstanceIds: [id], DocumentName: 'AWS-RunShellScript', Parameters: { commands: ['true'] } });
    const document = may('ssm:SendCommand', { Resource: 'arn:aws:ssm:*::document/AWS-RunShellScript' });
    const byTag = may('ssm:SendCommand', {
      Resource: 'arn:aws:ec2:*:*:instance/*',
      Condition: { StringEquals: { 'ssm:resourceTag/ami-action:test': 'true' } },
    });
    expect(await refusal(as(byTag).ssm.send(send))).toMatch(/document\/AWS-RunShellScript/);
    expect(await refusal(as(document, byTag).ssm.send(send))).toMatch(new RegExp(`instance/${id}`));
    setTags(lab.place(), id, { 'ami-action:test': 'true' });
    expect(await refusal(as(document, byTag).ssm.send(send))).toMatch(/^InvalidInstanceId/);
    defaultHostManagement(lab.place()).enabled = true;
  });

  test('to DeregisterImage reports a missing permission for each snapshot', async () => {
    const admin = clientsOf(lab).ec2;
    const { ImageId: own = '' } = await admin.send(
      new CopyImageCommand({ Name: 'own', SourceImageId: image, SourceRegion: 'eu-central-1' }),
    );
    const { ec2 } = as(may('ec2:DeregisterImage'));
    const { DeleteSnapshotResults } = await ec2.send(new DeregisterImageCommand({ ImageId: own, DeleteAssociatedSnapshots: true }));
    expect(DeleteSnapshotResults?.map(({ ReturnCode }) => ReturnCode)).toEqual(['missing-permissions']);
  });

  test('is limited by a permissions boundary', async () => {
    lab.deploy(role([may('ec2:*')], { PermissionsBoundary: 'arn:aws:iam::aws:policy/AmazonEC2ImageReferencesAccessPolicy' }));
    const { ec2 } = sessionOf('worker');
    await ec2.send(new DescribeInstancesCommand({}));
    expect(await refusal(ec2.send(new DescribeImagesCommand({})))).toMatch(/ec2:DescribeImages/);
  });
});

describe('a key', () => {
  const KEY = `arn:aws:kms:eu-central-1:${US}:key/1234abcd-12ab-34cd-56ef-1234567890ab`;
  const VOLUME = ['kms:CreateGrant', 'kms:Decrypt', 'kms:DescribeKey', 'kms:GenerateDataKeyWithoutPlaintext', 'kms:ReEncrypt*'];
  const viaEc2 = {
    Resource: KEY,
    Condition: { StringLike: { 'kms:ViaService': 'ec2.*.amazonaws.com' }, Bool: { 'kms:GrantIsForAWSResource': 'true' } },
  };
  let copies = 0;

  async function stateOfCopy(...statements: object[]): Promise<string | undefined> {
    copies += 1;
    const { ec2 } = as(may(['ec2:CopyImage', 'ec2:DescribeImages']), ...statements);
    const Name = `encrypted-${copies}`;
    const { ImageId = '' } = await ec2.send(
      new CopyImageCommand({ Name, SourceImageId: image, SourceRegion: 'eu-central-1', KmsKeyId: KEY }),
    );
    for (;;) {
      const { Images } = await ec2.send(new DescribeImagesCommand({ ImageIds: [ImageId] }));
      if (Images?.[0]?.State !== 'pending') return Images?.[0]?.State;
    }
  }

  // https://docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption-requirements.html
  test('encrypts a copy only for a role that may use it through EC2: the call succeeds, the copy fails', async () => {
    expect(await stateOfCopy()).toBe('failed');
    expect(await stateOfCopy(may(VOLUME, viaEc2))).toBe('available');
    for (const left of VOLUME)
      expect([
        left,
        await stateOfCopy(
          may(
            VOLUME.filter(one => one !== left),
            viaEc2,
          ),
        ),
      ]).toEqual([left, 'failed']);
  });
});

const SHIPPED = readFileSync(join(import.meta.dirname, '..', '..', 'examples', 'delivery-role.yml'), 'utf8');
const GIVEN = { Subject: 'repo:acme/web', Repository: 'acme/web', RepositoryId: '42', Families: 'web' };

// https://docs.aws.amazon.com/systems-manager/latest/userguide/setup-instance-permissions.html
test('an agent registers only with a profile whose role allows it', async () => {
  defaultHostManagement(lab.place()).enabled = false;
  const { outputs } = lab.deploy(SHIPPED, { parameters: GIVEN });
  lab.deploy(role([may('s3:*')]));
  instanceProfiles(lab.core).set(`arn:aws:iam::${US}:instance-profile/bare`, `arn:aws:iam::${US}:role/worker`);
  const { ec2, ssm } = clientsOf(lab);
  const start = async (Name: string) => (await ec2.send(launch({ IamInstanceProfile: { Name } }))).Instances?.[0]?.InstanceId ?? '';
  const [managed, bare] = [await start(outputs['Profile'] ?? ''), await start('bare')];
  await lab.clock.sleep(120);
  const { InstanceInformationList = [] } = await ssm.send(new DescribeInstanceInformationCommand({}));
  const ids = InstanceInformationList.map(({ InstanceId }) => InstanceId);
  expect([ids.includes(managed), ids.includes(bare)]).toEqual([true, false]);
  defaultHostManagement(lab.place()).enabled = true;
});

test('a template is deployed from another process too', async () => {
  const post = (body: object) => fetch(`${lab.url}/_lab/templates`, { method: 'POST', body: JSON.stringify(body) });
  const deployed = await post({ template: SHIPPED, account: US, stack: 'ami-web', parameters: GIVEN });
  expect(await deployed.json()).toMatchObject({ outputs: { Images: `arn:aws:iam::${US}:role/ami-web-images` } });
  const refused = await post({ template: SHIPPED, account: US });
  expect([refused.status, await refused.json()]).toEqual([
    400,
    { error: 'Error: ValidationError: Parameters: [Subject] must have values' },
  ]);
});

test('every operation of the lab is an action of IAM that some policy must allow', async () => {
  const empty = { ...lab.place(), account: '999999999999' };
  const free: string[] = [];
  for (const [service, { operations }] of Object.entries(SERVICES).filter(([name]) => name !== 'sts' && name !== 'classicbalancing')) {
    const { prefix = '', find = () => [] } = IAM_SERVICES[service] ?? {};
    for (const operation of Object.keys(operations)) {
      const facts = await factsOf(prefix, operation);
      if (facts === undefined || targetsOf(facts, find(operation, {}, empty), empty).length === 0) free.push(`${service}:${operation}`);
    }
  }
  expect(free).toEqual([]);
});

test('every rule of the dependent actions names the AWS document that decides it', () => {
  for (const [, document] of Object.values(DEPENDENTS).flat()) expect(document).toMatch(/^https:\/\/docs\.aws\.amazon\.com\//);
});

const token = (claims: object) => `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.x`;

describe('trust', () => {
  const claims = {
    ...{ iss: 'https://token.actions.githubusercontent.com', aud: 'sts.amazonaws.com', sub: 'repo:acme/web:ref:refs/heads/main' },
    ...{
      ref: 'refs/heads/main',
      repository_id: '42',
      environment: 'stage',
      job_workflow_ref: 'acme/web/.github/workflows/a.yml@refs/heads/main',
    },
  };
  const assume = (differing: object = {}, RoleArn = `arn:aws:iam::${US}:role/pinned`) =>
    clientsOf(lab).sts.send(
      new AssumeRoleWithWebIdentityCommand({ RoleArn, RoleSessionName: 'ci', WebIdentityToken: token({ ...claims, ...differing }) }),
    );
  const GITHUB = 'token.actions.githubusercontent.com';
  const pinned = JSON.stringify({
    Resources: {
      GitHub: { Type: 'AWS::IAM::OIDCProvider', Properties: { Url: `https://${GITHUB}`, ClientIdList: ['sts.amazonaws.com'] } },
      Pinned: {
        Type: 'AWS::IAM::Role',
        Properties: {
          RoleName: 'pinned',
          AssumeRolePolicyDocument: {
            Statement: {
              Effect: 'Allow',
              Action: 'sts:AssumeRoleWithWebIdentity',
              Principal: { Federated: { Ref: 'GitHub' } },
              Condition: {
                StringEquals: {
                  [`${GITHUB}:aud`]: 'sts.amazonaws.com',
                  [`${GITHUB}:ref`]: 'refs/heads/main',
                  [`${GITHUB}:repository_id`]: '42',
                  [`${GITHUB}:environment`]: 'stage',
                },
                StringLike: {
                  [`${GITHUB}:sub`]: 'repo:acme/web:*',
                  [`${GITHUB}:job_workflow_ref`]: 'acme/web/.github/workflows/*@refs/heads/main',
                },
              },
            },
          },
        },
      },
    },
  });

  test.each([
    ['nothing', {}, 'ok'],
    [
      'the subject',
      { sub: 'repo:acme/other:ref:refs/heads/main' },
      'AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity',
    ],
    ['the branch', { ref: 'refs/heads/dev' }, 'AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity'],
    ['the repository', { repository_id: '43' }, 'AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity'],
    ['the environment', { environment: 'prod' }, 'AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity'],
    [
      'the workflow',
      { job_workflow_ref: 'evil/web/a.yml@refs/heads/main' },
      'AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity',
    ],
    ['the audience', { aud: 'other' }, 'InvalidIdentityToken: Incorrect token audience'],
    [
      'the issuer',
      { iss: 'https://gitlab.example' },
      'InvalidIdentityToken: No OpenIDConnect provider found in your account for https://gitlab.example',
    ],
  ])('by claims of a token: %s differs', async (_, differing, expected) => {
    lab.deploy(pinned);
    const answer = await assume(differing).then(
      () => 'ok',
      (cause: Error) => `${cause.name}: ${cause.message}`,
    );
    expect(answer.replace('InvalidIdentityTokenException', 'InvalidIdentityToken')).toBe(expected);
  });

  test('of the shipped template: branch main of the repository, no environment and no pull request', async () => {
    const { outputs } = lab.deploy(SHIPPED, { parameters: GIVEN });
    const shipped = (sub: string) => assume({ sub }, outputs['Images']);
    await shipped('repo:acme/web:ref:refs/heads/main');
    expect(await refusal(shipped('repo:acme/web:environment:prod'))).toMatch(/^AccessDenied/);
    expect(await refusal(shipped('repo:acme/web:pull_request'))).toMatch(/^AccessDenied/);
    expect(await refusal(shipped('repo:acme/web:ref:refs/heads/dev'))).toMatch(/^AccessDenied/);
  });

  test('by principal: both accounts must agree, with the external ID', async () => {
    const target = (Principal: object, Condition: object = {}) =>
      lab.deploy(
        JSON.stringify({
          Resources: {
            Target: {
              Type: 'AWS::IAM::Role',
              Properties: {
                RoleName: 'target',
                AssumeRolePolicyDocument: { Statement: { Effect: 'Allow', Action: 'sts:AssumeRole', Principal, Condition } },
              },
            },
          },
        }),
        { account: THEM },
      );
    const RoleArn = `arn:aws:iam::${THEM}:role/target`;
    const go = (from: ReturnType<typeof as>, ExternalId?: string) =>
      from.sts.send(new AssumeRoleCommand({ RoleArn, RoleSessionName: 'session', ExternalId }));
    const may1 = as(may('sts:AssumeRole', { Resource: RoleArn }));
    target({ AWS: `arn:aws:iam::${US}:role/worker` }, { StringEquals: { 'sts:ExternalId': 'x' } });
    expect(await refusal(go(may1))).toMatch(/^AccessDenied: .*sts:AssumeRole on resource: arn:aws:iam::444455556666:role\/target/);
    await go(may1, 'x');
    const mayNot = as(may('ec2:*'));
    target({ AWS: US });
    expect(await refusal(go(mayNot))).toMatch(/^AccessDenied/);
    await go(as(may('sts:*')));
    target({ AWS: `arn:aws:iam::${US}:role/other` });
    expect(await refusal(go(as(may('sts:*'))))).toMatch(/^AccessDenied/);
  });
});

describe('a template', () => {
  test('as shipped deploys its role, profile and provider', () => {
    const { outputs, arns } = lab.deploy(SHIPPED, { stack: 'ami-web', parameters: { ...GIVEN, LaunchTemplates: 'lt-a, lt-b' } });
    expect(outputs).toEqual({
      Images: `arn:aws:iam::${US}:role/ami-web-images`,
      Read: `arn:aws:iam::${US}:role/ami-web-read`,
      Profile: 'ami-web-test',
    });
    expect(arns['GitHub']).toBe(`arn:aws:iam::${US}:oidc-provider/token.actions.githubusercontent.com`);
    const resourcesOf = (action: string) =>
      roles(lab.core)
        .get(outputs['Images'] ?? '')
        ?.policies.filter(({ actions }) => actions.includes(action))
        .map(({ resources }) => resources);
    expect(resourcesOf('iam:PassRole')).toEqual([[`arn:aws:iam::${US}:role/ami-web-TestInstance`]]);
    expect(resourcesOf('ec2:DeleteLaunchTemplateVersions')).toEqual([
      [`arn:aws:ec2:*:${US}:launch-template/lt-a`, `arn:aws:ec2:*:${US}:launch-template/lt-b`],
    ]);
  });

  test.each([
    ['a parameter without a value', {}, 'Parameters: [Subject] must have values'],
    ['a value that does not match its pattern', { Subject: 'repo:acme/*' }, "Parameter 'Subject' must match"],
    ['a value that is not allowed', { ...GIVEN, Provider: 'maybe' }, "Parameter 'Provider' must match"],
    ['an unknown parameter', { ...GIVEN, Typo: 'x' }, 'Parameters: [Typo] do not exist in the template'],
  ])('is refused with %s', (_, parameters, expected) => {
    expect(() => lab.deploy(SHIPPED, { parameters })).toThrow(expected);
  });
});
