import type { EvaluationResult, SimulatePrincipalPolicyCommandInput, SimulatePrincipalPolicyCommandOutput } from '@aws-sdk/client-iam';
import { AwsError, type Operation, type Operations } from '../operation.ts';
import { contextOf } from './context.ts';
import { like } from './patterns.ts';
import { evaluate, type Statement } from './policy.ts';
import { deployedRole } from './roles.ts';

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html */
const simulate: Operation<SimulatePrincipalPolicyCommandInput, SimulatePrincipalPolicyCommandOutput> = (input, { place }) => {
  const { PolicySourceArn = '', ActionNames = [], ResourceArns = ['*'], ContextEntries = [] } = input;
  const role = deployedRole(place.core, PolicySourceArn);
  if (role === undefined)
    throw new AwsError('NoSuchEntity', `The role with name ${PolicySourceArn.split('/').at(-1)} cannot be found.`, 404);
  const given = Object.fromEntries(
    ContextEntries.map(({ ContextKeyName = '', ContextKeyValues = [] }) => [ContextKeyName, ContextKeyValues]),
  );
  const context = contextOf(given);
  const DECISIONS = { allowed: 'allowed', explicit: 'explicitDeny', implicit: 'implicitDeny' } as const;
  const EvaluationResults = ActionNames.flatMap(action =>
    ResourceArns.map((resource): EvaluationResult => {
      const EvalDecision = DECISIONS[evaluate(role.policies, { action, resource, context })];
      const MissingContextValues = [...missingKeys(role.policies, action, resource)].filter(key => !(key in given));
      const specific = { EvalResourceName: resource, EvalResourceDecision: EvalDecision, MissingContextValues };
      // Context keys of named resources are listed with the resource.
      return { EvalActionName: action, EvalResourceName: resource, EvalDecision, ResourceSpecificResults: [specific] };
    }),
  );
  return { EvaluationResults, IsTruncated: false };
};

/** The condition keys of statements that are about this action and resource. */
const missingKeys = (statements: readonly Statement[], action: string, resource: string): ReadonlySet<string> =>
  new Set(
    statements
      .filter(({ actions, resources }) => actions.some(one => like(one, action, true)) && resources.some(one => like(one, resource)))
      .flatMap(({ conditions }) => conditions.map(({ key }) => key)),
  );

export const simulationOperations: Operations = { SimulatePrincipalPolicy: simulate };
