import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { awsImageUsers } from '../../src/adapters/aws/image-users/all.ts';
import { ec2LaunchTemplates } from '../../src/adapters/aws/launch-templates.ts';
import { AccessError, UsageError } from '../../src/kit/errors.ts';
import type { Image } from '../../src/model/image.ts';
import type { AllDeps } from '../../src/ports/deps.ts';
import { crossAccount } from '../../src/retention/other-accounts.ts';
import { hashOf, makePlan, otherDeletions, type Plan, sweeperOf } from '../../src/retention/plan.ts';
import type { Decision, Policy } from '../../src/retention/rules/rules.ts';
import { surveyAll } from '../../src/retention/survey.ts';
import { paperClients } from '../paper-account.ts';
import * as oracle from './oracle.ts';
import {
  CONSUMER,
  consumerPaperOf,
  DAY,
  HOME,
  NOW,
  OWN,
  paperOf,
  type RandomAccount,
  REPOSITORY,
  randomAccount,
} from './random-account.ts';

/** Random accounts, read by the real adapters through small pages and planned by the real planner; the oracle shares no code with either. */

const RUNS = Number(process.env['AMI_ACTION_PROPERTY_RUNS'] ?? 10_000);
const scheme = { prefix: 'ami-action:', commitKey: 'ami-action:commit' };
const ORGANIZATION = { account: undefined, who: 'arn:aws:organizations::999999999999:organization/o-1' };

/** `turned`: every listing in reverse order. */
function depsOf(drawn: RandomAccount, turned: boolean): AllDeps {
  const listed = <T>(all: readonly T[]): T[] => (turned ? [...all].reverse() : [...all]);
  const clients = paperClients(paperOf(drawn), drawn.pageSize);
  const users = awsImageUsers(clients);
  const edges = drawn.recipes.map(imageId => ({ imageId, user: 'a recipe (reported by EC2)' }));
  const shares = { none: [], organization: [ORGANIZATION], consumer: [{ account: CONSUMER, who: CONSUMER }] };
  const inRegion = ({ region, role }: { region: string; role?: string | undefined }) => {
    if (role !== undefined) return { imageUsers: consumerUsers(drawn) };
    const here = drawn.images.filter(one => oracle.regionOf(one, drawn) === region);
    const ofImages = here.map(one => ({ ...one, id: one.snapshotIds[0] ?? '', description: `Created by CreateImage(i-1) for ${one.id}` }));
    const snapshots = [
      ...ofImages.map(one => ({ ...one, startedAt: one.createdAt ?? new Date(NOW) })),
      ...(region === HOME ? drawn.strays : []),
    ];
    const left = [...here.map(one => ({ ...one, kind: 'image' })), ...ofImages.map(one => ({ ...one, kind: 'snapshot' }))];
    return {
      images: { find: async () => listed(here) },
      imageUsers: { ...users, references: async (ids: readonly string[]) => edges.filter(({ imageId }) => ids.includes(imageId)) },
      removal: {
        sharedWith: async (id: string) => shares[drawn.shares[drawn.images.findIndex(one => one.id === id)] as keyof typeof shares],
        snapshots: async () => listed(snapshots),
        recycled: async () => drawn.recycled.map(id => ({ id, until: undefined })),
      },
      leftovers: {
        tagged: async (key: string) => listed(left.filter(({ tags }) => key in tags)).map(one => ({ ...one, ending: false })),
      },
      launchTemplates: ec2LaunchTemplates(clients.ec2),
    };
  };
  const report = { step: (_: string, work: () => unknown) => work(), info: () => {}, warn: () => {} };
  return { inRegion, report, clock: { now: () => NOW }, run: { repository: REPOSITORY } } as never;
}

function consumerUsers(drawn: RandomAccount) {
  const users = awsImageUsers(paperClients(consumerPaperOf(drawn), drawn.pageSize));
  return drawn.consumer.readable ? users : { ...users, read: () => Promise.reject(new AccessError('You may not.')) };
}

async function planOf(drawn: RandomAccount, turned = false): Promise<Plan> {
  const deps = depsOf(drawn, turned);
  const { newest, passed, newestOfPullRequests, youngerThanDays, launchedWithinDays, graceDays } = drawn.policy;
  const seconds = (days: number) => (days * DAY) / 1000;
  const launchedWithinSeconds = launchedWithinDays === undefined ? undefined : seconds(launchedWithinDays);
  const policy: Policy = {
    ...drawn.policy,
    ...{ scheme, family: 'web', accountId: OWN, graceSeconds: seconds(graceDays) },
    keep: { newest, passed, youngerThanSeconds: seconds(youngerThanDays), launchedWithinSeconds },
    classes:
      newestOfPullRequests === undefined
        ? []
        : [{ name: 'pr', tags: { 'ami-action:ref': 'refs/pull/*' }, keep: { newest: newestOfPullRequests } }],
  };
  const wanted = {
    ...{ family: 'web', region: HOME, regions: ['us-east-1'], pointer: '/ami/{family}/{environment}', pointers: [] },
    ...{ rollbackDepth: drawn.rollbackDepth, templateDepth: drawn.templateDepth, orphanSnapshots: true, leftovers: true },
    ...{ usageReports: false, templateVersions: true, targetRole: 'arn:aws:iam::{account}:role/consumer' },
  };
  const surveys = await surveyAll(wanted, sweeperOf(policy, deps), deps);
  return makePlan(surveys, policy, wanted, crossAccount(wanted, deps), deps);
}

/** An ARN that cannot be resolved may mean any image, and an empty family is a misspelt one. Nothing else may stop a run. */
function expectGoodReason(failure: unknown, drawn: RandomAccount): undefined {
  if (failure instanceof AccessError) return void expect(drawn.parameters.some(({ name }) => name === '/golden/web')).toBe(false);
  if (failure instanceof UsageError) return void expect(oracle.inFamily(drawn)).toEqual([]);
  throw failure;
}

const ids = (things: readonly { readonly id: string }[]) => things.map(({ id }) => id).sort();
const sum = (plan: Plan) => ({ images: plan.images, others: [...otherDeletions(plan)].map(({ what }) => what).sort(), hash: hashOf(plan) });

function expectImages(plan: Plan, drawn: RandomAccount): void {
  const chosen = (action: Decision['action']) => plan.images.filter(decision => decision.action === action).map(({ image }) => image);
  const family = oracle.inFamily(drawn);
  const safe = (one: Image) => oracle.untouchable(one) || oracle.couldStart(one.id, drawn) || oracle.couldStartElsewhere(one, drawn);
  expect(ids(plan.images.map(({ image }) => image))).toEqual(ids(family));
  expect([...chosen('remove'), ...chosen('mark')].filter(safe)).toEqual([]);

  const { policy } = drawn;
  const forgotten = oracle.forgotten(drawn);
  const areRipe = (images: readonly Image[]) =>
    images.filter(one => oracle.withCopies(one, drawn).every(copy => oracle.graceIsOver(copy, drawn)));
  const ripe = areRipe(forgotten);
  const most = Math.min(policy.maxRemovals, Math.ceil((family.length * policy.maxShare) / 100));
  expect(ids(chosen('remove')).filter(id => !ids(ripe).includes(id))).toEqual([]);
  // Evidence is read for as many images as one run may remove; one that proves to be in use leaves its place empty until the next run.
  const seemForgotten = oracle.forgotten(drawn, { elsewhere: false });
  const seemRipe = areRipe(seemForgotten);
  const toDisable = policy.disable ? seemForgotten.filter(one => one.state === 'available' && !oracle.graceIsOver(one, drawn)) : [];
  const isRoomForAll = seemRipe.length + toDisable.length <= most;
  if (isRoomForAll) expect(ids(chosen('remove'))).toEqual(ids(ripe));
  // All copies of a removed image are removed, so a run may exceed `most` only for one build.
  const copies = chosen('remove').flatMap(one => oracle.withCopies(one, drawn));
  expect(ids(copies.filter(copy => !chosen('remove').includes(copy)))).toEqual([]);

  const toMark = forgotten.filter(one => !oracle.isMarked(one) || (!oracle.graceIsOver(one, drawn) && oracle.isHalfMarked(one, drawn)));
  expect(ids(chosen('mark'))).toEqual(policy.graceDays === 0 ? [] : ids(toMark));
  const disabled = plan.images.filter(({ action, disables }) => action === 'mark' && disables).map(({ image }) => image);
  expect(disabled.filter(one => !policy.disable || one.state !== 'available')).toEqual([]);
  if (isRoomForAll) expect(ids(disabled)).toEqual(ids(chosen('mark').filter(({ state }) => policy.disable && state === 'available')));
  // Disabling counts like a removal; one build is always allowed, or one with many copies would never be removed.
  const builds = new Set([...chosen('remove'), ...disabled].map(oracle.buildOf));
  if (chosen('remove').length + disabled.length > most) expect(builds.size).toBe(1);
  if (ripe.length > 0) expect(chosen('remove').length + disabled.length).toBeGreaterThan(0);
  const toUnmark = family.filter(one => oracle.isMarked(one) && one.ownerId === OWN && !forgotten.includes(one));
  if (isRoomForAll) expect(ids(chosen('unmark'))).toEqual(ids(toUnmark));
  expect(chosen('unmark').filter(one => !toUnmark.includes(one))).toEqual([]);
  expect(ids(toUnmark.filter(one => !chosen('unmark').includes(one) && !seemRipe.includes(one)))).toEqual([]);
}

function expectOthers(plan: Plan, drawn: RandomAccount): void {
  const { maxRemovals } = drawn.policy;
  const strays = plan.regions.flatMap(region => region.orphanedSnapshots);
  expect(strays.map(({ id }) => id)).toEqual(
    oracle
      .forlorn(drawn)
      .slice(0, maxRemovals)
      .map(({ id }) => id),
  );
  const removed = new Set(plan.images.filter(({ action }) => action === 'remove').map(({ image }) => image.id));
  const named = drawn.templates.flatMap(template =>
    template.versions.filter(({ image }) => removed.has(image)).map(({ number }) => ({ template, number })),
  );
  expect(named.filter(({ template, number }) => oracle.isUsed(number, template, drawn))).toEqual([]);
  const dropped = plan.regions.flatMap(({ versions }) => versions.map(({ templateId, number }) => `${templateId} ${number}`));
  expect(dropped.sort()).toEqual(named.map(({ template, number }) => `${template.id} ${number}`).sort());
  const dead = oracle.leftByTheDead(drawn).flatMap(({ id, snapshotIds }) => [{ id }, ...snapshotIds.map(snapshot => ({ id: snapshot }))]);
  expect(ids(plan.regions.flatMap(region => region.expired))).toEqual(ids(dead));
}

test(`in ${RUNS} random accounts, exactly the images that nothing can launch and no rule keeps are removed`, async () => {
  const seen = { remove: 0, mark: 0, unmark: 0, keep: 0, disable: 0, strays: 0, versions: 0, expired: 0 };
  await fc.assert(
    fc.asyncProperty(randomAccount, async drawn => {
      const plan = await planOf(drawn).catch(failure => expectGoodReason(failure, drawn));
      if (plan === undefined) return;
      expect(sum(await planOf(drawn, true))).toEqual(sum(plan));
      expectImages(plan, drawn);
      expectOthers(plan, drawn);
      for (const { action, disables } of plan.images) {
        seen[action] += 1;
        if (action === 'mark' && disables) seen.disable += 1;
      }
      for (const { orphanedSnapshots: strays, versions, expired } of plan.regions) {
        seen.strays += strays.length;
        seen.versions += versions.length;
        seen.expired += expired.length;
      }
    }),
    { numRuns: RUNS, seed: 20_261_001 },
  );
  // The accounts exercise every action.
  expect(Math.min(...Object.values(seen))).toBeGreaterThan(RUNS / 50);
}, 600_000);
