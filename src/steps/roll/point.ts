import { type Image, identity, type TagScheme } from '../../domain/image.ts';
import { candidateName, type Deed, pointerDescription, pointerName, saidIn } from '../../domain/pointer.ts';
import { RejectedError, TimeoutError, UsageError } from '../../kit/errors.ts';
import { type Look, waitFor } from '../../kit/wait.ts';
import type { Parameter, ParameterVersion } from '../../world/fleet.ts';
import type { Place, Powers } from '../../world.ts';

/** The pointer of an environment: read whole, announced by a candidate, moved last, read back. */

export type PointPorts = Pick<Place, 'parameters'>;
export type PointWorld = Pick<Powers<never>, 'clock' | 'report' | 'run'>;

export interface PointerNow {
  readonly name: string;
  readonly current: Parameter | undefined;
  /** Newest first. */
  readonly history: readonly ParameterVersion[];
  /** What a run announced that did not come to its end. */
  readonly candidate: ParameterVersion | undefined;
}

export interface Move {
  readonly deed: Deed;
  readonly image: Image;
  readonly scheme: TagScheme;
  readonly pointer: PointerNow;
  /** The image that this one replaces. */
  readonly was: string | undefined;
}

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

export async function readPointer(name: string, { parameters }: PointPorts): Promise<PointerNow> {
  const [current, history, candidates] = await Promise.all([
    parameters.read(name),
    parameters.history(name),
    parameters.history(candidateName(name)),
  ]);
  return { name, current, history, candidate: candidates[0] };
}

/**
 * Says what is coming. Proves, before anything is rolled, that we may write here and that the image is visible here; keeps the image from
 * being pruned; and tells a later run what this one was about, should it be lost.
 */
export async function announce(move: Move, world: PointWorld, place: PointPorts): Promise<void> {
  const { candidate, name } = move.pointer;
  const said = candidate === undefined ? undefined : saidIn(candidate.description);
  const announced = candidate?.value === move.image.id && said?.deed === move.deed && said.was === move.was;
  const version = announced ? candidate.version : await write(candidateName(name), move, candidate, place, world);
  await readBack({ name: candidateName(name), value: move.image.id, version }, world, place);
}

/** The last deed, and only one: gone, it says that all is done. A parameter that is made again at once may be refused for 30 seconds, which no promotion is. */
export const withdraw = (pointer: PointerNow, { parameters }: PointPorts): Promise<void> => parameters.remove(candidateName(pointer.name));

export interface Moved {
  readonly version: number;
  readonly changed: boolean;
}

/** Only if it still holds what the plan saw: AWS has no compare-and-set, so we look just before, and at the version it became. */
export async function movePointer(move: Move, world: PointWorld, place: PointPorts): Promise<Moved> {
  const { name, current: planned } = move.pointer;
  const now = await place.parameters.read(name);
  if (now?.value === move.image.id) return { version: now.version, changed: false };
  if (now?.version !== planned?.version) throw crossed(move, `holds ${now?.value ?? 'nothing'} (version ${now?.version ?? 0})`);
  const version = await write(name, move, now, place, world);
  await readBack({ name, value: move.image.id, version }, world, place);
  const expected = (planned?.version ?? 0) + 1;
  if (version !== expected && !(await wroteAll(move, expected, world, place))) {
    throw crossed(
      move,
      `got version ${expected} from somebody else at the same time; version ${version} is ours and holds ${move.image.id}`,
    );
  }
  return { version, changed: true };
}

/** The way back for groups that read the pointer: what they launch from now on is what it was. Tells what is left. */
export async function putBack(move: Move, world: PointWorld, place: PointPorts): Promise<readonly string[]> {
  const { name } = move.pointer;
  const now = await place.parameters.read(name);
  if (now === undefined || now.value !== move.image.id) return [];
  if (move.was === undefined) {
    await place.parameters.remove(name);
    return [];
  }
  const description = pointerDescription('rollback', { was: move.image.id, commit: undefined, run: world.run.url });
  const version = await place.parameters.write({ name, value: move.was, description, existing: now });
  await readBack({ name, value: move.was, version }, world, place);
  return [];
}

const crossed = ({ pointer, deed }: Move, what: string): RejectedError =>
  new RejectedError(
    `${pointer.name} was moved by somebody else while we worked: it ${what}. When the plan was made it held ${pointer.current?.value ?? 'nothing'}.`,
    {
      left: [`the groups are where this ${deed} brought them`],
      next: 'Decide which image it shall be, and promote that one.',
    },
  );

/** The SDK may have sent one write twice: two versions, both ours. */
async function wroteAll(move: Move, from: number, world: PointWorld, { parameters }: PointPorts): Promise<boolean> {
  const since = (await parameters.history(move.pointer.name)).filter(({ version }) => version >= from);
  return since.every(({ value, description }) => value === move.image.id && description === describe(move, world));
}

const describe = (move: Move, { run }: PointWorld): string =>
  pointerDescription(move.deed, {
    was: move.was,
    commit: identity(move.image, move.scheme, 'commit'),
    run: run.url === '' ? 'outside GitHub' : `${run.url} attempt ${run.attempt}`,
  });

const write = (name: string, move: Move, existing: Parameter | undefined, { parameters }: PointPorts, world: PointWorld) =>
  parameters.write({ name, value: move.image.id, description: describe(move, world), existing });

/** 200 does not mean stored. https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-ec2-aliases.html */
async function readBack(
  wanted: { name: string; value: string; version: number },
  world: PointWorld,
  { parameters }: PointPorts,
): Promise<void> {
  const look = async (): Promise<Look<void>> => {
    const seen = await parameters.read(wanted.name);
    if (seen !== undefined && seen.version > wanted.version && seen.value !== wanted.value) {
      return { state: 'failed', why: `somebody else wrote ${seen.value} (version ${seen.version}) right after us` };
    }
    return seen?.value === wanted.value && seen.version >= wanted.version
      ? { state: 'done', value: undefined }
      : { state: 'waiting', note: `holds ${seen?.value ?? 'nothing'} (version ${seen?.version ?? 0}), not ${wanted.value} yet` };
  };
  try {
    await waitFor({ what: wanted.name, everySeconds: 2, atMostSeconds: 120, look }, world);
  } catch (cause) {
    if (!(cause instanceof TimeoutError)) throw cause;
    throw new RejectedError(
      `AWS took the write of ${wanted.name} and never stored it: is ${wanted.value} visible in this account and region? ${cause.message}`,
      {
        cause,
        next: 'Share the image with this account (mode "share"), or copy it to this region.',
      },
    );
  }
}
