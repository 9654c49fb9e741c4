import { AwsError } from '../operation.ts';

/** The error for a request that the service model forbids. It is checked before everything else. */
export const invalid = (message: string): AwsError => new AwsError('ValidationException', message);

type Problem = string | undefined;

/** All violations of a request in one answer, in the wording of AWS: https://smithy.io/2.0/spec/constraint-traits.html */
export function check(...problems: readonly Problem[]): void {
  const found = problems.filter(problem => problem !== undefined);
  if (found.length === 0) return;
  throw invalid(`${found.length} validation error${found.length === 1 ? '' : 's'} detected: ${found.join('; ')}`);
}

const broken = (member: string, value: unknown, constraint: string): string =>
  `Value '${value}' at '${member}' failed to satisfy constraint: ${constraint}`;

export const given = (member: string, value: unknown): Problem =>
  value === undefined ? broken(member, 'null', 'Member must not be null') : undefined;

export function within(member: string, value: number | undefined, least: number, most: number): Problem {
  if (value === undefined) return undefined;
  if (value < least) return broken(member, value, `Member must have value greater than or equal to ${least}`);
  return value > most ? broken(member, value, `Member must have value less than or equal to ${most}`) : undefined;
}

export function length(member: string, value: string | readonly unknown[] | undefined, least: number, most: number): Problem {
  if (value === undefined) return undefined;
  const shown = typeof value === 'string' ? value : `[${value.join(', ')}]`;
  if (value.length < least) return broken(member, shown, `Member must have length greater than or equal to ${least}`);
  return value.length > most ? broken(member, shown, `Member must have length less than or equal to ${most}`) : undefined;
}

export const oneOf = (member: string, value: string | undefined, allowed: readonly string[]): Problem =>
  value === undefined || allowed.includes(value)
    ? undefined
    : broken(member, value, `Member must satisfy enum value set: [${allowed.join(', ')}]`);

export const like = (member: string, value: string | undefined, pattern: RegExp): Problem =>
  value === undefined || pattern.test(value)
    ? undefined
    : broken(member, value, `Member must satisfy regular expression pattern: ${pattern.source}`);
