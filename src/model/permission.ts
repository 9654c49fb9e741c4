/** An action on a resource, as in a policy: `ssm:PutParameter` on an ARN. */
export interface AskedPermission {
  readonly action: string;
  readonly resource: string;
}
