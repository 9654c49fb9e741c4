import type {
  InstanceStateChange,
  RebootInstancesCommandInput,
  RebootInstancesCommandOutput,
  StartInstancesCommandInput,
  StartInstancesCommandOutput,
  StopInstancesCommandInput,
  StopInstancesCommandOutput,
  TerminateInstancesCommandInput,
  TerminateInstancesCommandOutput,
} from '@aws-sdk/client-ec2';
import { AwsError, type Operation } from '../operation.ts';
import type { Place } from '../place.ts';
import { findInstances } from './describe-instances.ts';
import { stateOf } from './instance-shape.ts';
import { start, stop, terminate, whileOff } from './lifecycle.ts';
import type { LabInstance } from './state.ts';

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_StartInstances.html */
export const startInstances: Operation<StartInstancesCommandInput, StartInstancesCommandOutput> = ({ InstanceIds = [] }, { place }) => ({
  StartingInstances: change(place, InstanceIds, ['pending', 'running', 'stopped'], 'started', instance => {
    if (instance.state === 'stopped') start(instance);
  }),
});

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_StopInstances.html */
export const stopInstances: Operation<StopInstancesCommandInput, StopInstancesCommandOutput> = ({ InstanceIds = [] }, { place }) => ({
  StoppingInstances: change(place, InstanceIds, ['pending', 'running', 'stopping', 'stopped'], 'stopped', instance => {
    // https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Stop_Start.html#Using_StopProtection
    if (instance.stopProtected)
      throw new AwsError(
        'OperationNotPermitted',
        `The instance '${instance.id}' may not be stopped. Modify its 'disableApiStop' instance attribute and try again.`,
      );
    if (instance.state === 'running' || instance.state === 'pending') stop(instance);
  }),
});

/** The state stays `running` during the reboot. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RebootInstances.html */
export const rebootInstances: Operation<RebootInstancesCommandInput, RebootInstancesCommandOutput> = ({ InstanceIds = [] }, { place }) => {
  change(place, InstanceIds, ['running'], 'rebooted', instance => void whileOff(instance, async () => undefined));
  return {};
};

/** Idempotent. If one instance is protected, none is terminated. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_TerminateInstances.html */
export const terminateInstances: Operation<TerminateInstancesCommandInput, TerminateInstancesCommandOutput> = (
  { InstanceIds = [] },
  { place },
) => ({ TerminatingInstances: terminateAll(place, InstanceIds) });

/** For other folders. Termination protection applies to callers of the API only. */
export function terminateInstance(place: Place, id: string): void {
  for (const instance of findInstances(place, [id])) if (!isEnding(instance)) terminate(instance);
}

const isEnding = ({ state }: LabInstance) => state === 'shutting-down' || state === 'terminated';

function terminateAll(place: Place, ids: readonly string[]): InstanceStateChange[] {
  const found = findInstances(place, ids);
  for (const { id, terminationProtected } of found) {
    if (!terminationProtected) continue;
    const message = `The instance '${id}' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.`;
    throw new AwsError('OperationNotPermitted', message);
  }
  return found.map(instance => {
    const PreviousState = stateOf(instance);
    if (!isEnding(instance)) terminate(instance);
    return { InstanceId: instance.id, PreviousState, CurrentState: stateOf(instance) };
  });
}

function change(
  place: Place,
  ids: readonly string[],
  from: readonly LabInstance['state'][],
  verb: string,
  task: (instance: LabInstance) => void,
): InstanceStateChange[] {
  if (ids.length === 0) throw new AwsError('MissingParameter', 'The request must contain the parameter InstanceId');
  const found = findInstances(place, ids);
  const wrong = found.find(({ state }) => !from.includes(state));
  if (wrong !== undefined) {
    throw new AwsError('IncorrectInstanceState', `The instance '${wrong.id}' is not in a state from which it can be ${verb}.`);
  }
  return found.map(instance => {
    const PreviousState = stateOf(instance);
    task(instance);
    return { InstanceId: instance.id, PreviousState, CurrentState: stateOf(instance) };
  });
}
