import type { Parameter } from '@aws-sdk/client-cloudformation';
import { launchableImage } from '../ec2/image-choice.ts';
import { valuesOf } from '../iam/deploy.ts';
import { parseTemplate } from '../iam/template.ts';
import { AwsError } from '../operation.ts';
import type { Place } from '../place.ts';
import { latest, parameters } from '../ssm/parameter-state.ts';
import { type Inputs, invalid } from './state.ts';

/**
 * The parameters of a stack operation. Keys of Systems Manager parameters are resolved now, also with UsePreviousValue.
 * https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/systems-manager-parameter-types.html
 */
export function inputsFor(place: Place, text: string, given: Readonly<Record<string, string>>): Inputs {
  const { Parameters = {} } = parseTemplate(text);
  const values = { ...checked(() => valuesOf(parseTemplate(text), given)) };
  const all = Object.fromEntries(Object.keys(Parameters).map(name => [name, String(values[name])]));
  const resolved: Record<string, string> = {};
  for (const [name, { Type }] of Object.entries(Parameters)) {
    const value = String(values[name]);
    if (String(Type).startsWith('AWS::SSM::Parameter::Value<')) values[name] = resolved[name] = parameterValue(place, value);
    if (Type === 'AWS::EC2::Image::Id') checkImage(place, name, value);
  }
  return { parameters: all, resolved, values };
}

/** A parameter that is not given takes its default, and not its previous value. https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_Parameter.html */
export function givenIn(all: readonly Parameter[], previous: Readonly<Record<string, string>>): Record<string, string> {
  const pairs = all.map(({ ParameterKey: key = '', ParameterValue: value, UsePreviousValue }) => {
    if (value !== undefined && UsePreviousValue)
      throw invalid(`Invalid input for parameter key ${key}. Cannot specify usePreviousValue as true and non empty value for a parameter`);
    return [key, UsePreviousValue ? previous[key] : value] as const;
  });
  return Object.fromEntries(pairs.flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])));
}

function checked<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw invalid((cause as Error).message.replace(/^ValidationError: /, ''));
  }
}

function parameterValue(place: Place, name: string): string {
  const found = parameters(place).get(name);
  if (found === undefined) throw invalid(`Unable to fetch parameters [${name}] from parameter store for this account.`);
  return latest(found).value;
}

/** AWS-specific types are checked. https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-supplied-parameter-types.html */
function checkImage(place: Place, name: string, value: string): void {
  try {
    launchableImage(place, value);
  } catch (cause) {
    if (!(cause instanceof AwsError)) throw cause;
    throw invalid(`Parameter validation failed: parameter value ${value} for parameter name ${name} does not exist.`);
  }
}
