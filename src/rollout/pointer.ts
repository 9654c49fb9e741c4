import { RejectedError } from '../kit/errors.ts';
import { type Image, identity, type TagScheme } from '../model/image.ts';
import { candidateName, pointerDescription, type RolloutOperation } from '../model/pointer.ts';
import type { Parameter, ParameterVersion } from '../ports/groups.ts';
import { type PointerClients, type PointerDeps, verifyParameter, writeParameter } from './pointer-write.ts';

/** The pointer of an environment: read whole, moved last, read back. */

export interface PointerState {
  readonly name: string;
  readonly current: Parameter | undefined;
  /** Newest first. */
  readonly history: readonly ParameterVersion[];
  /** What a run announced that did not come to its end. */
  readonly candidate: ParameterVersion | undefined;
}

export interface Move {
  readonly operation: RolloutOperation;
  readonly image: Image;
  readonly scheme: TagScheme;
  readonly pointer: PointerState;
  /** The image that this one replaces. */
  readonly was: string | undefined;
}

export async function readPointer(name: string, { parameters }: PointerClients): Promise<PointerState> {
  const [current, history, candidates] = await Promise.all([
    parameters.read(name),
    parameters.history(name),
    parameters.history(candidateName(name)),
  ]);
  return { name, current, history, candidate: candidates[0] };
}

export interface Moved {
  readonly version: number;
  readonly changed: boolean;
}

/** Only if it still holds what the plan saw: AWS has no compare-and-set, so we look just before, and at the version it became. */
export async function movePointer(move: Move, deps: PointerDeps, aws: PointerClients): Promise<Moved> {
  const { name, current: planned } = move.pointer;
  const now = await aws.parameters.read(name);
  if (now?.value === move.image.id) return { version: now.version, changed: false };
  throwIfChanged(move, now);
  const version = await write(name, move, now, deps, aws);
  await verifyParameter({ name, value: move.image.id, version }, deps, aws);
  const expected = (planned?.version ?? 0) + 1;
  if (version !== expected && !(await wroteAll(move, expected, deps, aws))) {
    throw pointerConflict(
      move,
      `got version ${expected} from somebody else at the same time; version ${version} is ours and holds ${move.image.id}`,
    );
  }
  return { version, changed: true };
}

export function throwIfChanged(move: Move, now: Parameter | undefined): void {
  if (now?.value === move.image.id || now?.version === move.pointer.current?.version) return;
  throw pointerConflict(move, `holds ${now?.value ?? 'nothing'} (version ${now?.version ?? 0})`);
}

/** The way back for groups that read the pointer: what they launch from now on is what it was. Tells what is left. */
export async function revertPointer(move: Move, deps: PointerDeps, aws: PointerClients): Promise<readonly string[]> {
  const { name } = move.pointer;
  const now = await aws.parameters.read(name);
  if (now === undefined || now.value !== move.image.id) return [];
  if (move.was === undefined) {
    await aws.parameters.remove(name);
    return [];
  }
  const description = pointerDescription('rollback', { was: move.image.id, commit: undefined, run: deps.run.url });
  const version = await writeParameter({ name, value: move.was, description, existing: now }, deps, aws);
  await verifyParameter({ name, value: move.was, version }, deps, aws);
  return [];
}

const pointerConflict = ({ pointer }: Move, what: string): RejectedError =>
  new RejectedError(
    `${pointer.name} was moved by somebody else while we worked: it ${what}. When the plan was made it held ${pointer.current?.value ?? 'nothing'}.`,
    {
      next: 'Decide which image it shall be, and promote that one.',
    },
  );

/** The SDK may have sent one write twice: two versions, both ours. */
async function wroteAll(move: Move, from: number, deps: PointerDeps, { parameters }: PointerClients): Promise<boolean> {
  const since = (await parameters.history(move.pointer.name)).filter(({ version }) => version >= from);
  return since.every(({ value, description }) => value === move.image.id && description === describe(move, deps));
}

const describe = (move: Move, { run }: PointerDeps): string =>
  pointerDescription(move.operation, {
    was: move.was,
    commit: identity(move.image, move.scheme, 'commit'),
    run: run.url === '' ? 'outside GitHub' : `${run.url} attempt ${run.attempt}`,
  });

export const write = (name: string, move: Move, existing: Parameter | undefined, deps: PointerDeps, aws: PointerClients): Promise<number> =>
  writeParameter({ name, value: move.image.id, description: describe(move, deps), existing }, deps, aws);
