import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CallRecord } from './calls.ts';

/**
 * Every call of the action is on a list, from which the IAM policies in examples/ are generated. A run with a call that is not listed fails.
 * With AMI_ACTION_RECORD_CALLS=<file> missing calls are appended to the file instead; `npm run permissions` adds them to the list.
 */

const LIST = join(import.meta.dirname, '..', 'permissions.json');

/** Mode -> IAM actions, such as `ec2:DescribeImages`. */
export type Permissions = Readonly<Record<string, readonly string[]>>;

export const readPermissions = (): Permissions => JSON.parse(readFileSync(LIST, 'utf8')) as Permissions;

/** The mode that made a call. The action's clients put it into their User-Agent; calls of Packer belong to `build`. */
export function modeOf({ client }: Pick<CallRecord, 'client'>): string | undefined {
  const [, mode] = /\bami-action\/1\b.*\bmode\/([a-z]+)/.exec(client) ?? [];
  return mode ?? (/packer/i.test(client) ? 'build' : undefined);
}

// These operations need no permission.
// https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
const FREE = new Set(['sts:GetCallerIdentity', 'sts:AssumeRoleWithWebIdentity']);

// Where the name that signs a request is not the prefix of its actions.
const IAM_PREFIX: Readonly<Record<string, string>> = { monitoring: 'cloudwatch' };

/** The IAM actions of a call: its own name, and those that it needs in addition. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeregisterImage.html */
const actionsOf = ({ service, operation, input }: CallRecord): readonly string[] => [
  `${IAM_PREFIX[service] ?? service}:${operation}`,
  ...(operation === 'DeregisterImage' && input['DeleteAssociatedSnapshots'] === true ? ['ec2:DeleteSnapshot'] : []),
];

/** The calls that are on no list, as `mode service:Operation`. */
export function unlisted(calls: readonly CallRecord[], permissions: Permissions): readonly string[] {
  const made = calls.flatMap(call => {
    const mode = modeOf(call);
    if (mode === undefined) return [];
    return actionsOf(call)
      .filter(action => !FREE.has(action) && permissions[mode]?.includes(action) !== true)
      .map(action => `${mode} ${action}`);
  });
  return [...new Set(made)].sort();
}

export function insistOnPermissions(calls: readonly CallRecord[]): void {
  const permissions = readPermissions();
  const missing = unlisted(calls, permissions);
  const file = process.env['AMI_ACTION_RECORD_CALLS'];
  // A mode under development has no list yet. The contract test checks that every mode has one.
  if (missing.length === 0 || (file === undefined && Object.keys(permissions).length === 0)) return;
  if (file === undefined) throw new Error(`permissions.json does not have ${missing.join(', ')}: run "npm run permissions".`);
  appendFileSync(file, missing.map(line => `${line}\n`).join(''));
}
