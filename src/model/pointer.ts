import { UsageError } from '../kit/errors.ts';
/** The SSM parameter that names an environment's current image, and what its history tells. */

export const DEFAULT_POINTER = '/ami/{family}/{environment}';

export interface PointerOf {
  readonly family: string;
  readonly environment: string;
  readonly architecture?: string | undefined;
}

/** The name of the pointer: any existing scheme fits, such as `/deploy_ex/{environment}/{family}/latest_ami`. */
export const pointerName = (template: string, { family, environment, architecture = '' }: PointerOf): string =>
  template.replaceAll('{family}', family).replaceAll('{environment}', environment).replaceAll('{architecture}', architecture);

export type RolloutOperation = 'promote' | 'rollback';

/** Written and read back before anything is rolled: proves permission and visibility, and keeps `prune` away from the image. */
export const candidateName = (pointer: string): string => `${pointer}/candidate`;

/** What a write of pointer or candidate says about itself: its description, as AWS keeps it with every version. At most 1024 characters. */
export const pointerDescription = (
  operation: RolloutOperation,
  facts: { was: string | undefined; commit: string | undefined; run: string },
): string => `ami-action ${operation}: was ${facts.was ?? 'nothing'}, commit ${facts.commit ?? 'unknown'}, run ${facts.run}`.slice(0, 1024);

/** What we once said in a description; undefined for one that somebody else wrote. */
export function parseDescription(
  description: string,
): { readonly operation: RolloutOperation; readonly was: string | undefined } | undefined {
  const [, operation, was] = /^ami-action (promote|rollback): was (\S+),/.exec(description) ?? [];
  return operation === undefined ? undefined : { operation: operation as RolloutOperation, was: was === 'nothing' ? undefined : was };
}

/** Why AWS will refuse one more version; undefined when it will not. https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-versions.html */
export function fullReason(history: readonly { readonly version: number; readonly labels: readonly string[] }[]): string | undefined {
  const oldest = history.reduce<(typeof history)[number] | undefined>(
    (a, b) => (a === undefined || b.version < a.version ? b : a),
    undefined,
  );
  if (history.length < 100 || oldest === undefined || oldest.labels.length === 0) return undefined;
  return `it has 100 versions, and the oldest, ${oldest.version}, carries the label ${oldest.labels.join(', ')}, so AWS takes no further one`;
}

/**
 * The images that an environment ran, the current one last. A rollback takes the newest off: after A, B, C and a rollback to B the one
 * before is A, so that a second rollback goes one further back. One to an image that was never there puts that in the place of C. What
 * was put back right away, because it failed, never was.
 */
export function imageSequence(
  history: readonly { readonly value: string; readonly version: number; readonly description: string }[],
): readonly string[] {
  let turns: readonly string[] = [];
  let last: { readonly value: string; readonly was: string | undefined; readonly before: readonly string[] } | undefined;
  for (const { value, description } of [...history].sort((a, b) => a.version - b.version)) {
    const parsed = parseDescription(description);
    const putBack = parsed?.operation === 'rollback' && parsed.was === last?.value && last?.was === value;
    const next = (putBack ? last?.before : undefined) ?? turnsWith(turns, value, description);
    last = { value, was: parsed?.was, before: turns };
    turns = next;
  }
  return turns;
}

function turnsWith(turns: readonly string[], value: string, description: string): readonly string[] {
  const earlier = turns.lastIndexOf(value);
  const kept = description.startsWith('ami-action rollback') ? turns.slice(0, earlier < 0 ? -1 : earlier + 1) : turns;
  return kept.at(-1) === value ? kept : [...kept, value];
}

/** What the environment ran before the current image was promoted; undefined when there was nothing before. */
export const previousImageId = (history: Parameters<typeof imageSequence>[0]): string | undefined => imageSequence(history).at(-2);

export interface PointerOfEnvironment {
  readonly pointer: string;
  readonly family: string;
  readonly environment: string;
  readonly architecture?: string | undefined;
}

export function environmentPointer(wanted: PointerOfEnvironment): string {
  if (!wanted.pointer.includes('{architecture}') || wanted.architecture !== undefined) return pointerName(wanted.pointer, wanted);
  throw new UsageError(['"architecture" is missing: "pointer" has a name for each']);
}
