import { randomUUID } from 'node:crypto';
import { UsageError } from '../kit/errors.ts';
import { duration, flag, list, map, optional, text } from '../kit/fields.ts';
import type { Values } from '../kit/settings.ts';
import { architecture, common, dryRun, environment, family, regions, tags } from '../model/common-settings.ts';
import type { Deps, Reporter } from '../ports/deps.ts';
import { baseImage, resolveBase } from '../selection/base-image.ts';
import type { BuiltImage } from './adopt.ts';
import { captureInstance, instanceProblem, instanceSettings, lookAtInstance } from './from-instance.ts';
import { packerSettings } from './packer-tool.ts';
import { type BuildPlan, NAME, planBuild, withInputs } from './plan.ts';
import { rehearse } from './preview.ts';
import { readTemplate } from './read-template.ts';
import { tellImages, tellPhases } from './report.ts';
import { decide, fingerprintOf, rebuildProblem, reuse, reuseSettings } from './reuse.ts';
import type { Found } from './rules/reuse.ts';
import { ownRegions } from './rules/template-text.ts';
import { type Built, buildAnew } from './run-build.ts';
import { sweepExpired, sweepQuietly } from './sweep.ts';

// Needs a Packer template, or a running instance.
// Leaves behind an image per region and source, tagged as one of the family, image and snapshots alike; it moves no pointer.

export const settings = {
  family,
  template: text(
    'Packer template: a directory or a file, HCL2 or the JSON of old. What it declares of `ami_name`, `ami_tags`, `run_tags`, `instance_type`, `region` and `ami_regions` gets its value from the action.',
    { fallback: 'packer' },
  ),
  version: optional(
    text('Version of what is in the image. Default: the tag that is built, else the first seven characters of the commit.', {
      pattern: /^[\w.+-]{1,64}$/,
      message: 'must be 1 to 64 letters, digits and . _ + -',
    }),
  ),
  var: map(
    'Variables of the template. They become arguments of Packer, which everybody on the machine can see: a secret belongs under "secret-var".',
    { fallback: '{}' },
  ),
  varFiles: list('Files with variables, relative to the workspace.', {
    fallback: '',
    neededBy: 'templates with many variables',
  }),
  name: text(
    'Name of the image, from `{family}`, `{version}`, `{timestamp}`, `{environment}`, `{commit}` and `{architecture}`. With "architecture", the default has it too.',
    {
      fallback: NAME,
    },
  ),
  tags,
  baseImage,
  instanceType: optional(
    text('Type of the build instance, for a template that declares `instance_type`.', {
      pattern: /^[a-z0-9-]+\.[a-z0-9-]+$/,
      message: 'must be an instance type such as t3.small',
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
  reason: 'Why it was built, or not, as a sentence.',
  fingerprint: 'SHA-256 over everything that determines the content of the image.',
  imageName: 'Name of the image.',
  partial: 'JSON list: `source`, `region` and `id` of what was finished although the build failed.',
};

type Wanted = Values<typeof settings>;
type NeededDeps = Deps<'account' | 'capture' | 'images' | 'leftovers' | 'instances' | 'parameters', 'content' | 'journal' | 'packer'>;

export async function run(wanted: Wanted, deps: NeededDeps) {
  const { report, packer, clock } = deps;
  for (const secret of Object.values(wanted.secretVar)) report.mask(secret);
  const started = {
    now: clock.now(),
    id: randomUUID(),
    problem: instanceProblem(wanted) ?? (wanted.fromInstance === undefined ? rebuildProblem(wanted) : undefined),
  };
  const intent = planBuild(wanted, deps.run, packer, started);
  if (wanted.fromInstance !== undefined) return saveInstance(wanted.fromInstance, wanted, intent, deps);
  const base = await report.step('Resolve the base image', () => resolveBase(wanted, intent.scheme, deps));
  const template = await readTemplate(intent, wanted, deps);
  const print = await report.step('Take the fingerprint', () => fingerprintOf(wanted, intent, base, template, deps));
  const plan = withInputs(intent, { fingerprint: print, base: base?.id, elsewhere: template.texts.flatMap(ownRegions) });

  const inputs = { wish: wanted, plan, print, template };
  const { reuse: same, reason } = await report.step('Look for an image that is the same', () => decide(inputs, deps));
  if (!wanted.dryRun) await sweepDeadBuilds(plan, same ?? [], deps);
  report.info(same === undefined ? `To be built: ${reason}.` : `Nothing to build: ${reason}.`);
  if (same === undefined) await report.step(`Check that the name ${plan.name} is free`, () => refuseTakenName(plan, deps));
  if (wanted.dryRun) {
    if (same === undefined) await report.step('See what Packer would be asked', () => rehearse(wanted, reason, inputs, deps));
    else tellImages('Nothing to build', [], reason, report);
    return { outcome: 'planned' as const, outputs: { reason, fingerprint: print.value, built: false, imageName: plan.name } };
  }
  const ended =
    same === undefined
      ? await buildAnew(wanted, reason, inputs, deps)
      : { images: await reuse(same, deps.run.commit, plan, deps), built: false, reason };
  return tell(ended, ended.built ? `✅ Built ${plan.name}` : 'Nothing to build', { fingerprint: print.value }, report);
}

async function saveInstance(instanceId: string, wanted: Wanted, plan: BuildPlan, deps: NeededDeps) {
  const { report } = deps;
  const subject = await report.step(`Look at ${instanceId}`, () => lookAtInstance(instanceId, wanted, plan, deps));
  const { reason } = subject;
  const built = !('begun' in subject);
  if (built) await report.step(`Check that the name ${plan.name} is free`, () => refuseTakenName(plan, deps));
  if (wanted.dryRun) {
    tellImages(built ? `Would save ${instanceId} as ${plan.name}` : 'Nothing to save', [], reason, report);
    return { outcome: 'planned' as const, outputs: { built: false, reason, imageName: built ? plan.name : subject.begun.name } };
  }
  const title = built ? `Make an image of ${instanceId}` : 'Take the image that there is';
  const images = await report.step(title, () => captureInstance(subject, wanted, plan, deps));
  return tell({ images, built, reason }, built ? `✅ Saved ${instanceId}` : 'Nothing to save', {}, report);
}

function tell({ images, built, reason, lines = [] }: Built, title: string, more: { readonly fingerprint?: string }, report: Reporter) {
  tellImages(title, images, reason, report);
  tellPhases(lines, report);
  return { outcome: built ? ('done' as const) : ('unchanged' as const), outputs: { ...outputsOf(images), ...more, built, reason } };
}

async function sweepDeadBuilds({ entry: { regions }, scheme }: BuildPlan, same: readonly Found[], deps: NeededDeps): Promise<void> {
  const spared = new Set(same.flatMap(({ image }) => [image.id, ...image.snapshotIds]));
  const sweep = () => sweepExpired(regions, { scheme, repository: deps.run.repository }, deps, ({ id }) => !spared.has(id));
  const left = await deps.report.step('Sweep what dead builds left', () => sweepQuietly(sweep, deps));
  for (const line of left) deps.report.warn(`Leftovers of an earlier run: ${line}`);
}

/** Before anything is launched; AWS would say it only when the image is made, at the end of the build. */
async function refuseTakenName({ name, regions }: BuildPlan, { inRegion }: NeededDeps): Promise<void> {
  const found = await Promise.all(
    regions.map(async region =>
      (await inRegion({ region }).images.find({ names: [name], includeDisabled: true })).map(({ id }) => `${id} in ${region}`),
    ),
  );
  const taken = found.flat();
  if (taken.length === 0) return;
  throw new UsageError([`"name" becomes ${JSON.stringify(name)}, and ${taken.join(' and ')} is called so already`], {
    next: 'Put {timestamp} or {commit} into "name". Nothing was launched.',
  });
}

function outputsOf(images: readonly BuiltImage[]) {
  const only = images.filter(image => !images.some(other => other !== image && other.region === image.region));
  const amiIds = Object.fromEntries(only.map(({ region, id }) => [region, id]));
  const listed = images.map(({ sizeGiB: _, ...image }) => image);
  return { amiId: images.length === 1 ? images[0]?.id : undefined, amiIds, images: listed, imageName: images[0]?.name };
}
