import {
  DescribeParametersCommand,
  GetParametersCommand,
  type ParameterMetadata,
  type ParameterStringFilter,
  type SSMClient,
} from '@aws-sdk/client-ssm';
import { batches, concurrently } from '../../../kit/concurrently.ts';
import { AccessError } from '../../../kit/errors.ts';
import type { ParameterFact, PointerNames } from '../../../model/image-users.ts';
import { referencedParameter } from '../../../model/patterns.ts';
import type { UserScope } from '../../../ports/images.ts';
import { always } from '../complete.ts';
import { asExpected, undefinedOn } from '../errors.ts';
import { allPages } from '../pages.ts';
import { parameterHistory } from '../parameters.ts';

// Parameter Store allows 40 calls per second by default, for all users of the account: their applications need most of them.
const CALLS_AT_ONCE = 2;
const NAMES_PER_CALL = 10;

/** Values of every parameter that may hold an image ID, with the history of pointers. */
export async function parameterFacts(ssm: SSMClient, { pointers, ignoredParameters }: UserScope): Promise<ParameterFact[]> {
  const listed = await metadata(ssm);
  const names = listed.filter(mayHoldImage).map(({ Name }) => always(Name, 'Name of a parameter'));
  const isPointer = (name: string) => pointers.pattern.test(name);
  const values = await valuesOf(
    ssm,
    names.filter(name => isPointer(name) || !ignoredParameters.some(prefix => name.startsWith(prefix))),
  );
  // No rollback uses the history of a candidate.
  const isOnlyPointer = (name: string) => isPointer(name) && pointers.pattern.exec(name)?.groups?.['below'] === undefined;
  const withHistory = [...values.keys()].filter(isOnlyPointer);
  const histories = new Map(await concurrently(withHistory, CALLS_AT_ONCE, async name => [name, await historyOf(ssm, name)] as const));
  return [...values].map(([name, value]) => ({ name, value, history: histories.get(name) ?? [] }));
}

/** Only pointers and candidates, without history: two calls. */
export async function pointedFacts(ssm: SSMClient, { prefixes, pattern }: PointerNames): Promise<ParameterFact[]> {
  const listed = await Promise.all(prefixes.map(prefix => metadata(ssm, [{ Key: 'Name', Option: 'BeginsWith', Values: [prefix] }])));
  const names = listed
    .flat()
    .filter(mayHoldImage)
    .map(({ Name }) => always(Name, 'Name of a parameter'));
  const values = await valuesOf(
    ssm,
    [...new Set(names)].filter(name => pattern.test(name)),
  );
  return [...values].map(([name, value]) => ({ name, value, history: [] }));
}

// EC2 cannot launch from a SecureString.
const mayHoldImage = ({ Type }: ParameterMetadata) => Type !== 'SecureString';

const metadata = (ssm: SSMClient, ParameterFilters?: ParameterStringFilter[]): Promise<ParameterMetadata[]> =>
  allPages(async NextToken => {
    const page = await ssm
      .send(new DescribeParametersCommand({ ParameterFilters, MaxResults: 50, NextToken }))
      .catch(asExpected('list parameters (ssm:DescribeParameters)'));
    return { items: always(page.Parameters, 'Parameters of DescribeParameters'), next: page.NextToken };
  });

async function valuesOf(ssm: SSMClient, names: readonly string[]): Promise<Map<string, string>> {
  const answers = await concurrently(batches(names, NAMES_PER_CALL), CALLS_AT_ONCE, async Names => {
    const doing = `read the parameters ${Names.join(', ')} (ssm:GetParameters)`;
    // Parameters that were deleted after the listing are returned as invalid.
    const { Parameters, InvalidParameters = [] } = await ssm.send(new GetParametersCommand({ Names })).catch(asExpected(doing));
    const values = new Map(always(Parameters, 'Parameters of GetParameters').map(({ Name, Value }) => [Name, Value]));
    return Names.filter(name => !InvalidParameters.includes(name)).map(
      name => [name, always(values.get(name), `the value of parameter ${name}`)] as const,
    );
  });
  return new Map(answers.flat());
}

const historyOf = async (ssm: SSMClient, name: string): Promise<ParameterFact['history']> =>
  (await parameterHistory(ssm, name)).map(({ Version, Value, Description = '', LastModifiedDate }) => ({
    version: always(Version, `Version in the history of ${name}`),
    value: always(Value, `Value in the history of ${name}`),
    description: Description,
    writtenAt: LastModifiedDate,
  }));

/** Resolves `resolve:ssm:` with a name, `name:version`, `name:label`, or the ARN of a parameter that another account shares. */
export async function resolveAliases(ssm: SSMClient, aliases: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const resolved = await concurrently(aliases, CALLS_AT_ONCE, async alias => {
    const name = referencedParameter(alias);
    const doing = `read the parameter ${name}, which a launch template uses (ssm:GetParameters)`;
    const answer = await ssm
      .send(new GetParametersCommand({ Names: [name] }))
      .catch(undefinedOn('ParameterVersionNotFound', 'ParameterNotFound'))
      .catch(asExpected(doing));
    const { Parameters = [], InvalidParameters = [] } = answer ?? { InvalidParameters: [name] };
    const value = InvalidParameters.length > 0 ? undefined : always(Parameters[0]?.Value, `the value of parameter ${name}`);
    // Whether a parameter of another account exists cannot be known.
    if (value === undefined && name.startsWith('arn:')) {
      throw new AccessError(`Cannot read the parameter ${name}, which a launch template uses.`, {
        next: 'Share the parameter with this account, or delete the launch template.',
      });
    }
    return [alias, value ?? ''] as const;
  });
  return new Map(resolved);
}
