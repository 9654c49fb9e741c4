import { randomUUID } from 'node:crypto';
import { UsageError } from '../kit/errors.ts';
import { type Architecture, tagKey } from '../model/image.ts';
import type { Deps, Reporter } from '../ports/deps.ts';
import { resolveBase } from '../selection/base-image.ts';
import type { BuiltImage } from './adopt.ts';
import { incrementProblem } from './application.ts';
import { captureInstance, instanceProblem, planCapture } from './from-instance.ts';
import { decideIncrement, withIncrement } from './increment.ts';
import { checkAccount, withRole } from './other-account.ts';
import { namesImage } from './packer-build.ts';
import { type BuildPlan, planBuild, withInputs } from './plan.ts';
import { previewBuild } from './preview.ts';
import { readTemplate, type Template } from './read-template.ts';
import { reportImages, reportPhases } from './report.ts';
import { decideReuse, fingerprintOf, type Inputs, rebuildProblem, reuse } from './reuse.ts';
import type { Found } from './rules/reuse.ts';
import { ownRegions } from './rules/template-text.ts';
import { type Built, runBuild } from './run-build.ts';
import type { BuildOptions } from './settings.ts';
import { sweepExpired, sweepQuietly } from './sweep.ts';
import { templateWarnings } from './template-warnings.ts';

// Needs a Packer template, or a running instance.
// Produces an image per region and source, tagged with the family, image and snapshots alike. It moves no pointer.

export { outputs, settings } from './settings.ts';

type BuildDeps = Deps<'account' | 'capture' | 'images' | 'leftovers' | 'instances' | 'parameters', 'content' | 'journal' | 'packer'>;

export async function run(given: BuildInputs, own: BuildDeps) {
  const options = { ...given, regions: given.homeOnly ? [] : given.regions, content: contentOf(given) };
  const deps = withRole(own, options.templateRole);
  const { report, packer, clock } = deps;
  for (const secret of Object.values(options.secretVar)) report.mask(secret);
  const started = {
    now: clock.now(),
    id: randomUUID(),
    problem:
      instanceProblem(options) ?? (options.fromInstance === undefined ? (rebuildProblem(options) ?? incrementProblem(options)) : undefined),
  };
  const intent = planBuild(options, deps.run, packer, started);
  if (options.fromInstance !== undefined) return saveInstance(options.fromInstance, options, intent, deps);
  const read = await readInputs(options, intent, own, deps);
  const { print, template } = read;
  const decision = await report.step('Look for an image with the same fingerprint', () => decideReuse(read, deps));
  const { reuse: same, reason: first, changes } = decision;
  const increment = same === undefined ? await decideIncrement(read, deps) : undefined;
  const inputs = withIncrement(read, increment);
  const { plan } = inputs;
  const reason = [first, increment?.reason ?? []].flat().join('; ');
  // First: without credentials there is one error, and no warning about leftovers.
  await own.inRegion({ region: options.region }).account.environment();
  if (!options.dryRun) await sweepExpiredBuilds(plan, same ?? [], deps);
  report.info(same === undefined ? `To be built: ${reason}.` : `Nothing to build: ${reason}.`);
  const named = namesImage(template);
  if (same === undefined && named) await report.step(`Check that the name ${plan.name} is free`, () => refuseTakenName(plan, deps));
  if (options.dryRun) {
    if (same === undefined) await report.step('Preview the Packer build', () => previewBuild({ reason, changes }, inputs, deps));
    else reportImages('Nothing to build', [], reason, report);
    return {
      outcome: 'planned' as const,
      outputs: { reason, fingerprint: print.value, built: false, imageName: named ? plan.name : undefined },
    };
  }
  const ended =
    same === undefined
      ? await runBuild(reason, inputs, deps)
      : { images: await reuse(same, deps.run.commit, plan, deps), built: false, reason };
  return reportEnd(
    ended,
    ended.built ? `✅ Built ${options.family} ${formatVersion(plan)}` : 'Nothing to build',
    { fingerprint: print.value },
    { report, home: options.region, changes },
  );
}

/** `serviceFolder`: the folder of the settings file, where the repository has one for each service. */
type BuildInputs = BuildOptions & { readonly serviceFolder?: string | undefined };

/** In a repository of many services, a service is its folder. The template and what it refers to always count. */
const contentOf = ({ content, serviceFolder }: BuildInputs): readonly string[] =>
  content.length > 0 || serviceFolder === undefined ? content : [`${serviceFolder}/**`];

/** People think in versions and commits: "1.3.0 (d165fd6)". */
function formatVersion({ tags, scheme }: BuildPlan): string {
  const [version = '', commit = ''] = [tags[tagKey(scheme, 'version')], tags[scheme.commitKey]?.slice(0, 7)];
  return commit === '' || commit === version ? version : `${version} (${commit})`;
}

/** What the build is made from, and its plan with it. */
async function readInputs(options: BuildOptions, intent: BuildPlan, own: BuildDeps, deps: BuildDeps): Promise<Inputs> {
  const { report } = deps;
  const template = await readTemplate(intent, options, deps);
  await checkAccount(template, options, own);
  refuseSameName(template);
  const base = await report.step('Resolve the base image', () => resolveBase(options, intent.scheme, deps));
  const { print, files, foundation } = await report.step('Compute the fingerprint', () =>
    fingerprintOf(options, intent, base, template, deps),
  );
  const { regions } = template.facts;
  const plan = withInputs(intent, {
    fingerprint: print,
    base: base?.id,
    regions,
    // Where only Packer knows the region, leftovers are looked for in all.
    otherRegions:
      regions === undefined ? await deps.inRegion({ region: options.region }).leftovers.regions() : template.texts.flatMap(ownRegions),
  });
  for (const warning of templateWarnings(template, options)) report.warn(warning);
  return { options, plan, print, files, foundation, template };
}

async function saveInstance(given: string, wanted: BuildOptions, plan: BuildPlan, deps: BuildDeps) {
  const { report } = deps;
  const instanceId = given === 'self' ? await deps.inRegion({ region: wanted.region }).capture.self() : given;
  const options = { ...wanted, fromInstance: instanceId };
  const capture = await report.step(`Read instance ${instanceId}`, () => planCapture(instanceId, options, plan, deps));
  const { reason } = capture;
  const built = !('begun' in capture);
  if (built)
    report.info(`${instanceId} ${options.noReboot ? 'keeps running' : 'restarts once'}; the image changes nothing until it is promoted.`);
  if (built) await report.step(`Check that the name ${plan.name} is free`, () => refuseTakenName(plan, deps));
  if (options.dryRun) {
    reportImages(built ? `Would save ${instanceId} as ${plan.name}` : 'Nothing to save', [], reason, report);
    return { outcome: 'planned' as const, outputs: { built: false, reason, imageName: built ? plan.name : capture.begun.name } };
  }
  const title = built ? `Create an image of ${instanceId}` : 'Take the existing image';
  const images = await report.step(title, () => captureInstance(capture, options, plan, deps));
  return reportEnd({ images, built, reason }, built ? `✅ Saved ${instanceId}` : 'Nothing to save', {}, { report, home: options.region });
}

function reportEnd(
  { images, built, reason, lines = [] }: Built,
  title: string,
  more: { readonly fingerprint?: string },
  { report, home, changes }: { readonly report: Reporter; readonly home: string; readonly changes?: string | undefined },
) {
  reportImages(title, images, built ? `${reason}. Not validated yet` : reason, report, changes);
  reportPhases(lines, report);
  return { outcome: built ? ('done' as const) : ('unchanged' as const), outputs: { ...outputsOf(images, home), ...more, built, reason } };
}

async function sweepExpiredBuilds({ entry: { regions }, scheme }: BuildPlan, same: readonly Found[], deps: BuildDeps): Promise<void> {
  const excluded = new Set(same.flatMap(({ image }) => [image.id, ...image.snapshotIds]));
  const sweep = () => sweepExpired(regions, { scheme, repository: deps.run.repository }, deps, ({ id }) => !excluded.has(id));
  const remaining = await deps.report.step('Remove leftovers of interrupted builds', () => sweepQuietly(sweep, deps));
  for (const line of remaining) deps.report.warn(`Leftovers of an earlier run: ${line}`);
}

function refuseSameName({ facts: { sameName } }: Template): void {
  if (sameName.length < 2) return;
  throw new UsageError([`The sources ${sameName.join(', ')} give their images the same name, which AWS refuses in one region`], {
    unchanged: true,
    next: 'Set ami_name = "${var.ami_name}-${source.name}" in the template (HCL), or a name for each builder (JSON).',
  });
}

/** Checked before anything is launched: AWS refuses a taken name only at the end of the build. */
async function refuseTakenName({ name, regions }: BuildPlan, { inRegion }: BuildDeps): Promise<void> {
  const found = await Promise.all(
    regions.map(async region =>
      (await inRegion({ region }).images.find({ names: [name], includeDisabled: true })).map(({ id }) => `${id} in ${region}`),
    ),
  );
  const taken = found.flat();
  if (taken.length === 0) return;
  const verb = taken.length === 1 ? 'has' : 'have';
  throw new UsageError([`"name" becomes ${JSON.stringify(name)}, and ${taken.join(' and ')} already ${verb} this name`], {
    unchanged: true,
    next: 'Add {timestamp} or {commit} to "name".',
  });
}

function outputsOf(images: readonly BuiltImage[], home: string) {
  const only = images.filter(image => !images.some(other => other !== image && other.region === image.region));
  const amiIds = Object.fromEntries(only.map(({ region, id }) => [region, id]));
  const listed = images.map(({ sizeGiB: _, encrypted: __, ...image }) => image);
  const here = images.filter(({ region }) => region === home);
  const of = (architecture: Architecture) => here.filter(image => image.architecture === architecture);
  return {
    ...{ amiId: theOnly(here) ?? theOnly(images), amiIds, images: listed, imageName: images[0]?.name },
    amiIdX86_64: theOnly(of('x86_64')),
    amiIdArm64: theOnly(of('arm64')),
  };
}

const theOnly = (images: readonly BuiltImage[]): string | undefined => (images.length === 1 ? images[0]?.id : undefined);
