import { type ActionError, CancelledError, RejectedError, TimeoutError, UsageError } from '../kit/errors.ts';
import { formatDuration } from '../kit/format.ts';
import type { Deps, Reporter } from '../ports/deps.ts';
import type { PackerBuild } from '../ports/packer.ts';
import { adopt, type BuiltImage, type Made } from './adopt.ts';
import { witness } from './build-tracker.ts';
import { type PhaseEnd, packerFailure, packerInit, packerPhase, type Telling } from './packer-phase.ts';
import { findPacker, type PackerChoice, packerOrder } from './packer-tool.ts';
import type { BuildPlan } from './plan.ts';
import { tellPhases } from './report.ts';
import { builtMeanwhile, type Inputs, reuse, sayIds } from './reuse.ts';
import { type Artifact, artifacts, baseOf, isHidden, type PackerLine, packerErrors } from './rules/packer-output.ts';
import { type BuildEntry, removeImages, sweepBuild, sweepQuietly } from './sweep.ts';
import { unsettled } from './untagged.ts';

export type BuildOrder = PackerChoice & { readonly cleanupOnFailure: boolean };
type NeededDeps = Deps<'account' | 'images' | 'leftovers', 'content' | 'journal' | 'packer'>;

export interface Built {
  readonly images: readonly BuiltImage[];
  readonly built: boolean;
  readonly reason: string;
  /** What Packer said. */
  readonly lines?: readonly PackerLine[];
}

/** Packer, from where it comes from to images of the family; and nothing else is left, however it ends. */
export async function buildAnew(wanted: BuildOrder, reason: string, inputs: Inputs, deps: NeededDeps): Promise<Built> {
  const { report, packer, journal, clock } = deps;
  const { plan } = inputs;
  const tool = await report.step('Find Packer', () => findPacker(wanted, deps));
  const order = await report.step('Read the template', () => packerOrder(wanted, inputs, tool, deps));
  const phase = { report, secrets: order.hidden };
  const timed = (): PackerBuild => ({ ...order, atMostSeconds: Math.max(1, (plan.deadline - clock.now()) / 1000) });
  const init = await packerInit(timed(), phase, deps);
  if (init.exitCode !== 0) throw failure('packer init', init, wanted);
  if (!order.isSingle) await validate(timed(), wanted, phase, deps);

  const seen = witness(plan.entry, journal);
  const end = await packerPhase('packer build', onLine => packer.build(timed(), both(seen.see, onLine)), phase);
  const made = artifacts(end.lines).map(image => ({ ...image, baseAmi: baseOf(end.lines, image.source) }));
  tellElsewhere(made, plan, report);
  const isWhole = end.exitCode === 0 && made.length > 0;
  if (isWhole) seen.spare(made.map(({ id }) => id));
  const settled = () => report.step('Tag the images', () => settle(made, reason, inputs, deps));
  const result = isWhole ? await settled().catch(unsettled(made, order, inputs, seen)) : undefined;
  if (result === undefined) tellPhases(end.lines, report);
  // What was adopted stays even where nobody can see its family tag yet.
  const excluded = result?.kept ?? (wanted.cleanupOnFailure ? [] : made.map(({ id }) => id));
  const unwanted = result === undefined && wanted.cleanupOnFailure ? made : [];
  const sweep = async () => [
    ...(await removeImages(unwanted, deps)),
    ...(await sweepBuild(ofItsOwn(seen.entry(), end), deps, { excluded })),
  ];
  const left = await report.step('See that nothing is left', () => sweepQuietly(sweep, deps));
  // What was stopped is looked for once more in post: one look in the same moment proves nothing.
  if (left.length === 0 && end.stopped === undefined) seen.forget();
  if (result === undefined) throw failure('packer build', end, wanted, made, [...fates(made, wanted, order), ...left]);
  for (const line of left) report.warn(line);
  return { ...result, lines: end.lines };
}

type Settled = Built & { readonly kept: readonly string[] };

/**
 * One of the family, unless another run built the same meanwhile and was first: then all take that one. Asked again when ours is in the family too, since
 * two may be tagged in the same moment; both then see both, and take the newest, as every later push does.
 */
async function settle(made: readonly Made[], reason: string, inputs: Inputs, deps: NeededDeps): Promise<Settled> {
  const { plan } = inputs;
  const mine = made.map(({ id }) => id);
  const theirs = async (fate: string, kept: readonly string[]): Promise<Settled | undefined> => {
    const found = await builtMeanwhile(mine, inputs, deps);
    if (found === undefined) return undefined;
    const reason = `another run built the same meanwhile, and ${sayIds(found)} is what all take: ${mine.join(', ')} ${fate}`;
    deps.report.info(`${reason}.`);
    return { images: await reuse(found, deps.run.commit, plan, deps), built: false, reason, kept };
  };
  const first = await theirs('is removed', []);
  if (first !== undefined) {
    for (const line of await sweepQuietly(() => removeImages(made, deps), deps)) deps.report.warn(line);
    return first;
  }
  const images = await adopt(made, plan, deps);
  return (await theirs('stays in the family until prune removes it', mine)) ?? { images, built: true, reason, kept: mine };
}

/** Of several sources `packer build` builds those that are right, and launches machines for them; one alone it checks as thoroughly as this does. */
async function validate(order: PackerBuild, wanted: BuildOrder, phase: Telling, { packer }: NeededDeps): Promise<void> {
  const end = await packerPhase('packer validate', onLine => packer.validate(order, onLine), phase);
  if (end.exitCode !== 0) throw failure('packer validate', end, wanted);
}

const both = (first: (line: string) => void, second: (line: string) => void) => (line: string) => {
  first(line);
  second(line);
};

/** Where the name was taken, an image of that name is somebody else's: only tags tell what is ours. */
const ofItsOwn = (entry: BuildEntry, { lines }: PhaseEnd): BuildEntry =>
  packerErrors(lines).some(({ message }) => message.includes('InvalidAMIName.Duplicate')) ? { ...entry, made: [] } : entry;

/** A complaint that no source makes is about the template: nothing was launched. */
const hasBegun = (what: string, { lines }: PhaseEnd): boolean => {
  const said = packerErrors(lines);
  return what === 'packer build' && (said.length === 0 || said.some(({ source }) => source !== ''));
};

const HIDDEN =
  'Packer has hidden the ID of what it made, so nobody knows it: a sensitive variable of the template has a value so short, or so common, that it stands in the ID or the region. Take a longer value, or "sensitive" out of the template';
const NO_IMAGE = 'Look for skip_create_ami in the template, and at what "only" and "except" leave of it.';

/** A template may say itself where it builds and copies to. */
function tellElsewhere(made: readonly Artifact[], { regions }: BuildPlan, report: Reporter): void {
  const elsewhere = [...new Set(made.map(({ region }) => region))].filter(region => !regions.includes(region));
  if (elsewhere.length === 0) return;
  report.warn(
    `The template itself says that it makes images in ${elsewhere.join(', ')}. The next push looks for an image that is the same in ${regions.join(', ')} alone: let "region", and "regions" with a variable "ami_regions", say where.`,
  );
}

/** An image that was finished although the build failed is told, not tagged as one of the family: nothing can pick it up. */
function fates(made: readonly Artifact[], { cleanupOnFailure }: BuildOrder, { given }: PackerBuild): readonly string[] {
  const stays = 'run_tags' in given ? 'until a later run finds it expired' : 'and nothing marks it as ours';
  const fate = cleanupOnFailure ? 'and is removed again' : `and stays, outside the family, ${stays}`;
  return made.map(({ source, region, id }) => `${id} in ${region} (${source}) was finished ${fate}`);
}

function failure(
  what: string,
  end: PhaseEnd,
  wanted: BuildOrder,
  made: readonly Artifact[] = [],
  left: readonly string[] = [],
): ActionError {
  const outputs = made.length === 0 ? {} : { partial: made.map(({ source, region, id }) => ({ source, region, id })), built: false };
  if (end.stopped === 'cancelled') return new CancelledError('Cancelled while Packer ran.', { leftovers: left, outputs });
  if (end.stopped === 'timeout') {
    return new TimeoutError(`Packer was stopped after ${formatDuration(wanted.timeout)}.`, {
      leftovers: left,
      outputs,
      next: 'Give it more with "timeout".',
    });
  }
  if (end.exitCode === 0 && isHidden(end.lines)) return new UsageError([HIDDEN], { leftovers: left });
  if (end.exitCode === 0)
    return new RejectedError('No AMI was produced: Packer ended well, and made no image.', { leftovers: left, next: NO_IMAGE });
  return packerFailure({ what, end, otherwise: hasBegun(what, end) ? 'rejected' : 'usage', left, outputs });
}
