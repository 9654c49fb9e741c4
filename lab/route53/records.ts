import type {
  Change,
  ChangeInfo,
  ChangeResourceRecordSetsCommandInput,
  ChangeResourceRecordSetsCommandOutput,
  GetChangeCommandInput,
  GetChangeCommandOutput,
  ListResourceRecordSetsCommandInput,
  ListResourceRecordSetsCommandOutput,
  ResourceRecordSet,
} from '@aws-sdk/client-route-53';
import { newId } from '../ids.ts';
import { AwsError, type Operation, type Operations } from '../operation.ts';
import { type Place, slice } from '../place.ts';

/** Route 53 is global: its zones are in one place of an account, whatever region a call is signed for. */
const home = ({ core, account }: Place): Place => core.place(account, 'us-east-1');

const zonesAt = slice(() => new Map<string, readonly ResourceRecordSet[]>());

/** Records by zone ID. */
export const zones = (place: Place) => zonesAt(home(place));
const changesAt = slice(() => new Map<string, { readonly submitted: Date; readonly insyncAt: number }>());

// https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html: usually within 60 seconds.
const PROPAGATION_SECONDS = 30;

function recordsOf(place: Place, zone = ''): readonly ResourceRecordSet[] {
  const found = zones(place).get(zone);
  if (found === undefined) throw new AwsError('NoSuchHostedZone', `No hosted zone found with ID: ${zone}`, 404);
  return found;
}

/** AWS adds the dot of the root, and stores names in lower case. */
const absolute = (name = ''): string => `${name.toLowerCase().replace(/\.$/, '')}.`;
const normal = (record: ResourceRecordSet): ResourceRecordSet => ({ ...record, Name: absolute(record.Name) });

const keyOf = ({ Name, Type, SetIdentifier = '' }: ResourceRecordSet): string => `${absolute(Name)} ${Type} ${SetIdentifier}`;
const sortKey = ({ Name, Type, SetIdentifier = '' }: ResourceRecordSet): string =>
  `${absolute(Name).split('.').reverse().join('.')} ${Type} ${SetIdentifier}`;

/**
 * From a name and type on, in the order of reversed labels.
 * https://docs.aws.amazon.com/Route53/latest/APIReference/API_ListResourceRecordSets.html
 */
const list: Operation<ListResourceRecordSetsCommandInput, ListResourceRecordSetsCommandOutput> = (input, { place }) => {
  const { StartRecordName, StartRecordType, StartRecordIdentifier, MaxItems = 300 } = input;
  const start =
    StartRecordName === undefined
      ? ''
      : sortKey({ Name: StartRecordName, Type: StartRecordType, SetIdentifier: StartRecordIdentifier } as ResourceRecordSet).trimEnd();
  const sorted = recordsOf(place, input.HostedZoneId)
    .toSorted((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1))
    .filter(record => sortKey(record) >= start);
  const next = sorted[MaxItems];
  return {
    ResourceRecordSets: sorted.slice(0, MaxItems),
    ...{ IsTruncated: next !== undefined, MaxItems },
    ...(next === undefined ? {} : { NextRecordName: next.Name, NextRecordType: next.Type, NextRecordIdentifier: next.SetIdentifier }),
  };
};

const refused = (verb: string, record: ResourceRecordSet, reason: string): AwsError => {
  const identifier = record.SetIdentifier === undefined ? '' : `, set-identifier='${record.SetIdentifier}'`;
  return new AwsError(
    'InvalidChangeBatch',
    `[Tried to ${verb} resource record set [name='${absolute(record.Name)}', type='${record.Type}'${identifier}] but ${reason}]`,
  );
};

/** Of a change batch all changes are made, or none. */
function changed(records: readonly ResourceRecordSet[], { Action, ResourceRecordSet: given }: Change): readonly ResourceRecordSet[] {
  if (given === undefined) throw new AwsError('InvalidInput', 'ResourceRecordSet is missing');
  const record = normal(given);
  if (record.Weight !== undefined && (record.Weight < 0 || record.Weight > 255))
    throw new AwsError('InvalidInput', `Value '${record.Weight}' at 'weight' failed to satisfy constraint: at most 255`);
  const known = records.find(other => keyOf(other) === keyOf(record));
  const others = records.filter(other => other !== known);
  if (Action === 'CREATE' && known !== undefined) throw refused('create', record, 'it already exists');
  if (Action === 'DELETE' && known === undefined) throw refused('delete', record, 'it was not found');
  if (Action === 'DELETE' && !isSame(known, record)) throw refused('delete', record, 'the values provided do not match the current values');
  return Action === 'DELETE' ? others : [...others, record];
}

const isSame = (a: object | undefined, b: object): boolean => JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, each]) => each !== undefined)
      .sort(([x], [y]) => (x < y ? -1 : 1))
      .map(([key, each]) => [key, sorted(each)]),
  );
};

/** https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html */
const change: Operation<ChangeResourceRecordSetsCommandInput, ChangeResourceRecordSetsCommandOutput> = (input, { place }) => {
  const records = recordsOf(place, input.HostedZoneId);
  zones(place).set(input.HostedZoneId ?? '', (input.ChangeBatch?.Changes ?? []).reduce(changed, records));
  const id = newId('C').replace('-', '').toUpperCase();
  const { clock } = place.core;
  changesAt(home(place)).set(id, { submitted: clock.date(), insyncAt: clock.now() + PROPAGATION_SECONDS * 1000 });
  return { ChangeInfo: infoOf(place, id) };
};

function infoOf(place: Place, id: string): ChangeInfo {
  const found = changesAt(home(place)).get(id);
  if (found === undefined) throw new AwsError('NoSuchChange', `Could not find resource with ID: ${id}`, 404);
  const Status = place.core.clock.now() >= found.insyncAt ? 'INSYNC' : 'PENDING';
  return { Id: `/change/${id}`, Status, SubmittedAt: found.submitted };
}

/** https://docs.aws.amazon.com/Route53/latest/APIReference/API_GetChange.html */
const getChange: Operation<GetChangeCommandInput, GetChangeCommandOutput> = ({ Id = '' }, { place }) => ({ ChangeInfo: infoOf(place, Id) });

export const recordOperations: Operations = {
  ChangeResourceRecordSets: change,
  GetChange: getChange,
  ListResourceRecordSets: list,
};
