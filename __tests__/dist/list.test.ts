import { CreateAutoScalingGroupCommand, SetDesiredCapacityCommand, UpdateAutoScalingGroupCommand } from '@aws-sdk/client-auto-scaling';
import { CreateLaunchTemplateCommand, CreateLaunchTemplateVersionCommand, DescribeSubnetsCommand } from '@aws-sdk/client-ec2';
import { PutParameterCommand } from '@aws-sdk/client-ssm';
import { afterAll, afterEach, expect, test } from '@jest/globals';
import { instances, setTags } from '../../lab/ec2/state.ts';
import { pointerDescription } from '../../src/model/pointer.ts';
import { removeWorkspaces, runAction } from '../harness.ts';
import { serve } from './github.ts';
import { type PruneLab, pruneLab } from './prune-lab.ts';
import { rollLab } from './roll-lab.ts';

let l: PruneLab;
afterEach(() => l.lab.close());
afterAll(removeWorkspaces);

async function stage() {
  l = await pruneLab();
  l.image('old', { daysOld: 20, passed: true, tags: { 'ami-action:version': '1.0', 'ami-action:commit': 'abcdef1234567890' } });
  l.image('new', { daysOld: 1, tags: { 'ami-action:version': '2.0' } });
  l.image('off', { daysOld: 30, change: { state: 'disabled' } });
  await l.parameter('/ami/web/prod', l.id('old'));
}

test('reports of every image what it is, where it is used and what it costs, and changes nothing', async () => {
  await stage();
  const mark = l.lab.calls.mark();
  const ran = await l.act('list');
  expect([ran.exitCode, ran.outputs['outcome'], ran.outputs['count']]).toEqual([0, 'unchanged', '3']);
  expect(l.lab.calls.since(mark).filter(({ operation }) => !/^(Describe|Get|List)/.test(operation))).toEqual([]);
  const images = JSON.parse(ran.outputs['images'] ?? '[]') as Record<string, unknown>[];
  expect(images.map(({ name }) => name)).toEqual(['new', 'old', 'off']);
  expect(images[1]).toEqual({
    ...{ id: l.id('old'), name: 'old', region: 'eu-central-1', architecture: 'x86_64', version: '1.0', commit: 'abcdef1234567890' },
    ...{ state: 'available', 'created-at': l.labImage('old').createdAt.toISOString(), verdict: 'passed' },
    ...{ 'used-by': ['parameter /ami/web/prod'], 'size-gib': 8 },
  });
  expect(images[2]).toMatchObject({ state: 'disabled', verdict: 'none', 'used-by': [] });
  const row = ran.summary.split('\n').find(line => line.includes(l.id('old'))) ?? '';
  expect(row).toBe(
    `| 1.0 | \`abcdef1\` | \`${l.id('old')}\` | available | 20d | ✅\u00a0passed | 🟢\u00a0current | parameter /ami/web/prod | 8 | $0.40 |`,
  );
  expect(ran.summary).toContain('**3 images** in eu-central-1, 2 unused: at most 24 GiB, $1.20 a month.');
});

test('images that other accounts share are listed without their cost', async () => {
  await stage();
  const theirs = { daysOld: 3, account: '999999999999', change: { launchers: new Set([l.home.account]) } };
  l.image('theirs', theirs);
  setTags(l.home, l.id('theirs'), { 'ami-action:family': 'web', 'ami-action:version': '3.0' });
  const ran = await l.act('list');
  expect([ran.exitCode, ran.outputs['count']]).toEqual([0, '4']);
  expect(ran.summary).toContain(
    '**4 images** in eu-central-1, 3 unused: at most 24 GiB, $1.20 a month. Other accounts own 1 of them and pay for it.',
  );
  const row = ran.summary.split('\n').find(line => line.includes(l.id('theirs'))) ?? '';
  expect(row).toMatch(/\| unused \| 8 \| {2}\|$/);
  expect(ran.summary).toContain('✅ No drift: pointers, groups and instances agree.');
});

test('hostile tags stay text', async () => {
  await stage();
  const version = '|x| <img src=x onerror=alert(1)> [a](http://evil) @octocat';
  l.image('evil', { daysOld: 2, tags: { 'ami-action:version': version, 'ami-action:commit': '`|::error::pwned' } });
  l.image('lines', { daysOld: 3, tags: { 'ami-action:version': '1\n::error::pwned\n::set-output name=x::y' } });
  const ran = await l.act('list');
  expect(ran).toMatchObject({ exitCode: 0, errors: [] });
  expect(ran.summary).not.toMatch(/<img|(?<!\\)\]\(http|@octocat/);
  expect(
    ran.summary
      .split('\n')
      .filter(line => line.includes('`ami-'))
      .map(line => line.replace(/\\\|/g, '').split('|').length),
  ).toEqual([12, 12, 12, 12, 12]);
  const images = JSON.parse(ran.outputs['images'] ?? '[]') as { version?: string }[];
  expect(images.map(image => image.version)).toContain(version);
});

test.each([
  ['without the permissions for it', 'DescribeAutoScalingGroups', 'AccessDenied', 403, 'Not allowed to describe Auto Scaling groups'],
  ['where a server lacks the call', 'DescribeSpotFleetRequests', 'InvalidAction', 400, 'AWS refused to describe Spot fleets'],
] as const)('%s, where-used is unknown and the list is complete', async (_, operation, error, status, message) => {
  await stage();
  l.lab.faults.add({ operation, action: { error, message: 'no', status } });
  const ran = await l.act('list');
  expect([ran.exitCode, ran.outputs['count']]).toEqual([0, '3']);
  expect(ran.warnings[0]).toContain(`Where the images in eu-central-1 are used is unknown: ${message}`);
  expect((JSON.parse(ran.outputs['images'] ?? '[]') as object[])[0]).not.toHaveProperty('used-by');
});

test('an image with many users shows two of them, one a line', async () => {
  await stage();
  for (const n of [1, 2, 3, 4]) await l.parameter(`/notes/${n}`, l.id('old'));
  const ran = await l.act('list');
  const row = ran.summary.split('\n').find(line => line.includes(l.id('old'))) ?? '';
  expect(row).toMatch(/\| (parameter [\w/]+<br>){2}and 3 more \|/);
});

test('a family without images is an empty list, and a warning that names the existing families', async () => {
  await stage();
  const ran = await l.act('list', { family: 'wbe' });
  expect([ran.exitCode, ran.outputs['images'], ran.outputs['count']]).toEqual([0, '[]', '0']);
  expect(ran.warnings).toEqual(['"family": no image in eu-central-1 has the tag ami-action:family=wbe. Families there: web.']);
  expect(ran.summary).toContain('### Images of wbe\n\n**No image** of this family exists in eu-central-1.\n\n');
});

test('reports where pointer, groups and newest passed image differ, in every region', async () => {
  await stage();
  l.image('newer', { daysOld: 2, passed: true });
  l.image('us', { daysOld: 3, region: 'us-east-1' });
  const { Subnets = [] } = await l.cloud.ec2.send(new DescribeSubnetsCommand({}));
  const template = { LaunchTemplateName: 'web', LaunchTemplateData: { ImageId: l.id('new'), InstanceType: 't3.micro' as const } };
  await l.cloud.ec2.send(new CreateLaunchTemplateCommand(template));
  await l.cloud.autoScaling.send(
    new CreateAutoScalingGroupCommand({
      ...{ AutoScalingGroupName: 'web', MinSize: 1, MaxSize: 1, VPCZoneIdentifier: Subnets[0]?.SubnetId },
      LaunchTemplate: { LaunchTemplateName: 'web', Version: '1' },
    }),
  );
  for (let waited = 0; instances(l.home).size === 0 && waited < 3600; waited += 30) await l.lab.clock.sleep(30);
  await l.cloud.ec2.send(
    new CreateLaunchTemplateVersionCommand({
      LaunchTemplateName: 'web',
      SourceVersion: '1',
      LaunchTemplateData: { ImageId: l.id('newer') },
    }),
  );
  await l.cloud.autoScaling.send(
    new UpdateAutoScalingGroupCommand({ AutoScalingGroupName: 'web', LaunchTemplate: { LaunchTemplateName: 'web', Version: '2' } }),
  );
  const ran = await l.act('list', { regions: 'us-east-1' });
  expect([ran.exitCode, ran.outputs['count']]).toEqual([0, '5']);
  const drift = JSON.parse(l.named(ran.outputs['drift'] ?? '[]')) as { who: string; says: string }[];
  expect(drift.map(({ who, says }) => `${who.replace(/i-0\w+/, 'i-?')} ${says}`)).toEqual([
    '/ami/web/prod names 1.0 (old); 1 newer image has passed, the newest is newer',
    '/ami/web/prod names 1.0 (old), which no group or instance in this region runs',
    expect.stringMatching(
      /^group web launches newer \(version 2 of web, created \S+ \S+ UTC by arn:aws:iam::…\d{4}:user\/lab\), which no pointer names$/,
    ),
    'instance i-? runs new, but its group web launches newer',
  ]);
  expect(ran.summary).toContain('| us-east-1 | available |');
  expect(l.named(ran.summary)).toMatch(
    /\| group web \| eu-central-1 \| launches newer \(version 2 of web, created \S+ \S+ UTC by arn:aws:iam::\d{12}:user\/lab\), which no pointer names \|/,
  );
  // Drift is above the images.
  expect(ran.summary.indexOf('| ⚠️ Drift | Region |')).toBeLessThan(ran.summary.indexOf('| Version | '));
  expect(l.named(ran.log)).toMatch(
    /Drift in eu-central-1: group web launches newer \(version 2 of web, created [^)]*\), which no pointer names/,
  );
});

test('shows how long instances of the family take to be in service, and others of the same group', async () => {
  const r = await rollLab({ speed: 120 });
  l = r as unknown as PruneLab;
  const [base, saved] = [r.image('debian', { 'ami-action:family': 'base' }), r.image('web-a')];
  const web = await r.template('web', { ImageId: base });
  await r.pointerTo(saved);
  await r.group('web', { LaunchTemplateId: web, Version: '$Latest' }, { DesiredCapacity: 0 });
  /** Scales out by one instance, which boots for so long. */
  async function launched(boot: number): Promise<void> {
    Object.assign(r.lab.core.timings, { boot });
    const DesiredCapacity = r.runs('web').length + 1;
    await r.cloud.autoScaling.send(new SetDesiredCapacityCommand({ AutoScalingGroupName: 'web', DesiredCapacity }));
    for (let waited = 0; r.runs('web').length < DesiredCapacity && waited < 3600; waited += 2) await r.lab.clock.sleep(2);
  }
  await launched(420);
  await r.cloud.ec2.send(
    new CreateLaunchTemplateVersionCommand({ LaunchTemplateId: web, SourceVersion: '1', LaunchTemplateData: { ImageId: saved } }),
  );
  await launched(60);
  const list = () => runAction({ mode: 'list', with: { family: 'web' }, lab: r.lab });
  const ran = await list();
  const [, family = '', others = ''] =
    /\| (\d+)m\S* \(other images: (\d+)m\S*\) \|/.exec(ran.summary.replaceAll('\u00a0', ' ').replace(/(\d+m) \d+s/g, '$1')) ?? [];
  expect([ran.errors, ran.summary.includes('| In service after |')]).toEqual([[], true]);
  // Boots of 60 and of 420 seconds, and the health checks.
  expect([Number(family) >= 1 && Number(family) <= 3, Number(others) >= 7 && Number(others) <= 10]).toEqual([true, true]);
  // Without the permission, the list is the same without this column.
  r.lab.faults.add({ operation: 'DescribeScalingActivities', action: { error: 'AccessDenied', message: 'no', status: 403 } });
  const without = await list();
  expect([without.exitCode, without.warnings, without.summary.includes('In service after')]).toEqual([0, [], false]);
}, 120_000);

test('the groups of each environment as the file names them, and who promoted what, from pointers and deployments', async () => {
  await stage();
  const run = (id: number) => `https://github.com/acme/web/actions/runs/${id}`;
  const written = (name: string, Value: string, id: number, was: string) =>
    l.cloud.ssm.send(
      new PutParameterCommand({
        ...{ Name: name, Value, Overwrite: true },
        Description: pointerDescription('promote', { was, commit: 'c0ffee', run: `${run(id)} attempt 1` }),
      }),
    );
  const deployed = new Date(l.lab.clock.now() - 60_000).toISOString();
  await written('/ami/web/prod', l.id('new'), 7, l.id('old'));
  await l.parameter('/ami/web/stage', l.id('new'));
  const { Subnets = [] } = await l.cloud.ec2.send(new DescribeSubnetsCommand({}));
  const template = { LaunchTemplateName: 'web', LaunchTemplateData: { ImageId: l.id('new'), InstanceType: 't3.micro' as const } };
  await l.cloud.ec2.send(new CreateLaunchTemplateCommand(template));
  for (const AutoScalingGroupName of ['web-stage', 'web-prod'])
    await l.cloud.autoScaling.send(
      new CreateAutoScalingGroupCommand({
        ...{ AutoScalingGroupName, MinSize: 0, MaxSize: 1, DesiredCapacity: 0, VPCZoneIdentifier: Subnets[0]?.SubnetId },
        LaunchTemplate: { LaunchTemplateName: 'web', Version: '1' },
      }),
    );
  let status = 200;
  const github = await serve(({ searchParams }) => {
    if (status !== 200) return { status, body: { message: 'Resource not accessible' } };
    const payload = { image: l.id('new'), actor: 'octocat' };
    const made = { id: 1, payload, created_at: deployed, creator: { login: 'bot' } };
    return { body: searchParams.get('environment') === 'prod' ? [made] : [] };
  });
  const file = 'family: web\nenvironments:\n  prod: { groups: [web-prod] }\n  stage: { groups: [web-stage] }\n';
  const list = () =>
    l.act('list', { 'github-token': 'secret' }, { files: { '.github/ami.yml': file }, env: { GITHUB_API_URL: github.url } });
  const ran = await list();
  expect(ran).toMatchObject({ exitCode: 0, warnings: [] });
  const rows = l.named(ran.summary).split('\n');
  expect(rows.find(row => row.startsWith('| prod |'))).toContain('| `web-prod` (0 instances) |');
  expect(rows.find(row => row.startsWith('| stage |'))).toContain('| `web-stage` (0 instances) |');
  const change = { environment: 'prod', region: 'eu-central-1', at: expect.any(String) };
  expect(JSON.parse(l.named(ran.outputs['history'] ?? ''))).toEqual([
    { ...change, 'ami-id': 'new', operation: 'promote', run: run(7), by: 'octocat' },
    { ...change, 'ami-id': 'old' },
    { ...change, environment: 'stage', 'ami-id': 'new' },
  ]);
  expect(rows.filter(row => row.includes(run(7)))).toEqual([
    expect.stringMatching(/^\| prod \| 2\.0 \|/),
    expect.stringMatching(/^\| prod \| [^|]+ \| 2\.0 \| promote \| \[run\]\(\S+\) \| octocat \|$/),
  ]);
  status = 403;
  const refused = await list();
  expect(refused.warnings).toEqual(['Who started the promotions is unknown: GitHub refused the deployment: 403 Resource not accessible']);
  expect(JSON.parse(refused.outputs['history'] ?? '')[0]).toMatchObject({ run: run(7) });
  expect(JSON.parse(refused.outputs['history'] ?? '')[0]).not.toHaveProperty('by');
  await github.close();
});
