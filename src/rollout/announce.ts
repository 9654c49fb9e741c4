import { candidateName, parseDescription } from '../model/pointer.ts';
import { type Move, type PointerState, write } from './pointer.ts';
import { type PointerClients, type PointerDeps, verifyParameter } from './pointer-write.ts';

/** Whether a run that did not come to its end was about exactly this. */
export function isAnnounced({ pointer: { candidate }, image, operation, was }: Move): boolean {
  const parsed = candidate === undefined ? undefined : parseDescription(candidate.description);
  return candidate?.value === image.id && parsed?.operation === operation && parsed.was === was;
}

/**
 * Says what is coming. Proves, before anything is rolled, that we may write here and that the image is visible here; keeps the image from
 * being pruned; and tells a later run what this one was about, should it be lost.
 */
export async function announce(move: Move, deps: PointerDeps, aws: PointerClients): Promise<void> {
  const { candidate, name } = move.pointer;
  const known = isAnnounced(move) ? candidate?.version : undefined;
  const version = known ?? (await write(candidateName(name), move, candidate, deps, aws));
  await verifyParameter({ name: candidateName(name), value: move.image.id, version }, deps, aws);
}

/** The last action, and only one: gone, it says that all is done. */
export const withdraw = (pointer: PointerState, { parameters }: PointerClients): Promise<void> =>
  parameters.remove(candidateName(pointer.name));

/** As long as it is ours: by now it may say what another run is about. */
export async function withdrawOwn({ pointer, image }: Move, { report }: PointerDeps, aws: PointerClients): Promise<void> {
  const there = await aws.parameters.read(candidateName(pointer.name));
  if (there === undefined) return;
  if (there.value === image.id) return withdraw(pointer, aws);
  report.info(`${there.name} names ${there.value} by now: another run is under way, so it stays.`);
}
