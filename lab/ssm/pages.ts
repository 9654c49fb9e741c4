import { AwsError } from '../operation.ts';

export interface PageInput {
  readonly MaxResults?: number | undefined;
  readonly NextToken?: string | undefined;
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly NextToken: string | undefined;
}

/** A page of items sorted by `key`. The token holds the last key, so items created or deleted between pages shift nothing. */
export function page<T>(all: readonly T[], key: (item: T) => string, wanted: PageInput, usual: number): Page<T> {
  const last = wanted.NextToken === undefined ? undefined : readToken(wanted.NextToken);
  const rest = last === undefined ? all : all.filter(item => key(item) > last);
  const items = rest.slice(0, wanted.MaxResults ?? usual);
  const end = items.at(-1);
  return { items, NextToken: end === undefined || items.length === rest.length ? undefined : writeToken(key(end)) };
}

/** For numbers as keys. */
export const ordinal = (number: number): string => String(number).padStart(15, '0');

const MARK = 'lab\n';

const writeToken = (key: string): string => Buffer.from(MARK + key).toString('base64url');

function readToken(token: string): string {
  const text = Buffer.from(token, 'base64url').toString();
  if (!text.startsWith(MARK)) throw new AwsError('InvalidNextToken', 'The specified token is not valid.');
  return text.slice(MARK.length);
}
