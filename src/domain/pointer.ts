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

export type Deed = 'promote' | 'rollback';

/** What a write of the pointer says about itself: its description, as AWS keeps it with every version. At most 1024 characters. */
export const pointerDescription = (deed: Deed, { commit, run }: { commit: string | undefined; run: string }): string =>
  `ami-action ${deed}: commit ${commit ?? 'unknown'}, run ${run}`.slice(0, 1024);

/**
 * The images that an environment ran, the current one last. A rollback does not add one, it takes the newest off: after A, B, C and
 * a rollback to B the one before is A, so that a second rollback goes one further back.
 */
export function imagesInTurn(
  history: readonly { readonly value: string; readonly version: number; readonly description: string }[],
): readonly string[] {
  const turns: string[] = [];
  for (const { value, description } of [...history].sort((a, b) => a.version - b.version)) {
    const earlier = turns.lastIndexOf(value);
    if (description.startsWith('ami-action rollback') && earlier >= 0) turns.splice(earlier + 1);
    else if (turns.at(-1) !== value) turns.push(value);
  }
  return turns;
}

/** What the environment ran before the current image was promoted; undefined when there was nothing before. */
export const previousImageId = (history: Parameters<typeof imagesInTurn>[0]): string | undefined => imagesInTurn(history).at(-2);
