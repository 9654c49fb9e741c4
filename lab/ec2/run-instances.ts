import type { RunInstancesCommandInput, RunInstancesCommandOutput } from '@aws-sdk/client-ec2';
import { recordLaunch } from '../cloudtrail/events.ts';
import { principalOf } from '../iam/keys.ts';
import { AwsError, type Call, type Operation } from '../operation.ts';
import type { Place } from '../place.ts';
import { once } from './client-tokens.ts';
import { instanceShape } from './instance-shape.ts';
import { type LaunchRequest, launchInstance, newBatch } from './launch.ts';
import { resolveTemplate } from './launch-template-spec.ts';
import { terminate } from './lifecycle.ts';
import { type LabInstance, setTags } from './state.ts';

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RunInstances.html */
export const runInstances: Operation<RunInstancesCommandInput, RunInstancesCommandOutput> = async (input, call) => {
  const { place } = call;
  const { MinCount, MaxCount, ...rest } = input;
  checkCounts(MinCount, MaxCount);
  const launched = await once(place, 'RunInstances', input.ClientToken, input, () => launchAll(call, rest, MinCount ?? 1, MaxCount ?? 1));
  return {
    ReservationId: launched[0]?.reservationId,
    OwnerId: place.account,
    Groups: [],
    Instances: launched.map(instanceShape),
  };
};

function checkCounts(least = 1, most = 1): void {
  if (least >= 1 && most >= least) return;
  throw new AwsError(
    'InvalidParameterValue',
    `Value (${least}) for parameter minCount is invalid. It must be between 1 and maxCount (${most}).`,
  );
}

type InstanceRequest = Omit<RunInstancesCommandInput, 'MinCount' | 'MaxCount'>;

/** Launches as many as capacity allows. Throws when that is fewer than `least`. */
async function launchAll(call: Call, wanted: InstanceRequest, least: number, most: number): Promise<readonly LabInstance[]> {
  const { place } = call;
  const { request, tags } = withTemplate(place, wanted);
  const { reservationId } = newBatch();
  const launched: LabInstance[] = [];
  for (let launchIndex = 0; launchIndex < most; launchIndex += 1) {
    try {
      launched.push(await launchInstance(place, request, { reservationId, launchIndex }, principalOf(call)));
    } catch (cause) {
      if (launched.length >= least) break;
      for (const instance of launched) terminate(instance);
      throw cause;
    }
  }
  for (const { id } of launched) setTags(place, id, tags);
  recordLaunch(call, { tags: wanted.TagSpecifications ?? [], instanceIds: launched.map(({ id }) => id) });
  return launched;
}

/** Fields of the request replace those of the template. Tags of both are used. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-launch-templates.html */
function withTemplate(
  place: Place,
  { LaunchTemplate, ...requested }: InstanceRequest,
): { request: LaunchRequest; tags: Record<string, string> } {
  if (LaunchTemplate === undefined) return { request: requested, tags: {} };
  const { id, version, data } = resolveTemplate(place, LaunchTemplate);
  const given = Object.fromEntries(Object.entries(requested).filter(([, value]) => value !== undefined));
  const TagSpecifications = [...(data.TagSpecifications ?? []), ...(requested.TagSpecifications ?? [])];
  return {
    request: { ...(data as LaunchRequest), ...given, TagSpecifications },
    tags: { 'aws:ec2launchtemplate:id': id, 'aws:ec2launchtemplate:version': String(version) },
  };
}
