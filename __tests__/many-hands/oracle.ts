import { activeRefresh, rollsOut } from '../../lab/autoscaling/refresh.ts';
import type { Group, Member, Recipe, Refresh } from '../../lab/autoscaling/state.ts';
import type { CallRecord } from '../../lab/calls.ts';
import { templates } from '../../lab/ec2/launch-template-state.ts';
import { instances, tagsOf } from '../../lab/ec2/state.ts';
import { latest, parameters } from '../../lab/ssm/parameter-state.ts';
import { POINTER } from '../dist/roll-lab.ts';
import type { Stage } from './stage.ts';
import type { GroupStory, Story } from './story.ts';

/**
 * Decides whether a run kept its promises. It reads the state of the lab and its call log only, and shares no code with the product:
 * 1. no group, instance, template or parameter outside the named ones is touched;
 * 2. capacity in service never falls below the promised minimum because of us;
 * 3. a green run means that pointer and all instances in service agree;
 * 4. at most one refresh of ours per environment at a time, and none ends that of another run unless a setting or a rollback says so;
 * 5. after one undisturbed run everything has converged.
 * Reads of a run are as old as its last look, so what others changed since is not held against it.
 */

export interface RunFacts {
  readonly id: string;
  readonly mode: 'promote' | 'rollback';
  readonly settings: Readonly<Record<string, string>>;
}

export interface Oracle {
  /** For a call that was carried out although its answer was held back. */
  note(call: CallRecord): void;
  /** Whenever everything waits. */
  look(): void;
  /** When a run ends. */
  ended(run: RunFacts, outputs: Readonly<Record<string, string>>): void;
  /** After the undisturbed run. */
  converged(imageId: string): void;
  neighboursAreUntouched(): void;
  readonly violations: string[];
  /** What was excused because it changed after the last look. */
  excused: number;
  /** Seconds between the last look at a group and the green end, at most. */
  oldestLook: number;
}

const RUN = /:assumed-role\/deploy\/ami-action-(.+)-1$/;
export const runOf = ({ arn }: Pick<CallRecord, 'arn'>): string | undefined => RUN.exec(arn)?.[1];

const SCALE_IN = /difference between desired/;

const READS = /^(Describe|Get|List|AssumeRole)/;
const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const list = (value: unknown): readonly string[] => (Array.isArray(value) ? value.map(text) : []);

interface Loss {
  readonly at: number;
  readonly group: string;
}

export function oracleOf(story: Story, stage: Stage, runs: ReadonlyMap<string, RunFacts>): Oracle {
  const { l, groupNow } = stage;
  const { place } = l;
  const clock = l.lab.clock;
  const violations: string[] = [];
  const fail = (rule: number, message: string) => {
    const line = `invariant ${rule}: ${message}`;
    if (!violations.includes(line)) violations.push(line);
  };
  const named = story.groups.map(({ name }) => name as string);
  const twins = new Map(named.map(name => [`${name}-green`, name]));
  /** Green groups that a run of ours created. */
  const ours = new Set<string>();
  const owners = new Map<string, string | undefined>();
  const looks = new Map<string, number>();
  const madeVersions = new Set<string>();
  /** Who last made a group smaller, or deleted it. */
  const shrunkBy = new Map<string, { readonly by: string | undefined; readonly from: number }>();
  const members = new Map<string, ReadonlyMap<string, Pick<Member, 'state' | 'health'>>>();
  const sizes = new Map<string, number>();
  const losses: Loss[] = [];
  const neighbours = new Map(stage.neighbours.map(name => [name, fingerprint(groupNow(name))]));
  const oracle: Oracle = { note, look, ended, converged, neighboursAreUntouched, violations, excused: 0, oldestLook: 0 };

  function fingerprint(group: Group | undefined): string {
    if (group === undefined) return 'does not exist';
    const { recipe, min, max, desired, tags, sources, members: all, refreshes, suspended } = group;
    return JSON.stringify([recipe, min, max, desired, tags, sources, [...all.keys()], refreshes.length, [...suspended]]);
  }

  const isMine = (name: string): boolean => named.includes(name) || (ours.has(name) && twins.has(name));
  const pairOf = (name: string): readonly Group[] => [name, `${name}-green`].filter(isMine).flatMap(each => groupNow(each) ?? []);
  const pointerNow = () => parameters(place).get(POINTER);
  const served = (group: Group): readonly Member[] =>
    [...group.members.values()].filter(({ state, health }) => state === 'InService' && health === 'Healthy');

  function note(call: CallRecord): void {
    const run = runOf(call);
    const { operation, input } = call;
    const group = text(input['AutoScalingGroupName']);
    if (run !== undefined && READS.test(operation)) noteLook(run, call);
    if (run !== undefined && !READS.test(operation)) checkTarget(run, call);
    if (operation === 'StartInstanceRefresh') noteStart(run, group);
    if (operation === 'CancelInstanceRefresh' || operation === 'RollbackInstanceRefresh') checkEnding(run, group);
    const shrinks = operation === 'DeleteAutoScalingGroup' || input['DesiredCapacity'] !== undefined;
    if (shrinks) shrunkBy.set(group, { by: run, from: sizes.get(group) ?? 0 });
  }

  function noteLook(run: string, { operation, input, at }: CallRecord): void {
    const readsPointer = /^GetParameter(s|History)?$/.test(operation) && [input['Name'], ...list(input['Names'])].includes(POINTER);
    if (readsPointer) looks.set(`${run} pointer`, at);
    if (operation !== 'DescribeAutoScalingGroups') return;
    const asked = list(input['AutoScalingGroupNames']);
    for (const name of asked.length === 0 ? [...named, ...twins.keys()] : asked) looks.set(`${run} ${name}`, at);
  }

  function checkTarget(run: string, { operation, service, input, number }: CallRecord): void {
    const wrong = (what: string) => fail(1, `run ${run} touched ${what} by ${service}:${operation} (call ${number})`);
    if (service === 'autoscaling') {
      const tagged = (input['Tags'] as readonly { ResourceId?: string }[] | undefined)?.map(({ ResourceId }) => text(ResourceId)) ?? [];
      const name = text(input['AutoScalingGroupName']);
      if (operation === 'CreateAutoScalingGroup') {
        if (twins.has(name)) ours.add(name);
        else if (!named.includes(name)) wrong(`group ${name}`);
        else ours.add(name);
        return;
      }
      for (const each of name === '' ? tagged : [name]) if (!isMine(each)) wrong(`group ${each}`);
    } else if (service === 'ssm') {
      const name = text(input['Name']);
      if (name !== POINTER && name !== `${POINTER}/candidate`) wrong(`parameter ${name}`);
    } else checkEc2(operation, input, wrong);
  }

  function checkEc2(operation: string, input: CallRecord['input'], wrong: (what: string) => void): void {
    const template = text(input['LaunchTemplateId']);
    const isOurTemplate = named.some(name => stage.templates[name] === template);
    if (operation === 'CreateLaunchTemplateVersion') {
      if (!isOurTemplate) wrong(`template ${template}`);
      const made = templates(place).get(template)?.lastNumber;
      madeVersions.add(`${template}:${made}`);
    } else if (operation === 'DeleteLaunchTemplateVersions') {
      for (const version of list(input['Versions'])) if (!madeVersions.has(`${template}:${version}`)) wrong(`${template}:${version}`);
    } else if (operation === 'CreateTags' || operation === 'DeleteTags') {
      const own = new Set(Object.values(stage.images));
      for (const id of list(input['Resources'])) if (!own.has(id)) wrong(id);
    } else wrong('something');
  }

  function noteStart(run: string | undefined, group: string): void {
    const [newest] = groupNow(group)?.refreshes ?? [];
    if (newest !== undefined) owners.set(newest.id, run);
  }

  /** The call was carried out, so the refresh is rolling back or being cancelled. */
  function checkEnding(run: string | undefined, group: string): void {
    const found = groupNow(group);
    const refresh = found && activeRefresh(found);
    const by = run === undefined ? undefined : runs.get(run);
    if (by === undefined || refresh === undefined) return;
    const owner = owners.get(refresh.id);
    if (owner === run || by.settings['foreign-refresh'] === 'supersede') return;
    if (owner !== undefined && by.mode === 'rollback') return;
    // The same refresh continued: a run that watches it reverts it when it fails.
    if (owner !== undefined && sameTarget(runs.get(owner), by)) return;
    fail(4, `run ${run} ended refresh ${refresh.id} of ${group}, which ${owner === undefined ? 'a person' : `run ${owner}`} had started`);
  }

  const sameTarget = (a: RunFacts | undefined, b: RunFacts): boolean => aimOf(a) === aimOf(b);

  function look(): void {
    for (const name of [...named, ...twins.keys()]) lookAt(name);
    checkOneRefresh();
  }

  function lookAt(name: string): void {
    const before = members.get(name);
    const group = groupNow(name);
    const now = new Map([...(group?.members ?? [])].map(([id, { state, health }]) => [id, { state, health }]));
    members.set(name, now);
    const size = sizes.get(name);
    sizes.set(name, group?.desired ?? 0);
    if (before === undefined) return;
    const gone = [...before].filter(([id, { state }]) => state === 'InService' && now.get(id)?.state !== 'InService');
    if (!isMine(name)) return;
    const removed = gone.map(([id, { health }]) => ({ health, cause: causeOf(group, id) }));
    const scaledIn = removed.filter(({ health, cause }) => health === 'Healthy' && SCALE_IN.test(cause)).length;
    const byOthers = shrunkBy.get(name)?.by === undefined ? scaledIn : 0;
    for (const { health, cause } of removed) judgeLoss(name, cause, health, size ?? 0, byOthers);
  }

  const causeOf = (group: Group | undefined, id: string): string =>
    group?.activities.findLast(({ Description = '' }) => Description.startsWith(`Terminating EC2 instance: ${id}`))?.Cause ?? '';

  /** `byOthers`: how many instances AWS took out in the same moment because a person scaled in. */
  function judgeLoss(name: string, cause: string, health: string, sizeBefore: number, byOthers: number): void {
    const group = groupNow(name);
    const refresh = /instance refresh/.test(cause) ? group?.refreshes[0] : undefined;
    if (refresh !== undefined) {
      const owner = owners.get(refresh.id);
      if (owner !== undefined && health === 'Healthy') judgeRefresh(group as Group, refresh, owner, byOthers);
      if (owner === undefined) losses.push({ at: clock.now(), group: name });
      return;
    }
    const bySize = SCALE_IN.test(cause) || /deletion of the Auto Scaling group/.test(cause) || group === undefined;
    const shrunk = bySize ? shrunkBy.get(name) : undefined;
    if (shrunk?.by === undefined) losses.push({ at: clock.now(), group: name });
    // Scale-in ends at the desired capacity, so only a smaller one takes capacity away.
    else if (group === undefined || group.deleting || group.desired < Math.max(sizeBefore, shrunk.from))
      judgeRemoval(name, shrunk.by, shrunk.from);
  }

  /** What the settings of the run, or else the group's own policy, or else the documented default promise. */
  function promised({ desired, maintenance }: Group, run: string): number {
    const set = runs.get(run)?.settings['min-healthy'];
    const percent = set === undefined ? (maintenance?.MinHealthyPercentage ?? 100) : Number(set);
    // AWS replaces one at a time where the percentage leaves no room.
    return percent >= 100 ? desired : Math.min(Math.ceil((desired * percent) / 100), desired - 1);
  }

  // AWS picks any instance in service for a scale-in, also while others are pending:
  // https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-termination-policies.html
  function judgeRefresh(group: Group, refresh: Refresh, owner: string, byOthers: number): void {
    const left = served(group).length + byOthers;
    const least = promised(group, owner);
    if (left < least)
      fail(2, `refresh ${refresh.id} of run ${owner} left ${left} of ${least} promised instances of ${group.name} in service`);
  }

  /** Blue-green: the other group of the pair must carry the load. */
  function judgeRemoval(name: string, run: string, from: number): void {
    const base = twins.get(name) ?? name;
    const other = [base, `${base}-green`].find(each => each !== name) ?? '';
    const rest = groupNow(other);
    const self = groupNow(name);
    const isGreen = self?.tags.some(({ Key, Value }) => Key === 'ami-action:successor-of' && Value === other) ?? false;
    const needed = isGreen ? Math.min(1, rest?.desired ?? 1) : from;
    const left = rest === undefined ? 0 : served(rest).length;
    if (left >= needed) return;
    const since = looks.get(`${run} ${other}`) ?? 0;
    const lost = losses.filter(loss => loss.group === other && loss.at >= since).length;
    if (left + lost >= needed || (rest === undefined && losses.some(loss => loss.group === other))) oracle.excused += 1;
    else fail(2, `run ${run} emptied ${name} while ${left} of ${needed} instances of ${other} were in service`);
  }

  /** Rollouts of two runs at once would fight, even if each group has only one refresh. */
  function checkOneRefresh(): void {
    const active = named.flatMap(pairOf).flatMap(group => {
      const refresh = activeRefresh(group);
      const owner = refresh && owners.get(refresh.id);
      return refresh === undefined || owner === undefined || !rollsOut(refresh) ? [] : [{ group, refresh, owner }];
    });
    const aims = new Set(active.map(({ group, refresh }) => launchedBy(refresh.desired ?? group.recipe)));
    const all = active.map(({ group, owner }) => `${group.name} (run ${owner})`).join(' and ');
    if (aims.size > 1 && new Set(active.map(({ owner }) => owner)).size > 1)
      fail(4, `refreshes of ${all} are in progress at once, to ${[...aims].join(' and ')}`);
  }

  const aimOf = (run: RunFacts | undefined): string => (run?.mode === 'promote' ? (run.settings['image'] ?? '') : `rollback ${run?.id}`);

  function ended(run: RunFacts, { outcome, 'ami-id': image }: Readonly<Record<string, string>>): void {
    if (outcome === 'bug') fail(0, `run ${run.id} ended as a bug`);
    if (outcome !== 'done' && outcome !== 'unchanged') return;
    const pointer = pointerNow();
    const value = pointer && latest(pointer).value;
    const since = (of: string) => looks.get(`${run.id} ${of}`) ?? 0;
    if (value !== image) {
      const writtenAt = pointer === undefined ? Number.POSITIVE_INFINITY : latest(pointer).writtenAt.getTime();
      if (writtenAt >= since('pointer')) oracle.excused += 1;
      else fail(3, `run ${run.id} is green with ${image}, and the pointer names ${value}`);
    }
    for (const group of named.flatMap(pairOf).filter(({ deleting }) => !deleting)) checkInstances(run, group, image, since(group.name));
  }

  function checkInstances(run: RunFacts, group: Group, image: string | undefined, since: number): void {
    oracle.oldestLook = Math.max(oracle.oldestLook, (clock.now() - since) / 1000);
    for (const member of group.members.values()) {
      if (member.state !== 'InService' || member.imageId === image) continue;
      if ((member.inServiceAt ?? 0) >= since) oracle.excused += 1;
      else fail(3, `run ${run.id} is green with ${image}, and ${member.id} of ${group.name} runs ${member.imageId}`);
    }
  }

  function converged(imageId: string): void {
    const pointer = pointerNow();
    if (pointer === undefined || latest(pointer).value !== imageId)
      fail(5, `the pointer names ${pointer && latest(pointer).value}, not ${imageId}`);
    if (parameters(place).has(`${POINTER}/candidate`)) fail(5, 'the candidate exists');
    for (const group of story.groups) checkGroup(group, imageId);
  }

  function checkGroup({ name, min }: GroupStory, imageId: string): void {
    const all = pairOf(name);
    const [group] = all;
    if (group === undefined) return;
    if (all.length > 1) fail(5, `${all.map(each => each.name).join(' and ')} both exist`);
    const wrong = [...group.members.values()].filter(({ state, imageId: runs }) => state === 'InService' && runs !== imageId);
    if (wrong.length > 0) fail(5, `${wrong.length} instances of ${group.name} run another image`);
    if (served(group).length !== group.desired)
      fail(5, `${group.name} has ${served(group).length} of ${group.desired} instances in service`);
    if (launchedBy(group.recipe) !== imageId) fail(5, `${group.name} launches ${launchedBy(group.recipe)}`);
    if (group.min !== min || group.max !== 6) fail(5, `${group.name} has sizes ${group.min} to ${group.max}, not ${min} to 6`);
    if (activeRefresh(group) !== undefined) fail(5, `${group.name} has a refresh in progress`);
    if (group.suspended.size > 0) fail(5, `${group.name} has suspended processes`);
    const left = group.tags.filter(({ Key = '' }) => /successor-of|proven|held-min/.test(Key));
    if (left.length > 0) fail(5, `${group.name} has the tag ${left[0]?.Key}`);
  }

  function launchedBy({ LaunchTemplate }: Pick<Recipe, 'LaunchTemplate'>): string | undefined {
    const { LaunchTemplateId = '', Version = '$Default' } = LaunchTemplate ?? {};
    const template = templates(place).get(LaunchTemplateId);
    const number =
      Version === '$Latest'
        ? Math.max(...(template?.versions.keys() ?? []))
        : Number(Version === '$Default' ? template?.defaultVersion : Version);
    const image = template?.versions.get(number)?.data.ImageId;
    const pointer = pointerNow();
    return image?.startsWith('resolve:ssm:') ? pointer && latest(pointer).value : image;
  }

  function neighboursAreUntouched(): void {
    for (const [name, before] of neighbours) if (fingerprint(groupNow(name)) !== before) fail(1, `group ${name} changed`);
    if (instances(place).get(stage.loose)?.state !== 'running') fail(1, `instance ${stage.loose} does not run`);
    if (Object.keys(tagsOf(place, stage.loose)).length > 0) fail(1, `instance ${stage.loose} has tags`);
  }

  look();
  return oracle;
}
