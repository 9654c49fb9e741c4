import { formatTemplateUse, type Group, isOver, type TemplateUse, useKey, usesOf } from '../../model/group.ts';
import type { Architecture, Image } from '../../model/image.ts';
import { isParameterReference } from '../../model/patterns.ts';
import { capacityRefusals, copyRefusals } from './capacity.ts';
import { configurationRefusals } from './conversion.ts';
import type { GroupFacts, LaunchedBy, PlanOptions } from './facts.ts';
import { type Blocker, type GroupAction, isOurs, readsPointer } from './group-action.ts';
import { greenGroupName, isPermanent, launcherOf, SUCCESSOR_OF, strandedRefusals, turnRefusals } from './group-pair.ts';
import { ownerRefusals, stackOf } from './ownership.ts';
import { shiftRefusals } from './shift.ts';
import { protectedOf, standbyOf } from './warnings.ts';

/** Why a group is not rolled out, each with the fix. All are reported together, before the first write. */

export type RefusalOptions = Pick<
  PlanOptions,
  | ('image' | 'operation' | 'pointer' | 'strategy' | 'launchConfigurations')
  | ('protectedInstances' | 'standbyInstances' | 'alarms' | 'batchSize')
> & {
  readonly action: GroupAction;
  readonly by: LaunchedBy;
  readonly blocker: Blocker | undefined;
  /** IDs of the launch templates that get a new version. */
  readonly makes: ReadonlySet<string>;
};

// Without Launch and Terminate a refresh cannot replace; without the health processes it misses a bad instance;
// without AddToLoadBalancer new instances get no traffic.
// https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-suspend-resume-processes.html
const NEEDED_PROCESSES = ['Launch', 'Terminate', 'HealthCheck', 'ReplaceUnhealthy'];
const isNeeded = (process: string, { targetGroups, balancers = [], healthCheck }: Group, action: GroupAction): boolean =>
  NEEDED_PROCESSES.includes(process) ||
  (process === 'InstanceRefresh' && action !== 'swap') ||
  (process === 'AddToLoadBalancer' && (targetGroups.length + balancers.length > 0 || healthCheck.includes('ELB')));

const missingVersion = (use: TemplateUse): string =>
  `launch template version ${formatTemplateUse(use)} does not exist, so the group can launch nothing`;

/** Of a group that is up to date. */
export const idleRefusals = (facts: GroupFacts): string[] => {
  const missing = usesOf(facts.group.launch).flatMap(use => (facts.versions.has(useKey(use)) ? [] : [missingVersion(use)]));
  return [...missing, ...strandedRefusals(facts)].map(problem => `${facts.group.name}: ${problem}`);
};

export function refusalsOf(facts: GroupFacts, options: RefusalOptions): string[] {
  const { group } = facts;
  const deleted = [group, launcherOf(facts)].find(({ beingDeleted }) => beingDeleted);
  if (deleted !== undefined) return [`${deleted.name} is being deleted: remove it from "groups"`];
  const deletes = options.action === 'swap' && facts.idle === undefined;
  // A rollback may have to undo what an earlier version of the action did.
  const pins = options.by === 'version' && options.operation === 'promote';
  const problems = [
    ...[...new Set([group, launcherOf(facts)])].flatMap(each => ownerRefusals(each, { deletes, pins })),
    ...configurationRefusals(launcherOf(facts), facts.configuration, facts.imageSnapshots, options),
    ...(options.action === 'swap' ? [...turnRefusals(facts), ...shiftRefusals(facts, options)] : []),
    ...capacityRefusals(facts, options),
    ...templateRefusals(facts, options),
    ...architectureRefusals(facts, options.image),
    ...pairRefusals(facts, options),
    ...strandedRefusals(facts),
    ...(options.action === 'swap' && facts.idle === undefined ? copyRefusals(facts) : []),
    ...(options.action === 'template' ? [] : instanceRefusals(facts, options)),
    ...foreignRefusals(facts, options),
    ...latestUserRefusals(facts, options.makes),
    ...(options.action === 'refresh' ? alarmRefusals(facts, options.alarms) : []),
  ];
  return [...new Set(problems)].map(problem => `${group.name}: ${problem}`);
}

function pairRefusals({ group, successor, nameTaken }: GroupFacts, { action, image, blocker, strategy, by }: RefusalOptions): string[] {
  const isOther =
    successor !== undefined &&
    blocker?.kind !== 'successor' &&
    (successor.imageId !== image.id || strategy !== (isPermanent(successor.group) ? 'two-groups' : 'blue-green'));
  return [
    isOther &&
      `green group ${successor.group.name} exists with ${successor.imageId ?? 'an unknown image'}: promote that image with "strategy: ${isPermanent(successor.group) ? 'two-groups' : 'blue-green'}" to finish, or run mode "rollback" to ${isPermanent(successor.group) ? 'empty' : 'remove'} the group`,
    action === 'swap' &&
      nameTaken &&
      `group ${greenGroupName(group.name)} exists, and is not its green group (tag ${SUCCESSOR_OF}): delete or rename it, or set "strategy: rolling"`,
    action === 'swap' &&
      by === 'pointer' &&
      'the launch template reads the pointer, so both groups would launch the same image: set "parameter-templates: pin"',
  ].filter(refusal => refusal !== false);
}

function templateRefusals(facts: GroupFacts, { action, by, blocker, pointer }: RefusalOptions): string[] {
  const { versions, imageSnapshots } = facts;
  const { launch } = launcherOf(facts);
  const mayRead = by === 'pointer' || blocker?.kind === 'parameter';
  const { overrides, unknown = [] } = launch.kind === 'mixed' ? launch : { overrides: [] };
  const ofUse = (use: TemplateUse): string[] => {
    const version = versions.get(useKey(use));
    if (version === undefined) return [missingVersion(use)];
    const { imageId, snapshotIds } = version;
    return [
      ...(!mayRead && isParameterReference(imageId) ? [parameterRefusal(use, imageId, pointer.name)] : []),
      ...(imageId === '' ? [`${formatTemplateUse(use)} names no image: set an image ID in the launch template`] : []),
      ...(action === 'watch' ? [] : snapshotIds.filter(id => !imageSnapshots.has(id)).map(snapshotRefusal)),
    ];
  };
  return [
    ...usesOf(launch).flatMap(ofUse),
    ...unknown.map(
      path => `AWS shows ${path}, which this version of ami-action does not know and a rollout would remove: update ami-action`,
    ),
    ...overrides
      .filter(({ imageId }) => imageId !== undefined)
      .map(
        ({ instanceType, imageId }) =>
          `override ${instanceType ?? 'by instance requirements'} names its own image ${imageId}: remove it from the mixed instances policy`,
      ),
  ];
}

// https://docs.aws.amazon.com/autoscaling/ec2/userguide/instance-refresh-rollback.html
const parameterRefusal = (use: TemplateUse, imageId: string, pointer: string) =>
  `${formatTemplateUse(use)} reads its image from a parameter (${imageId}), and AWS cannot roll such a group back. ` +
  'Set "parameter-templates: pin" (the group gets a version with the current image ID)' +
  (readsPointer(imageId, pointer)
    ? ' or "parameter-templates: follow" (the pointer moves first, and the action reverts the group itself)'
    : '') +
  ', or promote with "strategy: none" and without "groups" (moves the pointer only)';

// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateLaunchTemplateVersion.html (SourceVersion)
const snapshotRefusal = (id: string) =>
  `the launch template creates a volume from ${id}, which AWS does not copy to a new version: put the volume into the image`;

function architectureRefusals(facts: GroupFacts, image: Image): string[] {
  return typesOf(facts).flatMap(type => {
    if (!facts.architectures.has(type)) return [];
    const supported = facts.architectures.get(type);
    if (supported === undefined) return [`instance type ${type} does not exist in this region`];
    return supported.includes(image.architecture) ? [] : [wrongArchitecture(type, supported, image)];
  });
}

const wrongArchitecture = (type: string, supported: readonly Architecture[], image: Image) =>
  `instance type ${type} is ${supported.join(' or ')}, but ${image.id} is ${image.architecture}: select an image with "architecture", or remove the type from the group`;

/** Every instance type that the group may launch, as far as it names them. */
export function typesOf(facts: Pick<GroupFacts, 'group' | 'idle' | 'versions' | 'configuration'>): readonly string[] {
  const { versions } = facts;
  const { launch } = launcherOf(facts);
  if (launch.kind === 'configuration') return [facts.configuration?.now.instanceType ?? []].flat();
  const typeOf = (use: TemplateUse) => versions.get(useKey(use))?.instanceType;
  const overrides = launch.kind === 'mixed' ? launch.overrides : [];
  const types =
    overrides.length === 0
      ? [typeOf(launch.template)]
      : overrides.map(({ instanceType, template }) => instanceType ?? (template && typeOf(template)));
  return [...new Set(types.filter(type => type !== undefined))];
}

function instanceRefusals(facts: GroupFacts, options: RefusalOptions): string[] {
  const { group } = facts;
  const { suspended: all, name } = launcherOf(facts);
  const suspended = all.filter(process => isNeeded(process, group, options.action));
  const [shielded, standby] = options.action === 'swap' ? [[], []] : [protectedOf(group), standbyOf(group)];
  return [
    suspended.length > 0 &&
      `${suspended.join(' and ')} ${suspended.length === 1 ? 'is' : 'are'} suspended, so a rollout would hang, miss an unhealthy instance or leave new ones without traffic. Run: aws autoscaling resume-processes --auto-scaling-group-name ${name}`,
    options.protectedInstances === undefined &&
      shielded.length > 0 &&
      `${shielded.join(', ')} ${areIs(shielded)} protected from scale-in; AWS would wait an hour and then fail. Set "protected-instances" to refresh (replace), ignore (keep the image) or wait`,
    options.standbyInstances === undefined &&
      standby.length > 0 &&
      `${standby.join(', ')} ${areIs(standby)} in standby; AWS would wait an hour and then fail. Set "standby-instances" to terminate, ignore (keep the image) or wait`,
  ].filter(refusal => refusal !== false);
}

/** Also where no instance is replaced: AWS changes no launch template while a refresh is in progress, and two rollouts would meet. */
function foreignRefusals(facts: GroupFacts, { action, blocker, pointer }: RefusalOptions): string[] {
  const { group, active: foreign } = facts;
  if (action === 'watch' || blocker?.kind === 'refresh' || foreign === undefined || isOver(foreign)) return [];
  return [
    `refresh ${foreign.id} (${isOurs(facts, pointer) ? 'of an earlier run' : 'not started by ami-action'}) is ${foreign.status} (${foreign.percent} %, to ${foreign.desired === undefined ? 'what the group launches' : usesOf(foreign.desired).map(formatTemplateUse).join(', ')}): wait for its end, or set "foreign-refresh" to ${stackOf(group) === undefined ? 'wait or supersede' : `wait: to end it would fail CloudFormation stack ${stackOf(group)}`}`,
  ];
}

const areIs = (instances: readonly string[]): string => (instances.length === 1 ? 'is' : 'are');

const latestUserRefusals = ({ latestUsers }: GroupFacts, makes: ReadonlySet<string>): string[] =>
  [...latestUsers]
    .filter(([templateId]) => makes.has(templateId))
    .map(([, groups]) => {
      const [verb, them] = groups.length === 1 ? ['launches', 'it'] : ['launch', 'them'];
      return `${groups.join(', ')} ${verb} from $Latest of the same launch template and would get the new version at once: pin ${them} to a version number, or add ${them} to "groups"`;
    });

// https://docs.aws.amazon.com/autoscaling/ec2/userguide/instance-refresh-overview.html
const alarmRefusals = ({ alarms }: GroupFacts, names: RefusalOptions['alarms'] = []): string[] =>
  names.flatMap(name => {
    const state = alarms.get(name);
    if (state === 'OK') return [];
    return state === undefined
      ? [`alarm "${name}" does not exist: remove it from "alarms", or create it`]
      : [`alarm "${name}" is ${state}, and AWS starts no refresh until it is OK: fix its cause, or remove it from "alarms"`];
  });
