import { randomUUID } from 'node:crypto';
import type { LookupEventsCommandInput, LookupEventsCommandOutput } from '@aws-sdk/client-cloudtrail';
import { AwsError, type Call, type Operation, type Operations } from '../operation.ts';
import { slice } from '../place.ts';
import { page } from '../ssm/pages.ts';

/** The event history, which only the services write. The lab records launches. https://docs.aws.amazon.com/awscloudtrail/latest/userguide/view-cloudtrail-events.html */

interface LabEvent {
  readonly id: string;
  readonly at: Date;
  readonly name: string;
  readonly resources: readonly string[];
  /** https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html */
  readonly record: object;
}

const events = slice((): LabEvent[] => []);

// About five minutes: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/how-cloudtrail-works.html
const DELIVERY_MS = 300_000;

interface Launch {
  readonly tags: readonly {
    readonly ResourceType?: string | undefined;
    readonly Tags?: readonly { readonly Key?: string | undefined; readonly Value?: string | undefined }[] | undefined;
  }[];
  readonly instanceIds: readonly string[];
}

/** Form of the request: https://docs.aws.amazon.com/cdk/api/v2/dotnet/api/Amazon.CDK.Mixins.Preview.AWS.EC2.Events.InstanceEvents.AWSAPICallViaCloudTrail.ITagSet.html */
export function recordLaunch({ place, arn }: Call, { tags, instanceIds }: Launch): void {
  const items = tags.map(({ ResourceType, Tags = [] }) => ({
    resourceType: ResourceType,
    tags: Tags.map(({ Key, Value }) => ({ key: Key, value: Value })),
  }));
  const record = {
    ...{ eventSource: 'ec2.amazonaws.com', eventName: 'RunInstances', userIdentity: { arn } },
    requestParameters: items.length === 0 ? {} : { tagSpecificationSet: { items } },
    responseElements: { instancesSet: { items: instanceIds.map(instanceId => ({ instanceId })) } },
  };
  events(place).unshift({ id: randomUUID(), at: place.core.clock.date(), name: 'RunInstances', resources: instanceIds, record });
}

/** https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html */
const lookupEvents: Operation<LookupEventsCommandInput, LookupEventsCommandOutput> = (input, { place }) => {
  const { LookupAttributes = [], StartTime, EndTime, MaxResults = 50, NextToken: token } = input;
  const [{ AttributeKey, AttributeValue } = {}] = LookupAttributes;
  if (LookupAttributes.length !== 1 || AttributeKey !== 'ResourceName')
    throw new AwsError('InvalidLookupAttributesException', 'The lab looks events up by one ResourceName.');
  if (StartTime !== undefined && EndTime !== undefined && StartTime > EndTime)
    throw new AwsError('InvalidTimeRangeException', 'The start time must be before the end time.');
  const delivered = place.core.clock.now() - DELIVERY_MS;
  const found = events(place).filter(
    ({ at, resources }) =>
      resources.includes(AttributeValue ?? '') &&
      at.getTime() <= delivered &&
      at >= (StartTime ?? new Date(0)) &&
      at <= (EndTime ?? place.core.clock.date()),
  );
  const { items, NextToken } = page(
    found.sort((a, b) => (a.id < b.id ? -1 : 1)),
    ({ id }) => id,
    { MaxResults, NextToken: token },
    50,
  );
  return {
    Events: items.map(({ id, at, name, resources, record }) => ({
      ...{ EventId: id, EventName: name, EventTime: at, EventSource: 'ec2.amazonaws.com' },
      Resources: resources.map(ResourceName => ({ ResourceType: 'AWS::EC2::Instance', ResourceName })),
      CloudTrailEvent: JSON.stringify(record),
    })),
    NextToken,
  };
};

export const eventOperations: Operations = { LookupEvents: lookupEvents };
