/** Condition keys in small letters (IAM ignores their case) with their values. */
export type Context = ReadonlyMap<string, readonly string[]>;

export const contextOf = (values: Readonly<Record<string, string | readonly string[] | undefined>>): Context =>
  new Map(
    Object.entries(values).flatMap(([key, value]) =>
      value === undefined || value.length === 0 ? [] : [[key.toLowerCase(), [value].flat()] as const],
    ),
  );

export const tagKeys = (prefix: string, tags: Readonly<Record<string, string>> | undefined): Record<string, string> =>
  Object.fromEntries(Object.entries(tags ?? {}).map(([key, value]) => [`${prefix}/${key}`, value]));

/** Whether a key such as `aws:RequestTag/team` is one of `aws:RequestTag/${TagKey}` and others. */
export function isKnownKey(key: string, patterns: readonly string[]): boolean {
  return patterns.some(pattern => {
    const source = pattern
      .toLowerCase()
      .replace(/\$\{[^}]*\}/g, '\0')
      .replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')
      .replaceAll('\0', '.+');
    return new RegExp(`^${source}$`).test(key.toLowerCase());
  });
}
