import {
  CreateLaunchTemplateVersionCommand,
  DeleteLaunchTemplateCommand,
  DeleteLaunchTemplateVersionsCommand,
  DescribeLaunchTemplatesCommand,
  DescribeLaunchTemplateVersionsCommand,
  ModifyLaunchTemplateCommand,
  RunInstancesCommand,
} from '@aws-sdk/client-ec2';
import { LabelParameterVersionCommand, PutParameterCommand } from '@aws-sdk/client-ssm';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { nextDoubts, templateLimits } from '../../lab/ec2/launch-template-state.ts';
import { mishaps } from '../../lab/ec2/mishaps.ts';
import { anImage, aTemplate, aVersion, type Stage, stage } from './group-stage.ts';

let on: Stage;
let good: string;
let better: string;

beforeAll(async () => {
  on = await stage();
  good = await anImage(on, 'good');
  better = await anImage(on, 'better');
});

afterAll(() => on.close());

const versions = async (LaunchTemplateId: string, Versions?: string[], more: object = {}) => {
  const found = await on.ec2.send(new DescribeLaunchTemplateVersionsCommand({ LaunchTemplateId, Versions, ...more }));
  return found.LaunchTemplateVersions ?? [];
};

describe('a version', () => {
  test('inherits fields from its source, except snapshots, and is not the default', async () => {
    const BlockDeviceMappings = [{ DeviceName: '/dev/xvda', Ebs: { SnapshotId: 'snap-0123456789abcdef0', VolumeSize: 9 } }];
    const id = await aTemplate(on, 'heir', { ImageId: good, KeyName: 'ops', UserData: 'IyEvYmluL3NoCg==', BlockDeviceMappings });
    await aVersion(on, id, '1', { ImageId: better });
    const [second, first] = await versions(id);
    expect(first?.LaunchTemplateData?.BlockDeviceMappings?.[0]?.Ebs?.SnapshotId).toBe('snap-0123456789abcdef0');
    expect(second).toMatchObject({ VersionNumber: 2, DefaultVersion: false });
    expect(second?.LaunchTemplateData).toEqual({
      ...{ ImageId: better, InstanceType: 't3.micro', KeyName: 'ops', UserData: 'IyEvYmluL3NoCg==' },
      BlockDeviceMappings: [{ DeviceName: '/dev/xvda', Ebs: { VolumeSize: 9 } }],
    });
  });

  test('without a source has only the given fields', async () => {
    const id = await aTemplate(on, 'orphan', { ImageId: good, KeyName: 'ops' });
    const LaunchTemplateData = { ImageId: better };
    await on.ec2.send(new CreateLaunchTemplateVersionCommand({ LaunchTemplateId: id, LaunchTemplateData }));
    expect((await versions(id, ['2']))[0]?.LaunchTemplateData).toEqual({ ImageId: better });
  });

  test('scenario 51: the same token creates one version, another request with it is refused, and so is one above the limit', async () => {
    const id = await aTemplate(on, 'once', { ImageId: good });
    const ask = (ImageId: string, ClientToken: string) =>
      on.ec2.send(
        new CreateLaunchTemplateVersionCommand({ LaunchTemplateId: id, SourceVersion: '1', LaunchTemplateData: { ImageId }, ClientToken }),
      );
    const numbers = [await ask(better, 'a'), await ask(better, 'a')].map(
      ({ LaunchTemplateVersion }) => LaunchTemplateVersion?.VersionNumber,
    );
    expect(numbers).toEqual([2, 2]);
    await expect(ask(good, 'a')).rejects.toMatchObject({ name: 'IdempotentParameterMismatch' });
    templateLimits(on.lab.place()).versions = 2;
    await expect(ask(better, 'b')).rejects.toThrow(`You have reached the limit of 2 versions for the launch template ${id}.`);
    templateLimits(on.lab.place()).versions = 10_000;
  });

  test('is created with a warning when its data is wrong', async () => {
    const id = await aTemplate(on, 'warned', { ImageId: good });
    const ask = (ImageId: string) =>
      on.ec2.send(new CreateLaunchTemplateVersionCommand({ LaunchTemplateId: id, SourceVersion: '1', LaunchTemplateData: { ImageId } }));
    const { Warning, LaunchTemplateVersion } = await ask('ami-0123456789abcdef0');
    expect(LaunchTemplateVersion?.VersionNumber).toBe(2);
    expect(Warning?.Errors?.map(({ Code }) => Code)).toEqual(['InvalidAMIID.NotFound']);
    expect((await ask(better)).Warning).toBeUndefined();
    nextDoubts(on.lab.place()).push({ Code: 'InvalidKeyPair.NotFound', Message: "The key pair 'ops' does not exist" });
    expect((await ask(better)).Warning?.Errors?.[0]?.Code).toBe('InvalidKeyPair.NotFound');
    expect((await ask(better)).Warning).toBeUndefined();
  });

  test('is found by number, $Latest, $Default, range, page and filter', async () => {
    const id = await aTemplate(on, 'many', { ImageId: good });
    for (let more = 0; more < 4; more++) await aVersion(on, id, '1', { ImageId: better });
    await on.ec2.send(new ModifyLaunchTemplateCommand({ LaunchTemplateId: id, DefaultVersion: '3' }));
    const numbers = async (asked?: string[], more?: object) => (await versions(id, asked, more)).map(({ VersionNumber }) => VersionNumber);
    expect(await numbers(['$Latest', '$Default', '2', '5'])).toEqual([5, 3, 2]);
    expect(await numbers(undefined, { MinVersion: '2', MaxVersion: '3' })).toEqual([3, 2]);
    expect(await numbers(undefined, { Filters: [{ Name: 'image-id', Values: [good] }] })).toEqual([1]);
    await expect(versions(id, ['9'])).rejects.toMatchObject({ name: 'InvalidLaunchTemplateId.VersionNotFound' });
    mishaps(on.lab.place()).pageSize = 2;
    expect(await numbers()).toEqual([5, 4]);
    mishaps(on.lab.place()).pageSize = undefined;
    const { NextToken } = await on.ec2.send(new DescribeLaunchTemplateVersionsCommand({ LaunchTemplateId: id, MaxResults: 4 }));
    expect(await numbers(undefined, { NextToken })).toEqual([1]);
  });

  test('is deleted with a result for each, never the default one, and its number is not reused', async () => {
    const id = await aTemplate(on, 'trimmed', { ImageId: good });
    await aVersion(on, id, '1', { ImageId: better });
    const answer = await on.ec2.send(new DeleteLaunchTemplateVersionsCommand({ LaunchTemplateId: id, Versions: ['1', '2', '8'] }));
    expect(answer.SuccessfullyDeletedLaunchTemplateVersions?.map(({ VersionNumber }) => VersionNumber)).toEqual([2]);
    const left = answer.UnsuccessfullyDeletedLaunchTemplateVersions?.map(({ VersionNumber, ResponseError }) => [
      VersionNumber,
      ResponseError?.Code,
    ]);
    expect(left).toEqual([
      [1, 'unexpectedError'],
      [8, 'launchTemplateVersionDoesNotExist'],
    ]);
    expect(await aVersion(on, id, '$Latest', { ImageId: better })).toBe(3);
  });
});

describe('a template', () => {
  test('is found by name, and not after its deletion', async () => {
    const id = await aTemplate(on, 'found', { ImageId: good });
    const byName = () => on.ec2.send(new DescribeLaunchTemplatesCommand({ LaunchTemplateNames: ['found'] }));
    expect((await byName()).LaunchTemplates?.[0]).toMatchObject({ LaunchTemplateId: id, DefaultVersionNumber: 1, LatestVersionNumber: 1 });
    await expect(aTemplate(on, 'found', { ImageId: good })).rejects.toMatchObject({
      name: 'InvalidLaunchTemplateName.AlreadyExistsException',
    });
    await on.ec2.send(new DeleteLaunchTemplateCommand({ LaunchTemplateId: id }));
    await expect(byName()).rejects.toMatchObject({ name: 'InvalidLaunchTemplateName.NotFoundException' });
    await expect(versions(id)).rejects.toMatchObject({ name: 'InvalidLaunchTemplateId.NotFound' });
  });

  test('launches the current image of its parameter, by name, version or label', async () => {
    const put = (Value: string) => on.ssm.send(new PutParameterCommand({ Name: '/ami/web/stage', Value, Type: 'String', Overwrite: true }));
    await put(good);
    await on.ssm.send(new LabelParameterVersionCommand({ Name: '/ami/web/stage', ParameterVersion: 1, Labels: ['calm'] }));
    await put(better);
    const id = await aTemplate(on, 'follows', { ImageId: 'resolve:ssm:/ami/web/stage' });
    await aVersion(on, id, '1', { ImageId: 'resolve:ssm:/ami/web/stage:1' });
    await aVersion(on, id, '1', { ImageId: 'resolve:ssm:/ami/web/stage:calm' });
    const launched = async (Version: string) => {
      const LaunchTemplate = { LaunchTemplateId: id, Version };
      const { Instances } = await on.ec2.send(new RunInstancesCommand({ LaunchTemplate, MinCount: 1, MaxCount: 1 }));
      return Instances?.[0]?.ImageId;
    };
    expect([await launched('1'), await launched('2'), await launched('3')]).toEqual([better, good, good]);
    expect((await versions(id, ['1']))[0]?.LaunchTemplateData?.ImageId).toBe('resolve:ssm:/ami/web/stage');
    expect((await versions(id, ['1'], { ResolveAlias: true }))[0]?.LaunchTemplateData?.ImageId).toBe(better);
  });
});
