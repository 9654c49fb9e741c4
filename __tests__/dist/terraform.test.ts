import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DescribeSubnetsCommand, RunInstancesCommand } from '@aws-sdk/client-ec2';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { groups } from '../../lab/autoscaling/group.ts';
import { images, neighbours } from '../../lab/ec2/images.ts';
import { templates } from '../../lab/ec2/launch-template-state.ts';
import { mishaps } from '../../lab/ec2/mishaps.ts';
import { instances, tagsOf } from '../../lab/ec2/state.ts';
import { readPolicy } from '../../lab/iam/policy.ts';
import { instanceProfiles, roles } from '../../lab/iam/roles.ts';
import { parameters } from '../../lab/ssm/parameter-state.ts';
import { removeWorkspaces } from '../harness.ts';
import { type RollLab, rollLab } from './roll-lab.ts';
import { policy } from './saved-instance.ts';

/**
 * The examples, with real Terraform and its real AWS provider. Where there is no Terraform, there is nothing to try. AMI_ACTION_TERRAFORM_PLUGINS is a
 * folder with the provider, for machines that do not reach the registry.
 */
const EXAMPLES = join(import.meta.dirname, '..', '..', 'examples', 'terraform');
const PLUGINS = process.env['AMI_ACTION_TERRAFORM_PLUGINS'];
const PROVIDER =
  PLUGINS && readdirSync(PLUGINS, { recursive: true, encoding: 'utf8' }).find(file => file.includes('/terraform-provider-aws_v'));
const here = spawnSync('terraform', ['version']).status === 0 ? test : test.skip;

let l: RollLab;
const folders: string[] = [];
let provider: ChildProcess | undefined;
afterEach(async () => {
  provider?.kill('SIGKILL');
  provider = undefined;
  await l?.lab.close();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});
afterAll(removeWorkspaces);

/** One process of the provider for all commands of a test: each would start its own, twice. https://developer.hashicorp.com/terraform/plugin/debugging */
function reattached(env: Record<string, string>): Promise<Record<string, string>> {
  if (PROVIDER === undefined) return Promise.resolve({});
  const child = spawn(join(PLUGINS ?? '', PROVIDER), ['-debug'], { env, stdio: ['ignore', 'pipe', 'ignore'] });
  provider = child;
  let output = '';
  return new Promise((done, fail) => {
    child.once('close', () => fail(new Error(`the provider did not start: ${output}`)));
    child.stdout.on('data', chunk => {
      output += chunk;
      const [, attach] = /TF_REATTACH_PROVIDERS='(.*)'/.exec(output) ?? [];
      if (attach !== undefined) done({ TF_REATTACH_PROVIDERS: attach });
    });
  });
}

/** An example by its folder, or the text of a configuration, which may use the examples as modules. */
async function terraform(example: string, variables: Record<string, string> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'ami-action-terraform-'));
  folders.push(folder);
  if (example.includes('\n')) {
    cpSync(EXAMPLES, join(folder, 'examples'), { recursive: true });
    cpSync(join(EXAMPLES, '..', 'save-ami'), join(folder, 'save-ami'), { recursive: true });
    writeFileSync(join(folder, 'main.tf'), example);
  } else cpSync(join(EXAMPLES, example), folder, { recursive: true, filter: from => !/(pointer|-role)$/.test(from) || example !== '.' });
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: folder,
    ...l.lab.environment(),
    ...Object.fromEntries(Object.entries(variables).map(([name, value]) => [`TF_VAR_${name}`, value])),
    TF_IN_AUTOMATION: '1',
    CHECKPOINT_DISABLE: '1',
  };
  Object.assign(env, await reattached(env));
  // Not blocking: the lab that it talks to lives in this process.
  const run = (...args: readonly string[]): Promise<{ status: number; output: string }> => {
    const child = spawn('terraform', [...args], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => (output += chunk));
    return new Promise(done => child.once('close', status => done({ status: status ?? -1, output })));
  };
  return {
    run,
    write: (text: string, file = 'main.tf') => writeFileSync(join(folder, file), text),
    init: () => run('init', '-input=false', '-no-color', ...(PLUGINS === undefined ? [] : [`-plugin-dir=${PLUGINS}`])),
    apply: () => run('apply', '-auto-approve', '-input=false', '-no-color'),
    /** 0: nothing to change, 2: something. */
    plan: () => run('plan', '-detailed-exitcode', '-input=false', '-no-color'),
    destroy: () => run('destroy', '-auto-approve', '-input=false', '-no-color'),
    output: async (name: string) => (await run('output', '-raw', name)).output,
  };
}

const FLEET = `
variable "subnet_ids" { type = list(string) }
variable "image_id" { type = string }

resource "aws_instance" "one" {
  ami           = var.image_id
  instance_type = "t3.micro"
  lifecycle { ignore_changes = [ami] }
}
resource "aws_ami_from_instance" "one" {
  name                    = "of-terraform"
  source_instance_id      = aws_instance.one.id
  snapshot_without_reboot = true
}
resource "aws_ami_launch_permission" "one" {
  image_id   = aws_ami_from_instance.one.id
  account_id = "444455556666"
}
resource "aws_ssm_parameter" "image" {
  name      = "/of/terraform"
  type      = "String"
  data_type = "aws:ec2:image"
  value     = aws_ami_from_instance.one.id
}
resource "aws_launch_template" "fleet" {
  name          = "fleet"
  image_id      = var.image_id
  instance_type = "t3.micro"
}
resource "aws_autoscaling_group" "fleet" {
  name                = "fleet"
  min_size            = 0
  max_size            = 4
  desired_capacity    = 1
  vpc_zone_identifier = var.subnet_ids
  launch_template { id = aws_launch_template.fleet.id }
}
resource "aws_autoscaling_policy" "fleet" {
  name                   = "fleet"
  autoscaling_group_name = aws_autoscaling_group.fleet.name
  adjustment_type        = "ChangeInCapacity"
  scaling_adjustment     = 1
}
resource "aws_autoscaling_lifecycle_hook" "fleet" {
  name                   = "fleet"
  autoscaling_group_name = aws_autoscaling_group.fleet.name
  lifecycle_transition   = "autoscaling:EC2_INSTANCE_LAUNCHING"
  heartbeat_timeout      = 60
}
resource "aws_autoscaling_schedule" "fleet" {
  scheduled_action_name  = "fleet"
  autoscaling_group_name = aws_autoscaling_group.fleet.name
  recurrence             = "0 6 * * *"
  min_size               = 0
}
`;

/** What docs/coming-from/instance-refresh.md says: settings, and what Terraform leaves alone afterwards. */
const PAGE = readFileSync(join(EXAMPLES, '..', '..', 'docs', 'coming-from', 'instance-refresh.md'), 'utf8');
const block = (kind: string, n = 0): string => [...PAGE.matchAll(new RegExp(`\`\`\`${kind}\n([\\s\\S]*?)\`\`\``, 'g'))][n]?.[1] ?? '';
const IGNORE = /(?<template>lifecycle \{[^}]*\})[\s\S]*(?<group>lifecycle \{[^}]*\})/.exec(block('hcl', 1))?.groups ?? {};

/** A fleet whose image Terraform rolls. `moved`: as the page says. */
const refreshed = (moved: boolean) => `
variable "release" { default = "1" }
data "aws_ami" "latest" {
  most_recent = true
  owners      = ["self"]
  filter {
    name   = "name"
    values = ["api-*"]
  }
}
resource "aws_launch_template" "api" {
  name          = "api-prod"
  image_id      = data.aws_ami.latest.id
  instance_type = "t3.micro"
  ${moved ? IGNORE['template'] : ''}
}
resource "aws_autoscaling_group" "api" {
  name                = "api-prod"
  min_size            = 0
  max_size            = 4
  desired_capacity    = 2
  vpc_zone_identifier = var.subnet_ids
  launch_template {
    id      = aws_launch_template.api.id
    version = aws_launch_template.api.latest_version
  }
  tag {
    key                 = "release"
    value               = var.release
    propagate_at_launch = true
  }
  ${moved ? IGNORE['group'] : block('hcl')}
}
`;

/** The steps of the page for the group of `refreshed`. */
async function refreshedFleet() {
  const POINTER = '/ami/api/prod';
  const image = (name: string) => l.image(name, { 'ami-action:family': 'api' });
  const { family: _, region: __, environments } = parse(block('yaml'));
  const wanted = Object.fromEntries(
    Object.entries({ ...environments.prod, groups: 'api-prod' }).map(([key, value]) => [key, String(value)]),
  );
  const act = (mode: 'promote' | 'rollback', more: Record<string, string> = {}) =>
    l.act(mode, { ...wanted, family: 'api', environment: 'prod', 'roll-timeout': '4h', ...more });
  const refreshes = () => groups(l.place).get('api-prod')?.refreshes ?? [];
  const state = () => [[...new Set(l.runs('api-prod'))], l.pointer(POINTER), l.candidate(POINTER)];
  const ours = () =>
    l.lab.calls
      .all()
      .filter(
        ({ operation, client, input }) =>
          operation === 'StartInstanceRefresh' && client.includes('mode/') && input['AutoScalingGroupName'] === 'api-prod',
      );
  const one = image('api-1');
  await l.alarm('web-errors', 'OK');
  let [two, three] = ['', ''];
  return {
    /** Its data source finds a newer image, and its apply starts a refresh. */
    async rolledByTerraform(apply: () => Promise<{ readonly output: string }>) {
      expect(l.runs('api-prod')).toEqual([one, one]);
      two = image('api-2');
      expect((await apply()).output).toContain('0 added, 2 changed, 0 destroyed');
      for (let waited = 0; refreshes()[0]?.endedAt === undefined && waited < 7200; waited += 60) await l.lab.clock.sleep(60);
      expect([state(), refreshes().map(({ status }) => status)]).toEqual([[[two], undefined, false], ['Successful']]);
    },
    /** The image that it runs, then the next one, with the settings of the page: AWS gets the same as from Terraform. */
    async moved() {
      const first = await act('promote', { image: two });
      expect([first.errors, state(), refreshes().length]).toEqual([[], [[two], two, false], 1]);
      three = image('api-3');
      expect((await act('promote', { image: three })).errors).toEqual([]);
      expect([state(), refreshes().length]).toEqual([[[three], three, false], 2]);
      const [mine, terraforms] = refreshes().map(({ rules }) => rules);
      expect({ ...mine, bakeSeconds: 0 }).toEqual({ ...terraforms, bakeSeconds: 0 });
    },
    /** A bad image, and Terraform's own look at what is left. */
    async failed() {
      const bad = image('api-4');
      mishaps(l.place).impaired.add(bad);
      const ran = await act('promote', { image: bad });
      expect([ran.outputs['outcome'], state()]).toEqual(['rejected', [[three], three, false]]);
      expect(ran.errors.join('\n')).toContain('Reverted: every group launches and runs what it did before');
    },
    async rolledBack() {
      expect((await act('rollback')).errors).toEqual([]);
      expect(state()).toEqual([[two], two, false]);
    },
    /** Every refresh but the first one is ours. */
    expectUntouched() {
      expect([state(), refreshes().length - ours().length]).toEqual([[[two], two, false], 1]);
    },
  };
}

async function subnets(): Promise<string> {
  const { Subnets = [] } = await l.cloud.ec2.send(new DescribeSubnetsCommand({}));
  return JSON.stringify(Subnets.slice(0, 1).map(({ SubnetId }) => SubnetId));
}

describe('Terraform next to ami-action', () => {
  here(
    'reads the base image before the first promotion and the pointer after it; a group that instance_refresh rolled is moved to promote, and back by rollback',
    async () => {
      l = await rollLab({ speed: 600 });
      const [base, a, b] = [l.image('base'), l.image('web-a'), l.image('web-b')];
      await l.pointerTo(base, '/base');
      const fleet = await refreshedFleet();
      const tf = await terraform('.', { subnet_ids: await subnets(), base_image_parameter: '/base' });
      tf.write(refreshed(false), 'api.tf');
      expect((await tf.init()).output).toContain('successfully initialized');
      const applied = await tf.apply();
      expect(applied.output).toContain('Apply complete! Resources: 4 added');
      expect(await tf.output('image_id')).toBe(base);
      await fleet.rolledByTerraform(() => tf.apply());
      tf.write(refreshed(true), 'api.tf');
      // The block itself.
      expect((await tf.apply()).output).toContain('0 added, 1 changed, 0 destroyed');
      await fleet.moved();
      for (const image of [a, b]) {
        expect(await l.act('promote', { image, groups: 'web-stage' })).toMatchObject({ exitCode: 0, outputs: { outcome: 'done' } });
        const plan = await tf.run('plan', '-detailed-exitcode', '-input=false', '-no-color');
        expect(plan.output).not.toMatch(/aws_(launch_template|autoscaling_group)\.\w+ will be/);
        if (image === a) await fleet.failed();
      }
      const released = await tf.run('apply', '-auto-approve', '-input=false', '-no-color', '-var=release=2');
      expect(released.output).toContain('0 added, 1 changed, 0 destroyed');
      expect([await tf.output('image_id'), l.runs('web-stage'), l.launches('web-stage')?.LaunchTemplate?.Version]).toEqual([b, [b], '3']);
      expect((await l.act('rollback', { groups: 'web-stage' })).exitCode).toBe(0);
      await fleet.rolledBack();
      expect((await tf.run('apply', '-auto-approve', '-input=false', '-no-color', '-var=release=2')).output).toContain(
        '0 added, 0 changed, 0 destroyed',
      );
      fleet.expectUntouched();
      expect([await tf.output('image_id'), l.runs('web-stage'), l.pointer()]).toEqual([a, [a], a]);
      expect((await tf.destroy()).output).toContain('Destroy complete! Resources: 4 destroyed.');
      expect([groups(l.place).has('web-stage'), [...templates(l.place).values()].map(({ name }) => name)]).toEqual([false, []]);
    },
    300_000,
  );

  here(
    'makes a launch template that reads the pointer, which each launch then does',
    async () => {
      l = await rollLab();
      const [a, b] = [l.image('web-a'), l.image('web-b')];
      const tf = await terraform('reads-pointer', {});
      await tf.init();
      for (const image of [a, b]) {
        expect((await l.act('promote', { image, strategy: 'none' })).exitCode).toBe(0);
        expect((await tf.apply()).status).toBe(0);
        const LaunchTemplateId = await tf.output('launch_template_id');
        const { Instances = [] } = await l.cloud.ec2.send(
          new RunInstancesCommand({ LaunchTemplate: { LaunchTemplateId }, MinCount: 1, MaxCount: 1 }),
        );
        expect(instances(l.place).get(Instances[0]?.InstanceId ?? '')?.imageId).toBe(image);
        expect((await tf.plan()).status).toBe(0);
      }
      expect((await tf.destroy()).output).toContain('Destroy complete! Resources: 1 destroyed.');
      expect(templates(l.place).size).toBe(0);
    },
    300_000,
  );

  here(
    'makes, changes and destroys an instance, its image, and a group with all that hangs on it',
    async () => {
      // Terraform waits until it has seen the instance terminated.
      l = await rollLab({ timings: { forget: 86_400 } });
      const [a, b] = [l.image('web-a'), l.image('web-b')];
      const tf = await terraform(FLEET, { subnet_ids: await subnets(), image_id: a });
      await tf.init();
      expect((await tf.apply()).output).toContain('Apply complete! Resources: 9 added');
      expect((await tf.plan()).output).toContain('No changes.');
      const changed = await tf.run('apply', '-auto-approve', '-input=false', '-no-color', `-var=image_id=${b}`);
      expect(changed.output).toContain('0 added, 1 changed, 0 destroyed');
      expect((await tf.run('plan', '-input=false', '-no-color', `-var=image_id=${b}`)).output).toContain('No changes.');
      expect((await tf.destroy()).output).toContain('Destroy complete! Resources: 9 destroyed');
      expect([groups(l.place).size, templates(l.place).size, parameters(l.place).size]).toEqual([0, 0, 0]);
      expect([...instances(l.place).values()].filter(({ state }) => state !== 'terminated')).toEqual([]);
    },
    300_000,
  );
});

const ACCOUNT = '111122223333';
const CONSUMER = '444455556666';
const arn = (name: string, account = ACCOUNT) => `arn:aws:iam::${account}:role/${name}`;

/** The same stacks for both ways: parameters of the templates, and arguments of the modules. */
const COMMON = { subject: 'repo:acme/web', repository_id: '456789', families: ['web', 'shop'] };
const OPTIONAL = {
  release_tags: 'v*',
  workflow: 'org/ami-action/.github/workflows/ami-pipeline.yml@*',
  verdict_key: 'arn:aws:kms:eu-central-1:111122223333:key/1',
};
const ENVIRONMENT = {
  ...COMMON,
  environment: 'stage',
  pointers: ['/ami/web', '/ami/shop'],
  groups: ['web*', 'shop*'],
  launch_templates: ['lt-1', 'lt-2'],
};
const WAYS: readonly (readonly [name: string, delivery: Arguments, environment: Arguments])[] = [
  [
    'with all parameters',
    {
      ...{
        ...COMMON,
        ...OPTIONAL,
        branch: 'release',
        launch_templates: ['lt-1', 'lt-2'],
        adopt: true,
        packer_copies: true,
        keys: ['arn:aws:kms:eu-central-1:111122223333:key/2'],
      },
      ...{ consumer_accounts: [CONSUMER, '777788889999'], other_roles: [arn('share', CONSUMER)], readers: [arn('reader', CONSUMER)] },
      pull_requests: 'build',
      stacks: ['web', 'shop-web'],
    },
    {
      ...{
        ...ENVIRONMENT,
        ...OPTIONAL,
        branch: 'release',
        group_roles: [arn('web')],
        hook_roles: [arn('hook')],
        node_groups: ['main/blue'],
        launch_configurations: true,
        hosted_zones: ['arn:aws:route53:::hostedzone/Z1'],
        stacks: ['web', 'shop-web'],
        listeners: ['arn:aws:elasticloadbalancing:eu-central-1:111122223333:listener/net/web/1/2'],
        other_roles: [arn('reader', CONSUMER)],
      },
      delivery_role: arn('images', CONSUMER),
    },
  ],
  ['with the required parameters', COMMON, ENVIRONMENT],
];
type Arguments = Readonly<Record<string, string | boolean | readonly string[]>>;

const moduleOf = (name: string, folder: string, given: Arguments): string =>
  [
    `module "${name}" {`,
    `  source = "./examples/${folder}"`,
    ...Object.entries({ name: 'tf', repository: 'acme/web', ...given }).map(([key, value]) => `  ${key} = ${JSON.stringify(value)}`),
    '}',
    '',
  ].join('\n');

const pascal = (name: string) => name.replace(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase());
const parametersOf = (given: Arguments): Record<string, string> =>
  Object.fromEntries(
    Object.entries(given).map(([key, value]) => [
      pascal(key),
      value === true ? 'allow' : Array.isArray(value) ? value.join(',') : String(value),
    ]),
  );

/** What a role grants and trusts, whatever its name and the order of its lists. */
function grants(name: string): unknown {
  const role = [...roles(l.lab.core).values()].find(one => one.name === name);
  if (role === undefined) return undefined;
  const sorted = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(sorted).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
    if (typeof value !== 'object' || value === null)
      return String(value)
        .replace(/role\/(?:cfn|tf)\d/, 'role/its')
        .replace('its-TestInstance', 'its-test');
    return Object.fromEntries(
      Object.entries(value)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, member]) => [key, sorted(member)]),
    );
  };
  return sorted([role.trust, role.policies]);
}

describe('the roles from Terraform', () => {
  here(
    'grant what those of the CloudFormation templates grant; a second plan is empty, and nothing remains after them',
    async () => {
      l = await rollLab();
      const template = (name: string) => readFileSync(join(EXAMPLES, '..', name), 'utf8');
      const tf = await terraform(
        WAYS.map(
          ([, delivery, environment], i) =>
            `${moduleOf(`d${i}`, 'delivery-role', { ...delivery, name: `tf${i}`, create_provider: i === 0 })}${moduleOf(`e${i}`, 'environment-role', { ...environment, name: `tf${i}-stage` })}`,
        ).join(''),
      );
      expect((await tf.init()).output).toContain('successfully initialized');
      const applied = await tf.apply();
      expect(applied.output).toContain('Apply complete!');
      expect((await tf.plan()).status).toBe(0);
      for (const [i, [, delivery, environment]] of WAYS.entries()) {
        l.lab.deploy(template('delivery-role.yml'), {
          stack: `cfn${i}`,
          parameters: { ...parametersOf(delivery), Repository: 'acme/web' },
        });
        l.lab.deploy(template('environment-role.yml'), { stack: `cfn${i}-stage`, parameters: parametersOf(environment) });
        for (const role of ['images', 'read', 'stage-rollout', 'stage-share'])
          expect(grants(`tf${i}-${role}`)).toEqual(grants(`cfn${i}-${role}`));
        expect(grants(`tf${i}-test`)).toEqual(grants(`cfn${i}-TestInstance`));
        expect(grants(`tf${i}-images`)).toBeDefined();
      }
      expect(instanceProfiles(l.lab.core).get(`arn:aws:iam::${ACCOUNT}:instance-profile/tf0-test`)).toBe(arn('tf0-test'));
      expect((await tf.destroy()).output).toContain('Destroy complete!');
      expect([...roles(l.lab.core).keys()].filter(one => one.includes('/tf'))).toEqual([]);
    },
    300_000,
  );
});

describe('an instance that saves itself', () => {
  const saves = (more = '') => `
variable "subnet_ids" { type = list(string) }
module "web" {
  source      = "./save-ami"
  app         = "web"
  environment = "stage"
  subnet_ids  = var.subnet_ids
  debian      = "debian-12-amd64-*"
  instances   = 1
  ${more}
}
output "image_id" { value = module.web.image_id }
`;
  /** bash reads the script, and its settings are those of the page. */
  function expectDocumented(script: string): void {
    expect([spawnSync('bash', ['-n'], { input: script }).status, script.includes('./save-ami.sh')]).toEqual([0, true]);
    const settings = /cat > ami.yml <<SETTINGS\n([\s\S]*?)SETTINGS\n/.exec(script)?.[1] ?? '';
    const page = readFileSync(join(EXAMPLES, '..', '..', 'docs', 'coming-from', 'save-ami.md'), 'utf8');
    const [, documented = ''] = /```yaml\n([\s\S]*?)```/.exec(page) ?? [];
    const { subnet, tags, ...written } = parse(settings, { schema: 'failsafe' });
    const { tags: documentedTags, ...rest } = parse(documented, { schema: 'failsafe' });
    expect([written, Object.keys(tags), subnet.length]).toEqual([rest, Object.keys(documentedTags), 1]);
  }
  const userData = () => {
    const [template] = [...templates(l.place).values()];
    return Buffer.from([...(template?.versions.values() ?? [])].at(-1)?.data.UserData ?? '', 'base64').toString();
  };

  here(
    'starts from Debian before the first image, from that image afterwards, and from Debian again where custom images are off',
    async () => {
      // Terraform waits until it has seen the instance terminated.
      l = await rollLab({ timings: { forget: 86_400 } });
      const tf = await terraform(saves(), { subnet_ids: await subnets() });
      expect((await tf.init()).output).toContain('successfully initialized');
      expect((await tf.apply()).output).toContain('Apply complete!');
      const debian = await tf.output('image_id');
      expect(
        neighbours(l.place)
          .flatMap(owner => [...images(owner).values()])
          .find(({ id }) => id === debian)?.name,
      ).toMatch(/^debian-12-amd64-/);
      expect(roles(l.lab.core).get(arn('web-stage'))?.policies).toEqual(readPolicy(policy()));
      // A regular instance, which the role may save.
      const regular = [...instances(l.place).values()].filter(({ id }) => tagsOf(l.place, id)['ami-action:saved-as'] === 'web-stage');
      expect(regular.map(({ imageId, state }) => [imageId, state])).toEqual([[debian, 'running']]);
      const delivery = readFileSync(join(EXAMPLES, '..', 'delivery-role.yml'), 'utf8');
      l.lab.deploy(delivery, { stack: 'cfn0', parameters: { ...parametersOf(COMMON), Repository: 'acme/web' } });
      expect(grants('web-stage-test')).toEqual(grants('cfn0-TestInstance'));
      expectDocumented(userData());
      expect((await tf.plan()).output).toContain('No changes.');
      const saved = l.image('web-a');
      await l.pointerTo(saved, '/deploy_ex/stage/web/latest_ami');
      expect((await tf.apply()).output).toContain('0 added, 2 changed, 0 destroyed');
      expect([await tf.output('image_id'), userData().includes('save-ami')]).toEqual([saved, false]);
      expect((await tf.plan()).status).toBe(0);
      tf.write(saves('use_custom_ami = false'));
      expect((await tf.apply()).output).toContain('0 added, 2 changed, 0 destroyed');
      expect([await tf.output('image_id'), userData().includes('./save-ami.sh')]).toEqual([debian, true]);
      expect((await tf.destroy()).output).toContain('Destroy complete!');
    },
    300_000,
  );
});
