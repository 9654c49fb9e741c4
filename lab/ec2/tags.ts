import type {
  CreateTagsCommandInput,
  CreateTagsCommandOutput,
  DeleteTagsCommandInput,
  DeleteTagsCommandOutput,
  DescribeTagsCommandInput,
  DescribeTagsCommandOutput,
  ResourceType,
} from '@aws-sdk/client-ec2';
import { AwsError, type Operation } from '../operation.ts';
import type { Place } from '../place.ts';
import { type Fields, select, tagRecord } from './filters.ts';
import { imageFor, snapshots } from './images.ts';
import { templates } from './launch-template-state.ts';
import { network } from './network.ts';
import { pageOf } from './paging.ts';
import { notFound } from './resource-ids.ts';
import { dropTags, everyTag, instances, keyPairs, setTags, tagsOf, volumes } from './state.ts';

interface Kind {
  readonly type: ResourceType;
  readonly exists: (place: Place, id: string) => boolean;
  readonly missing: (id: string) => AwsError;
}

const gone = (code: string) => (id: string) => new AwsError(code, `The ID '${id}' does not exist`);

/** By prefix of the ID. An image shared by another account may be tagged; the owner does not see the tags. */
const KINDS: Readonly<Record<string, Kind>> = {
  i: { type: 'instance', exists: (place, id) => instances(place).has(id), missing: id => notFound('instance', id) },
  ami: { type: 'image', exists: (place, id) => imageFor(place, id) !== undefined, missing: id => notFound('image', id) },
  snap: { type: 'snapshot', exists: (place, id) => snapshots(place).has(id), missing: id => notFound('snapshot', id) },
  vol: { type: 'volume', exists: (place, id) => volumes(place).has(id), missing: id => notFound('volume', id) },
  sg: { type: 'security-group', exists: (place, id) => network(place).groups.has(id), missing: gone('InvalidGroup.NotFound') },
  key: {
    type: 'key-pair',
    exists: (place, id) => [...keyPairs(place).values()].some(pair => pair.id === id),
    missing: gone('InvalidKeyPair.NotFound'),
  },
  lt: { type: 'launch-template', exists: (place, id) => templates(place).has(id), missing: gone('InvalidLaunchTemplateId.NotFound') },
  sir: {
    type: 'spot-instances-request',
    exists: (place, id) => [...instances(place).values()].some(({ spotRequestId }) => spotRequestId === id),
    missing: gone('InvalidSpotInstanceRequestID.NotFound'),
  },
  vpc: { type: 'vpc', exists: (place, id) => network(place).vpcId === id, missing: gone('InvalidVpcID.NotFound') },
  subnet: {
    type: 'subnet',
    exists: (place, id) => network(place).subnets.some(subnet => subnet.id === id),
    missing: gone('InvalidSubnetID.NotFound'),
  },
};

const kindOf = (id: string): Kind | undefined => KINDS[id.slice(0, id.lastIndexOf('-'))];

function checkResources(place: Place, ids: readonly string[]): void {
  if (ids.length === 0) throw new AwsError('MissingParameter', 'The request must contain the parameter resourceIdSet');
  for (const id of ids) {
    const kind = kindOf(id);
    if (kind === undefined) throw new AwsError('InvalidID', `The ID '${id}' is not valid`);
    if (!kind.exists(place, id)) throw kind.missing(id);
  }
}

const MOST = 50;

/** All resources or none. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions */
export const createTags: Operation<CreateTagsCommandInput, CreateTagsCommandOutput> = ({ Resources = [], Tags }, { place }) => {
  const tags = tagRecord(Tags);
  for (const [key, value] of Object.entries(tags)) {
    if (key.startsWith('aws:')) throw new AwsError('InvalidParameterValue', `Tag keys starting with 'aws:' are reserved for internal use`);
    if (key === '' || key.length > 128) throw new AwsError('InvalidParameterValue', `Tag key exceeds the maximum length of 128 characters`);
    if (value.length > 256) throw new AwsError('InvalidParameterValue', `Tag value exceeds the maximum length of 256 characters`);
  }
  checkResources(place, Resources);
  for (const id of Resources) {
    const own = Object.keys({ ...tagsOf(place, id), ...tags }).filter(key => !key.startsWith('aws:'));
    if (own.length > MOST) throw new AwsError('TagLimitExceeded', `The maximum number of Tags for a resource has been reached.`);
  }
  for (const id of Resources) setTags(place, id, tags);
  return {};
};

/**
 * A tag without a value is deleted with any value, a tag with a value only with that value. Without tags, all tags are deleted.
 * https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteTags.html
 */
export const deleteTags: Operation<DeleteTagsCommandInput, DeleteTagsCommandOutput> = ({ Resources = [], Tags }, { place }) => {
  checkResources(place, Resources);
  for (const id of Resources) {
    const has = tagsOf(place, id);
    const wanted = Tags ?? Object.keys(has).map(Key => ({ Key, Value: undefined }));
    const toDelete = wanted.filter(({ Key = '', Value }) => !Key.startsWith('aws:') && (Value === undefined || has[Key] === Value));
    dropTags(
      place,
      id,
      toDelete.map(({ Key = '' }) => Key),
    );
  }
  return {};
};

interface Line {
  readonly id: string;
  readonly key: string;
  readonly value: string;
}

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeTags.html */
export const describeTags: Operation<DescribeTagsCommandInput, DescribeTagsCommandOutput> = (input, { place }) => {
  const lines = everyTag(place).flatMap(([id, tags]) => Object.entries(tags).map(([key, value]): Line => ({ id, key, value })));
  const found = select(lines, input.Filters, FIELDS, ({ key, value }) => ({ [key]: value }));
  const { page, NextToken } = pageOf(place, found, ({ id, key }) => `${id} ${key}`, input);
  const Tags = page.map(({ id, key, value }) => ({ ResourceId: id, ResourceType: kindOf(id)?.type, Key: key, Value: value }));
  return { Tags, NextToken };
};

const FIELDS: Fields<Line> = {
  key: ({ key }) => key,
  value: ({ value }) => value,
  'resource-id': ({ id }) => id,
  'resource-type': ({ id }) => kindOf(id)?.type,
};
