import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DescribeLaunchTemplatesCommand } from '@aws-sdk/client-ec2';
import type { Lab } from '../lab/lab.ts';
import { baseImage, type Cloud, connect, inService, makeGroup } from './fleet.ts';
import type { Play } from './stage.ts';

const SIZE = 2;

/** Groups with a plain Debian, in service. */
async function makeGroups(lab: Lab, cloud: Cloud, names: readonly string[]): Promise<void> {
  const imageId = await baseImage(cloud);
  for (const name of names) await makeGroup(cloud, { name, imageId, size: SIZE });
  for (let polls = 0; polls < 600; polls += 1) {
    const up = await Promise.all(names.map(name => inService(cloud, name)));
    if (up.every(instances => instances.length === SIZE)) return;
    await lab.clock.sleep(5);
  }
}

const SECOND = '444455556666';
const SHARE = `arn:aws:iam::${SECOND}:role/ami-web-eu-share`;

const COMMON = { Subject: 'repo:acme/web', RepositoryId: '456789', Families: 'web' };
const template = (name: string) => readFileSync(join(import.meta.dirname, '..', 'examples', name), 'utf8');

/** The roles of the shipped templates: every job has the one that is for it. */
async function deployRoles(lab: Lab, { ec2 }: Cloud): Promise<void> {
  const { LaunchTemplates = [] } = await ec2.send(new DescribeLaunchTemplatesCommand({}));
  const common = { ...COMMON, LaunchTemplates: LaunchTemplates.map(({ LaunchTemplateId }) => LaunchTemplateId).join(',') };
  const delivery = { ...common, Repository: 'acme/web', ConsumerAccounts: SECOND, OtherRoles: SHARE };
  lab.deploy(template('delivery-role.yml'), { stack: 'ami-web', parameters: delivery });
  for (const name of ['stage', 'prod']) {
    const parameters = { ...common, Environment: name, Pointers: '/ami/web', Groups: `web-${name}*` };
    lab.deploy(template('environment-role.yml'), { stack: `ami-web-${name}`, parameters });
  }
}

async function deploySecond(lab: Lab, { ec2 }: Cloud): Promise<void> {
  const { LaunchTemplates: [{ LaunchTemplateId = '' } = {}] = [] } = await ec2.send(new DescribeLaunchTemplatesCommand({}));
  const group = { Environment: 'eu', Pointers: '/ami/web', Groups: 'web-eu*', LaunchTemplates: LaunchTemplateId };
  const parameters = { ...COMMON, ...group, DeliveryRole: 'arn:aws:iam::111122223333:role/ami-web-images', Provider: 'create' };
  lab.deploy(template('environment-role.yml'), { account: SECOND, stack: 'ami-web-eu', parameters });
}

/** From commit to stage, with the jobs of the reusable workflow. */
const toStage = async ({ job, expect }: Parameters<Play['play']>[0], ends: { validate?: 'red'; promote?: 'red' } = {}) => {
  const built = await job('Build', 'build');
  const image = built.outputs['ami-id'] ?? '';
  const validated = await job('Validate', 'validate', { image }, ends.validate);
  const verdict = ends.validate === undefined ? 'passed' : 'failed';
  expect(validated.outputs['verdict'] === verdict, `the verdict should be ${verdict}`);
  if (validated.exitCode !== 0) return image;
  await job('Promote to stage', 'promote', { environment: 'stage', image }, ends.promote);
  return image;
};

/** Exits at the load balancer's health check, which validation does not call. */
const DYING = (server: string) =>
  server.replace(
    '    def do_GET(self):\n',
    [
      '    def do_GET(self):',
      '        if self.path == "/health":',
      '            print("web.service exits: /health needs the database, and DATABASE_URL is not set", file=__import__("sys").stderr, flush=True)',
      '            __import__("os")._exit(1)\n',
    ].join('\n'),
  );

export const chapters: readonly Play[] = [
  {
    title: 'An account with two groups',
    summary: 'web-stage and web-prod run a plain Debian. User data starts their service. Each group is behind a target group.',
    async play({ lab, cloud, print }) {
      await makeGroups(lab, cloud, ['web-stage', 'web-prod']);
      await deployRoles(lab, cloud);
      print(`${SIZE * 2} instances in service`);
    },
  },
  {
    title: 'A good commit reaches stage without a person',
    summary: 'Packer builds the image. Run Command checks it on a test instance. Then the group is rolled out.',
    async play(scene) {
      scene.commit('Serve a page', '1.0.0');
      const image = await toStage(scene);
      scene.expect((await scene.pointer('stage')) === image, 'the pointer of stage should name the new image');
      await scene.proof({ 'web-stage': '1.0.0' });
    },
  },
  {
    title: 'A push that changes nothing in the image builds nothing',
    summary: 'The fingerprint of template, files and base image is the same. The image of the last push is the result.',
    async play(scene) {
      const before = await scene.pointer('stage');
      scene.commit('Describe the page', '1.0.0');
      const built = await scene.job('Build', 'build');
      scene.expect(built.outputs['outcome'] === 'unchanged' && built.outputs['ami-id'] === before, 'the push should build nothing');
    },
  },
  {
    title: 'A person promotes it to prod',
    summary: 'The same image that stage runs. Nothing is built again.',
    async play(scene) {
      await scene.job('Promote to prod', 'promote', { environment: 'prod', image: 'environment:stage' });
      scene.expect((await scene.pointer('prod')) === (await scene.pointer('stage')), 'prod and stage should run the same image');
      await scene.proof({ 'web-prod': '1.0.0' });
    },
  },
  {
    title: 'A broken commit fails validation and changes nothing',
    summary: 'Packer succeeds, but the service does not start. The image is never rolled out.',
    async play(scene) {
      const before = await scene.pointer('stage');
      scene.commit('Serve the page faster (does not start)', '1.1.0', server => `import turbo\n${server}`);
      await toStage(scene, { validate: 'red' });
      scene.expect((await scene.pointer('stage')) === before, 'the pointer of stage should not have moved');
      await scene.proof({ 'web-stage': '1.0.0' });
    },
  },
  {
    title: 'A commit that passes validation but fails in the group is rolled back',
    summary:
      'The service exits behind the load balancer, and the console of the instance says why. AWS rolls the refresh back, the pointer does not move.',
    async play(scene) {
      const before = await scene.pointer('stage');
      scene.commit('Answer health checks in more detail (exits on them)', '1.2.0', DYING);
      await toStage(scene, { promote: 'red' });
      scene.expect((await scene.pointer('stage')) === before, 'the pointer of stage should not have moved');
      await scene.proof({ 'web-stage': '1.0.0' });
    },
  },
  {
    title: 'The next good commit goes all the way',
    summary: 'To stage without a person, to prod by hand.',
    async play(scene) {
      scene.commit('Serve a friendlier page', '1.3.0');
      await toStage(scene);
      await scene.job('Promote to prod', 'promote', { environment: 'prod', image: 'environment:stage' });
      await scene.proof({ 'web-stage': '1.3.0', 'web-prod': '1.3.0' });
    },
  },
  {
    title: 'Rollback on demand',
    summary: 'Users report a fault of 1.3.0 in prod. One click: every instance runs the previous image again, and 1.3.0 is vetoed in prod.',
    async play(scene) {
      await scene.job('Roll prod back', 'rollback', { environment: 'prod' });
      await scene.proof({ 'web-prod': '1.0.0', 'web-stage': '1.3.0' });
      await scene.job('Promote to prod again', 'promote', { environment: 'prod', image: 'environment:stage' }, 'red');
    },
  },
  {
    title: 'Blue-green: a second group takes over',
    summary: 'A green group starts next to the old one without traffic, is checked, gets the traffic, and the old one is removed.',
    async play(scene) {
      await scene.job('Promote to prod by blue-green', 'promote', {
        ...{ environment: 'prod', image: 'environment:stage' },
        ...{ strategy: 'blue-green', 'lift-veto': 'true' },
      });
      scene.expect((await scene.pointer('prod')) === (await scene.pointer('stage')), 'prod and stage should run the same image');
    },
  },
  {
    title: 'A second account runs the same image',
    summary: 'The image is shared with its tags and its verdict. The roles come from the templates in examples/. Nothing is built again.',
    async play({ lab, job, pointer, proof }) {
      const cloud = connect(lab, { account: SECOND });
      await makeGroups(lab, cloud, ['web-eu']);
      await deploySecond(lab, cloud);
      const image = await pointer('stage');
      await job('Share', 'share', { image, accounts: SECOND, 'target-role': SHARE });
      await job('Promote to eu', 'promote', { environment: 'eu', image }, 'green', { account: SECOND });
      await proof({ 'web-eu': '1.3.0' }, cloud);
    },
  },
  {
    title: 'Prune removes exactly the images of its plan',
    summary: 'First the plan, then the same plan applied. Images that stage and prod run, or can roll back to, are kept.',
    async play(scene) {
      await scene.job('Plan', 'prune');
      const planned = await scene.job('List', 'list');
      const pruned = await scene.job('Prune', 'prune', { 'dry-run': 'false' });
      const remaining = await scene.job('List again', 'list');
      const gone = Number(planned.outputs['count']) - Number(remaining.outputs['count']);
      scene.expect(gone === 2 && pruned.outputs['removed'] === '2', `exactly the two bad images should be removed, but ${gone} are`);
    },
  },
];
