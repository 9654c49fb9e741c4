import { UsageError } from '../kit/errors.ts';
import { identityTags, type Origin, tagProblems } from '../model/identity.ts';
import { type TagScheme, type Tags, tagKey } from '../model/image.ts';
import type { JournalEntry, Run } from '../ports/deps.ts';
import type { Packer } from '../ports/packer.ts';
import type { Fingerprint } from './rules/fingerprint.ts';
import { imageName, timestamp } from './rules/name-template.ts';

/** Everything about a build that can be said, and be wrong, before anything is touched. */
export interface BuildPlan {
  readonly name: string;
  readonly scheme: TagScheme;
  /** What a finished image carries. */
  readonly tags: Tags;
  /** Its tag `Name`: the user's own, or its name. */
  named(imageName: string): string;
  /** What the template may write itself: all but what makes the image one of the family, which it only says it is meant for. That comes last, when it is proven. */
  readonly earlyTags: Tags;
  /** Until then Packer may work: what is temporary expires long after it. */
  readonly deadline: number;
  /** On everything that is temporary, so that it is found again. */
  readonly runTags: Tags;
  /** How post finds it, if we do not live to do it. */
  readonly entry: Extract<JournalEntry, { kind: 'build' }>;
  readonly regions: readonly string[];
  readonly template: string;
  readonly varFiles: readonly string[];
  /** What it is built on, where the action has resolved it. */
  readonly base: string | undefined;
}

/** What is known of the build only after looking around: its fingerprint, its base, and regions that the template names itself. */
export function withInputs(
  plan: BuildPlan,
  { fingerprint, base, elsewhere }: { fingerprint: Fingerprint; base: string | undefined; elsewhere: readonly string[] },
): BuildPlan {
  const entry = { ...plan.entry, regions: [...new Set([...plan.regions, ...elsewhere])] };
  const ancestry = base === undefined ? {} : { [tagKey(plan.scheme, 'base-ami')]: base };
  const late = { [tagKey(plan.scheme, 'fingerprint')]: fingerprint.value, [tagKey(plan.scheme, 'inputs')]: fingerprint.inputs };
  return { ...plan, base, entry, tags: { ...plan.tags, ...ancestry, ...late }, earlyTags: { ...plan.earlyTags, ...ancestry } };
}

/**
 * The early tags of a build whose image can be told to be whole when we do not live to see it: Packer tags last, so whoever finds all of these on the
 * image of a template's sole source, in every region, has the result of the build, and a later run adopts it.
 */
export const recognisableTags = ({ earlyTags, tags, scheme }: BuildPlan, soleSource: string): Tags => {
  const inputs = (['fingerprint', 'inputs'] as const).map(key => tagKey(scheme, key)).filter(key => key in tags);
  return {
    ...earlyTags,
    ...Object.fromEntries(inputs.map(key => [key, tags[key] ?? ''])),
    [tagKey(scheme, 'source')]: soleSource,
    [tagKey(scheme, 'siblings')]: '1',
  };
};

export const isRecognisable = (tags: unknown, scheme: TagScheme): boolean =>
  tagKey(scheme, 'fingerprint') in ((tags as Tags | undefined) ?? {});

export interface BuildWish {
  readonly family: string;
  readonly version: string | undefined;
  readonly environment: string | undefined;
  readonly architecture: string | undefined;
  readonly name: string;
  readonly tags: Tags;
  readonly tagPrefix: string;
  readonly commitTag: string;
  readonly region: string;
  readonly regions: readonly string[];
  readonly template: string;
  readonly varFiles: readonly string[];
  readonly var: Readonly<Record<string, string>>;
  readonly secretVar: Readonly<Record<string, string>>;
  readonly timeout: number;
  readonly fromInstance?: string | undefined;
}

/** Ends long after the build itself must have: what bears it in the past belongs to nobody who lives. */
const EXPIRY_MARGIN_SECONDS = 30 * 60;

// Whose clock is right is not known; the name is the build's alone anyway.
const CLOCK_SKEW_MS = 10 * 60_000;

export const NAME = '{family}-{version}-{timestamp}';
// The jobs of a matrix begin in the same second.
const NAME_OF_ONE = '{family}-{version}-{architecture}-{timestamp}';

const OURS = ['ami_name', 'ami_tags', 'run_tags', 'ami_regions', 'source_ami'];

export function planBuild(
  wish: BuildWish,
  run: Run,
  packer: Pick<Packer, 'locate'>,
  { now, id, problem }: { now: number; id: string; problem: string | undefined },
): BuildPlan {
  const scheme = { prefix: wish.tagPrefix, commitKey: wish.commitTag };
  const origin = originOf(wish, run, now);
  const named = imageName(wish.name === NAME && wish.architecture !== undefined ? NAME_OF_ONE : wish.name, {
    ...origin,
    environment: wish.environment,
    architecture: wish.architecture,
    timestamp: timestamp(now),
  });
  const problems = [
    problem ?? [],
    'problem' in named ? [named.problem] : [],
    tagProblems(wish.tags, scheme),
    variableProblems(wish),
    fileProblems(wish, packer),
  ].flat();
  if (problems.length > 0 || 'problem' in named) throw new UsageError(problems);
  const tags = identityTags(origin, named.name, wish.tags, scheme);
  const regions = [...new Set([wish.region, ...wish.regions])];
  const deadline = now + wish.timeout * 1000;
  return {
    name: named.name,
    scheme,
    tags,
    named: imageName => wish.tags.Name ?? imageName,
    earlyTags: {
      ...Object.fromEntries(Object.entries(tags).filter(([key]) => key !== tagKey(scheme, 'family'))),
      [tagKey(scheme, 'for-family')]: wish.family,
    },
    runTags: runTags(scheme, origin, { id, expiresAt: deadline + EXPIRY_MARGIN_SECONDS * 1000 }),
    deadline,
    entry: {
      ...{ kind: 'build', regions, name: named.name, since: now - CLOCK_SKEW_MS },
      ...{ tags: { [tagKey(scheme, 'build')]: id }, familyKey: tagKey(scheme, 'family') },
    },
    regions,
    template: packer.locate(wish.template) ?? wish.template,
    varFiles: wish.varFiles.map(file => packer.locate(file) ?? file),
    base: undefined,
  };
}

const originOf = (wish: BuildWish, run: Run, now: number): Origin => ({
  family: wish.family,
  version: wish.version ?? (run.ref.startsWith('refs/tags/') ? run.ref.slice('refs/tags/'.length) : run.commit.slice(0, 7)),
  commit: run.commit,
  ref: run.ref,
  repository: run.repository,
  run: run.id,
  createdAt: new Date(now),
});

const runTags = (scheme: TagScheme, origin: Origin, { id, expiresAt }: { id: string; expiresAt: number }): Tags => ({
  Name: `ami-action build of ${origin.family}`,
  ManagedBy: 'ami-action',
  [tagKey(scheme, 'purpose')]: 'build',
  [tagKey(scheme, 'build')]: id,
  [tagKey(scheme, 'run')]: origin.run,
  [tagKey(scheme, 'repository')]: origin.repository,
  [tagKey(scheme, 'expires-at')]: new Date(expiresAt).toISOString(),
});

/** What a finished image sheds: it is no leftover any more. */
export const temporaryKeys = (scheme: TagScheme): readonly string[] =>
  (['purpose', 'build', 'expires-at', 'for-family'] as const).map(key => tagKey(scheme, key));

function variableProblems({ var: plain, secretVar }: BuildWish): readonly string[] {
  const names = [...Object.keys(plain), ...Object.keys(secretVar)];
  return names.flatMap(name => {
    if (!/^[A-Za-z_][\w-]*$/.test(name)) return [`"var.${name}" is no name of a variable`];
    if (OURS.includes(name)) return [`"var.${name}" is set by the action itself: use "name", "tags", "regions" or "base-image"`];
    return name in plain && name in secretVar ? [`"var.${name}" stands under "secret-var" as well: say it once`] : [];
  });
}

const fileProblems = ({ template, varFiles, fromInstance }: BuildWish, packer: Pick<Packer, 'locate'>): readonly string[] => [
  ...(fromInstance === undefined && packer.locate(template) === undefined
    ? [`"template" names ${JSON.stringify(template)}, which is not in the workspace: is there an actions/checkout step before?`]
    : []),
  ...varFiles
    .filter(file => packer.locate(file) === undefined)
    .map(file => `"var-files" names ${JSON.stringify(file)}, which is not in the workspace`),
];
