import { DescribeParametersCommand, GetParameterHistoryCommand, GetParametersCommand, type SSMClient } from '@aws-sdk/client-ssm';
import { expect, test } from '@jest/globals';
import { parameterFacts } from '../../src/adapters/aws/image-users/parameters.ts';
import { pointerNames } from '../../src/model/image-users.ts';

const names = Array.from({ length: 90 }, (_, n) => `/ami/web/stage-${n}`);

// https://docs.aws.amazon.com/general/latest/gr/ssm.html: 40 a second by default, for all applications of the account.
test('Parameter Store gets at most two calls at a time', async () => {
  let [open, most] = [0, 0];
  const answer = (command: unknown) => {
    if (command instanceof DescribeParametersCommand) return { Parameters: names.map(Name => ({ Name, Type: 'String' })) };
    if (command instanceof GetParametersCommand) return { Parameters: command.input.Names?.map(Name => ({ Name, Value: 'ami-1' })) };
    if (command instanceof GetParameterHistoryCommand) return { Parameters: [] };
    throw new Error('unexpected call');
  };
  const send = async (command: unknown) => {
    open += 1;
    most = Math.max(most, open);
    await new Promise(done => setTimeout(done, 1));
    open -= 1;
    return answer(command);
  };
  const scope = { pointers: pointerNames(['/ami/{family}/{environment}'], 'web'), ignoredParameters: [] };
  const facts = await parameterFacts({ send } as unknown as SSMClient, scope);
  expect([facts.length, most]).toEqual([90, 2]);
});
