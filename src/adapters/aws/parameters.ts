import {
  DeleteParameterCommand,
  GetParameterCommand,
  GetParameterHistoryCommand,
  GetParametersCommand,
  type ParameterHistory,
  PutParameterCommand,
  type PutParameterCommandInput,
  type SSMClient,
  type Parameter as SsmParameter,
} from '@aws-sdk/client-ssm';
import { RejectedError } from '../../kit/errors.ts';
import type { Parameter, Parameters, ParameterWrite } from '../../ports/groups.ts';
import { asExpected, isCode, undefinedOn } from './errors.ts';
import { allPages, listed } from './pages.ts';

export const ssmParameters = (client: SSMClient): Parameters => ({
  async read(name) {
    const seen = await client
      .send(new GetParameterCommand({ Name: name }))
      .catch(orMissing)
      .catch(asExpected(`read the parameter ${name} (ssm:GetParameter)`));
    return seen?.Parameter === undefined ? undefined : parsed(name, seen.Parameter);
  },

  async readAll(names) {
    const { Parameters } = await client
      .send(new GetParametersCommand({ Names: [...names] }))
      .catch(asExpected(`read the parameters ${names.join(', ')} (ssm:GetParameters)`));
    return names.map(name => {
      const seen = listed(Parameters).find(({ Name }) => Name === name);
      return seen && parsed(name, seen);
    });
  },

  async write(parameter) {
    const written = await client
      .send(new PutParameterCommand(putInput(parameter)))
      .catch(orContested)
      .catch(orExplained(parameter.name))
      .catch(asExpected(`write the parameter ${parameter.name} (ssm:PutParameter)`));
    return written?.Version;
  },

  async history(name) {
    const versions = await parameterHistory(client, name);
    return versions.map(entry => ({ ...parsed(name, entry), description: entry.Description ?? '', labels: entry.Labels ?? [] }));
  },

  async remove(name) {
    await client
      .send(new DeleteParameterCommand({ Name: name }))
      .catch(orMissing)
      .catch(asExpected(`delete the parameter ${name} (ssm:DeleteParameter)`));
  },
});

/** Newest first; empty where there is no such parameter. */
export async function parameterHistory(client: SSMClient, name: string): Promise<ParameterHistory[]> {
  const all = await allPages(async NextToken => {
    const page = await client
      .send(new GetParameterHistoryCommand({ Name: name, MaxResults: 50, NextToken }))
      .catch(orMissing)
      .catch(asExpected(`read the history of ${name} (ssm:GetParameterHistory)`));
    return { items: page === undefined ? [] : page.Parameters, next: page?.NextToken };
  });
  return all.sort((a, b) => (b.Version ?? 0) - (a.Version ?? 0));
}

const parsed = (name: string, seen: SsmParameter | ParameterHistory): Parameter => ({
  name,
  value: seen.Value ?? '',
  version: seen.Version ?? 0,
  type: seen.Type ?? 'String',
  dataType: seen.DataType ?? 'text',
  writtenAt: seen.LastModifiedDate ?? new Date(0),
});

// An overwrite must not name the type, and must name the data type: without it AWS does not check the value.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-ec2-aliases.html
const putInput = ({ name, value, description, existing }: ParameterWrite): PutParameterCommandInput => ({
  Name: name,
  Value: value,
  Description: description.slice(0, 1024),
  ...(existing === undefined
    ? { Type: 'String', DataType: 'aws:ec2:image', Overwrite: false }
    : { DataType: existing.dataType, Overwrite: true }),
});

const orMissing = undefinedOn('ParameterNotFound');

// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html#API_PutParameter_Errors
const orContested = undefinedOn('ParameterAlreadyExists', 'TooManyUpdates');

const orExplained =
  (name: string) =>
  (cause: unknown): never => {
    if (isCode(cause, 'ParameterMaxVersionLimitExceeded')) {
      throw new RejectedError(`Parameter ${name} is full: it has 100 versions, and AWS cannot delete the oldest, which has a label.`, {
        cause,
        next: `Move the label to a newer version: aws ssm label-parameter-version --name ${name} --labels <label>`,
      });
    }
    throw cause;
  };
