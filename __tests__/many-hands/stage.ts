import {
  CreateOrUpdateTagsCommand,
  DeleteAutoScalingGroupCommand,
  SetDesiredCapacityCommand,
  StartInstanceRefreshCommand,
} from '@aws-sdk/client-auto-scaling';
import { RunInstancesCommand, TerminateInstancesCommand } from '@aws-sdk/client-ec2';
import { DeleteParameterCommand, PutParameterCommand } from '@aws-sdk/client-ssm';
import { groups, inService } from '../../lab/autoscaling/group.ts';
import type { Group } from '../../lab/autoscaling/state.ts';
import { POINTER, type RollLab, rollLab } from '../dist/roll-lab.ts';
import type { Letter, OutsideHand, Story } from './story.ts';

/** The environment of a story in the lab, its neighbours, and what people and other tools do to it. */

export interface Stage {
  readonly l: RollLab;
  readonly images: Readonly<Record<Letter, string>>;
  /** The launch template of each group. */
  readonly templates: Readonly<Record<string, string>>;
  /** Groups of others. */
  readonly neighbours: readonly string[];
  /** An instance without a group. */
  readonly loose: string;
  groupNow(name: string): Group | undefined;
  act(hand: OutsideHand): Promise<void>;
}

export async function stageOf(story: Story): Promise<Stage> {
  const l = await rollLab({ speed: 1, timings: { forget: 600 } });
  const images = { a: l.image('web-a'), b: l.image('web-b'), c: l.image('web-c') };
  const edge = l.image('edge-a', { 'ami-action:family': 'edge' });
  if (story.sick !== undefined) l.sick.add(images[story.sick]);
  if (story.hasPointer || story.groups.some(({ name }) => name === 'reads')) await l.pointerTo(images.a);
  const templates: Record<string, string> = { edge: await l.template('edge', { ImageId: edge }) };
  for (const { name, min, desired, maintenance } of story.groups) {
    const id = await l.template(name, { ImageId: name === 'reads' ? `resolve:ssm:${POINTER}` : images.a });
    templates[name] = id;
    const launch = { LaunchTemplateId: id, Version: name === 'api' ? '$Latest' : '1' };
    const policy = maintenance === undefined ? {} : { InstanceMaintenancePolicy: maintenance };
    await l.group(name, launch, { MinSize: min, MaxSize: 6, DesiredCapacity: desired, ...policy });
  }
  const neighbours = ['edge', 'batch', ...(story.foreignTwin ? ['web-green'] : [])];
  const plain = { TargetGroupARNs: [], HealthCheckType: 'EC2', DesiredCapacity: 1, MinSize: 1 };
  for (const name of neighbours) {
    // One more user of the template of a named group, pinned to its version.
    const shared = name === 'batch' && story.groups[0]?.name !== 'reads' ? templates[story.groups[0]?.name ?? ''] : undefined;
    await l.group(name, { LaunchTemplateId: shared ?? templates['edge'], Version: '1' }, plain);
  }
  const run = await l.cloud.ec2.send(new RunInstancesCommand({ ImageId: images.a, InstanceType: 't3.micro', MinCount: 1, MaxCount: 1 }));
  const groupNow = (name: string) => groups(l.place).get(name);
  const stage = { l, images, templates, neighbours, foreignTwin: story.foreignTwin, loose: run.Instances?.[0]?.InstanceId ?? '', groupNow };
  return { ...stage, act: hand => act(hand, stage) };
}

type Acting = Pick<Stage, 'l' | 'images' | 'groupNow'> & Pick<Story, 'foreignTwin'>;

/** AWS may refuse it. */
async function act(hand: OutsideHand, { l, images, groupNow, foreignTwin }: Acting): Promise<void> {
  const { autoScaling, ec2, ssm } = l.cloud;
  switch (hand.kind) {
    case 'person refreshes': {
      const Preferences = { MinHealthyPercentage: 0, InstanceWarmup: 0 };
      await autoScaling.send(new StartInstanceRefreshCommand({ AutoScalingGroupName: hand.group, Preferences }));
      return;
    }
    case 'Terraform applies': {
      await l.relaunch(hand.group, hand.group === 'api' ? '$Latest' : '1');
      const tag = {
        ResourceId: hand.group,
        ResourceType: 'auto-scaling-group',
        Key: 'managed-by',
        Value: 'terraform',
        PropagateAtLaunch: false,
      };
      await autoScaling.send(new CreateOrUpdateTagsCommand({ Tags: [tag] }));
      return;
    }
    case 'scale': {
      const { desired = 0, min = 0, max = 0 } = groupNow(hand.group) ?? {};
      const DesiredCapacity = Math.min(max, Math.max(min, desired + hand.by));
      await autoScaling.send(new SetDesiredCapacityCommand({ AutoScalingGroupName: hand.group, DesiredCapacity }));
      return;
    }
    case 'group deleted':
      await autoScaling.send(new DeleteAutoScalingGroupCommand({ AutoScalingGroupName: hand.group, ForceDelete: true }));
      return;
    case 'instance dies': {
      const all = [hand.group, ...(foreignTwin ? [] : [`${hand.group}-green`])].flatMap(name => groupNow(name) ?? []).flatMap(inService);
      const victim = all[hand.which % Math.max(1, all.length)];
      if (victim !== undefined) await ec2.send(new TerminateInstancesCommand({ InstanceIds: [victim.id] }));
      return;
    }
    case 'parameter written': {
      const written = { Name: POINTER, Value: images[hand.image], Type: 'String', DataType: 'aws:ec2:image', Overwrite: true } as const;
      await ssm.send(new PutParameterCommand(written));
      return;
    }
    case 'parameter deleted':
      await ssm.send(new DeleteParameterCommand({ Name: POINTER }));
  }
}
