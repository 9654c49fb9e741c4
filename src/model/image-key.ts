/** Whether others can use what a key encrypts. Decided from the key's policy and grants, as its owner sees them. */
export interface ImageKey {
  readonly arn: string;
  /** aws/ebs: its policy cannot be changed, so what it encrypts stays in this account. */
  readonly managedByAws: boolean;
  readonly usable: boolean;
  /** Undefined: we may not read it. */
  readonly policy: string | undefined;
  readonly grantees: readonly string[] | undefined;
}
