import type { Rehearse } from './doctor/rehearsal.ts';
import type { Outcome } from './kit/errors.ts';
import type { Settings, Values } from './kit/settings.ts';
import type { AllDeps } from './ports/deps.ts';

/** The result of a mode that did not fail, with its outputs. Every other outcome is an error (kit/errors.ts). */
interface Result<O extends string> {
  /** `unknown`: the operation continues, because the run was not to wait for it. */
  readonly outcome: Extract<Outcome, 'done' | 'unchanged' | 'planned' | 'unknown'>;
  readonly outputs: Readonly<Partial<Record<O, unknown>>>;
}

/** What a mode may need in addition to its own settings. */
export interface FileFacts {
  /** Every value of `pointer`, in all environments. */
  readonly pointers: readonly string[];
  /** The environments of the settings file, in its order. */
  readonly environments: readonly string[];
  /** The groups that the file names, by environment. */
  readonly environmentGroups: Readonly<Record<string, readonly string[]>>;
  /** The folder of a settings file that is not the one of the repository: `services/web` for `services/web/.github/ami.yml` or `services/web/ami.yml`. */
  readonly serviceFolder: string | undefined;
  /** Another mode with the settings that it would have here, as a dry run. */
  readonly rehearse: Rehearse;
}

interface Mode<S extends Settings, O extends string> {
  readonly settings: S;
  readonly outputs: Readonly<Record<O, string>>;
  run(inputs: Values<S> & FileFacts, deps: AllDeps): Promise<Result<O>>;
}

export interface AnyMode {
  readonly settings: Settings;
  readonly outputs: Readonly<Record<string, string>>;
  run(inputs: unknown, deps: AllDeps): Promise<Result<string>>;
}

const mode = <S extends Settings, O extends string>({ settings, outputs, run }: Mode<S, O>): AnyMode => ({
  settings,
  outputs,
  run: (inputs, deps) => run(inputs as Values<S> & FileFacts, deps),
});

/** Every mode by name. Loaded one by one: a run needs the code of its own mode. */
export const LOAD: Readonly<Record<string, () => Promise<AnyMode>>> = {
  build: async () => mode(await import('./image-build/build.ts')),
  validate: async () => mode(await import('./validation/validate.ts')),
  share: async () => mode(await import('./sharing/share.ts')),
  promote: async () => mode(await import('./rollout/promote.ts')),
  rollback: async () => mode(await import('./rollout/rollback.ts')),
  prune: async () => mode(await import('./retention/prune.ts')),
  resolve: async () => mode(await import('./selection/resolve.ts')),
  list: async () => mode(await import('./retention/list.ts')),
  delete: async () => mode(await import('./retention/delete.ts')),
  adopt: async () => mode(await import('./retention/adopt.ts')),
  doctor: async () => mode(await import('./doctor/doctor.ts')),
};
