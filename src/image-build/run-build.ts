import { CancelledError, withDetails } from '../kit/errors.ts';
import type { Deps, Journal, Reporter } from '../ports/deps.ts';
import { adopt, type BuiltImage, type CreatedImage } from './adopt.ts';
import type { BuildEntry } from './build-leftovers.ts';
import { findPacker, type PlannedBuild, planPackerBuild } from './packer-build.ts';
import { buildError, type PhaseEnd, packerInit, packerPhase } from './packer-phase.ts';
import type { BuildPlan } from './plan.ts';
import { reportPhases } from './report.ts';
import { buildsAlways, findConcurrentBuild, formatIds, type Inputs, recordOutputs, reuse } from './reuse.ts';
import {
  type Artifact,
  artifacts,
  baseOf,
  createdIds,
  createdVolumes,
  isCreation,
  isOfSource,
  isTemplateError,
  type PackerLine,
  packerErrors,
  parseLine,
} from './rules/packer-output.ts';
import type { BuildOptions } from './settings.ts';
import { removeImages, sweepBuild, sweepQuietly } from './sweep.ts';
import { encryptionWarning } from './template-warnings.ts';

type RunDeps = Deps<'account' | 'images' | 'instances' | 'leftovers', 'content' | 'journal' | 'packer'>;

export interface Built {
  readonly images: readonly BuiltImage[];
  readonly built: boolean;
  readonly reason: string;
  /** Packer's output. */
  readonly lines?: readonly PackerLine[];
}

/** Runs Packer, adopts its images into the family, and removes its leftovers however it ends. */
export async function runBuild(reason: string, inputs: Inputs, deps: RunDeps): Promise<Built> {
  const { report, packer, journal, clock } = deps;
  const { options, plan } = inputs;
  const tool = await report.step('Find Packer', () => findPacker(options, deps));
  const build = await report.step('Read the template', () => planPackerBuild(inputs, tool, deps));
  const phase = { report, secrets: build.hidden };
  const timed = (): PlannedBuild => ({ ...build, atMostSeconds: Math.max(1, (plan.deadline - clock.now()) / 1000) });
  await packerInit(timed(), options, phase, deps);
  const tracker = buildTracker({ ...plan.entry, isTagged: build.isSwept }, journal);
  const stop = new AbortController();
  const seen = allOrNone(stop);
  const end = await packerPhase('packer build', onLine => packer.build(timed(), forAll(tracker.see, seen, onLine), stop.signal), phase);
  await recordOutputs(inputs, deps);
  const created = artifacts(end.lines).map(image => ({ ...image, baseAmi: baseOf(end.lines, image.source) }));
  warnOfOtherRegions(created, plan, report);
  const isComplete = end.exitCode === 0 && created.length > 0;
  if (isComplete) tracker.exclude(created.map(({ id }) => id));
  const adopted = () => report.step('Tag the images', () => adoptUnlessBuilt(created, reason, inputs, deps));
  const result = isComplete ? await adopted().catch(untagged(created, build, inputs, tracker)) : undefined;
  if (result === undefined) reportPhases(end.lines, report);
  // An adopted image is kept even while its family tag cannot be read back.
  const excluded = result?.kept ?? (options.cleanupOnFailure ? [] : created.map(({ id }) => id));
  const unwanted = result === undefined && options.cleanupOnFailure ? created : [];
  const sweep = async () => [
    ...(await removeImages(unwanted, deps)),
    ...(await sweepBuild(withoutForeignImage(tracker.entry(), end), deps, { excluded, looks: isCut(end, stop.signal) ? 2 : 1 })),
  ];
  const remaining = await report.step('Check for leftovers', () => sweepQuietly(sweep, deps));
  // After a stop the post step looks once more: a request of the last moment may show late.
  if (remaining.length === 0 && end.stopped === undefined && !isCut(end, stop.signal)) tracker.forget();
  if (result === undefined)
    throw buildError('packer build', end, options, created, [
      ...describeFinished(created, options, build),
      ...createdVolumes(end.lines).map(({ source, region, id }) => `${id} in ${region}, which ${source} makes: it is kept`),
      ...remaining,
    ]);
  for (const line of remaining) report.warn(line);
  return { ...result, lines: end.lines };
}

type Adopted = Built & { readonly kept: readonly string[] };

/**
 * Adopts the images, unless another run built the same and was first: then all take that one. Asked again after the adoption, since two
 * runs may tag in the same moment; both then see both and take the newest, as every later run does.
 */
async function adoptUnlessBuilt(created: readonly CreatedImage[], reason: string, inputs: Inputs, deps: RunDeps): Promise<Adopted> {
  const { plan } = inputs;
  const mine = created.map(({ id }) => id);
  const theirs = async (effect: string, kept: readonly string[]): Promise<Adopted | undefined> => {
    const found = await findConcurrentBuild(mine, inputs, deps);
    if (found === undefined) return undefined;
    const reason = `another run built the same at the same time, and all runs take ${formatIds(found)}: ${mine.join(', ')} ${effect}`;
    deps.report.info(`${reason}.`);
    return { images: await reuse(found, deps.run.commit, plan, deps), built: false, reason, kept };
  };
  const first = await theirs('is removed', []);
  if (first !== undefined) {
    for (const line of await sweepQuietly(() => removeImages(created, deps), deps)) deps.report.warn(line);
    return first;
  }
  const images = await adopt(created, plan, deps);
  const { encryptedByChance } = inputs.template.facts;
  const open = images.filter(({ source, encrypted }) => encrypted === false && encryptedByChance.some(name => source.endsWith(name)));
  if (open.length > 0) deps.report.warn(encryptionWarning(open.map(({ id }) => id)));
  return (await theirs('stays in the family until prune removes it', mine)) ?? { images, built: true, reason, kept: mine };
}

type OnLine = (line: string) => void;
const forAll =
  (...all: readonly OnLine[]): OnLine =>
  line => {
    for (const onLine of all) onLine(line);
  };

/** Packer builds the valid sources although others are not. It is stopped when it reports the first error, before it launches anything. */
function allOrNone(stop: AbortController): OnLine {
  let hasBegun = false;
  return text => {
    const line = hasBegun ? undefined : parseLine(text);
    if (line === undefined) return;
    hasBegun = isOfSource(line);
    if (isTemplateError(line)) stop.abort();
  };
}

/** Packer gives up a request that our stop interrupts, and what it creates all the same may show after the first look. */
const isCut = ({ lines }: PhaseEnd, { aborted }: AbortSignal): boolean => aborted && lines.some(isCreation);

/** Where the name was taken, the image of that name is not ours: only tags identify what is. */
const withoutForeignImage = (entry: BuildEntry, { lines }: PhaseEnd): BuildEntry =>
  packerErrors(lines).some(({ message }) => message.includes('InvalidAMIName.Duplicate')) ? { ...entry, created: [] } : entry;

/** A template may set the regions itself. */
function warnOfOtherRegions(created: readonly Artifact[], { regions }: BuildPlan, report: Reporter): void {
  const others = [...new Set(created.map(({ region }) => region))].filter(region => !regions.includes(region));
  if (others.length === 0) return;
  report.warn(
    `The template sets regions itself: it made images in ${others.join(', ')}. The next run looks for an existing image only in ${regions.join(', ')}. Use the variables "region" and "ami_regions", and set "region" and "regions".`,
  );
}

/** Images that were finished although the build failed. They are not in the family, so no later run takes them. */
function describeFinished(created: readonly Artifact[], { cleanupOnFailure }: BuildOptions, { isSwept }: PlannedBuild): readonly string[] {
  const kept = isSwept ? 'until a later run finds it expired' : 'and no tag identifies it';
  const effect = cleanupOnFailure ? 'and is removed' : `and stays, outside the family, ${kept}`;
  return created.map(({ source, region, id }) => `${id} in ${region} (${source}) was finished ${effect}`);
}

/** For images that Packer finished and that could not be tagged: a later run may adopt them, so the post step keeps them. A cancel removes them. */
const untagged =
  (created: readonly CreatedImage[], build: PlannedBuild, { options }: Inputs, tracker: Pick<BuildTracker, 'exclude'>) =>
  (failure: unknown): never => {
    if (failure instanceof CancelledError) {
      tracker.exclude([]);
      throw failure;
    }
    const isAdopted = build.isAdoptable && !buildsAlways(options);
    const lost = build.isSwept ? 'this one is removed when it has expired' : 'no tag identifies this one';
    const effect = isAdopted
      ? 'the next run with the same inputs adopts it, and builds nothing'
      : `the next run builds another, and ${lost}`;
    throw withDetails(failure, {
      leftovers: created.map(
        ({ source, region, id }) => `${id} in ${region} (${source}) is finished, but not in the family yet: ${effect}`,
      ),
      outputs: { partial: created.map(({ source, region, id }) => ({ source, region, id })), built: false },
    });
  };

interface BuildTracker {
  /** Takes a line of Packer, and records the IDs that it contains for the post step. */
  see(line: string): void;
  /** From now on the post step keeps these images. */
  exclude(finished: readonly string[]): void;
  /** The entry as the journal has it now. */
  entry(): BuildEntry;
  forget(): void;
}

/** The IDs that Packer prints identify an untagged image as this build's. A name does not: two jobs may use the same. */
function buildTracker(first: BuildEntry, journal: Journal): BuildTracker {
  let entry = first;
  journal.remember(entry);
  const replace = (next: BuildEntry) => {
    const before = entry;
    entry = next;
    journal.remember(entry);
    journal.forget(before);
  };
  return {
    see(text) {
      const line = parseLine(text);
      const fresh = line === undefined ? [] : createdIds(line).filter(id => !(entry.created ?? []).includes(id));
      if (fresh.length > 0) replace({ ...entry, created: [...(entry.created ?? []), ...fresh] });
    },
    exclude: finished => replace({ ...entry, finished }),
    entry: () => entry,
    forget: () => journal.forget(entry),
  };
}
