import { text } from 'node:stream/consumers';
import type { AutoScalingClient, AutoScalingGroup } from '@aws-sdk/client-auto-scaling';

/**
 * Members of a group that are newer than this SDK. It drops them when it reads an answer, so a policy that is sent back, or a copy of the group, would
 * lose them.
 */

const unknown = new WeakMap<AutoScalingGroup, readonly string[]>();

/** Paths such as `MixedInstancesPolicy.InstancesDistribution.NewMember`. */
export const unknownMembersOf = (group: AutoScalingGroup): readonly string[] => unknown.get(group) ?? [];

interface Described {
  readonly response: unknown;
  readonly output: { readonly AutoScalingGroups?: readonly AutoScalingGroup[] };
}

/** Compares the XML of DescribeAutoScalingGroups with what the SDK made of it. */
export function noticeUnknownMembers({ middlewareStack }: AutoScalingClient): void {
  const answers = new WeakMap<object, string>();
  middlewareStack.add(
    (next, { commandName }) =>
      async args => {
        const result = await next(args);
        if (commandName !== 'DescribeAutoScalingGroupsCommand') return result;
        const response = result.response as { body: Parameters<typeof text>[0] | Uint8Array };
        const xml = await text(response.body as Parameters<typeof text>[0]);
        response.body = Buffer.from(xml);
        answers.set(response, xml);
        return result;
      },
    // The last one before the wire: the SDK has not read the answer yet.
    { step: 'deserialize', name: 'keepAnswer', priority: 'low' },
  );
  middlewareStack.add(
    next => async args => {
      const result = await next(args);
      const { response, output } = result as unknown as Described;
      const members = membersOf(answers.get(response as object) ?? '');
      for (const [i, group] of (output.AutoScalingGroups ?? []).entries()) {
        const dropped = [...(members[i] ?? [])].flatMap(path => unknownPart(group, path.split('.')) ?? []);
        if (dropped.length > 0) unknown.set(group, [...new Set(dropped)]);
      }
      return result;
    },
    { step: 'deserialize', name: 'noticeUnknownMembers', priority: 'high' },
  );
}

const TAG = /<(\/?)([\w.:-]+)[^>]*?(\/?)>([^<]*)/g;

/** Of each group the paths of the members that have a value. */
function membersOf(xml: string): readonly ReadonlySet<string>[] {
  const groups: Set<string>[] = [];
  const path: string[] = [];
  for (const [, end, name = '', empty, content = ''] of xml.matchAll(TAG)) {
    if (end !== '') {
      path.pop();
      continue;
    }
    path.push(name);
    const depth = path.indexOf('AutoScalingGroups') + 2;
    if (depth >= 2 && path.length === depth) groups.push(new Set());
    if (depth >= 2 && path.length > depth && content.trim() !== '') groups.at(-1)?.add(path.slice(depth).join('.'));
    if (empty !== '') path.pop();
  }
  return groups;
}

/** The path up to its first member that the value lacks; undefined where it has all. */
function unknownPart(value: unknown, [name, ...rest]: readonly string[], known: readonly string[] = []): string | undefined {
  if (name === undefined) return undefined;
  if (Array.isArray(value) && name === 'member') {
    const parts = value.map(item => unknownPart(item, rest, known));
    return parts.includes(undefined) ? undefined : parts[0];
  }
  const path = [...known, name];
  const member = (value as Readonly<Record<string, unknown>> | undefined)?.[name];
  return member === undefined ? path.join('.') : unknownPart(member, rest, path);
}
