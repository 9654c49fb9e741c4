import { createHash, randomBytes } from 'node:crypto';

/** A resource ID as AWS makes them now: `i-0` and 16 hex digits. Random, so that no order can be read from it. */
export const newId = (prefix: string): string => `${prefix}-0${randomBytes(8).toString('hex')}`;

/** The same for the same words: for what exists in every lab from the start (base images, default networks). */
export const stableId = (prefix: string, ...words: readonly string[]): string =>
  `${prefix}-0${createHash('sha256').update(words.join('\n')).digest('hex').slice(0, 16)}`;
