import { createHash, randomBytes } from 'node:crypto';

/** A resource ID in the current format of AWS: `i-0` and 16 hex digits. Random, so that IDs have no order. */
export const newId = (prefix: string): string => `${prefix}-0${randomBytes(8).toString('hex')}`;

/** A constant ID for the given words, for resources that every lab has from the start (base images, default networks). */
export const stableId = (prefix: string, ...words: readonly string[]): string =>
  `${prefix}-0${createHash('sha256').update(words.join('\n')).digest('hex').slice(0, 16)}`;
