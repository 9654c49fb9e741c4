import type { Role } from '@aws-sdk/client-iam';
import { AwsError } from '../operation.ts';
import { type Core, type Place, shared } from '../place.ts';

/** Roles and instance profiles that calls of IAM made, and their form in answers. */

export interface Made {
  readonly role: Role;
  readonly account: string;
  trust: string;
  readonly policies: Map<string, string>;
}

export interface Profile {
  readonly name: string;
  readonly id: string;
  readonly arn: string;
  readonly createdAt: Date;
  role: string | undefined;
}

export const madeRoles = shared(() => new Map<string, Made>());
export const profiles = shared(() => new Map<string, Profile>());

export type Named = { readonly RoleName?: string; readonly PolicyName?: string; readonly InstanceProfileName?: string };
export const missing = (what: string) => new AwsError('NoSuchEntity', `The ${what} cannot be found.`, 404);

export function roleIn({ core, account }: Place, name = ''): Made {
  const found = madeRoles(core).get(`arn:aws:iam::${account}:role/${name}`);
  if (found === undefined) throw missing(`role with name ${name}`);
  return found;
}

/** Documents are URL-encoded in answers. https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRole.html */
export const shown = ({ role, trust }: Made): Role => ({ ...role, AssumeRolePolicyDocument: encodeURIComponent(trust) });

export const shownProfile = (core: Core, { name, id, arn, createdAt, role }: Profile) => {
  const made = role === undefined ? undefined : madeRoles(core).get(role);
  return {
    ...{ Path: '/', InstanceProfileName: name, InstanceProfileId: id, Arn: arn, CreateDate: createdAt },
    Roles: made === undefined ? [] : [shown(made)],
  };
};
