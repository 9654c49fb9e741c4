import type { Principal } from '../kms/use.ts';
import type { Call } from '../operation.ts';
import { contextOf } from './context.ts';
import { evaluate } from './policy.ts';
import { askedPermissions, deployedRole } from './roles.ts';

/** The caller as KMS sees it when EC2 uses a key for it: with the permissions of its role, through EC2. */
export function principalOf({ place, roleArn }: Call): Principal {
  const { core, account } = place;
  const role = deployedRole(core, roleArn);
  if (role === undefined) return { account };
  const identity = (action: string, resource: string, region: string): boolean => {
    const context = contextOf({
      'aws:PrincipalArn': role.arn,
      'kms:CallerAccount': account,
      'kms:ViaService': `ec2.${region}.amazonaws.com`,
      'kms:GrantIsForAWSResource': 'true',
    });
    const allowed = evaluate(role.policies, { action, resource, context }) === 'allowed';
    askedPermissions(core).push({ role: role.arn, action, resource, context, allowed });
    return allowed;
  };
  return { account, identity };
}
