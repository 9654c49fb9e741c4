import { CancelledError, withDetails } from '../kit/errors.ts';
import type { PackerBuild } from '../ports/packer.ts';
import type { Made } from './adopt.ts';
import type { Witness } from './build-tracker.ts';
import { isRecognisable } from './plan.ts';
import { buildsAlways, type Inputs } from './reuse.ts';

/** Packer is done, and the images could not be tagged. They were paid for: post leaves them, and the next run may take them. A cancel leaves nothing. */
export const unsettled =
  (made: readonly Made[], order: PackerBuild, { wish, plan }: Inputs, seen: Pick<Witness, 'spare'>) =>
  (failure: unknown): never => {
    if (failure instanceof CancelledError) {
      seen.spare([]);
      throw failure;
    }
    const fate = isRecognisable(order.given['ami_tags'], plan.scheme) && !buildsAlways(wish) ? ADOPTED : whenLost(order);
    const left = made.map(({ source, region, id }) => `${id} in ${region} (${source}) is finished, but not one of the family yet: ${fate}`);
    throw withDetails(failure, {
      leftovers: left,
      outputs: { partial: made.map(({ source, region, id }) => ({ source, region, id })), built: false },
    });
  };

const ADOPTED = 'the next run with the same inputs adopts it, and builds nothing';

const whenLost = ({ given }: PackerBuild) =>
  'run_tags' in given
    ? 'the next run builds another, and this one goes when it has expired'
    : 'the next run builds another, and nothing marks this one as ours';
