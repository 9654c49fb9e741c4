import { ActionError, CancelledError } from '../kit/errors.ts';
import { flag, optional, text } from '../kit/fields.ts';
import type { Values } from '../kit/settings.ts';
import { common, family, regions, regionsOf } from '../model/common-settings.ts';
import { newestFirst, tagKey } from '../model/image.ts';
import { type UserFacts, usersOf } from '../model/image-users.ts';
import type { Deps } from '../ports/deps.ts';
import { pointer, schemeOf } from '../selection/settings.ts';
import { findUsers, pointersOf, price, type UserOptions, type Users, users as userSettings } from './find-users.ts';
import { historyOutput } from './history-report.ts';
import { driftTable, formatLines, formatPage, type ListedEnvironment, type Listing, toOutput } from './list-report.ts';
import { bootTimes } from './rules/boot-times.ts';
import { driftOf } from './rules/drift.ts';
import { type Environment, type EnvironmentGroups, environmentsOf } from './rules/environments.ts';
import { type Promotion, promotionsOf } from './rules/history.ts';
import { shortAccounts } from './rules/inventory.ts';
import { formatNoFamily } from './survey.ts';

// Requires a family.
// Result: a table of its images: what they are, where they are used, what they cost, and what has drifted. It changes nothing.

export const settings = {
  family,
  whereUsed: flag('Shows what may still launch each image, and drift. Reads instances, groups, launch templates and parameters.', true),
  pointer,
  ...userSettings,
  regions,
  driftIssue: optional(
    text(
      'Title of the one issue that shows drift: opened when there is some, edited while there is, closed when there is none. Needs `github-token` and `permissions: issues: write`.',
      { neededBy: 'teams that look for drift on a schedule' },
    ),
  ),
  pricePerGib: price,
  ...common,
};

export const outputs = {
  images:
    'JSON list: `id`, `name`, `region`, `architecture`, `version`, `commit`, `state`, `created-at`, `verdict`, `used-by` and `size-gib` of every image, newest first.',
  count: 'Number of images.',
  history:
    'JSON list: `environment`, `region`, `ami-id`, `at`, `operation`, `run` and `by` of the last ten changes of every pointer, newest first. `by`: the user, where `github-token` may read deployments.',
  drift: 'JSON list: `region`, `who` (a pointer, a group, an instance) and `says`: how it differs from what it should be.',
};

type ListOptions = Values<typeof settings> & Pick<UserOptions, 'pointers'> & { readonly environmentGroups: EnvironmentGroups };
type ListDeps = Deps<'account' | 'images' | 'imageUsers' | 'groups', 'issues' | 'deployments'>;

export async function run(options: ListOptions, deps: ListDeps) {
  const { report, clock } = deps;
  const scheme = schemeOf(options);
  const format = { ...options, scheme, regions: regionsOf(options), pricePerGib: Number(options.pricePerGib), now: clock.now() };
  const listing = await listFamily(options, deps);
  const { images, drift, history } = listing;

  for (const line of formatLines(images, format)) report.untrusted(line);
  for (const { who, says, region } of drift) report.untrusted(`Drift in ${region}: ${who} ${says}`);
  report.summary(formatPage(listing, format));
  if (options.driftIssue !== undefined) await keepIssue(options.driftIssue, listing, format, { options, deps });
  return {
    outcome: 'unchanged' as const,
    outputs: {
      images: images.map(listed => toOutput(listed, scheme)),
      count: images.length,
      drift: drift.map(({ region, who, says }) => ({ region, who, says: shortAccounts(says) })),
      history: history.map(historyOutput),
    },
  };
}

/** What could not be read may have drifted, so the issue then stays as it is. */
async function keepIssue(
  title: string,
  { drift, images, isComplete }: Listing,
  format: Parameters<typeof driftTable>[1],
  { options, deps: { report, run, issues } }: { readonly options: ListOptions; readonly deps: ListDeps },
): Promise<void> {
  if (!isComplete || images.length === 0) return report.warn(`Issue "${title}" was left as it is: not everything could be read.`);
  const page = drift.length === 0 ? undefined : `${driftTable(drift, format)}\n\n[Run](${run.url})`;
  const kept = await issues.keep({ repository: run.repository, token: options.githubToken, title, markdown: page });
  if (kept !== undefined) report.info(`Issue #${kept.number} "${title}" ${kept.change}.`);
}

/** Newest first, so that the copies of one build are adjacent. */
async function listFamily(options: ListOptions, deps: ListDeps): Promise<Listing> {
  const listings = await Promise.all(regionsOf(options).map(region => listRegion(region, options, deps)));
  const images = listings.flatMap(listing => listing.images).sort((a, b) => newestFirst(schemeOf(options))(a.image, b.image));
  if (images.length === 0) await warnOfEmptyFamily(options, deps);
  return {
    images,
    environments: listings.flatMap(({ environments }) => environments),
    drift: listings.flatMap(({ drift }) => drift),
    history: listings.flatMap(({ history }) => history),
    isComplete: listings.every(({ isComplete }) => isComplete),
  };
}

/** A misspelt name matches nothing, which an empty table does not show. */
async function warnOfEmptyFamily(options: ListOptions, { report, inRegion }: ListDeps): Promise<void> {
  const owned = await Promise.all(regionsOf(options).map(region => inRegion({ region }).images.find({})));
  report.warn(formatNoFamily(options, tagKey(schemeOf(options), 'family'), owned.flat()));
}

async function listRegion(region: string, options: ListOptions, deps: ListDeps): Promise<Listing> {
  const { account, images: port } = deps.inRegion({ region });
  const scheme = schemeOf(options);
  const images = await deps.report.step(`List the images of ${options.family} in ${region}`, () =>
    port.find({ tags: { [`${scheme.prefix}family`]: options.family }, shared: true, includeDisabled: true }),
  );
  const own = await account.id();
  const users = options.whereUsed && images.length > 0 ? await whereUsed(region, options, deps) : undefined;
  const [pointers, groups] = [pointersOf(options), options.environmentGroups];
  const family = new Set(images.map(({ id }) => id));
  const environments = users === undefined ? [] : await environmentsIn(region, users, family, options, deps);
  return {
    images: images.map(image => ({ image, region, users: users && usersOf(users.all, image), isShared: image.ownerId !== own })),
    environments,
    drift: users === undefined ? [] : driftOf(images, users.facts, pointers, scheme, groups).map(one => ({ ...one, region })),
    history: users === undefined ? [] : (await readHistory(users.facts, environments, options, deps)).map(one => ({ ...one, region })),
    isComplete: users !== undefined || images.length === 0,
  };
}

async function environmentsIn(
  region: string,
  { facts }: Users,
  family: ReadonlySet<string>,
  options: ListOptions,
  deps: ListDeps,
): Promise<readonly ListedEnvironment[]> {
  const environments = environmentsOf(facts, pointersOf(options), options.environmentGroups);
  return Promise.all(
    environments.map(async one => {
      const groups = one.groups.map(async group => {
        const instances = facts.instances.filter(({ group: of }) => of === group.name);
        return { ...group, boot: bootTimes(instances, await launchSecondsOf(group.name, region, deps), family) };
      });
      return { ...one, region, groups: await Promise.all(groups) };
    }),
  );
}

/** How long launches take is a help: a list is complete without it. */
async function launchSecondsOf(group: string, region: string, { report, inRegion }: ListDeps): Promise<ReadonlyMap<string, number>> {
  try {
    return await inRegion({ region }).groups.launchSeconds(group);
  } catch (failure) {
    if (!(failure instanceof ActionError) || failure instanceof CancelledError) throw failure;
    report.debug(`How long launches of ${group} in ${region} take is unknown: ${failure.message}`);
    return new Map();
  }
}

/** The same deployments in every region: an environment is promoted in all of them by one run. */
async function readHistory(
  facts: UserFacts,
  environments: readonly Environment[],
  options: ListOptions,
  { deployments, run: { repository }, report }: ListDeps,
): Promise<readonly Promotion[]> {
  const { githubToken: token } = options;
  const names = token === undefined || repository === '' ? [] : [...new Set(environments.map(({ name }) => name))];
  const list = async (environment: string) => deployments.list({ repository, token: token ?? '', environment });
  const known = await Promise.all(names.map(async name => [name, await list(name)] as const)).catch((cause: unknown) => {
    report.warn(`Who started the promotions is unknown: ${cause instanceof Error ? cause.message : String(cause)}`);
    return [];
  });
  return promotionsOf(facts, pointersOf(options), new Map(known));
}

/** A source that cannot be read does not fail a list: it reports what is unknown. */
async function whereUsed(region: string, options: ListOptions, { report, inRegion }: ListDeps): Promise<Users | undefined> {
  try {
    return await report.step(`Find where they are used in ${region}`, () => findUsers(options, inRegion({ region }), report));
  } catch (failure) {
    if (!(failure instanceof ActionError) || failure instanceof CancelledError) throw failure;
    report.warn(`Where the images in ${region} are used is unknown: ${failure.message}`);
    return undefined;
  }
}
