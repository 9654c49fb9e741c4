import {
  DescribeInstanceInformationCommand,
  GetCommandInvocationCommand,
  GetServiceSettingCommand,
  SendCommandCommand,
  type SSMClient,
} from '@aws-sdk/client-ssm';
import { ActionError, CancelledError } from '../../kit/errors.ts';
import type { Commands } from '../../ports/instances.ts';
import { asExpected, isCode, unreadableAnswer } from './errors.ts';
import { listed } from './pages.ts';

// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_SendCommand.html
const MOST_COMMENT_CHARACTERS = 100;
const LEAST_DELIVERY_SECONDS = 30;

const DOCUMENT = 'AWS-RunShellScript';

// https://docs.aws.amazon.com/systems-manager/latest/userguide/managed-instances-default-host-management.html
const HOST_MANAGEMENT = '/ssm/managed-instance/default-ec2-instance-management-role';

export const ssmCommands = (ssm: SSMClient): Commands => ({
  async managesHosts() {
    try {
      const asked = ssm.send(new GetServiceSettingCommand({ SettingId: HOST_MANAGEMENT }));
      const { ServiceSetting } = await asked.catch(asExpected('read the Default Host Management setting (ssm:GetServiceSetting)'));
      return (ServiceSetting?.SettingValue ?? '$None') !== '$None';
    } catch (failure) {
      // Only a warning depends on it.
      if (failure instanceof CancelledError || !(failure instanceof ActionError)) throw failure;
      return undefined;
    }
  },
  async agent(instanceId) {
    const Filters = [{ Key: 'InstanceIds', Values: [instanceId] }];
    const doing = asExpected(`describe the agent of ${instanceId} (ssm:DescribeInstanceInformation)`);
    const { InstanceInformationList } = await ssm.send(new DescribeInstanceInformationCommand({ Filters })).catch(doing);
    return listed(InstanceInformationList).find(({ InstanceId }) => InstanceId === instanceId)?.PingStatus;
  },
  async send({ instanceId, script, timeoutSeconds, comment }) {
    try {
      const { Command } = await ssm.send(
        new SendCommandCommand({
          DocumentName: DOCUMENT,
          InstanceIds: [instanceId],
          Comment: comment.slice(0, MOST_COMMENT_CHARACTERS),
          // For the delivery; the time limit of the script is a parameter of the document.
          TimeoutSeconds: Math.max(LEAST_DELIVERY_SECONDS, Math.min(timeoutSeconds, 600)),
          Parameters: { commands: [...script], executionTimeout: [String(timeoutSeconds)] },
        }),
      );
      if (Command?.CommandId === undefined)
        throw unreadableAnswer(`send a command to ${instanceId} (ssm:SendCommand)`, 'it has no command ID');
      return Command.CommandId;
    } catch (cause) {
      // Not registered, or no longer: the state of the instance shows which.
      if (isCode(cause, 'InvalidInstanceId')) return undefined;
      return asExpected(`send a command to ${instanceId} (ssm:SendCommand on the instance and on document/${DOCUMENT})`)(cause);
    }
  },
  async result(commandId, instanceId) {
    try {
      const seen = await ssm.send(new GetCommandInvocationCommand({ CommandId: commandId, InstanceId: instanceId }));
      return {
        status: seen.Status ?? 'Pending',
        detail: seen.StatusDetails ?? '',
        exitCode: seen.ResponseCode ?? -1,
        output: seen.StandardOutputContent ?? '',
        errors: seen.StandardErrorContent ?? '',
      };
    } catch (cause) {
      // Both mean "not yet": https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetCommandInvocation.html
      if (isCode(cause, 'InvocationDoesNotExist', 'InvalidPluginName')) return undefined;
      return asExpected(`read the result of command ${commandId} (ssm:GetCommandInvocation)`)(cause);
    }
  },
});
