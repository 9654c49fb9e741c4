import type { Journal, JournalEntry } from '../../ports/deps.ts';

/** What the run must end before it exits. Kept in memory: a terminal has no `post:` step. */
export function memoryJournal(): Journal & { readonly entries: () => readonly JournalEntry[] } {
  const entries = new Map<string, JournalEntry>();
  return {
    remember: entry => void entries.set(JSON.stringify(entry), entry),
    forget: entry => void entries.delete(JSON.stringify(entry)),
    entries: () => [...entries.values()],
  };
}
