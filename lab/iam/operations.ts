import type {
  AddRoleToInstanceProfileCommandInput,
  CreateInstanceProfileCommandInput,
  CreateOpenIDConnectProviderCommandInput,
  CreateRoleCommandInput,
  PutRolePolicyCommandInput,
  Role,
  UpdateAssumeRolePolicyCommandInput,
} from '@aws-sdk/client-iam';
import { newId } from '../ids.ts';
import { AwsError, type Operations } from '../operation.ts';
import { type Core, type Place, shared } from '../place.ts';
import { readPolicy, writePolicy } from './policy.ts';
import { instanceProfiles, providers, roles } from './roles.ts';

/** The calls of IAM with which Terraform makes, reads and removes roles with inline policies, instance profiles and OIDC providers. */

interface Made {
  readonly role: Role;
  readonly account: string;
  trust: string;
  readonly policies: Map<string, string>;
}

interface Profile {
  readonly name: string;
  readonly id: string;
  readonly arn: string;
  readonly createdAt: Date;
  role: string | undefined;
}

const madeRoles = shared(() => new Map<string, Made>());
const profiles = shared(() => new Map<string, Profile>());

type Named = { readonly RoleName?: string; readonly PolicyName?: string; readonly InstanceProfileName?: string };
type At = { readonly place: Place };

const missing = (what: string) => new AwsError('NoSuchEntity', `The ${what} cannot be found.`, 404);

function roleIn({ core, account }: Place, name = ''): Made {
  const found = madeRoles(core).get(`arn:aws:iam::${account}:role/${name}`);
  if (found === undefined) throw missing(`role with name ${name}`);
  return found;
}

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

/** Documents are URL-encoded in answers. https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRole.html */
const shown = ({ role, trust }: Made): Role => ({ ...role, AssumeRolePolicyDocument: encodeURIComponent(trust) });

const createRole = (input: CreateRoleCommandInput, { place }: At) => {
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

const deleteRole = ({ RoleName }: Named, { place }: At) => {
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

function profileIn({ core, account }: Place, name = ''): Profile {
  const found = profiles(core).get(`arn:aws:iam::${account}:instance-profile/${name}`);
  if (found === undefined) throw missing(`instance profile ${name}`);
  return found;
}

const shownProfile = (core: Core, { name, id, arn, createdAt, role }: Profile) => {
  const made = role === undefined ? undefined : madeRoles(core).get(role);
  return {
    ...{ Path: '/', InstanceProfileName: name, InstanceProfileId: id, Arn: arn, CreateDate: createdAt },
    Roles: made === undefined ? [] : [shown(made)],
  };
};

const profileOperations: Operations = {
  CreateInstanceProfile: ({ InstanceProfileName: name = '' }: CreateInstanceProfileCommandInput, { place }) => {
    const arn = `arn:aws:iam::${place.account}:instance-profile/${name}`;
    const profile: Profile = { name, id: newId('AIPA'), arn, createdAt: place.core.clock.date(), role: undefined };
    profiles(place.core).set(arn, profile);
    return { InstanceProfile: shownProfile(place.core, profile) };
  },
  GetInstanceProfile: ({ InstanceProfileName }: Named, { place }) => ({
    InstanceProfile: shownProfile(place.core, profileIn(place, InstanceProfileName)),
  }),
  AddRoleToInstanceProfile: ({ InstanceProfileName, RoleName }: AddRoleToInstanceProfileCommandInput, { place }) => {
    const profile = profileIn(place, InstanceProfileName);
    profile.role = roleIn(place, RoleName).role.Arn;
    if (profile.role !== undefined) instanceProfiles(place.core).set(profile.arn, profile.role);
    return {};
  },
  RemoveRoleFromInstanceProfile: ({ InstanceProfileName }: Named, { place }) => {
    const profile = profileIn(place, InstanceProfileName);
    profile.role = undefined;
    instanceProfiles(place.core).delete(profile.arn);
    return {};
  },
  DeleteInstanceProfile: ({ InstanceProfileName }: Named, { place }) => {
    const { arn, role } = profileIn(place, InstanceProfileName);
    if (role !== undefined)
      throw new AwsError('DeleteConflict', 'Cannot delete entity, must remove roles from instance profile first.', 409);
    profiles(place.core).delete(arn);
    return {};
  },
};

function providerIn({ core }: Place, arn = '') {
  const found = providers(core).get(arn);
  if (found === undefined) throw missing(`OpenIDConnect provider ${arn}`);
  return found;
}

const providerOperations: Operations = {
  CreateOpenIDConnectProvider: ({ Url = '', ClientIDList = [] }: CreateOpenIDConnectProviderCommandInput, { place }) => {
    const arn = `arn:aws:iam::${place.account}:oidc-provider/${Url.replace(/^https:\/\//, '')}`;
    if (providers(place.core).has(arn)) throw new AwsError('EntityAlreadyExists', `Provider with url ${Url} already exists.`, 409);
    providers(place.core).set(arn, { arn, clientIds: ClientIDList });
    return { OpenIDConnectProviderArn: arn };
  },
  GetOpenIDConnectProvider: ({ OpenIDConnectProviderArn: arn }: { OpenIDConnectProviderArn?: string }, { place }) => ({
    Url: arn?.replace(/^.*:oidc-provider\//, ''),
    ClientIDList: [...providerIn(place, arn).clientIds],
    // AWS looks it up itself when none is given.
    ThumbprintList: ['0'.repeat(40)],
  }),
  DeleteOpenIDConnectProvider: ({ OpenIDConnectProviderArn: arn }: { OpenIDConnectProviderArn?: string }, { place }) => {
    providers(place.core).delete(providerIn(place, arn).arn);
    return {};
  },
};

export const iamOperations: Operations = { ...roleOperations, ...profileOperations, ...providerOperations };
