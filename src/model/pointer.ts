import { UsageError } from '../kit/errors.ts';
import { formatMoment } from '../kit/format.ts';

/** The SSM parameter that names the current image of an environment, and what its history shows. */

export const DEFAULT_POINTER = '/ami/{family}/{environment}';
const CANDIDATE = '/candidate';

export interface PointerOf {
  readonly family: string;
  readonly environment: string;
  readonly architecture?: string | undefined;
}

/** The name of the pointer. Any existing scheme fits, such as `/deploy_ex/{environment}/{family}/latest_ami`. */
export const pointerName = (template: string, { family, environment, architecture = '' }: PointerOf): string =>
  template.replaceAll('{family}', family).replaceAll('{environment}', environment).replaceAll('{architecture}', architecture);

export interface PointerOfEnvironment extends PointerOf {
  readonly pointer: string;
}

/** The name of the pointer of an environment. Throws UsageError where it needs an architecture, or would be the candidate of another pointer. */
export function environmentPointer(inputs: PointerOfEnvironment): string {
  if (inputs.pointer.includes('{architecture}') && inputs.architecture === undefined)
    throw new UsageError(['"architecture" is required: "pointer" contains {architecture}']);
  const name = pointerName(inputs.pointer, inputs);
  if (!name.endsWith(CANDIDATE)) return name;
  const other = name.slice(0, -CANDIDATE.length);
  throw new UsageError([
    `"pointer" is ${name}, which is the candidate of the pointer ${other}: choose another "pointer", "family" or "environment"`,
  ]);
}

export type RolloutOperation = 'promote' | 'rollback';

/** Written and read back before the rollout: proves permission and visibility, and keeps `prune` away from the image. */
export const candidateName = (pointer: string): string => `${pointer}${CANDIDATE}`;

/** The description of a version of pointer or candidate; AWS keeps it with the version. At most 1024 characters. */
export const pointerDescription = (
  operation: RolloutOperation,
  facts: { was: string | undefined; commit: string | undefined; run: string; held?: boolean },
): string =>
  `ami-action ${operation}: ${facts.held ? 'held, ' : ''}was ${facts.was ?? 'nothing'}, commit ${facts.commit ?? 'unknown'}, run ${facts.run}`.slice(
    0,
    1024,
  );

/** The facts of a description that the action wrote; undefined for any other. */
export function parseDescription(
  description: string,
): { readonly operation: RolloutOperation; readonly was: string | undefined; readonly held?: true } | undefined {
  const [, operation, held, was] = /^ami-action (promote|rollback): (held, )?was (\S+),/.exec(description) ?? [];
  if (operation === undefined) return undefined;
  return {
    operation: operation as RolloutOperation,
    was: was === 'nothing' ? undefined : was,
    ...(held === undefined ? {} : { held: true }),
  };
}

const RUN = /, run (?<run>\S+|outside GitHub)( attempt \d+)?( by (?<by>\S+))?$/;

/** The run that wrote a version, as it names itself: its URL, or `outside GitHub`. Undefined: another process wrote it. */
export const runOf = (description: string): string | undefined =>
  parseDescription(description) === undefined ? undefined : RUN.exec(description)?.groups?.['run'];

/** Versions of a pointer, newest first. */
export type PointerTrail = readonly { readonly description: string; readonly writtenAt: Date }[];

/** Time, person and run of the newest rollback that replaced the image; '' where no version shows one. */
export function rollbackOf(imageId: string, versions: PointerTrail): string {
  const found = versions.find(({ description }) => {
    const { operation, was } = parseDescription(description) ?? {};
    return operation === 'rollback' && was === imageId;
  });
  if (found === undefined) return '';
  const { run, by } = RUN.exec(found.description)?.groups ?? {};
  return [`at ${formatMoment(found.writtenAt)}`, ...(by === undefined ? [] : [`by ${by}`]), ...(run === undefined ? [] : [run])].join(', ');
}

/** Why AWS will refuse one more version; undefined when it will not. https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-versions.html */
export function fullReason(history: readonly { readonly version: number; readonly labels: readonly string[] }[]): string | undefined {
  const [oldest] = [...history].sort((a, b) => a.version - b.version);
  if (history.length < 100 || oldest === undefined || oldest.labels.length === 0) return undefined;
  return `it has 100 versions, and the oldest (${oldest.version}) carries the label ${oldest.labels.join(', ')}, so AWS refuses another version`;
}

export type PointerVersion = { readonly value: string; readonly version: number; readonly description: string };

/**
 * The images that an environment ran, the current one last. The first promotion records what the groups launched before it. A rollback removes the newest: after A, B, C and a rollback to B, the previous
 * image is A. A rollback to an image that is not in the sequence replaces C. A version that was reverted at once never counts.
 */
export function imageSequence(history: readonly PointerVersion[]): readonly string[] {
  const oldestFirst = [...history].sort((a, b) => a.version - b.version);
  const first = parseDescription(oldestFirst[0]?.description ?? '');
  let sequence: readonly string[] = first?.operation === 'promote' && first.was !== undefined ? [first.was] : [];
  let last: { readonly value: string; readonly was: string | undefined; readonly before: readonly string[] } | undefined;
  for (const { value, description } of oldestFirst) {
    const parsed = parseDescription(description);
    const reverted = parsed?.operation === 'rollback' && parsed.was === last?.value && last?.was === value;
    const next = (reverted ? last?.before : undefined) ?? append(sequence, value, parsed?.operation);
    last = { value, was: parsed?.was, before: sequence };
    sequence = next;
  }
  return sequence;
}

function append(sequence: readonly string[], value: string, operation: RolloutOperation | undefined): readonly string[] {
  const earlier = sequence.lastIndexOf(value);
  const kept = operation === 'rollback' ? sequence.slice(0, earlier < 0 ? -1 : earlier + 1) : sequence;
  return kept.at(-1) === value ? kept : [...kept, value];
}

/** What the environment ran before its current image; undefined when there was nothing before. */
export const previousImageId = (history: readonly PointerVersion[]): string | undefined => imageSequence(history).at(-2);

export interface PointerFacts {
  readonly current: { readonly value: string } | undefined;
  readonly history: readonly PointerVersion[];
  readonly candidate: { readonly value: string; readonly description: string } | undefined;
}

export type WayBack =
  | { readonly to: string; readonly replaces: string; readonly reason: string }
  | { readonly to: undefined; readonly reason: string };

/**
 * Where a rollback leads: the image before the current one. An unfinished rollback is finished first, because a second run must not go back
 * twice; during an unfinished promotion, back means where it started.
 */
export function findWayBack({ current, history, candidate }: PointerFacts, environment: string): WayBack {
  const begun = candidate === undefined ? undefined : parseDescription(candidate.description);
  if (candidate !== undefined && begun?.was !== undefined) {
    const { operation, was } = begun;
    // Without a pointer it is the first promotion, or the way back from it.
    const isOpen = current === undefined || current.value === was || (operation === 'rollback' && current.value === candidate.value);
    if (operation === 'rollback' && isOpen)
      return { to: candidate.value, replaces: was, reason: `an earlier rollback from ${was} is unfinished` };
    if (isOpen && candidate.value !== was)
      return { to: was, replaces: candidate.value, reason: `the promotion of ${candidate.value} is unfinished` };
  }
  if (current === undefined) return { to: undefined, reason: `${environment} has no pointer, so no image was promoted to it` };
  const previous = previousImageId(history);
  if (previous === undefined)
    return { to: undefined, reason: `${environment} runs ${current.value}, and its pointer shows no image before it` };
  return { to: previous, replaces: current.value, reason: `what ${environment} ran before ${current.value}` };
}
