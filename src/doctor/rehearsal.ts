import type { AllDeps, Reporter } from '../ports/deps.ts';

/** A mode with the settings that it would have in this repository, as a dry run. */
export interface Rehearsal {
  readonly inputs: unknown;
  readonly deps: AllDeps;
  /** Filled by `run`. */
  readonly warnings: readonly string[];
  run(): Promise<{ readonly outcome: string }>;
}

/** Throws a `UsageError` where the settings of the mode are wrong. */
export type Rehearse = (mode: string) => Promise<Rehearsal>;

/** A dry run of another mode prints nothing of its own; its warnings are kept. */
export const quietReporter = (report: Reporter, warnings: string[]): Reporter => ({
  ...report,
  step: (_, work) => work(),
  info: message => report.debug(message),
  untrusted: () => {},
  warn: message => void warnings.push(message),
  summary: () => {},
});
