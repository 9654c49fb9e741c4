import { RejectedError, withDetails } from '../kit/errors.ts';
import { isInProgress } from './indeterminate.ts';
import { type Moved, movePointer, revertPointer, throwIfChanged } from './pointer.ts';
import { type RegionPlan, withRegion } from './region-plans.ts';
import type { GroupRollouts } from './roll-groups.ts';
import { collectFailure } from './undo.ts';

export interface RolledRegion extends RegionPlan {
  readonly rolls: GroupRollouts;
  moved: Moved | undefined;
  /** Somebody else moved its pointer while we worked. */
  conflict: boolean;
}

/** The pointers of all regions, or none: every one is looked at before the first is moved, and one that then cannot be moved takes the others back. */
export async function movePointers(parts: readonly RolledRegion[]): Promise<void> {
  // Where groups read it, it had to move before them.
  const open = parts.filter(({ moved }) => moved === undefined);
  const [only] = open;
  if (only !== undefined && open.length > 1) await only.deps.report.step('Look at every pointer once more', () => checkPointers(open));
  for (const part of open) {
    const { promotion, deps, aws } = part;
    try {
      const move = () => movePointer(promotion, deps, aws);
      part.moved = await withRegion(part, () => deps.report.step(`Move ${promotion.pointer.name}`, move));
    } catch (failure) {
      part.conflict = failure instanceof RejectedError;
      throw isInProgress(failure) ? failure : await revertMoved(failure, open);
    }
  }
}

async function checkPointers(parts: readonly RolledRegion[]): Promise<void> {
  for (const part of parts) {
    const look = async () => throwIfChanged(part.promotion, await part.aws.parameters.read(part.promotion.pointer.name));
    await withRegion(part, look).catch((failure: unknown) => {
      part.conflict = failure instanceof RejectedError;
      throw failure;
    });
  }
}

/** Only what this run moved. The groups stay, they are proven: the next run moves what is left, a rollback leads them back. */
async function revertMoved(failure: unknown, parts: readonly RolledRegion[]): Promise<unknown> {
  const left: string[] = [];
  for (const part of parts.filter(({ moved }) => moved?.changed)) {
    const { promotion, deps, aws, region } = part;
    const back = () => deps.report.step(`Put ${promotion.pointer.name} back`, () => revertPointer(promotion, deps, aws));
    const said = await collectFailure(back, `${region}: the pointer could not be put back`);
    if (said.length === 0) part.moved = undefined;
    left.push(...said);
  }
  return withDetails(failure, { leftovers: left });
}
