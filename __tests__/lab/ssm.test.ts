import { EC2Client, RunInstancesCommand } from '@aws-sdk/client-ec2';
import {
  AddTagsToResourceCommand,
  CancelCommandCommand,
  DeleteParametersCommand,
  DescribeInstanceInformationCommand,
  DescribeParametersCommand,
  GetCommandInvocationCommand,
  GetParameterCommand,
  GetParameterHistoryCommand,
  GetParametersByPathCommand,
  GetParametersCommand,
  LabelParameterVersionCommand,
  ListCommandInvocationsCommand,
  ListCommandsCommand,
  ListTagsForResourceCommand,
  PutParameterCommand,
  type PutParameterCommandInput,
  SendCommandCommand,
  type SendCommandCommandInput,
  type SSMClient,
  UnlabelParameterVersionCommand,
} from '@aws-sdk/client-ssm';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { AMAZON } from '../../lab/ec2/base-images.ts';
import { images } from '../../lab/ec2/images.ts';
import { setTags } from '../../lab/ec2/state.ts';
import { type Lab, startLab } from '../../lab/lab.ts';
import type { Executed } from '../../lab/machines/hypervisor.ts';
import { defaultHostManagement } from '../../lab/ssm/agents.ts';
import { pluginOutput, standardOutput } from '../../lab/ssm/command-output.ts';
import { newInvocation } from '../../lab/ssm/command-state.ts';
import { conditionOf } from '../../lab/ssm/command-status.ts';
import { resolveParameter } from '../../lab/ssm/parameter-read.ts';
import { clientFor, onStage, puppet } from './ssm-double.ts';

const put = (ssm: SSMClient, input: Partial<PutParameterCommandInput> = {}) =>
  ssm.send(new PutParameterCommand({ Name: '/shop/stage', Value: 'one', Type: 'String', ...input }));

const overwrite = (ssm: SSMClient, input: Partial<PutParameterCommandInput>) => put(ssm, { Overwrite: true, Type: undefined, ...input });

const value = async (ssm: SSMClient, name = '/shop/stage') => (await ssm.send(new GetParameterCommand({ Name: name }))).Parameter?.Value;

const code = async (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'ok',
    (error: Error) => error.name,
  );

const baseImage = (lab: Lab): string => {
  const [first] = images(lab.core.place(AMAZON, 'eu-central-1')).keys();
  return first ?? '';
};

async function pages<T>(next: (token: string | undefined) => Promise<{ items: readonly T[] | undefined; token: string | undefined }>) {
  const all: (readonly T[])[] = [];
  for (let token: string | undefined, first = true; first || token !== undefined; first = false) {
    const page = await next(token);
    all.push(page.items ?? []);
    token = page.token;
  }
  return all;
}

describe('Parameter Store', () => {
  test('counts versions, keeps what an overwrite does not set, and lists the history oldest first', () =>
    onStage({}, async ({ ssm }) => {
      expect(await put(ssm, { Description: 'first' })).toMatchObject({ Version: 1, Tier: 'Standard' });
      expect(await code(put(ssm))).toBe('ParameterAlreadyExists');
      expect(await overwrite(ssm, { Value: 'two' })).toMatchObject({ Version: 2 });
      const { Parameter } = await ssm.send(new GetParameterCommand({ Name: '/shop/stage' }));
      const arn = 'arn:aws:ssm:eu-central-1:111122223333:parameter/shop/stage';
      expect(Parameter).toMatchObject({ Value: 'two', Version: 2, Type: 'String', DataType: 'text', ARN: arn });
      expect(await value(ssm, '/shop/stage:1')).toBe('one');
      expect(await value(ssm, arn)).toBe('two');
      expect(await value(ssm, `${arn}:1`)).toBe('one');
      const { Parameters } = await ssm.send(new GetParameterHistoryCommand({ Name: '/shop/stage' }));
      expect(Parameters?.map(({ Version, Value, Description }) => [Version, Value, Description])).toEqual([
        [1, 'one', 'first'],
        [2, 'two', 'first'],
      ]);
    }));

  test.each([
    ['a reserved prefix', { Name: 'awsome' }, 'ValidationException'],
    ['a reserved prefix in a path', { Name: '/ssm/x' }, 'ValidationException'],
    ['the place of public parameters', { Name: '/aws/x' }, 'AccessDeniedException'],
    ['a space inside', { Name: '/shop/a b' }, 'ValidationException'],
    ['a path without its first slash', { Name: 'shop/stage' }, 'ValidationException'],
    ['an ARN', { Name: 'arn:aws:ssm:eu-central-1:111122223333:parameter/x' }, 'ValidationException'],
    ['sixteen levels', { Name: '/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16' }, 'HierarchyLevelLimitExceededException'],
    ['no type', { Type: undefined }, 'ValidationException'],
    ['a type that does not exist', { Type: 'Number' as 'String' }, 'ValidationException'],
    ['a data type that does not exist', { DataType: 'AWS::EC2::Image' }, 'ValidationException'],
    ['a list of images', { Type: 'StringList' as const, DataType: 'aws:ec2:image' }, 'ValidationException'],
    ['nothing as value', { Value: '' }, 'ValidationException'],
    ['more than 4 KB', { Value: 'x'.repeat(4097) }, 'ValidationException'],
    ['a value against its pattern', { AllowedPattern: '^ami-' }, 'ParameterPatternMismatchException'],
    ['tags with overwrite', { Overwrite: true, Tags: [{ Key: 'a', Value: 'b' }] }, 'ValidationException'],
  ] satisfies [string, Partial<PutParameterCommandInput>, string][])('refuses %s', (_, input, expected) =>
    onStage({}, async ({ ssm }) => {
      expect(await code(put(ssm, input))).toBe(expected);
      expect((await ssm.send(new DescribeParametersCommand({}))).Parameters).toEqual([]);
    }),
  );

  test('trims spaces of a name, and accepts 8 KB in the advanced tier', () =>
    onStage({}, async ({ ssm }) => {
      expect(await put(ssm, { Name: ' /shop/big ', Value: 'x'.repeat(8192), Tier: 'Advanced' })).toMatchObject({ Tier: 'Advanced' });
      expect(await value(ssm, '/shop/big')).toHaveLength(8192);
      expect(await code(overwrite(ssm, { Name: '/shop/big', Value: 'x', Tier: 'Standard' }))).toBe('ValidationException');
    }));

  test('answers 200 for an image that does not exist, and stores nothing', () =>
    onStage({}, async ({ lab, ssm }) => {
      const image = { DataType: 'aws:ec2:image' };
      expect(await put(ssm, { ...image, Value: 'ami-00000000000000000' })).toMatchObject({ Version: 1 });
      await lab.clock.sleep(10);
      expect(await code(value(ssm))).toBe('ParameterNotFound');

      await put(ssm, { ...image, Value: baseImage(lab) });
      await lab.clock.sleep(10);
      expect(await value(ssm)).toBe(baseImage(lab));

      expect(await overwrite(ssm, { Value: 'ami-00000000000000000' })).toMatchObject({ Version: 2 });
      await lab.clock.sleep(10);
      const { Parameter } = await ssm.send(new GetParameterCommand({ Name: '/shop/stage' }));
      expect(Parameter).toMatchObject({ Value: baseImage(lab), Version: 1, DataType: 'aws:ec2:image' });
    }));

  test('returns an image only after its validation, and refuses a second write during the validation', () =>
    onStage({ timings: { parameterCheck: 1800 } }, async ({ lab, ssm }) => {
      const image = { DataType: 'aws:ec2:image', Value: baseImage(lab) };
      await put(ssm, image);
      expect(await code(value(ssm))).toBe('ParameterNotFound');
      expect(await code(put(ssm, { ...image, Overwrite: true }))).toBe('TooManyUpdates');
      await lab.clock.sleep(2400);
      expect(await value(ssm)).toBe(image.Value);
    }));

  test.each(['pending', 'failed', 'disabled', 'deregistered'] as const)('accepts no image that is %s', state =>
    onStage({}, async ({ lab, ssm }) => {
      const found = images(lab.core.place(AMAZON, 'eu-central-1')).get(baseImage(lab));
      if (found !== undefined) found.state = state;
      await put(ssm, { DataType: 'aws:ec2:image', Value: baseImage(lab) });
      await lab.clock.sleep(10);
      expect(await code(value(ssm))).toBe('ParameterNotFound');
    }),
  );

  test('accepts no image of another region', () =>
    onStage({}, async ({ lab }) => {
      const elsewhere = clientFor(lab, '111122223333', 'us-east-1');
      await put(elsewhere, { DataType: 'aws:ec2:image', Value: baseImage(lab) });
      await lab.clock.sleep(10);
      expect(await code(value(elsewhere))).toBe('ParameterNotFound');
      elsewhere.destroy();
    }));

  test('changes neither type nor data type of a parameter', () =>
    onStage({}, async ({ ssm }) => {
      await put(ssm);
      expect(await code(overwrite(ssm, { Value: 'x', Type: 'SecureString' }))).toBe('HierarchyTypeMismatchException');
      expect(await code(overwrite(ssm, { Value: 'ami-00000000000000000', DataType: 'aws:ec2:image' }))).toBe('ValidationException');
      expect(await value(ssm)).toBe('one');
    }));

  test('keeps 100 versions, and refuses the 101st while the oldest has a label', () =>
    onStage({}, async ({ ssm }) => {
      await put(ssm);
      for (let version = 2; version <= 100; version += 1) await overwrite(ssm, { Value: `${version}` });
      const label = (version: number) =>
        ssm.send(new LabelParameterVersionCommand({ Name: '/shop/stage', ParameterVersion: version, Labels: ['live'] }));
      await label(1);
      expect(await code(overwrite(ssm, { Value: '101' }))).toBe('ParameterMaxVersionLimitExceeded');
      await label(2);
      expect(await overwrite(ssm, { Value: '101' })).toMatchObject({ Version: 101 });
      expect(await code(value(ssm, '/shop/stage:1'))).toBe('ParameterVersionNotFound');
      const history = await pages(async token => {
        const page = await ssm.send(new GetParameterHistoryCommand({ Name: '/shop/stage', NextToken: token }));
        return { items: page.Parameters, token: page.NextToken };
      });
      expect(history.map(({ length }) => length)).toEqual([50, 50]);
      expect(history.flat().map(({ Version }) => Version)).toEqual(Array.from({ length: 100 }, (_, index) => index + 2));
    }));

  test('moves labels, returns invalid ones with 200, and accepts ten of them', () =>
    onStage({}, async ({ ssm }) => {
      await put(ssm);
      await overwrite(ssm, { Value: 'two' });
      const label = (Labels: string[], ParameterVersion?: number) =>
        ssm.send(new LabelParameterVersionCommand({ Name: '/shop/stage', Labels, ParameterVersion }));
      expect(await label(['live', '1st', 'awsome', 'a b'], 1)).toMatchObject({
        InvalidLabels: ['1st', 'awsome', 'a b'],
        ParameterVersion: 1,
      });
      expect(await value(ssm, '/shop/stage:live')).toBe('one');
      expect(await label(['live'])).toMatchObject({ InvalidLabels: [], ParameterVersion: 2 });
      const { Parameter } = await ssm.send(new GetParameterCommand({ Name: '/shop/stage:live' }));
      expect(Parameter).toMatchObject({ Value: 'two', Selector: ':live' });
      const ten = Array.from({ length: 10 }, (_, index) => `l${index}`);
      expect(await code(label(ten, 2))).toBe('ParameterVersionLabelLimitExceeded');
      expect(await code(label(['live'], 3))).toBe('ParameterVersionNotFound');
      const gone = await ssm.send(
        new UnlabelParameterVersionCommand({ Name: '/shop/stage', ParameterVersion: 2, Labels: ['live', 'never'] }),
      );
      expect(gone).toMatchObject({ RemovedLabels: ['live'], InvalidLabels: ['never'] });
      expect(await code(value(ssm, '/shop/stage:live'))).toBe('ParameterVersionNotFound');
    }));

  test('returns secrets only with WithDecryption', () =>
    onStage({}, async ({ ssm }) => {
      await put(ssm, { Type: 'SecureString', Value: 'hush' });
      expect(await value(ssm)).not.toContain('hush');
      const { Parameters } = await ssm.send(
        new GetParametersCommand({ Names: ['/shop/stage', '/no', '/shop/stage:9'], WithDecryption: true }),
      );
      expect(Parameters?.map(({ Value }) => Value)).toEqual(['hush']);
    }));

  test('lists unknown names instead of throwing, when several are requested', () =>
    onStage({}, async ({ ssm }) => {
      await put(ssm);
      const some = await ssm.send(new GetParametersCommand({ Names: ['/no', '/shop/stage'] }));
      expect(some).toMatchObject({ Parameters: [{ Name: '/shop/stage' }], InvalidParameters: ['/no'] });
      const deleted = await ssm.send(new DeleteParametersCommand({ Names: ['/no', '/shop/stage'] }));
      expect(deleted).toMatchObject({ DeletedParameters: ['/shop/stage'], InvalidParameters: ['/no'] });
      expect(await code(ssm.send(new GetParametersCommand({ Names: Array.from({ length: 11 }, (_, n) => `/${n}`) })))).toBe(
        'ValidationException',
      );
    }));

  test('filters pages after cutting them: an empty page may have a next one', () =>
    onStage({}, async ({ ssm }) => {
      for (let number = 10; number < 35; number += 1)
        await put(ssm, { Name: `/shop/${number}`, Type: number === 33 ? 'StringList' : 'String' });
      const filtered = await pages(async token => {
        const ParameterFilters = [{ Key: 'Type', Values: ['StringList'] }];
        const page = await ssm.send(new DescribeParametersCommand({ ParameterFilters, MaxResults: 10, NextToken: token }));
        return { items: page.Parameters, token: page.NextToken };
      });
      expect(filtered.map(page => page.map(({ Name }) => Name))).toEqual([[], [], ['/shop/33']]);
      const everything = await pages(async token => {
        const page = await ssm.send(new GetParametersByPathCommand({ Path: '/shop', NextToken: token }));
        return { items: page.Parameters, token: page.NextToken };
      });
      expect(everything.map(({ length }) => length)).toEqual([10, 10, 5]);
      expect(await code(ssm.send(new DescribeParametersCommand({ NextToken: 'nonsense' })))).toBe('InvalidNextToken');
    }));

  test('shifts no page when an item is deleted between two pages', () =>
    onStage({}, async ({ ssm }) => {
      for (const name of ['a', 'b', 'c', 'd']) await put(ssm, { Name: `/shop/${name}` });
      const first = await ssm.send(new DescribeParametersCommand({ MaxResults: 2 }));
      await ssm.send(new DeleteParametersCommand({ Names: ['/shop/a'] }));
      const second = await ssm.send(new DescribeParametersCommand({ MaxResults: 2, NextToken: first.NextToken }));
      expect(second.Parameters?.map(({ Name }) => Name)).toEqual(['/shop/c', '/shop/d']);
    }));

  test.each([
    ['Name', 'BeginsWith', '/shop/s', ['/shop/stage', '/shop/stage/candidate']],
    ['Name', 'Contains', 'candidate', ['/shop/stage/candidate']],
    ['Path', 'OneLevel', '/shop', ['/shop/prod', '/shop/stage']],
    ['Path', 'Recursive', '/shop', ['/shop/prod', '/shop/stage', '/shop/stage/candidate']],
    ['DataType', 'Equals', 'aws:ec2:image', ['/shop/prod']],
    ['tag:team', 'Equals', 'web', ['/shop/stage']],
  ])('finds by %s %s %s', (Key, Option, wanted, expected) =>
    onStage({}, async ({ lab, ssm }) => {
      await put(ssm, { Tags: [{ Key: 'team', Value: 'web' }] });
      await put(ssm, { Name: '/shop/stage/candidate' });
      await put(ssm, { Name: '/shop/prod', Value: baseImage(lab), DataType: 'aws:ec2:image' });
      await put(ssm, { Name: 'plain' });
      await lab.clock.sleep(10);
      const found = await ssm.send(new DescribeParametersCommand({ ParameterFilters: [{ Key, Option, Values: [wanted] }] }));
      expect(found.Parameters?.map(({ Name }) => Name)).toEqual(expected);
    }),
  );

  test('tags parameters, and no other resources', () =>
    onStage({}, async ({ ssm }) => {
      await put(ssm, { Tags: [{ Key: 'team', Value: 'web' }] });
      const of = (ResourceId: string) => ({ ResourceType: 'Parameter' as const, ResourceId });
      await ssm.send(new AddTagsToResourceCommand({ ...of('/shop/stage'), Tags: [{ Key: 'team', Value: 'app' }] }));
      const { TagList } = await ssm.send(new ListTagsForResourceCommand(of('/shop/stage')));
      expect(TagList).toEqual([{ Key: 'team', Value: 'app' }]);
      expect(await code(ssm.send(new ListTagsForResourceCommand(of('/no'))))).toBe('InvalidResourceId');
    }));

  test('publishes the newest base images, and resolves the references of a launch template', () =>
    onStage({}, async ({ lab, ssm }) => {
      const name = '/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64';
      const arm = await value(ssm, name);
      expect(images(lab.core.place(AMAZON, 'eu-central-1')).get(arm ?? '')).toMatchObject({
        architecture: 'arm64',
        name: expect.stringContaining('20251105'),
      });
      expect(await value(ssm, '/aws/service/debian/release/12/latest/amd64')).toMatch(/^ami-/);
      const below = await ssm.send(new GetParametersByPathCommand({ Path: '/aws/service/ami-amazon-linux-latest' }));
      expect(below.Parameters).toContainEqual(
        expect.objectContaining({ Name: name, Value: arm, ARN: `arn:aws:ssm:eu-central-1::parameter${name}` }),
      );

      await put(ssm);
      await overwrite(ssm, { Value: 'two' });
      await ssm.send(new LabelParameterVersionCommand({ Name: '/shop/stage', ParameterVersion: 1, Labels: ['live'] }));
      const resolve = (reference: string) => resolveParameter(lab.place(), `resolve:ssm:${reference}`)?.value;
      const plain = [
        '/shop/stage',
        '/shop/stage:1',
        '/shop/stage:live',
        'arn:aws:ssm:eu-central-1:111122223333:parameter/shop/stage',
        name,
      ];
      expect(plain.map(resolve)).toEqual(['two', 'one', 'one', 'two', arm]);
      expect(['/shop/prod', '/shop/stage:9'].map(resolve)).toEqual([undefined, undefined]);
    }));

  test('separates accounts and regions', () =>
    onStage({}, async ({ lab, ssm }) => {
      await put(ssm);
      const others = [clientFor(lab, '444455556666'), clientFor(lab, '111122223333', 'us-east-1')];
      for (const other of others) {
        expect(await code(value(other))).toBe('ParameterNotFound');
        expect(await code(value(other, 'arn:aws:ssm:eu-central-1:111122223333:parameter/shop/stage'))).toBe('AccessDeniedException');
        other.destroy();
      }
    }));
});

const send = (ssm: SSMClient, input: Partial<SendCommandCommandInput>) =>
  ssm.send(new SendCommandCommand({ DocumentName: 'AWS-RunShellScript', Parameters: { commands: ['true'] }, ...input }));

const sent = async (ssm: SSMClient, id: string, input: Partial<SendCommandCommandInput> = {}) =>
  (await send(ssm, { InstanceIds: [id], ...input })).Command?.CommandId ?? '';

const look = (ssm: SSMClient, CommandId: string, InstanceId: string) =>
  ssm.send(new GetCommandInvocationCommand({ CommandId, InstanceId }));

async function until<T>(look: () => Promise<T>, fits: (seen: T) => boolean): Promise<T> {
  for (let tries = 0; ; tries += 1) {
    const seen = await look().catch((error: Error) => error as T);
    if (fits(seen)) return seen;
    if (tries > 2000) throw new Error(`Never came: ${JSON.stringify(seen)}`);
    await new Promise(wake => setTimeout(wake, 5));
  }
}

const END = ['Success', 'Failed', 'TimedOut', 'Cancelled'];

const ended = (ssm: SSMClient, command: string, instance: string) =>
  until(
    () => look(ssm, command, instance),
    ({ Status }) => END.includes(Status ?? ''),
  );

/** Runs until it is cancelled, like `sleep 999999`. */
const endless = (_: string, signal: AbortSignal | undefined) =>
  new Promise<Executed>(settle => {
    signal?.addEventListener('abort', () => settle({ exitCode: 137, stdout: 'so far\n', stderr: '' }));
  });

describe('Run Command', () => {
  test('runs the lines as one script, and returns its result', () =>
    onStage({}, async ({ ssm, instance }) => {
      const guest = puppet();
      const { id } = instance(guest);
      const command = await sent(ssm, id, { Parameters: { commands: ['cd /tmp', 'echo fine'] }, Comment: 'checks' });
      const seen = await ended(ssm, command, id);
      const state = {
        Status: 'Success',
        StatusDetails: 'Success',
        ResponseCode: 0,
        StandardOutputContent: 'fine\n',
        StandardErrorContent: '',
      };
      expect(seen).toMatchObject({ ...state, PluginName: 'aws:runShellScript', Comment: 'checks' });
      expect(seen.ExecutionElapsedTime).toMatch(/^PT[\d.]+S$/);
      expect(guest.ran.map(({ input }) => input)).toEqual(['cd /tmp\necho fine\n']);
      const { Commands } = await ssm.send(new ListCommandsCommand({ CommandId: command }));
      expect(Commands?.[0]).toMatchObject({ Status: 'Success', TargetCount: 1, CompletedCount: 1, ErrorCount: 0 });
    }));

  test('returns the message of the agent for an exit code that is not 0', () =>
    onStage({}, async ({ ssm, instance }) => {
      const { id } = instance(puppet(() => ({ exitCode: 3, stdout: '', stderr: 'oh\n' })));
      const seen = await ended(ssm, await sent(ssm, id), id);
      expect(seen).toMatchObject({ Status: 'Failed', StatusDetails: 'Failed', ResponseCode: 3 });
      expect(seen.StandardErrorContent).toBe('oh\nfailed to run commands: exit status 3');
    }));

  test('does not have an invocation at once', () =>
    onStage({ timings: { delivery: 1800 } }, async ({ ssm, instance }) => {
      const { id } = instance(puppet());
      const command = await sent(ssm, id);
      expect(await code(look(ssm, command, id))).toBe('InvocationDoesNotExist');
      expect((await ssm.send(new ListCommandInvocationsCommand({ CommandId: command }))).CommandInvocations).toEqual([]);
      expect(await ended(ssm, command, id)).toMatchObject({ Status: 'Success' });
    }));

  test('shows no output and response code -1 until the end', () =>
    onStage({}, async ({ ssm, instance }) => {
      const { id } = instance(puppet(endless));
      const command = await sent(ssm, id);
      const running = await until(
        () => look(ssm, command, id),
        ({ Status }) => Status === 'InProgress',
      );
      expect(running).toMatchObject({ ResponseCode: -1, StandardOutputContent: '', StandardErrorContent: '', ExecutionEndDateTime: '' });
      await ssm.send(new CancelCommandCommand({ CommandId: command }));
      expect(await ended(ssm, command, id)).toMatchObject({ Status: 'Cancelled', StatusDetails: 'Cancelled', ResponseCode: 137 });
    }));

  test('stops a script after executionTimeout', () =>
    onStage({}, async ({ ssm, instance }) => {
      const { id } = instance(puppet(endless));
      const command = await sent(ssm, id, { Parameters: { commands: ['sleep 9'], executionTimeout: ['60'] } });
      expect(await ended(ssm, command, id)).toMatchObject({ Status: 'TimedOut', StatusDetails: 'ExecutionTimedOut', ResponseCode: 137 });
    }));

  test('gets no result of a command whose agent dies during it', () =>
    onStage({}, async ({ ssm, instance }) => {
      const guest = puppet(() => {
        guest.agent = false;
        return { exitCode: 0, stdout: 'PASSED\n', stderr: '' };
      });
      const { id } = instance(guest);
      const command = await sent(ssm, id, { TimeoutSeconds: 300, Parameters: { commands: ['x'], executionTimeout: ['300'] } });
      await until(
        () => look(ssm, command, id),
        ({ Status }) => Status === 'InProgress',
      );
      const seen = await ended(ssm, command, id);
      expect(seen).toMatchObject({ Status: 'TimedOut', StatusDetails: 'DeliveryTimedOut', ResponseCode: -1, StandardOutputContent: '' });
    }));

  test('gets the result when the agent runs again', () =>
    onStage({}, async ({ lab, ssm, instance }) => {
      const guest = puppet(() => {
        guest.agent = false;
        lab.clock.after(60, () => {
          guest.agent = true;
        });
        return { exitCode: 0, stdout: 'fine\n', stderr: '' };
      });
      const { id } = instance(guest);
      expect(await ended(ssm, await sent(ssm, id), id)).toMatchObject({ Status: 'Success', StandardOutputContent: 'fine\n' });
    }));

  test('refuses unknown instances, with one message for every reason', () =>
    onStage({}, async ({ lab, ssm, instance }) => {
      const silent = puppet();
      silent.agent = false;
      const nodes = [
        instance(silent),
        instance(puppet(), { state: 'stopped' }),
        instance(puppet(), { state: 'terminated' }),
        instance(puppet(), { state: 'running', changedAt: new Date(lab.clock.now() + 7200_000) }),
        { id: 'i-0aaaaaaaaaaaaaaaa' },
      ];
      for (const { id } of nodes) expect(await code(sent(ssm, id))).toBe('InvalidInstanceId');
      const message = `Instances [[i-0aaaaaaaaaaaaaaaa]] not in a valid state for account 111122223333`;
      await expect(sent(ssm, 'i-0aaaaaaaaaaaaaaaa')).rejects.toThrow(message);
    }));

  test('needs a profile where Default Host Management is off', () =>
    onStage({}, async ({ lab, ssm, instance }) => {
      defaultHostManagement(lab.place()).enabled = false;
      const bare = instance(puppet());
      const profiled = instance(puppet(), { profileArn: 'arn:aws:iam::111122223333:instance-profile/ssm' });
      expect(await code(sent(ssm, bare.id))).toBe('InvalidInstanceId');
      expect(await code(sent(ssm, profiled.id))).toBe('ok');
    }));

  test('reports ConnectionLost only after a while; a command sent then is not delivered', () =>
    onStage({ timings: { agentSilence: 1200 } }, async ({ lab, ssm, instance }) => {
      const guest = puppet();
      const { id } = instance(guest);
      const ping = async () => (await ssm.send(new DescribeInstanceInformationCommand({}))).InstanceInformationList?.[0]?.PingStatus;
      expect(await ping()).toBe('Online');
      guest.agent = false;
      expect(await ping()).toBe('Online');
      const command = await sent(ssm, id, { TimeoutSeconds: 1800 });
      await until(
        () => look(ssm, command, id),
        ({ Status }) => Status === 'Delayed',
      );
      await lab.clock.sleep(1500);
      expect(await ping()).toBe('ConnectionLost');
      expect(await ended(ssm, command, id)).toMatchObject({ Status: 'Failed', StatusDetails: 'Undeliverable', ResponseCode: -1 });
    }));

  test('delivers late when the agent returns, and gives up on a terminated instance', () =>
    onStage({}, async ({ ssm, instance }) => {
      const [slow, doomed] = [puppet(), puppet()];
      const [late, gone] = [instance(slow), instance(doomed)];
      await ssm.send(new DescribeInstanceInformationCommand({}));
      slow.agent = false;
      doomed.agent = false;
      const command = (await send(ssm, { InstanceIds: [late.id, gone.id] })).Command?.CommandId ?? '';
      await until(
        () => look(ssm, command, late.id),
        ({ Status }) => Status === 'Delayed',
      );
      slow.agent = true;
      gone.state = 'shutting-down';
      expect(await ended(ssm, command, late.id)).toMatchObject({ Status: 'Success' });
      expect(await ended(ssm, command, gone.id)).toMatchObject({ Status: 'Failed', StatusDetails: 'Undeliverable' });
      expect((await ssm.send(new ListCommandsCommand({}))).Commands?.[0]).toMatchObject({ Status: 'Success' });
    }));

  test('stops sending after MaxErrors', () =>
    onStage({}, async ({ ssm, instance }) => {
      const failing = () => puppet(() => ({ exitCode: 1, stdout: '', stderr: '' }));
      const ids = [1, 2, 3].map(() => instance(failing()).id);
      const command = (await send(ssm, { InstanceIds: ids, MaxConcurrency: '1' })).Command?.CommandId ?? '';
      const invocations = await until(
        async () => (await ssm.send(new ListCommandInvocationsCommand({ CommandId: command }))).CommandInvocations ?? [],
        all => all.length === 3 && all.every(({ Status }) => END.includes(Status ?? '')),
      );
      expect(invocations.map(({ StatusDetails }) => StatusDetails).sort()).toEqual(['Failed', 'Terminated', 'Terminated']);
    }));

  test('finds its targets by tag, and reports when there are none', () =>
    onStage({}, async ({ lab, ssm, instance }) => {
      const [web] = [instance(puppet()), instance(puppet())];
      setTags(lab.place(), web.id, { role: 'web' });
      const byTag = (role: string) => send(ssm, { Targets: [{ Key: 'tag:role', Values: [role] }] });
      const command = (await byTag('web')).Command?.CommandId ?? '';
      await ended(ssm, command, web.id);
      const { CommandInvocations } = await ssm.send(new ListCommandInvocationsCommand({ CommandId: command, Details: true }));
      expect(CommandInvocations).toHaveLength(1);
      expect(CommandInvocations?.[0]?.CommandPlugins?.[0]).toMatchObject({ Name: 'aws:runShellScript', Output: 'fine\n', ResponseCode: 0 });
      expect((await byTag('db')).Command).toMatchObject({ StatusDetails: 'NoInstancesInTag', TargetCount: 0 });
    }));

  test.each([
    ['a document that does not exist', { DocumentName: 'AWS-RunNothing' }, 'InvalidDocument'],
    ['no commands', { Parameters: {} }, 'InvalidParameters'],
    ['a parameter that the document lacks', { Parameters: { commands: ['x'], timeout: ['1'] } }, 'InvalidParameters'],
    ['an execution timeout beyond two days', { Parameters: { commands: ['x'], executionTimeout: ['172801'] } }, 'InvalidParameters'],
    ['a delivery timeout under 30 seconds', { TimeoutSeconds: 29 }, 'ValidationException'],
    ['a comment over 100 characters', { Comment: 'x'.repeat(101) }, 'ValidationException'],
    ['51 instances', { InstanceIds: Array.from({ length: 51 }, (_, n) => `i-${n}`) }, 'ValidationException'],
    ['the same instance twice', { InstanceIds: ['i-1', 'i-1'] }, 'DuplicateInstanceId'],
    ['a script over 64 KB', { Parameters: { commands: ['x'.repeat(70_000)] } }, 'MaxDocumentSizeExceeded'],
  ] satisfies [string, Partial<SendCommandCommandInput>, string][])('refuses %s', (_, input, expected) =>
    onStage({}, async ({ ssm, instance }) => {
      const { id } = instance(puppet());
      expect(await code(send(ssm, { InstanceIds: [id], ...input }))).toBe(expected);
      expect((await ssm.send(new ListCommandsCommand({}))).Commands).toEqual([]);
    }),
  );

  test('runs PowerShell only where it is installed', () =>
    onStage({}, async ({ ssm, instance }) => {
      const { id } = instance(puppet(input => ({ exitCode: input === '' ? 127 : 0, stdout: '', stderr: '' })));
      const command = await sent(ssm, id, { DocumentName: 'AWS-RunPowerShellScript' });
      expect(await ended(ssm, command, id)).toMatchObject({ Status: 'Failed', StatusDetails: 'InvalidPlatform', ResponseCode: -1 });
    }));

  test('describes nodes in pages of ten, without those that are stopped or never registered', () =>
    onStage({}, async ({ ssm, instance }) => {
      for (let number = 0; number < 12; number += 1) instance(puppet());
      instance(puppet(), { state: 'stopped' });
      const never = puppet();
      never.agent = false;
      const silent = instance(never);
      const found = await pages(async token => {
        const page = await ssm.send(new DescribeInstanceInformationCommand({ NextToken: token }));
        return { items: page.InstanceInformationList, token: page.NextToken };
      });
      expect(found.map(({ length }) => length)).toEqual([10, 2]);
      expect(found[0]?.[0]).toMatchObject({ PingStatus: 'Online', PlatformType: 'Linux', ResourceType: 'EC2Instance' });
      const one = await ssm.send(new DescribeInstanceInformationCommand({ Filters: [{ Key: 'InstanceIds', Values: [silent.id] }] }));
      expect(one.InstanceInformationList).toEqual([]);
    }));
});

describe('Run Command on several instances', () => {
  const of = (...details: string[]) =>
    details.map((one, index) => ({
      ...newInvocation(`i-${index}`),
      details: one,
      status: one === 'Success' ? 'Success' : one === 'InProgress' ? 'InProgress' : /TimedOut$/.test(one) ? 'TimedOut' : 'Failed',
    })) as Parameters<typeof conditionOf>[0];

  test.each([
    [['Success', 'Success'], 0, 'Success', 'Success'],
    [['Success', 'InProgress'], 0, 'InProgress', 'InProgress'],
    [['Success', 'Failed'], 0, 'Failed', 'Failed'],
    [['Success', 'Failed'], 1, 'Failed', 'Incomplete'],
    [['Success', 'ExecutionTimedOut'], 0, 'TimedOut', 'ExecutionTimedOut'],
    [['Success', 'DeliveryTimedOut'], 0, 'TimedOut', 'DeliveryTimedOut'],
    [['Success', 'Undeliverable'], 0, 'Success', 'Success'],
    [['Undeliverable', 'Undeliverable'], 0, 'Failed', 'Failed'],
    [[], 0, 'Failed', 'NoInstancesInTag'],
  ])('%j with %i errors allowed is %s, %s', (details, maxErrors, status, detail) => {
    expect(conditionOf(of(...details), maxErrors)).toEqual({ status, details: detail });
  });

  test('truncates output where AWS truncates it, with its mark', () => {
    expect(standardOutput('x'.repeat(23_999))).toHaveLength(23_999);
    expect(standardOutput('x'.repeat(30_000))).toHaveLength(24_000);
    expect(standardOutput('x'.repeat(30_000))).toMatch(/x--output truncated--$/);
    expect(pluginOutput('out\n', 'bad\n')).toBe('out\n\n----------ERROR-------\nbad\n');
    for (const [stdout, stderr] of [
      [9000, 0],
      [9000, 9000],
      [10, 9000],
      [9000, 10],
    ] as const) {
      expect(pluginOutput('o'.repeat(stdout), 'e'.repeat(stderr)).length).toBeLessThanOrEqual(2500);
    }
    expect(pluginOutput('o'.repeat(9000), 'bad')).toMatch(/Output truncated---\n----------ERROR-------\nbad$/);
  });
});

describe('Run Command in a sandbox', () => {
  let lab: Lab;
  let ssm: SSMClient;
  let ec2: EC2Client;

  beforeAll(async () => {
    lab = await startLab({ hostManagement: true });
    ssm = clientFor(lab);
    ec2 = new EC2Client({ endpoint: lab.url, region: 'eu-central-1', credentials: await ssm.config.credentials() });
  });

  afterAll(async () => {
    ssm.destroy();
    ec2.destroy();
    await lab.close();
  });

  const machine = async (UserData?: string): Promise<string> => {
    const wanted = {
      ImageId: 'resolve:ssm:/aws/service/debian/release/12/latest/amd64',
      InstanceType: 't3.micro' as const,
      MinCount: 1,
      MaxCount: 1,
    };
    const { Instances } = await ec2.send(
      new RunInstancesCommand({ ...wanted, ...(UserData && { UserData: Buffer.from(UserData).toString('base64') }) }),
    );
    const id = Instances?.[0]?.InstanceId ?? '';
    await until(
      () => ssm.send(new DescribeInstanceInformationCommand({ Filters: [{ Key: 'InstanceIds', Values: [id] }] })),
      ({ InstanceInformationList }) => InstanceInformationList?.[0]?.PingStatus === 'Online',
    );
    return id;
  };

  const result = async (id: string, commands: string[], more: Record<string, string[]> = {}, TimeoutSeconds = 60) =>
    ended(ssm, await sent(ssm, id, { Parameters: { commands, ...more }, TimeoutSeconds }), id);

  test('starts the script as the agent does, without input, in /usr/bin, without HOME', async () => {
    const id = await machine();
    const seen = await result(id, ['pwd', 'cat', 'echo "${HOME-none} $AWS_SSM_INSTANCE_ID"', 'exit 5'], { workingDirectory: [''] });
    expect(seen).toMatchObject({ Status: 'Failed', ResponseCode: 5, StandardOutputContent: `/usr/bin\nnone ${id}\n` });
    expect(await result(id, ['pwd'], { workingDirectory: ['/etc'] })).toMatchObject({ StandardOutputContent: '/etc\n' });
    const long = await result(id, ['yes ok | head -c 30000', 'yes no | head -c 9000 >&2']);
    expect(long.StandardOutputContent).toHaveLength(24_000);
    expect(long.StandardErrorContent).toHaveLength(8_000);
    expect(long.StandardOutputContent).toMatch(/--output truncated--$/);
  });

  test('kills all processes of the script on timeout and on cancellation', async () => {
    const id = await machine();
    const sleeping = ['sleep 7654 & sleep 7654'];
    expect(await result(id, sleeping, { executionTimeout: ['60'] })).toMatchObject({
      StatusDetails: 'ExecutionTimedOut',
      ResponseCode: 137,
    });
    const command = await sent(ssm, id, { Parameters: { commands: sleeping } });
    await until(
      () => look(ssm, command, id),
      ({ Status }) => Status === 'InProgress',
    );
    await ssm.send(new CancelCommandCommand({ CommandId: command }));
    expect(await ended(ssm, command, id)).toMatchObject({ Status: 'Cancelled' });
    expect(await result(id, ['grep -lz "^7654$" /proc/[0-9]*/cmdline || echo none'])).toMatchObject({ StandardOutputContent: 'none\n' });
  });

  test('gets no result of a script that ends its agent or its instance', async () => {
    const timeouts = { executionTimeout: ['60'] };
    const [agentless, off] = await Promise.all([machine(), machine()]);
    const [silent, dead] = await Promise.all([
      result(agentless, ['systemctl stop amazon-ssm-agent', 'echo PASSED'], timeouts),
      result(off, ['echo PASSED', 'shutdown -h now', 'sleep 60'], timeouts),
    ]);
    for (const seen of [silent, dead]) {
      expect(seen).toMatchObject({ Status: 'TimedOut', StatusDetails: 'DeliveryTimedOut', ResponseCode: -1, StandardOutputContent: '' });
    }
    expect(await code(sent(ssm, off))).toBe('InvalidInstanceId');
  });

  test('reboots and starts the script again after exit code 194', async () => {
    const id = await machine();
    const commands = ['[ -e /var/been ] && echo "after $(cat /var/been)" && exit 0', 'echo before', 'echo it > /var/been', 'exit 194'];
    expect(await result(id, commands, {}, 600)).toMatchObject({ Status: 'Success', StandardOutputContent: 'before\nafter it\n' });
  });
});
