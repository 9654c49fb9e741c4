import { randomUUID } from 'node:crypto';
import { type Artifact, artifacts, baseOf, complaints } from '../domain/build/packer-output.ts';
import { CancelledError, type Expected, RejectedError, TimeoutError, UsageError } from '../kit/errors.ts';
import { duration, flag, list, map, optional, text } from '../kit/fields.ts';
import type { Values } from '../kit/settings.ts';
import { baseImage, resolveBase } from '../steps/base-image.ts';
import { adopt, type BuiltImage } from '../steps/build/adopt.ts';
import { captureInstance, instanceProblem, instanceSettings } from '../steps/build/from-instance.ts';
import { witness } from '../steps/build/made.ts';
import { type PhaseEnd, packerFailure, packerInit, packerPhase } from '../steps/build/packer-phase.ts';
import { findPacker, packerOrder, packerSettings } from '../steps/build/packer-tool.ts';
import { type BuildPlan, planBuild, withInputs } from '../steps/build/plan.ts';
import { tellImages, tellPhases } from '../steps/build/summary.ts';
import { type BuildEntry, sweepBuild, sweepDead, sweepQuietly } from '../steps/build/sweep.ts';
import { decide, fingerprintOf, rebuildProblem, reuse, reuseSettings } from '../steps/build/unchanged.ts';
import { architecture, common, dryRun, environment, family, regions, tags } from '../steps/settings.ts';
import type { Powers } from '../world.ts';

// Needs a Packer template, or a running instance.
// Leaves behind an image per region and source, tagged as one of the family, image and snapshots alike; it moves no pointer.

export const settings = {
  family,
  template: text(
    'Packer template: a directory or a file. What it declares of `ami_name`, `ami_tags`, `run_tags`, `instance_type`, `region` and `ami_regions` gets its value from the action.',
    { fallback: 'packer' },
  ),
  version: optional(
    text('Version of what is in the image. Default: the tag that is built, else the first seven characters of the commit.', {
      pattern: /^[\w.+-]{1,64}$/,
      says: 'must be 1 to 64 letters, digits and . _ + -',
    }),
  ),
  var: map('Variables of the template. They become arguments of Packer, which everybody on the machine can see.', { fallback: '{}' }),
  varFiles: list('Files with variables, relative to the workspace.', {
    fallback: '',
    neededBy: 'templates with many variables',
  }),
  name: text('Name of the image, from `{family}`, `{version}`, `{timestamp}`, `{environment}`, `{commit}` and `{architecture}`.', {
    fallback: '{family}-{version}-{timestamp}',
  }),
  tags,
  baseImage,
  instanceType: optional(
    text('Type of the build instance, for a template that declares `instance_type`.', {
      pattern: /^[a-z0-9-]+\.[a-z0-9-]+$/,
      says: 'must be an instance type such as t3.small',
      neededBy: 'builds that want a bigger machine',
    }),
  ),
  rebuild: reuseSettings.rebuild,
  environment: optional(environment),
  ...common,
  dryRun: dryRun(false),
  regions,
  architecture,
  timeout: duration('After this the mode gives up: Packer is told to stop and to clean up, a copy is no longer waited for.', {
    fallback: '2h',
    minSeconds: 60,
    maxSeconds: 86_400,
    neededBy: 'builds that take hours',
  }),
  cleanupOnFailure: flag('Remove also those images that were finished when another source failed.', false, {
    neededBy: 'templates with several sources',
  }),
  content: reuseSettings.content,
  ...packerSettings,
  ...instanceSettings,
};

export const outputs = {
  amiId: 'ID of the image, when there is exactly one.',
  amiIds: 'JSON: region -> ID, for every region with exactly one image.',
  images: 'JSON list: `source`, `architecture`, `region`, `id` and `name` of every image.',
  built: 'Whether an image was built: true or false.',
  because: 'Why it was built, or not, as a sentence.',
  fingerprint: 'SHA-256 over everything that determines the content of the image.',
  imageName: 'Name of the image.',
  partial: 'JSON list: `source`, `region` and `id` of what was finished although the build failed.',
};

type Wanted = Values<typeof settings>;
type World = Powers<'account' | 'capture' | 'images' | 'leftovers' | 'machines' | 'parameters', 'content' | 'files' | 'journal' | 'packer'>;

export async function run(wanted: Wanted, world: World) {
  const { report, packer, clock } = world;
  for (const secret of Object.values(wanted.secretVar)) report.mask(secret);
  const started = {
    now: clock.now(),
    id: randomUUID(),
    problem: instanceProblem(wanted) ?? (wanted.fromInstance === undefined ? rebuildProblem(wanted) : undefined),
  };
  const intent = planBuild(wanted, world.run, packer, started);
  if (wanted.fromInstance !== undefined) return saveInstance(wanted.fromInstance, wanted, intent, world);
  const base = await report.step('Resolve the base image', () => resolveBase(wanted, intent.scheme, world));
  const print = await report.step('Take the fingerprint', () => fingerprintOf(wanted, intent, base, world));
  const plan = withInputs(intent, { fingerprint: print, base: base?.id });

  if (!wanted.dryRun) await sweepDeadBuilds(plan, world);
  const { reuse: same, because } = await report.step('Look for an image of the same', () => decide(wanted, plan, print, world));
  report.info(same === undefined ? `To be built: ${because}.` : `Nothing to build: ${because}.`);
  const told = { because, fingerprint: print.value };
  if (same === undefined) await report.step(`Check that the name ${plan.name} is free`, () => refuseTakenName(plan, world));
  if (wanted.dryRun) return { outcome: 'planned' as const, outputs: { ...told, built: false, imageName: plan.name } };
  const images = same === undefined ? await buildAnew(wanted, plan, world) : await reuse(same, world.run.commit, plan, world);
  tellImages(same === undefined ? `Built ${plan.name}` : 'Nothing to build', images, because, report);
  const built = same === undefined;
  return { outcome: built ? ('done' as const) : ('unchanged' as const), outputs: { ...outputsOf(images), ...told, built } };
}

async function saveInstance(instanceId: string, wanted: Wanted, plan: BuildPlan, world: World) {
  const { report } = world;
  await report.step(`Check that the name ${plan.name} is free`, () => refuseTakenName(plan, world));
  const because = `"from-instance" is ${instanceId}`;
  if (wanted.dryRun) return { outcome: 'planned' as const, outputs: { built: false, because, imageName: plan.name } };
  const saved = await report.step(`Make an image of ${instanceId}`, () => captureInstance(instanceId, wanted, plan, world));
  tellImages(saved.built ? `Saved ${instanceId}` : 'Nothing to save', saved.images, saved.because, report);
  const told = { ...outputsOf(saved.images), built: saved.built, because: saved.because };
  return { outcome: saved.built ? ('done' as const) : ('unchanged' as const), outputs: told };
}

/** Packer, from where it comes from to images of the family; and nothing else is left, however it ends. */
async function buildAnew(wanted: Wanted, plan: BuildPlan, world: World): Promise<readonly BuiltImage[]> {
  const { report, packer, journal } = world;
  const phase = { report, secrets: Object.values(wanted.secretVar) };
  const tool = await report.step('Find Packer', () => findPacker(wanted, world));
  const order = await report.step('Read the template', () => packerOrder(wanted, plan, tool, world));
  const init = await packerInit(order, phase, world);
  if (init.exitCode !== 0) throw failure('packer init', init, wanted);
  const validated = await packerPhase('packer validate', onLine => packer.validate(order, onLine), phase);
  if (validated.exitCode !== 0) throw failure('packer validate', validated, wanted);

  const seen = witness(plan.entry, journal);
  const end = await packerPhase('packer build', onLine => packer.build(order, both(seen.see, onLine)), phase);
  tellPhases(end.lines, report);
  const made = artifacts(end.lines).map(image => ({ ...image, baseAmi: baseOf(end.lines, image.source) }));
  const isWhole = end.exitCode === 0 && made.length > 0;
  const images = isWhole ? await report.step('Tag the images', () => adopt(made, plan, world)) : [];
  // What was adopted stays even where nobody can see its family tag yet.
  const spared = isWhole || !wanted.cleanupOnFailure ? made.map(({ id }) => id) : [];
  const left = await report.step('See that nothing is left', () =>
    sweepQuietly(() => sweepBuild(ofItsOwn(seen.entry(), end), world, spared), world),
  );
  if (left.length === 0) seen.forget();
  if (!isWhole) throw failure('packer build', end, wanted, made, left);
  for (const line of left) report.warn(line);
  return images;
}

const both = (first: (line: string) => void, second: (line: string) => void) => (line: string) => {
  first(line);
  second(line);
};

/** Where the name was taken, an image of that name is somebody else's: only tags tell what is ours. */
const ofItsOwn = (entry: BuildEntry, { lines }: PhaseEnd): BuildEntry =>
  complaints(lines).some(({ message }) => message.includes('InvalidAMIName.Duplicate')) ? { ...entry, made: [] } : entry;

async function sweepDeadBuilds({ regions, scheme }: BuildPlan, world: World): Promise<void> {
  const sweep = () => sweepDead(regions, { scheme, repository: world.run.repository }, world);
  const left = await world.report.step('Sweep what dead builds left', () => sweepQuietly(sweep, world));
  for (const line of left) world.report.warn(`Leftovers of an earlier run: ${line}`);
}

const NO_IMAGE = 'Look for skip_create_ami in the template, and at what "only" and "except" leave of it.';

/** Before anything is launched; AWS would say it only when the image is made, at the end of the build. */
async function refuseTakenName({ name, regions }: BuildPlan, { at }: World): Promise<void> {
  const found = await Promise.all(
    regions.map(async region =>
      (await at({ region }).images.find({ names: [name], includeDisabled: true })).map(({ id }) => `${id} in ${region}`),
    ),
  );
  const taken = found.flat();
  if (taken.length === 0) return;
  throw new UsageError([`"name" becomes ${JSON.stringify(name)}, and ${taken.join(' and ')} is called so already`], {
    next: 'Put {timestamp} or {commit} into "name". Nothing was launched.',
  });
}

/** An image that was finished although the build failed is told, not tagged as one of the family: nothing can pick it up. */
function failure(what: string, end: PhaseEnd, wanted: Wanted, made: readonly Artifact[] = [], unswept: readonly string[] = []): Expected {
  const fate = wanted.cleanupOnFailure ? 'and is removed again' : 'and stays, outside the family, until a later run finds it expired';
  const left = [...made.map(({ source, region, id }) => `${id} in ${region} (${source}) was finished ${fate}`), ...unswept];
  const outputs = made.length === 0 ? {} : { partial: made.map(({ source, region, id }) => ({ source, region, id })), built: false };
  if (end.stopped === 'cancelled') return new CancelledError('Cancelled while Packer ran.', { left, outputs });
  if (end.stopped === 'timeout') {
    return new TimeoutError(`Packer was stopped after ${wanted.timeout} s.`, { left, outputs, next: 'Give it more with "timeout".' });
  }
  if (end.exitCode === 0) return new RejectedError('No AMI was produced: Packer ended well, and made no image.', { left, next: NO_IMAGE });
  return packerFailure({ what, end, otherwise: what === 'packer build' ? 'rejected' : 'usage', left, outputs });
}

function outputsOf(images: readonly BuiltImage[]) {
  const only = images.filter(image => !images.some(other => other !== image && other.region === image.region));
  const amiIds = Object.fromEntries(only.map(({ region, id }) => [region, id]));
  const listed = images.map(({ sizeGiB: _, ...image }) => image);
  return { amiId: images.length === 1 ? images[0]?.id : undefined, amiIds, images: listed, imageName: images[0]?.name };
}
