import { createHash, scryptSync } from 'node:crypto';

/** What determines the content of an image, and what it comes down to. */
export interface BuildInputs {
  readonly family: string;
  readonly files: readonly { readonly path: string; readonly mode: string; readonly blob: string }[];
  readonly variables: Readonly<Record<string, string>>;
  /** Never kept, never shown, and never hashed without salt. */
  readonly secrets: Readonly<Record<string, string>>;
  /** The image it is built on, where the action resolves it. */
  readonly base: string | undefined;
  readonly packerVersion: string;
  readonly targets: {
    readonly regions: readonly string[];
    readonly architecture: string | undefined;
    readonly sources: readonly string[];
    readonly instanceType?: string | undefined;
  };
}

/** In the words of the summary. */
const PARTS = {
  content: 'files',
  variables: 'variables',
  base: 'base image',
  tools: 'packer-version',
  targets: 'regions, architecture, instance type or sources',
} as const;
type Part = keyof typeof PARTS;

export interface Fingerprint {
  /** 64 hexadecimal digits. */
  readonly value: string;
  /** What it is made of, short: kept on the image to tell later what has changed. */
  readonly inputs: string;
}

/** Grows when what goes into it changes: then everything is built once more. */
const FORMAT = 1;

export function fingerprint(inputs: BuildInputs): Fingerprint {
  const parts: Record<Part, string> = {
    content: hash([...inputs.files].sort(byPath).map(({ path, mode, blob }) => [path, mode, blob])),
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

/** Which inputs are others than those of an image that was built before; undefined where that cannot be told. */
export function changedInputs(now: Fingerprint, before: string | undefined): readonly string[] | undefined {
  if (before === undefined || !/^content:/.test(before)) return undefined;
  const [mine, theirs] = [now.inputs.split(' '), new Set(before.split(' '))];
  return mine.filter(entry => !theirs.has(entry)).map(entry => PARTS[entry.split(':')[0] as Part]);
}

const hash = (value: unknown): string => createHash('sha256').update(JSON.stringify(value)).digest('hex');

const sorted = (record: Readonly<Record<string, string>>) => Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1));

const byPath = (a: { path: string }, b: { path: string }) => (a.path < b.path ? -1 : 1);

// Slow on purpose: the fingerprint is public, and all but the secret can be known, so each guess must cost something.
const salted = (secrets: Readonly<Record<string, string>>, family: string): string =>
  Object.keys(secrets).length === 0 ? '' : scryptSync(JSON.stringify(sorted(secrets)), `ami-action ${family}`, 32).toString('hex');
