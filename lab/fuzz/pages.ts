import type { Raw } from './spoil.ts';

/** Pages that a service may send and rarely does: an empty one with a token, and the same token again and again. */
export const PAGE_KINDS = ['emptyPage', 'repeatedToken'] as const;

export interface Pages {
  /** The request as the lab gets it: a token of ours stands for the request that it continues. */
  request(body: string): { readonly body: string; readonly token: string | undefined };
  /** The answer with one more page after it, if the operation has pages and this is the last one. */
  answer(raw: Raw, operation: string, body: string, token: string | undefined): Raw | undefined;
}

const PAGED =
  /^(Describe(Images|Instances|Snapshots|LaunchTemplates|LaunchTemplateVersions|Tags|ImageReferences|AutoScalingGroups|InstanceRefreshes|LaunchConfigurations|Parameters)|GetParameterHistory)$/;

export function pages(kind: (typeof PAGE_KINDS)[number]): Pages {
  const continued = new Map<string, string>();
  return {
    request: body => {
      const token = /fuzz-\d+/.exec(body)?.[0];
      return { body: continued.get(token ?? '') ?? body, token };
    },
    answer: (raw, operation, body, token) => {
      if (raw.status !== 200 || !PAGED.test(operation) || /"?NextToken"?[:>]\s*"?\w/i.test(raw.body)) return undefined;
      if (kind === 'emptyPage' && token !== undefined) return undefined;
      const next = token ?? `fuzz-${continued.size + 1}`;
      continued.set(next, body);
      return withToken(kind === 'emptyPage' ? emptied(raw) : raw, next);
    },
  };
}

/** Empties the first list of the answer. */
function emptied(raw: Raw): Raw {
  if (raw.body.startsWith('{')) {
    const answer = JSON.parse(raw.body) as Record<string, unknown>;
    return {
      ...raw,
      body: JSON.stringify(Object.fromEntries(Object.entries(answer).map(([key, value]) => [key, Array.isArray(value) ? [] : value]))),
    };
  }
  const [, opening = ''] = /(?:<\/requestId>|Result>)<(\w+)>/.exec(raw.body) ?? [];
  const [from, to] = [raw.body.indexOf(`<${opening}>`), raw.body.lastIndexOf(`</${opening}>`)];
  return from < 0 || to < from ? raw : { ...raw, body: `${raw.body.slice(0, from)}<${opening}>${raw.body.slice(to)}` };
}

function withToken(raw: Raw, token: string): Raw {
  if (raw.body.startsWith('{')) return { ...raw, body: JSON.stringify({ ...JSON.parse(raw.body), NextToken: token }) };
  const query = raw.body.includes('Result>');
  const body = query
    ? raw.body.replace(/<\/\w+Result>/, end => `<NextToken>${token}</NextToken>${end}`)
    : raw.body.replace(/<\/\w+Response>\s*$/, end => `<nextToken>${token}</nextToken>${end}`);
  return { ...raw, body };
}
