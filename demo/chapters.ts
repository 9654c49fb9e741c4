import { baseImage, inService, makeGroup } from './fleet.ts';
import type { Play } from './stage.ts';

const SIZE = 2;

/** The road from commit to stage, as the reusable workflow strings it together. */
const toStage = async ({ job, insist }: Parameters<Play['play']>[0], ends: { validate?: 'red'; promote?: 'red' } = {}) => {
  const built = await job('Build', 'build');
  const image = built.outputs['ami-id'] ?? '';
  const validated = await job('Validate', 'validate', { image }, ends.validate);
  const verdict = ends.validate === undefined ? 'passed' : 'failed';
  insist(validated.outputs['verdict'] === verdict, `the verdict should be ${verdict}`);
  if (validated.exitCode !== 0) return image;
  await job('Promote to stage', 'promote', { environment: 'stage', image }, ends.promote);
  return image;
};

/** Dies when the load balancer asks how it is: validation does not ask that. */
const DYING = (server: string) =>
  server.replace(
    '    def do_GET(self):\n',
    '    def do_GET(self):\n        if self.path == "/health":\n            __import__("os")._exit(1)\n',
  );

export const chapters: readonly Play[] = [
  {
    title: 'An account with two groups',
    told: 'web-stage and web-prod run a plain Debian with something started by hand, each behind a target group. That is all there is.',
    async play({ lab, cloud, say }) {
      const imageId = await baseImage(cloud);
      for (const name of ['web-stage', 'web-prod']) await makeGroup(cloud, { name, imageId, size: SIZE });
      for (let looks = 0; looks < 600; looks += 1) {
        const up = await Promise.all(['web-stage', 'web-prod'].map(name => inService(cloud, name)));
        if (up.every(instances => instances.length === SIZE)) break;
        await lab.clock.sleep(5);
      }
      say(`${SIZE * 2} instances in service`);
    },
  },
  {
    title: 'A good commit reaches stage by itself',
    told: 'Real Packer bakes the image, Run Command proves it on a machine of its own, the group rolls.',
    async play(scene) {
      scene.commit('Serve a page', '1.0.0');
      const image = await toStage(scene);
      scene.insist((await scene.pointer('stage')) === image, 'stage should point at the new image');
      await scene.proof({ 'web-stage': '1.0.0' });
    },
  },
  {
    title: 'A person promotes it to prod',
    told: 'The very image that stage runs: nothing is built again.',
    async play(scene) {
      await scene.job('Promote to prod', 'promote', { environment: 'prod', image: 'environment:stage' });
      scene.insist((await scene.pointer('prod')) === (await scene.pointer('stage')), 'prod should point at what stage runs');
      await scene.proof({ 'web-prod': '1.0.0' });
    },
  },
  {
    title: 'A broken commit fails validation and changes nothing',
    told: 'Packer is content, but the service does not start. Nobody downstream ever sees this image.',
    async play(scene) {
      const before = await scene.pointer('stage');
      scene.commit('Serve the page faster (it does not start)', '1.1.0', server => `import turbo\n${server}`);
      await toStage(scene, { validate: 'red' });
      scene.insist((await scene.pointer('stage')) === before, 'stage should point where it did');
      await scene.proof({ 'web-stage': '1.0.0' });
    },
  },
  {
    title: 'A commit that passes, but dies in the group, is rolled back',
    told: 'Behind the load balancer the service falls over. The refresh goes back by itself, the pointer never moved, the job is red.',
    async play(scene) {
      const before = await scene.pointer('stage');
      scene.commit('Answer health checks more thoroughly (it dies of them)', '1.2.0', DYING);
      await toStage(scene, { promote: 'red' });
      scene.insist((await scene.pointer('stage')) === before, 'stage should point where it did');
      await scene.proof({ 'web-stage': '1.0.0' });
    },
  },
  {
    title: 'The next good commit goes all the way',
    told: 'To stage by itself, to prod by hand.',
    async play(scene) {
      scene.commit('Serve the page kindly', '1.3.0');
      await toStage(scene);
      await scene.job('Promote to prod', 'promote', { environment: 'prod', image: 'environment:stage' });
      await scene.proof({ 'web-stage': '1.3.0', 'web-prod': '1.3.0' });
    },
  },
  {
    title: 'Rollback on demand',
    told: 'Somebody does not like 1.3.0 in prod. One click: the image from before is on every instance again, and 1.3.0 will not come back by itself.',
    async play(scene) {
      await scene.job('Roll prod back', 'rollback', { environment: 'prod' });
      await scene.proof({ 'web-prod': '1.0.0', 'web-stage': '1.3.0' });
      await scene.job('Promote to prod again', 'promote', { environment: 'prod', image: 'environment:stage' }, 'red');
    },
  },
  {
    title: 'Prune removes exactly what the plan says',
    told: 'First the plan, then the same plan carried out. What stage and prod run, or may go back to, stays.',
    async play(scene) {
      await scene.job('Plan', 'prune');
      const planned = await scene.job('List', 'list');
      const pruned = await scene.job('Prune', 'prune', { 'dry-run': 'false' });
      const left = await scene.job('List again', 'list');
      const gone = Number(planned.outputs['count']) - Number(left.outputs['count']);
      scene.insist(gone === 2 && pruned.outputs['removed'] === '2', `the two bad images should be gone, and only they; ${gone} are`);
    },
  },
];
