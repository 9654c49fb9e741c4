import type { ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { afterAll as AfterAll, describe as Describe } from '@jest/globals';
import type { CallRecord } from '../../lab/calls.ts';
import { images, snapshots } from '../../lab/ec2/images.ts';
import { templates } from '../../lab/ec2/launch-template-state.ts';
import { network } from '../../lab/ec2/network.ts';
import { instances, keyPairs, type LabImage, tagsOf, volumes } from '../../lab/ec2/state.ts';
import { type Lab, type LabOptions, startLab } from '../../lab/lab.ts';
import { type Order, type Ran, removeWorkspaces, runAction } from '../../lab/runner.ts';
import { SHIPPED } from '../../lab/shipped.ts';
import { packerTools } from '../../scripts/packer-tools.ts';

/** Builds with real Packer in a lab: shared by the tests of mode build. */

const ROOT = join(import.meta.dirname, '..', '..');

/** The example template as files of a repository. */
export const template = (): Record<string, string> =>
  Object.fromEntries(
    readdirSync(join(ROOT, 'packer'), { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile())
      .map(entry => join(entry.parentPath, entry.name))
      .map(path => [path.slice(ROOT.length + 1), readFileSync(path, 'utf8')]),
  );

const TEMPLATE = 'packer/image.pkr.hcl';

/** A base image, as a value of the setting. */
export const DEBIAN = 'name:136693071363/debian-12-amd64-*';

/** The example template without provisioning: a build takes as long as Packer needs. */
export const idle = (): Record<string, string> => {
  const files = template();
  const scripts = Object.keys(files).filter(path => path.startsWith('packer/scripts/'));
  return { ...files, ...Object.fromEntries(scripts.map(path => [path, '#!/bin/sh\n'])) };
};

/** The HCL files of a template, with the scripts of `idle`. */
export const idly = (files: Record<string, string>): Record<string, string> => ({
  ...idle(),
  ...Object.fromEntries(Object.entries(files).filter(([path]) => path.endsWith('.hcl'))),
});

/** The example template, changed: each pair is a text of it and its replacement. */
export function changed(...changes: readonly (readonly [from: string, to: string])[]): Record<string, string> {
  const files = template();
  for (const [from, to] of changes) {
    if (!files[TEMPLATE]?.includes(from)) throw new Error(`The template does not hold ${from}`);
    files[TEMPLATE] = files[TEMPLATE].replace(from, to);
  }
  return files;
}

/** With a second source, `amazon-ebs.second`. */
export function twoSources(): Record<string, string> {
  const files = changed(['sources = ["source.amazon-ebs.web"]', 'sources = ["source.amazon-ebs.web", "source.amazon-ebs.second"]']);
  const source = /source "amazon-ebs" "web" \{[\s\S]*?\n\}\n/.exec(files[TEMPLATE] ?? '')?.[0] ?? '';
  files['packer/second.pkr.hcl'] = source.replace('"web"', '"second"').replace('= local.name', '= "${local.name}-second"');
  return files;
}

/** A template that declares none of our variables; `source` is added to its source. */
export const bare = (source = '', builds = 'build { sources = ["source.amazon-ebs.own"] }'): Record<string, string> => ({
  'image.pkr.hcl': `
    variable "ssh_port" { type = number }
    source "amazon-ebs" "own" {
      ami_name = "by-hand-\${formatdate("YYYYMMDDhhmmss", timestamp())}-\${source.name}"
      instance_type = "t3.micro"
      ssh_username = "admin"
      ssh_port = var.ssh_port
      ${source}
      source_ami_filter {
        owners = ["136693071363"]
        most_recent = true
        filters = { name = "debian-12-amd64-*" }
      }
    }
    ${builds}`,
});

const tools = await packerTools().catch((cause: Error) => cause);
const missing = tools instanceof Error ? tools : undefined;
if (missing !== undefined && process.env['AMI_ACTION_REQUIRE_ALL'] === '1') throw missing;
if (missing !== undefined) console.error(`\n!!! Skipped, because Packer is not available here: ${missing.message}\n`);

// Not imported: a benchmark builds without jest.
const { describe, afterAll } = globalThis as unknown as { describe: typeof Describe; afterAll: typeof AfterAll };
/** As `describe`; skipped with a message on a machine without Packer. In CI that is a failure. */
export const describeWithPacker = missing === undefined ? describe : describe.skip;

/** A lab for the tests of a file; closed after the last of them, and the workspaces removed. */
export async function labOfTests(options: LabOptions = {}): Promise<Lab> {
  const lab = await startLab(options);
  afterAll(async () => {
    await lab.close();
    removeWorkspaces();
  });
  return lab;
}

/** Environment in which Packer and its plugin are found. */
export function packerHere(): Record<string, string> {
  if (tools instanceof Error) throw tools;
  return { PATH: `${tools.path}:${process.env['PATH']}`, PACKER_PLUGIN_PATH: tools.pluginPath };
}

export const isOurs = ({ client }: CallRecord): boolean => client.includes('ami-action');

/** The lab for templates that need more than the shipped role allows, so an administrator builds them: only calls of the action are looked up in the list of permissions. */
export const forOtherTemplates = (lab: Lab): Lab => ({
  ...lab,
  environment: ({ role, ...where } = {}) => lab.environment(role === undefined || role.startsWith(SHIPPED) ? where : { ...where, role }),
  calls: { ...lab.calls, since: mark => lab.calls.since(mark).filter(isOurs) },
});

/** One run of mode build: the example template, unless `files` or `workspace` say otherwise. */
export async function build(lab: Lab, order: Omit<Order, 'mode' | 'lab'>): Promise<Ran> {
  const { files = order.workspace === undefined ? template() : {}, with: wanted = {}, env = {}, ...rest } = order;
  return runAction({
    ...rest,
    mode: 'build',
    lab,
    files,
    with: { var: 'ssh_port: 2322', ...wanted },
    env: { ...packerHere(), ...env },
  });
}

/** The post step of a run. */
export const postOf = (lab: Lab, ran: Ran, env: Readonly<Record<string, string>> = {}): Promise<Ran> =>
  runAction({ mode: 'build', lab, postOf: ran, with: { family: 'any' }, env: { ...packerHere(), ...env } });

/** How many instances were ever launched. */
export const launched = (lab: Lab): number => lab.calls.count('RunInstances');

export const madeImages = (lab: Lab, region?: string, account?: string): readonly LabImage[] =>
  [...images(lab.place(account, region)).values()].filter(({ state }) => state !== 'deregistered');

export const tagsIn = (lab: Lab, id: string, region?: string, account?: string): Readonly<Record<string, string>> =>
  tagsOf(lab.place(account, region), id);

/** Tags that an image has only until it is in the family. */
export const temporaryTags = (...where: Parameters<typeof tagsIn>): readonly string[] =>
  Object.keys(tagsIn(...where)).filter(key => /purpose|expires-at|:build|for-family/.test(key));

/** Everything that only a running build may have: empty whenever none runs. */
export function leftovers(lab: Lab, region?: string, account?: string): readonly string[] {
  const place = lab.place(account, region);
  const alive = [...instances(place).values()].filter(({ state }) => state !== 'terminated' && state !== 'shutting-down');
  const groups = [...network(place).groups.values()].filter(({ name }) => name !== 'default');
  const loose = [...volumes(place).values()].filter(({ attached }) => attached === undefined);
  const ofImages = new Set(madeImages(lab, region, account).flatMap(({ devices }) => devices.map(({ snapshotId }) => snapshotId)));
  const orphans = [...snapshots(place).values()].filter(({ id, state }) => !ofImages.has(id) && state !== 'error');
  const fleets = [...templates(place).values()].filter(({ name }) => name.startsWith('packer-'));
  return [...alive, ...groups, ...[...keyPairs(place).values()], ...loose, ...orphans, ...fleets].map(({ id }) => id);
}

/** Path of the content of an image. */
export async function diskOf(lab: Lab, imageId: string): Promise<string> {
  const image = madeImages(lab).find(({ id }) => id === imageId);
  const disk = await snapshots(lab.place())
    .get(image?.devices[0]?.snapshotId ?? '')
    ?.disk?.();
  if (disk === undefined) throw new Error(`${imageId} has no content`);
  return disk.path;
}

/** As when the machine dies: the action, and Packer, which leads its own process group with its plugins. */
export const killRunner = (child: ChildProcess) => {
  for (const pid of readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').split(' ').filter(Boolean)) {
    try {
      process.kill(-Number(pid), 'SIGKILL');
    } catch {} // not the leader of a group
  }
  child.kill('SIGKILL');
};

/** What the runner does to a step that is cancelled: SIGINT, 7.5 s, SIGTERM, 2.5 s, SIGKILL; to our process alone. */
export const likeTheRunner = (child: ChildProcess) => {
  child.kill('SIGINT');
  const term = setTimeout(() => child.kill('SIGTERM'), 7_500);
  const kill = setTimeout(() => child.kill('SIGKILL'), 10_000);
  child.once('exit', () => {
    clearTimeout(term);
    clearTimeout(kill);
  });
};

/** The parts of an order by which a build is struck once, when its log says something. */
export function struckAt(when: RegExp, strike: (child: ChildProcess) => void): Pick<Order, 'onStart' | 'onLine'> {
  let child: ChildProcess | undefined;
  let done = false;
  return {
    onStart: started => {
      child = started;
    },
    onLine: line => {
      if (done || child === undefined || !when.test(line)) return;
      done = true;
      strike(child);
    },
  };
}
