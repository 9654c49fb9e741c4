import type { Journal, JournalEntry } from '../ports/deps.ts';
import * as core from './runner.ts';

const KEY = 'journal';

/** Kept in the step's state, which the runner passes to `post:`. Each save replaces the whole list. */
export function stateJournal(): Journal {
  const entries = new Map<string, JournalEntry>();
  const save = () => core.saveState(KEY, JSON.stringify([...entries.values()]));
  save();
  return {
    remember(entry) {
      entries.set(JSON.stringify(entry), entry);
      save();
    },
    forget(entry) {
      if (entries.delete(JSON.stringify(entry))) save();
    },
  };
}

/** The main step saves a journal first, so a process that finds one is `post:`. */
export const isPost = (): boolean => core.getState(KEY) !== '';

/** What the main step of this job recorded for `post:`. */
export const savedEntries = (): readonly JournalEntry[] => JSON.parse(core.getState(KEY) || '[]') as JournalEntry[];
