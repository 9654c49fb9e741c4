import { AwsError } from '../operation.ts';
import type { Place } from '../place.ts';
import { mishaps } from './mishaps.ts';

export interface Paged {
  readonly MaxResults?: number | undefined;
  readonly NextToken?: string | undefined;
}

/**
 * One page, in the order of IDs. AWS promises no order, and IDs are random, so the first item is not the newest. The token holds
 * the last ID, so that resources may be created and deleted between two pages.
 * https://docs.aws.amazon.com/AWSEC2/latest/APIReference/Query-Requests.html#api-pagination
 */
export function pageOf<T>(place: Place, items: readonly T[], id: (item: T) => string, { MaxResults, NextToken }: Paged) {
  const after = NextToken === undefined ? '' : readToken(NextToken);
  const rest = items.filter(item => id(item) > after).sort((a, b) => (id(a) < id(b) ? -1 : 1));
  const size = Math.min(MaxResults ?? Number.POSITIVE_INFINITY, mishaps(place).pageSize ?? Number.POSITIVE_INFINITY);
  const page = rest.slice(0, size);
  const last = page.at(-1);
  return { page, NextToken: last === undefined || page.length === rest.length ? undefined : writeToken(id(last)) };
}

export function refuseIdsWithPages(ids: readonly string[] | undefined, { MaxResults }: Paged, set: string): void {
  if (MaxResults === undefined || ids === undefined || ids.length === 0) return;
  throw new AwsError('InvalidParameterCombination', `The parameter ${set} cannot be used with the parameter maxResults`);
}

export function checkPageSize({ MaxResults }: Paged, least: number, most: number): void {
  if (MaxResults === undefined || (MaxResults >= least && MaxResults <= most)) return;
  const message = `Value ( ${MaxResults} ) for parameter maxResults is invalid. Expecting a value between ${least} and ${most}.`;
  throw new AwsError('InvalidParameterValue', message);
}

const MARK = 'lab:';

const writeToken = (id: string): string => Buffer.from(MARK + id).toString('base64');

function readToken(token: string): string {
  const text = Buffer.from(token, 'base64').toString();
  if (!text.startsWith(MARK)) throw new AwsError('InvalidNextToken', `The token '${token}' is invalid`);
  return text.slice(MARK.length);
}
