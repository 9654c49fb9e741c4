/** Every page of a listing. A page token that AWS sends twice would repeat for ever, and is an error. */
export async function allPages<T>(
  page: (token: string | undefined) => Promise<{ items: readonly T[] | undefined; next: string | undefined }>,
): Promise<T[]> {
  const all: T[] = [];
  const seen = new Set<string>();
  let token: string | undefined;
  do {
    const { items, next } = await page(token);
    for (const item of items ?? []) all.push(item);
    token = next === '' ? undefined : next;
    if (token !== undefined && seen.has(token)) throw new Error('AWS answered the same page token twice: the listing cannot be complete.');
    if (token !== undefined) seen.add(token);
  } while (token !== undefined);
  return all;
}
