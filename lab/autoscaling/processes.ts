import type {
  ResumeProcessesCommandInput,
  ResumeProcessesCommandOutput,
  SuspendProcessesCommandInput,
  SuspendProcessesCommandOutput,
} from '@aws-sdk/client-auto-scaling';
import type { Operation, Operations } from '../operation.ts';
import { groupNamed, invalid } from './group.ts';

/** Processes of a group. The lab implements Launch, Terminate, AddToLoadBalancer, HealthCheck, ReplaceUnhealthy and InstanceRefresh. https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-suspend-resume-processes.html */
const PROCESSES = [
  ...['Launch', 'Terminate', 'AddToLoadBalancer', 'AlarmNotification', 'AZRebalance'],
  ...['HealthCheck', 'InstanceRefresh', 'ReplaceUnhealthy', 'ScheduledActions'],
] as const;

function asked(wanted: readonly string[] = []): readonly string[] {
  const wrong = wanted.find(process => !PROCESSES.some(known => known === process));
  if (wrong !== undefined) throw invalid(`The process ${wrong} is not valid. Valid processes are: ${PROCESSES.join(', ')}`);
  return wanted.length === 0 ? PROCESSES : wanted;
}

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_SuspendProcesses.html */
const suspendProcesses: Operation<SuspendProcessesCommandInput, SuspendProcessesCommandOutput> = (input, { place }) => {
  const group = groupNamed(place, input.AutoScalingGroupName);
  for (const process of asked(input.ScalingProcesses))
    group.suspended.set(process, `User suspended at ${place.core.clock.date().toISOString()}`);
  return {};
};

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_ResumeProcesses.html */
const resumeProcesses: Operation<ResumeProcessesCommandInput, ResumeProcessesCommandOutput> = (input, { place }) => {
  const group = groupNamed(place, input.AutoScalingGroupName);
  for (const process of asked(input.ScalingProcesses)) group.suspended.delete(process);
  return {};
};

export const processOperations: Operations = { ResumeProcesses: resumeProcesses, SuspendProcesses: suspendProcesses };
