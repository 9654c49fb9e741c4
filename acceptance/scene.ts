import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CreateAutoScalingGroupCommand, DescribeAutoScalingGroupsCommand } from '@aws-sdk/client-auto-scaling';
import { CreateStackCommand, DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import {
  AuthorizeSecurityGroupIngressCommand,
  CreateLaunchTemplateCommand,
  CreateSecurityGroupCommand,
  DescribeInstancesCommand,
  DescribeInstanceTypeOfferingsCommand,
  DescribeSubnetsCommand,
  type Subnet,
} from '@aws-sdk/client-ec2';
import {
  CreateListenerCommand,
  CreateLoadBalancerCommand,
  CreateTargetGroupCommand,
  ModifyTargetGroupAttributesCommand,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { type Cloud, ENVIRONMENT, NAME, OWN_PATH, OWN_REPOSITORY, OWN_TAG, STACKS } from './cloud.ts';
import type { Stage } from './stage.ts';
import type { Subject } from './token.ts';

/** What a run needs in the account: the shipped stacks, and a group behind a load balancer. */

const read = (path: string) => readFileSync(join(import.meta.dirname, '..', path), 'utf8');

// The job of the workflow has an environment, so its token fits the role of an environment only.
const TRUSTS_ACCOUNT = `$1
          - Effect: Allow
            Action: sts:AssumeRole
            Principal: { AWS: !Sub 'arn:\${AWS::Partition}:iam::\${AWS::AccountId}:root' }`;

/** A shipped template whose roles for GitHub may also be assumed by the account itself. Its policies stay as they are. */
export const assumable = (template: string): string =>
  template.replace(/(^ {8}Statement:)(?=\n {10}- Effect: Allow\n {12}Action: sts:AssumeRoleWithWebIdentity)/gm, TRUSTS_ACCOUNT);

async function createStack(stage: Stage, name: string, template: string, parameters: Record<string, string>): Promise<void> {
  const { stacks } = stage.home;
  await stacks.send(
    new CreateStackCommand({
      StackName: name,
      TemplateBody: template,
      Capabilities: ['CAPABILITY_NAMED_IAM'],
      OnFailure: 'DO_NOTHING',
      Parameters: Object.entries(parameters).map(([ParameterKey, ParameterValue]) => ({ ParameterKey, ParameterValue })),
      Tags: [OWN_TAG],
    }),
  );
  await until(stage, 10, `stack ${name} to be complete`, async () => {
    const { Stacks: [stack] = [] } = await stacks.send(new DescribeStacksCommand({ StackName: name }));
    if (/FAILED|ROLLBACK/.test(stack?.StackStatus ?? '')) throw new Error(`Stack ${name}: ${stack?.StackStatusReason}`);
    return stack?.StackStatus === 'CREATE_COMPLETE';
  });
}

export const createDeliveryStack = (stage: Stage, subject: Subject): Promise<void> =>
  createStack(stage, STACKS.delivery, assumable(read('examples/delivery-role.yml')), {
    ...subject,
    Repository: OWN_REPOSITORY,
    Families: NAME,
    Provider: 'exists',
  });

export const createEnvironmentStack = (stage: Stage, subject: Subject, templates: readonly string[]): Promise<void> =>
  createStack(stage, STACKS.environment, assumable(read('examples/environment-role.yml')), {
    ...subject,
    ...{ Environment: ENVIRONMENT, Families: NAME, Pointers: OWN_PATH, Groups: NAME, LaunchTemplates: templates.join(',') },
  });

export const createProbeStack = (stage: Stage): Promise<void> => createStack(stage, STACKS.probe, read('acceptance/probe-role.yml'), {});

/** Polls every ten seconds. Rejects when the minutes are over. */
export async function until({ clock }: Pick<Stage, 'clock'>, minutes: number, what: string, look: () => Promise<boolean>): Promise<void> {
  const end = clock.now() + minutes * 60_000;
  while (!(await look())) {
    if (clock.now() > end) throw new Error(`Waited ${minutes} minutes for ${what}.`);
    await clock.sleep(10_000);
  }
}

const own = <Kind extends string>(...kinds: readonly Kind[]) => kinds.map(ResourceType => ({ ResourceType, Tags: [OWN_TAG] }));

const TYPE = 't3.nano';

/** Returns the ID of its launch template. */
export async function createGroup(
  cloud: Cloud,
  { image, size, balanced }: { image: string; size: number; balanced: boolean },
): Promise<string> {
  const subnets = await twoSubnets(cloud);
  const firewall = await createSecurityGroup(cloud, subnets);
  const targets = balanced ? await createTargetGroup(cloud, subnets, firewall) : undefined;
  const { LaunchTemplate } = await cloud.ec2.send(
    new CreateLaunchTemplateCommand({
      LaunchTemplateName: NAME,
      TagSpecifications: own('launch-template'),
      LaunchTemplateData: {
        ImageId: image,
        InstanceType: TYPE,
        SecurityGroupIds: [firewall],
        TagSpecifications: own('instance', 'volume'),
      },
    }),
  );
  const id = LaunchTemplate?.LaunchTemplateId ?? '';
  await cloud.autoScaling.send(
    new CreateAutoScalingGroupCommand({
      AutoScalingGroupName: NAME,
      ...{ MinSize: 0, MaxSize: size + 1, DesiredCapacity: size },
      LaunchTemplate: { LaunchTemplateId: id, Version: '1' },
      VPCZoneIdentifier: subnets.map(({ SubnetId }) => SubnetId).join(','),
      ...(targets === undefined ? {} : { TargetGroupARNs: [targets], HealthCheckType: 'ELB' }),
      HealthCheckGracePeriod: 120,
      Tags: [{ ...OWN_TAG, PropagateAtLaunch: false }],
    }),
  );
  return id;
}

/** In zones that have the type; a load balancer needs two. */
async function twoSubnets({ ec2 }: Cloud): Promise<readonly Subnet[]> {
  const Filters = [{ Name: 'instance-type', Values: [TYPE] }];
  const { InstanceTypeOfferings = [] } = await ec2.send(
    new DescribeInstanceTypeOfferingsCommand({ LocationType: 'availability-zone', Filters }),
  );
  const zones = InstanceTypeOfferings.map(({ Location }) => Location);
  const { Subnets = [] } = await ec2.send(new DescribeSubnetsCommand({ Filters: [{ Name: 'default-for-az', Values: ['true'] }] }));
  return Subnets.filter(({ AvailabilityZone }) => zones.includes(AvailabilityZone)).slice(0, 2);
}

/** Lets its members reach the service, and no one else. */
async function createSecurityGroup({ ec2 }: Cloud, [subnet]: readonly Subnet[]): Promise<string> {
  const { GroupId = '' } = await ec2.send(
    new CreateSecurityGroupCommand({
      ...{ GroupName: NAME, Description: 'Acceptance suite of ami-action', VpcId: subnet?.VpcId },
      TagSpecifications: own('security-group'),
    }),
  );
  await ec2.send(
    new AuthorizeSecurityGroupIngressCommand({
      GroupId,
      IpPermissions: [{ IpProtocol: 'tcp', FromPort: 8080, ToPort: 8080, UserIdGroupPairs: [{ GroupId }] }],
    }),
  );
  return GroupId;
}

/** Behind an internal load balancer: without a listener a target group runs no health checks. */
async function createTargetGroup({ balancing }: Cloud, subnets: readonly Subnet[], firewall: string): Promise<string> {
  const { TargetGroups: [target] = [] } = await balancing.send(
    new CreateTargetGroupCommand({
      ...{ Name: NAME, Protocol: 'HTTP', Port: 8080, VpcId: subnets[0]?.VpcId, HealthCheckPath: '/health', Tags: [OWN_TAG] },
      ...{ HealthCheckIntervalSeconds: 10, HealthyThresholdCount: 2, UnhealthyThresholdCount: 2 },
    }),
  );
  const TargetGroupArn = target?.TargetGroupArn ?? '';
  const quick = { Key: 'deregistration_delay.timeout_seconds', Value: '10' };
  await balancing.send(new ModifyTargetGroupAttributesCommand({ TargetGroupArn, Attributes: [quick] }));
  const { LoadBalancers: [balancer] = [] } = await balancing.send(
    new CreateLoadBalancerCommand({
      ...{ Name: NAME, Scheme: 'internal', Subnets: subnets.flatMap(({ SubnetId = [] }) => SubnetId) },
      ...{ SecurityGroups: [firewall], Tags: [OWN_TAG] },
    }),
  );
  await balancing.send(
    new CreateListenerCommand({
      ...{ LoadBalancerArn: balancer?.LoadBalancerArn, Protocol: 'HTTP', Port: 80 },
      DefaultActions: [{ Type: 'forward', TargetGroupArn }],
    }),
  );
  return TargetGroupArn;
}

/** The images that the instances in service were launched from, by the answer of EC2. */
export async function imagesInService({ autoScaling, ec2 }: Cloud): Promise<readonly string[]> {
  const { AutoScalingGroups: [group] = [] } = await autoScaling.send(
    new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [NAME] }),
  );
  const ids = (group?.Instances ?? []).flatMap(({ InstanceId, LifecycleState }) =>
    LifecycleState === 'InService' && InstanceId !== undefined ? [InstanceId] : [],
  );
  if (ids.length === 0) return [];
  const { Reservations = [] } = await ec2.send(new DescribeInstancesCommand({ InstanceIds: ids }));
  return Reservations.flatMap(({ Instances = [] }) => Instances.map(({ ImageId = '' }) => ImageId));
}
