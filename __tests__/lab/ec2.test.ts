import { createPublicKey } from 'node:crypto';
import {
  AuthorizeSecurityGroupIngressCommand,
  CopyImageCommand,
  type CopyImageCommandInput,
  CreateImageCommand,
  type CreateImageCommandInput,
  CreateImageUsageReportCommand,
  CreateKeyPairCommand,
  CreateLaunchTemplateCommand,
  CreateSecurityGroupCommand,
  CreateTagsCommand,
  DeleteSecurityGroupCommand,
  DeleteSnapshotCommand,
  DeleteTagsCommand,
  DeregisterImageCommand,
  DescribeImageAttributeCommand,
  DescribeImageReferencesCommand,
  DescribeImagesCommand,
  type DescribeImagesCommandInput,
  DescribeImageUsageReportEntriesCommand,
  DescribeInstanceStatusCommand,
  DescribeInstancesCommand,
  DescribeSnapshotsCommand,
  DescribeVolumesCommand,
  DisableImageCommand,
  DisableImageDeregistrationProtectionCommand,
  EnableImageCommand,
  EnableImageDeprecationCommand,
  EnableImageDeregistrationProtectionCommand,
  GetConsoleOutputCommand,
  ModifyImageAttributeCommand,
  ModifyInstanceAttributeCommand,
  ModifySnapshotAttributeCommand,
  RebootInstancesCommand,
  RunInstancesCommand,
  type RunInstancesCommandInput,
  StartInstancesCommand,
  StopInstancesCommand,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2';
import { PutParameterCommand } from '@aws-sdk/client-ssm';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { newestAmazonLinux } from '../../lab/ec2/base-images.ts';
import { images, organizations, snapshots } from '../../lab/ec2/images.ts';
import { mishaps } from '../../lab/ec2/mishaps.ts';
import { instances } from '../../lab/ec2/state.ts';
import { type Lab, startLab } from '../../lab/lab.ts';
import type { GuestSpec } from '../../lab/machines/hypervisor.ts';
import { type PaperDisk, type PaperHypervisor, paperHypervisor } from '../../lab/machines/paper.ts';
import type { Place } from '../../lab/place.ts';
import { clientsOf, refusal, THEM } from './clients.ts';

let lab: Lab;
let machines: PaperHypervisor;
const specs: GuestSpec[] = [];
let account = 100_000_000_000;
let us: string;
let place: Place;
let ec2: ReturnType<typeof clientsOf>['ec2'];

beforeAll(async () => {
  machines = paperHypervisor();
  const { boot } = machines;
  Object.assign(machines, { boot: (spec: GuestSpec) => boot(specs[specs.push(spec) - 1] as GuestSpec) });
  lab = await startLab({ speed: 600, machines, timings: { statusChecks: 600, usageReport: 600 } });
});

// Each test uses its own account.
beforeEach(() => {
  account += 1;
  us = String(account);
  place = lab.place(us);
  ({ ec2 } = clientsOf(lab, { account: us }));
});

afterAll(() => lab.close());

const base = (region = 'eu-central-1') => newestAmazonLinux(lab.core, region, 'x86_64') ?? '';

async function until(done: () => boolean): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!done()) {
    if (Date.now() > deadline) throw new Error('It did not come to pass.');
    await new Promise(later => setTimeout(later, 5));
  }
}

/** Blocks an action of the machines until the returned function is called. */
function hold(what: 'clone' | 'boot'): () => void {
  let release = () => {};
  const released = new Promise<void>(done => {
    release = done;
  });
  const usual = machines[what] as (...given: unknown[]) => Promise<unknown>;
  Object.assign(machines, { [what]: (...given: unknown[]) => released.then(() => usual(...given)) });
  return () => {
    Object.assign(machines, { [what]: usual });
    release();
  };
}

const stateOf = (id: string) => instances(place).get(id)?.state;
const inState = (id: string, state: string) => until(() => stateOf(id) === state);

async function launch(input: Partial<RunInstancesCommandInput> = {}): Promise<string> {
  const { Instances } = await ec2.send(
    new RunInstancesCommand({ ImageId: base(), InstanceType: 't3.micro', MinCount: 1, MaxCount: 1, ...input }),
  );
  return Instances?.[0]?.InstanceId ?? '';
}

async function running(input: Partial<RunInstancesCommandInput> = {}): Promise<string> {
  const id = await launch(input);
  await inState(id, 'running');
  return id;
}

const imageIn = (id: string, state: string, where = place) => until(() => images(where).get(id)?.state === state);

async function bake(Name: string, input: Partial<CreateImageCommandInput> = {}): Promise<string> {
  const { ImageId = '' } = await ec2.send(new CreateImageCommand({ InstanceId: await running(), Name, ...input }));
  await imageIn(ImageId, 'available');
  return ImageId;
}

async function copied(Name: string, input: Partial<CopyImageCommandInput> = {}): Promise<string> {
  const copy = { SourceImageId: base(), SourceRegion: 'eu-central-1', Name, ...input };
  const { ImageId = '' } = await ec2.send(new CopyImageCommand(copy));
  await imageIn(ImageId, 'available');
  return ImageId;
}

const find = async (input: DescribeImagesCommandInput, who = us, region = 'eu-central-1') =>
  (await clientsOf(lab, { account: who, region }).ec2.send(new DescribeImagesCommand(input))).Images ?? [];

const idsOf = (found: readonly { ImageId?: string | undefined }[]) => found.map(({ ImageId }) => ImageId);

const share = (ImageId: string, UserId: string) =>
  ec2.send(new ModifyImageAttributeCommand({ ImageId, LaunchPermission: { Add: [{ UserId }] } }));

const snapshotOf = (imageId: string) => images(place).get(imageId)?.devices[0]?.snapshotId ?? '';

describe('an instance', () => {
  // https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-lifecycle.html
  test('goes from pending through running to terminated, and is no longer described after a while', async () => {
    const answer = await ec2.send(new RunInstancesCommand({ ImageId: base(), InstanceType: 't3.micro', MinCount: 1, MaxCount: 1 }));
    expect(answer.Instances).toMatchObject([{ State: { Name: 'pending', Code: 0 } }]);
    const id = answer.Instances?.[0]?.InstanceId ?? '';
    await inState(id, 'running');
    const { TerminatingInstances } = await ec2.send(new TerminateInstancesCommand({ InstanceIds: [id] }));
    expect(TerminatingInstances?.[0]).toMatchObject({ PreviousState: { Name: 'running' }, CurrentState: { Name: 'shutting-down' } });
    await inState(id, 'terminated');
    const { Reservations } = await ec2.send(new DescribeInstancesCommand({ InstanceIds: [id] }));
    expect(Reservations?.[0]?.Instances?.[0]).toMatchObject({
      StateReason: { Code: 'Client.UserInitiatedShutdown' },
      StateTransitionReason: expect.stringMatching(/^User initiated \(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d GMT\)$/),
      BlockDeviceMappings: [],
    });
    await ec2.send(new TerminateInstancesCommand({ InstanceIds: [id] }));
    await until(() => !instances(place).has(id));
    expect(await refusal(ec2.send(new DescribeInstancesCommand({ InstanceIds: [id] })))).toMatch(/^InvalidInstanceID.NotFound/);
  });

  test('leaves no disk and no volume', async () => {
    const before = machines.disks.size;
    const id = await running();
    const { Volumes } = await ec2.send(new DescribeVolumesCommand({ Filters: [{ Name: 'attachment.instance-id', Values: [id] }] }));
    expect(Volumes).toMatchObject([{ State: 'in-use', Size: 8 }]);
    await ec2.send(new TerminateInstancesCommand({ InstanceIds: [id] }));
    await inState(id, 'terminated');
    await until(() => machines.disks.size === before);
    expect((await ec2.send(new DescribeVolumesCommand({}))).Volumes).toEqual([]);
  });

  test('that is terminated while it boots never runs', async () => {
    const boot = hold('boot');
    const id = await launch();
    await ec2.send(new TerminateInstancesCommand({ InstanceIds: [id] }));
    boot();
    await inState(id, 'terminated');
    expect(machines.guests.has(id)).toBe(false);
    expect(instances(place).get(id)?.guest).toBeUndefined();
  });

  test('stops, starts and reboots with the same disk', async () => {
    const id = await running();
    const disk = instances(place).get(id)?.disk;
    await ec2.send(new StopInstancesCommand({ InstanceIds: [id] }));
    await inState(id, 'stopped');
    expect(machines.guests.has(id)).toBe(false);
    expect(await refusal(ec2.send(new RebootInstancesCommand({ InstanceIds: [id] })))).toMatch(/^IncorrectInstanceState/);
    await ec2.send(new StartInstancesCommand({ InstanceIds: [id] }));
    await inState(id, 'running');
    const first = instances(place).get(id)?.guest;
    await ec2.send(new RebootInstancesCommand({ InstanceIds: [id] }));
    await until(
      () => machines.guests.get(id) !== undefined && instances(place).get(id)?.guest !== first && machines.guests.get(id) !== first,
    );
    expect(stateOf(id)).toBe('running');
    expect(instances(place).get(id)?.disk).toBe(disk);
  });

  // https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/terminating-instances.html
  test.each([
    ['stop', 'stopped'],
    ['terminate', 'terminated'],
  ] as const)('that shuts itself down follows its shutdown behavior: %s', async (InstanceInitiatedShutdownBehavior, state) => {
    const id = await running({ InstanceInitiatedShutdownBehavior });
    machines.end(id);
    await inState(id, state);
    expect(instances(place).get(id)?.stateReason?.code).toBe('Client.InstanceInitiatedShutdown');
  });

  test('scenario 24: may go from pending to terminated at once, with a state reason', async () => {
    mishaps(place).launchFails.set('*', { code: 'Client.InternalError', message: 'Client.InternalError: Client error on launch' });
    const id = await launch();
    await inState(id, 'terminated');
    const { Reservations } = await ec2.send(new DescribeInstancesCommand({ InstanceIds: [id] }));
    expect(Reservations?.[0]?.Instances?.[0]?.StateReason).toEqual({
      Code: 'Client.InternalError',
      Message: 'Client.InternalError: Client error on launch',
    });
  });

  test('whose machine fails terminates with that reason, and the lab continues', async () => {
    const failing = { ...paperHypervisor(), boot: () => Promise.reject(new Error('no space left')) };
    const other = await startLab({ machines: failing, speed: 600 });
    const client = clientsOf(other).ec2;
    const { Instances } = await client.send(
      new RunInstancesCommand({
        ImageId: newestAmazonLinux(other.core, 'eu-central-1', 'x86_64'),
        InstanceType: 't3.micro',
        MinCount: 1,
        MaxCount: 1,
      }),
    );
    const instance = instances(other.place()).get(Instances?.[0]?.InstanceId ?? '');
    await until(() => instance?.state === 'terminated');
    expect(instance?.stateReason).toEqual({ code: 'Server.InternalError', message: 'Server.InternalError: no space left' });
    await other.close();
  });

  test('scenario 25: passes its status checks after a while, or is impaired', async () => {
    const good = await running();
    mishaps(place).impaired.add('*');
    const bad = await running();
    const look = async (id: string) =>
      (await ec2.send(new DescribeInstanceStatusCommand({ InstanceIds: [id] }))).InstanceStatuses?.[0]?.InstanceStatus?.Status;
    expect(await look(bad)).toBe('initializing');
    await lab.clock.sleep(lab.core.timings.statusChecks + 1);
    expect([await look(good), await look(bad)]).toEqual(['ok', 'impaired']);
    await ec2.send(new StopInstancesCommand({ InstanceIds: [good] }));
    // Only running instances are returned, unless IncludeAllInstances is set.
    expect(await look(good)).toBeUndefined();
  });

  test('passes user data, key and tags to its machine, and returns its console output', async () => {
    const { KeyMaterial = '' } = await ec2.send(new CreateKeyPairCommand({ KeyName: 'mine' }));
    expect(KeyMaterial).toMatch(/^-----BEGIN RSA PRIVATE KEY-----/);
    const id = await running({
      KeyName: 'mine',
      UserData: Buffer.from('#!/bin/sh\necho hi').toString('base64'),
      TagSpecifications: [{ ResourceType: 'instance', Tags: [{ Key: 'k', Value: 'v' }] }],
    });
    const publicKey = createPublicKey(KeyMaterial).export({ format: 'jwk' });
    const spec = specs.find(({ instanceId }) => instanceId === id);
    expect(spec).toMatchObject({
      userData: '#!/bin/sh\necho hi',
      firstBoot: true,
      tags: { k: 'v' },
      address: instances(place).get(id)?.address,
    });
    const [, blob = ''] = spec?.authorizedKeys[0]?.split(' ') ?? [];
    expect(Buffer.from(blob, 'base64').includes(Buffer.from(String(publicKey.n), 'base64url'))).toBe(true);
    Object.assign(machines.guests.get(id) ?? {}, { console: () => `${'x'.repeat(70_000)}login:` });
    const { Output = '' } = await ec2.send(new GetConsoleOutputCommand({ InstanceId: id }));
    expect(Buffer.from(Output, 'base64').toString()).toBe(`${'x'.repeat(64 * 1024 - 6)}login:`);
  });

  test('scenario 34: that is protected is not terminated, and neither is any other in the same call', async () => {
    const [safe, other] = [await running({ DisableApiTermination: true }), await running()];
    const end = new TerminateInstancesCommand({ InstanceIds: [other, safe] });
    expect(await refusal(ec2.send(end))).toMatch(/^OperationNotPermitted: The instance 'i-\w+' may not be terminated/);
    expect(stateOf(other)).toBe('running');
    await ec2.send(new ModifyInstanceAttributeCommand({ InstanceId: safe, DisableApiTermination: { Value: false } }));
    await ec2.send(end);
  });
});

describe('a launch', () => {
  // https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html
  test('with the same token returns the same instance, also concurrently; with other parameters it is refused', async () => {
    const twice = await Promise.all([launch({ ClientToken: 'one' }), launch({ ClientToken: 'one' })]);
    expect(new Set([...twice, await launch({ ClientToken: 'one' })]).size).toBe(1);
    expect(await refusal(launch({ ClientToken: 'one', InstanceType: 't3.small' }))).toMatch(/^IdempotentParameterMismatch/);
    expect(await launch({ ClientToken: 'two' })).not.toBe(twice[0]);
  });

  test('that was refused may be repeated with its token', async () => {
    mishaps(place).noCapacity.add('t3.micro');
    expect(await refusal(launch({ ClientToken: 'again' }))).toMatch(/^InsufficientInstanceCapacity/);
    mishaps(place).noCapacity.clear();
    await launch({ ClientToken: 'again' });
  });

  test('scenario 23: uses a zone with capacity, unless one is named', async () => {
    mishaps(place).noCapacity.add('t3.micro/eu-central-1a').add('t3.micro/eu-central-1b');
    const id = await launch();
    expect(instances(place).get(id)?.zone).toBe('eu-central-1c');
    const named = refusal(launch({ Placement: { AvailabilityZone: 'eu-central-1a' } }));
    expect(await named).toMatch(/sufficient t3.micro capacity in the Availability Zone you requested \(eu-central-1a\).*eu-central-1c/);
    await launch({ InstanceType: 't3.small', Placement: { AvailabilityZone: 'eu-central-1a' } });
  });

  test('of fewer instances than MinCount launches none', async () => {
    const id = await launch({ MinCount: 1, MaxCount: 3 });
    expect(
      [...instances(place).values()].filter(({ reservationId }) => reservationId === instances(place).get(id)?.reservationId),
    ).toHaveLength(3);
    expect(await refusal(launch({ MinCount: 3, MaxCount: 2 }))).toMatch(/^InvalidParameterValue/);
  });

  test('scenario 35: of another architecture is refused, and nothing runs', async () => {
    expect(await refusal(launch({ InstanceType: 't4g.micro' }))).toMatch(
      /^InvalidParameterValue: The architecture 'arm64' of the specified instance type does not match the architecture 'x86_64' of the specified AMI/,
    );
    expect(instances(place).size).toBe(0);
  });

  test.each([
    ['an image that is no ID', { ImageId: 'ami-xyz' }, /^InvalidAMIID.Malformed/],
    [
      'an unknown image',
      { ImageId: 'ami-00000000000000000' },
      /^InvalidAMIID.NotFound: The image id '\[ami-00000000000000000\]' does not exist/,
    ],
    ['an unknown type', { InstanceType: 't9.pico' as 't3.micro' }, /^InvalidParameterValue/],
    ['an unknown key pair', { KeyName: 'lost' }, /^InvalidKeyPair.NotFound/],
    ['an unknown subnet', { SubnetId: 'subnet-00000000000000000' }, /^InvalidSubnetID.NotFound/],
    ['an unknown group', { SecurityGroupIds: ['sg-00000000000000000'] }, /^InvalidGroup.NotFound/],
    [
      'a disk smaller than its snapshot',
      { BlockDeviceMappings: [{ DeviceName: '/dev/xvda', Ebs: { VolumeSize: 4 } }] },
      /^InvalidBlockDeviceMapping: Volume of size 4GB is smaller than snapshot/,
    ],
  ])('with %s is refused', async (_, input, expected) => {
    expect(await refusal(launch(input))).toMatch(expected);
  });

  test('from a template inherits what the request does not set, and is tagged with the template', async () => {
    const LaunchTemplateData = { ImageId: base(), InstanceType: 't3.large' as const, TagSpecifications: [] };
    const { LaunchTemplate } = await ec2.send(new CreateLaunchTemplateCommand({ LaunchTemplateName: 'web', LaunchTemplateData }));
    const { Instances } = await ec2.send(
      new RunInstancesCommand({ MinCount: 1, MaxCount: 1, InstanceType: 't3.small', LaunchTemplate: { LaunchTemplateName: 'web' } }),
    );
    expect(Instances?.[0]).toMatchObject({ ImageId: base(), InstanceType: 't3.small' });
    expect(Instances?.[0]?.Tags).toContainEqual({ Key: 'aws:ec2launchtemplate:id', Value: LaunchTemplate?.LaunchTemplateId });
  });
});

describe('an image', () => {
  test('contains the disk of its instance, and its instances start with that disk', async () => {
    const instanceId = await running();
    const source = instances(place).get(instanceId)?.disk;
    const { ImageId = '' } = await ec2.send(new CreateImageCommand({ InstanceId: instanceId, Name: 'content' }));
    await imageIn(ImageId, 'available');
    const snapshot = (await snapshots(place).get(snapshotOf(ImageId))?.disk?.()) as PaperDisk;
    expect(snapshot.origin).toBe(source);
    const child = instances(place).get(await running({ ImageId }))?.disk as PaperDisk;
    expect(child.origin).toBe(snapshot);
  });

  // https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateImage.html
  test('is created with a reboot, unless NoReboot is set', async () => {
    const id = await running();
    const first = machines.guests.get(id);
    await ec2.send(new CreateImageCommand({ InstanceId: id, Name: 'without', NoReboot: true }));
    await lab.clock.sleep(lab.core.timings.image);
    expect(machines.guests.get(id)).toBe(first);
    await ec2.send(new CreateImageCommand({ InstanceId: id, Name: 'with one' }));
    await until(() => machines.guests.get(id) !== undefined && machines.guests.get(id) !== first);
    expect(stateOf(id)).toBe('running');
  });

  test('is pending, then available with its snapshot; both get the tags', async () => {
    const TagSpecifications = [
      { ResourceType: 'image' as const, Tags: [{ Key: 'a', Value: '1' }] },
      { ResourceType: 'snapshot' as const, Tags: [{ Key: 'b', Value: '2' }] },
    ];
    const InstanceId = await running();
    const finish = hold('clone');
    const { ImageId = '' } = await ec2.send(new CreateImageCommand({ InstanceId, Name: 'phases', TagSpecifications }));
    expect(images(place).get(ImageId)?.state).toBe('pending');
    expect(await refusal(launch({ ImageId }))).toMatch(/^InvalidAMIID.Unavailable/);
    finish();
    await imageIn(ImageId, 'available');
    expect(await find({ ImageIds: [ImageId] })).toMatchObject([{ State: 'available', Tags: [{ Key: 'a', Value: '1' }] }]);
    const { Snapshots } = await ec2.send(new DescribeSnapshotsCommand({ SnapshotIds: [snapshotOf(ImageId)] }));
    expect(Snapshots).toMatchObject([{ State: 'completed', Progress: '100%', Tags: [{ Key: 'b', Value: '2' }] }]);
  });

  test('scenario 36: may fail after the call succeeded, and keeps its name until it is deregistered', async () => {
    mishaps(place).imageFails.set('doomed', 'Snapshot failed');
    const InstanceId = await running();
    const { ImageId = '' } = await ec2.send(new CreateImageCommand({ InstanceId, Name: 'doomed' }));
    await imageIn(ImageId, 'failed');
    expect(await find({ ImageIds: [ImageId] })).toMatchObject([{ State: 'failed', StateReason: { Message: 'Snapshot failed' } }]);
    const again = new CreateImageCommand({ InstanceId, Name: 'doomed' });
    expect(await refusal(ec2.send(again))).toBe(`InvalidAMIName.Duplicate: AMI name doomed is already in use by AMI ${ImageId}`);
    await ec2.send(new DeregisterImageCommand({ ImageId }));
    await ec2.send(again);
  });

  test.each(['ab', 'a'.repeat(129), 'no:colon', 'ünïcode'])('cannot have the name %s', async Name => {
    expect(await refusal(ec2.send(new CreateImageCommand({ InstanceId: await launch(), Name })))).toMatch(/^InvalidAMIName.Malformed/);
  });

  // https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImages.html
  test('that is deregistered is an empty answer while an instance of it exists, and an error afterwards', async () => {
    const ImageId = await copied('short-lived');
    const id = await running({ ImageId });
    await ec2.send(new DeregisterImageCommand({ ImageId }));
    expect(await find({ ImageIds: [ImageId] })).toEqual([]);
    expect(stateOf(id)).toBe('running');
    expect(await refusal(launch({ ImageId }))).toBe(`InvalidAMIID.Unavailable: The image ID '${ImageId}' is no longer available`);
    expect(await refusal(ec2.send(new DeregisterImageCommand({ ImageId })))).toMatch(/^InvalidAMIID.Unavailable/);
    await ec2.send(new TerminateInstancesCommand({ InstanceIds: [id] }));
    await inState(id, 'terminated');
    expect(await refusal(find({ ImageIds: [ImageId] }))).toMatch(/^InvalidAMIID.NotFound/);
  });

  // https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ami-deprecate.html
  test('that is deprecated is always returned to its owner, and to others with IncludeDeprecated', async () => {
    const ImageId = await copied('old');
    await share(ImageId, THEM);
    const DeprecateAt = new Date(Date.now() + 90_000);
    await ec2.send(new EnableImageDeprecationCommand({ ImageId, DeprecateAt }));
    await lab.clock.sleep(300);
    const named = { Filters: [{ Name: 'image-id', Values: [ImageId] }] };
    expect(await find(named)).toHaveLength(1);
    expect(await find(named, THEM)).toHaveLength(0);
    expect(await find({ ...named, IncludeDeprecated: true }, THEM)).toHaveLength(1);
    const past = new EnableImageDeprecationCommand({ ImageId, DeprecateAt: new Date(Date.now() - 90_000) });
    expect(await refusal(ec2.send(past))).toMatch(/^InvalidParameterValue/);
  });

  // https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/disable-an-ami.html
  test('that is disabled loses its permissions permanently, is hidden, and cannot be launched or shared', async () => {
    const ImageId = await copied('off');
    await share(ImageId, THEM);
    await ec2.send(new DisableImageCommand({ ImageId }));
    expect(await find({ Owners: ['self'] })).toEqual([]);
    expect(await find({ Owners: ['self'], IncludeDisabled: true })).toMatchObject([{ ImageId, State: 'disabled' }]);
    expect(await refusal(launch({ ImageId }))).toMatch(/^InvalidAMIID.Unavailable/);
    expect(await refusal(share(ImageId, THEM))).toMatch(/^InvalidAMIID.Unavailable/);
    await ec2.send(new EnableImageCommand({ ImageId }));
    const { LaunchPermissions } = await ec2.send(new DescribeImageAttributeCommand({ ImageId, Attribute: 'launchPermission' }));
    expect(LaunchPermissions).toEqual([]);
    await launch({ ImageId });
  });

  // https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ami-deregistration-protection.html
  test('scenario 73: that is protected is not deregistered, also for a day after a protection with cooldown', async () => {
    const ImageId = await copied('kept');
    await ec2.send(new EnableImageDeregistrationProtectionCommand({ ImageId, WithCooldown: true }));
    const deregister = () => ec2.send(new DeregisterImageCommand({ ImageId }));
    expect(await refusal(deregister())).toMatch(/^OperationNotPermitted: .*protection is enabled/);
    await ec2.send(new DisableImageDeregistrationProtectionCommand({ ImageId }));
    expect(await refusal(deregister())).toMatch(/^OperationNotPermitted: .*cooldown/);
    const image = images(place).get(ImageId);
    if (image !== undefined) image.protection = { ...image.protection, until: lab.clock.date() };
    await deregister();
  });
});

describe('visibility of an image in other accounts', () => {
  // https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/sharingamis-explicit.html
  test('starts when it is shared, never includes its tags, and allows tags of the other account', async () => {
    const TagSpecifications = [{ ResourceType: 'image' as const, Tags: [{ Key: 'family', Value: 'web' }] }];
    const ImageId = await copied('shared', { TagSpecifications });
    const them = clientsOf(lab, { account: THEM }).ec2;
    expect(await find({ ImageIds: [ImageId] }, THEM)).toEqual([]);
    const run = new RunInstancesCommand({ ImageId, InstanceType: 't3.micro', MinCount: 1, MaxCount: 1 });
    expect(await refusal(them.send(run))).toBe(`AuthFailure: Not authorized for images: [${ImageId}]`);
    await share(ImageId, THEM);
    expect(await find({ ImageIds: [ImageId] }, THEM)).toMatchObject([{ OwnerId: us, Tags: [] }]);
    await them.send(new CreateTagsCommand({ Resources: [ImageId], Tags: [{ Key: 'theirs', Value: 'yes' }] }));
    expect((await find({ ImageIds: [ImageId] }, THEM))[0]?.Tags).toEqual([{ Key: 'theirs', Value: 'yes' }]);
    expect((await find({ ImageIds: [ImageId] }))[0]?.Tags).toEqual([{ Key: 'family', Value: 'web' }]);
    expect(await find({ ImageIds: [ImageId], Filters: [{ Name: 'tag:family', Values: ['web'] }] }, THEM)).toEqual([]);
    await them.send(run);
    expect(await refusal(them.send(new DeregisterImageCommand({ ImageId })))).toMatch(/^AuthFailure/);
  });

  test('may come from their organization', async () => {
    const arn = 'arn:aws:organizations::123456789012:organization/o-abc';
    organizations(lab.core).set(arn, new Set([THEM]));
    const ImageId = await copied('for all of us');
    await ec2.send(
      new ModifyImageAttributeCommand({ ImageId, Attribute: 'launchPermission', OperationType: 'add', OrganizationArns: [arn] }),
    );
    expect(idsOf(await find({ ExecutableUsers: ['self'] }, THEM))).toContain(ImageId);
    expect(await find({ ImageIds: [ImageId] }, '999999999999')).toEqual([]);
    const { LaunchPermissions } = await ec2.send(new DescribeImageAttributeCommand({ ImageId, Attribute: 'launchPermission' }));
    expect(LaunchPermissions).toEqual([{ OrganizationArn: arn }]);
  });

  test('is selected by owners: self, an account, an alias', async () => {
    const ImageId = await copied('mine');
    expect(idsOf(await find({ Owners: ['self'] }))).toEqual([ImageId]);
    expect(idsOf(await find({ Owners: [us] }, THEM))).toEqual([]);
    for (const { OwnerId, ImageOwnerAlias } of await find({ Owners: ['amazon'] })) {
      expect([OwnerId, ImageOwnerAlias]).toEqual(['137112412989', 'amazon']);
    }
    expect((await find({})).length).toBeGreaterThan(1);
  });

  test.each([
    [{ UserId: '1234' }, /^InvalidAMIAttributeItemValue: Invalid attribute item value "1234" for userId item type/],
    [{ Group: 'everyone' as 'all' }, /^InvalidAMIAttributeItemValue/],
    [{ OrganizationArn: 'o-abc' }, /^InvalidAMIAttributeItemValue/],
  ])('cannot be shared with %j', async (permission, expected) => {
    const ImageId = await copied('private');
    expect(await refusal(ec2.send(new ModifyImageAttributeCommand({ ImageId, LaunchPermission: { Add: [permission] } })))).toMatch(
      expected,
    );
  });

  // https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/sharingamis-explicit.html
  test('scenario 44: an image encrypted with the AWS managed key cannot be shared, with a customer managed key it can', async () => {
    expect(await refusal(share(await copied('their key', { Encrypted: true }), THEM))).toMatch(
      /^InvalidParameter: .*default AWS managed key/,
    );
    await share(await copied('own key', { KmsKeyId: `arn:aws:kms:eu-central-1:${us}:key/own` }), THEM);
  });
});

describe('a copy', () => {
  // https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CopyImage.html
  test('in another region has the content, its own ID, and tags only with CopyImageTags', async () => {
    const SourceImageId = await bake('origin');
    await ec2.send(new CreateTagsCommand({ Resources: [SourceImageId], Tags: [{ Key: 'family', Value: 'web' }] }));
    await share(SourceImageId, THEM);
    const there = lab.place(us, 'us-east-1');
    const far = clientsOf(lab, { account: us, region: 'us-east-1' }).ec2;
    const copy = { SourceImageId, SourceRegion: 'eu-central-1' };
    const bare = await far.send(new CopyImageCommand({ ...copy, Name: 'bare' }));
    const full = await far.send(new CopyImageCommand({ ...copy, Name: 'full', CopyImageTags: true }));
    await imageIn(full.ImageId ?? '', 'available', there);
    await imageIn(bare.ImageId ?? '', 'available', there);
    const found = await find({ ImageIds: [full.ImageId ?? ''] }, us, 'us-east-1');
    expect(found).toMatchObject([{ SourceImageId, SourceImageRegion: 'eu-central-1', Tags: [{ Key: 'family', Value: 'web' }] }]);
    expect((await find({ ImageIds: [bare.ImageId ?? ''] }, us, 'us-east-1'))[0]?.Tags).toEqual([]);
    expect(images(there).get(full.ImageId ?? '')?.launchers.size).toBe(0);
    const copyOf = images(there).get(full.ImageId ?? '')?.devices[0]?.snapshotId ?? '';
    const [original, disk] = await Promise.all([
      snapshots(place).get(snapshotOf(SourceImageId))?.disk?.(),
      snapshots(there).get(copyOf)?.disk?.(),
    ]);
    expect((disk as PaperDisk).origin).toBe(original);
  });

  test('scenario 48: with the same token is created once', async () => {
    const copy = new CopyImageCommand({ SourceImageId: base(), SourceRegion: 'eu-central-1', Name: 'once', ClientToken: 'token' });
    const [first, second] = await Promise.all([ec2.send(copy), ec2.send(copy)]);
    expect(second.ImageId).toBe(first.ImageId);
    const other = new CopyImageCommand({ ...copy.input, Name: 'other' });
    expect(await refusal(ec2.send(other))).toMatch(/^IdempotentParameterMismatch/);
  });

  test('scenario 47: may fail long after it was accepted', async () => {
    mishaps(place).imageFails.set('*', 'The KMS key does not exist or is not enabled');
    const { ImageId = '' } = await ec2.send(new CopyImageCommand({ SourceImageId: base(), SourceRegion: 'eu-central-1', Name: 'bad key' }));
    await imageIn(ImageId, 'failed');
    expect(images(place).get(ImageId)?.stateReason?.message).toMatch(/KMS key/);
  });

  test('of a shared image needs its snapshots shared too, and gets no tags of its owner', async () => {
    const SourceImageId = await copied('ours');
    await ec2.send(new CreateTagsCommand({ Resources: [SourceImageId], Tags: [{ Key: 'family', Value: 'web' }] }));
    await share(SourceImageId, THEM);
    const them = clientsOf(lab, { account: THEM }).ec2;
    const copy = new CopyImageCommand({ SourceImageId, SourceRegion: 'eu-central-1', Name: `of ${us}`, CopyImageTags: true });
    expect(await refusal(them.send(copy))).toMatch(/^InvalidRequest: You do not have permission to access the storage of this ami/);
    const CreateVolumePermission = { Add: [{ UserId: THEM }] };
    await ec2.send(new ModifySnapshotAttributeCommand({ SnapshotId: snapshotOf(SourceImageId), CreateVolumePermission }));
    const { ImageId = '' } = await them.send(copy);
    await imageIn(ImageId, 'available', lab.place(THEM));
    expect((await find({ ImageIds: [ImageId] }, THEM))[0]).toMatchObject({ OwnerId: THEM, Tags: [] });
  });
});

describe('snapshots of a deregistered image', () => {
  // https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeregisterImage.html
  test('scenario 71: a snapshot of two images is skipped, and deleted with the second', async () => {
    const first = await bake('first');
    const SnapshotId = snapshotOf(first);
    const { RegisterImageCommand } = await import('@aws-sdk/client-ec2');
    const { ImageId: second = '' } = await ec2.send(
      new RegisterImageCommand({
        Name: 'second',
        Architecture: 'x86_64',
        RootDeviceName: '/dev/xvda',
        BlockDeviceMappings: [{ DeviceName: '/dev/xvda', Ebs: { SnapshotId } }],
      }),
    );
    const deregister = async (ImageId: string) =>
      (await ec2.send(new DeregisterImageCommand({ ImageId, DeleteAssociatedSnapshots: true }))).DeleteSnapshotResults;
    expect(await deregister(first)).toEqual([{ SnapshotId, ReturnCode: 'skipped' }]);
    expect(await refusal(ec2.send(new DeleteSnapshotCommand({ SnapshotId })))).toBe(
      `InvalidSnapshot.InUse: The snapshot ${SnapshotId} is currently in use by ${second}`,
    );
    expect(await deregister(second)).toEqual([{ SnapshotId, ReturnCode: 'success' }]);
    expect(await refusal(ec2.send(new DescribeSnapshotsCommand({ SnapshotIds: [SnapshotId] })))).toMatch(/^InvalidSnapshot.NotFound/);
  });

  test('may remain although the answer is 200', async () => {
    const ImageId = await bake('leaky');
    const SnapshotId = snapshotOf(ImageId);
    mishaps(place).snapshotDeletion.set(SnapshotId, 'missing-permissions');
    const { Return, DeleteSnapshotResults } = await ec2.send(new DeregisterImageCommand({ ImageId, DeleteAssociatedSnapshots: true }));
    expect([Return, DeleteSnapshotResults]).toEqual([true, [{ SnapshotId, ReturnCode: 'missing-permissions' }]]);
    expect(snapshots(place).has(SnapshotId)).toBe(true);
    const before = machines.disks.size;
    await ec2.send(new DeleteSnapshotCommand({ SnapshotId }));
    await until(() => machines.disks.size === before - 1);
  });
});

describe('pages', () => {
  test('are as small as a test sets, unordered, and lose nothing when an item between them is deleted', async () => {
    const made: string[] = [];
    for (let n = 1; n <= 7; n += 1) made.push(await copied(`page ${n}`));
    mishaps(place).pageSize = 3;
    const seen: (string | undefined)[] = [];
    let NextToken: string | undefined;
    do {
      const answer = await ec2.send(new DescribeImagesCommand({ Owners: ['self'], MaxResults: 1000, NextToken }));
      expect(answer.Images?.length).toBeLessThanOrEqual(3);
      seen.push(...idsOf(answer.Images ?? []));
      NextToken = answer.NextToken;
      const [gone] = seen;
      if (gone !== undefined && images(place).get(gone)?.state === 'available')
        await ec2.send(new DeregisterImageCommand({ ImageId: gone }));
    } while (NextToken !== undefined);
    expect([...seen].sort()).toEqual([...made].sort());
  });

  test('are refused together with IDs, and with a wrong size or token', async () => {
    const id = await launch();
    const describe = (input: object) => refusal(ec2.send(new DescribeInstancesCommand(input)));
    expect(await describe({ InstanceIds: [id], MaxResults: 10 })).toMatch(/^InvalidParameterCombination/);
    expect(await describe({ MaxResults: 4 })).toMatch(/^InvalidParameterValue/);
    expect(await describe({ NextToken: 'bm9uc2Vuc2U=' })).toMatch(/^InvalidNextToken/);
  });

  test('ten thousand images are listed in seconds', async () => {
    const [model] = [...images(lab.core.place('137112412989', 'ap-south-1')).values()];
    const many = lab.place(us, 'ap-south-1');
    for (let n = 0; n < 10_000 && model !== undefined; n += 1) {
      const id = `ami-${String(n).padStart(17, '0')}`;
      images(many).set(id, { ...model, id, place: many, name: `image ${n}`, launchers: new Set() });
    }
    const client = clientsOf(lab, { account: us, region: 'ap-south-1' }).ec2;
    const seen = new Set<string | undefined>();
    const started = Date.now();
    let NextToken: string | undefined;
    do {
      const answer = await client.send(new DescribeImagesCommand({ Owners: ['self'], MaxResults: 1000, NextToken }));
      for (const id of idsOf(answer.Images ?? [])) seen.add(id);
      NextToken = answer.NextToken;
    } while (NextToken !== undefined);
    expect(seen.size).toBe(10_000);
    expect(Date.now() - started).toBeLessThan(60_000);
  });
});

describe('usage of an image', () => {
  // https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/your-ec2-ami-references.html
  test('is returned for instances, templates and parameters of this account', async () => {
    const ImageId = await copied('used');
    const instanceId = await running({ ImageId });
    const LaunchTemplateData = { ImageId };
    const { LaunchTemplate } = await ec2.send(new CreateLaunchTemplateCommand({ LaunchTemplateName: 'user', LaunchTemplateData }));
    const { ssm } = clientsOf(lab, { account: us });
    await ssm.send(new PutParameterCommand({ Name: '/ami', Value: ImageId, Type: 'String', DataType: 'aws:ec2:image' }));
    await lab.clock.sleep(lab.core.timings.parameterCheck + 1);
    const { ImageReferences } = await ec2.send(new DescribeImageReferencesCommand({ ImageIds: [ImageId], IncludeAllResourceTypes: true }));
    expect(ImageReferences?.map(({ Arn }) => Arn?.split(':').at(-1)).sort()).toEqual([
      `instance/${instanceId}`,
      `launch-template/${LaunchTemplate?.LaunchTemplateId}`,
      'parameter/ami',
    ]);
    const eleven = Array.from({ length: 11 }, () => ImageId);
    expect(await refusal(ec2.send(new DescribeImageReferencesCommand({ ImageIds: eleven, IncludeAllResourceTypes: true })))).toMatch(
      /between 1 and 10/,
    );
  });

  // https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/your-ec2-ami-usage.html
  test('in other accounts is counted by an asynchronous report', async () => {
    const ImageId = await copied('lent');
    await share(ImageId, THEM);
    await clientsOf(lab, { account: THEM }).ec2.send(
      new RunInstancesCommand({ ImageId, InstanceType: 't3.micro', MinCount: 2, MaxCount: 2 }),
    );
    const { ReportId = '' } = await ec2.send(
      new CreateImageUsageReportCommand({ ImageId, ResourceTypes: [{ ResourceType: 'ec2:Instance' }] }),
    );
    const entries = async () =>
      (await ec2.send(new DescribeImageUsageReportEntriesCommand({ ReportIds: [ReportId] }))).ImageUsageReportEntries;
    expect(await entries()).toEqual([]);
    await lab.clock.sleep(lab.core.timings.usageReport + 1);
    expect(await entries()).toMatchObject([{ AccountId: THEM, ResourceType: 'ec2:Instance', UsageCount: 2 }]);
  });
});

describe('groups and tags', () => {
  // https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteSecurityGroup.html
  test('a security group is not deleted as long as an instance uses it', async () => {
    const { GroupId = '' } = await ec2.send(new CreateSecurityGroupCommand({ GroupName: 'ssh', Description: 'for a test' }));
    const rule = new AuthorizeSecurityGroupIngressCommand({ GroupId, IpProtocol: 'tcp', FromPort: 22, ToPort: 22, CidrIp: '10.0.0.0/8' });
    await ec2.send(rule);
    expect(await refusal(ec2.send(rule))).toMatch(/^InvalidPermission.Duplicate/);
    const id = await running({ SecurityGroupIds: [GroupId] });
    const remove = () => ec2.send(new DeleteSecurityGroupCommand({ GroupId }));
    expect(await refusal(remove())).toBe(`DependencyViolation: resource ${GroupId} has a dependent object`);
    let off = () => {};
    Object.assign(machines.guests.get(id) ?? {}, { stop: () => new Promise<void>(done => (off = done)) });
    await ec2.send(new TerminateInstancesCommand({ InstanceIds: [id] }));
    expect(stateOf(id)).toBe('shutting-down');
    expect(await refusal(remove())).toMatch(/^DependencyViolation/);
    off();
    await inState(id, 'terminated');
    await remove();
    expect(await refusal(remove())).toMatch(/^InvalidGroup.NotFound/);
  });

  test('tags are set on all resources or on none, and deleted by key, or by key and value', async () => {
    const id = await launch();
    const tag = (Resources: string[], Key: string) => ec2.send(new CreateTagsCommand({ Resources, Tags: [{ Key, Value: 'v' }] }));
    expect(await refusal(tag([id, 'i-00000000000000000'], 'a'))).toMatch(/^InvalidInstanceID.NotFound/);
    expect(await refusal(tag([id], 'aws:mine'))).toMatch(/^InvalidParameterValue: .*reserved/);
    await tag([id], 'b');
    const tags = async () => (await ec2.send(new DescribeInstancesCommand({ InstanceIds: [id] }))).Reservations?.[0]?.Instances?.[0]?.Tags;
    expect(await tags()).toEqual([{ Key: 'b', Value: 'v' }]);
    await ec2.send(new DeleteTagsCommand({ Resources: [id], Tags: [{ Key: 'b', Value: 'other' }] }));
    expect(await tags()).toHaveLength(1);
    await ec2.send(new DeleteTagsCommand({ Resources: [id], Tags: [{ Key: 'b' }] }));
    expect(await tags()).toEqual([]);
    for (let n = 0; n < 50; n += 1) await tag([id], `tag-${n}`);
    expect(await refusal(tag([id], 'one too many'))).toMatch(/^TagLimitExceeded/);
  });

  test('filters match any of their values, with wildcards, all filters together; an unknown one is refused', async () => {
    const [one, two] = [await launch({ InstanceType: 't3.small' }), await launch({ InstanceType: 't3.large' })];
    await ec2.send(new CreateTagsCommand({ Resources: [two], Tags: [{ Key: 'App', Value: 'a*b' }] }));
    const ids = async (...Filters: { Name: string; Values: string[] }[]) =>
      (await ec2.send(new DescribeInstancesCommand({ Filters }))).Reservations?.map(({ Instances }) => Instances?.[0]?.InstanceId).sort();
    expect(await ids({ Name: 'instance-type', Values: ['t3.s*', 'm5.large'] })).toEqual([one]);
    expect(await ids({ Name: 'instance-type', Values: ['t3.*'] }, { Name: 'tag:App', Values: ['a\\*b'] })).toEqual([two]);
    expect(await ids({ Name: 'tag:App', Values: ['a\\*c', 'A*'] })).toEqual([]);
    expect(await ids({ Name: 'tag-key', Values: ['App'] })).toEqual([two]);
    expect(await ids({ Name: 'instance-type', Values: ['t3.?????'] })).toEqual([one, two].sort());
    expect(await refusal(ids({ Name: 'colour', Values: ['blue'] }))).toBe("InvalidParameterValue: The filter 'colour' is invalid");
  });
});
