const SECONDS = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

/** "90s", "45m", "1h30m", "2d" as seconds; undefined where the text is no such thing. A bare number has no unit and is refused. */
export function parseDuration(text: string): number | undefined {
  if (!/^(\d+[smhd])+$/.test(text)) return undefined;
  const parts = [...text.matchAll(/(\d+)([smhd])/g)];
  const seconds = parts.reduce((sum, [, count, unit]) => sum + Number(count) * SECONDS[unit as keyof typeof SECONDS], 0);
  return Number.isSafeInteger(seconds) ? seconds : undefined;
}

/** Seconds as a person would say them: the two largest units, "1h 5m", "12m 34s", "3.4s". */
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

/** A moment as a person would say it, to the second: "2026-09-30 14:05:00 UTC". */
export const formatMoment = (at: Date): string => `${at.toISOString().slice(0, 19).replace('T', ' ')} UTC`;

export const formatDollars = (dollars: number): string => `$${dollars.toFixed(2)}`;
