import { AccessError, UsageError } from '../kit/errors.ts';
import type { Deps, Where } from '../ports/deps.ts';
import type { Template } from './read-template.ts';
import type { Credential } from './rules/template-facts.ts';
import type { BuildOptions } from './settings.ts';

/** A template may build with credentials of its own. Its images are then in an account that the action does not see. */

/** With `role` in place of the action's credentials; `role: undefined` asks for those. */
export const withRole = <D extends { inRegion(where: Where): unknown }>(deps: D, role: string | undefined): D =>
  role === undefined ? deps : { ...deps, inRegion: (where: Where) => deps.inRegion('role' in where ? where : { ...where, role }) };

/** The account of a role. */
export const accountOf = (arn: string): string | undefined => /^arn:[\w-]+:iam::(\d{12}):/.exec(arn)?.[1];

/** @throws UsageError where the template builds in another account without "template-role", AccessError where that account is not allowed. */
export async function checkAccount({ facts }: Template, options: BuildOptions, deps: Deps<'account'>): Promise<void> {
  const { region, templateRole, allowedAccountIds = [] } = options;
  if (templateRole !== undefined) {
    refuseOtherRole(facts.credentials, templateRole);
    return refuseAccount(accountOf(templateRole) ?? '', allowedAccountIds);
  }
  if (facts.credentials.length === 0) return;
  const account = await deps.inRegion({ region }).account.id();
  const others = facts.credentials.filter(({ value }) => value === undefined || accountOf(value) !== account);
  const certain = others.filter(({ value }) => value !== undefined || allowedAccountIds.length > 0);
  if (certain.length > 0) {
    const [first] = certain;
    throw new UsageError(
      certain.map(credential => otherAccount(credential, account)),
      {
        unchanged: true,
        next: `Remove ${first?.kind} from the template and set "role-to-assume". Or set "template-role" to the role, so that ami-action works with it too.`,
      },
    );
  }
  for (const credential of others) deps.report.warn(otherAccount(credential, account));
}

const otherAccount = ({ source, kind, value }: Credential, account: string): string => {
  const target = value === undefined ? undefined : accountOf(value);
  const how = { assume_role: 'assumes a role', profile: 'uses a profile', access_key: 'uses keys' }[kind];
  const which = value === undefined || kind === 'access_key' ? '' : ` (${value})`;
  const where = target === undefined ? 'possibly in another account' : `in account ${target}`;
  return `The template ${how} of its own in ${source}${which}: Packer builds ${where}, and ami-action works in ${account}`;
};

/** Else the image is waited for in an account where it never appears. */
function refuseOtherRole(credentials: readonly Credential[], role: string): void {
  const other = credentials.find(({ value = '' }) => ![undefined, accountOf(role)].includes(accountOf(value)));
  const problem =
    credentials.length === 0
      ? '"template-role" is set, but the template uses no credentials of its own: remove the setting'
      : other && `The template assumes ${other.value} in ${other.source}, and "template-role" is of another account`;
  if (problem !== undefined) throw new UsageError([problem], { unchanged: true });
}

function refuseAccount(account: string, allowed: readonly string[]): void {
  if (allowed.length === 0 || allowed.includes(account)) return;
  throw new AccessError(`"template-role" is of account ${account}, which "allowed-account-ids" does not contain.`, { unchanged: true });
}
