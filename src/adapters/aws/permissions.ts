import type { EvaluationResult, IAMClient } from '@aws-sdk/client-iam';
import { concurrently } from '../../kit/concurrently.ts';
import type { Permissions, SimulatedPermission } from '../../ports/permissions.ts';
import { asExpected, isCode } from './errors.ts';
import { jobClaims } from './web-identity.ts';

const AT_ONCE = 4;

/** The client is loaded late: only doctor uses it. https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html */
export const iamPermissions = (open: () => Promise<IAMClient>): Permissions => ({
  claims: jobClaims,
  // Documents are URL-encoded. https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRole.html
  async trustPolicy(role) {
    const [{ GetRoleCommand }, iam] = await Promise.all([import('@aws-sdk/client-iam'), open()]);
    try {
      const { Role } = await iam.send(new GetRoleCommand({ RoleName: role.split('/').at(-1) }));
      return decodeURIComponent(Role?.AssumeRolePolicyDocument ?? '%7B%7D');
    } catch (cause) {
      if (isCode(cause, 'AccessDenied', 'AccessDeniedException')) return undefined;
      return asExpected('read the trust policy of the role (iam:GetRole)')(cause);
    }
  },
  async simulate(role, asked) {
    const [{ SimulatePrincipalPolicyCommand }, iam] = await Promise.all([import('@aws-sdk/client-iam'), open()]);
    const resources = [...new Set(asked.map(({ resource }) => resource))];
    try {
      const answers = await concurrently(resources, AT_ONCE, async resource => {
        const ActionNames = asked.flatMap(permission => (permission.resource === resource ? [permission.action] : []));
        const command = new SimulatePrincipalPolicyCommand({
          PolicySourceArn: role,
          ActionNames,
          ResourceArns: [resource],
          MaxItems: 1000,
        });
        const { EvaluationResults = [] } = await iam.send(command);
        return EvaluationResults.map(result => toPermission(result, resource));
      });
      return answers.flat();
    } catch (cause) {
      if (isCode(cause, 'AccessDenied', 'AccessDeniedException')) return undefined;
      return asExpected('simulate the policies of the role (iam:SimulatePrincipalPolicy)')(cause);
    }
  },
});

/** Missing condition keys of a named resource are listed with the resource. */
function toPermission(result: EvaluationResult, resource: string): SimulatedPermission {
  const { EvalActionName: action = '', EvalDecision, MissingContextValues = [], ResourceSpecificResults = [] } = result;
  const missing = [...MissingContextValues, ...ResourceSpecificResults.flatMap(({ MissingContextValues: keys = [] }) => keys)];
  const denied = EvalDecision === 'implicitDeny' && missing.length > 0 ? 'conditional' : 'denied';
  return { action, resource, decision: EvalDecision === 'allowed' ? 'allowed' : denied };
}
