import * as doctor from './doctor/doctor.ts';
import type { Rehearse } from './doctor/rehearsal.ts';
import * as build from './image-build/build.ts';
import type { Outcome } from './kit/errors.ts';
import type { Settings, Values } from './kit/settings.ts';
import type { AllDeps } from './ports/deps.ts';
import * as adopt from './retention/adopt.ts';
import * as deletion from './retention/delete.ts';
import * as list from './retention/list.ts';
import * as prune from './retention/prune.ts';
import * as promote from './rollout/promote.ts';
import * as rollback from './rollout/rollback.ts';
import * as resolve from './selection/resolve.ts';
import * as share from './sharing/share.ts';
import * as validate from './validation/validate.ts';

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

/** The public interface: action.yml, the reference pages and the JSON Schema of the file are generated from it. */
export const modes: Readonly<Record<string, AnyMode>> = {
  build: mode(build),
  validate: mode(validate),
  share: mode(share),
  promote: mode(promote),
  rollback: mode(rollback),
  prune: mode(prune),
  resolve: mode(resolve),
  list: mode(list),
  delete: mode(deletion),
  adopt: mode(adopt),
  doctor: mode(doctor),
};

/** The settings of all modes. One key has one meaning in all of them. */
export const allSettings = (): Settings => Object.assign({}, ...Object.values(modes).map(({ settings }) => settings));
