import { tagKey } from '../model/image.ts';
import type { Deps } from '../ports/deps.ts';
import type { Inputs } from './reuse.ts';
import { type Increment, planIncrement } from './rules/increment.ts';

/** What the image is built on: the newest of its family, or "base-image". Undefined without "app-paths". */
export async function decideIncrement(inputs: Inputs, { inRegion }: Deps<'images'>): Promise<Increment | undefined> {
  const { options, plan, foundation, template } = inputs;
  if (foundation === undefined) return undefined;
  const family = await inRegion({ region: options.region }).images.find({ tags: { [tagKey(plan.scheme, 'family')]: options.family } });
  // A full build is as old as its image says.
  const now = Date.parse(plan.tags[tagKey(plan.scheme, 'created-at')] ?? '');
  const policy = { scheme: plan.scheme, foundation, fullEverySeconds: options.fullEvery, now };
  return planIncrement(template.facts.selected.length === 1 ? family : [], policy);
}

/** The inputs of a build on that image. The tag `base-ami` stays the image of "base-image", by which a new one is noticed. */
export function withIncrement(inputs: Inputs, increment: Increment | undefined): Inputs {
  if (increment === undefined) return inputs;
  const { plan } = inputs;
  const { on, tags } = increment;
  const all = { ...tags, ...(on === undefined ? {} : { [tagKey(plan.scheme, 'built-on')]: on.id }) };
  return {
    ...inputs,
    plan: { ...plan, base: on?.id ?? plan.base, tags: { ...plan.tags, ...all }, earlyTags: { ...plan.earlyTags, ...all } },
  };
}
