import { unreadableAnswer } from './errors.ts';

/** Every page of a listing. A page token that AWS sends twice would repeat for ever, and is an error. */
export async function allPages<T>(
  page: (token: string | undefined) => Promise<{ items: readonly T[] | undefined; next: string | undefined }>,
): Promise<T[]> {
  const all: T[] = [];
  const seen = new Set<string>();
  let token: string | undefined;
  do {
    const { items, next } = await page(token);
    for (const item of listed(items)) all.push(item);
    token = next === '' ? undefined : next;
    if (token !== undefined && seen.has(token)) throw unreadableAnswer('read all pages of a listing', 'it has the same page token twice');
    if (token !== undefined) seen.add(token);
  } while (token !== undefined);
  return all;
}

/** A list of an answer. AWS sends empty lists: one that is missing means that the answer is not AWS's. */
export function listed<T>(items: readonly T[] | undefined): readonly T[] {
  if (items === undefined) throw unreadableAnswer('read a listing', 'the list is missing');
  return items;
}
