import type { CallRecord } from './calls.ts';
import { AwsError } from './operation.ts';

/** IDs that a call creates, and the errors of a service that does not know them yet. */

// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
const NOT_FOUND: Readonly<Record<string, readonly [code: string, message: (id: string) => string]>> = {
  i: ['InvalidInstanceID.NotFound', id => `The instance ID '${id}' does not exist`],
  ami: ['InvalidAMIID.NotFound', id => `The image id '[${id}]' does not exist`],
  snap: ['InvalidSnapshot.NotFound', id => `The snapshot '${id}' does not exist.`],
  sg: ['InvalidGroup.NotFound', id => `The security group '${id}' does not exist`],
  vol: ['InvalidVolume.NotFound', id => `The volume '${id}' does not exist.`],
  lt: ['InvalidLaunchTemplateId.NotFound', id => `The launch template ID '${id}' does not exist`],
};

const ID = /^(i|ami|snap|sg|vol|lt)-[0-9a-f]{17}$/;

/** The error for an ID that exists, but is not visible yet. */
export function notFoundYet(id: string): AwsError {
  const [code, message] = NOT_FOUND[id.slice(0, id.indexOf('-'))] ?? ['InvalidID', () => id];
  return new AwsError(code, message(id));
}

export const idsMade = (call: Pick<CallRecord, 'operation' | 'input'>, output: object): readonly string[] =>
  /^(Run|Create|Copy|Register|Import)/.test(call.operation) ? idsIn(output).filter(id => !idsIn(call.input).includes(id)) : [];

export function idsIn(value: unknown): readonly string[] {
  if (typeof value === 'string') return ID.test(value) ? [value] : [];
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return [];
  return Object.values(value).flatMap(idsIn);
}
