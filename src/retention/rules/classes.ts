import { closest } from 'fastest-levenshtein';
import { z } from 'zod';
import { parseDuration } from '../../kit/format.ts';
import { matchesGlob } from '../../kit/glob.ts';
import type { Image } from '../../model/image.ts';

/** How many unused images are kept. */
export interface Keep {
  /** Per architecture. */
  readonly newest: number;
  readonly passed: number;
  readonly youngerThanSeconds: number;
  readonly launchedWithinSeconds: number | undefined;
}

/** Images that share tags: those of pull requests, of stage, of prod. */
export interface RetentionClass {
  readonly name: string;
  /** All must match; `*` matches anything. */
  readonly tags: Readonly<Record<string, string>>;
  /** A value that is absent is that of all other images. */
  readonly keep: Partial<Keep>;
}

const WHOLE = 'must be a whole number';
const DURATION = 'must be a duration such as 12h or 30d';

const whole = () =>
  z
    .string({ error: WHOLE })
    .regex(/^\d{1,5}$/, WHOLE)
    .transform(Number);
const duration = () =>
  z.string({ error: DURATION }).transform((raw, context) => {
    const seconds = parseDuration(raw);
    if (seconds === undefined) context.addIssue({ code: 'custom', message: DURATION });
    return seconds ?? z.NEVER;
  });

const keys = () => ({
  name: z.string({ error: 'must be text' }).min(1, 'must be text').max(60, 'must be at most 60 characters'),
  // A class that contains every image would be the policy itself.
  tags: z
    .record(z.string(), z.string({ error: 'must be text' }), { error: 'must be a map of tags, one "key: value" a line' })
    .refine(tags => Object.values(tags).some(value => /[^*?]/.test(value)), 'must name at least one tag with a value other than "*"'),
  'keep-newest': whole().optional(),
  'keep-passed': whole().optional(),
  'minimum-age': duration().optional(),
  'last-launched-within': duration().optional(),
});

const unknownKeys = (keys: readonly string[], known: readonly string[]) =>
  keys.map(key => `has an unknown key "${key}", did you mean "${closest(key, known)}"?`).join(' ');

const item = (known = keys()) =>
  z.strictObject(known, {
    error: issue =>
      issue.code === 'unrecognized_keys'
        ? unknownKeys(issue.keys, Object.keys(known))
        : 'must be a map with the keys name, tags, keep-newest, keep-passed, minimum-age, last-launched-within',
  });

export const classesSchema = (): z.ZodType<readonly RetentionClass[]> =>
  z
    .array(item(), { error: 'must be a list of classes' })
    .max(20, 'must be at most 20 classes')
    .transform(items => items.map(toClass)) as never;

const toClass = ({ name, tags, ...values }: z.output<ReturnType<typeof item>>): RetentionClass => ({
  name,
  tags,
  keep: Object.fromEntries(
    [
      ['newest', values['keep-newest']],
      ['passed', values['keep-passed']],
      ['youngerThanSeconds', values['minimum-age']],
      ['launchedWithinSeconds', values['last-launched-within']],
    ].filter(([, value]) => value !== undefined),
  ),
});

/** The first class that matches. */
export const classOf = ({ tags }: Pick<Image, 'tags'>, classes: readonly RetentionClass[]): RetentionClass | undefined =>
  classes.find(one => Object.entries(one.tags).every(([key, pattern]) => tags[key] !== undefined && matchesGlob(pattern, tags[key])));
