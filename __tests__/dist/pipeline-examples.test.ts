import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PutParameterCommand } from '@aws-sdk/client-ssm';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { baseImage, connect, pointerValue } from '../../demo/fleet.ts';
import { images } from '../../lab/ec2/images.ts';
import { setTags, tagsOf } from '../../lab/ec2/state.ts';
import { type ActLab, actLab } from './act-lab.ts';
import { BUILD, deniedIn, deployDelivery, deployEnvironment, group, imagesIn } from './organisation.ts';

/** The workflows of examples/ on one account with the roles of examples/: each green, and red once at the job that it is for. Jobs have no keys. */

const REGIONS = ['eu-central-1', 'eu-west-1', 'us-east-1'] as const;
const HOME = { account: BUILD, region: REGIONS[0] };
const role = (name: string) => `arn:aws:iam::${BUILD}:role/${name}`;

const SETTINGS = (version: string, regions: string) => `family: web
version: ${version}
var: { app_version: ${version} }
region: eu-central-1
regions: [${regions}]
role-to-assume: ${role('ami-web-images')}
instance-profile: ami-web-test
base-image: name:136693071363/debian-12-amd64-*
checks: [{ service: web }]
keep-newest: 1
minimum-age: 0s
min-in-use: 0
environments:
  stage: { groups: [web-stage], checks-timeout: 5m, bake: 6m, role-to-assume: '${role('ami-web-stage-rollout')}' }
`;

const SLACK = 'slackapi/slack-github-action@91efab103c0de0a537f72a35f6b8cda0ee76bf0a';
const TERRAFORM = 'hashicorp/setup-terraform@b9cd54a3c349d3f38e8881555d616ced269862dd';

let l: ActLab;
let said: string;
let templates: string[] = [];
const deployStage = () =>
  deployEnvironment(l.lab, BUILD, 'ami-web-stage', {
    ...{ Environment: 'stage', Families: 'web', Pointers: '/ami/web', Groups: 'web-stage*' },
    LaunchTemplates: templates.join(),
  });

beforeAll(async () => {
  said = join(process.env['TMPDIR'] ?? '/tmp', `ami-action-said-${process.pid}`);
  writeFileSync(said, '');
  const append = (what: string) => `require('node:fs').appendFileSync('${said}', ${what} + '\\n');`;
  // The real one, too, fails without a webhook.
  const slack = `if (!process.env.INPUT_WEBHOOK) process.exit(1);\n${append('process.env.INPUT_PAYLOAD')}`;
  l = await actLab({ actions: { [SLACK]: slack, [TERRAFORM]: '' } });
  writeFileSync(join(l.folder, 'bin', 'terraform'), `#!/bin/sh\necho "terraform $* $TF_VAR_ami_id" >> '${said}'\n`, { mode: 0o755 });
  deployDelivery(l.lab, BUILD, 'ami-web', { Families: 'web', PullRequests: 'build' });
  // The group of the third region does not exist yet.
  templates = await Promise.all(REGIONS.slice(0, 2).map(region => group(l.lab, { account: BUILD, region }, 'web-stage')));
  deployStage();
  const stage = readFileSync(join(l.repository.path, '.github', 'workflows', 'ami-stage.yml'), 'utf8');
  writeFileSync(join(l.repository.path, '.github', 'workflows', 'regions.yml'), stage.replace("prune: 'true'", "share: 'true'"));
}, 120_000);
afterAll(() => l.close());

const commit = (version: string, change = (server: string) => server, regions: readonly string[] = []): string =>
  l.repository.commit(`Version ${version}`, version, change, SETTINGS(version, regions.join()));
const versions = () =>
  Promise.all(
    REGIONS.map(async region => {
      const place = { account: BUILD, region };
      const id = await pointerValue(connect(l.lab, place), '/ami/web/stage');
      return tagsOf(l.lab.place(BUILD, region), id)['ami-action:version'] ?? id;
    }),
  );

test('three regions: red at Promote while one lacks its group, and nothing has moved; then all three', async () => {
  commit('1.0.0', undefined, REGIONS.slice(1));
  const red = await l.act('push', 'regions.yml');
  expect([red.failed, await versions()]).toEqual([['Promote to stage'], ['none', 'none', 'none']]);
  templates.push(await group(l.lab, { account: BUILD, region: REGIONS[2] }, 'web-stage'));
  deployStage();
  const mark = l.lab.calls.mark();
  const ran = await l.act('push', 'regions.yml');
  expect([ran.exitCode, ran.failed, deniedIn(l.lab)]).toEqual([0, [], []]);
  expect(await versions()).toEqual(['1.0.0', '1.0.0', '1.0.0']);
  expect([l.lab.calls.count('ec2:CreateImage', mark), l.lab.calls.count('ec2:CopyImage', mark)]).toEqual([0, 0]);
}, 300_000);

// From here on one region is enough.
test('resolve hands the image of stage to Terraform; from another branch it gets no role', async () => {
  const ran = await l.act('workflow_dispatch', 'ami-terraform.yml');
  expect([ran.exitCode, ran.failed, deniedIn(l.lab)]).toEqual([0, [], []]);
  const id = await pointerValue(l.cloud, '/ami/web/stage');
  expect(readFileSync(said, 'utf8')).toContain(`terraform -chdir=infra apply -input=false -auto-approve ${id}\n`);
  const red = await l.act('workflow_dispatch', 'ami-terraform.yml', {}, { ref: 'refs/heads/other' });
  expect(red.failed).toEqual(['Apply']);
}, 120_000);

test('drift opens one issue, edits it and closes it; without its role it is red and leaves the issue alone', async () => {
  const drift = async () => {
    const ran = await l.act('workflow_dispatch', 'ami-drift.yml');
    return [ran.exitCode, ran.failed];
  };
  const pointTo = (Value: string) => l.cloud.ssm.send(new PutParameterCommand({ Name: '/ami/web/stage', Value, Overwrite: true }));
  const before = await pointerValue(l.cloud, '/ami/web/stage');
  expect([await drift(), l.github.issues]).toEqual([[0, []], []]);
  await pointTo(await baseImage(l.cloud));
  expect(await drift()).toEqual([0, []]);
  const [issue] = l.github.issues;
  expect([issue?.title, issue?.state]).toEqual(['Drift of web', 'open']);
  const red = await l.act('workflow_dispatch', 'ami-drift.yml', {}, { ref: 'refs/heads/other' });
  expect([red.failed, issue?.state]).toEqual([['Drift'], 'open']);
  expect(await drift()).toEqual([0, []]);
  await pointTo(before);
  expect(await drift()).toEqual([0, []]);
  expect(l.github.issues.map(({ state }) => state)).toEqual(['closed']);
}, 180_000);

test('follow promotes the newest commit of another repository that has a passed image; from another branch it gets no role', async () => {
  const id = await pointerValue(l.cloud, '/ami/web/stage');
  const pointed = await baseImage(l.cloud);
  await l.cloud.ssm.send(new PutParameterCommand({ Name: '/ami/web/stage', Value: pointed, Overwrite: true }));
  l.github.commits.push('f'.repeat(40), tagsOf(l.lab.place(), id)['ami-action:commit'] ?? '');
  const red = await l.act('workflow_dispatch', 'ami-follow.yml', {}, { ref: 'refs/heads/other' });
  expect([red.failed, await pointerValue(l.cloud, '/ami/web/stage')]).toEqual([['Promote to stage'], pointed]);
  const ran = await l.act('workflow_dispatch', 'ami-follow.yml');
  expect([ran.exitCode, ran.succeeded, deniedIn(l.lab)]).toEqual([0, ['Promote to stage'], []]);
  expect(await pointerValue(l.cloud, '/ami/web/stage')).toBe(id);
}, 180_000);

const pull = (action: string, labels: readonly string[] = [], from = 'acme/web') => ({
  payload: {
    action,
    number: 7,
    pull_request: {
      number: 7,
      head: { ref: 'topic', repo: { full_name: from } },
      base: { ref: 'main' },
      labels: labels.map(name => ({ name })),
    },
  },
  ref: 'refs/pull/7/merge',
});

test('a pull request gets one comment with what would be built and rolled out, and nothing changes', async () => {
  l.github.issues.push({ number: 7, title: 'Version 1.1.0', body: '', state: 'open', comments: [] });
  commit('1.1.0');
  const mark = l.lab.calls.mark();
  for (const action of ['opened', 'synchronize']) {
    const ran = await l.act('pull_request', 'ami-pull-request.yml', {}, pull(action));
    expect([ran.exitCode, ran.succeeded, deniedIn(l.lab)]).toEqual([0, ['Preview'], []]);
  }
  expect(Object.keys(l.lab.calls.byOperation(mark)).filter(call => !/:(Describe|Get|List|Assume)/.test(call))).toEqual([]);
  const [comment, ...others] = l.github.issues.find(({ number }) => number === 7)?.comments ?? [];
  expect(others).toEqual([]);
  expect(comment?.body).toMatch(/ami-action:preview\/build[\s\S]*ami-action:preview\/stage/);
  const fork = await l.act('pull_request', 'ami-pull-request.yml', {}, pull('opened', [], 'stranger/web'));
  expect([fork.succeeded, fork.failed]).toEqual([[], []]);
}, 180_000);

test('the label builds and validates an image that latest does not mean; a broken one is red there', async () => {
  const ran = await l.act('pull_request', 'ami-pull-request.yml', {}, pull('labeled', ['ami']));
  expect([ran.exitCode, ran.succeeded, deniedIn(l.lab)]).toEqual([0, ['Build and validate'], []]);
  const built = imagesIn(l.lab, HOME).find(({ version }) => version === '1.1.0');
  expect(tagsOf(l.lab.place(), built?.id ?? '')['ami-action:ref']).toBe('refs/pull/7/merge');
  const latest = await l.act('workflow_dispatch', 'ami-prod.yml', { image: 'latest', 'dry-run': 'true' });
  expect(latest.log).not.toContain(built?.id);
  commit('1.2.0', server => `import turbo\n${server}`);
  const red = await l.act('pull_request', 'ami-pull-request.yml', {}, pull('synchronize', ['ami']));
  expect([red.failed, red.succeeded]).toEqual([['Build and validate'], ['Preview']]);
  const [comment, ...others] = l.github.issues.find(({ number }) => number === 7)?.comments ?? [];
  expect([others, comment?.body.includes('failed validation')]).toEqual([[], true]);
}, 300_000);

test('a run that fails sends a message, one that succeeds sends none; without its secret the message is red', async () => {
  writeFileSync(said, '');
  commit('1.3.0', server => `import turbo\n${server}`);
  const red = await l.act('push', 'ami-stage.yml');
  expect([red.failed, red.succeeded]).toEqual([['Validate'], ['Build']]);
  const run = { name: 'AMI to stage', html_url: 'https://github.com/acme/web/actions/runs/1' };
  const notify = async (conclusion: string, secrets: Record<string, string> = { SLACK_WEBHOOK: 'https://hooks.slack.com/services/x' }) => {
    const { succeeded, failed } = await l.act(
      'workflow_run',
      'ami-notify.yml',
      {},
      { payload: { workflow_run: { ...run, conclusion } }, secrets },
    );
    return { succeeded, failed };
  };
  expect(await notify('failure', {})).toEqual({ succeeded: [], failed: ['Notify'] });
  expect(await notify('success')).toEqual({ succeeded: [], failed: [] });
  expect(await notify('failure')).toEqual({ succeeded: ['Notify'], failed: [] });
  expect(readFileSync(said, 'utf8').trim()).toBe('text: "AMI to stage failed: https://github.com/acme/web/actions/runs/1"');
}, 180_000);

test('the plan of prune is applied after an approval, and another plan is not', async () => {
  const workflows = join(l.repository.path, '.github', 'workflows');
  const prune = readFileSync(join(workflows, 'ami-prune.yml'), 'utf8');
  writeFileSync(join(workflows, 'other.yml'), prune.replace('${{ needs.plan.outputs.plan-hash }}', '0'.repeat(32)));
  // The images of the pull request are two days old now.
  const old = new Date(l.lab.clock.now() - 2 * 86_400_000);
  for (const { id } of imagesIn(l.lab, HOME).filter(one => tagsOf(l.lab.place(), one.id)['ami-action:ref'] !== 'refs/heads/main')) {
    Object.assign(images(l.lab.place()).get(id) ?? {}, { createdAt: old });
    setTags(l.lab.place(), id, { 'ami-action:created-at': old.toISOString() });
  }
  const before = imagesIn(l.lab, HOME);
  const red = await l.act('workflow_dispatch', 'other.yml');
  expect([red.failed, imagesIn(l.lab, HOME)]).toEqual([['Apply'], before]);
  const ran = await l.act('workflow_dispatch', 'ami-prune.yml');
  expect([ran.exitCode, ran.failed, deniedIn(l.lab)]).toEqual([0, [], []]);
  expect(ran.succeeded).toEqual(['Plan', 'Approve', 'Apply']);
  expect(imagesIn(l.lab, HOME).map(({ version }) => version)).toEqual(['1.0.0', '1.3.0']);
}, 180_000);
