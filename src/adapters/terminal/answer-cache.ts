import { createHash, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import type { CommandLine } from './arguments.ts';

/**
 * The last answers of `list` and `latest`, for scripts that ask in loops. Nothing that writes reads them, and whatever writes removes them.
 * They are files that only this user can read, in the user's cache folder. https://specifications.freedesktop.org/basedir-spec/latest/
 */

const KEPT_MS = 5 * 60_000;

const answerSchema = z.object({
  /** Milliseconds since 1970. */
  at: z.number(),
  outputs: z.array(z.tuple([z.string(), z.string()])),
  /** What the mode printed. */
  lines: z.array(z.string()),
});
type Answer = z.infer<typeof answerSchema>;

export interface AnswerCache {
  /** Undefined: none that is young enough. */
  read(key: string): Answer | undefined;
  write(key: string, answer: Answer): void;
  clear(): void;
}

/** `latest`, and `list` unless it keeps an issue. */
export const isCacheable = ({ mode, onlyId, given }: Pick<CommandLine, 'mode' | 'onlyId' | 'given'>): boolean =>
  onlyId || (mode === 'list' && !('drift-issue' in given));

type Environment = Readonly<Record<string, string | undefined>>;

/** The question with all that decides on the answer: flags, settings file, program, and the credentials, which belong to one account. */
export function answerKey(
  { mode, onlyId, given }: CommandLine,
  settingsFile: string | undefined,
  version: string,
  env: Environment,
): string {
  const aws = Object.entries(env)
    .filter(([name]) => name.startsWith('AWS_'))
    .sort();
  const profiles = [
    env['AWS_CONFIG_FILE'] ?? join(homedir(), '.aws', 'config'),
    env['AWS_SHARED_CREDENTIALS_FILE'] ?? join(homedir(), '.aws', 'credentials'),
  ].map(path => (existsSync(path) ? readFileSync(path, 'utf8') : ''));
  const question = JSON.stringify([version, mode, onlyId, given, settingsFile ?? '', aws, profiles]);
  return createHash('sha256').update(question).digest('hex');
}

export function answerCache(env: Environment, now: () => number): AnswerCache {
  const folder = join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'ami-action', 'answers');
  const fileOf = (key: string) => join(folder, `${key}.json`);
  return {
    read(key) {
      try {
        if (!isOwn(fileOf(key))) return undefined;
        const answer = answerSchema.parse(JSON.parse(readFileSync(fileOf(key), 'utf8')));
        const age = now() - answer.at;
        return age >= 0 && age < KEPT_MS ? answer : undefined;
      } catch {
        return undefined;
      }
    },
    write(key, answer) {
      // A cache is a help: where it cannot be written, AWS is asked again.
      try {
        mkdirSync(folder, { recursive: true, mode: 0o700 });
        const part = join(folder, `${key}.${randomUUID()}`);
        writeFileSync(part, JSON.stringify(answer), { mode: 0o600, flag: 'wx' });
        renameSync(part, fileOf(key));
      } catch {
        return;
      }
    },
    clear: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Another user of the machine could have written anything else. */
function isOwn(path: string): boolean {
  const { uid, mode } = statSync(path);
  return uid === process.getuid?.() && (mode & 0o077) === 0;
}
