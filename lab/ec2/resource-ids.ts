import { AwsError } from '../operation.ts';

// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
const FAMILIES = {
  instance: { prefix: 'i', code: 'InvalidInstanceID', missing: (id: string) => `The instance ID '${id}' does not exist` },
  image: { prefix: 'ami', code: 'InvalidAMIID', missing: (id: string) => `The image id '[${id}]' does not exist` },
  snapshot: { prefix: 'snap', code: 'InvalidSnapshot', missing: (id: string) => `The snapshot '${id}' does not exist.` },
  volume: { prefix: 'vol', code: 'InvalidVolume', missing: (id: string) => `The volume '${id}' does not exist.` },
} as const;

type Family = keyof typeof FAMILIES;

export function checkId(family: Family, id: string): void {
  const { prefix, code } = FAMILIES[family];
  if (new RegExp(`^${prefix}-(?:[0-9a-f]{8}|[0-9a-f]{17})$`).test(id)) return;
  const malformed = code.endsWith('ID') ? code : `${code}ID`;
  throw new AwsError(`${malformed}.Malformed`, `Invalid id: "${id}" (expecting "${prefix}-...")`);
}

export const notFound = (family: Family, id: string): AwsError =>
  new AwsError(`${FAMILIES[family].code}.NotFound`, FAMILIES[family].missing(id));

/** One missing ID refuses the whole request. */
export function pick<T>(family: Family, ids: readonly string[], find: (id: string) => T | undefined): readonly T[] {
  for (const id of ids) checkId(family, id);
  return ids.map(id => {
    const found = find(id);
    if (found === undefined) throw notFound(family, id);
    return found;
  });
}
