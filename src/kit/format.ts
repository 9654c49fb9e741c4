const SECONDS = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

/** "90s", "45m", "1h30m" or "2d" in seconds; undefined for any other text, also for a number without a unit. */
export function parseDuration(text: string): number | undefined {
  if (!/^(\d+[smhd])+$/.test(text)) return undefined;
  const parts = [...text.matchAll(/(\d+)([smhd])/g)];
  const seconds = parts.reduce((sum, [, count, unit]) => sum + Number(count) * SECONDS[unit as keyof typeof SECONDS], 0);
  return Number.isSafeInteger(seconds) ? seconds : undefined;
}

/** Seconds in their two largest units: "1h 5m", "12m 34s", "3.4s". */
export function formatDuration(seconds: number): string {
  if (seconds < 10) return `${Math.round(seconds * 10) / 10}s`;
  const whole = Math.round(seconds);
  const parts = [
    [Math.floor(whole / 86_400), 'd'],
    [Math.floor((whole % 86_400) / 3600), 'h'],
    [Math.floor((whole % 3600) / 60), 'm'],
    [whole % 60, 's'],
  ] as const;
  const first = parts.findIndex(([count]) => count > 0);
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count}${unit}`)
    .join(' ');
}

/** A moment to the second: "2026-09-30 14:05:00 UTC". */
export const formatMoment = (at: Date): string => `${at.toISOString().slice(0, 19).replace('T', ' ')} UTC`;

export const formatDollars = (dollars: number): string => `$${dollars.toFixed(2)}`;

/** "1 check", "2 checks". `plural` for a noun that takes no "s". */
export const formatCount = (count: number, noun: string, plural = `${noun}s`): string => `${count} ${count === 1 ? noun : plural}`;

/** "a, b and 3 more". */
export function formatList(items: readonly string[], atMost = 10): string {
  if (items.length <= atMost) return items.join(', ');
  return `${items.slice(0, atMost).join(', ')} and ${items.length - atMost} more`;
}
