import { UsageError } from '../kit/errors.ts';
import { formatList } from '../kit/format.ts';
import { identityTags, type Origin, tagProblems } from '../model/identity.ts';
import { type TagScheme, type Tags, tagKey } from '../model/image.ts';
import type { JournalEntry, Run } from '../ports/deps.ts';
import type { Packer } from '../ports/packer.ts';
import type { Fingerprint } from './rules/fingerprint.ts';
import { imageName, timestamp } from './rules/name-template.ts';
import { type BuildOptions, DEFAULT_NAME, settings } from './settings.ts';

/** Everything about a build that is decided, and checked, before AWS is asked. */
export interface BuildPlan {
  readonly name: string;
  readonly scheme: TagScheme;
  /** Tags of a finished image. */
  readonly tags: Tags;
  /** Value of its tag `Name`: the user's own, else the name of the image. */
  nameTag(imageName: string): string;
  /** Tags that the template may write: all but the family, which is added when the build has succeeded. */
  readonly earlyTags: Tags;
  /** When Packer is stopped, in milliseconds since 1970. Temporary resources expire long after it. */
  readonly deadline: number;
  /** Tags of everything temporary. A sweep finds it by these. */
  readonly runTags: Tags;
  /** What the post step needs to find the leftovers. */
  readonly entry: Extract<JournalEntry, { kind: 'build' }>;
  readonly regions: readonly string[];
  readonly template: string;
  readonly varFiles: readonly string[];
  /** Image that it is built on, where "base-image" is set. */
  readonly base: string | undefined;
}

interface Found {
  readonly fingerprint: Fingerprint;
  readonly base: string | undefined;
  /** Where the template builds and copies to, where that is known. */
  readonly regions: readonly string[] | undefined;
  /** Where it may build, too. */
  readonly otherRegions: readonly string[];
}

/** Adds what is read from AWS and the workspace: the fingerprint, the base image, and regions that the template sets itself. */
export function withInputs(plan: BuildPlan, { fingerprint, base, regions = plan.regions, otherRegions }: Found): BuildPlan {
  const entry = { ...plan.entry, regions: [...new Set([...regions, ...plan.regions, ...otherRegions])] };
  const ancestry = base === undefined ? {} : { [tagKey(plan.scheme, 'base-ami')]: base };
  const late = { [tagKey(plan.scheme, 'fingerprint')]: fingerprint.value, [tagKey(plan.scheme, 'inputs')]: fingerprint.inputs };
  return { ...plan, base, entry, regions, tags: { ...plan.tags, ...ancestry, ...late }, earlyTags: { ...plan.earlyTags, ...ancestry } };
}

/**
 * Early tags by which a later run recognises a finished image if this run is killed. Packer tags last, so an image of the only source
 * that has all of these, in every region, is the complete result of the build.
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

/** Until when a running build may still need its resources, after its deadline. */
const EXPIRY_MARGIN_SECONDS = 30 * 60;

// Runner and AWS clocks differ; the name belongs to this build alone anyway.
const CLOCK_SKEW_MS = 10 * 60_000;

// The jobs of a matrix begin in the same second.
const NAME_WITH_ARCHITECTURE = '{family}-{version}-{architecture}-{timestamp}';

const RESERVED = ['ami_name', 'ami_tags', 'run_tags', 'source_ami'];

/** @throws UsageError with all problems of the settings at once. */
export function planBuild(
  options: BuildOptions,
  run: Run,
  packer: Pick<Packer, 'locate' | 'templates'>,
  { now, id, problem }: { now: number; id: string; problem: string | undefined },
): BuildPlan {
  const scheme = { prefix: options.tagPrefix, commitKey: options.commitTag };
  const origin = originOf(options, run, now);
  const named = imageName(options.name === DEFAULT_NAME && options.architecture !== undefined ? NAME_WITH_ARCHITECTURE : options.name, {
    ...origin,
    environment: options.environment,
    architecture: options.architecture,
    timestamp: timestamp(now),
  });
  const problems = [
    problem ?? [],
    'problem' in named ? [named.problem] : [],
    tagProblems(options.tags, scheme),
    variableProblems(options),
    fileProblems(options, packer),
  ].flat();
  if (problems.length > 0 || 'problem' in named) throw new UsageError(problems);
  const tags = identityTags(origin, named.name, options.tags, scheme);
  const regions = [...new Set([options.region, ...options.regions])];
  const deadline = now + options.timeout * 1000;
  return {
    name: named.name,
    scheme,
    tags,
    nameTag: imageName => options.tags['Name'] ?? imageName,
    earlyTags: {
      ...Object.fromEntries(Object.entries(tags).filter(([key]) => key !== tagKey(scheme, 'family'))),
      [tagKey(scheme, 'for-family')]: options.family,
    },
    runTags: runTags(scheme, origin, { id, expiresAt: deadline + EXPIRY_MARGIN_SECONDS * 1000 }),
    deadline,
    entry: {
      ...{ kind: 'build', role: options.templateRole, regions, name: named.name, since: now - CLOCK_SKEW_MS },
      ...{ tags: { [tagKey(scheme, 'build')]: id }, familyKey: tagKey(scheme, 'family') },
    },
    regions,
    template: packer.locate(options.template) ?? options.template,
    varFiles: options.varFiles.map(file => packer.locate(file) ?? file),
    base: undefined,
  };
}

const originOf = (options: BuildOptions, run: Run, now: number): Origin => ({
  family: options.family,
  version: options.version ?? (run.ref.startsWith('refs/tags/') ? run.ref.slice('refs/tags/'.length) : run.commit.slice(0, 7)),
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

/** Tags that mark an image as unfinished; removed when it joins the family. */
export const temporaryKeys = (scheme: TagScheme): readonly string[] =>
  (['purpose', 'build', 'expires-at', 'for-family'] as const).map(key => tagKey(scheme, key));

function variableProblems({ var: plain, secretVar, regions }: BuildOptions): readonly string[] {
  const names = [...Object.keys(plain), ...Object.keys(secretVar)];
  return names.flatMap(name => {
    if (!/^[A-Za-z_][\w-]*$/.test(name)) return [`"var.${name}" is not a valid name of a variable`];
    if (RESERVED.includes(name) || (name === 'ami_regions' && regions.length > 0))
      return [`"var.${name}" is set by ami-action: use "name", "tags", "regions" or "base-image" instead`];
    return name in plain && name in secretVar ? [`"var.${name}" is also set under "secret-var": set it in one of the two`] : [];
  });
}

const missingTemplate = (template: string, found: readonly string[]): string => {
  const which = template === settings.template.fallback ? `${JSON.stringify(template)} (the default)` : JSON.stringify(template);
  const fix = found.length === 0 ? 'run actions/checkout in an earlier step' : `set it to one of the templates here: ${formatList(found)}`;
  return `"template" is ${which}, which does not exist in the workspace: ${fix}`;
};

const fileProblems = (
  { template, varFiles, fromInstance }: BuildOptions,
  packer: Pick<Packer, 'locate' | 'templates'>,
): readonly string[] => [
  ...(fromInstance === undefined && packer.locate(template) === undefined ? [missingTemplate(template, packer.templates())] : []),
  ...varFiles
    .filter(file => packer.locate(file) === undefined)
    .map(file => `"var-files" contains ${JSON.stringify(file)}, which does not exist in the workspace`),
];
