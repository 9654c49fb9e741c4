import { formatTemplateUse, type Group, isOver, type TemplateUse, useKey, usesOf } from '../../model/group.ts';
import type { Architecture, Image } from '../../model/image.ts';
import { isParameterReference } from '../../model/patterns.ts';
import type { GroupFacts, PlanOptions } from './facts.ts';
import { type Blocker, type GroupAction, isOurs, reads } from './group-action.ts';

/** Why a group is not rolled, each with the remedy. All are told at once, before the first write. */

export interface RefusalOptions {
  readonly image: Image;
  readonly action: GroupAction;
  readonly by: 'version' | 'pointer';
  readonly pointer: PlanOptions['pointer'];
  readonly blocker: Blocker | undefined;
  readonly strategy: 'rolling' | 'blue-green' | 'none';
  /** IDs of the launch templates that get a new version. */
  readonly makes: ReadonlySet<string>;
  readonly protectedInstances?: 'refresh' | 'ignore' | 'wait' | undefined;
  readonly standbyInstances?: 'terminate' | 'ignore' | 'wait' | undefined;
}

// A refresh cannot replace without the first two, and cannot see a bad instance without the others; without the last one
// behind a load balancer, what it launches gets no traffic.
// https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-suspend-resume-processes.html
const NEEDED_PROCESSES = ['Launch', 'Terminate', 'HealthCheck', 'ReplaceUnhealthy'];
const isNeeded = (process: string, { targetGroups, balancers = [], healthCheck }: Group): boolean =>
  NEEDED_PROCESSES.includes(process) ||
  (process === 'AddToLoadBalancer' && (targetGroups.length + balancers.length > 0 || healthCheck.includes('ELB')));

export function refusalsOf(facts: GroupFacts, wanted: RefusalOptions): string[] {
  const { group } = facts;
  if (group.beingDeleted) return [`${group.name} is being deleted: take it out of "groups"`];
  if (group.launch.kind === 'configuration') return [configuration(group.name, group.launch.name)];
  const problems = [
    ...templateRefusals(facts, wanted),
    ...architectureRefusals(facts, wanted.image),
    ...pairRefusals(facts, wanted),
    ...(wanted.action === 'template' ? [] : instanceRefusals(facts, wanted)),
    ...latestUserRefusals(facts, wanted.makes),
  ];
  return [...new Set(problems)].map(problem => `${group.name}: ${problem}`);
}

const configuration = (group: string, name: string) =>
  `${group} launches from the launch configuration "${name}", whose image cannot be changed, and AWS has stopped taking new ones. ` +
  'Make a launch template from it and set the group to a numbered version: ' +
  'https://docs.aws.amazon.com/autoscaling/ec2/userguide/migrate-to-launch-templates.html';

/** Two groups side by side: by whom, and could there be two at all. */
function pairRefusals({ group, successor, cannotCopy }: GroupFacts, { action, image, blocker, strategy, by }: RefusalOptions): string[] {
  const stranger =
    successor !== undefined && blocker?.kind !== 'successor' && (successor.imageId !== image.id || strategy !== 'blue-green');
  return [
    ...(stranger
      ? [
          `${successor.group.name} stands beside it with ${successor.imageId ?? 'an unknown image'}: promote that one with "strategy: blue-green" to finish, or run "rollback" to drop it`,
        ]
      : []),
    ...(action === 'swap' && by === 'pointer'
      ? ['its template reads the pointer, so both groups would launch the same: say "parameter-templates: pin"']
      : []),
    ...(action === 'swap'
      ? cannotCopy.map(reason => `${reason}, so a second ${group.name} would not be the same: say "strategy: rolling"`)
      : []),
  ];
}

function templateRefusals({ group, versions, imageSnapshots }: GroupFacts, { action, by, blocker, pointer }: RefusalOptions): string[] {
  const readable = by === 'pointer' || blocker?.kind === 'parameter';
  const uses = usesOf(group.launch).map(use => ({ use, version: versions.get(useKey(use)) }));
  const overrides = group.launch.kind === 'mixed' ? group.launch.overrides : [];
  return [
    ...uses
      .filter(({ version }) => version === undefined)
      .map(({ use }) => `launch template version ${formatTemplateUse(use)} does not exist: nothing new can be launched at all`),
    ...uses
      .filter(({ version }) => !readable && isParameterReference(version?.imageId ?? ''))
      .map(({ use, version }) => parameterRefusal(use, version?.imageId ?? '', pointer.name)),
    ...uses
      .filter(({ version }) => version?.imageId === '')
      .map(({ use }) => `${formatTemplateUse(use)} names no image: put one into the launch template`),
    ...overrides
      .filter(({ imageId }) => imageId !== undefined)
      .map(
        ({ instanceType, imageId }) =>
          `the override ${instanceType ?? 'by requirements'} names its own image ${imageId}: take it out of the policy`,
      ),
    ...uses
      .flatMap(({ version }) => (action === 'watch' ? [] : (version?.snapshotIds ?? [])))
      .filter(id => !imageSnapshots.has(id))
      .map(snapshotRefusal),
  ];
}

// https://docs.aws.amazon.com/autoscaling/ec2/userguide/instance-refresh-rollback.html
const parameterRefusal = (use: TemplateUse, imageId: string, pointer: string) =>
  `${formatTemplateUse(use)} reads its image from a parameter (${imageId}), and AWS rolls back no group whose template does. ` +
  'Say "parameter-templates: pin" (the group gets a version with the image that this means now, and is rolled like any other)' +
  (reads(imageId, pointer) ? ' or "follow" (the pointer moves first, and we lead the way back ourselves)' : '') +
  '; or promote with "strategy: none" and without "groups", which moves the pointer and rolls nothing';

// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateLaunchTemplateVersion.html (SourceVersion)
const snapshotRefusal = (id: string) =>
  `the launch template makes a volume from ${id}, and AWS drops snapshots from a version that is made of another: put that volume into the image`;

function architectureRefusals(facts: GroupFacts, image: Image): string[] {
  return typesOf(facts).flatMap(type => {
    if (!facts.architectures.has(type)) return [];
    const able = facts.architectures.get(type);
    if (able === undefined) return [`instance type ${type} does not exist in this region`];
    return able.includes(image.architecture) ? [] : [wrongArchitecture(type, able, image)];
  });
}

const wrongArchitecture = (type: string, able: readonly Architecture[], image: Image) =>
  `${type} runs ${able.join(' or ')}, and ${image.id} is for ${image.architecture}: choose an image with "architecture", or take the type out of the group`;

/** Every instance type that the group may launch, as far as it names them. */
export function typesOf({ group: { launch }, versions }: Pick<GroupFacts, 'group' | 'versions'>): readonly string[] {
  if (launch.kind === 'configuration') return [];
  const typeOf = (use: TemplateUse) => versions.get(useKey(use))?.instanceType;
  const overrides = launch.kind === 'mixed' ? launch.overrides : [];
  const types =
    overrides.length === 0
      ? [typeOf(launch.template)]
      : overrides.map(({ instanceType, template }) => instanceType ?? (template && typeOf(template)));
  return [...new Set(types.filter(type => type !== undefined))];
}

function instanceRefusals(facts: GroupFacts, wanted: RefusalOptions): string[] {
  const { group, active } = facts;
  const whose = isOurs(facts, wanted.pointer) ? 'which an earlier run of ours began' : 'which is not ours';
  const suspended = group.suspended.filter(process => isNeeded(process, group));
  const swaps = wanted.action === 'swap';
  const shielded = swaps ? [] : group.members.filter(member => member.protected).map(({ id }) => id);
  const standby = swaps ? [] : group.members.filter(({ state }) => state === 'Standby').map(({ id }) => id);
  const untrusted =
    wanted.action !== 'watch' && wanted.blocker?.kind !== 'refresh' && active !== undefined && !isOver(active) ? active : undefined;
  return [
    suspended.length > 0 &&
      `${suspended.join(' and ')} suspended, so a refresh would wait for ever, miss a bad instance or leave new ones without traffic: aws autoscaling resume-processes --auto-scaling-group-name ${group.name}`,
    wanted.protectedInstances === undefined &&
      shielded.length > 0 &&
      `${shielded.join(', ')} protected from scale-in; by itself AWS waits an hour for them and then fails. Say "protected-instances": refresh (replace them), ignore (they keep their image) or wait`,
    wanted.standbyInstances === undefined &&
      standby.length > 0 &&
      `${standby.join(', ')} in standby; by itself AWS waits an hour for them and then fails. Say "standby-instances": terminate, ignore (they keep their image) or wait`,
    untrusted !== undefined &&
      `refresh ${untrusted.id}, ${whose}, is ${untrusted.status} (${untrusted.percent} %, to ${untrusted.desired === undefined ? 'what the group launches' : usesOf(untrusted.desired).map(formatTemplateUse).join(', ')}): wait for it, or say "foreign-refresh": wait or supersede`,
  ].filter(refusal => refusal !== false);
}

const latestUserRefusals = ({ latestUsers }: GroupFacts, makes: ReadonlySet<string>): string[] =>
  [...latestUsers]
    .filter(([templateId]) => makes.has(templateId))
    .map(
      ([, groups]) =>
        `${groups.join(', ')} ${groups.length === 1 ? 'launches' : 'launch'} from $Latest of the same launch template, so a new version would reach ${groups.length === 1 ? 'it' : 'them'} at once: pin ${groups.length === 1 ? 'it' : 'them'} to a number, or roll ${groups.length === 1 ? 'it' : 'them'} too`,
    );
