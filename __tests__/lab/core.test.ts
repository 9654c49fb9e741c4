import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { DescribeAutoScalingGroupsCommand, ResumeProcessesCommand } from '@aws-sdk/client-auto-scaling';
import {
  AcceptAddressTransferCommand,
  CreateKeyPairCommand,
  CreateTagsCommand,
  DescribeImagesCommand,
  DescribeInstancesCommand,
  DescribeKeyPairsCommand,
  DescribeRegionsCommand,
  DescribeTagsCommand,
  DescribeVpcsCommand,
  ImportKeyPairCommand,
  RunInstancesCommand,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2';
import { CreateActivationCommand, GetParameterCommand } from '@aws-sdk/client-ssm';
import {
  AssumeRoleCommand,
  AssumeRoleWithWebIdentityCommand,
  GetCallerIdentityCommand,
  GetFederationTokenCommand,
} from '@aws-sdk/client-sts';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { takeAddress } from '../../lab/addresses.ts';
import { newestAmazonLinux } from '../../lab/ec2/base-images.ts';
import { network } from '../../lab/ec2/network.ts';
import { instances } from '../../lab/ec2/state.ts';
import { type Lab, startLab } from '../../lab/lab.ts';
import { type PaperHypervisor, paperHypervisor } from '../../lab/machines/paper.ts';
import { setTrust } from '../../lab/sts-trust.ts';
import { clientsOf, refusal, THEM, US } from './clients.ts';

let lab: Lab;
let machines: PaperHypervisor;

beforeAll(async () => {
  machines = paperHypervisor();
  lab = await startLab({ speed: 600, machines });
});

beforeEach(() => lab.faults.clear());

afterAll(() => lab.close());

const base = () => newestAmazonLinux(lab.core, 'eu-central-1', 'x86_64');

const launch = (token: string) =>
  new RunInstancesCommand({ ImageId: base(), InstanceType: 't3.micro', MinCount: 1, MaxCount: 1, ClientToken: token });

describe('the wire', () => {
  test('text is returned as it was sent, with any characters', async () => {
    const { ec2 } = clientsOf(lab);
    const { vpcId } = network(lab.place());
    const Value = `<a href="x">&amp; 'é' 日本 😀\r\n\t]]>`;
    await ec2.send(new CreateTagsCommand({ Resources: [vpcId], Tags: [{ Key: 'odd & <even>', Value }] }));
    const { Vpcs } = await ec2.send(new DescribeVpcsCommand({ VpcIds: [vpcId] }));
    expect(Vpcs?.[0]?.Tags).toEqual([{ Key: 'odd & <even>', Value }]);
  });

  test('bytes, times and nested lists keep their type', async () => {
    const { ec2 } = clientsOf(lab);
    const { KeyMaterial } = await ec2.send(new CreateKeyPairCommand({ KeyName: 'first', KeyType: 'ed25519' }));
    expect(KeyMaterial).toMatch(/^-----BEGIN OPENSSH PRIVATE KEY-----\n/);
    const { KeyPairs } = await ec2.send(new DescribeKeyPairsCommand({ KeyNames: ['first'], IncludePublicKey: true }));
    expect(KeyPairs?.[0]?.CreateTime).toBeInstanceOf(Date);
    const PublicKeyMaterial = Buffer.from(KeyPairs?.[0]?.PublicKey ?? '');
    const copy = await ec2.send(new ImportKeyPairCommand({ KeyName: 'second', PublicKeyMaterial }));
    expect(copy.KeyFingerprint).toBe(KeyPairs?.[0]?.KeyFingerprint);
    const { Tags } = await ec2.send(
      new DescribeTagsCommand({
        Filters: [
          { Name: 'resource-type', Values: ['vpc', 'subnet'] },
          { Name: 'key', Values: ['odd*'] },
        ],
      }),
    );
    expect(Tags?.map(({ ResourceType }) => ResourceType)).toEqual(['vpc']);
  });

  test('an unknown operation is InvalidAction in every protocol, never a success', async () => {
    const { ec2, ssm, sts, asg } = clientsOf(lab);
    const answers = await Promise.all([
      refusal(ec2.send(new AcceptAddressTransferCommand({ Address: '192.0.2.1' }))),
      refusal(ssm.send(new CreateActivationCommand({ IamRole: 'role' }))),
      refusal(sts.send(new GetFederationTokenCommand({ Name: 'someone' }))),
    ]);
    for (const answer of answers) expect(answer).toMatch(/^InvalidAction: The action \w+ is not valid/);
    await expect(asg.send(new ResumeProcessesCommand({ AutoScalingGroupName: 'none' }))).rejects.toThrow('not found');
  });

  test('a parameter that AWS does not have is refused and logged', async () => {
    const mark = lab.calls.mark();
    const answer = await fetch(lab.url, {
      method: 'POST',
      headers: { authorization: 'AWS4-HMAC-SHA256 Credential=AKIALAB0111122223333/20260101/eu-west-1/ec2/aws4_request, Signature=x' },
      body: 'Action=DescribeRegions&Version=2016-11-15&RegionNames.1=eu-west-1',
    });
    expect(answer.status).toBe(400);
    expect(await answer.text()).toContain('<Code>UnknownParameter</Code><Message>The parameter RegionNames.1 is not recognized</Message>');
    expect(lab.calls.since(mark)).toMatchObject([{ operation: 'DescribeRegions', region: 'eu-west-1', outcome: 'UnknownParameter' }]);
  });

  test('a dry run is refused before the action', async () => {
    const { ec2 } = clientsOf(lab, { region: 'eu-west-3' });
    const dry = new RunInstancesCommand({ ...launch('dry').input, DryRun: true });
    expect(await refusal(ec2.send(dry))).toMatch(/^DryRunOperation: Request would have succeeded/);
    expect(instances(lab.place(US, 'eu-west-3')).size).toBe(0);
  });
});

describe('accounts and sessions', () => {
  test('the access key names the account, the signature the region', async () => {
    const { sts, ec2 } = clientsOf(lab, { account: THEM, region: 'us-east-1' });
    expect(await sts.send(new GetCallerIdentityCommand({}))).toMatchObject({ Account: THEM, Arn: `arn:aws:iam::${THEM}:user/lab` });
    await ec2.send(new DescribeRegionsCommand({}));
    expect(lab.calls.all().at(-1)).toMatchObject({ account: THEM, region: 'us-east-1', outcome: 'ok' });
  });

  test('an unknown key is refused with the error of each service', async () => {
    const session = { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'x', sessionToken: '' };
    const { ec2, ssm, sts } = clientsOf(lab, { session });
    expect(await refusal(ec2.send(new DescribeRegionsCommand({})))).toMatch(/^AuthFailure: /);
    expect(await refusal(ssm.send(new GetParameterCommand({ Name: 'x' })))).toMatch(/^UnrecognizedClientException: /);
    expect(await refusal(sts.send(new GetCallerIdentityCommand({})))).toMatch(/^InvalidClientTokenId: /);
  });

  // https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
  test('an assumed role works in its account until it expires in lab time, then with the error of each service', async () => {
    const { sts } = clientsOf(lab);
    const { Credentials, AssumedRoleUser } = await sts.send(
      new AssumeRoleCommand({ RoleArn: `arn:aws:iam::${THEM}:role/path/deploy`, RoleSessionName: 'run-7', DurationSeconds: 900 }),
    );
    expect(AssumedRoleUser?.Arn).toBe(`arn:aws:sts::${THEM}:assumed-role/deploy/run-7`);
    const { AccessKeyId = '', SecretAccessKey = '', SessionToken = '', Expiration } = Credentials ?? {};
    const session = { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, sessionToken: SessionToken };
    const theirs = clientsOf(lab, { session });
    expect(await theirs.sts.send(new GetCallerIdentityCommand({}))).toMatchObject({ Account: THEM, Arn: AssumedRoleUser?.Arn });
    const forged = clientsOf(lab, { session: { ...session, sessionToken: 'forged' } });
    expect(await refusal(forged.ec2.send(new DescribeRegionsCommand({})))).toMatch(/^AuthFailure: /);
    await lab.clock.sleep(((Expiration?.getTime() ?? 0) - lab.clock.now()) / 1000);
    expect(await refusal(theirs.ec2.send(new DescribeRegionsCommand({})))).toMatch(/^RequestExpired: /);
    expect(await refusal(theirs.sts.send(new GetCallerIdentityCommand({})))).toMatch(/^ExpiredToken/);
    expect(await refusal(theirs.asg.send(new DescribeAutoScalingGroupsCommand({})))).toMatch(/^ExpiredToken/);
    expect(await refusal(theirs.ssm.send(new GetParameterCommand({ Name: 'x' })))).toMatch(/^ExpiredTokenException: /);
  });

  test('a session lasts as long as its role allows, and a role assumed by a role at most an hour', async () => {
    const RoleArn = `arn:aws:iam::${US}:role/long`;
    setTrust(lab.core, RoleArn, { maxSessionSeconds: 7200 });
    const assume = (DurationSeconds: number) => new AssumeRoleCommand({ RoleArn, RoleSessionName: 'me', DurationSeconds });
    const { sts } = clientsOf(lab);
    const before = lab.clock.now();
    const { Credentials } = await sts.send(assume(7200));
    const seconds = ((Credentials?.Expiration?.getTime() ?? 0) - before) / 1000;
    expect(seconds).toBeGreaterThan(7190);
    expect(seconds).toBeLessThan(8200);
    expect(await refusal(sts.send(assume(7201)))).toMatch(/exceeds the MaxSessionDuration set for this role/);
    expect(await refusal(sts.send(assume(899)))).toMatch(/^ValidationError: .*greater than or equal to 900/);
    const { AccessKeyId = '', SecretAccessKey = '', SessionToken = '' } = Credentials ?? {};
    const chained = clientsOf(lab, { session: { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, sessionToken: SessionToken } });
    expect(await refusal(chained.sts.send(assume(7200)))).toMatch(/1 hour session limit for roles assumed by role chaining/);
  });

  test('only a trusted principal may assume a role', async () => {
    const RoleArn = `arn:aws:iam::${THEM}:role/narrow`;
    setTrust(lab.core, RoleArn, { principals: [US], externalId: 'secret' });
    const assume = (ExternalId?: string) => new AssumeRoleCommand({ RoleArn, RoleSessionName: 'me', ExternalId });
    await expect(clientsOf(lab).sts.send(assume('secret'))).resolves.toMatchObject({ Credentials: {} });
    expect(await refusal(clientsOf(lab).sts.send(assume()))).toMatch(/^AccessDenied: .*is not authorized to perform: sts:AssumeRole/);
    const stranger = clientsOf(lab, { account: '777788889999' });
    expect(await refusal(stranger.sts.send(assume('secret')))).toMatch(/^AccessDenied: /);
  });
});

describe('a web identity', () => {
  const RoleArn = `arn:aws:iam::${US}:role/github`;
  const jwt = (claims: object) =>
    ['{"alg":"none"}', JSON.stringify(claims), ''].map(part => Buffer.from(part).toString('base64url')).join('.');
  const claims = {
    iss: 'https://token.actions.githubusercontent.com',
    sub: 'repo:acme/web:environment:prod',
    aud: 'sts.amazonaws.com',
    exp: Math.floor(Date.now() / 1000) + 300,
  };
  const assume = (token: object) =>
    clientsOf(lab).sts.send(
      new AssumeRoleWithWebIdentityCommand({ RoleArn, RoleSessionName: 'run', WebIdentityToken: jwt(token), DurationSeconds: 900 }),
    );

  test('is identified by its claims, without a signature', async () => {
    setTrust(lab.core, RoleArn, { subjects: ['repo:acme/web:*'], audience: 'sts.amazonaws.com' });
    expect(await assume(claims)).toMatchObject({
      SubjectFromWebIdentityToken: claims.sub,
      Audience: claims.aud,
      Provider: `arn:aws:iam::${US}:oidc-provider/token.actions.githubusercontent.com`,
      AssumedRoleUser: { Arn: `arn:aws:sts::${US}:assumed-role/github/run` },
    });
    expect(lab.calls.all().at(-1)).toMatchObject({ operation: 'AssumeRoleWithWebIdentity', account: US, arn: 'anonymous' });
  });

  test.each([
    [
      'another repository',
      { sub: 'repo:acme/webshop:ref:refs/heads/main' },
      /^AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity/,
    ],
    ['another audience', { aud: 'elsewhere' }, /^AccessDenied: /],
    ['a token of yesterday', { exp: Math.floor(Date.now() / 1000) - 86_400 }, /^ExpiredTokenException: /],
    ['a token without a subject', { sub: undefined }, /^InvalidIdentityToken/],
  ])('is refused for %s', async (_, differing, expected) => {
    setTrust(lab.core, RoleArn, { subjects: ['repo:acme/web:*'], audience: 'sts.amazonaws.com' });
    expect(await refusal(assume({ ...claims, ...differing }))).toMatch(expected);
  });

  test('is refused where the role denies every caller', async () => {
    setTrust(lab.core, RoleArn, { deny: true });
    expect(await refusal(assume(claims))).toMatch(/^AccessDenied: /);
  });
});

describe('faults', () => {
  test('affect the nth matching call of an operation, account and region, and no other', async () => {
    lab.faults.add({
      service: 'ec2',
      operation: 'Describe*',
      account: US,
      region: 'eu-central-1',
      nth: 2,
      action: { error: 'Boom', status: 418 },
    });
    const [here, there, them] = [clientsOf(lab), clientsOf(lab, { region: 'eu-west-1' }), clientsOf(lab, { account: THEM })];
    await there.ec2.send(new DescribeRegionsCommand({}));
    await here.ec2.send(new DescribeRegionsCommand({}));
    await them.ec2.send(new DescribeRegionsCommand({}));
    expect(await refusal(here.ec2.send(new DescribeVpcsCommand({})))).toBe('Boom: A fault of the lab.');
    await here.ec2.send(new DescribeVpcsCommand({}));
  });

  test('use the error codes of each service', async () => {
    const { ec2, ssm, asg } = clientsOf(lab);
    const all = async () => [
      await refusal(ec2.send(new DescribeRegionsCommand({}))),
      await refusal(asg.send(new DescribeAutoScalingGroupsCommand({}))),
      await refusal(ssm.send(new GetParameterCommand({ Name: 'x' }))),
    ];
    const take = lab.faults.add({ action: { refuse: 'throttled' } });
    expect((await all()).map(said => said.split(':')[0])).toEqual(['RequestLimitExceeded', 'Throttling', 'ThrottlingException']);
    take();
    lab.faults.add({ action: { refuse: 'denied' } });
    expect((await all()).map(said => said.split(':')[0])).toEqual(['UnauthorizedOperation', 'AccessDenied', 'AccessDeniedException']);
  });

  test('that pass are handled by the retries of an SDK', async () => {
    lab.faults.add({ operation: 'DescribeRegions', nth: 1, times: 2, action: { refuse: 'internal' } });
    const mark = lab.calls.mark();
    await clientsOf(lab, { maxAttempts: 3 }).ec2.send(new DescribeRegionsCommand({}));
    expect(lab.calls.since(mark).map(({ outcome }) => outcome)).toEqual(['InternalError', 'InternalError', 'ok']);
  });

  test('scenario 21: an answer that is lost after the action leaves one instance, because the token is the same', async () => {
    lab.faults.add({ operation: 'RunInstances', nth: 1, action: { reset: 'after' } });
    const { ec2 } = clientsOf(lab, { region: 'eu-west-2', maxAttempts: 3 });
    const ImageId = newestAmazonLinux(lab.core, 'eu-west-2', 'x86_64');
    const { Instances } = await ec2.send(new RunInstancesCommand({ ...launch('same').input, ImageId }));
    expect([...instances(lab.place(US, 'eu-west-2')).keys()]).toEqual([Instances?.[0]?.InstanceId]);
    expect(lab.calls.all().at(-2)).toMatchObject({ operation: 'RunInstances', outcome: 'reset' });
  });

  test('a connection that is reset before the action changes nothing', async () => {
    lab.faults.add({ operation: 'RunInstances', action: { reset: 'before' } });
    const { ec2 } = clientsOf(lab, { region: 'eu-north-1' });
    await expect(ec2.send(launch('never'))).rejects.toThrow();
    expect(instances(lab.place(US, 'eu-north-1')).size).toBe(0);
  });

  // https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html
  test('scenario 20: a new ID is not found for the first calls that name it, an old one always', async () => {
    const { ec2 } = clientsOf(lab);
    const old = await ec2.send(launch('old'));
    lab.faults.add({ operation: 'DescribeInstances', action: { hideNewIds: 2 } });
    const { Instances } = await ec2.send(launch('new'));
    const look = (id = '') => ec2.send(new DescribeInstancesCommand({ InstanceIds: [id] }));
    const id = Instances?.[0]?.InstanceId;
    for (const _ of [1, 2]) expect(await refusal(look(id))).toBe(`InvalidInstanceID.NotFound: The instance ID '${id}' does not exist`);
    await expect(look(id)).resolves.toMatchObject({ Reservations: [{}] });
    await expect(look(old.Instances?.[0]?.InstanceId)).resolves.toMatchObject({ Reservations: [{}] });
  });

  test('a stale read returns the earlier answer', async () => {
    const { ec2 } = clientsOf(lab);
    const { Instances } = await ec2.send(launch('stale'));
    const InstanceIds = [Instances?.[0]?.InstanceId ?? ''];
    const states = async () =>
      (await ec2.send(new DescribeInstancesCommand({ InstanceIds }))).Reservations?.[0]?.Instances?.[0]?.State?.Name;
    const fresh = lab.faults.add({ operation: 'DescribeInstances', action: { stale: true } });
    const once = await states();
    expect(once).toMatch(/pending|running/);
    await ec2.send(new TerminateInstancesCommand({ InstanceIds }));
    expect(await states()).toBe(once);
    fresh();
    expect(await states()).toMatch(/shutting-down|terminated/);
  });

  test('a delay passes in lab time', async () => {
    lab.faults.add({ operation: 'DescribeRegions', action: { delaySeconds: 120 } });
    const before = lab.clock.now();
    await clientsOf(lab).ec2.send(new DescribeRegionsCommand({}));
    expect(lab.clock.now() - before).toBeGreaterThanOrEqual(120_000);
  });

  test('may run a function before or after the action', async () => {
    const seen: string[] = [];
    const there = () => String(instances(lab.place(US, 'sa-east-1')).size);
    const note = (at: 'before' | 'after') =>
      lab.faults.add({ operation: 'RunInstances', action: { at, run: ({ account }) => void seen.push(`${at} ${account} ${there()}`) } });
    note('before');
    note('after');
    const ImageId = newestAmazonLinux(lab.core, 'sa-east-1', 'x86_64');
    await clientsOf(lab, { region: 'sa-east-1' }).ec2.send(new RunInstancesCommand({ ...launch('noted').input, ImageId }));
    expect(seen).toEqual([`before ${US} 0`, `after ${US} 1`]);
  });

  const caller = (region: string): ChildProcess => {
    const script = `
      import { CreateKeyPairCommand, EC2Client } from '@aws-sdk/client-ec2';
      const ec2 = new EC2Client({ maxAttempts: 1 });
      for (let n = 1; ; n += 1) await ec2.send(new CreateKeyPairCommand({ KeyName: 'key-' + n, KeyType: 'ed25519' }));`;
    return spawn(process.execPath, ['--input-type=module', '-e', script], {
      env: { ...process.env, ...lab.environment({ region }) },
      stdio: 'ignore',
    });
  };

  test.each([
    ['before', 2],
    ['after', 3],
  ] as const)('kill the caller at its third call, %s the action', async (at, done) => {
    const region = at === 'before' ? 'us-west-1' : 'us-west-2';
    const { ec2 } = clientsOf(lab, { region });
    const child = caller(region);
    lab.faults.killAtCall(3, () => void child.kill('SIGKILL'), at);
    expect((await once(child, 'exit'))[1]).toBe('SIGKILL');
    expect((await ec2.send(new DescribeKeyPairsCommand({}))).KeyPairs).toHaveLength(done);
  });
});

describe('from another process', () => {
  const ask = async (method: string, path: string, body?: unknown) => {
    const answer = await fetch(`${lab.url}${path}`, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    return { status: answer.status, said: (await answer.json()) as unknown };
  };

  test('rules are added and removed, and the log is readable', async () => {
    const { ec2 } = clientsOf(lab);
    const { said } = await ask('GET', '/_lab');
    const { calls } = said as { calls: number };
    expect((await ask('POST', '/_lab/faults', { operation: 'DescribeRegions', action: { error: 'FromOutside' } })).status).toBe(200);
    expect(await refusal(ec2.send(new DescribeRegionsCommand({})))).toMatch(/^FromOutside/);
    expect((await ask('DELETE', '/_lab/faults')).status).toBe(200);
    await ec2.send(new DescribeRegionsCommand({}));
    expect((await ask('GET', `/_lab/calls?since=${calls}`)).said).toMatchObject([
      { operation: 'DescribeRegions', outcome: 'FromOutside' },
      { operation: 'DescribeRegions', outcome: 'ok' },
    ]);
  });

  test.each([
    ['no rule at all', 'POST', '/_lab/faults', 'text', 400],
    ['a rule without an action', 'POST', '/_lab/faults', { nth: 1 }, 400],
    ['an unknown action', 'POST', '/_lab/faults', { action: { explode: true } }, 400],
    ['an unknown path', 'GET', '/_lab/nothing', undefined, 404],
  ])('%s is refused', async (_, method, path, body, status) => {
    expect((await ask(method, path, body)).status).toBe(status);
    expect(lab.faults.rules()).toEqual([]);
  });
});

test('the log counts calls by operation, from a mark on, including refused ones', async () => {
  const { ec2, sts } = clientsOf(lab);
  const mark = lab.calls.mark();
  await ec2.send(new DescribeRegionsCommand({}));
  await ec2.send(new DescribeRegionsCommand({ RegionNames: ['eu-west-1'] }));
  await refusal(ec2.send(new DescribeImagesCommand({ ImageIds: ['ami-nothing'] })));
  await sts.send(new GetCallerIdentityCommand({}));
  expect(lab.calls.byOperation(mark)).toEqual({ 'ec2:DescribeRegions': 2, 'ec2:DescribeImages': 1, 'sts:GetCallerIdentity': 1 });
  expect(lab.calls.count('DescribeRegions', mark)).toBe(2);
  expect(lab.calls.count('ec2:DescribeImages', mark)).toBe(1);
  expect(lab.calls.count(undefined, mark)).toBe(4);
  expect(lab.calls.since(mark)[1]).toMatchObject({ input: { RegionNames: ['eu-west-1'] }, arn: `arn:aws:iam::${US}:user/lab` });
  expect(lab.calls.since(mark)[2]).toMatchObject({ outcome: 'InvalidAMIID.Malformed' });
});

test('two labs with real machines share no address', async () => {
  const pretending = () => ({ ...paperHypervisor(), kind: 'sandbox' as const });
  const [one, two] = await Promise.all([startLab({ machines: pretending() }), startLab({ machines: pretending() })]);
  const [first, second, third] = await Promise.all([takeAddress(one.core), takeAddress(one.core), takeAddress(two.core)]);
  expect(new Set([first, second, third]).size).toBe(3);
  expect(third?.split('.')[2]).not.toBe(first?.split('.')[2]);
  await Promise.all([one.close(), two.close()]);
});

test('started alone it prints what to export and every call, and stops on a signal', async () => {
  const child = spawn(process.execPath, ['lab/main.ts', '--machines', 'paper', '--speed', '7'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const said: string[] = [];
  const lines = createInterface({ input: child.stdout });
  const until = async (enough: RegExp) => {
    while (!said.some(line => enough.test(line))) await once(lines, 'line');
  };
  lines.on('line', line => said.push(line));
  await until(/Ctrl-C stops the lab/);
  const exported = Object.fromEntries(
    said.flatMap(line => [...line.matchAll(/^export (\w+)=(.*)$/g)].map(([, name, value]) => [name, value])),
  );
  expect(exported).toMatchObject({ AMI_ACTION_CLOCK_SPEED: '7', AWS_REGION: 'eu-central-1', AWS_EC2_METADATA_DISABLED: 'true' });
  const { ec2 } = clientsOf({ ...lab, url: String(exported['AWS_ENDPOINT_URL']) });
  await ec2.send(new DescribeRegionsCommand({}));
  await until(/111122223333 {2}eu-central-1 +ec2:DescribeRegions +ok$/);
  child.kill('SIGTERM');
  expect((await once(child, 'exit'))[0]).toBe(0);
});
