import { randomUUID } from 'node:crypto';
import { mishaps } from '../ec2/mishaps.ts';
import type { Place } from '../place.ts';
import { page } from '../ssm/pages.ts';
import { invalid } from './group.ts';

export interface PageInput {
  readonly MaxRecords?: number | undefined;
  readonly NextToken?: string | undefined;
}

/** A page in the order of `key`. Default 50, at most 100 unless the operation differs. Tests make pages smaller. */
export function records<T>(place: Place, all: readonly T[], key: (item: T) => string, wanted: PageInput, usual = 50, most = 100) {
  const { MaxRecords, NextToken } = wanted;
  if (MaxRecords !== undefined && (MaxRecords < 1 || MaxRecords > most))
    throw invalid(
      `1 validation error detected: Value '${MaxRecords}' at 'maxRecords' failed to satisfy constraint: Member must have value less than or equal to ${most}`,
    );
  const size = Math.min(MaxRecords ?? usual, mishaps(place).pageSize ?? most);
  const sorted = [...all].sort((a, b) => (key(a) < key(b) ? -1 : 1));
  return page(sorted, key, { MaxResults: size, NextToken }, size);
}

export const arn = ({ region, account }: Place, kind: string, rest: string): string =>
  `arn:aws:autoscaling:${region}:${account}:${kind}:${randomUUID()}:${rest}`;
