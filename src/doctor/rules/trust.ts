import { matchesGlob } from '../../kit/glob.ts';
import type { Finding } from './findings.ts';

/** Whether the OIDC token of a job fits the trust policy of a role. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html#condition-keys-wif */

export type Claims = Readonly<Record<string, string>>;

const AREA = 'token';
const PROVIDER = 'token.actions.githubusercontent.com';
const PREFIX = `${PROVIDER}:`;
/** Claims that trust policies usually ask for. https://docs.github.com/en/actions/reference/security/oidc */
const USUAL = ['aud', 'sub', 'repository_id', 'ref', 'job_workflow_ref'];

interface Condition {
  readonly operator: string;
  readonly claim: string;
  readonly values: readonly string[];
}

/** `policy`: the trust policy as JSON; undefined where the role may not be read. */
export function trustFinding(role: string, claims: Claims, policy: string | undefined): Finding {
  if (policy === undefined) {
    const says = `${shown(claims, USUAL)}. The trust policy of ${role} cannot be read (iam:GetRole), so it is not compared`;
    return { area: AREA, status: 'skipped', says, fix: `The trust policy must match: ${conditionFor(claims)}` };
  }
  const statements = federated(policy);
  if (statements.length === 0)
    return { area: AREA, status: 'skipped', says: `${role} trusts no OIDC token of GitHub; it is assumed in another way` };
  const compared = statements.map(conditions => conditions.filter(condition => !fits(condition, claims)));
  const [nearest = []] = compared.toSorted((a, b) => a.length - b.length);
  if (nearest.length > 0) {
    const says = nearest.map(
      ({ operator, claim, values }) => `${claim} is "${claims[claim] ?? ''}", the trust policy has ${operator} ${values.join(', ')}`,
    );
    return {
      area: AREA,
      status: 'warning',
      says: `${role}: ${says.join('; ')}`,
      fix: `The trust policy must match: ${conditionFor(claims)}`,
    };
  }
  const asked = [...new Set((statements[compared.findIndex(unmet => unmet.length === 0)] ?? []).map(({ claim }) => claim))];
  if (asked.includes('sub')) return { area: AREA, status: 'ok', says: `the trust policy of ${role} matches ${shown(claims, asked)}` };
  const fix = `Add a condition on ${PREFIX}sub: ${conditionFor(claims)}`;
  return {
    area: AREA,
    status: 'warning',
    says: `the trust policy of ${role} has no condition on sub, so other repositories may assume it`,
    fix,
  };
}

const shown = (claims: Claims, names: readonly string[]): string =>
  names.flatMap(name => (claims[name] === undefined ? [] : [`${name} "${claims[name]}"`])).join(', ');

/** As it stands in a trust policy. */
const conditionFor = (claims: Claims): string =>
  JSON.stringify({ StringEquals: Object.fromEntries(['aud', 'sub'].map(name => [`${PREFIX}${name}`, claims[name] ?? ''])) });

/** The conditions on claims of each statement that lets tokens of GitHub in. */
function federated(policy: string): readonly (readonly Condition[])[] {
  const { Statement = [] } = JSON.parse(policy) as { Statement?: Json | readonly Json[] };
  return [Statement].flat().flatMap(statement => {
    const {
      Effect,
      Action,
      Principal,
      Condition: all = {},
    } = statement as {
      readonly Effect?: string;
      readonly Action?: unknown;
      readonly Principal?: { readonly Federated?: unknown };
      readonly Condition?: Json;
    };
    const isGitHub = [Principal?.Federated].flat().some(provider => String(provider).endsWith(PROVIDER));
    if (Effect !== 'Allow' || !isGitHub || ![Action].flat().includes('sts:AssumeRoleWithWebIdentity')) return [];
    const conditions = Object.entries(all).flatMap(([operator, keys]) =>
      Object.entries(keys as Readonly<Record<string, string | readonly string[]>>).flatMap(([key, values]) =>
        key.startsWith(PREFIX) ? [{ operator, claim: key.slice(PREFIX.length), values: [values].flat() }] : [],
      ),
    );
    return [conditions];
  });
}

type Json = Readonly<Record<string, unknown>>;

/** Operators that are not compared here count as met: AWS has let the token in. */
function fits({ operator, claim, values }: Condition, claims: Claims): boolean {
  const value = claims[claim] ?? '';
  if (operator.endsWith('StringLike')) return values.some(pattern => matchesGlob(pattern, value));
  return !operator.endsWith('StringEquals') || values.includes(value);
}
