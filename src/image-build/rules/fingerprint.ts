import { createHash, scryptSync } from 'node:crypto';

/** What determines the content of an image. */
export interface BuildInputs {
  readonly family: string;
  readonly files: readonly { readonly path: string; readonly mode: string; readonly blob: string }[];
  readonly variables: Readonly<Record<string, string>>;
  /** Never stored, never shown, and never hashed without salt. */
  readonly secrets: Readonly<Record<string, string>>;
  /** The base image, where "base-image" is set. */
  readonly base: string | undefined;
  readonly packerVersion: string;
  /** The template, the var files in their order, and the directory in which Packer runs: paths, relative to the workspace. */
  readonly paths: readonly string[];
  readonly targets: {
    readonly regions: readonly string[];
    readonly architecture: string | undefined;
    readonly sources: readonly string[];
    readonly instanceType?: string | undefined;
  };
}

/** As the summary names them. */
const PARTS = {
  content: 'files',
  paths: 'template, var-files or working-directory',
  variables: 'variables',
  base: 'base image',
  tools: 'packer-version',
  targets: 'regions, architecture, instance type or sources',
} as const;
type Part = keyof typeof PARTS;

export interface Fingerprint {
  /** 64 hexadecimal digits. */
  readonly value: string;
  /** Its parts, shortened: a tag of the image, to report later what has changed. */
  readonly inputs: string;
}

/** Increased when the composition changes: then everything is built once more. */
const FORMAT = 2;

export function fingerprint(inputs: BuildInputs): Fingerprint {
  const parts: Record<Part, string> = {
    content: hash([...inputs.files].sort(byPath).map(({ path, mode, blob }) => [path, mode, blob])),
    paths: hash(inputs.paths),
    variables: hash([sorted(inputs.variables), salted(inputs.secrets, inputs.family)]),
    base: hash(inputs.base ?? ''),
    tools: hash(inputs.packerVersion),
    targets: hash([
      [...inputs.targets.regions].sort(),
      inputs.targets.architecture ?? '',
      inputs.targets.sources,
      ...[inputs.targets.instanceType ?? []].flat(),
    ]),
  };
  return {
    value: hash([FORMAT, parts]),
    inputs: Object.entries(parts)
      .map(([part, value]) => `${part}:${value.slice(0, 12)}`)
      .join(' '),
  };
}

/** Which inputs differ from those of an earlier image; undefined where that is unknown. */
export function changedInputs(now: Fingerprint, before: string | undefined): readonly string[] | undefined {
  if (before === undefined || !/^content:/.test(before)) return undefined;
  const [mine, theirs] = [now.inputs.split(' '), new Set(before.split(' '))];
  return mine.filter(entry => !theirs.has(entry)).map(entry => PARTS[entry.split(':')[0] as Part]);
}

const hash = (value: unknown): string => createHash('sha256').update(JSON.stringify(value)).digest('hex');

const sorted = (record: Readonly<Record<string, string>>) => Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1));

const byPath = (a: { path: string }, b: { path: string }) => (a.path < b.path ? -1 : 1);

// Slow on purpose: the fingerprint is public and so are the other inputs, so each guess of a secret must cost time.
const salted = (secrets: Readonly<Record<string, string>>, family: string): string =>
  Object.keys(secrets).length === 0 ? '' : scryptSync(JSON.stringify(sorted(secrets)), `ami-action ${family}`, 32).toString('hex');
