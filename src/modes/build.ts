import { randomUUID } from 'node:crypto';
import { type Artifact, artifacts, baseOf } from '../domain/packer-output.ts';
import { CancelledError, type Expected, RejectedError, TimeoutError, UsageError } from '../kit/errors.ts';
import { duration, list, map, oneOf, optional, text } from '../kit/fields.ts';
import { code, table, text as plain } from '../kit/markdown.ts';
import type { Values } from '../kit/settings.ts';
import { adopt, type BuiltImage } from '../steps/adopt.ts';
import { baseImage, resolveBase } from '../steps/base-image.ts';
import { type BuildPlan, planBuild, withInputs } from '../steps/build-plan.ts';
import { type PhaseEnd, packerFailure, packerPhase } from '../steps/packer-phase.ts';
import { findPacker, packerOrder, packerSettings } from '../steps/packer-tool.ts';
import { decide, fingerprintOf, rebuildProblem, reuse, reuseSettings } from '../steps/unchanged.ts';
import type { Powers } from '../world.ts';
import { common, dryRun, environment, family } from './shared.ts';

// Needs a Packer template.
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
  varFiles: list('Files with variables, relative to the workspace.', { fallback: '' }),
  name: text('Name of the image, from `{family}`, `{version}`, `{timestamp}`, `{environment}`, `{commit}` and `{architecture}`.', {
    fallback: '{family}-{version}-{timestamp}',
  }),
  tags: map("Tags of your own for image and snapshots, beside the action's.", { fallback: '{}' }),
  baseImage,
  instanceType: optional(
    text('Type of the build instance, for a template that declares `instance_type`.', {
      pattern: /^[a-z0-9-]+\.[a-z0-9-]+$/,
      says: 'must be an instance type such as t3.small',
    }),
  ),
  rebuild: reuseSettings.rebuild,
  environment: optional(environment),
  ...common,
  dryRun: dryRun(false),
  regions: list('Further regions that the template copies the image to, for one that declares `ami_regions`.', {
    fallback: '',
    pattern: /^[a-z]{2}(-[a-z]+)+-\d$/,
    says: 'must be a region such as eu-west-1',
  }),
  architecture: optional(
    oneOf('What `{architecture}` in `name` stands for.', ['x86_64', 'arm64'], { neededBy: 'families with several architectures' }),
  ),
  timeout: duration('After this, Packer is told to stop and to clean up.', {
    fallback: '2h',
    minSeconds: 60,
    maxSeconds: 86_400,
    neededBy: 'builds that take hours',
  }),
  content: reuseSettings.content,
  ...packerSettings,
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
type World = Powers<'account' | 'images' | 'parameters', 'content' | 'packer'>;

export async function run(wanted: Wanted, world: World) {
  const { report, packer, clock } = world;
  const secrets = Object.values(wanted.secretVar);
  for (const secret of secrets) report.mask(secret);
  const started = { now: clock.now(), id: randomUUID(), problem: rebuildProblem(wanted) };
  const intent = planBuild(wanted, world.run, packer, started);
  const base = await report.step('Resolve the base image', () => resolveBase(wanted, intent.scheme, world));
  const print = await report.step('Take the fingerprint', () => fingerprintOf(wanted, intent, base, world));
  const plan = withInputs(intent, { fingerprint: print, base: base?.id });

  const { reuse: same, because } = await report.step('Look for an image of the same', () => decide(wanted, plan, print, world));
  report.info(same === undefined ? `To be built: ${because}.` : `Nothing to build: ${because}.`);
  if (same !== undefined) {
    const images = wanted.dryRun ? [] : await reuse(same, world.run.commit, plan, world);
    tell('Unchanged', images, because, report);
    return {
      outcome: wanted.dryRun ? ('planned' as const) : ('unchanged' as const),
      outputs: { ...outputsOf(images), built: false, because, fingerprint: print.value },
    };
  }
  await report.step(`Check that the name ${plan.name} is free`, () => refuseTakenName(plan, world));
  if (wanted.dryRun)
    return { outcome: 'planned' as const, outputs: { built: false, because, fingerprint: print.value, imageName: plan.name } };

  const tool = await report.step('Find Packer', () => findPacker(wanted, world));
  const order = await report.step('Read the template', () => packerOrder(wanted, plan, tool, world));
  const init = await packerPhase('packer init', onLine => packer.init(order, onLine), { report, secrets });
  if (init.exitCode !== 0) throw failure('packer init', init, wanted);
  const validated = await packerPhase('packer validate', onLine => packer.validate(order, onLine), { report, secrets });
  if (validated.exitCode !== 0) throw failure('packer validate', validated, wanted);

  const end = await packerPhase('packer build', onLine => packer.build(order, onLine), { report, secrets });
  const made = artifacts(end.lines);
  if (end.exitCode !== 0) throw failure('packer build', end, wanted, made);
  if (made.length === 0) throw new RejectedError('No AMI was produced: Packer ended well, and made no image.', { next: NO_IMAGE });

  const images = await report.step('Tag the images', () =>
    adopt(
      made.map(image => ({ ...image, baseAmi: baseOf(end.lines, image.source) })),
      plan,
      world,
    ),
  );
  tell('Built', images, because, report);
  return { outcome: 'done' as const, outputs: { ...outputsOf(images), built: true, because, fingerprint: print.value } };
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
function failure(what: string, end: PhaseEnd, wanted: Wanted, made: readonly Artifact[] = []): Expected {
  const left = made.map(({ source, region, id }) => `${id} in ${region} (${source}) was finished; it is not one of the family`);
  const outputs = made.length === 0 ? {} : { partial: made, built: false };
  if (end.stopped === 'cancelled') return new CancelledError('Cancelled while Packer ran. It cleaned up after itself.', { left, outputs });
  if (end.stopped === 'timeout')
    return new TimeoutError(`Packer was stopped after ${wanted.timeout} s.`, { left, outputs, next: 'Give it more with "timeout".' });
  return packerFailure({
    what,
    end,
    otherwise: what === 'packer build' ? 'rejected' : 'usage',
    left,
    outputs,
  });
}

function outputsOf(images: readonly BuiltImage[]) {
  const only = images.filter(image => !images.some(other => other !== image && other.region === image.region));
  const amiIds = Object.fromEntries(only.map(({ region, id }) => [region, id]));
  return { amiId: images.length === 1 ? images[0]?.id : undefined, amiIds, images, imageName: images[0]?.name };
}

function tell(what: string, images: readonly BuiltImage[], because: string, report: World['report']): void {
  const rows = images.map(({ id, region, architecture, source, name }) => [
    code(id),
    code(region),
    code(architecture),
    code(source),
    code(name),
  ]);
  report.summary(`### ${what}: ${plain(because)}\n\n${table(['Image', 'Region', 'Architecture', 'Source', 'Name'], rows)}`);
}
