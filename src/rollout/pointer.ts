import { RejectedError, withDetails } from '../kit/errors.ts';
import { type Image, identity, type TagScheme } from '../model/image.ts';
import { candidateName, parseDescription, pointerDescription, type RolloutOperation } from '../model/pointer.ts';
import type { Parameter, ParameterVersion } from '../ports/groups.ts';
import { type PointerClients, type PointerDeps, verifyParameter, writeParameter } from './pointer-write.ts';

/** The pointer of an environment and its candidate: read, written and read back. */

export interface PointerState {
  readonly name: string;
  readonly current: Parameter | undefined;
  /** Newest first. */
  readonly history: readonly ParameterVersion[];
  /** The image of an unfinished run. */
  readonly candidate: ParameterVersion | undefined;
  /** The version of the candidate that this run wrote. */
  readonly written?: number;
}

export interface Move {
  readonly operation: RolloutOperation;
  readonly image: Image;
  readonly scheme: TagScheme;
  readonly pointer: PointerState;
  /** The image that this one replaces. */
  readonly was: string | undefined;
  /** A person chose this image, and it is older than the one before: it stays until a person releases it. */
  readonly held?: boolean;
}

export async function readPointer(name: string, { parameters }: PointerClients): Promise<PointerState> {
  const [history, candidates] = await Promise.all([parameters.history(name), parameters.history(candidateName(name))]);
  return { name, current: history[0], history, candidate: candidates[0] };
}

/** Whether an unfinished run had the same operation and images. */
export function isCandidate({ pointer: { candidate }, image, operation, was }: Move): boolean {
  const parsed = candidate === undefined ? undefined : parseDescription(candidate.description);
  return candidate?.value === image.id && parsed?.operation === operation && parsed.was === was;
}

/**
 * Written before the rollout: proves that the role may write here and that the image is visible here, keeps the image from being pruned, and
 * records for the next run what this one was doing. Written again by a run that continues another one, which then knows that it was replaced. Returns
 * the version.
 */
export async function writeCandidate(move: Move, deps: PointerDeps, aws: PointerClients): Promise<number> {
  const name = candidateName(move.pointer.name);
  const version = await write(name, move, move.pointer.candidate, deps, aws);
  await verifyParameter({ name, value: move.image.id, version }, deps, aws);
  return version;
}

/** The last call of a run: without a candidate, all is done. */
export const removeCandidate = ({ name }: PointerState, { parameters }: PointerClients): Promise<void> =>
  parameters.remove(candidateName(name));

/** Unless another run has replaced it: then returns the conflict. */
export async function removeOwnCandidate(move: Move, { report }: PointerDeps, aws: PointerClients): Promise<RejectedError | undefined> {
  const found = await aws.parameters.read(candidateName(move.pointer.name));
  if (found === undefined) return undefined;
  if (isOwn(move, found)) return removeCandidate(move.pointer, aws).then(() => undefined);
  report.info(`${found.name} names ${found.value}: another run is in progress, so the parameter is kept.`);
  return candidateConflict(move, found, []);
}

/**
 * Before the next group and before the pointer: a run that began since has the groups now, or has reverted them. Returns what the pointer names.
 */
export async function throwIfReplaced(move: Move, aws: PointerClients): Promise<Parameter | undefined> {
  const { pointer, image } = move;
  const [found, now] = await aws.parameters.readAll([candidateName(pointer.name), pointer.name]);
  if ((found !== undefined && isOwn(move, found)) || (found === undefined && now?.value === image.id)) return now;
  throw candidateConflict(move, found, [`${pointer.name} still names ${pointer.current?.value ?? 'nothing'}`]);
}

/** Another run of the same image has written it again. */
const isOwn = ({ image, pointer: { written } }: Move, { value, version }: Parameter): boolean =>
  value === image.id && (written === undefined || version === written);

/** For a failure after which the groups would be reverted: if another run has them now, the conflict with that run. */
export const orReplaced = (failure: unknown, confirm: () => Promise<void>): Promise<unknown> =>
  confirm().then(
    () => failure,
    (cause: unknown) =>
      isReplaced(cause) ? withDetails(cause, { leftovers: [failure instanceof Error ? failure.message : String(failure)] }) : failure,
  );

/** Another run took over the environment: it has the groups now, so this one starts nothing more and reverts nothing. */
class ReplacedError extends RejectedError {}

/** Also for the same failure with more details. */
export const isReplaced = (failure: unknown): boolean =>
  failure instanceof Error && (failure instanceof ReplacedError || isReplaced(failure.cause));

function candidateConflict({ pointer, image }: Move, found: Parameter | undefined, leftovers: readonly string[]): RejectedError {
  const other = found?.value === image.id ? `was written again (version ${found.version})` : `names ${found?.value}, not ${image.id}`;
  const what = found === undefined ? 'was removed' : other;
  return new ReplacedError(`Another run took over the environment before this one had finished: ${candidateName(pointer.name)} ${what}.`, {
    leftovers,
    next: `Wait for that run. Run the job again if ${image.id} must run.`,
  });
}

export interface Moved {
  readonly version: number;
  readonly changed: boolean;
}

/**
 * Only if the pointer still names what the plan saw. `now`: what it names, read right before. AWS has no compare-and-set, so the version after the
 * write is compared too.
 */
export async function movePointer(move: Move, now: Parameter | undefined, deps: PointerDeps, aws: PointerClients): Promise<Moved> {
  const { name, current: planned } = move.pointer;
  if (now?.value === move.image.id) return { version: now.version, changed: false };
  throwIfChanged(move, now);
  const version = await write(name, move, now, deps, aws);
  await verifyParameter({ name, value: move.image.id, version }, deps, aws);
  const expected = (planned?.version ?? 0) + 1;
  if (version !== expected && !(await isAllOurs(move, expected, deps, aws))) {
    throw pointerConflict(
      move,
      `another process wrote version ${expected} at the same time; version ${version} of this run names ${move.image.id}`,
    );
  }
  return { version, changed: true };
}

export function throwIfChanged(move: Move, now: Parameter | undefined): void {
  if (now?.value === move.image.id || now?.version === move.pointer.current?.version) return;
  throw pointerConflict(move, `it names ${now?.value ?? 'nothing'} (version ${now?.version ?? 0})`);
}

/**
 * For groups that read the pointer: they launch the old image again. `isRead`: it is never removed, because what reads it would fail. `isReadBack`: not
 * after a cancel, which leaves no time.
 */
export async function revertPointer(
  move: Move,
  deps: PointerDeps,
  aws: PointerClients,
  { isRead = false, isReadBack = true } = {},
): Promise<void> {
  const { name } = move.pointer;
  const now = await aws.parameters.read(name);
  if (now === undefined || now.value !== move.image.id) return;
  const isNew = move.pointer.history.every(({ value }) => value === move.image.id);
  if (!isRead && (move.was === undefined || isNew)) return aws.parameters.remove(name);
  if (move.was === undefined) throw new RejectedError(`no image before ${move.image.id} is known`);
  const description = pointerDescription('rollback', { was: move.image.id, commit: undefined, run: deps.run.url });
  const version = await writeParameter({ name, value: move.was, description, existing: now }, deps, aws);
  if (isReadBack) await verifyParameter({ name, value: move.was, version }, deps, aws);
}

/** At the end of a run that took longer after its last look: green means that the pointer names the image now. */
export async function throwIfMovedAway({ pointer: { name }, image }: Move, { parameters }: PointerClients): Promise<void> {
  const now = await parameters.read(name);
  if (now?.value === image.id) return;
  throw new RejectedError(
    `Parameter ${name} names ${now?.value ?? 'nothing'}${now === undefined ? '' : ` (version ${now.version})`}, although the groups run ${image.id}: another process changed it.`,
    { next: 'Promote the image that the environment must run.' },
  );
}

function pointerConflict({ pointer: { name, current }, operation }: Move, found: string): RejectedError {
  const planned = current === undefined ? 'no parameter' : `${current.value} (version ${current.version})`;
  return new RejectedError(
    `Parameter ${name} changed during the ${operation === 'promote' ? 'promotion' : 'rollback'}: ${found}. The plan saw ${planned}.`,
    { next: 'Promote the image that the environment must run.' },
  );
}

/** The SDK may have sent one write twice: two versions, both of this run. */
async function isAllOurs(move: Move, from: number, deps: PointerDeps, { parameters }: PointerClients): Promise<boolean> {
  const since = (await parameters.history(move.pointer.name)).filter(({ version }) => version >= from);
  return since.every(({ value, description }) => value === move.image.id && description === describe(move, deps));
}

const describe = (move: Move, { run }: PointerDeps): string =>
  pointerDescription(move.operation, {
    was: move.was,
    held: move.held === true,
    commit: identity(move.image, move.scheme, 'commit'),
    run: `${run.url === '' ? 'outside GitHub' : `${run.url} attempt ${run.attempt}`}${run.actor === '' ? '' : ` by ${run.actor}`}`,
  });

const write = (name: string, move: Move, existing: Parameter | undefined, deps: PointerDeps, aws: PointerClients): Promise<number> =>
  writeParameter({ name, value: move.image.id, description: describe(move, deps), existing }, deps, aws);
