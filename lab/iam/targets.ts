import type { Place } from '../place.ts';
import { isKnownKey, tagKeys } from './context.ts';
import type { ActionFacts, ResourceFacts } from './facts.ts';

/** A resource that a call uses or creates, with the condition keys that belong to it. */
export interface Target {
  readonly arn: string;
  readonly keys: Readonly<Record<string, string | readonly string[] | undefined>>;
}

/** What a service knows about a resource of a call. */
export interface Found {
  /** Name of the resource type in the Service Authorization Reference. */
  readonly type: string;
  /** ID, name or `*` for a resource that the call creates. */
  readonly id: string;
  /** ARN, where it does not follow from type and ID. */
  readonly arn?: string;
  readonly place?: Place;
  readonly tags?: Readonly<Record<string, string>> | undefined;
  readonly requestTags?: Readonly<Record<string, string>> | undefined;
  readonly keys?: Target['keys'] | undefined;
}

export type Finder = (operation: string, input: object, place: Place) => readonly Found[];

/** Fills in the ARN template of the Service Authorization Reference. */
const arnOf = (template: string, { region, account }: Place, id: string): string =>
  template.replace(/\$\{(\w+)\}/g, (_, name: string) => {
    if (name === 'Partition') return 'aws';
    return name === 'Region' ? region : name === 'Account' ? account : id;
  });

/**
 * The targets of a call: what the service found, for each resource type that the action knows. A required type that was not found is a resource
 * that the call creates or chooses: `*`, and so is a call that names none of its resources. Condition keys that the action does not know are left out.
 */
export function targetsOf(facts: ActionFacts, found: readonly Found[], place: Place): readonly Target[] {
  if (facts.wildcardOnly || facts.resourceTypes.length === 0)
    return [{ arn: '*', keys: onlyKnown(Object.assign({}, ...found.map(({ keys }) => keys)), facts.conditionKeys) }];
  const missing = facts.resourceTypes.filter(({ name, required }) => required && !found.some(({ type }) => type === name));
  // Keys of the request, such as the launch template, hold for all of its resources.
  const keys = Object.assign({}, ...found.map(one => one.keys));
  const all = [...found, ...missing.map(({ name }): Found => ({ type: name, id: '*', keys }))];
  const targets = all.flatMap(one => {
    const type = facts.resourceTypes.find(({ name }) => name === one.type);
    return type === undefined ? [] : [targetOf(facts, type, one, place)];
  });
  return targets.length > 0 ? targets : [{ arn: '*', keys: onlyKnown(keys, facts.conditionKeys) }];
}

function targetOf(facts: ActionFacts, type: ResourceFacts, found: Found, place: Place): Target {
  const known = [...facts.conditionKeys, ...type.conditionKeys];
  const { tags, requestTags } = found;
  const keys = {
    ...tagKeys('aws:ResourceTag', tags),
    ...tagKeys('ec2:ResourceTag', tags),
    ...tagKeys('autoscaling:ResourceTag', tags),
    ...tagKeys('ssm:resourceTag', tags),
    ...tagKeys('aws:RequestTag', requestTags),
    'aws:TagKeys': requestTags && Object.keys(requestTags).length > 0 ? Object.keys(requestTags) : undefined,
    'ec2:Region': (found.place ?? place).region,
    ...found.keys,
  };
  return { arn: found.arn ?? arnOf(type.arn, found.place ?? place, found.id), keys: onlyKnown(keys, known) };
}

const onlyKnown = (keys: Target['keys'], known: readonly string[]): Target['keys'] =>
  Object.fromEntries(Object.entries(keys).filter(([key]) => isKnownKey(key, known)));
