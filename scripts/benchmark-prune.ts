// npm run benchmark:prune -- [images to remove]: prune at scale on the lab, compared with the clean-up of a shell script: list, then
// describe, deregister and delete one by one; and with aws-amicleaner, which it installs from PyPI. Prints calls, seconds, and the images that were removed
// while in use.

import { type ChildProcess, execFile, execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { DeleteSnapshotCommand, DeregisterImageCommand, DescribeImagesCommand, EC2Client, type Image } from '@aws-sdk/client-ec2';
import { groups } from '../lab/autoscaling/group.ts';
import { images } from '../lab/ec2/images.ts';
import { templates } from '../lab/ec2/launch-template-state.ts';
import { instances } from '../lab/ec2/state.ts';
import { type Lab, startLab } from '../lab/lab.ts';
import { removeWorkspaces, runAction } from '../lab/runner.ts';
import { FAMILY, POINTED, SIZE, seed } from './benchmark-account.ts';

const removals = Number(process.argv[2] ?? 500);
// Latency of a call to AWS from a runner in the same region.
const CALL_SECONDS = 0.02;
const CLEANER_VERSION = '0.2.2';

interface Result {
  readonly calls: number;
  readonly seconds: number;
  readonly removed: number;
  readonly harmed: number;
  readonly byOperation: Readonly<Record<string, number>>;
  readonly memoryMiB?: number;
}

async function staged(): Promise<Lab> {
  const lab = await startLab({ machines: 'paper', speed: 1 });
  await seed(lab);
  lab.faults.add({ action: { delaySeconds: CALL_SECONDS } });
  return lab;
}

async function measured(lab: Lab, work: () => Promise<number | undefined>): Promise<Result> {
  const before = new Set(registered(lab));
  const used = inUse(lab);
  const mark = lab.calls.mark();
  const startedAt = performance.now();
  const memoryMiB = await work();
  const seconds = (performance.now() - startedAt) / 1000;
  const after = new Set(registered(lab));
  const gone = [...before].filter(id => !after.has(id));
  return {
    ...{ calls: lab.calls.since(mark).length, seconds, removed: gone.length, harmed: gone.filter(id => used.has(id)).length },
    byOperation: lab.calls.byOperation(mark),
    ...(memoryMiB === undefined ? {} : { memoryMiB }),
  };
}

const registered = (lab: Lab) => [...images(lab.place()).values()].filter(({ state }) => state !== 'deregistered').map(({ id }) => id);

/** Images in use, from the state of the lab: run, pinned, current in a template, or named by a pointer. */
function inUse(lab: Lab): ReadonlySet<string> {
  const place = lab.place();
  const all = [...templates(place).values()];
  const image = (id: string | undefined, version: string | undefined) =>
    all.find(one => one.id === id)?.versions.get(Number(version))?.data.ImageId;
  const ids = [
    ...[...instances(place).values()].map(({ imageId }) => imageId),
    ...all.flatMap(one => [one.versions.get(one.defaultVersion)?.data.ImageId, one.versions.get(one.lastNumber)?.data.ImageId]),
    ...[...groups(place).values()].map(({ recipe }) => image(recipe.LaunchTemplate?.LaunchTemplateId, recipe.LaunchTemplate?.Version)),
    ...POINTED(lab),
  ];
  return new Set(ids.flatMap(id => id ?? []));
}

/** The guide's loop: `for AMI in $(list | tail -n +4); do delete $AMI; done`. */
async function oneByOne(lab: Lab): Promise<undefined> {
  const { AWS_ACCESS_KEY_ID: accessKeyId = '', AWS_REGION: region = '' } = lab.environment();
  const ec2 = new EC2Client({ endpoint: lab.url, region, credentials: { accessKeyId, secretAccessKey: 'x' } });
  const listed: Image[] = [];
  let NextToken: string | undefined;
  do {
    const page = await ec2.send(new DescribeImagesCommand({ Owners: ['self'], MaxResults: 1000, NextToken }));
    listed.push(...(page.Images ?? []));
    NextToken = page.NextToken;
  } while (NextToken !== undefined);
  const oldestFirst = listed.sort((a, b) => ((a.CreationDate ?? '') < (b.CreationDate ?? '') ? -1 : 1)).slice(0, -3);
  for (const { ImageId = '' } of oldestFirst.slice(0, removals)) {
    const { Images = [] } = await ec2.send(new DescribeImagesCommand({ ImageIds: [ImageId] }));
    await ec2.send(new DeregisterImageCommand({ ImageId }));
    for (const { Ebs } of Images[0]?.BlockDeviceMappings ?? []) await ec2.send(new DeleteSnapshotCommand({ SnapshotId: Ebs?.SnapshotId }));
  }
  return undefined;
}

/** The program, in a virtual environment of its own. */
function installedCleaner(): string {
  const folder = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'ami-action', `amicleaner-${CLEANER_VERSION}`);
  const program = join(folder, 'bin', 'amicleaner');
  if (existsSync(program)) return program;
  execFileSync('python3', ['-m', 'venv', folder]);
  execFileSync(join(folder, 'bin', 'pip'), ['install', '--quiet', '--disable-pip-version-check', `aws-amicleaner==${CLEANER_VERSION}`]);
  return program;
}

/** By IDs: its own search asks for a launch configuration without a name as soon as one group has a launch template, and ends. */
async function amicleaner(lab: Lab): Promise<undefined> {
  const oldestFirst = [...images(lab.place()).values()].sort((a, b) => a.createdAt.getTime() - b.createdAt.getTime());
  const ids = oldestFirst.slice(0, removals).map(({ id }) => id);
  const env = { PATH: process.env['PATH'], ...lab.environment() };
  await new Promise<void>((done, failed) => {
    execFile(installedCleaner(), ['--from-ids', ...ids, '--force-delete'], { env, maxBuffer: 2 ** 28 }, (failure, _, stderr) =>
      failure === null ? done() : failed(new Error(stderr)),
    );
  });
  return undefined;
}

async function pruned(lab: Lab): Promise<number> {
  let most = 0;
  const watch = (child: ChildProcess) => {
    const timer = setInterval(() => {
      most = Math.max(most, memoryOf(child.pid));
    }, 50);
    child.once('exit', () => clearInterval(timer));
  };
  const wanted = { family: FAMILY, 'dry-run': 'false', 'max-removals': String(removals), 'max-share': '100', 'minimum-age': '1d' };
  const ran = await runAction({ mode: 'prune', with: wanted, lab, onStart: watch });
  if (ran.exitCode !== 0) throw new Error(ran.errors.join('\n'));
  return most;
}

function memoryOf(pid: number | undefined): number {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}

console.log(
  `${SIZE.images} images, ${SIZE.images * 2} snapshots, ${SIZE.templates} templates with ${SIZE.versions} versions, ${SIZE.groups} groups, ${SIZE.instances} instances; ${CALL_SECONDS * 1000} ms a call; ${removals} images to remove\n`,
);
for (const [name, way] of [
  ['prune', pruned],
  ['one by one', oneByOne],
  ['aws-amicleaner', amicleaner],
] as const) {
  const lab = await staged();
  const { calls, seconds, removed, harmed, byOperation, memoryMiB } = await measured(lab, () => way(lab));
  await lab.close();
  const memory = memoryMiB === undefined ? '' : `, at most ${Math.round(memoryMiB)} MiB`;
  console.log(
    `${name}: ${removed} removed in ${seconds.toFixed(1)} s with ${calls} calls (${(calls / removed).toFixed(1)} an image)${memory}; ${harmed} of them were in use`,
  );
  for (const [operation, count] of Object.entries(byOperation).sort(([, a], [, b]) => b - a))
    console.log(`  ${String(count).padStart(6)} ${operation}`);
}
removeWorkspaces();
