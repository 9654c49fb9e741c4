import type { Operations } from '../operation.ts';
import { getCommandInvocation, listCommandInvocations, listCommands } from './command-read.ts';
import { cancelCommand, sendCommand } from './command-send.ts';
import { describeInstanceInformation } from './instance-information.ts';
import { getServiceSetting } from './service-settings.ts';

export const commandOperations: Operations = {
  SendCommand: sendCommand,
  GetCommandInvocation: getCommandInvocation,
  ListCommands: listCommands,
  ListCommandInvocations: listCommandInvocations,
  CancelCommand: cancelCommand,
  DescribeInstanceInformation: describeInstanceInformation,
  GetServiceSetting: getServiceSetting,
};
