import type { CreateRoleCommandInput, PutRolePolicyCommandInput, Role, UpdateAssumeRolePolicyCommandInput } from '@aws-sdk/client-iam';
import { newId } from '../ids.ts';
import { AwsError, type Operations } from '../operation.ts';
import type { Core, Place } from '../place.ts';
import { type Made, madeRoles, missing, type Named, profiles, roleIn, shown, shownProfile } from './made.ts';
import { readPolicy, writePolicy } from './policy.ts';
import { profileOperations, providerOperations } from './profile-operations.ts';
import { roles } from './roles.ts';

/** The calls of IAM with which Terraform makes, reads and removes roles with inline policies, instance profiles and OIDC providers. */

/** A role that a template deployed, as GetRole shows it. */
function ofTemplate({ core, account }: Place, RoleName = ''): Made | undefined {
  const arn = `arn:aws:iam::${account}:role/${RoleName}`;
  const found = madeRoles(core).has(arn) ? undefined : roles(core).get(arn);
  if (found === undefined) return undefined;
  const role: Role = { Path: '/', RoleName, RoleId: newId('AROA'), Arn: arn, CreateDate: core.clock.date() };
  return { role, account, trust: writePolicy(found.trust), policies: new Map() };
}

/** What the role grants from now on. */
function apply(core: Core, { role, account, trust, policies }: Made): void {
  const { Arn: arn = '', RoleName: name = '', MaxSessionDuration: maxSessionSeconds = 3600 } = role;
  const granted = [...policies.values()].flatMap(readPolicy);
  roles(core).set(arn, {
    ...{ arn, account, name, maxSessionSeconds, trust: readPolicy(trust), policies: granted, boundary: undefined, tags: {} },
  });
}

const createRole = (input: CreateRoleCommandInput, { place }: { readonly place: Place }) => {
  const { core, account } = place;
  const { RoleName = '', AssumeRolePolicyDocument: trust = '', Path = '/' } = input;
  const arn = `arn:aws:iam::${account}:role/${RoleName}`;
  if (roles(core).has(arn)) throw new AwsError('EntityAlreadyExists', `Role with name ${RoleName} already exists.`, 409);
  const role: Role = {
    Path,
    RoleName,
    RoleId: newId('AROA'),
    Arn: arn,
    CreateDate: core.clock.date(),
    AssumeRolePolicyDocument: undefined,
  };
  const made: Made = { role: { ...role, MaxSessionDuration: input.MaxSessionDuration ?? 3600 }, account, trust, policies: new Map() };
  madeRoles(core).set(arn, made);
  apply(core, made);
  return { Role: shown(made) };
};

const deleteRole = ({ RoleName }: Named, { place }: { readonly place: Place }) => {
  const { role, policies } = roleIn(place, RoleName);
  if (policies.size > 0) throw new AwsError('DeleteConflict', 'Cannot delete entity, must delete policies first.', 409);
  if ([...profiles(place.core).values()].some(profile => profile.role === role.Arn))
    throw new AwsError('DeleteConflict', 'Cannot delete entity, must remove roles from instance profile first.', 409);
  madeRoles(place.core).delete(role.Arn ?? '');
  roles(place.core).delete(role.Arn ?? '');
  return {};
};

const roleOperations: Operations = {
  CreateRole: createRole,
  DeleteRole: deleteRole,
  GetRole: ({ RoleName }: Named, { place }) => ({ Role: shown(ofTemplate(place, RoleName) ?? roleIn(place, RoleName)) }),
  UpdateAssumeRolePolicy: ({ RoleName, PolicyDocument = '' }: UpdateAssumeRolePolicyCommandInput, { place }) => {
    const made = roleIn(place, RoleName);
    made.trust = PolicyDocument;
    apply(place.core, made);
    return {};
  },
  PutRolePolicy: ({ RoleName, PolicyName = '', PolicyDocument = '' }: PutRolePolicyCommandInput, { place }) => {
    const made = roleIn(place, RoleName);
    made.policies.set(PolicyName, PolicyDocument);
    apply(place.core, made);
    return {};
  },
  GetRolePolicy: ({ RoleName, PolicyName = '' }: Named, { place }) => {
    const document = roleIn(place, RoleName).policies.get(PolicyName);
    if (document === undefined) throw missing(`role policy with name ${PolicyName}`);
    return { RoleName, PolicyName, PolicyDocument: encodeURIComponent(document) };
  },
  DeleteRolePolicy: ({ RoleName, PolicyName = '' }: Named, { place }) => {
    const made = roleIn(place, RoleName);
    if (!made.policies.delete(PolicyName)) throw missing(`role policy with name ${PolicyName}`);
    apply(place.core, made);
    return {};
  },
  ListRolePolicies: ({ RoleName }: Named, { place }) => ({ PolicyNames: [...roleIn(place, RoleName).policies.keys()], IsTruncated: false }),
  ListAttachedRolePolicies: () => ({ AttachedPolicies: [], IsTruncated: false }),
  ListInstanceProfilesForRole: ({ RoleName }: Named, { place }) => {
    const { role } = roleIn(place, RoleName);
    const having = [...profiles(place.core).values()].filter(profile => profile.role === role.Arn);
    return { InstanceProfiles: having.map(profile => shownProfile(place.core, profile)), IsTruncated: false };
  },
};

export const iamOperations: Operations = { ...roleOperations, ...profileOperations, ...providerOperations };
