import type { AskedPermission } from '../model/permission.ts';

export interface SimulatedPermission extends AskedPermission {
  /** `conditional`: allowed where the request or the resource has what a condition asks for, such as a tag. */
  readonly decision: 'allowed' | 'conditional' | 'denied';
}

export interface Permissions {
  /** What the policies of a role (ARN) allow; undefined where the caller may not ask for it. */
  simulate(role: string, asked: readonly AskedPermission[]): Promise<readonly SimulatedPermission[] | undefined>;
}
