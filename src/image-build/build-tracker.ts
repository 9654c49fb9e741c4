import type { Journal, JournalEntry } from '../ports/deps.ts';
import { createdIds, type PackerLine, parseLine } from './rules/packer-output.ts';

type BuildEntry = Extract<JournalEntry, { kind: 'build' }>;

export interface Witness {
  /** Takes a line of Packer, and remembers for post what it tells to have made. */
  see(line: string): void;
  /** From now on post leaves these images alone. */
  spare(finished: readonly string[]): void;
  /** The entry as the journal has it now. */
  entry(): BuildEntry;
  forget(): void;
}

/** What Packer says it made proves of an image without tags that it is ours: a name proves nothing, two jobs may have the same. */
export function witness(first: BuildEntry, journal: Journal): Witness {
  let entry = first;
  journal.remember(entry);
  const become = (next: BuildEntry) => {
    const before = entry;
    entry = next;
    journal.remember(entry);
    journal.forget(before);
  };
  return {
    see(text) {
      const line: PackerLine | undefined = parseLine(text);
      const fresh = line === undefined ? [] : createdIds(line).filter(id => !(entry.made ?? []).includes(id));
      if (fresh.length > 0) become({ ...entry, made: [...(entry.made ?? []), ...fresh] });
    },
    spare: finished => become({ ...entry, finished }),
    entry: () => entry,
    forget: () => journal.forget(entry),
  };
}
