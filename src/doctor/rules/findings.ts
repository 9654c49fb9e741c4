import type { ActionError } from '../../kit/errors.ts';

/** One row of the table that doctor prints. */
export interface Finding {
  readonly area: string;
  readonly status: 'ok' | 'warning' | 'problem' | 'skipped';
  readonly says: string;
  /** What to do about it. */
  readonly fix?: string | undefined;
  /** Of a problem: the kind of failure, which tells who has to act. */
  readonly cause?: ActionError | undefined;
}

/** A dry run that was refused shows a state that may change by itself; settings and access do not. */
export function findingOfFailure(area: string, failure: ActionError): Finding {
  const { message, next, outcome } = failure;
  if (outcome === 'rejected') return { area, status: 'warning', says: `would be refused now: ${message}`, fix: next };
  return { area, status: 'problem', says: message, fix: next, cause: failure };
}

/** Problems first: the account, then the settings, then what AWS refuses. */
const ORDER: readonly Finding['status'][] = ['problem', 'warning', 'skipped', 'ok'];
export const worstFirst = (findings: readonly Finding[]): readonly Finding[] =>
  ORDER.flatMap(status => findings.filter(finding => finding.status === status));

/** What to do where there is no problem: the first fix, or the first real step. */
export function nextStep(findings: readonly Finding[], [mode = 'build']: readonly string[], environment: string | undefined): string {
  // Before the first promotion there is nothing to roll back to, and nothing to do about it.
  const open = findings.filter(({ status, area }) => status !== 'ok' && area !== 'rollback');
  const fix = open.find(finding => finding.fix !== undefined)?.fix;
  return fix ?? `npx ami-action ${mode}${environment === undefined ? '' : ` --environment ${environment}`} --dry-run`;
}

/** The problem to fix first: without access nothing else is known. */
export const firstProblem = (findings: readonly Finding[]): Finding | undefined => {
  const problems = findings.filter(({ status }) => status === 'problem');
  return problems.find(({ cause }) => cause?.outcome === 'access') ?? problems[0];
};
