import { pick, shuffled } from './random.ts';

/** An answer on its way to the client. */
export interface Raw {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

type Roll = () => number;
type Spoiler = (raw: Raw, roll: Roll) => Raw | 'reset';

const HTML = '<html><head><title>Proxy</title></head><body>Service unavailable</body></html>';
const STATUSES = [403, 404, 408, 413, 429, 500, 502, 503, 504] as const;
const DATES = ['', 'yesterday', '0000-00-00T00:00:00Z', '1970-01-01T00:00:00.000Z', '9999-12-31T23:59:59.000Z', '20261130'] as const;

const isXml = ({ type, body }: Raw): boolean => type.includes('xml') || body.startsWith('<');

/** Every way to spoil an answer, by name. */
export const SPOILERS: Readonly<Record<string, Spoiler>> = {
  status: (_, roll) => ({ status: pick(roll, STATUSES) ?? 503, type: 'text/html', body: HTML }),
  redirect: () => ({ status: 301, type: 'text/html', body: '' }),
  html: () => ({ status: 200, type: 'text/html', body: HTML }),
  nothing: raw => ({ ...raw, body: '' }),
  cut: (raw, roll) => ({ ...raw, body: raw.body.slice(0, Math.floor(raw.body.length * roll())) }),
  reset: () => 'reset',
  reorder: (raw, roll) =>
    isXml(raw) ? reorderXml(raw, roll) : mapJson(raw, roll, value => (Array.isArray(value) ? shuffled(roll, value) : value)),
  unknown: raw =>
    isXml(raw)
      ? withXmlMember(raw)
      : mapJson(
          raw,
          () => 0,
          value => (isObject(value) ? { ...value, BrandNewMember: { a: [1] } } : value),
        ),
  enum: (raw, roll) => leaf(raw, roll, /^[A-Za-z][A-Za-z-]{3,20}$/, () => 'brand-new'),
  date: (raw, roll) => leaf(raw, roll, /^\d{4}-\d\d-\d\dT|^1[6-9]\d{8}(\.\d+)?$/, () => pick(roll, DATES) ?? ''),
  emptied: (raw, roll) => leaf(raw, roll, /^/, () => ''),
  dropped: (raw, roll) => leaf(raw, roll, /^/, () => undefined),
  list: (raw, roll) => dropList(raw, roll),
  null: (raw, roll) => (isXml(raw) ? raw : leaf(raw, roll, /^/, () => null)),
};

const LEAF = /<([A-Za-z]\w*)>([^<>]*)<\/\1>/g;
const LIST = /<(\w+(?:Set|s|Groups|Instances))>((?:<(item|member)>[\s\S]*?<\/\3>)*)<\/\1>/g;

/** Replaces the text of some leaves. Undefined drops the element or member. */
function leaf(raw: Raw, roll: Roll, fits: RegExp, change: (text: string) => string | null | undefined): Raw {
  if (!isXml(raw)) return leafJson(raw, roll, fits, change);
  const body = raw.body.replace(LEAF, (whole, tag: string, text: string) => {
    if (/^requestid$/i.test(tag) || !fits.test(text) || roll() > 0.15) return whole;
    const changed = change(text);
    return changed === undefined || changed === null ? '' : `<${tag}>${changed}</${tag}>`;
  });
  return { ...raw, body };
}

function leafJson(raw: Raw, roll: Roll, fits: RegExp, change: (text: string) => string | null | undefined): Raw {
  return mapJson(raw, roll, value => {
    if (!isObject(value)) return value;
    const members = Object.entries(value).map(([key, member]) => {
      if ((typeof member !== 'string' && typeof member !== 'number') || !fits.test(String(member)) || roll() > 0.15)
        return [key, member] as const;
      return [key, change(String(member))] as const;
    });
    return Object.fromEntries(members.filter(([, member]) => member !== undefined));
  });
}

/** A list of the answer is missing altogether. */
function dropList(raw: Raw, roll: Roll): Raw {
  if (!isXml(raw)) {
    return mapJson(raw, roll, value =>
      isObject(value) ? Object.fromEntries(Object.entries(value).filter(([, member]) => !Array.isArray(member) || roll() > 0.5)) : value,
    );
  }
  return { ...raw, body: raw.body.replace(LIST, whole => (roll() < 0.3 ? '' : whole)) };
}

const reorderXml = (raw: Raw, roll: Roll): Raw => ({
  ...raw,
  body: raw.body.replace(/(?:<item>(?:(?!<\/?item>)[\s\S])*<\/item>){2,}/g, items =>
    shuffled(roll, items.match(/<item>(?:(?!<\/?item>)[\s\S])*<\/item>/g) ?? []).join(''),
  ),
});

const withXmlMember = (raw: Raw): Raw => ({
  ...raw,
  body: raw.body.replace(/<\/item>/g, '<brandNewMember><item>1</item></brandNewMember></item>'),
});

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

function mapJson(raw: Raw, _roll: Roll, change: (value: unknown) => unknown): Raw {
  const walk = (value: unknown): unknown => {
    if (Array.isArray(value)) return change(value.map(walk));
    return isObject(value) ? change(Object.fromEntries(Object.entries(value).map(([key, member]) => [key, walk(member)]))) : value;
  };
  try {
    return { ...raw, body: JSON.stringify(walk(JSON.parse(raw.body))) };
  } catch {
    return raw;
  }
}
