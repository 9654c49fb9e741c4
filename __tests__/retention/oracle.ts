import type { Image, Snapshot } from '../../src/model/image.ts';
import type { PaperPolicy, PaperUse } from '../paper-account.ts';
import { DAY, HOME, MOVING, NOW, OWN, paperOf, type RandomAccount, REPOSITORY } from './random-account.ts';

/**
 * What should become of each image of a random account. It knows neither adapter nor planner: it asks of each image in turn whether anything could
 * start it tomorrow, by acting out what that thing would do, and whether it would be missed.
 */

const tag = (one: Pick<Image, 'tags'>, key: string): string | undefined => one.tags[`ami-action:${key}`];
/** When it was built: what a copy was tagged with, else its own date. */
const born = (one: Image): number | undefined => {
  const tagged = tag(one, 'created-at');
  return tagged === undefined ? one.createdAt?.getTime() : new Date(tagged).getTime();
};
const daysSince = (at: string | Date) => (NOW - new Date(at).getTime()) / DAY;

export const inFamily = (drawn: RandomAccount): readonly Image[] => drawn.images.filter(one => tag(one, 'family') === 'web');
export const regionOf = (one: Image, drawn: RandomAccount): string => drawn.regions[drawn.images.indexOf(one)] as string;

/** Whether anything in the account could start this very image, stand for it, or make a volume from its snapshot, tomorrow. */
export function couldStart(id: string, drawn: RandomAccount): boolean {
  const account = paperOf(drawn);
  const snapshots = drawn.images.find(one => one.id === id)?.snapshotIds ?? [];
  const means = (spec: string | undefined): string => {
    if (spec === undefined || !spec.startsWith('resolve:ssm:')) return spec ?? '';
    const words = spec.split('parameter/').at(-1)?.replace('resolve:ssm:', '').split(':') ?? [];
    const found = account.parameters.find(({ name }) => name.replace(/^\//, '') === (words[0] ?? '').replace(/^\//, ''));
    const numbered = found?.versions.find((version, n) => words[1] === `${n + 1}` || version.labels.some(label => label === words[1]));
    return (words.length === 1 ? found?.versions[found.versions.length - 1] : numbered)?.value ?? '';
  };
  const starts = (spec: string | undefined) => means(spec).includes(id);
  const fills = (volume: string | undefined) => volume !== undefined && snapshots.includes(volume);
  const version = (said: PaperUse | undefined) => {
    const of = account.templates.find(other => other.id === said?.template);
    if (said === undefined || of === undefined) return undefined;
    const number = said.version === '$Latest' ? Math.max(...of.versions.map(one => one.number)) : Number(said.version);
    const chosen = said.version === undefined || said.version === '$Default' ? of.defaultVersion : number;
    return of.versions.find(one => one.number === chosen);
  };
  const followed = (said: PaperUse | undefined) => starts(version(said)?.image) || fills(version(said)?.volume);
  const mixedStarts = (policy: PaperPolicy | undefined) =>
    policy !== undefined && (followed(policy.uses) || policy.overrides.some(override => followed(override.uses) || starts(override.image)));
  const environments = Object.values(drawn.lives).flatMap(life => (life === undefined ? [] : [life]));
  return (
    account.instances.some(({ image: booted, state }) => booted === id && state !== 'terminated') ||
    account.configurations.some(({ image: named, volume }) => named === id || fills(volume)) ||
    account.groups.some(({ uses, mixed: policy }) => followed(uses) || mixedStarts(policy)) ||
    account.groups.some(
      ({ refresh }) => refresh !== undefined && MOVING.includes(refresh.status) && (followed(refresh.uses) || mixedStarts(refresh.mixed)),
    ) ||
    account.templates.some(
      ({ id: own }) =>
        followed({ template: own, byName: false, version: '$Latest' }) || followed({ template: own, byName: false, version: '$Default' }),
    ) ||
    account.templates.some(({ versions }) =>
      versions.some(
        one =>
          one.number > Math.max(...versions.map(({ number }) => number)) - drawn.templateDepth && (starts(one.image) || fills(one.volume)),
      ),
    ) ||
    account.parameters.some(({ type, versions }) => type !== 'SecureString' && versions.at(-1)?.value.includes(id)) ||
    environments.some(({ stack }) => stack.slice(-1 - drawn.rollbackDepth).includes(id)) ||
    environments.some(({ versions }) =>
      heldLately(
        versions.map(({ value }) => value),
        drawn.rollbackDepth,
      ).includes(id),
    )
  );
}

/** Walks back from the present value until so many others were met. */
function heldLately(values: readonly string[], others: number): readonly string[] {
  const met: string[] = [];
  for (let at = values.length - 2; at >= 0 && met.length < others; at -= 1) {
    const value = values[at] as string;
    if (value !== values[values.length - 1] && !met.includes(value)) met.push(value);
  }
  return met;
}

/** Whether another account could start it. An account that cannot be read could. */
export function couldStartElsewhere(one: Image, drawn: RandomAccount): boolean {
  const { readable, instances, points } = drawn.consumer;
  const shared = drawn.shares[drawn.images.indexOf(one)];
  const boots = instances.some(({ image, state }) => image === one.id && state !== 'terminated');
  return (
    shared === 'organization' || (shared === 'consumer' && (!readable || boots || points === one.id)) || drawn.recipes.includes(one.id)
  );
}

export const untouchable = (one: Image): boolean =>
  one.ownerId !== OWN ||
  one.public ||
  one.protected ||
  one.ownerAlias !== undefined ||
  !['available', 'failed', 'disabled'].includes(one.state) ||
  tag(one, 'family') !== 'web' ||
  tag(one, 'keep') !== undefined;

/** It boots, or would as soon as prune takes back what prune did to it. */
const boots = (one: Image): boolean =>
  one.state === 'available' || (one.state === 'disabled' && isMarked(one) && tag(one, 'marked-at')?.endsWith('disabled') === true);

/** A copy is as young as the moment of copying. */
const isOldEnough = (one: Image, days: number): boolean =>
  [born(one), one.createdAt?.getTime()].every(at => at === undefined || daysSince(new Date(at)) >= days);

/** Not needed in its region: unreferenced, old enough, and with enough newer ones that boot. */
function unneeded(one: Image, drawn: RandomAccount, elsewhere: boolean): boolean {
  const { newestOfPullRequests, launchedWithinDays } = drawn.policy;
  const fromPullRequest = (other: Image) => tag(other, 'ref') !== undefined;
  const wanted = fromPullRequest(one) ? (newestOfPullRequests ?? 0) : drawn.policy.newest;
  // Without a class of the policy, an image of a pull request is kept for a day, passed or not.
  const { passed, youngerThanDays } =
    fromPullRequest(one) && newestOfPullRequests === undefined ? { passed: 0, youngerThanDays: 1 } : drawn.policy;
  const newer = inFamily(drawn).filter(
    other =>
      regionOf(other, drawn) === regionOf(one, drawn) &&
      fromPullRequest(other) === fromPullRequest(one) &&
      other.architecture === one.architecture &&
      boots(other) &&
      (born(other) ?? 0) > (born(one) ?? 0),
  );
  const hasPassed = (other: Image) => tag(other, 'verdict') !== undefined;
  const taken = tag(one, 'reused-at');
  return (
    !untouchable(one) &&
    !couldStart(one.id, drawn) &&
    !(elsewhere && couldStartElsewhere(one, drawn)) &&
    isOldEnough(one, youngerThanDays) &&
    !(born(one) === undefined && (wanted > 0 || passed > 0 || youngerThanDays > 0)) &&
    !(boots(one) && born(one) !== undefined && newer.length < wanted) &&
    !(boots(one) && born(one) !== undefined && hasPassed(one) && newer.filter(hasPassed).length < passed) &&
    !(wanted > 0 && taken !== undefined && daysSince(taken) < Math.max(youngerThanDays, 1)) &&
    !(launchedWithinDays !== undefined && (one.lastLaunchedAt === undefined || daysSince(one.lastLaunchedAt) < launchedWithinDays + 1))
  );
}

/** What was built from one commit for one architecture is one build. */
export const buildOf = (one: Image): string =>
  tag(one, 'commit') === undefined ? one.id : [tag(one, 'commit'), tag(one, 'created-at'), one.architecture].join(' ');

/** Itself and, if its build lies in both regions, all images of that build. */
export function withCopies(one: Image, drawn: RandomAccount): readonly Image[] {
  const sameBuild = inFamily(drawn).filter(other => buildOf(other) === buildOf(one));
  return new Set(sameBuild.map(other => regionOf(other, drawn))).size > 1 ? sameBuild : [one];
}

/** Images of the family that are not needed, with no needed copy and no kept image built from them. `elsewhere`: other accounts count, too. */
export function forgotten(drawn: RandomAccount, { elsewhere = true } = {}): readonly Image[] {
  const staying = new Set(drawn.images.filter(one => !unneeded(one, drawn, elsewhere)));
  for (let before = -1; before !== staying.size; ) {
    before = staying.size;
    for (const one of inFamily(drawn)) {
      const hasChild = [...staying].some(child => tag(child, 'base-ami') === one.id && child !== one);
      const stays = withCopies(one, drawn).some(copy => staying.has(copy)) || (drawn.policy.keepAncestors && hasChild);
      if (stays) staying.add(one);
    }
  }
  return drawn.images.filter(one => !staying.has(one));
}

export const isMarked = (one: Image): boolean => !['', 'yesterday'].includes(tag(one, 'marked-at') ?? '');

export const graceIsOver = (one: Image, { policy: { graceDays } }: RandomAccount): boolean =>
  graceDays === 0 || (isMarked(one) && daysSince(tag(one, 'marked-at')?.split(' ')[0] ?? '') >= graceDays);

/** What prune still has to do to a marked image, while it waits. */
export const isHalfMarked = (one: Image, { policy: { disable } }: RandomAccount): boolean =>
  one.deprecatedAt === undefined || (disable && one.state === 'available');

/** Snapshots that were an image's, and that nothing has, names, restores or launches from any more; the oldest first. */
export function forlorn(drawn: RandomAccount): readonly Snapshot[] {
  const launched = [
    ...drawn.templates.flatMap(template => template.versions.filter(one => isUsed(one.number, template, drawn))),
    ...drawn.configurations,
  ];
  const here = drawn.images.filter(one => regionOf(one, drawn) === HOME);
  return drawn.strays
    .filter(({ tags }) => Object.keys(tags).length === 1 && tags['ami-action:family'] === 'web')
    .filter(({ description }) => !description.startsWith('before'))
    .filter(({ description }) => ![...here.map(({ id }) => id), ...drawn.recycled].some(id => description.endsWith(id)))
    .filter(({ startedAt }) => daysSince(startedAt) >= Math.max(1, drawn.policy.youngerThanDays))
    .filter(({ id }) => !launched.some(({ volume }) => volume === id))
    .sort((a, b) => a.startedAt.getTime() - b.startedAt.getTime() || (a.id < b.id ? -1 : 1));
}

/** Whether anything launches from this version, or could by saying "default" or "latest". */
export function isUsed(number: number, template: RandomAccount['templates'][number], drawn: RandomAccount): boolean {
  const newest = Math.max(...template.versions.map(one => one.number));
  const says = (said: PaperUse | undefined) => said?.template === template.id && said.version === String(number);
  const policySays = (policy: PaperPolicy | undefined) => says(policy?.uses) || policy?.overrides.some(({ uses }) => says(uses)) === true;
  const ways = drawn.groups.flatMap(({ uses, mixed, refresh }) => [
    { uses, mixed },
    ...(refresh !== undefined && MOVING.includes(refresh.status) ? [refresh] : []),
  ]);
  return (
    number === template.defaultVersion ||
    number > newest - drawn.templateDepth ||
    ways.some(({ uses, mixed }) => says(uses) || policySays(mixed))
  );
}

/** Leftovers of interrupted builds of ours that are not in use. */
export const leftByTheDead = (drawn: RandomAccount): readonly Image[] =>
  drawn.images.filter(
    one =>
      tag(one, 'purpose') === 'build' &&
      tag(one, 'repository') === REPOSITORY &&
      tag(one, 'expires-at')?.startsWith('2020') === true &&
      tag(one, 'keep') === undefined &&
      !couldStart(one.id, drawn),
  );
