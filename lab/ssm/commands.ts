import type { Operations } from '../operation.ts';
import { getCommandInvocation, listCommandInvocations, listCommands } from './command-read.ts';
import { cancelCommand, sendCommand } from './command-send.ts';
import { describeInstanceInformation } from './instance-information.ts';

export const commandOperations: Operations = {
  SendCommand: sendCommand,
  GetCommandInvocation: getCommandInvocation,
  ListCommands: listCommands,
  ListCommandInvocations: listCommandInvocations,
  CancelCommand: cancelCommand,
  DescribeInstanceInformation: describeInstanceInformation,
};
