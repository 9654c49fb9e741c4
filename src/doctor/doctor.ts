import { AccessError, ActionError, CancelledError, RejectedError, wrapError } from '../kit/errors.ts';
import { list, optional } from '../kit/fields.ts';
import { formatCount } from '../kit/format.ts';
import { table, text } from '../kit/markdown.ts';
import type { Values } from '../kit/settings.ts';
import { common, environment } from '../model/common-settings.ts';
import { environmentPointer, type PointerOfEnvironment } from '../model/pointer.ts';
import type { Deps } from '../ports/deps.ts';
import { checkAll, type GroupCheck } from '../rollout/group-check.ts';
import type { PromotionClients } from '../rollout/rollout-spec.ts';
import type { RolloutOptions } from '../rollout/rules/settings.ts';
import type { Rehearsal, Rehearse } from './rehearsal.ts';
import { type Finding, findingOfFailure, firstProblem, nextStep, worstFirst } from './rules/findings.ts';
import { permissionsOn } from './rules/resources.ts';
import { WRITES } from './rules/writes.ts';
import { imageFindings, NO_IMAGE, newestImage, runnerFinding, tokenFindings } from './surroundings.ts';

// Needs the settings of the repository and a role.
// Result: what works and what does not, with the fix for each, before the first real run. It changes nothing; the dry run of a promotion makes a change
// set of a stack and deletes it.

export const settings = {
  environment: optional(environment),
  modes: list(
    'Modes to try as a dry run. Default: `build`, `validate` and `prune`; with `environment`, `promote` and `rollback`. Other values: `share`, `list`.',
    { fallback: '', pattern: /^(build|validate|share|promote|rollback|prune|list)$/, message: 'must be a mode that doctor can try' },
  ),
  ...common,
};

export const outputs = {
  findings: 'JSON list: `area`, `status` (`ok`, `warning`, `problem` or `skipped`), `says` and `fix`.',
  problems: 'How many problems were found.',
};

type DoctorDeps = Deps<'account' | 'permissions' | 'commands' | 'sharing' | keyof PromotionClients, 'machine'>;
type Inputs = Values<typeof settings> & { readonly rehearse: Rehearse };

export async function run(inputs: Inputs, deps: DoctorDeps) {
  const { report } = deps;
  const modes =
    inputs.modes.length > 0 ? inputs.modes : inputs.environment === undefined ? ['build', 'validate', 'prune'] : ['promote', 'rollback'];
  const account = await report.step('Reach AWS', () => accountFinding(inputs, deps));
  // Without access every other row would say the same.
  const isOpen = account.status !== 'problem';
  const around = [...(await tokenFindings(inputs, isOpen, deps)), ...(await runnerFinding(deps))];
  const findings = [account, ...around, ...(isOpen ? await furtherFindings(modes, inputs, deps) : [])];
  for (const { area, status, says, fix } of worstFirst(findings))
    report.info(`${status.padEnd(7)} ${area}: ${says}${fix === undefined ? '' : ` Fix: ${fix}`}`);
  const problems = findings.filter(({ status }) => status === 'problem').length;
  const first = firstProblem(findings);
  const done = { findings: findings.map(({ area, status, says, fix }) => ({ area, status, says, fix })), problems };
  const next = first?.fix ?? nextStep(findings, modes, inputs.environment);
  if (first === undefined) report.info(`Next: ${next}`);
  report.summary(page(findings, problems, next));
  if (first === undefined) return { outcome: 'unchanged' as const, outputs: done };
  throw wrapError(first.cause, `${formatCount(problems, 'problem')} found. The first: ${first.area}: ${first.says}`, {
    ...{ unchanged: true, outputs: done, next: first.fix },
    title: `doctor: ${formatCount(problems, 'problem')}`,
  });
}

async function furtherFindings(modes: readonly string[], inputs: Inputs, deps: DoctorDeps): Promise<readonly Finding[]> {
  const tried = [];
  for (const mode of modes) tried.push(await deps.report.step(`Try ${mode}`, () => tryMode(mode, inputs, deps)));
  const rollout = tried.find(({ mode, rehearsal }) => mode === 'promote' && rehearsal !== undefined)?.rehearsal;
  const groups =
    rollout === undefined
      ? { findings: [], checks: [] }
      : await deps.report.step('Check the groups', () => groupFindings(rollout, inputs.region));
  const allowed = await deps.report.step('Check permissions', () => permissionFindings(modes, rollout, groups.checks, inputs, deps));
  const [{ family } = { family: undefined }] = tried.flatMap(({ rehearsal }) =>
    rehearsal === undefined ? [] : [rehearsal.inputs as { readonly family?: string }],
  );
  const newest = async () =>
    family === undefined ? [] : imageFindings(family, inputs, deps).catch(failure => [expected('image', failure)]);
  const images = await deps.report.step('Check the newest image', newest);
  return [...tried.flatMap(({ findings }) => findings), ...groups.findings, ...images, ...allowed];
}

async function accountFinding({ region, roleToAssume }: Inputs, deps: DoctorDeps): Promise<Finding> {
  const area = 'account';
  try {
    const id = await deps.inRegion({ region }).account.id();
    const who = deps.run.event === 'terminal' ? 'the credentials of this terminal' : roleToAssume;
    return { area, status: 'ok', says: `${id} in ${region}${who === undefined ? '' : `, as ${who}`}` };
  } catch (failure) {
    return expected(area, failure);
  }
}

async function tryMode(mode: string, inputs: Inputs, deps: DoctorDeps) {
  let rehearsal: Rehearsal | undefined;
  try {
    rehearsal = await inputs.rehearse(mode);
    const { family = '' } = rehearsal.inputs as { readonly family?: string };
    if (mode !== 'build' && (await newestImage(family, inputs, deps)) === undefined) {
      const finding = { area: mode, status: 'skipped' as const, says: NO_IMAGE, fix: 'Run mode "build" first: npx ami-action build' };
      return { mode, rehearsal, findings: [finding] };
    }
    await rehearsal.run();
    const warnings = rehearsal.warnings.map((says): Finding => ({ area: mode, status: 'warning', says }));
    return { mode, rehearsal, findings: [{ area: mode, status: 'ok' as const, says: 'a dry run works' }, ...warnings] };
  } catch (failure) {
    return { mode, rehearsal, findings: [expected(mode, failure)] };
  }
}

async function groupFindings({ inputs, deps }: Rehearsal, region: string) {
  const area = 'groups';
  const options = inputs as RolloutOptions & PointerOfEnvironment;
  try {
    const checks = await checkAll({ ...options, pointer: environmentPointer(options) }, deps.inRegion({ region }));
    const findings = checks.flatMap(({ kind, name, refusals, warnings }): Finding[] => [
      ...(refusals.length === 0
        ? [{ area, status: 'ok' as const, says: `${kind === 'group' ? '' : `${kind} `}${name} can be rolled out` }]
        : []),
      ...refusals.map(says => ({ area, status: 'problem' as const, says, cause: new RejectedError(says) })),
      ...warnings.map(says => ({ area, status: 'warning' as const, says: `${name}: ${says}` })),
    ]);
    return { checks, findings };
  } catch (failure) {
    return { checks: [], findings: [expected(area, failure)] };
  }
}

/** Reads are proven by the dry runs, writes by the simulation of the role's policies. */
async function permissionFindings(
  modes: readonly string[],
  rollout: Rehearsal | undefined,
  checks: readonly GroupCheck[],
  { region, roleToAssume }: Inputs,
  deps: DoctorDeps,
): Promise<readonly Finding[]> {
  const area = 'permissions';
  if (roleToAssume === undefined) return [{ area, status: 'skipped', says: '"role-to-assume" is not set, so no role can be simulated' }];
  const aws = deps.inRegion({ region });
  const place = {
    ...{ region, account: await aws.account.id(), partition: roleToAssume.split(':')[1] ?? 'aws' },
    pointer: rollout === undefined ? undefined : environmentPointer(rollout.inputs as PointerOfEnvironment),
    named: checks,
    templateIds: [...new Set(checks.flatMap(({ templateIds }) => templateIds))],
  };
  const asked = permissionsOn(place, [...new Set(modes.flatMap(mode => WRITES[mode] ?? []))]);
  const answers = await aws.permissions.simulate(roleToAssume, asked);
  if (answers === undefined) {
    const fix = `Allow iam:SimulatePrincipalPolicy on ${roleToAssume} for the role itself.`;
    return [{ area, status: 'skipped', says: 'the role may not simulate its own policies, so writes are not checked', fix }];
  }
  const denied = answers.filter(({ decision }) => decision === 'denied');
  if (denied.length > 0) {
    const fix = `Add them to ${roleToAssume}: the policy of each mode is in examples/policies.`;
    const says = `denied: ${denied.map(({ action, resource }) => `${action} on ${resource}`).join(', ')}`;
    return [{ area, status: 'problem', says, fix, cause: new AccessError(says) }];
  }
  const bound = answers.filter(({ decision }) => decision === 'conditional').length;
  return [
    {
      area,
      status: 'ok',
      says: `${answers.length} writes are allowed${bound === 0 ? '' : `, ${bound} of them under conditions such as a tag`}`,
    },
  ];
}

function expected(area: string, failure: unknown): Finding {
  if (!(failure instanceof ActionError) || failure instanceof CancelledError) throw failure;
  return findingOfFailure(area, failure);
}

const MARKS = { ok: '✅', warning: '⚠️', problem: '❌', skipped: '⏭️' } as const;

function page(findings: readonly Finding[], problems: number, next: string): string {
  const rows = worstFirst(findings).map(({ area, status, says, fix }) => [MARKS[status], text(area), text(says), text(fix ?? '')]);
  const heading = problems === 0 ? ['### ✅ doctor: no problems'] : [];
  const outcome = problems === 0 ? 'nothing stands in the way of a real run' : `${formatCount(problems, 'problem')} to fix`;
  return [...heading, table(['', 'Area', 'Finding', 'Fix'], rows), `**Next:** ${text(next)}`, `**Outcome:** ${outcome}`].join('\n\n');
}
