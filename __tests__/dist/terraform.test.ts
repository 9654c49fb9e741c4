import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DescribeSubnetsCommand, RunInstancesCommand } from '@aws-sdk/client-ec2';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { groups } from '../../lab/autoscaling/group.ts';
import { templates } from '../../lab/ec2/launch-template-state.ts';
import { instances } from '../../lab/ec2/state.ts';
import { parameters } from '../../lab/ssm/parameter-state.ts';
import { removeWorkspaces } from '../harness.ts';
import { type RollLab, rollLab } from './roll-lab.ts';

/**
 * The examples, with real Terraform and its real AWS provider. Where there is no Terraform, there is nothing to try. AMI_ACTION_TERRAFORM_PLUGINS is a
 * folder with the provider, for machines that do not reach the registry.
 */
const EXAMPLES = join(import.meta.dirname, '..', '..', 'examples', 'terraform');
const PLUGINS = process.env['AMI_ACTION_TERRAFORM_PLUGINS'];
const here = spawnSync('terraform', ['version']).status === 0 ? test : test.skip;

let l: RollLab;
const folders: string[] = [];
afterEach(async () => {
  await l?.lab.close();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});
afterAll(removeWorkspaces);

/** An example by its folder, or the text of a configuration. */
function terraform(example: string, variables: Record<string, string> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'ami-action-terraform-'));
  folders.push(folder);
  if (example.includes('\n')) writeFileSync(join(folder, 'main.tf'), example);
  else cpSync(join(EXAMPLES, example), folder, { recursive: true, filter: from => !from.endsWith('reads-pointer') || example !== '.' });
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: folder,
    ...l.lab.environment(),
    ...Object.fromEntries(Object.entries(variables).map(([name, value]) => [`TF_VAR_${name}`, value])),
    TF_IN_AUTOMATION: '1',
    CHECKPOINT_DISABLE: '1',
  };
  // Not blocking: the lab that it talks to lives in this process.
  const run = (...args: readonly string[]): Promise<{ status: number; output: string }> => {
    const child = spawn('terraform', [...args], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => (output += chunk));
    return new Promise(done => child.once('close', status => done({ status: status ?? -1, output })));
  };
  return {
    run,
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
}
resource "aws_autoscaling_schedule" "fleet" {
  scheduled_action_name  = "fleet"
  autoscaling_group_name = aws_autoscaling_group.fleet.name
  recurrence             = "0 6 * * *"
  min_size               = 0
}
`;

async function subnets(): Promise<string> {
  const { Subnets = [] } = await l.cloud.ec2.send(new DescribeSubnetsCommand({}));
  return JSON.stringify(Subnets.slice(0, 1).map(({ SubnetId }) => SubnetId));
}

describe('Terraform beside ami-action', () => {
  here(
    'reads the base image before the first promotion and the pointer after it, and takes neither promotion nor rollback back',
    async () => {
      l = await rollLab();
      const [base, a, b] = [l.image('base'), l.image('web-a'), l.image('web-b')];
      await l.pointerTo(base, '/base');
      const tf = terraform('.', { subnet_ids: await subnets(), base_image_parameter: '/base' });
      expect((await tf.init()).output).toContain('successfully initialized');
      const applied = await tf.apply();
      expect(applied.output).toContain('Apply complete! Resources: 2 added');
      expect(await tf.output('image_id')).toBe(base);
      for (const image of [a, b]) {
        expect(await l.act('promote', { image, groups: 'web-stage' })).toMatchObject({ exitCode: 0, outputs: { outcome: 'done' } });
        const plan = await tf.run('plan', '-detailed-exitcode', '-input=false', '-no-color');
        expect(plan.output).not.toMatch(/aws_(launch_template|autoscaling_group)\.web will be/);
      }
      expect((await tf.apply()).output).toContain('0 added, 0 changed, 0 destroyed');
      expect([await tf.output('image_id'), l.runs('web-stage'), l.launches('web-stage')?.LaunchTemplate?.Version]).toEqual([b, [b], '3']);
      expect((await l.act('rollback', { groups: 'web-stage' })).exitCode).toBe(0);
      expect((await tf.apply()).output).toContain('0 added, 0 changed, 0 destroyed');
      expect([await tf.output('image_id'), l.runs('web-stage'), l.pointer()]).toEqual([a, [a], a]);
    },
    300_000,
  );

  here(
    'makes a launch template that reads the pointer, which each launch then does',
    async () => {
      l = await rollLab();
      const [a, b] = [l.image('web-a'), l.image('web-b')];
      const tf = terraform('reads-pointer', {});
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
    },
    300_000,
  );

  here(
    'makes, changes and destroys an instance, its image, and a group with all that hangs on it',
    async () => {
      l = await rollLab();
      const [a, b] = [l.image('web-a'), l.image('web-b')];
      const tf = terraform(FLEET, { subnet_ids: await subnets(), image_id: a });
      await tf.init();
      expect((await tf.apply()).output).toContain('Apply complete! Resources: 9 added');
      expect((await tf.plan()).status).toBe(0);
      const changed = await tf.run('apply', '-auto-approve', '-input=false', '-no-color', `-var=image_id=${b}`);
      expect(changed.output).toContain('0 added, 1 changed, 0 destroyed');
      expect((await tf.run('plan', '-detailed-exitcode', '-input=false', '-no-color', `-var=image_id=${b}`)).status).toBe(0);
      expect((await tf.destroy()).output).toContain('Destroy complete! Resources: 9 destroyed');
      expect([groups(l.place).size, templates(l.place).size, parameters(l.place).size]).toEqual([0, 0, 0]);
      expect([...instances(l.place).values()].filter(({ state }) => state !== 'terminated')).toEqual([]);
    },
    300_000,
  );
});
