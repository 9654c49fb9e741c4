import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Finds words that docs/glossary.md bans, in names, strings, comments and docs. `node scripts/words.ts [path ...]` lists them. */

const BANNED: readonly (readonly [word: RegExp, use: string])[] = [
  [/\bdeeds?\b/, 'action'],
  [/\bwish(es|ed|ing)?\b/, 'option, plan'],
  [/\bwhoever\b/, 'name the role or person'],
  [/\bnobody\b/, 'name the subject'],
  [/\bsomebody\b/, 'another process, a person'],
  [/\banew\b/, 'again, or nothing'],
  [/\bmend(s|ed|ing)?\b/, 'fix'],
  [/\btold\b/, 'reported'],
  [/\bbeside\b/, 'next to, in addition to'],
  [/\bmeanwhile\b/, 'name what happened and when'],
  [/\bwhom\b/, 'shorter sentence'],
  [/\bastray\b/, 'name what happens'],
  [/\bin vain\b/, 'without effect'],
  [/\blies? about\b/, 'leftovers'],
  [/\bto be had\b/, 'not found, does not exist'],
  [/\bof old\b/, 'legacy'],
  [/\bstays? for a look\b/, 'is kept for debugging'],
  [/\bit says so itself\b/, 'name the source'],
  [/\bas it was made\b/, 'unchanged'],
];

/** Where the words are kept out. Tests follow their subjects; the list itself is exempt. */
const PLACES = [
  'src',
  'lab',
  'demo',
  'scripts',
  'acceptance',
  'examples',
  'docs',
  'packer',
  '.github',
  '*.md',
  'action.yml',
  'ami.schema.json',
];
const EXEMPT = new Set([
  'docs/glossary.md',
  'scripts/words.ts',
  'lab/ministack-requirements.txt',
  'lab/witness-requirements.txt',
  'lab/machines/guest/etc/passwd',
  'lab/machines/guest/etc/shadow',
]);

export interface Finding {
  readonly file: string;
  readonly line: number;
  readonly word: string;
  readonly use: string;
}

/** `sayDeed` is two words, and so is `say-deed`. */
const words = (line: string): string => line.replace(/([a-z0-9])([A-Z])/g, '$1 $2').toLowerCase();

export const bannedIn = (text: string): readonly Omit<Finding, 'file'>[] =>
  text.split('\n').flatMap((line, i) =>
    BANNED.flatMap(([word, use]) => {
      const found = word.exec(words(line))?.[0];
      return found === undefined ? [] : [{ line: i + 1, word: found, use }];
    }),
  );

/** Every file that git knows or would take. */
export function filesIn(places: readonly string[] = PLACES): readonly string[] {
  const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z', '--', ...places], {
    encoding: 'utf8',
  });
  return [...new Set(listed.split('\0'))].filter(file => file !== '' && !EXEMPT.has(file));
}

export function findings(places?: readonly string[]): readonly Finding[] {
  return filesIn(places).flatMap(file => {
    const bytes = readFileSync(file);
    return bytes.includes(0) ? [] : bannedIn(bytes.toString('utf8')).map(found => ({ file, ...found }));
  });
}

if (import.meta.main) {
  const all = findings(process.argv.length > 2 ? process.argv.slice(2) : undefined);
  for (const { file, line, word, use } of all) console.log(`${file}:${line}: "${word}" (${use})`);
  console.log(`${all.length} banned words`);
  process.exitCode = all.length === 0 ? 0 : 1;
}
