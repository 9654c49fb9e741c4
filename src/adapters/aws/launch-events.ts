import type { CloudTrailClient } from '@aws-sdk/client-cloudtrail';
import type { Tags } from '../../model/image.ts';
import type { Leftovers } from '../../ports/images.ts';
import { asExpected, unreadableAnswer } from './errors.ts';
import { allPages, listed } from './pages.ts';

/** Launches in the event history of the account, which no principal can write. https://docs.aws.amazon.com/awscloudtrail/latest/userguide/view-cloudtrail-events.html */

/** https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html */
interface LaunchEvent {
  readonly eventSource?: string;
  readonly errorCode?: string;
  readonly requestParameters?: { readonly tagSpecificationSet?: Items<{ readonly resourceType?: string; readonly tags?: readonly Tag[] }> };
  readonly responseElements?: { readonly instancesSet?: Items<{ readonly instanceId?: string }> };
}
interface Items<T> {
  readonly items?: readonly T[];
}
interface Tag {
  readonly key?: string;
  readonly value?: string;
}

const DOING = 'read the event history (cloudtrail:LookupEvents)';

// The time of the call, and the launch time that EC2 shows, differ by seconds.
const AROUND_MS = 300_000;

/** The history of 90 days, minutes late. AWS allows two of these calls a second, so each launch is read once. */
export function launchTagsReader(connect: () => Promise<CloudTrailClient>): Leftovers['launchTags'] {
  const known = new Map<string, Promise<Tags | undefined>>();
  return instance => {
    const found = known.get(instance.id) ?? readLaunchTags(connect, instance);
    known.set(instance.id, found);
    return found;
  };
}

/** https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html */
async function readLaunchTags(
  connect: () => Promise<CloudTrailClient>,
  { id, at }: Parameters<Leftovers['launchTags']>[0],
): Promise<Tags | undefined> {
  const [client, { LookupEventsCommand }] = await Promise.all([connect(), import('@aws-sdk/client-cloudtrail')]);
  const LookupAttributes = [{ AttributeKey: 'ResourceName' as const, AttributeValue: id }];
  const [StartTime, EndTime] = [-AROUND_MS, AROUND_MS].map(ms => new Date(at.getTime() + ms));
  const events = await allPages(async NextToken => {
    const page = await client.send(new LookupEventsCommand({ LookupAttributes, StartTime, EndTime, NextToken })).catch(asExpected(DOING));
    return { items: listed(page.Events), next: page.NextToken };
  });
  const launches = events.filter(({ EventName }) => EventName === 'RunInstances');
  return launches.map(({ CloudTrailEvent }) => tagsOf(CloudTrailEvent, id)).find(tags => tags !== undefined);
}

/** Undefined: the event is of no launch of this instance. */
function tagsOf(event = '', id: string): Tags | undefined {
  try {
    const { eventSource, errorCode, requestParameters, responseElements } = JSON.parse(event) as LaunchEvent;
    const isLaunched = responseElements?.instancesSet?.items?.some(({ instanceId }) => instanceId === id) === true;
    if (eventSource !== 'ec2.amazonaws.com' || errorCode !== undefined || !isLaunched) return undefined;
    const ofInstance = requestParameters?.tagSpecificationSet?.items?.filter(({ resourceType }) => resourceType === 'instance');
    return ofInstance && Object.fromEntries(ofInstance.flatMap(({ tags = [] }) => tags.map(({ key = '', value = '' }) => [key, value])));
  } catch (cause) {
    throw unreadableAnswer(DOING, 'an event is no JSON of a launch', { cause });
  }
}
