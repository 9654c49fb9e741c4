import { parse } from 'yaml';

/** When an environment takes no promotion: a freeze, a closed window, a group that a person holds. A rollback passes all of them. */

export interface Brakes {
  /** The freeze parameter and its value; undefined where it does not exist. */
  readonly freeze: { readonly name: string; readonly value: string } | undefined;
  readonly windows: readonly Window[];
}

export interface Window {
  readonly text: string;
  /** Days on which it opens: 0 is Monday. */
  readonly days: ReadonlySet<number>;
  /** Minutes after midnight; an end before the start is on the next day. */
  readonly from: number;
  readonly to: number;
  readonly timeZone: string;
}

const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];
const WINDOW = /^(?:([a-z]{3})(?:-([a-z]{3}))? )?([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d) ([\w+/-]+)$/i;
export const WINDOW_FORM = 'must be days, hours and a time zone, such as "Mon-Fri 09:00-16:00 Europe/Berlin"';

/** Undefined where the text is no window, or its time zone is unknown. */
export function parseWindow(text: string): Window | undefined {
  const [matched, first, last, fromHour, fromMinute, toHour, toMinute, timeZone = ''] = WINDOW.exec(text) ?? [];
  const [start, end] = [DAYS.indexOf((first ?? 'mon').toLowerCase()), DAYS.indexOf((last ?? first ?? 'sun').toLowerCase())];
  if (matched === undefined || start < 0 || end < 0 || !isTimeZone(timeZone)) return undefined;
  const days = new Set(Array.from({ length: ((end - start + 7) % 7) + 1 }, (_, i) => (start + i) % 7));
  return { text, days, from: Number(fromHour) * 60 + Number(fromMinute), to: Number(toHour) * 60 + Number(toMinute), timeZone };
}

function isTimeZone(timeZone: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone });
    return true;
  } catch {
    return false;
  }
}

/** Why the environment takes no promotion now, and when it does again: undefined where no time is known. */
export interface Closed {
  readonly reasons: readonly string[];
  readonly opensAt: Date | undefined;
}

export function closedBy({ freeze, windows }: Brakes, environment: string, now: number): Closed | undefined {
  const frozen = freeze === undefined ? undefined : parseFreeze(freeze.value);
  const isFrozen = frozen !== undefined && (frozen.until === undefined || frozen.until.getTime() > now);
  const thaw = isFrozen ? frozen.until : new Date(now);
  const opensAt = thaw === undefined ? undefined : nextOpening(windows, thaw.getTime());
  const isClosed = windows.length > 0 && !windows.some(window => isOpen(window, now));
  if (!isFrozen && !isClosed) return undefined;
  const reasons = [
    isFrozen &&
      `${environment} is frozen by ${freeze?.name} ${frozen.until === undefined ? 'until the parameter is deleted' : `until ${formatTime(frozen.until)}`}: ${frozen.reason}`,
    isClosed && `${environment} is closed now: "windows" allows ${windows.map(({ text }) => text).join(', ')}`,
  ].filter(reason => reason !== false);
  return {
    reasons: [
      ...reasons.slice(0, -1),
      `${reasons.at(-1)}. ${opensAt === undefined ? 'No time is known at which it opens' : `It opens at ${formatTime(opensAt)}`}`,
    ],
    opensAt,
  };
}

const formatTime = (at: Date): string => `${at.toISOString().slice(0, 16)}Z`;

/** `reason` and `until` as YAML, or a text with "until <time>" in it. A time without a zone is no expiry. */
function parseFreeze(value: string): { readonly reason: string; readonly until: Date | undefined } {
  const map = asMap(value);
  const until = map?.['until'] ?? /\buntil (\S+?)[.,:;]?(\s|$)/i.exec(value)?.[1];
  const at = until !== undefined && /(Z|[+-]\d\d:?\d\d)$/.test(until) ? Date.parse(until) : Number.NaN;
  const reason = (map === undefined ? value : map['reason']) ?? '';
  return { reason: reason.trim() === '' ? 'no reason given' : reason.trim(), until: Number.isNaN(at) ? undefined : new Date(at) };
}

function asMap(value: string): Readonly<Record<string, string>> | undefined {
  try {
    const parsed: unknown = parse(value, { schema: 'failsafe' });
    const isMap = typeof parsed === 'object' && parsed !== null && ('reason' in parsed || 'until' in parsed);
    return isMap ? Object.fromEntries(Object.entries(parsed).map(([key, of]) => [key, String(of)])) : undefined;
  } catch {
    return undefined;
  }
}

const MINUTE = 60_000;
const MOST_MINUTES = 8 * 24 * 60;

/** The first minute of the next eight days at which a window is open. */
function nextOpening(windows: readonly Window[], from: number): Date | undefined {
  if (windows.length === 0 || windows.some(window => isOpen(window, from))) return new Date(from);
  const first = Math.ceil(from / MINUTE) * MINUTE;
  for (let minute = 0; minute <= MOST_MINUTES; minute += 1) {
    const at = first + minute * MINUTE;
    if (windows.some(window => isOpen(window, at))) return new Date(at);
  }
  return undefined;
}

function isOpen({ days, from, to, timeZone }: Window, at: number): boolean {
  const { day, minutes } = localTime(timeZone, at);
  if (from < to) return days.has(day) && minutes >= from && minutes < to;
  return (days.has(day) && minutes >= from) || (days.has((day + 6) % 7) && minutes < to);
}

const formats = new Map<string, Intl.DateTimeFormat>();

function localTime(timeZone: string, at: number): { readonly day: number; readonly minutes: number } {
  const options = { timeZone, weekday: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' } as const;
  const format = formats.get(timeZone) ?? new Intl.DateTimeFormat('en-GB', options);
  formats.set(timeZone, format);
  const parts = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, value]));
  return { day: DAYS.indexOf((parts['weekday'] ?? '').toLowerCase()), minutes: Number(parts['hour']) * 60 + Number(parts['minute']) };
}
