import type {
  AddRoleToInstanceProfileCommandInput,
  CreateInstanceProfileCommandInput,
  CreateOpenIDConnectProviderCommandInput,
} from '@aws-sdk/client-iam';
import { newId } from '../ids.ts';
import { AwsError, type Operations } from '../operation.ts';
import type { Place } from '../place.ts';
import { missing, type Named, type Profile, profiles, roleIn, shownProfile } from './made.ts';
import { instanceProfiles, providers } from './roles.ts';

/** Instance profiles and OIDC providers. */

function profileIn({ core, account }: Place, name = ''): Profile {
  const found = profiles(core).get(`arn:aws:iam::${account}:instance-profile/${name}`);
  if (found === undefined) throw missing(`instance profile ${name}`);
  return found;
}

export const profileOperations: Operations = {
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

export const providerOperations: Operations = {
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
