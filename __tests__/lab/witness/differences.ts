/** Answers of one endpoint to the calls of a story. */
export type Answers = Readonly<Record<string, { readonly operation: string; readonly answer: unknown }>>;

export interface Difference {
  readonly step: string;
  /** `Instances[].State.Name`; empty for the answer as a whole. */
  readonly path: string;
  /** As JSON; undefined when absent. */
  readonly lab: string | undefined;
  readonly moto: string | undefined;
}

/** A known difference, and the AWS document that decides it. */
export interface KnownDifference {
  /** `*` stands for any text. */
  readonly step: string;
  /** As above, `*` for any text. */
  readonly paths: readonly string[];
  /** Value of each side, as JSON or `absent`. Missing when any value matches. */
  readonly lab?: string;
  readonly moto?: string;
  readonly reason: string;
  readonly document: string;
}

export const differences = (lab: Answers, moto: Answers): readonly Difference[] => {
  const steps = [...new Set([...Object.keys(lab), ...Object.keys(moto)])];
  const found = steps.flatMap(step => unlike(lab[step]?.answer, moto[step]?.answer, '').map(one => ({ step, ...one })));
  // The same difference in every element of a list counts once.
  return [...new Map(found.map(one => [JSON.stringify(one), one])).values()];
};

type Unlike = Omit<Difference, 'step'>;

function unlike(lab: unknown, moto: unknown, path: string): readonly Unlike[] {
  if (Array.isArray(lab) && Array.isArray(moto) && lab.length === moto.length) {
    return lab.flatMap((item, index) => unlike(item, moto[index], `${path}[]`));
  }
  if (isObject(lab) && isObject(moto)) {
    const keys = [...new Set([...Object.keys(lab), ...Object.keys(moto)])];
    return keys.flatMap(key => unlike(lab[key], moto[key], path === '' ? key : `${path}.${key}`));
  }
  const [ours, theirs] = [JSON.stringify(lab), JSON.stringify(moto)];
  return ours === theirs ? [] : [{ path, lab: ours, moto: theirs }];
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export function explains(known: KnownDifference, { step, path, lab, moto }: Difference): boolean {
  const says = (wanted: string | undefined, is: string | undefined) => wanted === undefined || wanted === (is ?? 'absent');
  return like(known.step, step) && known.paths.some(one => like(one, path)) && says(known.lab, lab) && says(known.moto, moto);
}

const like = (pattern: string, text: string): boolean =>
  new RegExp(`^${pattern.replace(/[^\w*]/g, '\\$&').replaceAll('*', '.*')}$`, 's').test(text);

export interface Judgement {
  /** Differences that no document decides. */
  readonly unlisted: readonly Difference[];
  /** Listed differences that no longer occur. */
  readonly stale: readonly KnownDifference[];
}

export const evaluate = (found: readonly Difference[], known: readonly KnownDifference[]): Judgement => ({
  unlisted: found.filter(difference => !known.some(one => explains(one, difference))),
  stale: known.filter(one => !found.some(difference => explains(one, difference))),
});
