import type { AskedPermission } from '../model/permission.ts';

export interface SimulatedPermission extends AskedPermission {
  /** `conditional`: allowed where the request or the resource has what a condition asks for, such as a tag. */
  readonly decision: 'allowed' | 'conditional' | 'denied';
}

export interface Permissions {
  /** The claims of the job's OIDC token; undefined where the job has none. */
  claims(): Promise<Readonly<Record<string, string>> | undefined>;
  /** The trust policy of a role (ARN) as JSON; undefined where the caller may not read it. */
  trustPolicy(role: string): Promise<string | undefined>;
  /** What the policies of a role (ARN) allow; undefined where the caller may not ask for it. */
  simulate(role: string, asked: readonly AskedPermission[]): Promise<readonly SimulatedPermission[] | undefined>;
}
