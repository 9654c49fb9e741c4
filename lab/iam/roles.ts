import { type Core, shared } from '../place.ts';
import type { Context } from './context.ts';
import type { Statement } from './policy.ts';

/** A role that a template deployed. Roles that no template deployed are administrators. */
export interface LabRole {
  readonly arn: string;
  readonly account: string;
  readonly name: string;
  readonly trust: readonly Statement[];
  readonly policies: readonly Statement[];
  readonly boundary: readonly Statement[] | undefined;
  readonly maxSessionSeconds: number;
  readonly tags: Readonly<Record<string, string>>;
}

export interface LabProvider {
  readonly arn: string;
  readonly clientIds: readonly string[];
}

/** By ARN. */
export const roles = shared(() => new Map<string, LabRole>());

/** ARN of an instance profile -> ARN of its role. */
export const instanceProfiles = shared(() => new Map<string, string>());

/** OIDC providers by ARN. */
export const providers = shared(() => new Map<string, LabProvider>());

/** A permission that was asked for, as evaluated. */
export interface Asked {
  readonly role: string;
  readonly action: string;
  readonly resource: string;
  readonly context: Context;
  readonly allowed: boolean;
}

/** Everything that deployed roles were asked for, so that tests can see what a policy is good for. */
export const askedPermissions = shared((): Asked[] => []);

export const deployedRole = (core: Core, arn: string | undefined): LabRole | undefined =>
  arn === undefined ? undefined : roles(core).get(arn);

/** The role that EC2 gives to an instance with this profile. A profile that no template deployed has a role of its name. */
export const roleOfProfile = (core: Core, profileArn: string): string =>
  instanceProfiles(core).get(profileArn) ?? profileArn.replace(':instance-profile/', ':role/');
