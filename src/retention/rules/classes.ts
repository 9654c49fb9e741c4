import { closest } from 'fastest-levenshtein';
import { z } from 'zod';
import { parseDuration } from '../../kit/format.ts';
import { matchesGlob } from '../../kit/glob.ts';
import type { Image } from '../../model/image.ts';

/** How much of a class of images stays although nothing uses it. */
export interface Keep {
  /** Per architecture. */
  readonly newest: number;
  readonly passed: number;
  readonly youngerThanSeconds: number;
  readonly launchedWithinSeconds: number | undefined;
}

/** Images that are told apart by their tags: those of pull requests, of stage, of prod. */
export interface RetentionClass {
  readonly name: string;
  /** All must match; `*` stands for anything. */
  readonly tags: Readonly<Record<string, string>>;
  /** What is not said is as for all other images. */
  readonly keep: Partial<Keep>;
}

const whole = () =>
  z
    .string({ error: 'must be a whole number' })
    .regex(/^\d{1,5}$/, 'must be a whole number')
    .transform(Number);
const duration = () =>
  z.string({ error: 'must be a duration such as 12h or 30d' }).transform((raw, context) => {
    const seconds = parseDuration(raw);
    if (seconds !== undefined) return seconds;
    context.addIssue({ code: 'custom', message: 'must be a duration such as 12h or 30d' });
    return z.NEVER;
  });

const keys = () => ({
  name: z.string({ error: 'must be text' }).min(1, 'must be text').max(60, 'must be at most 60 characters'),
  // A class that every image is in would be the policy itself, written in the wrong place.
  tags: z
    .record(z.string(), z.string({ error: 'must be text' }), { error: 'must be a map of tags, one "key: value" a line' })
    .refine(
      tags => Object.values(tags).some(value => /[^*?]/.test(value)),
      'must name at least one tag with a value that not everything fits',
    ),
  'keep-newest': whole().optional(),
  'keep-passed': whole().optional(),
  'minimum-age': duration().optional(),
  'last-launched-within': duration().optional(),
});

const strangers = (said: readonly string[], known: readonly string[]) =>
  said.map(key => `says "${key}", did you mean "${closest(key, known)}"?`).join(' ');

const item = (known = keys()) =>
  z.strictObject(known, {
    error: issue =>
      issue.code === 'unrecognized_keys' ? strangers(issue.keys, Object.keys(known)) : 'must be a map with name, tags and what to keep',
  });

export const classesSchema = (): z.ZodType<readonly RetentionClass[]> =>
  z
    .array(item(), { error: 'must be a list of classes' })
    .max(20, 'must be at most 20 classes')
    .transform(items => items.map(asClass)) as never;

const asClass = ({ name, tags, ...said }: z.output<ReturnType<typeof item>>): RetentionClass => ({
  name,
  tags,
  keep: Object.fromEntries(
    [
      ['newest', said['keep-newest']],
      ['passed', said['keep-passed']],
      ['youngerThanSeconds', said['minimum-age']],
      ['launchedWithinSeconds', said['last-launched-within']],
    ].filter(([, value]) => value !== undefined),
  ),
});

/** The first class that fits; undefined for an image that is in none. */
export const classOf = ({ tags }: Pick<Image, 'tags'>, classes: readonly RetentionClass[]): RetentionClass | undefined =>
  classes.find(one => Object.entries(one.tags).every(([key, wanted]) => tags[key] !== undefined && matchesGlob(wanted, tags[key])));
