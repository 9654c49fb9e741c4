import { spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { RunInstancesCommand } from '@aws-sdk/client-ec2';
import { groups } from '../../lab/autoscaling/group.ts';
import { instances } from '../../lab/ec2/state.ts';
import { metadataService } from '../../lab/machines/vm/metadata.ts';
import { terminalFile } from '../../scripts/release.ts';
import { type RollLab, type RollLabOptions, rollLab } from './roll-lab.ts';
import { passChecks } from './share-lab.ts';

/**
 * Instances of a group that run examples/save-ami as their cloud-init does: the one file of the release, the script and the settings of the example, and
 * no credentials but those of their role from the metadata service.
 */

export const EXAMPLE = join(import.meta.dirname, '..', '..', 'examples', 'save-ami');
export const LATEST = '/deploy_ex/stage/web/latest_ami';
const ACCOUNT = '111122223333';
export const ROLE = 'web-stage';
export const TEST_ROLE = `arn:aws:iam::${ACCOUNT}:role/web-stage-test`;

/** A template of the example with its values. */
export const filled = (file: string, values: Readonly<Record<string, string>>): string =>
  readFileSync(join(EXAMPLE, file), 'utf8').replace(/\$\{(\w+)\}/g, (whole, name: string) => values[name] ?? whole);

export const policy = (): { readonly Statement: readonly object[] } =>
  JSON.parse(
    filled('policy.json.tftpl', { partition: 'aws', account: ACCOUNT, app: 'web', environment: 'stage', test_role: TEST_ROLE }),
  ) as { readonly Statement: readonly object[] };

const trust = { Statement: [{ Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { Service: 'ec2.amazonaws.com' } }] };
const CORE = 'arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore';

/** What the Terraform side creates in IAM. */
const roles = (document: object): string =>
  JSON.stringify({
    Resources: {
      Role: {
        Type: 'AWS::IAM::Role',
        Properties: {
          RoleName: ROLE,
          AssumeRolePolicyDocument: trust,
          Policies: [{ PolicyName: 'save-ami', PolicyDocument: document }],
        },
      },
      Test: {
        Type: 'AWS::IAM::Role',
        Properties: { RoleName: 'web-stage-test', AssumeRolePolicyDocument: trust, ManagedPolicyArns: [CORE] },
      },
      Profile: {
        Type: 'AWS::IAM::InstanceProfile',
        Properties: { InstanceProfileName: 'web-stage-test', Roles: [{ Ref: 'Test' }] },
      },
    },
  });

export interface Saved {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly log: string;
  /** What it printed, if it failed. */
  readonly problem: string;
}

export interface SavingLab extends RollLab {
  /** IDs of the instances in service. */
  readonly members: () => readonly string[];
  /** ID of a new instance that is in no group, as the example makes one. */
  regular(): Promise<string>;
  /** Runs a script of the example on an instance. `onStart` gets what ends the whole script, at once or as systemd stops a unit. */
  on(instanceId: string, argument?: 'finish', onStart?: (end: (signal?: 'SIGTERM') => void) => void): Promise<Saved>;
  /** How often the script asked systemd to finish the image. */
  readonly units: () => number;
}

/** A group web-stage of two instances on the base image, and its role. */
export async function savingLab(options: RollLabOptions = {}, document: object = policy()): Promise<SavingLab> {
  const l = await rollLab(options);
  const folder = mkdtempSync(join(tmpdir(), 'ami-action-saves-'));
  const servers: Server[] = [];
  await terminalFile(join(folder, 'ami-action.mjs'));
  l.lab.deploy(roles(document), { stack: ROLE });
  const template = await l.template('web-stage', { ImageId: l.image('base', { 'ami-action:family': 'base' }) });
  await l.group('web-stage', { LaunchTemplateId: template, Version: '1' });
  passChecks({ home: l.place });
  mkdirSync(join(folder, 'bin'));
  writeFileSync(join(folder, 'bin', 'systemd-run'), `#!/bin/sh\necho "$*" >> '${join(folder, 'units')}'\n`, { mode: 0o755 });
  writeFileSync(join(folder, 'units'), '');
  const close = l.lab.close;
  const lab = {
    ...l.lab,
    close: async () => {
      for (const server of servers) server.close();
      rmSync(folder, { recursive: true, force: true });
      await close();
    },
  };
  return {
    ...l,
    lab,
    members: () =>
      [...(groups(l.place).get('web-stage')?.members.values() ?? [])].filter(({ state }) => state === 'InService').map(({ id }) => id),
    regular: async () => {
      const Tags = [{ Key: 'ami-action:saved-as', Value: 'web-stage' }];
      const { Instances: [one] = [] } = await l.cloud.ec2.send(
        new RunInstancesCommand({
          ...{ LaunchTemplate: { LaunchTemplateId: template, Version: '1' }, MinCount: 1, MaxCount: 1 },
          TagSpecifications: [{ ResourceType: 'instance', Tags }],
        }),
      );
      return one?.InstanceId ?? '';
    },
    units: () => readFileSync(join(folder, 'units'), 'utf8').match(/ \/\S+\/save-ami\.sh finish$/gm)?.length ?? 0,
    on: async (instanceId, argument, onStart) => {
      const { home, metadata } = await disk(l, folder, instanceId, servers);
      return script(home, argument, { l, folder, metadata }, onStart);
    },
  };
}

/** What the set-up has written to the disk of the instance, and its metadata service. */
async function disk(l: RollLab, folder: string, instanceId: string, servers: Server[]) {
  const home = join(folder, instanceId);
  mkdirSync(home, { recursive: true });
  for (const [from, to] of [
    [join(folder, 'ami-action.mjs'), 'ami-action.mjs'],
    [join(EXAMPLE, 'save-ami.sh'), 'save-ami.sh'],
  ] as const)
    copyFileSync(from, join(home, to));
  const subnet = instances(l.place).get(instanceId)?.subnetId ?? '';
  const values = { app: 'web', environment: 'stage', region: l.place.region, test_profile: 'web-stage-test', subnets: subnet };
  writeFileSync(join(home, 'ami.yml'), filled('ami.yml.tftpl', { ...values, created_at: '2026-11-30T08:00:00Z' }));
  const keys = l.lab.environment({ role: ROLE });
  const role = {
    name: ROLE,
    accessKeyId: keys['AWS_ACCESS_KEY_ID'] ?? '',
    secretAccessKey: keys['AWS_SECRET_ACCESS_KEY'] ?? '',
    token: keys['AWS_SESSION_TOKEN'] ?? '',
  };
  const about = { account: ACCOUNT, zone: `${l.place.region}a`, imageId: '', instanceType: 't3.micro', tokens: 'required' as const, role };
  const server = createServer(metadataService({ instanceId, address: '127.0.0.1', authorizedKeys: [], userData: undefined, about }));
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done));
  servers.push(server);
  return { home, metadata: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

function script(
  home: string,
  argument: 'finish' | undefined,
  { l, folder, metadata }: { readonly l: RollLab; readonly folder: string; readonly metadata: string },
  onStart: (end: (signal?: 'SIGTERM') => void) => void = () => {},
): Promise<Saved> {
  const { AWS_ACCESS_KEY_ID: _, AWS_SECRET_ACCESS_KEY: __, AWS_REGION: ___, AWS_DEFAULT_REGION: ____, ...keyless } = l.lab.environment();
  const env = {
    ...keyless,
    PATH: `${join(folder, 'bin')}:${dirname(process.execPath)}:/usr/bin:/bin`,
    HOME: home,
    AMI_ACTION_HOME: home,
    AWS_EC2_METADATA_DISABLED: '',
    AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata,
  };
  const child = spawn('sh', [join(home, 'save-ami.sh'), ...(argument === undefined ? [] : [argument])], {
    ...{ cwd: '/', env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] },
  });
  onStart(signal => process.kill(-(child.pid as number), signal ?? 'SIGKILL'));
  let log = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => (log += chunk));
  return new Promise(done => child.once('close', (code, signal) => done({ code, signal, log, problem: code === 0 ? '' : log })));
}
