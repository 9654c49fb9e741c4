import { imageIdsIn, type ParameterFact, type PointerNames, type UserFacts } from '../../model/image-users.ts';
import { parseDescription, type RolloutOperation, runOf } from '../../model/pointer.ts';

/** Who promoted what when: pointers say when and by which run, deployments of GitHub say who started it. */
export interface Promotion {
  readonly environment: string;
  readonly imageId: string;
  readonly at: Date;
  /** Undefined: another process wrote the pointer. */
  readonly operation: RolloutOperation | undefined;
  /** The URL of the run, or `outside GitHub`. */
  readonly run: string | undefined;
  readonly by: string | undefined;
}

/** A deployment, as GitHub records it. */
interface Deployed {
  readonly imageId: string;
  /** The user who started the run. */
  readonly by: string;
  readonly at: Date;
}

/** Enough to see a day of trouble. */
const MOST = 10;

/** By environment, newest first. `deployments`: by environment. */
export const promotionsOf = (
  { parameters }: Pick<UserFacts, 'parameters'>,
  { pattern, environmentOf }: PointerNames,
  deployments: ReadonlyMap<string, readonly Deployed[]>,
): readonly Promotion[] =>
  parameters
    .filter(({ name }) => pattern.test(name) && pattern.exec(name)?.groups?.['below'] === undefined)
    .flatMap(({ name, history }) => {
      const environment = environmentOf(name) ?? name;
      return changesOf(history, deployments.get(environment) ?? []).map(change => ({ environment, ...change }));
    });

/** A write of the same value changed nothing. */
const changesOf = (history: ParameterFact['history'], deployments: readonly Deployed[]): readonly Omit<Promotion, 'environment'>[] =>
  history
    .filter(({ value }, i) => value !== history[i + 1]?.value)
    .slice(0, MOST)
    .flatMap(({ value, description, writtenAt: at }) =>
      imageIdsIn(value).flatMap(imageId => {
        if (at === undefined) return [];
        const operation = parseDescription(description)?.operation;
        return [{ imageId, at, operation, run: runOf(description), by: operation && starterOf(imageId, at, deployments) }];
      }),
    );

/** A deployment begins before its pointer moves, and the next one of the image ends an unfinished one. */
const starterOf = (imageId: string, movedAt: Date, deployments: readonly Deployed[]): string | undefined =>
  deployments.find(deployment => deployment.imageId === imageId && deployment.at <= movedAt)?.by;
