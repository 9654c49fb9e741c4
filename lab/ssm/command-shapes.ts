import type { Command, CommandInvocation, CommandPlugin, GetCommandInvocationCommandOutput } from '@aws-sdk/client-ssm';
import { tagsOf } from '../ec2/state.ts';
import { pluginOutput, standardError, standardOutput } from './command-output.ts';
import { hasEnded, type Invocation, type LabCommand } from './command-state.ts';
import { conditionOf, deliveryTimedOutCount, errorCount, share } from './command-status.ts';

/** Default none. */
export const maxErrorsOf = ({ input, invocations }: LabCommand): number => share(input.MaxErrors ?? '0', invocations.length);

const about = ({ id, document, input }: LabCommand) => ({
  CommandId: id,
  DocumentName: document.name,
  DocumentVersion: input.DocumentVersion ?? '$DEFAULT',
  Comment: input.Comment ?? '',
});

export function describeCommand(command: LabCommand): Command {
  const { input, invocations } = command;
  const { status, details } = conditionOf(invocations, maxErrorsOf(command));
  return {
    ...about(command),
    ExpiresAfter: command.expiresAt,
    Parameters: input.Parameters,
    InstanceIds: input.InstanceIds ?? [],
    Targets: input.Targets ?? [],
    RequestedDateTime: command.requestedAt,
    Status: status,
    StatusDetails: details,
    OutputS3BucketName: input.OutputS3BucketName ?? '',
    OutputS3KeyPrefix: input.OutputS3KeyPrefix ?? '',
    MaxConcurrency: input.MaxConcurrency ?? '50',
    MaxErrors: input.MaxErrors ?? '0',
    TargetCount: invocations.length,
    CompletedCount: invocations.filter(hasEnded).length,
    ErrorCount: errorCount(invocations),
    DeliveryTimedOutCount: deliveryTimedOutCount(invocations),
    TimeoutSeconds: input.TimeoutSeconds ?? 3600,
  };
}

/** Output is empty until the script ends. https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetCommandInvocation.html */
export function detailInvocation(command: LabCommand, invocation: Invocation): Omit<GetCommandInvocationCommandOutput, '$metadata'> {
  const { startedAt, endedAt } = invocation;
  return {
    ...about(command),
    InstanceId: invocation.instanceId,
    PluginName: command.document.plugin,
    ResponseCode: invocation.responseCode,
    ExecutionStartDateTime: startedAt?.toISOString() ?? '',
    ExecutionElapsedTime: startedAt && endedAt ? `PT${(endedAt.getTime() - startedAt.getTime()) / 1000}S` : '',
    ExecutionEndDateTime: startedAt && endedAt ? endedAt.toISOString() : '',
    Status: invocation.status,
    StatusDetails: invocation.details,
    StandardOutputContent: standardOutput(invocation.stdout),
    StandardOutputUrl: '',
    StandardErrorContent: standardError(invocation.stderr),
    StandardErrorUrl: '',
    CloudWatchOutputConfig: { CloudWatchLogGroupName: '', CloudWatchOutputEnabled: false },
  };
}

export function listInvocation(command: LabCommand, invocation: Invocation, details: boolean): CommandInvocation {
  return {
    ...about(command),
    Status: invocation.status,
    StatusDetails: invocation.details,
    StandardOutputUrl: '',
    StandardErrorUrl: '',
    InstanceId: invocation.instanceId,
    InstanceName: tagsOf(command.place, invocation.instanceId).Name ?? '',
    RequestedDateTime: command.requestedAt,
    CommandPlugins: details ? [plugin(command, invocation)] : [],
    ServiceRole: '',
    CloudWatchOutputConfig: { CloudWatchLogGroupName: '', CloudWatchOutputEnabled: false },
  };
}

function plugin(
  { document }: LabCommand,
  { status, details, responseCode, startedAt, endedAt, stdout, stderr }: Invocation,
): CommandPlugin {
  return {
    Name: document.plugin,
    // A plugin has no status for delivery timeouts and cancellations.
    Status: status === 'Delayed' ? 'Pending' : status === 'Cancelling' ? 'InProgress' : status,
    StatusDetails: details,
    ResponseCode: responseCode,
    Output: pluginOutput(stdout, stderr),
    ...(startedAt === undefined ? {} : { ResponseStartDateTime: startedAt }),
    ...(endedAt === undefined ? {} : { ResponseFinishDateTime: endedAt }),
    StandardOutputUrl: '',
    StandardErrorUrl: '',
    OutputS3Region: '',
    OutputS3BucketName: '',
    OutputS3KeyPrefix: '',
  };
}
