import { StartInstanceRefreshCommand, UpdateAutoScalingGroupCommand } from '@aws-sdk/client-auto-scaling';
import {
  CreateKeyPairCommand,
  CreateLaunchTemplateVersionCommand,
  DeleteKeyPairCommand,
  DeleteLaunchTemplateVersionsCommand,
  DeregisterImageCommand,
  DescribeImageReferencesCommand,
  DescribeInstancesCommand,
  DescribeLaunchTemplateVersionsCommand,
  DescribeTagsCommand,
  DisableImageDeregistrationProtectionCommand,
  EC2Client,
  EnableImageDeregistrationProtectionCommand,
  type ResponseLaunchTemplateData,
  RunInstancesCommand,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2';
import { GetServiceSettingCommand, SendCommandCommand } from '@aws-sdk/client-ssm';
import { AssumeRoleCommand } from '@aws-sdk/client-sts';
import { NAME, OWN_TAG, STACKS } from './cloud.ts';
import { untilRefresh } from './refreshes.ts';
import { have, type Stage } from './stage.ts';

/** What AWS does where its documentation is silent: each point is an assumption of the action, and the answer of AWS. */
interface Point {
  readonly id: string;
  readonly question: string;
  /** In the words of the report. */
  readonly assumed: string;
  readonly fits: RegExp;
  ask(stage: Stage): Promise<string>;
}

/** `accepted`, or the code of the refusal. */
const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'accepted',
    (cause: Error) => cause.name,
  );

const wasSeen = (id: string) => async (stage: Stage) => stage.seen.get(id) ?? 'not seen';

const MOST_TAG_SECONDS = 180;

async function tagAfterDeletion({ home: { ec2 }, clock }: Stage): Promise<string> {
  const { KeyPairId = '' } = await ec2.send(
    new CreateKeyPairCommand({ KeyName: `${NAME}-tags`, TagSpecifications: [{ ResourceType: 'key-pair', Tags: [OWN_TAG] }] }),
  );
  await ec2.send(new DeleteKeyPairCommand({ KeyPairId }));
  for (let seconds = 0; seconds <= MOST_TAG_SECONDS; seconds += 10) {
    const { Tags = [] } = await ec2.send(new DescribeTagsCommand({ Filters: [{ Name: 'resource-id', Values: [KeyPairId] }] }));
    if (Tags.length === 0) return `not listed after ${seconds} s`;
    await clock.sleep(10_000);
  }
  return `still listed after ${MOST_TAG_SECONDS} s`;
}

/** Members that differ, apart from the image. */
function differences(a: ResponseLaunchTemplateData = {}, b: ResponseLaunchTemplateData = {}): readonly string[] {
  const members = [...new Set([...Object.keys(a), ...Object.keys(b)])] as (keyof ResponseLaunchTemplateData)[];
  return members.filter(name => name !== 'ImageId' && JSON.stringify(a[name]) !== JSON.stringify(b[name]));
}

async function newVersion({ away: { ec2 }, clock, made, seen }: Stage): Promise<string> {
  const template = { LaunchTemplateName: NAME };
  const { LaunchTemplateVersions: [source] = [] } = await ec2.send(
    new DescribeLaunchTemplateVersionsCommand({ ...template, Versions: ['1'] }),
  );
  const { LaunchTemplateVersion: created } = await ec2.send(
    new CreateLaunchTemplateVersionCommand({
      ...{ ...template, SourceVersion: '1' },
      LaunchTemplateData: { ImageId: made.get('second away') },
    }),
  );
  const Versions = [String(created?.VersionNumber)];
  const look = () => ec2.send(new DescribeLaunchTemplateVersionsCommand({ ...template, Versions }));
  let looks = 1;
  let found = await look().catch(() => undefined);
  for (; found === undefined && looks < 30; looks += 1) {
    await clock.sleep(1000);
    found = await look().catch(() => undefined);
  }
  seen.set('asg-7', found === undefined ? `not found in ${looks} looks` : `found at look ${looks}`);
  await ec2.send(new DeleteLaunchTemplateVersionsCommand({ ...template, Versions }));
  const described = found?.LaunchTemplateVersions?.[0]?.LaunchTemplateData;
  const differing = [
    ...differences(source?.LaunchTemplateData, created?.LaunchTemplateData).map(name => `${name} of the answer`),
    ...differences(source?.LaunchTemplateData, described).map(name => `${name} of the description`),
  ];
  return differing.length === 0 ? 'equal to its source, but for the image' : `different: ${differing.join(', ')}`;
}

async function deregisterProtected(stage: Stage): Promise<string> {
  const { ec2 } = stage.away;
  const ImageId = have(stage, 'second away');
  await ec2.send(new EnableImageDeregistrationProtectionCommand({ ImageId, WithCooldown: false }));
  const code = await codeOf(ec2.send(new DeregisterImageCommand({ ImageId })));
  await ec2.send(new DisableImageDeregistrationProtectionCommand({ ImageId })).catch(() => undefined);
  return code;
}

const hostManagement = async ({ home: { ssm } }: Stage): Promise<string> => {
  const SettingId = '/ssm/managed-instance/default-ec2-instance-management-role';
  return ssm.send(new GetServiceSettingCommand({ SettingId })).then(
    ({ ServiceSetting }) => `${ServiceSetting?.SettingValue} (${ServiceSetting?.Status})`,
    (cause: Error) => cause.name,
  );
};

/** Targets that no instance has, so that nothing runs. */
async function commandSizes({ home: { ssm } }: Stage): Promise<string> {
  const answers = [];
  for (const size of [40_000, 60_000, 100_000]) {
    const commands = Array(size / 100).fill('#'.repeat(99));
    const Targets = [{ Key: `tag:${NAME}`, Values: ['none'] }];
    const sent = ssm.send(new SendCommandCommand({ DocumentName: 'AWS-RunShellScript', Targets, Parameters: { commands } }));
    answers.push(`${size}: ${await codeOf(sent)}`);
  }
  return answers.join(', ');
}

async function otherArchitecture(stage: Stage): Promise<string> {
  const { ec2 } = stage.home;
  const launched = ec2.send(
    new RunInstancesCommand({
      ...{ ImageId: have(stage, 'second'), InstanceType: 't4g.nano', MinCount: 1, MaxCount: 1 },
      TagSpecifications: [{ ResourceType: 'instance', Tags: [OWN_TAG] }],
    }),
  );
  return launched.then(
    async ({ Instances = [] }) => {
      await ec2.send(new TerminateInstancesCommand({ InstanceIds: Instances.map(({ InstanceId = '' }) => InstanceId) }));
      return 'launched';
    },
    (cause: Error) => cause.name,
  );
}

async function referencesWithoutImageBuilder(stage: Stage): Promise<string> {
  const { region } = stage.home;
  const RoleArn = `arn:aws:iam::${stage.account}:role/${STACKS.probe}`;
  const { Credentials: session } = await stage.home.sts.send(new AssumeRoleCommand({ RoleArn, RoleSessionName: 'probe' }));
  const credentials = {
    accessKeyId: session?.AccessKeyId ?? '',
    secretAccessKey: session?.SecretAccessKey ?? '',
    sessionToken: session?.SessionToken ?? '',
  };
  const ec2 = new EC2Client({ region, credentials });
  return codeOf(ec2.send(new DescribeImageReferencesCommand({ ImageIds: [have(stage, 'first')], IncludeAllResourceTypes: true })));
}

async function pinThenRefresh(stage: Stage): Promise<string> {
  const { autoScaling } = stage.away;
  const LaunchTemplate = { LaunchTemplateName: NAME, Version: '1' };
  await autoScaling.send(new UpdateAutoScalingGroupCommand({ AutoScalingGroupName: NAME, LaunchTemplate }));
  const code = await codeOf(
    autoScaling.send(
      new StartInstanceRefreshCommand({
        AutoScalingGroupName: NAME,
        DesiredConfiguration: { LaunchTemplate },
        Preferences: { AutoRollback: true, SkipMatching: true, MinHealthyPercentage: 100, MaxHealthyPercentage: 200 },
      }),
    ),
  );
  if (code === 'accepted') await untilRefresh(stage, stage.away, ['Successful', 'Failed', 'RollbackSuccessful']);
  return code;
}

const unknownAlarm = ({ away: { autoScaling } }: Stage): Promise<string> =>
  codeOf(
    autoScaling.send(
      new StartInstanceRefreshCommand({
        AutoScalingGroupName: NAME,
        Preferences: { AlarmSpecification: { Alarms: [`${NAME}-no-such-alarm`] } },
      }),
    ),
  );

const managedResources = ({ home: { ec2 } }: Stage): Promise<string> =>
  codeOf(ec2.send(new DescribeInstancesCommand({ IncludeManagedResources: true, MaxResults: 5 })));

export const POINTS: readonly Point[] = [
  {
    ...{ id: 'ec2-s1', question: 'How long does DescribeTags list the tags of a deleted key pair?' },
    ...{ assumed: 'less than 3 minutes', fits: /^not listed/, ask: tagAfterDeletion },
  },
  {
    ...{ id: 'ec2-s2, asg-5', question: 'Is a template version equal to its source, in the answer and when it is described?' },
    ...{ assumed: 'equal, but for the image', fits: /^equal/, ask: newVersion },
  },
  {
    ...{ id: 'asg-7', question: 'Is a new template version found at once?' },
    ...{ assumed: 'within 30 looks', fits: /^found at look/, ask: wasSeen('asg-7') },
  },
  {
    ...{ id: 'ec2-s3', question: 'Which code has the deregistration of a protected image?' },
    ...{ assumed: 'OperationNotPermitted', fits: /^OperationNotPermitted$/, ask: deregisterProtected },
  },
  {
    ...{ id: 'ec2-s4', question: 'What does GetServiceSetting say where Default Host Management was never set?' },
    ...{ assumed: '$None, a role or ServiceSettingNotFound', fits: /^(\$None|service-role\/|ServiceSettingNotFound)/, ask: hostManagement },
  },
  {
    ...{ id: 'ec2-s5', question: 'Which sizes of commands, in characters, does SendCommand accept?' },
    ...{ assumed: '40000', fits: /^40000: accepted/, ask: commandSizes },
  },
  {
    ...{ id: 'ec2-s6', question: 'Which code has the launch of an x86_64 image on an arm64 type?' },
    ...{ assumed: 'InvalidParameterValue or Unsupported', fits: /^(InvalidParameterValue|Unsupported)$/, ask: otherArchitecture },
  },
  {
    ...{ id: 'asg-6', question: 'What does DescribeImageReferences answer without permissions for Image Builder?' },
    ...{ assumed: 'UnauthorizedOperation', fits: /^UnauthorizedOperation$/, ask: referencesWithoutImageBuilder },
  },
  {
    ...{ id: 'asg-1', question: 'Does DescribeInstanceRefreshes show the desired configuration of an active refresh?' },
    ...{ assumed: 'it does', fits: /^DesiredConfiguration names version/, ask: wasSeen('asg-1') },
  },
  {
    ...{ id: 'asg-2', question: 'Does an active refresh have empty structures?' },
    ...{
      assumed: 'DesiredConfiguration is never empty',
      fits: /^(no empty structure$|empty: (?!.*DesiredConfiguration))/,
      ask: wasSeen('asg-2'),
    },
  },
  {
    ...{ id: 'asg-3a', question: 'Which code has RollbackInstanceRefresh while AWS rolls back?' },
    ...{
      assumed: 'a refusal that the action knows',
      fits: /^(ActiveInstanceRefreshNotFound|IrreversibleInstanceRefresh)/,
      ask: wasSeen('asg-3a'),
    },
  },
  {
    ...{ id: 'asg-3b', question: 'Which code has RollbackInstanceRefresh when the rollback is over?' },
    ...{ assumed: 'ActiveInstanceRefreshNotFound', fits: /^ActiveInstanceRefreshNotFound/, ask: wasSeen('asg-3b') },
  },
  {
    ...{ id: 'asg-4', question: 'Is a refresh with AutoRollback accepted directly after the group was pinned to a number?' },
    ...{ assumed: 'accepted', fits: /^accepted$/, ask: pinThenRefresh },
  },
  {
    ...{ id: 'asg-b4', question: 'Which code has a refresh with an alarm that does not exist?' },
    ...{ assumed: 'ValidationError', fits: /^ValidationError$/, ask: unknownAlarm },
  },
  {
    ...{ id: 'asg-m13', question: 'Does DescribeInstances take IncludeManagedResources?' },
    ...{ assumed: 'accepted', fits: /^accepted$/, ask: managedResources },
  },
];

/** Suspected points that a run does not ask about, and why. */
export const NOT_ASKED: readonly { readonly id: string; readonly reason: string }[] = [
  { id: 'ec2-s7', reason: 'The launch template that a killed spot build of Packer leaves: no build of the suite uses spot instances.' },
  { id: 'ec2-s8', reason: 'Images in the Recycle Bin without their snapshots: the rule would be for the whole account.' },
  { id: 'ec2-s9', reason: 'Trust of test instances in China: another partition.' },
  { id: 'asg-3, after Failed', reason: 'RollbackInstanceRefresh after a failed refresh: it needs an image that fails, and half an hour.' },
  { id: 'asg-m6, M7', reason: 'Traffic sources and capacity of a green group: the suite has no blue-green rollout.' },
  { id: 'asg-m7', reason: 'A maintenance policy next to min-healthy: the action sends both limits.' },
  { id: 'asg-m9', reason: 'SkipZonalShiftValidation: it needs a zonal shift.' },
  { id: 'asg-m15', reason: 'Image of an instance after ReplaceRootVolume: the action does not use it.' },
  { id: 'asg-m16', reason: 'Protected instances in a rollback by AWS: one group of two shows nothing of it.' },
];

/** Asks them all, then throws if one is not as assumed. */
export async function askPoints(stage: Stage): Promise<string> {
  for (const { id, question, assumed, fits, ask } of POINTS) {
    const answered = await ask(stage).catch((cause: Error) => `no answer: ${cause.message}`);
    stage.print(`${id}: ${answered}`);
    stage.answers.push({ id, question, assumed, answered, asAssumed: fits.test(answered) });
  }
  const others = stage.answers.filter(({ asAssumed }) => !asAssumed).map(({ id, answered }) => `${id} (${answered})`);
  if (others.length > 0) throw new Error(`Not as assumed: ${others.join(', ')}.`);
  return `${stage.answers.length} points are as assumed`;
}
