import { AwsError, type Call } from '../operation.ts';
import type { Core } from '../place.ts';
import { type Claims, denied } from '../sts-trust.ts';
import { general, messageOf } from './authorize.ts';
import { contextOf } from './context.ts';
import { like } from './patterns.ts';
import { evaluate, type Statement } from './policy.ts';
import { askedPermissions, deployedRole, type LabRole, providers } from './roles.ts';

/** Trust policies of deployed roles. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html */

/** Claims of GitHub that a trust policy may use besides `aud` and `sub`. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html */
const CLAIMS = [
  'actor',
  'actor_id',
  'enterprise_id',
  'environment',
  'job_workflow_ref',
  'ref',
  'repository',
  'repository_id',
  'repository_owner_id',
  'workflow',
];

/** Throws unless the role trusts this token. */
export function checkWebIdentity(core: Core, role: LabRole, claims: Claims): void {
  const host = claims.iss.replace(/^https:\/\//, '');
  const provider = providers(core).get(`arn:aws:iam::${role.account}:oidc-provider/${host}`);
  if (provider === undefined)
    throw new AwsError('InvalidIdentityToken', `No OpenIDConnect provider found in your account for ${claims.iss}`);
  if (!provider.clientIds.includes(claims.aud)) throw new AwsError('InvalidIdentityToken', 'Incorrect token audience');
  const context = contextOf({
    ...Object.fromEntries(CLAIMS.map(name => [`${host}:${name}`, claims.all[name]])),
    [`${host}:aud`]: claims.aud,
    [`${host}:sub`]: claims.sub,
  });
  const action = 'sts:AssumeRoleWithWebIdentity';
  const meant = statementsFor(role.trust, 'Federated', name => name === provider.arn);
  const question = { action, resource: role.arn, context };
  askedPermissions(core).push({ role: role.arn, ...question, allowed: evaluate(meant, question) === 'allowed' });
  if (evaluate(meant, question) !== 'allowed') throw denied(`Not authorized to perform ${action}`);
}

/** Trust statements carry no resource: they are about the role itself. */
const statementsFor = (trust: readonly Statement[], kind: string, fits: (name: string) => boolean): readonly Statement[] =>
  trust
    .filter(({ principals }) => '*' in principals || (principals[kind] ?? []).some(fits))
    .map(statement => ({ ...statement, resources: ['*'] }));

/** Throws unless the policies of the caller's role allow it to assume this one, which trusts everybody. */
export function checkOwnRight(call: Call, arn: string): void {
  const { core } = call.place;
  const caller = deployedRole(core, call.roleArn);
  if (caller === undefined) return;
  const question = { action: 'sts:AssumeRole', resource: arn, context: general(call, caller) };
  const allowed = evaluate(caller.policies, question) === 'allowed';
  askedPermissions(core).push({ role: caller.arn, ...question, allowed });
  if (!allowed) throw denied(messageOf({ action: question.action, resource: arn, explicit: false }, call.arn));
}

/**
 * Throws unless role and caller agree. A caller of the role's own account that the trust policy names needs no permission of its own.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic-cross-account.html
 */
export function checkAssumeRole(call: Call, role: LabRole, externalId: string | undefined, sessionName: string | undefined): void {
  const { core } = call.place;
  const caller = deployedRole(core, call.roleArn);
  const { account } = call.place;
  const byName = (name: string) => [call.arn, call.roleArn].includes(name) || (name === '*' && account === role.account);
  const byAccount = (name: string) => name === account || like(name, `arn:aws:iam::${account}:root`) || name === '*';
  const context = contextOf({
    ...Object.fromEntries(
      caller === undefined
        ? [
            ['aws:PrincipalArn', call.roleArn ?? call.arn],
            ['aws:PrincipalAccount', account],
          ]
        : general(call, caller),
    ),
    'sts:ExternalId': externalId,
    'sts:RoleSessionName': sessionName,
  });
  const question = { action: 'sts:AssumeRole', resource: role.arn, context };
  const trusted = (fits: (name: string) => boolean) => evaluate(statementsFor(role.trust, 'AWS', fits), question);
  const explicit = trusted(name => byName(name) || byAccount(name)) === 'explicit';
  const denial = messageOf({ action: 'sts:AssumeRole', resource: role.arn, explicit }, call.arn);
  if (explicit) throw denied(denial);
  if (account === role.account && trusted(byName) === 'allowed') return;
  const trustsCaller = trusted(name => byName(name) || byAccount(name)) === 'allowed';
  const may = caller === undefined || evaluate(caller.policies, question) === 'allowed';
  if (caller !== undefined) askedPermissions(core).push({ role: caller.arn, ...question, allowed: may });
  if (!trustsCaller || !may) throw denied(denial);
}
