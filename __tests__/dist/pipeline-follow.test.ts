import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { connect, pointerValue } from '../../demo/fleet.ts';
import { tagsOf } from '../../lab/ec2/state.ts';
import { askedPermissions } from '../../lab/iam/roles.ts';
import { type ActLab, actLab } from './act-lab.ts';
import { BUILD, deniedIn, deployDelivery, deployEnvironment, group, imagesIn, PROD } from './organisation.ts';

/**
 * A consumer's account follows the commits of an image that another account builds. Three roles: images in the source account, share in the consumer's
 * account, which copies the tags, and rollout there, which reads nothing of the source account.
 */

const role = (account: string, name: string) => `arn:aws:iam::${account}:role/${name}`;
const CONSUMER = { account: PROD, region: 'eu-central-1' };
const TAG = 'git-commit';

const SETTINGS = (version: string) => `family: worker
version: ${version}
var: { app_version: ${version} }
region: eu-central-1
role-to-assume: ${role(BUILD, 'ami-worker-images')}
instance-profile: ami-worker-test
checks: [{ service: web }]
accounts: ['${PROD}']
target-role: ${role(PROD, 'ami-worker-stage-share')}
environments:
  stage: { groups: [worker-stage], checks-timeout: 5m, bake: 6m, role-to-assume: '${role(PROD, 'ami-worker-stage-rollout')}' }
`;

let l: ActLab;
beforeAll(async () => {
  l = await actLab({ speed: 60 });
  const LaunchTemplates = await group(l.lab, CONSUMER, 'worker-stage');
  deployDelivery(l.lab, BUILD, 'ami-worker', {
    ...{ Families: 'worker', ConsumerAccounts: PROD, OtherRoles: role(PROD, 'ami-worker-stage-share') },
  });
  deployEnvironment(l.lab, PROD, 'ami-worker-stage', {
    ...{ Environment: 'stage', Families: 'worker', Pointers: '/ami/worker', Groups: 'worker-stage*', LaunchTemplates },
    ...{ Provider: 'create', DeliveryRole: role(BUILD, 'ami-worker-images') },
  });
  // The line of both examples that a team with a tag of its own takes in.
  for (const file of ['ami-image.yml', 'ami-follow.yml']) {
    const path = join(l.repository.path, '.github', 'workflows', file);
    const text = readFileSync(path, 'utf8');
    expect(text).toContain('# commit-tag: git-commit');
    writeFileSync(path, text.replace('# commit-tag: git-commit', 'commit-tag: git-commit'));
  }
}, 180_000);
afterAll(() => l.close());

/** A commit on main of acme/image, which this repository is as well. */
function commit(version: string, change = (server: string) => server): string {
  const made = l.repository.commit(`Version ${version}`, version, change, SETTINGS(version));
  l.github.commits.unshift(made);
  return made;
}

/** Version that stage runs, as its pointer and the tags in the consumer's account say. */
async function stage(): Promise<string> {
  const id = await pointerValue(connect(l.lab, CONSUMER), '/ami/worker/stage');
  return tagsOf(l.lab.place(CONSUMER.account, CONSUMER.region), id)['ami-action:version'] ?? id;
}

/** Runs one of the two examples. Returns the jobs that failed, what stage runs, and whether anything was denied. */
async function ran(workflow: 'ami-image.yml' | 'ami-follow.yml') {
  const acted = workflow === 'ami-image.yml' ? await l.act('push', workflow) : await l.act('workflow_dispatch', workflow);
  return { failed: acted.failed, stage: await stage(), denied: deniedIn(l.lab) };
}

const green = (version: string) => ({ failed: [], stage: version, denied: [] });

let sha: string;
test('no image yet: the run is red, and nothing has changed', async () => {
  sha = commit('1.0.0');
  expect(await ran('ami-follow.yml')).toEqual({ failed: ['Promote to stage'], stage: 'none', denied: [] });
}, 120_000);

test('a new commit and its image exists: stage runs it, found by the tag that was copied into the account', async () => {
  expect(await ran('ami-image.yml')).toEqual(green('none'));
  expect(await ran('ami-follow.yml')).toEqual(green('1.0.0'));
  const [image] = imagesIn(l.lab, { account: BUILD, region: 'eu-central-1' });
  expect(tagsOf(l.lab.place(PROD, 'eu-central-1'), image?.id ?? '')[TAG]).toBe(sha);
}, 300_000);

test('a new commit without an image: the last known one stays, and the run is green', async () => {
  commit('1.1.0');
  const mark = l.lab.calls.mark();
  expect(await ran('ami-follow.yml')).toEqual(green('1.0.0'));
  expect(Object.keys(l.lab.calls.byOperation(mark)).filter(call => !/:(Describe|Get|List|Assume)/.test(call))).toEqual([]);
  expect(await ran('ami-image.yml')).toEqual(green('1.0.0'));
  expect(await ran('ami-follow.yml')).toEqual(green('1.1.0'));
}, 300_000);

test('a commit whose image fails validation is not followed: it never had the tags of the family here', async () => {
  commit('1.2.0', server => `import turbo\n${server}`);
  expect(await ran('ami-image.yml')).toEqual({ ...green('1.1.0'), failed: ['Validate'] });
  expect(await ran('ami-follow.yml')).toEqual(green('1.1.0'));
}, 300_000);

test('the role that promotes has asked for nothing in the source account', () => {
  const rollout = askedPermissions(l.lab.core).filter(({ role: of }) => of === role(PROD, 'ami-worker-stage-rollout'));
  expect(rollout.length).toBeGreaterThan(10);
  expect(rollout.filter(({ resource }) => resource.includes(BUILD))).toEqual([]);
  const source = l.lab.calls.all().filter(({ account }) => account === BUILD);
  const by = (mode: string) => source.filter(({ client }) => client.includes(`mode/${mode}`)).length;
  expect([by('promote'), by('share') > 0]).toEqual([0, true]);
});
