import type { UnreachableError } from '../../kit/errors.ts';
import { unreadableAnswer } from './errors.ts';

/**
 * A member that AWS always sends, and never empty. An answer without it is not one of AWS, a proxy may have replaced it: reading it as "none" would let prune delete an image
 * that is in use.
 */
export function always<T>(member: T | null | undefined, name: string): T {
  if (member !== undefined && member !== null && member !== '') return member;
  throw incomplete(name);
}

export const incomplete = (name: string): UnreachableError => unreadableAnswer('read what may launch the images', `${name} is missing`);
